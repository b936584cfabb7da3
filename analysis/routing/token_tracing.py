"""Makes token traces: runs prompts for them, or gives what a capture kept its texts."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analysis.models import LoadedModel
from analysis.prompts.prompt_set import Prompt
from analysis.routing.certificate import proven
from analysis.routing.encoding import batches, encode
from analysis.routing.token_keeper import KeptTokens
from analysis.routing.token_parts import Template
from analysis.routing.token_trace import Part, TokenTrace
from analysis.routing.trace import DEFAULTS, Generated, Trace, kept_tokens, record_batch, tally_batch
from analysis.routing.vocabulary import readable


class TracedAnswer(NamedTuple):
    """A prompt's routing, and the answer that was generated meanwhile."""

    trace: TokenTrace
    answer: Generated


def trace_tokens(
    model: LoadedModel,
    prompts: Sequence[Prompt],
    max_new_tokens: int = DEFAULTS.max_new_tokens,
    *,
    batch_tokens: int = DEFAULTS.batch_tokens,
) -> list[TracedAnswer]:
    """Run prompts with their greedy answers and keep every token's routing, in the order of `prompts`.

    For a changed model call it inside `model.seam.install(...)`: it then records what was really applied. Raises
    CaptureError where what was seen is not what had to pass, InputError for a prompt the model cannot take.
    """
    encoded, template = encode(model, prompts), Template(model)
    tokens = {one.row: one.tokens for one in encoded}
    found: dict[int, TracedAnswer] = {}
    for batch in batches(model, encoded, batch_tokens=batch_tokens):
        recorded, answers, fed = record_batch(model, batch, max_new_tokens, keep=range(len(batch.rows)))
        asked = [tokens[row] for row in batch.rows]
        proven(tally_batch(model, recorded, [len(one) for one in asked], fed))
        for row, kept, answer in zip(batch.rows, kept_tokens(recorded, asked, answers, fed), answers, strict=True):
            found[row] = TracedAnswer(token_trace(model, template, prompts[row], kept), answer)
    return [found[row] for row in range(len(prompts))]


def token_traces(model: LoadedModel, trace: Trace) -> tuple[TokenTrace, ...]:
    """What a capture kept of single tokens, in the order of its prompts."""
    template = Template(model)
    return tuple(token_trace(model, template, trace.prompts[row], kept) for row, kept in trace.kept.items())


def token_trace(model: LoadedModel, template: Template, prompt: Prompt, kept: KeptTokens) -> TokenTrace:
    """What was kept of one sequence, with its texts."""
    texts, special = readable(model.tokenizer, np.array(kept.tokens, dtype=np.int64))
    answered: list[Part] = ["response"] * (len(kept.tokens) - kept.prompt)
    return TokenTrace(
        prompt_id=prompt.id,
        tokens=texts,
        special=special,
        parts=(*template.parts(kept.tokens[: kept.prompt]), *answered),
        layers=tuple(layer.layer for layer in model.seam.layers),
        experts=model.description.experts,
        ids=kept.ids,
        weights=kept.weights,
    )
