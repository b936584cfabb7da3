"""The worker process: takes up questions and waiting runs one at a time and says every few seconds that it is alive.

`expertscope serve` starts some as children (see supervisor.py), `expertscope worker` runs one alone; any number may
share a data folder. It may be killed at any moment: another one, or the next start, goes on from the last shard.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import BinaryIO

import structlog
from sqlalchemy.exc import SQLAlchemyError

from analysis.errors import ExpertScopeError
from backend.jobs.first_start import fill_empty_database
from backend.jobs.jobs import Jobs
from backend.jobs.machine import describe_machine
from backend.jobs.questions import Questions
from backend.jobs.run_job import RunJob
from backend.services import Services, open_services, worker_locks
from backend.services.ids import new_id
from backend.settings import Settings

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5
BEAT_SECONDS = 5.0
SWEEP_SECONDS = 3_600.0


def run_worker(settings: Settings, stop: threading.Event) -> None:
    """Work until `stop` is set."""
    services, worker_id = open_services(settings), new_id()
    with worker_locks.holding(settings, worker_id):
        job = RunJob(services)
        jobs, questions = Jobs(services, job, worker_id), Questions(services, job.model, worker_id)
        try:
            Worker(services, jobs, questions, worker_id).work(stop)
        except Exception:
            log.exception("worker failed")
            os._exit(1)
        if jobs.fresh_process and not stop.is_set():
            _begin_anew()
        _leave(jobs, questions, services, worker_id)


def _leave(jobs: Jobs, questions: Questions, services: Services, worker_id: str) -> None:
    """Close what is open. What is in progress is dropped as by a kill: a run's next shard may be a minute away."""
    busy, asked = jobs.busy(), questions.busy()
    log.info("worker stopped", run_in_progress=busy, question_in_progress=asked)
    _survive(lambda: services.attempts.release(worker_id), "the worker could not let go of its run")
    if busy or asked:
        os._exit(0)
    services.workers.leave(worker_id)
    services.close()


def _begin_anew() -> None:
    """Become a fresh process, as a new worker, with the same arguments and the same standard input."""
    log.warning("worker begins anew", reason="a lost GPU stays lost to the process that lost it")
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


class Worker:
    """The loop that beats, has questions answered, and hands runs to the durable workflows."""

    def __init__(self, services: Services, jobs: Jobs, questions: Questions, worker_id: str) -> None:
        self._id = worker_id
        self._services = services
        self._jobs = jobs
        self._questions = questions
        self._beat_seconds = min(BEAT_SECONDS, services.settings.worker_stale_seconds / 3)
        self._next_beat = 0.0
        self._next_sweep = 0.0

    def work(self, stop: threading.Event) -> None:
        """Until `stop` is set, or this process can compute no more (`Jobs.fresh_process`)."""
        self._services.workers.beat(self._id, os.getpid(), describe_machine())
        _survive(self._services.workers.forget_dead, "dead workers could not be forgotten")
        log.info("worker ready", pid=os.getpid())
        if self._services.settings.first_run:
            _survive(lambda: fill_empty_database(self._services), "the empty database could not be filled")
        while not stop.wait(POLL_SECONDS) and not self._jobs.fresh_process:
            _survive(self._tick, "the worker could not look for runs")
            _survive(self._sweep, "the data folder could not be swept")

    def _tick(self) -> None:
        if time.monotonic() >= self._next_beat:
            self._beat()
        if self._questions.busy() or self._jobs.busy():
            return
        if not self._questions.start():  # somebody waits for an answer, and it takes seconds: before the next run
            self._jobs.start()

    def _beat(self) -> None:
        self._services.workers.beat(self._id, os.getpid())
        self._next_beat = time.monotonic() + self._beat_seconds

    def _sweep(self) -> None:
        """Once at the start and every hour: what belongs to nothing goes, and what was kept long enough."""
        if time.monotonic() < self._next_sweep:
            return
        self._next_sweep = time.monotonic() + SWEEP_SECONDS
        count = self._services.storage.sweep()
        if count:
            log.info("data folder swept", deleted=count)


def _survive(action: Callable[[], None], complaint: str) -> None:
    """A database that is busy for long, or an organism that is not installed, must not end the worker."""
    try:
        action()
    except ExpertScopeError as error:
        log.warning(complaint, reason=error.message)
    except (SQLAlchemyError, OSError):
        log.exception(complaint)


def stop_on_signals(stop: threading.Event) -> None:
    """SIGTERM and SIGINT end the loop. Call it in the main thread."""

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


def die_with_parent(pipe: BinaryIO | None = None) -> None:
    """End this process at once when the other end of `pipe` (default: standard input) closes.

    The supervisor holds that end and never writes, so it closes when the supervisor dies, be it by kill -9.
    """
    source = (pipe if pipe is not None else sys.stdin.buffer).fileno()

    def watch() -> None:
        while os.read(source, 4096):  # not through the buffer, whose lock would kill the interpreter at its end
            pass
        os._exit(0)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
