"""Decides whether a file's columns can be used at all, before any of its rows is looked at."""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from analysis.prompts.importers.faults import FaultLog
from analysis.prompts.importers.known import KNOWN_SETS, recognise
from analysis.prompts.importers.table import STANDARD_COLUMNS
from analysis.prompts.importers.text import listed


class HeaderCheck(Protocol):
    """Raises `PromptFileError` for columns that cannot be used; `row` is the header's, None where it has none."""

    def __call__(self, columns: Sequence[str], log: FaultLog, *, row: int | None) -> None: ...


def any_columns(columns: Sequence[str], log: FaultLog, *, row: int | None) -> None:
    """For a first look at a file: whatever its columns are, somebody will say what they mean."""
    log.close()


def usable(columns: Sequence[str]) -> bool:
    return "prompt" in columns or recognise(columns) is not None


def check_columns(columns: Sequence[str], log: FaultLog, *, row: int | None) -> None:
    """Raises `PromptFileError` unless there is a `prompt` column or a known set's header, each column once."""
    for name, times in Counter(columns).items():
        if name in STANDARD_COLUMNS and times > 1:
            log.add(f"the column appears {times} times; keep one", row=row, column=name)
    if not usable(columns):
        log.add(_no_prompt(columns), row=row, column="prompt")
    log.close()


def _no_prompt(columns: Sequence[str]) -> str:
    found = listed(name for name in columns if name) or "none"
    optional = ", ".join(STANDARD_COLUMNS[1:])
    known = ", ".join(dict.fromkeys(known.name for known in KNOWN_SETS))
    return (
        f"there is no such column; found {found}; expected 'prompt' and, if you have them, {optional}, "
        f"or the header of a known set ({known})"
    )
