"""Prompt sets: uploaded or built in, checked as a whole before anything is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, or_, select
from sqlalchemy.orm import Session

from analysis.errors import InputError, NotFoundError, TooLargeError
from analysis.prompts import Balance, Prompt, PromptSet, balance_of, load_prompts, parse_prompts
from analysis.prompts.importers.table import Limits
from backend.access import require
from backend.db import Database
from backend.db.tables import PromptRow, PromptSetRow
from backend.services.audit_log import AuditLog
from backend.services.content import Content
from backend.services.ids import new_id
from backend.services.paging import page_of
from backend.services.prompt_imports import ImportOptions, ImportPreview, preview_import
from backend.services.records import Page, PromptSetInfo
from backend.settings import Settings

BUILTIN = "builtin:"
MAX_NAME = 200
AS_IT_IS = ImportOptions()
Prompts = list[Prompt]
Conditions = list[Any]


@dataclass(frozen=True)
class PromptFilter:
    """Which prompts of a set are meant; what is None does not matter.

    `label` is harmful, benign, jailbreak or unlabelled, as the balance counts them; `search` is a part of the id, or of
    the text where prompts may be shown.
    """

    label: str | None = None
    topic: str | None = None
    search: str | None = None


EVERYTHING = PromptFilter()
SIDES = ("harmful", "benign", "jailbreak", "unlabelled")


class PromptSets:
    """Stores and finds prompt sets. Sets never change once stored, so a run's set is always what it ran on."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._audit_log = AuditLog(database)

    def check(
        self, data: bytes, filename: str, name: str | None = None, options: ImportOptions = AS_IT_IS
    ) -> PromptSet:
        """Parse a file without storing it.

        Raises PromptFileError with the rows and columns at fault, or TooLargeError.
        """
        self._check_size(data, filename)
        return parse_prompts(
            data,
            filename,
            name=_checked_name(name),
            max_cell_chars=self._settings.max_cell_chars,
            max_rows=self._settings.max_prompts,
            mapping=options.mapping,
            duplicates=options.duplicates,
        )

    def preview(self, data: bytes, filename: str, options: ImportOptions = AS_IT_IS) -> ImportPreview:
        """What `create` would store: columns, first rows, duplicates, balance, faults. Stores nothing.

        Raises PromptFileError for a file that cannot be read at all, or TooLargeError.
        """
        self._check_size(data, filename)
        limits = Limits(cell_chars=self._settings.max_cell_chars, rows=self._settings.max_prompts)
        return preview_import(data, filename, limits, options, Content(self._settings))

    def create(
        self, data: bytes, filename: str, name: str | None = None, options: ImportOptions = AS_IT_IS
    ) -> PromptSetInfo:
        """Store an uploaded file. The same content under the same name is stored once. Raises as `check`."""
        require("prompt_sets.write")
        return self._store(self.check(data, filename, name, options), "upload")

    def register(self, ref: str, organism: str = "planted") -> PromptSetInfo:
        """Store a built-in set such as builtin:topic-pairs, or find it where it is stored already.

        `organism` says whose set builtin:organism means. Raises NotFoundError for an unknown name.
        """
        if not ref.startswith(BUILTIN):
            raise InputError(f"'{ref}' is not a built-in prompt set: expected builtin:NAME", field="prompt_set_id")
        return self._store(load_prompts(ref, organism=organism), "builtin")

    def list(self, limit: int = 50, cursor: str | None = None) -> Page[PromptSetInfo]:
        with self._database.read() as session:
            return page_of(session, select(PromptSetRow), PromptSetRow, limit, cursor, show_prompt_set)

    def get(self, set_id: str) -> PromptSetInfo:
        with self._database.read() as session:
            return show_prompt_set(_find(session, set_id))

    def prompts(self, set_id: str, limit: int = 100, offset: int = 0, which: PromptFilter = EVERYTHING) -> Prompts:
        """Those of the prompts that are meant, at `offset` and after, in the file's order.

        Their texts are whole: `Content` says what of them may leave the server.
        """
        if limit < 1 or offset < 0:
            raise InputError(f"limit is {limit} and offset {offset}: expected limit ≥ 1 and offset ≥ 0", field="limit")
        with self._database.read() as session:
            _find(session, set_id)
            return _read_prompts(session, set_id, limit, offset, self._where(which))

    def count(self, set_id: str, which: PromptFilter = EVERYTHING) -> int:
        """How many prompts of the set are meant."""
        query = (
            select(func.count()).select_from(PromptRow).where(PromptRow.prompt_set_id == set_id, *self._where(which))
        )
        with self._database.read() as session:
            _find(session, set_id)
            return session.scalar(query) or 0

    def balance(self, set_id: str) -> Balance:
        """The set's prompts by topic and label."""
        columns = (PromptRow.prompt_id, PromptRow.label, PromptRow.topic, PromptRow.pair_id, PromptRow.group)
        with self._database.read() as session:
            _find(session, set_id)
            rows = session.execute(select(*columns).where(PromptRow.prompt_set_id == set_id)).all()
        return balance_of(_without_text(*row) for row in rows)

    def load(self, set_id: str) -> PromptSet:
        """The whole set, as the analysis wants it."""
        with self._database.read() as session:
            row = _find(session, set_id)
            return PromptSet(row.name, tuple(_read_prompts(session, set_id, row.prompts, 0)))

    def _check_size(self, data: bytes, filename: str) -> None:
        limit = self._settings.upload_limit_bytes
        if len(data) > limit:
            raise TooLargeError(
                f"'{filename}' has {len(data):,} bytes, the limit is {limit:,}: split the file", field="file"
            )

    def _where(self, which: PromptFilter) -> Conditions:
        """SQL conditions. Raises InputError for a label that there is not."""
        found: Conditions = []
        if which.label is not None:
            if which.label not in SIDES:
                raise InputError(f"label is '{which.label}': expected one of {', '.join(SIDES)}", field="label")
            found += _of_side(which.label)
        if which.topic is not None:
            found.append(PromptRow.topic == which.topic)
        if which.search:
            named = PromptRow.prompt_id.icontains(which.search, autoescape=True)
            shown = Content(self._settings).shows_prompts  # else a search would give a hidden text away word by word
            said = PromptRow.text.icontains(which.search, autoescape=True)
            found.append(or_(named, said) if shown else named)
        return found

    def _store(self, prompts: PromptSet, source: str) -> PromptSetInfo:
        with self._database.write() as session:
            same = select(PromptSetRow).filter_by(sha256=prompts.sha256, name=prompts.name)
            row = session.scalars(same).one_or_none()
            if row is None:
                row = _describe(prompts, source)
                session.add(row)
                session.flush()
                session.execute(insert(PromptRow), _rows(row.id, prompts))
                details = {"name": row.name, "prompts": row.prompts, "sha256": row.sha256, "source": source}
                self._audit_log.append_in(session, "prompt_sets.created", row.id, details)
            return show_prompt_set(row)


