"""Reads comma-, semicolon- and tab-separated files, as spreadsheets in any country write them.

Called by `parse_prompts`. The `csv` module's field size limit is global to the process, so it is respected, not
changed: a cell beyond it is refused before its end is read.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from analysis.errors import TooLargeError
from analysis.prompts.importers.faults import FaultLog
from analysis.prompts.importers.header import HeaderCheck, check_columns, usable
from analysis.prompts.importers.table import Limits, Row, Table, column_name
from analysis.prompts.importers.text import listed, shown

_TOO_LONG = "field limit"  # as the csv module words it
_DELIMITERS = ",;\t"
_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab"}


@dataclass(frozen=True)
class _Record:
    """One record as it stands in the file; `number` counts records as a spreadsheet counts rows."""

    number: int
    cells: Sequence[str]

    @property
    def blank(self) -> bool:
        return not any(cell.strip() for cell in self.cells)


def read(text: str, log: FaultLog, limits: Limits, check: HeaderCheck = check_columns) -> Table:
    """The table in `text`. Broken rows go to `log`; raises `PromptFileError` for a header that `check` refuses."""
    delimiter = _delimiter(text)
    records = (record for record in _records(text, delimiter, log, limits) if not record.blank)
    head = next(records, None)
    if head is None:
        log.close()
        return Table((), ())
    columns = _without_blank_end([column_name(cell) for cell in head.cells])
    check(columns, log, row=head.number)
    rows: list[Row] = []
    for count, record in enumerate(records, 1):
        if count > limits.rows:
            raise TooLargeError(f"{log.filename} has more than {limits.rows:,} rows; split it")
        cells = [*record.cells[: len(columns)], *_without_blank_end(record.cells[len(columns) :])]
        if len(cells) == len(columns):
            rows.append(Row(record.number, dict(zip(columns, cells, strict=True))))
        else:
            _misshapen(_Record(record.number, cells), columns, delimiter, log)
    return Table(columns, tuple(rows))


def _without_blank_end(cells: Sequence[str]) -> tuple[str, ...]:
    """Spreadsheets write empty cells after the last column that was ever touched."""
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return tuple(cells[:end])


def _reader(source: io.StringIO | Sequence[str], delimiter: str, *, strict: bool) -> Iterator[list[str]]:
    return csv.reader(source, delimiter=delimiter, skipinitialspace=True, strict=strict)


def _delimiter(text: str) -> str:
    """The delimiter under which the header makes most sense: usable columns, then many of them, then the comma."""

    def score(delimiter: str) -> tuple[bool, int]:
        columns: list[str] = []
        with suppress(csv.Error, StopIteration):
            cells = next(row for row in _reader(io.StringIO(text, newline=""), delimiter, strict=True) if any(row))
            columns = [column_name(cell) for cell in cells]
        return usable(columns), len(columns)

    return max(_DELIMITERS, key=score)


def _records(text: str, delimiter: str, log: FaultLog, limits: Limits) -> Iterator[_Record]:
    """Every record, blank ones too. Ends at the first one whose quotation marks or size make the rest unreadable."""
    source = io.StringIO(text, newline="")
    reader = _reader(source, delimiter, strict=True)
    number = 0
    header: Sequence[str] | None = None
    while True:
        number, start = number + 1, source.tell()
        try:
            record = _Record(number, next(reader))
        except StopIteration:
            return
        except csv.Error as error:
            opening = text[start : start + csv.field_size_limit()]
            log.add(_unreadable(error, limits), row=number, column=_last_column(error, opening, header, delimiter))
            return
        if header is None and not record.blank:
            header = record.cells
        yield record


def _unreadable(error: csv.Error, limits: Limits) -> str:
    """Why `csv` gave up on a record."""
    if _TOO_LONG in str(error):
        limit = min(limits.cell_chars, csv.field_size_limit())
        return f"the cell has more than {csv.field_size_limit():,} characters; the limit is {limit:,}"
    if "end of data" in str(error):
        return "a quotation mark opens a cell here and is never closed"
    return 'text follows a closing quotation mark; write a quotation mark inside a quoted cell twice ("")'


def _last_column(error: csv.Error, opening: str, header: Sequence[str] | None, delimiter: str) -> str | None:
    """The column of the cell that is too long: the one in which `opening`, all that a cell may hold, breaks off."""
    if _TOO_LONG not in str(error):
        return None
    with suppress(csv.Error, StopIteration):
        place = len(next(_reader([opening], delimiter, strict=False))) - 1
        return shown(column_name(header[place])) if header and place < len(header) else None
    return None


def _misshapen(record: _Record, columns: Sequence[str], delimiter: str, log: FaultLog) -> None:
    found, expected = len(record.cells), len(columns)
    fields = f"the row has {found} field{'s' if found > 1 else ''}, the header has {expected}"
    if found < expected:
        verb = "is" if expected - found == 1 else "are"
        column = shown(columns[found])
        log.add(f"{fields}: {listed(columns[found:])} {verb} missing", row=record.number, column=column)
    else:
        remedy = f"put quotation marks around a cell that contains {_NAMES[delimiter]}"
        log.add(f"{fields}: {remedy}", row=record.number)
