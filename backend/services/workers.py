"""Who is working: each worker process writes down now and then that it is alive."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from backend.db import Database
from backend.db.tables import WorkerRow
from backend.settings import Settings


class Workers:
    """The workers' heartbeats, for /readyz and for pages that explain why nothing moves."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._stale = timedelta(seconds=settings.worker_stale_seconds)

    def beat(self, worker_id: str, pid: int) -> None:
        """Worker `worker_id` is alive now. Call it at least every `worker_stale_seconds` / 3."""
        now = datetime.now(UTC)
        with self._database.write() as session:
            row = session.get(WorkerRow, worker_id)
            if row is None:
                session.add(WorkerRow(id=worker_id, pid=pid, started=now, seen=now))
            elif row.pid != pid:
                row.pid, row.started, row.seen = pid, now, now
            else:
                row.seen = now

    def last_seen(self) -> datetime | None:
        """When any worker was last heard, None if never."""
        with self._database.read() as session:
            return session.scalar(select(func.max(WorkerRow.seen)))

    def alive(self) -> bool:
        """Whether some worker was heard within `worker_stale_seconds`."""
        seen = self.last_seen()
        return seen is not None and datetime.now(UTC) - seen <= self._stale
