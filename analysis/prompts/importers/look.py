"""What a file holds before anybody has said what its columns mean: their names, some cells, and the words they use."""

from dataclasses import dataclass

from analysis.prompts.importers.mapping import ColumnMapping, label_values
from analysis.prompts.importers.table import STANDARD_COLUMNS, Table
from analysis.prompts.importers.text import shown

SAMPLES = 3
SAMPLE_CHARS = 120


@dataclass(frozen=True)
class ColumnLook:
    """One column: up to three different cells, one line each, and its values with counts where it could be a label."""

    name: str
    samples: tuple[str, ...]
    values: dict[str, int]


@dataclass(frozen=True)
class FileLook:
    """`known` is the public set whose header this is, `standard` says that the header is ExpertScope's own, `guess` is
    what the columns most likely are (None where no column holds text).
    """

    file: str
    rows: int
    columns: tuple[ColumnLook, ...]
    known: str | None
    standard: bool
    guess: ColumnMapping | None


def look_at_columns(table: Table) -> tuple[ColumnLook, ...]:
    """Every named column, in the file's order."""
    return tuple(
        ColumnLook(name, _samples(table, name), label_values(table, name))
        for name in dict.fromkeys(table.columns)
        if name
    )


def is_standard(table: Table) -> bool:
    """Whether the table has a `prompt` column and no other one that could be meant for something."""
    return "prompt" in table.columns and all(name in STANDARD_COLUMNS for name in table.columns if name)


def _samples(table: Table, column: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for row in table.rows[:200]:
        text = shown(str(cell), limit=SAMPLE_CHARS) if (cell := row.cells.get(column)) is not None else ""
        if text:
            found.setdefault(text)
        if len(found) == SAMPLES:
            break
    return tuple(found)
