"""Reads JSON (a list) and JSONL (one value per line) whose values are texts, or objects with a `prompt`.

Called by `parse_prompts`. A row's number is the line in JSONL and the place in the list, from 1, in JSON.
"""

import json
from collections.abc import Iterable
from typing import Any

from analysis.errors import TooLargeError
from analysis.prompts.importers.faults import FaultLog, refusal
from analysis.prompts.importers.header import HeaderCheck, check_columns
from analysis.prompts.importers.lines import numbered_lines
from analysis.prompts.importers.table import STANDARD_COLUMNS, Limits, Row, Table, column_name

_EXPECTED = "expected a text or an object with 'prompt'"


class _UnreadableJsonError(ValueError):
    """What is wrong with a piece of JSON, and in which of its lines."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


def read_json(text: str, log: FaultLog, limits: Limits, check: HeaderCheck = check_columns) -> Table:
    """The table in a JSON list. Raises `PromptFileError` for anything but a list."""
    try:
        value = _parsed(text)
    except _UnreadableJsonError as error:
        hint = "; one value per line is JSONL: name the file .jsonl" if "Extra data" in str(error) else ""
        raise refusal(log.filename, f"{error} in line {error.line}{hint}") from None
    if not isinstance(value, list):
        expected = "expected a list of texts or of objects with 'prompt'"
        raise refusal(log.filename, f"the file holds {kind_of(value)}; {expected}")
    return _table(enumerate(value, 1), len(value), log, limits, check)


def read_jsonl(text: str, log: FaultLog, limits: Limits, check: HeaderCheck = check_columns) -> Table:
    """The table in JSON lines. Lines that are not JSON go to `log`."""
    lines = numbered_lines(text)
    values: list[tuple[int, Any]] = []
    for number, line in lines[: limits.rows]:
        try:
            values.append((number, _parsed(line)))
        except _UnreadableJsonError as error:
            log.add(str(error), row=number)
    return _table(values, len(lines), log, limits, check)


def kind_of(value: object) -> str:
    """What a JSON value is, for a message."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _UnreadableJsonError(f"not valid JSON: {error.msg} (character {error.colno})", error.lineno) from None
    except RecursionError:
        raise _UnreadableJsonError("the JSON is nested too deeply to read") from None
    except ValueError:  # an integer of thousands of digits
        raise _UnreadableJsonError("the JSON holds a number too long to read") from None


def _table(values: Iterable[tuple[int, Any]], count: int, log: FaultLog, limits: Limits, check: HeaderCheck) -> Table:
    if count > limits.rows:
        raise TooLargeError(f"{log.filename} has more than {limits.rows:,} rows; split it")
    rows = [row for number, value in values if (row := _row(number, value, log)) is not None]
    columns = tuple(dict.fromkeys(name for row in rows for name in row.cells))
    if rows:
        check(columns, log, row=None)
    return Table(columns, tuple(rows))


def _row(number: int, value: object, log: FaultLog) -> Row | None:
    if isinstance(value, str):
        return Row(number, {"prompt": value})
    if not isinstance(value, dict):
        log.add(f"found {kind_of(value)}; {_EXPECTED}", row=number)
        return None
    cells: dict[str, object] = {}
    for key, cell in value.items():
        name = column_name(key)
        if name in cells and name in STANDARD_COLUMNS:
            log.add("the key appears twice in this object; keep one", row=number, column=name)
        cells[name] = cell
    return Row(number, cells)
