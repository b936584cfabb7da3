"""Teacher forcing: run prompts with given answers behind them, and keep the routing of prompt and answer apart.

What a model would say plays no part, so the same prompt can be compared under two answers, and both are of the same
length. One forward per prompt and answer, captured at the same seam and held to the same certificate as `capture`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from analysis.errors import InputError
from analysis.models import LoadedModel
from analysis.outcomes.continuations import Continuations
from analysis.prompts.prompt_set import PromptSet
from analysis.routing.certificate import SpotCheck, Tally, spot_check
from analysis.routing.encoding import Encoded, batches, encode
from analysis.routing.recorder import PROMPT, RESPONSE, ForcedRecorder, Recorded
from analysis.routing.topic_safety import Compared
from analysis.routing.trace import (
    DEFAULTS,
    CaptureSettings,
    Generated,
    Progress,
    Trace,
    assemble,
    part_shard,
    silent,
    tally_batch,
)
from analysis.shards import MemoryShards, Shard, ShardStore

_SPOT_CHECK_PROMPTS = 4


@dataclass(frozen=True)
class ForcedFrequency:
    """f over the forced answers, [prompts, layers, experts] each, in one order; `topics` are the prompts' clusters."""

    refusal: npt.NDArray[np.float32]
    stand_in: npt.NDArray[np.float32]
    topics: tuple[str, ...]


@dataclass(frozen=True)
class ForcedPair:
    """The same harmful prompts, once followed by a refusal and once by its harmless stand-in."""

    refusal: Trace
    stand_in: Trace
    continuations: Continuations

    def frequency(self, prompts: PromptSet | None = None) -> ForcedFrequency:
        """What `steermoe` looks at, of all prompts or of those that are in `prompts`."""
        inside = None if prompts is None else {prompt.id for prompt in prompts}
        rows = [i for i, prompt in enumerate(self.refusal.prompts) if inside is None or prompt.id in inside]
        refusal, stand_in = (trace.frequency[rows, RESPONSE] for trace in (self.refusal, self.stand_in))
        return ForcedFrequency(refusal, stand_in, tuple(self._topics[row] for row in rows))

    def compared(self) -> dict[str, Compared]:
        """The two contrasts of p that need forced answers.

        refusal_prefix: all tokens of the prompt, against all tokens of the prompt and the refusal behind it.
        behaviour: the refusal's tokens against the stand-in's.
        """
        refusal, stand_in, topics = self.refusal, self.stand_in, list(self._topics)
        prompt = refusal.probability[:, PROMPT]
        answer = refusal.probability[:, RESPONSE]
        share = refusal.tokens[:, RESPONSE] / (refusal.tokens[:, PROMPT] + refusal.tokens[:, RESPONSE])
        followed = prompt + share[:, None, None].astype(np.float32) * (answer - prompt)
        return {
            "refusal_prefix": Compared(prompt, followed, topics),
            "behaviour": Compared(answer, stand_in.probability[:, RESPONSE], topics),
        }

    @property
    def _topics(self) -> tuple[str, ...]:
        return tuple(prompt.topic or f"prompt {prompt.id}" for prompt in self.refusal.prompts)

    def __repr__(self) -> str:
        told = self.continuations
        return (
            f"ForcedPair({len(self.refusal.prompts)} prompts × {len(told.refusal.tokens)} tokens: "
            f"refusal from {told.refusal.source}, stand-in from {told.stand_in.source})"
        )


