"""What every file format is read into before anything is judged: named columns, numbered rows, raw cells.

The readers make it, the known sets rename its columns, `rows` turns it into prompts.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

STANDARD_COLUMNS = ("prompt", "label", "topic", "pair_id", "group", "id")


@dataclass(frozen=True)
class Limits:
    """How much one file may hold: characters in a cell that is used, and rows."""

    cell_chars: int
    rows: int


@dataclass(frozen=True)
class Row:
    """One record. `number` is what a spreadsheet or an editor shows beside it; cells are keyed by column."""

    number: int
    cells: Mapping[str, object]

    def text(self, column: str) -> str:
        """The cell as stripped text, "" where there is none."""
        value = self.cells.get(column)
        return "" if value is None else str(value).strip()


@dataclass(frozen=True)
class Table:
    """Columns in lower case, in the file's order. `origin` keeps the file's names of renamed columns, for messages."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    origin: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def where(self, keep: Callable[[Row], bool]) -> "Table":
        return replace(self, rows=tuple(row for row in self.rows if keep(row)))

    def noting(self, notes: Iterable[str]) -> "Table":
        return replace(self, notes=(*self.notes, *notes))

    def standardised(self, origin: Mapping[str, str], make: Callable[[Row], Mapping[str, object]]) -> "Table":
        """Under standard columns: those of `origin` (standard name → name here), and what `make` adds to a row."""

        def renamed(row: Row) -> Row:
            return Row(row.number, {**{new: row.cells.get(old) for new, old in origin.items()}, **make(row)})

        return replace(self, columns=STANDARD_COLUMNS, rows=tuple(map(renamed, self.rows)), origin=origin)


def column_name(cell: object) -> str:
    """A header cell or an object's key as a column name: lower case, no byte order mark, no outer space."""
    return str(cell).strip().strip("\ufeff").strip().lower()
