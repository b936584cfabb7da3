"""What the containers are told to run does run: by a user without a name or a home, who may write to the data and to
/tmp and to nothing else.

Where the tests run as root, that is so: a mount namespace makes everything else read-only, and the user has no
capability but to read what this machine's Python keeps in a folder of root's. Anybody else runs them as themselves.
"""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from tests.repository.containers import filled, read_compose, read_dockerfile

PATIENCE_SECONDS = 180
NOBODY = 10001
CONFINED = (
    os.geteuid() == 0
    and all(map(shutil.which, ("setpriv", "unshare")))
    and subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0
)
PUBLIC_URL = "https://experts.example.org"
GIVEN = {
    "POSTGRES_PASSWORD": "unused",
    "EXPERTSCOPE_SECRET": "c0ffee" * 8,
    "EXPERTSCOPE_PUBLIC_URL": PUBLIC_URL,
}


@dataclass
class Container:
    """A folder that stands for the container's file system, and the environment of its processes."""

    root: Path
    environment: dict[str, str]
    port: int

    @property
    def data(self) -> Path:
        return self.root / "data"

    def start(self, command: list[str], log: IO[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.found(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, **self._as()
        )

    def run(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.found(command), capture_output=True, text=True, **self._as())

    def found(self, command: list[str]) -> list[str]:
        """The program by its path, since who starts it may have another PATH, in the container's place."""
        words = [str(Path(sys.executable).parent / command[0]), *command[1:]]
        if not CONFINED:
            return words
        caps = "-all,+dac_read_search"
        user = f"--reuid {NOBODY} --regid {NOBODY} --clear-groups --no-new-privs"
        script = (
            'for place in data tmp; do mount --bind "$0/$place" "$0/$place"; done && mount -o remount,bind,ro / && '
            f'exec setpriv {user} --bounding-set={caps} --inh-caps={caps} --ambient-caps={caps} "$@"'
        )
        return ["unshare", "--mount", "sh", "-c", script, str(self.root), *words]

    def _as(self) -> dict[str, Any]:
        return {"cwd": self.root / "empty", "env": self.environment}


@pytest.fixture(scope="module")
def compose(repository: Path) -> dict[str, Any]:
    return read_compose(repository / "docker-compose.yml")


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def container(repository: Path, compose: dict[str, Any]) -> Iterator[Container]:
    # Not pytest's own folder, which nobody else may enter.
    root = Path(tempfile.mkdtemp(prefix="expertscope-container-"))
    root.chmod(0o755)
    for name in ("data", "tmp", "empty"):
        (root / name).mkdir()
    (root / "empty").chmod(0o555)
    if CONFINED:
        for name in ("data", "tmp"):
            os.chown(root / name, NOBODY, NOBODY)
    image = read_dockerfile(repository / "Dockerfile")[-1].environment()
    service = compose["services"]["api"]["environment"]
    environment = {**image, **{name: filled(value, GIVEN) for name, value in service.items()}}
    # In place of the mounts and of the database's container; HOME is missing, as it is for a user without a name.
    places = {"/data": str(root / "data"), "/tmp": str(root / "tmp")}
    for name, value in environment.items():
        top = next((top for top in places if value == top or value.startswith(f"{top}/")), None)
        if top is not None:
            environment[name] = places[top] + value.removeprefix(top)
    del environment["HOME"], environment["EXPERTSCOPE_DATABASE_URL"]
    port = free_port()
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "PYTHONPATH": str(repository),
        "TMPDIR": str(root / "tmp"),
        "EXPERTSCOPE_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    yield Container(root, environment, port)
    (root / "empty").chmod(0o755)
    shutil.rmtree(root)


def wait_until(true: Callable[[], bool], processes: list["subprocess.Popen[str]"], log: Path) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert [one.poll() for one in processes] == [None] * len(processes), log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.2)


def statuses(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        return {row[0] for row in connection.execute("select status from runs")}


def written_elsewhere(container: Container) -> list[str]:
    """What the processes left outside the two folders that are theirs, where they could have."""
    if not CONFINED:
        return []
    places = [Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/dev/shm")]
    found = [entry for place in places if place.is_dir() for entry in place.iterdir() if entry.lstat().st_uid == NOBODY]
    return [str(entry) for entry in found]


def test_server_and_worker_run_as_the_containers_start_them(container: Container, compose: dict[str, Any]) -> None:
    api, worker = compose["services"]["api"], compose["services"]["worker"]
    log = container.root / "log"
    with log.open("w") as errors, container.start(api["command"], errors) as server:
        assert server.stdout is not None
        try:
            line = server.stdout.readline()
            assert line == f"ExpertScope is at http://127.0.0.1:{container.port}/ui/\n", log.read_text()
            healthy = container.run(api["healthcheck"]["test"][1:])
            assert (healthy.returncode, healthy.stdout) == (0, "ok\n"), healthy.stderr
            # No worker came along with the server, and the worker's check says so.
            alone = container.run(worker["healthcheck"]["test"][1:])
            assert alone.returncode == 1
            assert alone.stderr.startswith("error: no worker was heard for 30 s")

            with container.start(worker["command"], errors) as hand:
                try:
                    processes = [server, hand]
                    database = container.data / "expertscope.db"
                    wait_until(lambda: statuses(database) & {"running", "done"} != set(), processes, log)
                    assert container.run(worker["healthcheck"]["test"][1:]).returncode == 0
                    request = urllib.request.Request(
                        f"http://127.0.0.1:{container.port}/readyz", headers={"Host": "experts.example.org"}
                    )
                    with urllib.request.urlopen(request, timeout=30) as answer:
                        assert answer.read() == b'{"status":"ok"}'
                finally:
                    hand.send_signal(signal.SIGTERM)
                    assert hand.wait(60) == 0
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0
    lines = log.read_text().splitlines()
    assert any("set-up code" in line for line in lines)  # the first admin comes in by it
    assert not any("Permission denied" in line or "Read-only" in line for line in lines), log.read_text()
    assert written_elsewhere(container) == []
    gone = container.run(api["healthcheck"]["test"][1:])
    assert gone.returncode == 1
    assert gone.stderr.startswith("error: no server answers at http://127.0.0.1:")


@pytest.mark.skipif(not CONFINED, reason="needs root, setpriv and unshare")
def test_the_confinement_holds(container: Container, tmp_path: Path) -> None:
    program = "import os, sys; print(os.getuid()); open(sys.argv[1] + '/made', 'w')"
    inside = container.run(["python", "-c", program, str(container.root / "tmp")])
    assert (inside.returncode, inside.stdout) == (0, f"{NOBODY}\n"), inside.stderr
    tmp_path.chmod(0o777)
    for place in (tmp_path, container.root / "empty"):
        assert container.run(["python", "-c", program, str(place)]).returncode == 1


def test_the_image_by_itself_opens_to_nobody(container: Container, repository: Path) -> None:
    image = read_dockerfile(repository / "Dockerfile")[-1]
    bare = {name: value for name, value in container.environment.items() if name != "EXPERTSCOPE_ACCOUNTS"}
    refused = Container(container.root, bare, container.port).run(image.command("CMD"))
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: host 0.0.0.0 can be reached from other machines")
