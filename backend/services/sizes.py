"""How many bytes are in use, and how many are left. Measured in a bounded way: of a folder with a million shards a part
is looked at, which the answer says."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url, text
from sqlalchemy.exc import SQLAlchemyError

from backend.db import Database
from backend.settings import Settings

MAX_FILES = 20_000
"""Files and folders that are looked at below the runs' folder."""
MAX_DEPTH = 3
"""runs/ID/shards/FILE."""


def database_bytes(database: Database, settings: Settings) -> int | None:
    """The application database on disk, an SQLite file with its journals; None where the role may not ask."""
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        files = (path.with_name(f"{path.name}{ending}") for ending in ("", "-wal", "-shm"))
        return sum(file.stat().st_size for file in files if file.is_file())
    try:
        with database.read() as session:
            size: int | None = session.scalar(text("select pg_database_size(current_database())"))
            return size
    except SQLAlchemyError:
        return None


def free_bytes(folder: Path) -> int | None:
    """What the disk of `folder` has left, None where there is no such folder."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def folder_size(folder: Path) -> tuple[int, bool]:
    """Bytes of the files in `folder` and three levels below, and whether all of them were looked at."""
    total = 0
    for seen, entry in enumerate(_entries(folder, MAX_DEPTH), start=1):
        if seen > MAX_FILES:
            return total, False
        if entry.is_file(follow_symlinks=False):
            total += _entry_size(entry)
    return total, True


def _entries(folder: Path | str, depth: int) -> Iterator["os.DirEntry[str]"]:
    """Runs come and go while this looks, so what has vanished counts as nothing."""
    try:
        with os.scandir(folder) as found:
            for entry in found:
                yield entry
                if depth and entry.is_dir(follow_symlinks=False):
                    yield from _entries(entry.path, depth - 1)
    except OSError:
        return


def _entry_size(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0
