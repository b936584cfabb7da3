"""What a file would become, told before anything of it is stored. Called by `PromptSets`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.errors import Fault, InputError, PromptFileError
from analysis.prompts import Balance, ColumnMapping, Deduplication, balance_of
from analysis.prompts.importers import (
    DuplicateGroup,
    FileLook,
    FilePrompts,
    NumberedPrompt,
    look_at_file,
    read_prompts,
)
from analysis.prompts.importers.table import Limits
from backend.services.content import Content

FIRST_ROWS = 8
MOST_GROUPS = 50
LONGEST_WORD = 24


@dataclass(frozen=True)
class ImportOptions:
    """How to read a file: without a mapping by its own header, without `duplicates` as if nobody looked for any."""

    mapping: ColumnMapping | None = None
    duplicates: Deduplication | None = None


@dataclass(frozen=True)
class PreviewColumn:
    """One column of the file. `samples` are None where texts of prompts are hidden; `values` count label words."""

    name: str
    samples: list[str] | None
    values: dict[str, int]


@dataclass(frozen=True)
class PreviewRow:
    """A prompt as it will be stored, with its row in the file. `text` is None where prompts are hidden."""

    row: int
    id: str
    text: str | None
    label: str | None
    topic: str | None
    pair_id: str | None
    group: str


@dataclass(frozen=True)
class AlikeRows:
    """Rows whose prompts say the same. `conflict`: under different labels."""

    rows: list[int]
    labels: list[str | None]
    exact: bool
    conflict: bool


@dataclass(frozen=True)
class Duplicates:
    """How many rows repeat an earlier one: letter by letter (`exact`), or but for case, spacing and the like.

    `conflicts` counts groups under different labels; `groups` lists the first fifty of all.
    """

    exact: int
    normalised: int
    conflicts: int
    groups: list[AlikeRows]


@dataclass(frozen=True)
class ImportPreview:
    """What a file would become. `prompts` would be stored of its `rows`; with `faults` nothing would be.

    `mapping` is how it was read: {"columns", "labels"}, or None by the rules of the known set `known`. `undecided` is
    the number of conflicts that refuse an import until somebody says what to do with them.
    """

    file: str
    name: str
    rows: int
    prompts: int
    columns: list[PreviewColumn]
    known: str | None
    mapping: dict[str, dict[str, str]] | None
    first: list[PreviewRow]
    duplicates: Duplicates
    undecided: int
    balance: Balance
    advice: list[str]
    notes: list[str]
    faults: list[Fault] = field(default_factory=list)


def preview_import(
    data: bytes, filename: str, limits: Limits, options: ImportOptions, content: Content
) -> ImportPreview:
    """Read the file as an import would, and store nothing. A mapping that nobody gave is guessed.

    Faults of rows are in the preview. Raises PromptFileError for a file that cannot be read at all, TooLargeError.
    """
    look = look_at_file(data, filename, limits)
    mapping = options.mapping or (None if look.known else look.guess)
    found: FilePrompts | None = None
    kept: tuple[NumberedPrompt, ...] = ()
    faults: list[Fault] = []
    try:
        found = read_prompts(data, filename, limits, mapping)
        kept = found.kept(_as_shown(options.duplicates))
    except PromptFileError as error:
        faults = [*error.faults]
    groups = found.duplicates if found else ()
    balance = balance_of(one.prompt for one in kept)
    return ImportPreview(
        file=look.file,
        name=found.name if found else look.known or look.file.rpartition(".")[0] or look.file,
        rows=look.rows,
        prompts=len(kept),
        columns=_columns(look, content),
        known=look.known,
        mapping=shown_mapping(mapping),
        first=[_row(one, content) for one in kept[:FIRST_ROWS]],
        duplicates=_duplicates(groups),
        undecided=_undecided(groups, options.duplicates),
        balance=balance,
        advice=[one.text for one in balance.advice()] if kept else [],
        notes=[*(found.notes if found else ())],
        faults=faults,
    )


def shown_mapping(mapping: ColumnMapping | None) -> dict[str, dict[str, str]] | None:
    """A mapping as JSON has it."""
    return None if mapping is None else {"columns": dict(mapping.columns), "labels": dict(mapping.labels)}


def import_options(
    columns: Mapping[str, Any] | None,
    labels: Mapping[str, Any] | None,
    duplicates: str | None,
    conflicts: str | None,
) -> ImportOptions:
    """The options that a request or a command line gave; each may be missing. Raises InputError for what means nothing,
    and for `labels` without `columns`, which would leave open what a known set's own rules do."""
    if labels and not columns:
        raise InputError("labels are given without columns: say which column holds the prompts too", field="columns")
    mapping = ColumnMapping(_texts(columns), _texts(labels or {})) if columns else None
    wanted = None
    if duplicates or conflicts:
        wanted = Deduplication(duplicates or "keep", conflicts or "refuse")  # type: ignore[arg-type]
    return ImportOptions(mapping, wanted)


def _texts(given: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): "" if value is None else str(value) for name, value in given.items()}


def _as_shown(wanted: Deduplication | None) -> Deduplication:
    """The same, with conflicts that nobody has decided yet left in place."""
    if wanted is None:
        return Deduplication("keep", "keep")
    return Deduplication(wanted.drop, "keep" if wanted.conflicts == "refuse" else wanted.conflicts)


def _undecided(groups: tuple[DuplicateGroup, ...], wanted: Deduplication | None) -> int:
    decided = wanted is None or wanted.conflicts != "refuse"
    return 0 if decided else sum(group.conflict for group in groups)


def _columns(look: FileLook, content: Content) -> list[PreviewColumn]:
    shown = content.shows_prompts
    return [
        PreviewColumn(
            column.name, [*column.samples] if shown else None, column.values if shown or _short(column.values) else {}
        )
        for column in look.columns
    ]


def _short(values: Mapping[str, int]) -> bool:
    """Whether these are single words rather than prompts."""
    return all(len(value) <= LONGEST_WORD and " " not in value for value in values)


def _row(one: NumberedPrompt, content: Content) -> PreviewRow:
    prompt = one.prompt
    return PreviewRow(
        row=one.row,
        id=prompt.id,
        text=content.prompt(prompt.text),
        label=prompt.label,
        topic=prompt.topic,
        pair_id=prompt.pair_id,
        group=prompt.group,
    )


def _duplicates(groups: tuple[DuplicateGroup, ...]) -> Duplicates:
    return Duplicates(
        exact=sum(group.repeated for group in groups),
        normalised=sum(len(group.rows) - 1 for group in groups),
        conflicts=sum(group.conflict for group in groups),
        groups=[
            AlikeRows([*group.rows], [*group.labels], group.exact, group.conflict) for group in groups[:MOST_GROUPS]
        ],
    )
