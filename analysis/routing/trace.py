"""Run prompts through a model and keep which experts every token was sent to, with the answers and the certificate.

`capture` is the only way in; it works in shards so that a killed job goes on where it was.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from analysis.models import LoadedModel
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing.certificate import Certificate, SpotCheck, Tally, certify, spot_check
from analysis.routing.coactivation import Coactivation
from analysis.routing.encoding import Batch, Encoded, batches, encode
from analysis.routing.recorder import BOUNDARY, PROMPT, RESPONSE, Recorded, RoutingRecorder
from analysis.routing.sparse import SparseCounts
from analysis.routing.token_keeper import BYTES_PER_CHOICE, KeptTokens
from analysis.routing.token_sample import sampled
from analysis.routing.token_shards import kept_arrays, kept_tokens_of
from analysis.routing.vocabulary import NONE_FOLLOWED, FollowedIds, Vocabulary, count_top_experts, follow, readable
from analysis.shards import MemoryShards, Shard, ShardStore

Progress = Callable[[str, int, int], None]
SHARDS = "capture-4"
"""Numbered anew when shards hold something else: a run that an older version left unfinished then captures again."""
_SPOT_CHECK_PROMPTS = 4


def silent(_stage: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class CaptureSettings:
    """How to capture. `batch_tokens` bounds the cells of one forward, `shard_prompts` what a kill can cost.

    `token_bytes` bounds what is kept of single tokens: all prompts where they fit, else a sample drawn with `seed`.
    """

    max_new_tokens: int = 64
    batch_tokens: int = 8_192
    shard_prompts: int = 64
    token_bytes: int = 0
    seed: int = 0


DEFAULTS = CaptureSettings()


@dataclass(frozen=True)
class Generated:
    """The greedy continuation of one prompt, special tokens removed. `finished` is False when it was cut off.

    `tokens` are the ids as they were generated, the end token included; () where the text was not generated.
    """

    text: str
    first_token: int | None
    finished: bool
    tokens: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", tuple(self.tokens))  # JSON has lists only


@dataclass(frozen=True)
class Trace:
    """Routing of every prompt: arrays [prompts, windows, layers, experts] in the order of `prompts`.

    `selections` and `tokens` [prompts, windows] are counts; `probability` and `weight` are means over the window's
    tokens, NaN where the window is empty (a prompt whose answer is empty has no response window). `entropy` [prompts,
    windows, layers] is the mean over the window's tokens of −Σ π log2 π, in bits. `coactivation` counts the pairs of
    experts that tokens select together (None for a model with too many pairs), `vocabulary` the first expert of each
    frequent token id. `kept` has the single tokens of some prompts, by their row.
    """

    prompts: tuple[Prompt, ...]
    layers: tuple[int, ...]
    top_k: int
    selections: npt.NDArray[np.uint32]
    tokens: npt.NDArray[np.uint32]
    probability: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    answers: tuple[Generated, ...]
    certificate: Certificate
    entropy: npt.NDArray[np.float32]
    coactivation: Coactivation | None
    vocabulary: Vocabulary
    kept: Mapping[int, KeptTokens] = field(default_factory=dict)

    @property
    def frequency(self) -> npt.NDArray[np.float32]:
        """Selection frequency f [prompts, windows, layers, experts], the mean over the window's tokens; sums to k."""
        return _mean(self.selections, self.tokens)

    def __repr__(self) -> str:
        _, windows, layers, experts = self.selections.shape
        shape = f"{len(self.prompts)} prompts × {windows} windows × {layers} layers × {experts} experts"
        return f"Trace({shape}, top {self.top_k}, {self.certificate!r})"


