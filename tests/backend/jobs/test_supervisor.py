"""The worker lives as long as the server does, and comes back when it dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.jobs import supervisor as module
from backend.jobs.supervisor import Supervisor
from backend.settings import Settings

WORKER = "from backend.jobs.worker import die_with_parent; import time; die_with_parent(); time.sleep(60)"
SERVER = """
import sys, time
from backend.jobs.supervisor import Supervisor
from backend.settings import Settings
supervisor = Supervisor(Settings(), [sys.executable, "-c", sys.argv[1]])
supervisor.start()
print(supervisor.pid, flush=True)
time.sleep(60)
"""


def wait_until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.05)
    one = Supervisor(Settings(), [sys.executable, "-c", "import time; time.sleep(60)"])
    one.start()
    yield one
    one.stop()


def test_a_killed_worker_is_started_again(supervisor: Supervisor) -> None:
    for _ in range(2):
        first = supervisor.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_until(lambda first=first: supervisor.pid not in (None, first))


def test_stop_ends_the_worker_for_good(supervisor: Supervisor) -> None:
    pid = supervisor.pid
    assert pid is not None
    supervisor.stop()
    assert not running(pid)
    time.sleep(0.2)
    assert supervisor.pid is None


def test_the_worker_dies_with_a_killed_server() -> None:
    command = [sys.executable, "-c", SERVER, WORKER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert running(pid)
        server.kill()
    wait_until(lambda: not running(pid))
