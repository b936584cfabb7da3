"""The worker process: takes up questions and waiting runs one at a time and says every few seconds that it is alive.

`expertscope serve` starts one as a child (see supervisor.py), `expertscope worker` runs one alone. It may be killed at
any moment: the next start goes on from the last shard.
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
from backend.jobs.durable import Jobs
from backend.jobs.first_start import fill_empty_database
from backend.jobs.machine import describe_machine
from backend.jobs.questions import Questions
from backend.jobs.run_job import RunJob
from backend.services import Services, open_services
from backend.settings import Settings

log = structlog.get_logger(__name__)

WORKER_ID = "worker"
POLL_SECONDS = 0.5
BEAT_SECONDS = 5.0
SWEEP_SECONDS = 3_600.0


def run_worker(settings: Settings, stop: threading.Event) -> None:
    """Work until `stop` is set. The caller holds the data folder's lock (lock.py)."""
    services = open_services(settings)
    job = RunJob(services)
    jobs, questions = Jobs(settings, job.perform), Questions(services, job.model)
    try:
        Worker(services, jobs, questions).work(stop)
    except Exception:
        log.exception("worker failed")
        os._exit(1)
    _leave(jobs, questions, services)


def _leave(jobs: Jobs, questions: Questions, services: Services) -> None:
    """Close what is open. What is in progress is dropped as by a kill: a run's next shard may be a minute away."""
    busy, asked = jobs.busy(), questions.busy()
    log.info("worker stopped", run_in_progress=busy, question_in_progress=asked)
    if busy or asked:
        os._exit(0)
    jobs.close()
    services.close()


class Worker:
    """The loop that beats, has questions answered, and hands runs to the durable workflows."""

    def __init__(self, services: Services, jobs: Jobs, questions: Questions) -> None:
        self._services = services
        self._jobs = jobs
        self._questions = questions
        self._next_beat = 0.0
        self._next_sweep = 0.0

    def work(self, stop: threading.Event) -> None:
        self._services.workers.beat(WORKER_ID, os.getpid(), describe_machine())
        log.info("worker ready", pid=os.getpid())
        if self._services.settings.first_run:
            _survive(lambda: fill_empty_database(self._services), "the empty database could not be filled")
        while not stop.wait(POLL_SECONDS):
            _survive(self._tick, "the worker could not look for runs")
            _survive(self._sweep, "the data folder could not be swept")

    def _tick(self) -> None:
        if time.monotonic() >= self._next_beat:
            self._beat()
        if self._questions.busy() or self._jobs.busy():
            return
        if not self._questions.start():  # somebody waits for an answer, and it takes seconds: before the next run
            self._take_up()

    def _beat(self) -> None:
        self._services.workers.beat(WORKER_ID, os.getpid())
        self._next_beat = time.monotonic() + BEAT_SECONDS

    def _sweep(self) -> None:
        """Once at the start and every hour: what belongs to nothing goes, and what was kept long enough."""
        if time.monotonic() < self._next_sweep:
            return
        self._next_sweep = time.monotonic() + SWEEP_SECONDS
        count = self._services.storage.sweep()
        if count:
            log.info("data folder swept", deleted=count)

    def _take_up(self) -> None:
        """Start one run: one that was left half way and has no workflow any more, else the longest waiting."""
        for run in self._services.runs.list(status="running").items:
            reason = self._jobs.given_up(run.id)
            if reason is None:
                self._jobs.start(run.id)
                return
            self._services.runs.fail(run.id, reason)
        for run in self._services.runs.queued()[:1]:
            self._jobs.start(run.id)


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
