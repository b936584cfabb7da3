"""Keeps worker processes alive beside the web server.

`expertscope serve` owns one supervisor for each. A worker that dies is started again, later each time it dies young;
the worker in turn dies when the server does, because it reads from a pipe that only the server holds open.
"""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import structlog

from backend.settings import Settings

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
GRACE_SECONDS = 10.0


class Supervisor:
    """Starts, watches and stops the worker. `start` and `stop` are called once each, from one thread."""

    def __init__(self, settings: Settings, command: list[str] | None = None) -> None:
        self._command = command or worker_command(settings)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name="worker-supervisor", daemon=True)

    @property
    def pid(self) -> int | None:
        """The worker's process id, None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        self._launch()
        self._thread.start()

    def stop(self) -> None:
        """End the worker and wait for it. Its run, if any, goes on at the next start."""
        with self._lock:
            self._stopping.set()
        if self._process is not None:
            _end(self._process)
        self._thread.join()

    def _watch(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            process, began = self._process, time.monotonic()
            assert process is not None
            code = process.wait()
            _close_pipe(process)
            if self._stopping.is_set():
                return
            pause = FIRST_PAUSE_SECONDS if time.monotonic() - began > HEALTHY_SECONDS else pause
            log.error("worker died", exit_code=code, restart_in_seconds=pause)
            if self._stopping.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            self._launch()

    def _launch(self) -> None:
        with self._lock:
            if self._stopping.is_set():
                return
            # A session of its own: Ctrl-C in the terminal reaches the server alone, which then stops the worker.
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
            )


class Supervisors:
    """Some workers, each with a supervisor of its own. `start` and `stop` are called once each, from one thread."""

    def __init__(self, settings: Settings, workers: int) -> None:
        self._all = [Supervisor(settings) for _ in range(workers)]

    def start(self) -> None:
        for one in self._all:
            one.start()

    def stop(self) -> None:
        """End every worker, all at the same time."""
        with ThreadPoolExecutor(max(1, len(self._all))) as pool:
            list(pool.map(Supervisor.stop, self._all))


def worker_command(settings: Settings) -> list[str]:
    return [sys.executable, "-m", "backend.cli", "worker", "--attached", "--data", str(settings.data_dir.absolute())]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _close_pipe(process)


def _close_pipe(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
