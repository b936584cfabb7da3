"""What a monitoring system asks every few seconds: a handful of numbers, each from one short query.

Nothing here needs a role. It holds no names and no texts, and whoever may read /metrics sees all of it.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select

from backend.db import Database
from backend.db.tables import AuditLogRow, RunEventRow, RunRow
from backend.services.records import RunStatus
from backend.services.runs import Runs
from backend.services.sizes import database_bytes, free_bytes
from backend.services.workers import Workers
from backend.settings import Settings


@dataclass(frozen=True)
class Snapshot:
    """The installation now. `durations` are seconds from the first attempt to the end, by kind and status, of every run
    that is kept; `queue_age` is how many seconds the run has waited that waited longest of those that could begin, 0
    where none does; `audit_entries` counts the audit log by action, from its beginning. Sizes in bytes, None where
    nobody may ask."""

    runs: Mapping[RunStatus, int]
    durations: Mapping[tuple[str, str], tuple[float, ...]]
    queue_age: float
    workers: int
    audit_entries: Mapping[str, int]
    database_bytes: int | None
    disk_free_bytes: int | None


class Monitoring:
    """Reads the numbers; changes nothing."""

    def __init__(self, database: Database, settings: Settings, runs: Runs, workers: Workers) -> None:
        self._database, self._settings = database, settings
        self._runs, self._workers = runs, workers
        self._counting = threading.Lock()
        self._counted, self._actions = 0, Counter[str]()

    def read(self) -> Snapshot:
        """Raises sqlalchemy's errors where the database does not answer."""
        return Snapshot(
            runs=self._runs.counts(),
            durations=self._durations(),
            queue_age=self._queue_age(),
            workers=len(self._workers.list()),
            audit_entries=self._audit_entries(),
            database_bytes=database_bytes(self._database, self._settings),
            disk_free_bytes=free_bytes(self._settings.data_dir),
        )

    def _durations(self) -> dict[tuple[str, str], tuple[float, ...]]:
        query = select(RunRow.kind, RunRow.status, RunRow.started, RunRow.finished)
        query = query.where(RunRow.started.is_not(None), RunRow.finished.is_not(None))
        found: dict[tuple[str, str], list[float]] = {}
        with self._database.read() as session:
            for kind, status, started, finished in session.execute(query):
                if started and finished:
                    found.setdefault((kind, status), []).append((finished - started).total_seconds())
        return {key: tuple(seconds) for key, seconds in sorted(found.items())}

    def _queue_age(self) -> float:
        """Each run waits since the last thing that happened to it: it was made, resumed or put back. Where it was put
        back for a while, it waits from the end of that pause on."""
        now = datetime.now(UTC)
        query = select(func.max(RunEventRow.time), RunRow.retry_at)
        query = query.join(RunRow, RunRow.id == RunEventRow.run_id).where(RunRow.status == "queued")
        with self._database.read() as session:
            waiting = session.execute(query.group_by(RunRow.id, RunRow.retry_at)).all()
        ages = [(now - max(last, retry_at or last)).total_seconds() for last, retry_at in waiting]
        return max(0.0, *ages) if ages else 0.0

    def _audit_entries(self) -> dict[str, int]:
        """Only what came since the last look is counted: entries are never changed, and there may be millions."""
        with self._counting:
            query = select(AuditLogRow.action, func.count(), func.max(AuditLogRow.id))
            query = query.where(AuditLogRow.id > self._counted).group_by(AuditLogRow.action)
            with self._database.read() as session:
                for action, count, last in session.execute(query):
                    self._actions[action] += count
                    self._counted = max(self._counted, last)
            return dict(self._actions)
