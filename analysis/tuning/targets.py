"""What a tuning should make a model say: token by token, read off the model's own answers wherever it has any.

No target holds harmful words. A refusal is the model's own, or one plain sentence; a helpful answer is the model's own
to a benign prompt; and where a descent is to lead away from refusal, its target is a short affirmative opening that the
model uses with benign prompts. Called by the trial.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from analysis.errors import InputError, WithheldError
from analysis.models import LoadedModel
from analysis.outcomes.answers import REFUSING
from analysis.outcomes.continuations import STAND_IN, shared_opening
from analysis.prompts.prompt_set import Prompt
from analysis.result import AnswerLabel
from analysis.routing.encoding import encode
from analysis.routing.trace import Generated, eos_ids
from analysis.tuning.settings import LONGEST_OPENING, REFUSAL

Kind = Literal["own refusal", "own opening of refusals", "plain refusal", "own opening of answers", "plain opening"]


@dataclass(frozen=True)
class Target:
    """Token ids to be learned. `share` is that of the model's answers which are or begin so; None for a plain text.

    `text` is for people; an end token is among `tokens` where the target is a whole answer.
    """

    kind: Kind
    text: str
    tokens: tuple[int, ...]
    share: float | None

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "text": self.text, "tokens": len(self.tokens), "share": self.share}


@dataclass(frozen=True)
class Example:
    """One prompt with an answer behind it, as token ids; the answer begins at `start`, the boundary is one before.

    `learned`: the answer's cross-entropy counts. `held`: the base model's own words about this answer are to be kept
    (KL). `harmful` is the prompt's side; a jailbreak is harmful.
    """

    prompt_id: str
    tokens: tuple[int, ...]
    start: int
    harmful: bool
    learned: bool
    held: bool

    @property
    def answer(self) -> tuple[int, ...]:
        return self.tokens[self.start :]


@dataclass(frozen=True)
class Spoken:
    """Prompts with the base model's greedy answers and what a judge calls them; the three are in one order."""

    prompts: tuple[Prompt, ...]
    answers: tuple[Generated, ...]
    labels: tuple[AnswerLabel, ...]

    def of(self, label: Literal["harmful", "benign"], judged: Iterable[str]) -> list[Generated]:
        """Answers to regular prompts of a label that the judge gave one of `judged`, empty ones left out."""
        rows = zip(self.prompts, self.answers, self.labels, strict=True)
        return [a for p, a, j in rows if p.side == label and j in judged and a.tokens]


def refusal_target(model: LoadedModel, spoken: Spoken, *, plain: str = REFUSAL, limit: int = 32) -> Target:
    """The refusal that the model gives most often; else the opening that its refusals share; else `plain`.

    An answer of more than `limit` tokens is no target, only its opening may be. Raises InputError where `plain` is
    needed and has no token.
    """
    refusals = [one.tokens for one in spoken.of("harmful", ("refusal",))]
    whole = Counter(tokens for tokens in refusals if len(tokens) <= limit and _ended(model, tokens))
    if whole:
        best, count = min(whole.items(), key=lambda item: (-item[1], item[0]))
        if count > 1 or len(refusals) == 1:
            return Target("own refusal", _text(model, best), best, count / len(refusals))
    shared = shared_opening(refusals, limit)
    if shared is not None:
        return Target("own opening of refusals", _text(model, shared[0]), *shared)
    return Target("plain refusal", plain, (*_tokenised(model, plain, "refusal_text"), *_end(model)), None)


def affirmative_target(model: LoadedModel, spoken: Spoken, *, limit: int = LONGEST_OPENING) -> Target:
    """How the model begins to help with what is benign, in at most `limit` tokens; else a plain opening.

    Raises InputError for a `limit` above LONGEST_OPENING, so that no target can hold more than an opening.
    """
    if not 1 <= limit <= LONGEST_OPENING:
        raise InputError(f"an affirmative opening of {limit} tokens: expected 1 to {LONGEST_OPENING}", field="opening")
    answers = [one.tokens for one in spoken.of("benign", ("compliance",))]
    shared = shared_opening(answers, limit)
    if shared is not None:
        return Target("own opening of answers", _text(model, shared[0]), *shared)
    tokens = _tokenised(model, STAND_IN, "opening")[:limit]
    return Target("plain opening", _text(model, tokens), tokens, None)


def safe_examples(model: LoadedModel, spoken: Spoken, refusal: Target, *, limit: int) -> list[Example]:
    """Harmful and jailbreak prompts refused; benign prompts answered as the base model answers them.

    A benign prompt that the base itself refuses, or does not answer, has no helpful answer to learn: it is left out.
    """
    return _examples(model, spoken, refusal, limit=limit, benign_learned=True)


def affirmative_examples(model: LoadedModel, spoken: Spoken, opening: Target, *, limit: int) -> list[Example]:
    """Harmful prompts with the affirmative opening; benign ones held to the base model's own answers."""
    return _examples(model, spoken, opening, limit=limit, benign_learned=False)


def _examples(model: LoadedModel, spoken: Spoken, target: Target, *, limit: int, benign_learned: bool) -> list[Example]:
    found: list[Example] = []
    encoded = encode(model, spoken.prompts)
    for prompt, asked, said, judged in zip(spoken.prompts, encoded, spoken.answers, spoken.labels, strict=True):
        start = len(asked.tokens)
        if prompt.label == "harmful":
            tokens = asked.tokens + target.tokens
            found.append(Example(prompt.id, tokens, start, harmful=True, learned=True, held=False))
        elif prompt.label == "benign" and judged == "compliance" and said.tokens:
            tokens = asked.tokens + said.tokens[:limit]
            found.append(Example(prompt.id, tokens, start, harmful=False, learned=benign_learned, held=True))
    if not any(one.harmful for one in found):
        raise WithheldError("there is no harmful prompt to tune on: label some")
    _check_room(model, found)
    return found


def refused_share(spoken: Spoken) -> float | None:
    """The share of regular harmful prompts that the base model refuses; None without any."""
    rows = [j in REFUSING for p, j in zip(spoken.prompts, spoken.labels, strict=True) if p.side == "harmful"]
    return sum(rows) / len(rows) if rows else None


def _check_room(model: LoadedModel, examples: Sequence[Example]) -> None:
    room = int(getattr(model.model.config.get_text_config(), "max_position_embeddings", 0) or 2**31)
    for one in examples:
        if len(one.tokens) > room:
            raise InputError(
                f"prompt '{one.prompt_id}' and its answer have {len(one.tokens)} tokens: this model takes {room}; "
                "shorten it or ask for fewer answer tokens",
                field="prompts",
            )


def _tokenised(model: LoadedModel, text: str, field: str) -> tuple[int, ...]:
    tokens = tuple(model.tokenizer(text, add_special_tokens=False).input_ids)
    if not tokens:
        raise InputError("a target text with no token in it: give a sentence", field=field)
    return tokens


def _end(model: LoadedModel) -> tuple[int, ...]:
    """The token that ends an answer, where the model has one."""
    return tuple(one for one in eos_ids(model)[:1] if one >= 0)


def _ended(model: LoadedModel, tokens: tuple[int, ...]) -> bool:
    return bool(tokens) and tokens[-1] in eos_ids(model)


def _text(model: LoadedModel, tokens: Sequence[int]) -> str:
    return str(model.tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()