def capture(
    model: LoadedModel,
    prompts: PromptSet,
    settings: CaptureSettings = DEFAULTS,
    *,
    shards: ShardStore | None = None,
    progress: Progress = silent,
) -> Trace:
    """Trace the prompts and the greedy answers to them.

    Raises CaptureError when the certificate does not hold, InputError for a prompt the model cannot take.
    """
    store = shards or MemoryShards()
    encoded = encode(model, prompts.prompts)
    ordered = sorted(encoded, key=lambda e: (len(e.tokens), e.row))
    parts = [ordered[i : i + settings.shard_prompts] for i in range(0, len(ordered), settings.shard_prompts)]
    followed = follow([one.tokens for one in encoded], len(model.seam.layers), model.description.experts)
    keep = _kept_rows(model, prompts.prompts, encoded, settings)
    captured: list[Shard] = []
    for number, part in enumerate(parts):
        progress("capture", number, len(parts))
        work = partial(_capture_part, model, part, settings, followed, keep)
        captured.append(store.once(f"{SHARDS}-{number:04d}", work))
    progress("capture", len(parts), len(parts))
    spot = store.once(f"{SHARDS}-spot-check", lambda: Shard({}, asdict(_spot_check(model, ordered, settings))))
    return assemble(model, prompts, captured, SpotCheck(**spot.meta), followed)


def _kept_rows(
    model: LoadedModel, prompts: Sequence[Prompt], encoded: Sequence[Encoded], settings: CaptureSettings
) -> frozenset[int]:
    """Prompts whose single tokens are kept, their answers counted at the length that is allowed to them."""
    if not settings.token_bytes:
        return frozenset()
    widest = max(layer.top_k for layer in model.seam.layers)
    per_token = BYTES_PER_CHOICE * len(model.seam.layers) * widest
    sizes = [per_token * (len(one.tokens) + settings.max_new_tokens) for one in encoded]
    return frozenset(sampled(prompts, sizes, settings.token_bytes, settings.seed))


def _spot_check(model: LoadedModel, ordered: Sequence[Encoded], settings: CaptureSettings) -> SpotCheck:
    return spot_check(model, next(batches(model, ordered[-_SPOT_CHECK_PROMPTS:], batch_tokens=settings.batch_tokens)))


_SUMS = ("selections", "tokens", "probability", "weight", "entropy")


def _capture_part(
    model: LoadedModel,
    part: Sequence[Encoded],
    settings: CaptureSettings,
    followed: FollowedIds,
    keep: Collection[int],
) -> Shard:
    kept: dict[int, KeptTokens] = {}
    recorded: list[Recorded] = []
    top_experts: list[SparseCounts] = []
    rows: list[int] = []
    answers: list[dict[str, Any]] = []
    tallies: list[Tally] = []
    tokens = {one.row: one.tokens for one in part}
    for batch in batches(model, part, batch_tokens=settings.batch_tokens):
        places = [place for place, row in enumerate(batch.rows) if row in keep]
        record, generated, fed = record_batch(model, batch, settings.max_new_tokens, keep=places)
        asked = [tokens[row] for row in batch.rows]
        tallies.append(tally_batch(model, record, [len(one) for one in asked], fed))
        of_batch = kept_tokens(record, asked, generated, fed)
        kept |= dict(zip([batch.rows[place] for place in places], of_batch, strict=True))
        recorded.append(replace(record, kept=None))
        top_experts.append(_count_ids(model, batch, record, followed))
        rows += batch.rows
        answers += [asdict(answer) for answer in generated]
    return part_shard(rows, recorded, answers, tallies, top_experts, kept)


def part_shard(
    rows: Sequence[int],
    recorded: Sequence[Recorded],
    answers: Sequence[dict[str, Any]],
    tallies: Sequence[Tally],
    top_experts: Sequence[SparseCounts] = (),
    kept: Mapping[int, KeptTokens] | None = None,
) -> Shard:
    """What some batches recorded, as `assemble` takes it; `rows` and `answers` have one entry for each prompt."""
    total = tallies[0]
    for tally in tallies[1:]:
        total = total + tally
    arrays = {name: np.concatenate([getattr(r, name) for r in recorded]) for name in _SUMS}
    counted = {
        "vocabulary": SparseCounts.total(top_experts),
        "pairs": SparseCounts.total([r.pairs for r in recorded if r.pairs is not None]),
    }
    return Shard(
        {"rows": np.array(rows, dtype=np.int64), **arrays, **_flattened(counted), **kept_arrays(kept or {})},
        {"answers": list(answers), "tally": asdict(total), "pairs_counted": recorded[0].pairs is not None},
    )


