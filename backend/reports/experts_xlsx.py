"""experts.xlsx: the rows of experts.csv as a workbook, with a sheet that says where they come from and what they mean.

Written row by row (constant memory), so that a model of 48,128 experts needs no more than one of 64. Texts stay texts:
nothing in a cell is a formula or a link, whatever a model's or a topic's name looks like.
"""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend.reports.columns import meaning, number_format
from backend.reports.experts_csv import expert_columns, expert_rows
from backend.reports.summary import provenance

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

MAX_CELL = 32_767
"""Characters that a cell can hold."""
_PLAIN = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


def experts_xlsx(report: Mapping[str, Any]) -> bytes:
    """The report's experts as an Excel workbook. Numbers have 16 digits; an empty cell is a withheld value."""
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, _PLAIN) as book:
        book.set_properties({"title": report["verdict"]["sentence"][:250], "created": _made(report)})
        head = book.add_format({"bold": True, "bottom": 1, "valign": "top"})
        _experts(book, report, head)
        _about(book, report, head)
    return out.getvalue()


def _experts(book: "Workbook", report: Mapping[str, Any], head: "Format") -> None:
    sheet = book.add_worksheet("Experts")
    columns, rows = expert_columns(report), len(report["experts"])
    # Every sheet has its widths before its first row: what was written is not kept in memory.
    for place, name in enumerate(columns):
        written = number_format(name)
        sheet.set_column(place, place, max(9, len(name) + 3), book.add_format({"num_format": written}))
    sheet.freeze_panes(1, 2)
    sheet.autofilter(0, 0, max(rows, 1), len(columns) - 1)
    _write(sheet, 0, columns, head)
    for place, row in enumerate(expert_rows(report), start=1):
        _write(sheet, place, [*row.values()])


def _about(book: "Workbook", report: Mapping[str, Any], head: "Format") -> None:
    sheet = book.add_worksheet("About")
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})
    sheet.set_column(0, 0, 28, wrapped)
    sheet.set_column(1, 1, 96, wrapped)
    lines = [("Finding", report["verdict"]["sentence"]), *provenance(report)]
    for place, line in enumerate(lines):
        _write(sheet, place, line)
    first = len(lines) + 1
    _write(sheet, first, ("Column", "What it holds; an empty cell is a value that was withheld"), head)
    for place, name in enumerate(expert_columns(report), start=first + 1):
        _write(sheet, place, (name, meaning(name, report)))


def _write(sheet: "Worksheet", row: int, values: Sequence[object], written: "Format | None" = None) -> None:
    for column, value in enumerate(values):
        if isinstance(value, bool):
            sheet.write_boolean(row, column, value, written)
        elif isinstance(value, int | float):
            sheet.write_number(row, column, value, written)
        elif value is not None:
            sheet.write_string(row, column, str(value)[:MAX_CELL], written)


def _made(report: Mapping[str, Any]) -> datetime:
    """When the report was made, so that the same report gives the same file."""
    try:
        return datetime.fromisoformat(str(report.get("created"))).astimezone(UTC).replace(tzinfo=None)
    except ValueError:
        return datetime(2026, 1, 1)  # noqa: DTZ001 (a workbook's times have no zone)
