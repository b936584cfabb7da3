"""Keeps a second worker out of a data folder.

The durable jobs have one fixed executor, so two workers would take up the same runs. It stands apart from worker.py,
which imports torch, so that the second worker is turned away at once.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from analysis.errors import ConflictError
from backend.settings import Settings


@contextmanager
def only_worker(settings: Settings) -> Iterator[None]:
    """Hold the data folder's lock, and make the folder where it is missing. Raises ConflictError when it is held.

    The system lets go of the lock when the process dies, however it dies.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "worker.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError("another worker has this data folder: stop it, or choose another --data") from None
        yield
