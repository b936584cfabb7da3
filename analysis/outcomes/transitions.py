"""What becomes of each answer when the model is changed: labels before by labels after, on the same prompts.

Called by `backend.services.answer_changes`. It counts; whether a change is more than chance, `paired` says.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from analysis.errors import InputError
from analysis.result import AnswerLabel
from analysis.statistics import Interval, wilson

LABELS: tuple[AnswerLabel, ...] = get_args(AnswerLabel)


@dataclass(frozen=True)
class Transition:
    """`count` answers went from `before` to `after`; `share` is of those that were `before` (Wilson's interval over
    prompts, which takes them as independent)."""

    before: AnswerLabel
    after: AnswerLabel
    count: int
    share: Interval


@dataclass(frozen=True)
class LabelRate:
    """How many answers have a label before and after, and their shares of all."""

    label: AnswerLabel
    before: int
    after: int
    share_before: Interval
    share_after: Interval


@dataclass(frozen=True)
class Transitions:
    """`cells` in the order of `LABELS`, before slower than after, with those that are empty; `rates` of each label."""

    prompts: int
    changed: int
    cells: tuple[Transition, ...]
    rates: tuple[LabelRate, ...]


def transitions(before: Sequence[AnswerLabel], after: Sequence[AnswerLabel]) -> Transitions:
    """Count pairs of labels, one pair a prompt. Raises InputError where the two are not of one length."""
    if len(before) != len(after):
        raise InputError(f"{len(before)} answers before and {len(after)} after: expected one of each for every prompt")
    pairs, first, last = Counter(zip(before, after, strict=True)), Counter(before), Counter(after)
    cells = [Transition(b, a, pairs[b, a], wilson(pairs[b, a], first[b])) for b in LABELS for a in LABELS]
    total = len(before)
    rates = [
        LabelRate(one, first[one], last[one], wilson(first[one], total), wilson(last[one], total)) for one in LABELS
    ]
    changed = sum(count for (b, a), count in pairs.items() if b != a)
    return Transitions(total, changed, tuple(cells), tuple(rates))