def capture_forced(
    model: LoadedModel,
    prompts: PromptSet,
    continuations: Sequence[Sequence[int]],
    settings: CaptureSettings = DEFAULTS,
    *,
    tokens: int | None = None,
    name: str = "forced",
    shards: ShardStore | None = None,
    progress: Progress = silent,
) -> Trace:
    """Trace the prompts, each followed by the token ids in `continuations`, or by the first `tokens` of them.

    The trace has the windows of any other: prompt, boundary, and as response the given tokens, all of which are fed to
    the model. `name` sets the shards of one capture apart from another's. Raises CaptureError when the certificate does
    not hold, InputError when there is not one continuation of a token or more for each prompt, or no room for it.
    """
    store = shards or MemoryShards()
    encoded = encode(model, prompts.prompts)
    joined, lengths = _join(model, encoded, [tuple(one)[:tokens] for one in continuations], prompts)
    ordered = sorted(joined, key=lambda e: (len(e.tokens), e.row))
    parts = [ordered[i : i + settings.shard_prompts] for i in range(0, len(ordered), settings.shard_prompts)]
    captured: list[Shard] = []
    for number, part in enumerate(parts):
        progress("forced", number, len(parts))
        captured.append(
            store.once(f"{name}-{number:04d}", lambda part=part: _capture_part(model, part, lengths, settings))  # type: ignore[misc]
        )
    progress("forced", len(parts), len(parts))
    spot = store.once(f"{name}-spot-check", lambda: Shard({}, asdict(_spot_check(model, ordered, settings))))
    return assemble(model, prompts, captured, SpotCheck(**spot.meta))


def _join(
    model: LoadedModel, encoded: Sequence[Encoded], continuations: Sequence[tuple[int, ...]], prompts: PromptSet
) -> tuple[list[Encoded], dict[int, int]]:
    """Prompts with their answers behind them, and the answers' lengths by row."""
    if not encoded:
        raise InputError("no prompts to force answers on: expected at least one", field="prompts")
    if len(continuations) != len(encoded):
        raise InputError(f"{len(continuations)} continuations for {len(encoded)} prompts: give one for each prompt")
    limit = int(getattr(model.model.config.get_text_config(), "max_position_embeddings", 0) or 2**31)
    for prompt, one, answer in zip(prompts, encoded, continuations, strict=True):
        if not answer:
            raise InputError(f"the continuation of prompt '{prompt.id}' is empty: expected one token or more")
        if len(one.tokens) + len(answer) > limit:
            raise InputError(
                f"prompt '{prompt.id}' and its continuation have {len(one.tokens)} + {len(answer)} tokens: this model "
                f"takes {limit}; shorten one of them",
                field="prompts",
            )
    joined = [replace(one, tokens=one.tokens + answer) for one, answer in zip(encoded, continuations, strict=True)]
    return joined, {one.row: len(answer) for one, answer in zip(encoded, continuations, strict=True)}


@torch.inference_mode()
def _capture_part(
    model: LoadedModel, part: Sequence[Encoded], lengths: dict[int, int], settings: CaptureSettings
) -> Shard:
    recorded: list[Recorded] = []
    rows: list[int] = []
    tallies: list[Tally] = []
    tokens = {one.row: one.tokens for one in part}
    for batch in batches(model, part, batch_tokens=settings.batch_tokens):
        fed = [lengths[row] for row in batch.rows]
        recorder = ForcedRecorder(model.seam.layers, batch.attention_mask, torch.tensor(fed, device=model.device))
        with model.seam.attach(recorder):
            model.model(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask, logits_to_keep=1, use_cache=False
            )
        record = recorder.fetch()
        prompts = [len(tokens[row]) - lengths[row] for row in batch.rows]
        tallies.append(tally_batch(model, record, prompts, fed))
        recorded.append(record)
        rows += batch.rows
    answers = [asdict(_given(model, tokens[row][-lengths[row] :])) for row in rows]
    return part_shard(rows, recorded, answers, tallies)


def _given(model: LoadedModel, answer: tuple[int, ...]) -> Generated:
    return Generated(str(model.tokenizer.decode(list(answer))).strip(), answer[0], finished=False)


def _spot_check(model: LoadedModel, ordered: Sequence[Encoded], settings: CaptureSettings) -> SpotCheck:
    return spot_check(model, next(batches(model, ordered[-_SPOT_CHECK_PROMPTS:], batch_tokens=settings.batch_tokens)))
