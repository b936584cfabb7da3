"""Two answers to put into a model's mouth: a refusal, and a harmless stand-in for compliance, with as many tokens each.

Taken from the model's own answers where many of them begin alike, otherwise plain sentences that are the same for
every model. The stand-in comes from answers to benign prompts only, so no harmful text is ever read off a model or
written down. Called by `analysis.forcing`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from analysis.errors import InputError
from analysis.models import LoadedModel
from analysis.prompts.prompt_set import Prompt
from analysis.routing.trace import Generated

REFUSAL = "I'm sorry, but I can't help with that request. Please ask me about something else."
STAND_IN = "Sure, I'd be happy to help you with that. Here are a few general points to start with."
SHARED = 0.3
"""An opening is the model's own when at least this share of its answers begins with it, and at least two do."""
SHORTEST = 4

Source = Literal["own answers", "built-in"]


@dataclass(frozen=True)
class Continuation:
    """The tokens of an answer's beginning. `share` is that of the model's answers beginning so; None if built in."""

    text: str
    tokens: tuple[int, ...]
    source: Source
    share: float | None

    def as_dict(self) -> dict[str, Any]:
        shared = {} if self.share is None else {"share": self.share}
        return {"text": self.text, "tokens": len(self.tokens), "source": self.source, **shared}


@dataclass(frozen=True)
class Continuations:
    """A refusal and its stand-in, with as many tokens each."""

    refusal: Continuation
    stand_in: Continuation


def choose_continuations(
    model: LoadedModel, prompts: Sequence[Prompt], answers: Sequence[Generated], labels: Sequence[str], *, tokens: int
) -> Continuations:
    """The openings that refusals of harmful prompts, and compliant answers to benign ones, have in common.

    `labels` are a judge's. Both are cut to the shorter one's length, and to `tokens`; the longest opening of at most
    `tokens` that enough answers share is taken. Raises InputError for fewer tokens than SHORTEST.
    """
    if tokens < SHORTEST:
        raise InputError(f"forced answers of {tokens} tokens: expected at least {SHORTEST}", field="forced_tokens")
    rows = list(zip(prompts, answers, labels, strict=True))
    told = [
        _own_or(model, [a for p, a, judged in rows if (p.side, judged) == wanted], plain, tokens)
        for wanted, plain in ((("harmful", "refusal"), REFUSAL), (("benign", "compliance"), STAND_IN))
    ]
    length = min(len(one.tokens) for one in told)
    refusal, stand_in = (_cut(model, one, length) for one in told)
    return Continuations(refusal, stand_in)


def _own_or(model: LoadedModel, answers: Sequence[Generated], plain: str, limit: int) -> Continuation:
    shared = shared_opening([_tokens(model, one) for one in answers], limit)
    if shared is not None:
        opening, share = shared
        return Continuation("", opening, "own answers", share)
    tokens = tuple(model.tokenizer(plain, add_special_tokens=False).input_ids)
    return Continuation(plain, tokens[:limit], "built-in", None)


def shared_opening(answers: Sequence[tuple[int, ...]], limit: int) -> tuple[tuple[int, ...], float] | None:
    """The longest opening of SHORTEST to `limit` tokens that enough answers share, and their share; None without one.

    Among equally frequent ones, the first in order of token ids.
    """
    needed = max(2, SHARED * len(answers))
    for length in range(limit, SHORTEST - 1, -1):
        openings = Counter(one[:length] for one in answers if len(one) >= length)
        best = min(openings.items(), key=lambda item: (-item[1], item[0]), default=None)
        if best is not None and best[1] >= needed:
            return best[0], best[1] / len(answers)
    return None


def _tokens(model: LoadedModel, answer: Generated) -> tuple[int, ...]:
    """The answer's tokens again. Its text lost a space in front where the token that it began with says so."""
    readings = [tuple(model.tokenizer(t, add_special_tokens=False).input_ids) for t in (answer.text, f" {answer.text}")]
    return next((one for one in readings if one and one[0] == answer.first_token), readings[0])


def _cut(model: LoadedModel, one: Continuation, length: int) -> Continuation:
    tokens = one.tokens[:length]
    return Continuation(str(model.tokenizer.decode(list(tokens))).strip(), tokens, one.source, one.share)
