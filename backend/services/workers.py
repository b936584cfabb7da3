"""Who is working: each worker process writes down now and then that it is alive, and what it computes with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from backend.db import Database
from backend.db.tables import WorkerRow
from backend.settings import Settings


@dataclass(frozen=True)
class WorkerInfo:
    """The worker heard last. `machine` has threads, torch and gpus, and is empty where the worker did not say."""

    pid: int
    started: datetime
    seen: datetime
    alive: bool
    machine: dict[str, Any]


class Workers:
    """The workers' heartbeats, for /readyz and for pages that explain why nothing moves."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._stale = timedelta(seconds=settings.worker_stale_seconds)

    def beat(self, worker_id: str, pid: int, machine: Mapping[str, Any] | None = None) -> None:
        """Worker `worker_id` is alive now. Call it at least every `worker_stale_seconds` / 3.

        `machine` says what it computes with; what was said before stays where it is left out.
        """
        now = datetime.now(UTC)
        with self._database.write() as session:
            row = session.get(WorkerRow, worker_id)
            if row is None:
                row = WorkerRow(id=worker_id, pid=pid, started=now, seen=now, machine={})
                session.add(row)
            elif row.pid != pid:
                row.pid, row.started, row.seen = pid, now, now
            else:
                row.seen = now
            if machine is not None:
                row.machine = dict(machine)

    def latest(self) -> WorkerInfo | None:
        """The worker heard last, None if there never was one."""
        with self._database.read() as session:
            row = session.scalars(select(WorkerRow).order_by(WorkerRow.seen.desc()).limit(1)).one_or_none()
        return None if row is None else WorkerInfo(row.pid, row.started, row.seen, self._lately(row.seen), row.machine)

    def last_seen(self) -> datetime | None:
        """When any worker was last heard, None if never."""
        with self._database.read() as session:
            return session.scalar(select(func.max(WorkerRow.seen)))

    def alive(self) -> bool:
        """Whether some worker was heard within `worker_stale_seconds`."""
        seen = self.last_seen()
        return seen is not None and self._lately(seen)

    def _lately(self, seen: datetime) -> bool:
        return datetime.now(UTC) - seen <= self._stale
