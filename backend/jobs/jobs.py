"""Runs carried out one at a time, in a thread of their own while the worker's loop beats on."""

import threading
import time

import structlog

from backend import logs
from backend.jobs.leased_shards import LeasedShards, shard_folder
from backend.jobs.run_job import RunJob
from backend.services import RunInfo, RunLostError, Services

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0


class Jobs:
    """At most one attempt at a run at a time.

    An attempt whose end cannot be stored (the database does not answer, its disk is full) leaves its run as it is: the
    worker takes it up again, after a pause that grows while that goes on.
    """

    def __init__(self, services: Services, job: RunJob, worker_id: str) -> None:
        self._services = services
        self._job = job
        self._worker_id = worker_id
        self._thread: threading.Thread | None = None
        self._pause = 0.0
        self._idle_until = 0.0
        self.fresh_process = False
        """Whether this process can compute no more, though another may: its GPU is lost to it."""

    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> bool:
        """Take up the run whose turn it is; False where there is none. Call it while not busy."""
        if time.monotonic() < self._idle_until:
            return False
        run = self._services.attempts.take(self._worker_id)
        if run is None:
            return False
        self._thread = threading.Thread(target=self._perform, args=(run,), name="run", daemon=True)
        self._thread.start()
        return True

    def _perform(self, run: RunInfo) -> None:
        with logs.bound(run_id=run.id):
            try:
                shards = LeasedShards(
                    self._services.attempts, run.id, run.attempts, shard_folder(self._services.settings, run.id)
                )
                self._job.perform(run, shards)
            except RunLostError as error:
                log.warning("run was taken over", reason=error.message)
            except Exception:
                self._pause = min(max(2 * self._pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
                self._idle_until = time.monotonic() + self._pause
                log.exception("the run's state could not be stored", again_in_seconds=self._pause)
                return
            self._pause = 0.0
            self.fresh_process = self._job.fresh_process
