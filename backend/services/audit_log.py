"""The audit log: what was done, by whom, from where, when, to what. Entries are appended and read, never changed.

Whoever acts is taken from `backend.access`. Each entry's hash covers the entry and the hash of the one before, so that
an entry changed, taken out or put in behind the database's back breaks the chain at its place. What a chain alone does
not show is that its end was cut off: for that `verify` takes the head that somebody wrote down elsewhere.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, func, or_, select, text
from sqlalchemy.orm import Session

from analysis.errors import InputError
from backend.access import current, require
from backend.db import Database
from backend.db.tables import AuditLogRow
from backend.services.paging import MAX_LIMIT
from backend.services.records import Page

if TYPE_CHECKING:  # it would bring torch into the server
    from analysis.tuning.stress import StressRecord


_LOCK = 4_977_311
_BATCH = 1_000


@dataclass(frozen=True)
class AuditEntry:
    """One entry. `address` is where the request came from, empty for the worker and the command line; `subject` is what
    it was done to; `details` say with what. `hash` is SHA-256 over the entry and `previous`, the hash before."""

    id: int
    time: datetime
    actor: str
    role: str
    address: str
    action: str
    subject: str
    details: dict[str, Any]
    previous: str
    hash: str

    def expected_hash(self) -> str:
        """What `hash` has to be: of these fields as JSON without spaces, keys sorted, ASCII only."""
        parts = [
            self.previous,
            self.id,
            self.time.astimezone(UTC).isoformat(),
            self.actor,
            self.role,
            self.address,
            self.action,
            self.subject,
            self.details,
        ]
        line = json.dumps(parts, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(line.encode("ascii")).hexdigest()


@dataclass(frozen=True)
class AuditEntries:
    """Entries, the newest first, and how many there are in all."""

    items: tuple[AuditEntry, ...]
    count: int


@dataclass(frozen=True)
class Verified:
    """What a walk along the chain found. `head` is the last entry's id and hash as "ID:HASH", None for an empty log;
    `faults` say what is wrong at which entry, the first hundred of them."""

    entries: int
    head: str | None
    faults: tuple[str, ...]

    @property
    def intact(self) -> bool:
        return not self.faults


class AuditLog:
    """Appends to and reads `audit_log`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self,
        action: str,
        subject: str,
        details: Mapping[str, Any] | None = None,
        *,
        actor: str | None = None,
        role: str | None = None,
        time: datetime | None = None,
    ) -> int:
        """Write one entry and return its id once it is on disk. `actor` and `role` are those of whoever acts now unless
        they are given; `details` may be anything that JSON holds."""
        with self._database.write() as session:
            return self.append_in(session, action, subject, details, actor=actor, role=role, time=time)

    def append_in(
        self,
        session: Session,
        action: str,
        subject: str,
        details: Mapping[str, Any] | None = None,
        *,
        actor: str | None = None,
        role: str | None = None,
        time: datetime | None = None,
    ) -> int:
        """The same inside a write transaction that is open, so that a deed and its entry are kept or lost together."""
        if session.get_bind().dialect.name == "postgresql":  # SQLite's writers stand in a queue already
            session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        last = session.scalars(select(AuditLogRow).order_by(AuditLogRow.id.desc()).limit(1)).first()
        principal = current()
        entry = AuditEntry(
            id=last.id + 1 if last else 1,
            time=time or datetime.now(UTC),
            actor=principal.name if actor is None else actor,
            role=principal.role.value if role is None else role,
            address=principal.address,
            action=action,
            subject=subject,
            details=json.loads(json.dumps(dict(details or {}))),
            previous=last.hash if last else "",
            hash="",
        )
        session.add(AuditLogRow(**{**vars(entry), "hash": entry.expected_hash()}))
        session.flush()
        return entry.id

    def verify(self, head: str | None = None) -> Verified:
        """Walk along the chain. `head`, "ID:HASH" as an earlier walk gave it, has to be an entry of it still.

        Raises InputError for a head of another form.
        """
        wanted = _head(head) if head else None
        faults: list[str] = []
        last: AuditEntry | None = None
        count, seen = 0, wanted is None
        for entry in self.in_order():
            before = last.id if last else 0
            if entry.id != before + 1:
                faults.append(f"entry {before} is followed by entry {entry.id}: what was between is missing")
            if entry.previous != (last.hash if last else ""):
                faults.append(f"entry {entry.id} does not follow the one before it: the chain is broken there")
            if entry.hash != entry.expected_hash():
                faults.append(f"entry {entry.id} is not what was written: its hash does not fit")
            seen = seen or wanted == (entry.id, entry.hash)
            count, last = count + 1, entry
        if wanted and not seen:
            faults.append(
                f"entry {wanted[0]} with the hash that was written down is gone: the log was cut or made anew"
            )
        return Verified(count, f"{last.id}:{last.hash}" if last else None, tuple(faults[:100]))

    def in_order(self) -> Iterator[AuditEntry]:
        """Every entry, the oldest first."""
        last = -1
        while True:
            with self._database.read() as session:
                query = select(AuditLogRow).where(AuditLogRow.id > last).order_by(AuditLogRow.id).limit(_BATCH)
                rows = session.scalars(query).all()
            if not rows:
                return
            yield from map(_entry, rows)
            last = rows[-1].id

    def record(self, entry: "StressRecord") -> int:
        """What the science hands over, as an entry."""
        time = datetime.fromisoformat(entry.time)
        return self.append(entry.action, entry.subject, entry.details, actor=entry.actor, role=entry.role, time=time)

    def entries(
        self, *, limit: int = 100, before: int | None = None, action: str | None = None, actor: str | None = None
    ) -> AuditEntries:
        """The newest entries, at most `limit`; `before` goes on behind an entry's id.

        `action` keeps that action and those below it, so that "tuning" has "tuning.stress.started"; `actor` one actor.
        Raises ForbiddenError for whoever may not read the log.
        """
        require("audit_log.read")
        matching = _matching(action, actor)
        wanted = matching.order_by(AuditLogRow.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(AuditLogRow.id < before)
        with self._database.read() as session:
            rows = session.scalars(wanted).all()
            count = session.scalar(select(func.count()).select_from(matching.subquery())) or 0
        return AuditEntries(tuple(_entry(row) for row in rows), count)

    def page(
        self, limit: int = 50, cursor: str | None = None, *, action: str | None = None, actor: str | None = None
    ) -> Page[AuditEntry]:
        """The same as a page of a list. Raises InputError for a limit or cursor that no list gave out."""
        if not 1 <= limit <= MAX_LIMIT:
            raise InputError(f"limit is {limit}: expected 1 to {MAX_LIMIT}", field="limit")
        if cursor is not None and not cursor.isdecimal():
            raise InputError("cursor is not one that a list gave out: take it from 'next'", field="cursor")
        found = self.entries(limit=limit + 1, before=int(cursor) if cursor else None, action=action, actor=actor)
        items = [*found.items[:limit]]
        return Page(items, found.count, str(items[-1].id) if len(found.items) > limit else None)

    def every(self, *, action: str | None = None, actor: str | None = None) -> Iterator[AuditEntry]:
        """All matching entries, the newest first, fetched a few hundred at a time."""
        cursor: str | None = None
        while True:
            page = self.page(MAX_LIMIT, cursor, action=action, actor=actor)
            yield from page.items
            if page.next is None:
                return
            cursor = page.next

    def known(self) -> tuple[list[str], list[str]]:
        """Every action and every actor that has an entry, in alphabetical order."""
        require("audit_log.read")
        with self._database.read() as session:
            actions, actors = (
                list(session.scalars(select(column).distinct().order_by(column)))
                for column in (AuditLogRow.action, AuditLogRow.actor)
            )
        return actions, actors


def _matching(action: str | None, actor: str | None) -> Select[AuditLogRow]:
    query = select(AuditLogRow)
    if action:
        below = AuditLogRow.action.startswith(f"{action}.", autoescape=True)
        query = query.where(or_(AuditLogRow.action == action, below))
    return query.where(AuditLogRow.actor == actor) if actor else query


def _entry(row: AuditLogRow) -> AuditEntry:
    return AuditEntry(
        row.id,
        row.time,
        row.actor,
        row.role,
        row.address,
        row.action,
        row.subject,
        row.details,
        row.previous,
        row.hash,
    )


def _head(text: str) -> tuple[int, str]:
    number, _, digest = text.strip().partition(":")
    if not (number.isdecimal() and number.isascii() and len(digest) == 64):
        raise InputError(f"head is '{text[:80]}': expected ID:HASH as 'audit-log verify' printed it", field="head")
    return int(number), digest
