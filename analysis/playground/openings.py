"""The refusal margin of one prompt, with the openings of a finished audit.

The margin needs to know how this model begins a refusal and how it begins to comply. An audit reads that off its own
answers; here the same answers say it again, and a few margins that the audit measured prove that it is the same.
"""

from collections.abc import Sequence

import numpy as np

from analysis.errors import WithheldError
from analysis.evidence.split import halves
from analysis.models import LoadedModel
from analysis.outcomes.openings import Openings, find_openings
from analysis.outcomes.probe import Probe
from analysis.playground.reference import AuditReference
from analysis.prompts.prompt_set import Prompt, PromptSet

BATCH_TOKENS = 8_192
CHECKED = 2
"""Prompts of each label whose margins are measured again."""
TOLERANCE = 0.05
"""Nats between two measurements of one margin: prompts of other lengths in a batch change the last digits."""


def refusal_margin(model: LoadedModel, prompt: Prompt, audit: AuditReference) -> float:
    """M of `prompt` in nats. Raises WithheldError where the audit has no margin or it cannot be repeated."""
    known = {one.prompt_id: one.margin for one in audit.answers if one.margin is not None}
    if not known:
        raise WithheldError("the audit of this model has no refusal margin")
    openings = openings_of(model, audit)
    checked = _checked(audit.prompts, known)
    probe = Probe(model, [prompt, *checked], openings, batch_tokens=BATCH_TOKENS)
    margins = probe.base.margin
    stored = np.array([known[one.id] for one in checked])
    if not np.allclose(margins[1:], stored, rtol=0.01, atol=TOLERANCE):
        raise WithheldError(
            "the margins that the audit measured could not be measured again: its answers do not say how they began"
        )
    return float(margins[0])


def openings_of(model: LoadedModel, audit: AuditReference) -> Openings:
    """The openings that the audit used: those of its discovery half. Raises WithheldError where there are none."""
    inside = {prompt.id for prompt in halves(PromptSet("audited", audit.prompts), audit.seed).discovery if prompt.side}
    answers = [one for one in audit.answers if one.prompt_id in inside]
    return find_openings([_first_token(model, one.text) for one in answers], [one.label for one in answers])


def _first_token(model: LoadedModel, text: str) -> int | None:
    ids = model.tokenizer(text, add_special_tokens=False).input_ids
    return int(ids[0]) if ids else None


def _checked(prompts: Sequence[Prompt], known: dict[str, float]) -> list[Prompt]:
    """The shortest prompts of each label that have a margin."""
    found: list[Prompt] = []
    for label in ("harmful", "benign"):
        some = [prompt for prompt in prompts if prompt.side == label and prompt.id in known]
        found += sorted(some, key=lambda prompt: (len(prompt.text), prompt.id))[:CHECKED]
    return found
