"""The lock that each worker holds in the data folder while it lives.

The system lets go of it when the process dies, however it dies, so another worker on the same kernel need not wait for
the heartbeat to lapse. Elsewhere, and for a worker that is only frozen, the heartbeat decides.
"""

import fcntl
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.settings import Settings

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def this_kernel() -> str:
    """What names the running kernel, which all of a machine's containers share: locks are seen there and not beyond."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return platform.node()


@contextmanager
def holding(settings: Settings, worker_id: str) -> Iterator[None]:
    """Hold the worker's lock, whose folder is made where it is missing."""
    path = _path(settings, worker_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def let_go(settings: Settings, worker_id: str) -> bool:
    """Whether the worker's lock is there and nobody holds it: its process has died. Ask on the same kernel only."""
    try:
        with _path(settings, worker_id).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # held, or no such file
        return False
    return True


def remove(settings: Settings, worker_id: str) -> None:
    """Delete the lock of a worker that has died."""
    _path(settings, worker_id).unlink(missing_ok=True)


def _path(settings: Settings, worker_id: str) -> Path:
    return settings.data_dir.absolute() / "workers" / f"{worker_id}.lock"
