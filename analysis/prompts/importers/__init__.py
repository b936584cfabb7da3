"""Reads a prompt file that a person brought: CSV, TSV, JSONL, JSON or plain text, into a `PromptSet`.

The upload service and `load_prompts` call it. It never reads a path or the network itself, and it hands back a whole
set or nothing: everything that is wrong with a file is collected and raised at once.

`look_at_file` says what is in a file, `read_prompts` takes its rows by a `ColumnMapping`, and `FilePrompts.prompt_set`
decides about duplicates; `parse_prompts` is all of it in one call.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PureWindowsPath

from analysis.prompts.importers import delimited, json_files, lines
from analysis.prompts.importers.duplicates import Deduplication, DuplicateGroup, deduplicate, find_duplicates
from analysis.prompts.importers.faults import FaultLog, refusal
from analysis.prompts.importers.header import HeaderCheck, any_columns, check_columns
from analysis.prompts.importers.known import KNOWN_SETS, KnownSet, recognise
from analysis.prompts.importers.look import ColumnLook, FileLook, is_standard, look_at_columns
from analysis.prompts.importers.mapping import EVERY, ColumnMapping, guess_labels, guess_mapping
from analysis.prompts.importers.rows import NumberedPrompt, check_ids, check_pairs, prompts_of, with_ids
from analysis.prompts.importers.table import STANDARD_COLUMNS, Limits, Table
from analysis.prompts.importers.text import decode, listed, shown
from analysis.prompts.prompt_set import PromptSet

__all__ = [
    "EVERY",
    "FORMATS",
    "KNOWN_SETS",
    "STANDARD_COLUMNS",
    "ColumnLook",
    "ColumnMapping",
    "Deduplication",
    "DuplicateGroup",
    "FileLook",
    "FilePrompts",
    "NumberedPrompt",
    "guess_labels",
    "look_at_file",
    "parse_prompts",
    "read_prompts",
]

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


@dataclass(frozen=True)
class FilePrompts:
    """The rows of a file as prompts, before anything is decided about duplicates.

    `origin`: standard column → the file's name of it, for messages. Ids that the file does not give are empty.
    """

    file: str
    name: str
    rows: tuple[NumberedPrompt, ...]
    notes: tuple[str, ...]
    origin: Mapping[str, str]

    @property
    def duplicates(self) -> tuple[DuplicateGroup, ...]:
        return find_duplicates(self.rows)

    def kept(self, wanted: Deduplication | None = None) -> tuple[NumberedPrompt, ...]:
        """The rows that are left, with an id each ("p0001" by its place where the file gave none).

        Raises `PromptFileError` for conflicts that were not decided, ids that repeat, and pairs with two of a side.
        """
        log = FaultLog(self.file)
        rows = deduplicate(self.rows, wanted, log) if wanted else self.rows
        log.close()
        check_ids(rows, log, self.origin.get("id", "id"))
        check_pairs(rows, log)
        log.close()
        prompts = with_ids([one.prompt for one in rows])
        return tuple(NumberedPrompt(one.row, prompt) for one, prompt in zip(rows, prompts, strict=True))

    def prompt_set(self, wanted: Deduplication | None = None, name: str | None = None) -> PromptSet:
        """The set that these rows are. Raises as `kept`; "file: …" names the file at fault."""
        kept = self.kept(wanted)
        gone = len(self.rows) - len(kept)
        left_out = f"{gone:,} prompts that stand" if gone > 1 else "one prompt that stands"
        notes = (f"left out {left_out} in the file already",) if gone else ()
        if not kept:
            raise refusal(self.file, "every prompt was left out as a duplicate under two labels")
        return PromptSet(name or self.name, tuple(one.prompt for one in kept), (*self.notes, *notes))


def parse_prompts(
    data: bytes,
    filename: str,
    *,
    name: str | None = None,
    max_cell_chars: int = 20_000,
    max_rows: int = 100_000,
    mapping: ColumnMapping | None = None,
    duplicates: Deduplication | None = None,
) -> PromptSet:
    """The prompts in `data`, read as the kind of file that the ending of `filename` says.

    The set is called `name`, else after the public set that its header gives away, else after the file. Rows without an
    id get one from their place ("p0001"). What was left out or ignored is said in `PromptSet.notes`. Without `mapping`
    the header has to be ExpertScope's or a known set's; without `duplicates` nobody looks for any.

    Raises `PromptFileError` with up to 50 `faults` (row, column, message), or `TooLargeError` beyond `max_rows`.
    """
    limits = Limits(cell_chars=max_cell_chars, rows=max_rows)
    return read_prompts(data, filename, limits, mapping).prompt_set(duplicates, name)


def read_prompts(data: bytes, filename: str, limits: Limits, mapping: ColumnMapping | None = None) -> FilePrompts:
    """The rows of the file as prompts. Raises `PromptFileError` and `TooLargeError` as `parse_prompts`."""
    path = PureWindowsPath(filename)  # its names end at "/" as well as at "\\", as a browser may send either
    log = FaultLog(_shown_name(path))
    table = _table(data, path, log, limits, mapping.check_columns if mapping else check_columns)
    known = None if mapping else recognise(table.columns)
    table = mapping.convert(table) if mapping else _standard(table, known, log, log.filename)
    prompts = prompts_of(table, log, limits)
    log.close()
    own_name = known.name if known else shown(path.stem, limit=120)
    return FilePrompts(log.filename, own_name, prompts, table.notes, table.origin)


def look_at_file(data: bytes, filename: str, limits: Limits) -> FileLook:
    """What is in the file, whatever its columns are called. Raises `PromptFileError` for a file that cannot be read."""
    path = PureWindowsPath(filename)
    log = FaultLog(_shown_name(path))
    table = _table(data, path, log, limits, any_columns)
    log.close()
    known = recognise(table.columns)
    return FileLook(
        file=log.filename,
        rows=len(table.rows),
        columns=look_at_columns(table),
        known=known.name if known else None,
        standard=is_standard(table),
        guess=guess_mapping(table),
    )


def _shown_name(path: PureWindowsPath) -> str:
    return shown(path.name, limit=120) or "the file"


def _table(data: bytes, path: PureWindowsPath, log: FaultLog, limits: Limits, check: HeaderCheck) -> Table:
    """The file's own table. Raises `PromptFileError` where there is nothing in it."""
    file, suffix = log.filename, path.suffix.lower()
    if suffix not in _READERS:
        found = f"a file that ends in '{shown(suffix)}'" if suffix else "a file name without an ending"
        raise refusal(file, f"{found} cannot be read; expected one of {', '.join(FORMATS)} (save a spreadsheet as CSV)")
    table = _READERS[suffix](decode(data, file), log, limits, check)
    if not table.rows:
        log.close()
        raise refusal(file, "there is no prompt in the file; expected at least one")
    return table


def _standard(table: Table, known: KnownSet | None, log: FaultLog, file: str) -> Table:
    """The table under ExpertScope's own column names."""
    if known is None:
        unused = listed(column for column in table.columns if column and column not in STANDARD_COLUMNS)
        return table.noting([f"columns that are not used: {unused}"] if unused else [])
    converted = known.convert(table, log)
    if not converted.rows:
        raise refusal(file, f"recognised as {known.name}, but no row of it can be used: {'; '.join(converted.notes)}")
    return converted
