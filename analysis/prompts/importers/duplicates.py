"""Finds prompts that say the same, and leaves the later ones out where that is wanted.

Two prompts are alike when their texts are equal after NFKC, without regard to case and to how words are spaced. Called
by the importer; `PromptSet` itself may hold the same text twice.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from analysis.errors import InputError
from analysis.prompts.importers.faults import FaultLog
from analysis.prompts.importers.rows import NumberedPrompt
from analysis.prompts.prompt_set import Label

Drop = Literal["keep", "exact", "normalised"]
Conflicts = Literal["refuse", "keep", "first", "leave_out"]


@dataclass(frozen=True)
class Deduplication:
    """What becomes of prompts with the same text.

    `drop`: which later ones go: none ("keep"), those that are equal letter by letter ("exact"), or all that are alike
    ("normalised"). `conflicts`: the same text under different labels is refused ("refuse"), stays as it is ("keep"), is
    kept once under its first label ("first"), or is left out altogether ("leave_out").
    """

    drop: Drop = "keep"
    conflicts: Conflicts = "refuse"

    def __post_init__(self) -> None:
        for name, value, allowed in (("duplicates", self.drop, Drop), ("conflicts", self.conflicts, Conflicts)):
            if value not in get_args(allowed):
                expected = ", ".join(get_args(allowed))
                raise InputError(f"{name} is '{value}': expected one of {expected}", field=name)


@dataclass(frozen=True)
class DuplicateGroup:
    """Prompts whose texts are alike, by their rows in the file; `repeated` equal an earlier one to the letter."""

    rows: tuple[int, ...]
    labels: tuple[Label | None, ...]
    repeated: int

    @property
    def exact(self) -> bool:
        """Whether all are equal letter by letter."""
        return self.repeated == len(self.rows) - 1

    @property
    def conflict(self) -> bool:
        """Whether the same text stands under different labels."""
        return len(set(self.labels)) > 1


def normalised(text: str) -> str:
    """`text` as it is compared: NFKC, case folded, every run of white space one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def find_duplicates(numbered: Iterable[NumberedPrompt]) -> tuple[DuplicateGroup, ...]:
    """Every group of two or more prompts that are alike, in the order of their first rows."""
    return tuple(
        DuplicateGroup(
            tuple(one.row for one in group),
            tuple(one.prompt.label for one in group),
            len(group) - len({one.prompt.text for one in group}),
        )
        for group in _groups(numbered)
    )


def deduplicate(numbered: Sequence[NumberedPrompt], wanted: Deduplication, log: FaultLog) -> tuple[NumberedPrompt, ...]:
    """The prompts that stay, in their order. A conflict that is to be refused goes to `log`, by its second row."""
    gone: set[int] = set()
    for group in _groups(numbered):
        if len({one.prompt.label for one in group}) > 1:
            gone |= _conflicting(group, wanted, log)
        elif wanted.drop != "keep":
            gone |= _later(group, wanted.drop)
    return tuple(one for one in numbered if one.row not in gone)


def _conflicting(group: Sequence[NumberedPrompt], wanted: Deduplication, log: FaultLog) -> set[int]:
    first = group[0]
    if wanted.conflicts == "refuse":
        other = next(one for one in group if one.prompt.label != first.prompt.label)
        labels = f"{other.prompt.label or 'without a label'} here and {first.prompt.label or 'without a label'} there"
        log.add(
            f"the same prompt stands in row {first.row}, {labels}; correct one, or say what becomes of conflicts",
            row=other.row,
            column="label",
        )
        return set()
    if wanted.conflicts == "keep":
        return set()
    return {one.row for one in (group if wanted.conflicts == "leave_out" else group[1:])}


def _later(group: Sequence[NumberedPrompt], drop: Drop) -> set[int]:
    if drop == "normalised":
        return {one.row for one in group[1:]}
    seen: set[str] = set()
    gone = set()
    for one in group:
        if one.prompt.text in seen:
            gone.add(one.row)
        seen.add(one.prompt.text)
    return gone


def _groups(numbered: Iterable[NumberedPrompt]) -> list[list[NumberedPrompt]]:
    alike: dict[str, list[NumberedPrompt]] = defaultdict(list)
    for one in numbered:
        alike[normalised(one.prompt.text)].append(one)
    return [group for group in alike.values() if len(group) > 1]
