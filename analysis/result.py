"""What an audit hands back. The backend stores it, the pages draw it; nobody computes science from it again."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from analysis.blob import pack, unpack
from analysis.routing.table import RoutingTable
from analysis.routing.token_trace import TokenTrace

Variant = Literal["base", "masked", "changed"]
AnswerLabel = Literal["refusal", "partial", "compliance", "degenerate", "unjudged"]


@dataclass(frozen=True)
class Answer:
    """One generated answer and what the judge made of it.

    `variant` is "base" for the untouched model, "masked" for the model without its flagged experts and "changed" for
    one with any other change.
    `margin` is the refusal margin in nats (None where withheld); `span` marks the judged words in `text`.
    `second_label` is what a second judge says, where there is one.
    """

    prompt_id: str
    variant: Variant
    label: AnswerLabel
    rule: str | None
    span: tuple[int, int] | None
    text: str
    margin: float | None
    second_label: AnswerLabel | None = None


@dataclass(frozen=True)
class PromptCounts:
    """Selections per prompt: counts [prompts, windows, layers, experts] and their tokens [prompts, windows]."""

    prompt_ids: tuple[str, ...]
    counts: npt.NDArray[np.uint32]
    tokens: npt.NDArray[np.uint32]

    def to_bytes(self) -> bytes:
        return pack({"counts": self.counts, "tokens": self.tokens}, {"prompt_ids": self.prompt_ids})

    @classmethod
    def from_bytes(cls, blob: bytes) -> "PromptCounts":
        arrays, meta = unpack(blob)
        return cls(tuple(meta["prompt_ids"]), arrays["counts"], arrays["tokens"])


@dataclass(frozen=True)
class AuditResult:
    """Everything a finished audit knows. `report` is report.json itself, ready for `json.dumps`; `tokens` are those of
    the prompts that the bound on them has room for.
    """

    report: dict[str, Any]
    certificate: dict[str, Any]
    routing: RoutingTable
    counts: PromptCounts
    answers: tuple[Answer, ...]
    tokens: tuple[TokenTrace, ...] = ()
