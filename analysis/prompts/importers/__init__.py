"""Reads a prompt file that a person brought: CSV, TSV, JSONL, JSON or plain text, into a `PromptSet`.

The upload service and `load_prompts` call it. It never reads a path or the network itself, and it hands back a whole
set or nothing: everything that is wrong with a file is collected and raised at once.
"""

from pathlib import PureWindowsPath

from analysis.prompts.importers import delimited, json_files, lines
from analysis.prompts.importers.faults import FaultLog, refusal
from analysis.prompts.importers.known import KNOWN_SETS, KnownSet, recognise
from analysis.prompts.importers.rows import prompts_of
from analysis.prompts.importers.table import STANDARD_COLUMNS, Limits, Table
from analysis.prompts.importers.text import decode, listed, shown
from analysis.prompts.prompt_set import PromptSet

__all__ = ["FORMATS", "KNOWN_SETS", "parse_prompts"]

_READERS = {
    ".csv": delimited.read,
    ".json": json_files.read_json,
    ".jsonl": json_files.read_jsonl,
    ".ndjson": json_files.read_jsonl,
    ".tsv": delimited.read,
    ".txt": lines.read,
}

FORMATS = tuple(_READERS)
"""The file name endings that can be read."""


def parse_prompts(
    data: bytes,
    filename: str,
    *,
    name: str | None = None,
    max_cell_chars: int = 20_000,
    max_rows: int = 100_000,
) -> PromptSet:
    """The prompts in `data`, read as the kind of file that the ending of `filename` says.

    The set is called `name`, else after the public set that its header gives away, else after the file. Rows without an
    id get one from their place ("p0001"). What was left out or ignored is said in `PromptSet.notes`.

    Raises `PromptFileError` with up to 50 `faults` (row, column, message), or `TooLargeError` beyond `max_rows`.
    """
    path = PureWindowsPath(filename)  # its names end at "/" as well as at "\\", as a browser may send either
    file, suffix = shown(path.name, limit=120) or "the file", path.suffix.lower()
    log = FaultLog(file)
    limits = Limits(cell_chars=max_cell_chars, rows=max_rows)
    if suffix not in _READERS:
        found = f"a file that ends in '{shown(suffix)}'" if suffix else "a file name without an ending"
        raise refusal(file, f"{found} cannot be read; expected one of {', '.join(FORMATS)} (save a spreadsheet as CSV)")
    table = _READERS[suffix](decode(data, file), log, limits)
    if not table.rows:
        log.close()
        raise refusal(file, "there is no prompt in the file; expected at least one")
    known = recognise(table.columns)
    table = _standard(table, known, log, file)
    prompts = prompts_of(table, log, limits)
    log.close()
    own_name = known.name if known else shown(path.stem, limit=120)
    return PromptSet(name or own_name, prompts, table.notes)


def _standard(table: Table, known: KnownSet | None, log: FaultLog, file: str) -> Table:
    """The table under ExpertScope's own column names."""
    if known is None:
        unused = listed(column for column in table.columns if column and column not in STANDARD_COLUMNS)
        return table.noting([f"columns that are not used: {unused}"] if unused else [])
    converted = known.convert(table, log)
    if not converted.rows:
        raise refusal(file, f"recognised as {known.name}, but no row of it can be used: {'; '.join(converted.notes)}")
    return converted
