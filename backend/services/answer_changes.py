"""What masking the flagged experts did to each answer of an audit: the prompts that were answered twice, and counts of
their labels before by after. `Results.answer_changes` hands it out; nothing here sees a text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import and_, select
from sqlalchemy.orm import Session, aliased

from analysis.errors import InputError
from analysis.outcomes.transitions import Transitions, transitions
from analysis.result import AnswerLabel
from backend.db.tables import OutcomeRow, PromptRow, RunRow

SIDES = ("harmful", "benign")


@dataclass(frozen=True)
class AnswerChange:
    """One prompt: the labels of its answer by the untouched model and with the flagged experts masked.

    `label` is the prompt's own. `margin` is the untouched model's refusal margin in nats. `second_before` and
    `second_after` are a second judge's, None where there was none.
    """

    prompt_id: str
    topic: str | None
    label: str
    before: AnswerLabel
    after: AnswerLabel
    margin: float | None
    second_before: AnswerLabel | None = None
    second_after: AnswerLabel | None = None


@dataclass(frozen=True)
class AnswerChanges:
    """`tables` count the prompts of the chosen topic, by the prompts' label; `prompts` are those that pass the whole
    choice, in the audit's order."""

    tables: dict[str, Transitions]
    prompts: list[AnswerChange]


@dataclass(frozen=True)
class ChangeFilter:
    """Which prompts to look at; None passes everything. Raises InputError for a label that there is not."""

    topic: str | None = None
    label: str | None = None
    before: str | None = None
    after: str | None = None
    prompt: str | None = None

    def __post_init__(self) -> None:
        known = (("label", SIDES), ("before", get_args(AnswerLabel)), ("after", get_args(AnswerLabel)))
        for name, allowed in known:
            value = getattr(self, name)
            if value is not None and value not in allowed:
                raise InputError(f"unknown {name} '{value}': expected one of {', '.join(allowed)}", field=name)

    def of_topic(self, one: AnswerChange) -> bool:
        return self.topic is None or self.topic == one.topic

    def passes(self, one: AnswerChange) -> bool:
        pairs = (
            (self.label, one.label),
            (self.before, one.before),
            (self.after, one.after),
            (self.prompt, one.prompt_id),
        )
        return self.of_topic(one) and all(wanted is None or wanted == value for wanted, value in pairs)


NO_FILTER = ChangeFilter()


def answer_changes(session: Session, run: RunRow, chosen: ChangeFilter) -> AnswerChanges:
    """Of the prompts of `run` that were answered before and after; none where nothing was masked."""
    found = [one for one in _answered_twice(session, run) if chosen.of_topic(one)]
    tables = {side: _counted([one for one in found if one.label == side]) for side in SIDES}
    return AnswerChanges(tables, [one for one in found if chosen.passes(one)])


def document_changes(session: Session, run: RunRow, answers: Sequence[Mapping[str, Any]]) -> dict[str, Transitions]:
    """The same counts of a document's `answers`, which have the label of each before and after."""
    query = select(PromptRow.prompt_id, PromptRow.label).where(
        PromptRow.prompt_set_id == run.prompt_set_id, PromptRow.group == "regular"
    )
    labels = {row.prompt_id: row.label for row in session.execute(query)}
    own = {side: [one for one in answers if labels.get(one["prompt_id"]) == side] for side in SIDES}
    return {
        side: transitions([one["before"] for one in found], [one["after"] for one in found])
        for side, found in own.items()
    }


def _answered_twice(session: Session, run: RunRow) -> list[AnswerChange]:
    base, masked = aliased(OutcomeRow), aliased(OutcomeRow)
    same = and_(masked.run_id == base.run_id, masked.prompt_id == base.prompt_id, masked.variant == "masked")
    known = and_(PromptRow.prompt_set_id == run.prompt_set_id, PromptRow.prompt_id == base.prompt_id)
    query = (
        select(
            base.prompt_id,
            PromptRow.topic,
            PromptRow.label,
            base.label,
            masked.label,
            base.margin,
            base.second_label,
            masked.second_label,
        )
        .join(masked, same)
        .join(PromptRow, known)
        .where(base.run_id == run.id, base.variant == "base")
        .order_by(base.position)
    )
    return [AnswerChange(*row) for row in session.execute(query)]


def _counted(found: list[AnswerChange]) -> Transitions:
    return transitions([one.before for one in found], [one.after for one in found])
