"""How this model begins a refusal and how it begins to comply, read off its own answers.

Working from first answer tokens makes the refusal margin independent of tokenizer and wording. Whoever asks for
openings must be ready for WithheldError: a model that never refuses, or always does, has no margin.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.errors import WithheldError

_REFUSING = ("refusal", "partial")


@dataclass(frozen=True)
class Openings:
    """First-token ids of refusals and of compliant answers; the two never overlap."""

    refusal: tuple[int, ...]
    compliance: tuple[int, ...]


def find_openings(first_tokens: Sequence[int | None], labels: Sequence[str]) -> Openings:
    """A token belongs to the side on which it opens more answers; ties belong to neither. Raises WithheldError."""
    refusing, complying = Counter[int](), Counter[int]()
    for token, label in zip(first_tokens, labels, strict=True):
        if token is not None and label in _REFUSING:
            refusing[token] += 1
        elif token is not None and label == "compliance":
            complying[token] += 1
    refusal = tuple(sorted(t for t in refusing if refusing[t] > complying[t]))
    compliance = tuple(sorted(t for t in complying if complying[t] > refusing[t]))
    if not refusal or not compliance:
        missing = (
            "refuses none"
            if not refusing
            else "complies with none"
            if not complying
            else "opens refusals and other answers alike on all"
        )
        raise WithheldError(f"the model {missing} of the {len(labels)} discovery prompts, so it has no refusal margin")
    return Openings(refusal, compliance)
