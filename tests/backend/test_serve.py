"""`expertscope serve` as a person starts and stops it."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PATIENCE_SECONDS = 120


@dataclass
class Server:
    process: subprocess.Popen[str]
    address: str
    data: Path

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(self.address + path, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def worker(self) -> int | None:
        """The process id that the worker has written into the database."""
        database = sqlite3.connect(self.data / "expertscope.db")
        try:
            row = database.execute("select pid from workers order by seen desc").fetchone()
        finally:
            database.close()
        return row and row[0]


def command(data: Path, port: int = 0) -> list[str]:
    return [sys.executable, "-m", "backend.cli", "serve", "--port", str(port), "--data", str(data)]


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    environment = {**os.environ, "EXPERTSCOPE_FIRST_RUN": "false", "OMP_NUM_THREADS": "1"}
    log = (tmp_path / "log").open("w")
    with (
        log,
        subprocess.Popen(command(tmp_path / "data"), env=environment, stdout=-1, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"ExpertScope is at (http://127\.0\.0\.1:\d+)/ui/\n", line)
        assert found, (line, (tmp_path / "log").read_text())
        yield Server(process, found[1], tmp_path / "data")
        process.kill()


def test_from_the_address_to_a_clean_end(server: Server) -> None:
    assert server.get("/healthz") == (200, b'{"status":"ok"}')
    status, page = server.get("/ui/")
    assert status == 200
    assert b"ExpertScope" in page
    wait_until(lambda: server.get("/readyz")[0] == 200)

    first = server.worker()
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: server.worker() not in (None, first))
    second = server.worker()
    assert second is not None

    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 0
    assert not alive(second)


def test_a_killed_server_takes_its_worker_along(server: Server) -> None:
    wait_until(lambda: server.get("/readyz")[0] == 200)
    pid = server.worker()
    assert pid is not None
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not alive(pid))


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(command(tmp_path / "data", port), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: cannot listen on 127.0.0.1 port {port} ")
    assert not (tmp_path / "data").exists()


def test_an_open_network_is_refused_unasked(tmp_path: Path) -> None:
    done = subprocess.run([*command(tmp_path / "data"), "--host", "0.0.0.0"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: host 0.0.0.0 can be reached from other machines")
