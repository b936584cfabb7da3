"""Who is working: each worker process writes down now and then that it is alive, and what it computes with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select

from backend.db import Database
from backend.db.tables import WorkerRow
from backend.services import worker_locks
from backend.settings import Settings

REMEMBERED = timedelta(days=1)
"""How long a worker that is silent still has its row."""


@dataclass(frozen=True)
class WorkerInfo:
    """One worker process. `machine` has threads, torch and gpus, and is empty where the worker did not say."""

    pid: int
    started: datetime
    seen: datetime
    alive: bool
    machine: dict[str, Any]


class Workers:
    """The workers' heartbeats, for /readyz, for pages that explain why nothing moves, and for other workers, who take
    over what a dead one has left."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._stale = timedelta(seconds=settings.worker_stale_seconds)
        self._kernel = worker_locks.this_kernel()

    def beat(self, worker_id: str, pid: int, machine: Mapping[str, Any] | None = None) -> None:
        """Worker `worker_id` is alive now. Call it at least every `worker_stale_seconds` / 3.

        `machine` says what it computes with; what was said before stays where it is left out.
        """
        now = datetime.now(UTC)
        with self._database.write() as session:
            row = session.get(WorkerRow, worker_id)
            if row is None:
                row = WorkerRow(id=worker_id, pid=pid, started=now, seen=now, machine={}, kernel=self._kernel)
                session.add(row)
            elif row.pid != pid:
                row.pid, row.started, row.seen = pid, now, now
            else:
                row.seen = now
            if machine is not None:
                row.machine = dict(machine)

    def gone(self) -> frozenset[str]:
        """The ids of the workers that are known to have died, or were not heard for `worker_stale_seconds`."""
        with self._database.read() as session:
            rows = session.scalars(select(WorkerRow)).all()
        return frozenset(row.id for row in rows if not self._lately(row.seen) or self._died(row))

    def known(self) -> frozenset[str]:
        """The ids of all workers that have a row."""
        with self._database.read() as session:
            return frozenset(session.scalars(select(WorkerRow.id)))

    def leave(self, worker_id: str) -> None:
        """The worker ends by itself, and holds nothing any more."""
        with self._database.write() as session:
            session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))

    def forget_dead(self) -> None:
        """Delete the rows and locks of workers that have died, and the rows of those that were silent for a day."""
        with self._database.write() as session:
            for row in session.scalars(select(WorkerRow)):
                if self._died(row) or datetime.now(UTC) - row.seen > REMEMBERED:
                    session.delete(row)
                    worker_locks.remove(self._settings, row.id)

    def list(self) -> list[WorkerInfo]:
        """Every worker that was heard lately, the longest at work first."""
        with self._database.read() as session:
            rows = session.scalars(select(WorkerRow).order_by(WorkerRow.started, WorkerRow.id)).all()
        return [_show(row, alive=True) for row in rows if self._lately(row.seen) and not self._died(row)]

    def latest(self) -> WorkerInfo | None:
        """The worker heard last, None if there never was one."""
        with self._database.read() as session:
            row = session.scalars(select(WorkerRow).order_by(WorkerRow.seen.desc()).limit(1)).one_or_none()
        return None if row is None else _show(row, alive=self._lately(row.seen))

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

    def _died(self, row: WorkerRow) -> bool:
        return row.kernel == self._kernel and worker_locks.let_go(self._settings, row.id)


def _show(row: WorkerRow, *, alive: bool) -> WorkerInfo:
    return WorkerInfo(row.pid, row.started, row.seen, alive, row.machine)