def _count_ids(model: LoadedModel, batch: Batch, record: Recorded, followed: FollowedIds) -> SparseCounts:
    tokens, keep = batch.input_ids.cpu().numpy(), batch.attention_mask.cpu().numpy().astype(bool)
    return count_top_experts(followed, tokens, keep, record.top_expert, model.description.experts)


def _flattened(counted: dict[str, SparseCounts]) -> dict[str, npt.NDArray[Any]]:
    cells = {f"{name}_cells": counts.cells for name, counts in counted.items()}
    return cells | {f"{name}_counts": counts.counts for name, counts in counted.items()}


def _summed(name: str, parts: Sequence[Shard]) -> SparseCounts:
    return SparseCounts.total([SparseCounts(p.arrays[f"{name}_cells"], p.arrays[f"{name}_counts"]) for p in parts])


@torch.inference_mode()
def record_batch(
    model: LoadedModel, batch: Batch, max_new_tokens: int, keep: Sequence[int] = ()
) -> tuple[Recorded, list[Generated], list[int]]:
    """Record one batch; also returns its answers and how many answer tokens each sequence fed back to the model.

    `keep` are places in the batch whose single tokens are kept.
    """
    eos = eos_ids(model)
    end = torch.tensor(eos, device=model.device)
    recorder = RoutingRecorder(model.seam.layers, batch.attention_mask, end, keep=keep)
    with model.seam.attach(recorder):
        if max_new_tokens == 0:
            model.model(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask, logits_to_keep=1, use_cache=False
            )
            return recorder.fetch(), [Generated("", None, finished=False)] * len(batch.rows), [0] * len(batch.rows)
        sequences = generate(model, batch, max_new_tokens)
    answers, fed = read_answers(model, sequences, eos)
    return recorder.fetch(), answers, fed


def kept_tokens(
    recorded: Recorded, prompts: Sequence[Sequence[int]], answers: Sequence[Generated], fed: Sequence[int]
) -> list[KeptTokens]:
    """The sequences of a batch whose tokens were kept; the other three have an entry for each sequence of it."""
    kept = recorded.kept
    if kept is None:
        return []
    spoken = [one.tokens[:-1] if one.finished else one.tokens for one in answers]
    return [
        kept.sequence(number, prompts[place], spoken[place], fed[place]) for number, place in enumerate(kept.places)
    ]


def generate(model: LoadedModel, batch: Batch, max_new_tokens: int) -> torch.Tensor:
    """Greedy continuations [batch, new tokens], padded after the end token."""
    output: torch.Tensor = model.model.generate(  # type: ignore[operator]
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
        pad_token_id=model.tokenizer.pad_token_id,
    )
    return output[:, batch.input_ids.shape[1] :]


def read_answers(model: LoadedModel, sequences: torch.Tensor, eos: Sequence[int]) -> tuple[list[Generated], list[int]]:
    """Decode continuations; the second list counts the tokens before the end that were fed back to the model."""
    answers, fed = [], []
    for row in sequences.tolist():
        end = next((i for i, token in enumerate(row) if token in eos), None)
        content = row if end is None else row[:end]
        text = str(model.tokenizer.decode(content, skip_special_tokens=True))
        spoken = tuple(row if end is None else row[: end + 1])
        answers.append(Generated(text.strip(), row[0] if row else None, finished=end is not None, tokens=spoken))
        fed.append(len(row) - 1 if end is None else end)
    return answers, fed


def eos_ids(model: LoadedModel) -> list[int]:
    """The ids that end an answer, from the generation config or else the tokenizer."""
    configured = getattr(model.model.generation_config, "eos_token_id", None)
    found = configured if configured is not None else model.tokenizer.eos_token_id
    ids = found if isinstance(found, list) else [found]
    return [int(i) for i in ids if i is not None] or [-1]