def show_prompt_set(row: PromptSetRow) -> PromptSetInfo:
    return PromptSetInfo(
        id=row.id,
        name=row.name,
        sha256=row.sha256,
        prompts=row.prompts,
        harmful=row.harmful,
        benign=row.benign,
        jailbreak=row.jailbreak,
        unlabelled=row.prompts - row.harmful - row.benign - row.jailbreak,
        topics=row.topics,
        pairs=row.pairs,
        source="builtin" if row.source == "builtin" else "upload",
        created=row.created,
    )


def _checked_name(name: str | None) -> str | None:
    """The given name in one line, or None for an empty one, which lets the file's own name speak."""
    plain = " ".join((name or "").split())
    if len(plain) > MAX_NAME:
        raise InputError(f"name has {len(plain)} characters: at most {MAX_NAME} are kept", field="name")
    return plain or None


def _find(session: Session, set_id: str) -> PromptSetRow:
    row = session.get(PromptSetRow, set_id)
    if row is None:
        raise NotFoundError(f"no prompt set has the id '{set_id}': the list of prompt sets shows those that exist")
    return row


def _describe(prompts: PromptSet, source: str) -> PromptSetRow:
    return PromptSetRow(
        id=new_id(),
        name=prompts.name,
        sha256=prompts.sha256,
        source=source,
        prompts=len(prompts),
        harmful=len(prompts.labelled("harmful")),
        benign=len(prompts.labelled("benign")),
        jailbreak=len(prompts.jailbreaks),
        pairs=len(prompts.pairs),
        topics=[*prompts.topics],
        created=datetime.now(UTC),
    )


def _rows(set_id: str, prompts: PromptSet) -> list[dict[str, object]]:
    return [
        {
            "prompt_set_id": set_id,
            "position": position,
            "prompt_id": p.id,
            "text": p.text,
            "label": p.label,
            "topic": p.topic,
            "pair_id": p.pair_id,
            "group": p.group,
        }
        for position, p in enumerate(prompts)
    ]


def _of_side(label: str) -> Conditions:
    if label == "jailbreak":
        return [PromptRow.group == "jailbreak"]
    return [
        PromptRow.group != "jailbreak",
        PromptRow.label.is_(None) if label == "unlabelled" else PromptRow.label == label,
    ]


def _read_prompts(session: Session, set_id: str, limit: int, offset: int, where: Sequence[Any] = ()) -> Prompts:
    query = select(PromptRow).filter_by(prompt_set_id=set_id).where(*where).order_by(PromptRow.position)
    return [prompt_of(row) for row in session.scalars(query.limit(limit).offset(offset))]


def prompt_of(row: PromptRow) -> Prompt:
    return replace(_without_text(row.prompt_id, row.label, row.topic, row.pair_id, row.group), text=row.text)


def _without_text(
    prompt_id: str, label: str | None, topic: str | None, pair_id: str | None, group: str | None
) -> Prompt:
    known = label if label in ("harmful", "benign") else None
    return Prompt(prompt_id, "", known, topic, pair_id, "jailbreak" if group == "jailbreak" else "regular")  # type: ignore[arg-type]
