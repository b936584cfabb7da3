"""Files copied, packed and moved so that a kill at any moment leaves the old state or the new one."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from analysis.errors import ExpertScopeError, InputError
from backend.services.backups.manifest import Entry

BLOCK = 1 << 20


def copy_bytes(source: IO[bytes], target: IO[bytes], most: int) -> tuple[int, str]:
    """Copy at most `most` bytes and one more, onto the disk; how many there were and their digest."""
    digest, count = hashlib.sha256(), 0
    while block := source.read(min(BLOCK, most + 1 - count)):
        target.write(block)
        digest.update(block)
        count += len(block)
        if count > most:
            break
    target.flush()
    os.fsync(target.fileno())
    return count, digest.hexdigest()


def copy_file(source: Path, folder: Path, place: str) -> Entry:
    """The file as `place` below `folder`. Raises FileNotFoundError where it has gone."""
    target = folder / place
    with source.open("rb") as reader:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as writer:
            size, sha256 = copy_bytes(reader, writer, os.fstat(reader.fileno()).st_size)
    return Entry(path=place, size=size, sha256=sha256)


def sync_folders(folders: Iterable[Path]) -> None:
    """Make new names in these folders survive a power cut."""
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def room_for(what: str) -> Iterator[None]:
    """Turn an OSError of the block into one line that says what could not be written."""
    try:
        yield
    except OSError as fault:
        raise ExpertScopeError(f"{what} could not be written: {fault.strerror or fault}") from fault


def check_room(folder: Path, size: int, what: str) -> None:
    """Raise InputError where the disk of `folder` has less than `size` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise InputError(f"{what} needs {size:,} bytes and the disk has {free:,} free: make room, or choose another")
