"""The audit log: what was done, by whom, when, to what. Entries are appended and read, never changed.

The worker and the command line write it for stress tuning, whose permit takes `AuditLog.record` as its recorder; the
API and the admin page read it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, func, or_, select

from analysis.errors import InputError
from backend.db import Database
from backend.db.tables import AuditLogRow
from backend.services.paging import MAX_LIMIT
from backend.services.records import Page

if TYPE_CHECKING:  # it would bring torch into the server
    from analysis.tuning.stress import StressRecord


@dataclass(frozen=True)
class AuditEntry:
    """One entry. `subject` is what it was done to; `details` say with what."""

    id: int
    time: datetime
    actor: str
    role: str
    action: str
    subject: str
    details: dict[str, Any]


@dataclass(frozen=True)
class AuditEntries:
    """Entries, the newest first, and how many there are in all."""

    items: tuple[AuditEntry, ...]
    count: int


class AuditLog:
    """Appends to and reads `audit_log`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self, *, actor: str, role: str, action: str, subject: str, details: dict[str, Any], time: datetime | None = None
    ) -> int:
        """Write one entry and return its id once it is on disk."""
        row = AuditLogRow(
            time=time or datetime.now(UTC), actor=actor, role=role, action=action, subject=subject, details=details
        )
        with self._database.write() as session:
            session.add(row)
            session.flush()
            return row.id

    def record(self, entry: "StressRecord") -> int:
        """What the science hands over, as an entry."""
        return self.append(
            actor=entry.actor,
            role=entry.role,
            action=entry.action,
            subject=entry.subject,
            details=entry.details,
            time=datetime.fromisoformat(entry.time),
        )

    def entries(
        self, *, limit: int = 100, before: int | None = None, action: str | None = None, actor: str | None = None
    ) -> AuditEntries:
        """The newest entries, at most `limit`; `before` goes on behind an entry's id.

        `action` keeps that action and those below it, so that "tuning" has "tuning.stress.started"; `actor` one actor.
        """
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
    return AuditEntry(row.id, row.time, row.actor, row.role, row.action, row.subject, row.details)
