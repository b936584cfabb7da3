"""Reads a plain text file: one prompt per line, blank lines skipped, nothing labelled."""

import re

from analysis.errors import TooLargeError
from analysis.prompts.importers.faults import FaultLog
from analysis.prompts.importers.header import HeaderCheck, check_columns
from analysis.prompts.importers.table import Limits, Row, Table

# str.splitlines would also break a prompt at U+0085 and U+2028, which are part of its text.
_LINE_END = re.compile(r"\r\n|\r|\n")


def read(text: str, log: FaultLog, limits: Limits, check: HeaderCheck = check_columns) -> Table:
    rows = tuple(Row(number, {"prompt": line}) for number, line in numbered_lines(text))
    if len(rows) > limits.rows:
        raise TooLargeError(f"{log.filename} has more than {limits.rows:,} lines; split it")
    check(("prompt",), log, row=None)
    return Table(("prompt",), rows)


def numbered_lines(text: str) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    return [(number, line) for number, line in enumerate(_LINE_END.split(text), 1) if line.strip().strip("\ufeff")]
