"""Attempts of workers at runs: who has one, what it has kept, and when another takes over.

A run that is taken up belongs to one attempt, whose number is the run's `attempts`. Every change asks, in its own
transaction, whether that number is still the newest. So a worker that was frozen, lost its run to another and wakes up
can neither change the run's state nor put a shard or a result in its place: the other's taking has locked the same row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Select, and_, or_, select, update

from backend.db import Database
from backend.db.tables import RunRow, RunShardRow
from backend.services.records import RunInfo
from backend.services.run_rows import IN_TURN, MAX_TRIES, end, expect, expect_newest, find, lock, record, show_run
from backend.services.workers import Workers
from backend.settings import Settings

MAX_LOSSES = 10
"""Attempts that may end without a word, no new shard between them, before a run is given up."""
GROWTH = 4
"""A further pause is this many times as long as the one before."""
PutInPlace = Callable[[], None]


def nothing() -> None:
    """Puts nothing in place."""


@dataclass(frozen=True)
class _Seen:
    """A run that may be taken, as it was when somebody looked."""

    run_id: str
    attempts: int
    lost: bool


class Attempts:
    """The workers' side of runs. A `run_id` with the number of an attempt that is no longer the newest raises
    RunLostError, whatever is asked."""

    def __init__(self, database: Database, settings: Settings, workers: Workers) -> None:
        self._database = database
        self._settings = settings
        self._workers = workers

    def take(self, worker_id: str) -> RunInfo | None:
        """Take up the run whose turn it is, for `worker_id`, which does nothing else; None where there is none.

        A run counts as lost where its worker is gone, or is the very one that asks. One that was lost too often is
        failed. Each run is given to one worker only, whoever asks at the same time.
        """
        for seen in self._takeable(worker_id):
            run = self._take(seen, worker_id)
            if run is not None:
                return run
        return None

    def release(self, worker_id: str) -> None:
        """The worker ends by itself: what it leaves is taken up by the next, and not held against the run."""
        with self._database.write() as session:
            session.execute(
                update(RunRow).where(RunRow.worker == worker_id, RunRow.status == "running").values(worker=None)
            )

    def check(self, run_id: str, attempt: int) -> None:
        """Raise RunLostError unless the attempt is the run's newest, ConflictError unless the run is running."""
        with self._database.read() as session:
            row = find(session, run_id)
            expect_newest(row, attempt)
            expect(row, "worked on", "running")

    def receipts(self, run_id: str) -> dict[str, str]:
        """The sha256 of each shard that was kept, by its key."""
        with self._database.read() as session:
            rows = session.scalars(select(RunShardRow).where(RunShardRow.run_id == run_id))
            return {row.key: row.sha256 for row in rows}

    def keep(self, run_id: str, attempt: int, key: str, sha256: str, put: PutInPlace = nothing) -> None:
        """Put a shard in its place and note its digest, unless the run is another's. A kill between the two leaves a
        whole file without a note."""
        with self._database.write() as session:
            row = lock(session, run_id)
            expect_newest(row, attempt)
            expect(row, "worked on", "running")
            put()
            now = datetime.now(UTC)
            session.merge(RunShardRow(run_id=run_id, key=key, sha256=sha256, attempt=attempt, created=now))
            row.losses = row.retries = 0
            row.heartbeat = now

    def postpone(self, run_id: str, attempt: int, reason: str) -> RunInfo:
        """Let the run wait after something that may pass, longer each time, or fail it when that came too often."""
        with self._database.write() as session:
            row = lock(session, run_id)
            expect_newest(row, attempt)
            expect(row, "postponed", "running")
            row.retries += 1
            if row.retries >= MAX_TRIES:
                row.error = f"{reason} (the last of {MAX_TRIES} attempts)"
                end(session, row, "failed", message=row.error)
                return show_run(row)
            seconds = self._settings.retry_seconds * GROWTH ** (row.retries - 1)
            row.status, row.worker, row.eta_seconds = "queued", None, None
            row.retry_at, row.retry_reason = datetime.now(UTC) + timedelta(seconds=seconds), reason
            said = {"attempt": row.retries + 1, "of": MAX_TRIES, "seconds": seconds, "message": reason}
            if row.cancel_requested:
                end(session, row, "cancelled")
            else:
                record(session, row, "postponed", **said)
            return show_run(row)

    def shrink(self, run_id: str, attempt: int, batch_tokens: int, message: str) -> None:
        """Remember the smaller batch size that the run goes on with."""
        with self._database.write() as session:
            row = lock(session, run_id)
            expect_newest(row, attempt)
            expect(row, "worked on", "running")
            row.batch_tokens = batch_tokens
            record(session, row, "smaller_batches", batch_tokens=batch_tokens, message=message)

    def _takeable(self, worker_id: str) -> list[_Seen]:
        """Runs whose turn it is, the first first; of two with one priority the one that was begun already."""
        with self._database.read() as session:
            rows = session.execute(_open_rows()).all()
        if not rows:
            return []
        gone, known = self._workers.gone(), self._workers.known()
        lost = {row.id for row in rows if row.status == "running" and _is_lost(row.worker, worker_id, gone, known)}
        waiting = {row.id for row in rows if row.status == "queued"}
        found = [row for row in rows if row.id in lost or row.id in waiting]
        found.sort(key=lambda row: (-row.priority, row.id not in lost))
        return [_Seen(row.id, row.attempts, row.id in lost) for row in found]

    def _take(self, seen: _Seen, worker_id: str) -> RunInfo | None:
        """The run, now the worker's; None where another was faster, or the run is given up."""
        with self._database.write() as session:
            row = lock(session, seen.run_id)
            if row.attempts != seen.attempts or row.status != ("running" if seen.lost else "queued"):
                return None
            if seen.lost and row.worker is not None:
                row.losses += 1
            if row.losses > MAX_LOSSES:
                row.error = (
                    f"the worker died {row.losses} times during this run, or could not store its state; too little "
                    "memory is the usual cause, and the worker's log says more"
                )
                end(session, row, "failed", message=row.error)
                return None
            begin(row, worker_id)
            record(session, row, "started", attempt=row.attempts)
            return show_run(row)


def begin(row: RunRow, worker_id: str | None) -> None:
    """The next attempt at the run, in the hands of `worker_id`."""
    now = datetime.now(UTC)
    row.status, row.attempts, row.worker = "running", row.attempts + 1, worker_id
    row.started, row.attempt_started, row.heartbeat = row.started or now, now, now
    row.fraction_base, row.eta_seconds = row.fraction, None
    row.retry_at = row.retry_reason = None


def _open_rows() -> Select[str, str, int, str | None, int]:
    """Runs in progress, and those whose turn may have come."""
    due = or_(RunRow.retry_at.is_(None), RunRow.retry_at <= datetime.now(UTC))
    waiting = and_(RunRow.status == "queued", due)
    columns = (RunRow.id, RunRow.status, RunRow.attempts, RunRow.worker, RunRow.priority)
    query = select(*columns)
    return query.where(or_(RunRow.status == "running", waiting)).order_by(*IN_TURN)


def _is_lost(owner: str | None, worker_id: str, gone: frozenset[str], known: frozenset[str]) -> bool:
    return owner is None or owner == worker_id or owner in gone or owner not in known