def tally_batch(model: LoadedModel, recorded: Recorded, prompt_lengths: Sequence[int], fed: Sequence[int]) -> Tally:
    """Hold what the seam saw against what the tokenizer and the answers say must have passed."""
    expected_tokens = np.zeros(recorded.tokens.shape, dtype=np.int64)
    expected_tokens[:, PROMPT], expected_tokens[:, BOUNDARY], expected_tokens[:, RESPONSE] = prompt_lengths, 1, fed
    per_layer = recorded.selections.sum(-1, dtype=np.int64)
    top_k = np.array([layer.top_k for layer in model.seam.layers])
    windows = [PROMPT, RESPONSE]
    return Tally(
        layers_expected=len(model.seam.layers),
        layers_seen=int((per_layer.sum((0, 1)) > 0).sum()),
        assignments_expected=int(expected_tokens[:, windows].sum() * top_k.sum()),
        assignments_seen=int(per_layer[:, windows].sum()),
        prompt_tokens=int(expected_tokens[:, PROMPT].sum()),
        response_tokens=int(expected_tokens[:, RESPONSE].sum()),
        forwards=recorded.forwards,
        fired_once=all(count == recorded.forwards for count in recorded.fired),
        ids_in_range=recorded.ids_in_range,
        every_layer_complete=bool((per_layer == expected_tokens[:, :, None] * top_k).all()),
    )


def assemble(
    model: LoadedModel,
    prompts: PromptSet,
    parts: Sequence[Shard],
    spot: SpotCheck,
    followed: FollowedIds = NONE_FOLLOWED,
) -> Trace:
    """The shards of a capture as one trace, certified. Raises CaptureError when the certificate does not hold."""
    order = np.argsort(np.concatenate([part.arrays["rows"] for part in parts]))
    joined = {name: np.concatenate([part.arrays[name] for part in parts])[order] for name in _SUMS}
    answers = [Generated(**answer) for part in parts for answer in part.meta["answers"]]
    tally = Tally(**parts[0].meta["tally"])
    for part in parts[1:]:
        tally = tally + Tally(**part.meta["tally"])
    layers = tuple(layer.layer for layer in model.seam.layers)
    return Trace(
        prompts=prompts.prompts,
        layers=layers,
        top_k=model.description.top_k,
        selections=joined["selections"],
        tokens=joined["tokens"],
        probability=_mean(joined["probability"], joined["tokens"]),
        weight=_mean(joined["weight"], joined["tokens"]),
        answers=tuple(answers[i] for i in order),
        certificate=certify(model, tally, spot),
        entropy=_mean(joined["entropy"][..., None], joined["tokens"])[..., 0],
        coactivation=_coactivation(layers, parts, joined) if parts[0].meta["pairs_counted"] else None,
        vocabulary=_vocabulary(model, parts, followed),
        kept=kept_tokens_of([part.arrays for part in parts]),
    )


def _coactivation(layers: tuple[int, ...], parts: Sequence[Shard], joined: dict[str, npt.NDArray[Any]]) -> Coactivation:
    windows = [PROMPT, RESPONSE]
    selections = joined["selections"][:, windows].sum(0, dtype=np.int64)
    return Coactivation.of(
        layers, _summed("pairs", parts), selections, joined["tokens"][:, windows].sum(0, dtype=np.int64)
    )


def _vocabulary(model: LoadedModel, parts: Sequence[Shard], followed: FollowedIds) -> Vocabulary:
    shape = (len(model.seam.layers), len(followed.ids), model.description.experts)
    texts, special = readable(model.tokenizer, followed.ids)
    counts = _summed("vocabulary", parts).dense(shape)
    return Vocabulary(followed.ids, followed.occurrences, counts, texts, special, followed.eligible)


def _mean(sums: npt.NDArray[Any], tokens: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
    """Sums over a window divided by its tokens; NaN for an empty window."""
    count = tokens[:, :, None, None].astype(np.float32)
    means: npt.NDArray[np.float32] = np.divide(
        sums, count, out=np.full(sums.shape, np.nan, dtype=np.float32), where=count > 0
    )
    return means
