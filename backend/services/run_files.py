"""The files that a run left beside its document: written down when it ends, verified whenever one is read."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import delete
from sqlalchemy.orm import Session

from analysis.errors import DamagedError
from backend.db.tables import RunFileRow
from backend.settings import Settings

_BLOCK = 1 << 20


def files_folder(settings: Settings, run_id: str) -> Path:
    """Where the files of a finished run lie; it need not exist."""
    return settings.run_dir(run_id) / "files"


def sha256_of(path: Path) -> str:
    """Digest of a file's bytes. Raises OSError."""
    digest = hashlib.sha256()
    for block in pieces_of(path):
        digest.update(block)
    return digest.hexdigest()


def pieces_of(path: Path) -> Iterator[bytes]:
    """A file's bytes, some at a time."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def record_files(session: Session, settings: Settings, run_id: str) -> None:
    """Write down every file of a run that ends now, inside the caller's transaction."""
    session.execute(delete(RunFileRow).where(RunFileRow.run_id == run_id))
    folder = files_folder(settings, run_id)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        session.add(RunFileRow(run_id=run_id, name=path.name, size=path.stat().st_size, sha256=sha256_of(path)))


def verify_file(row: RunFileRow, path: Path) -> None:
    """Raise DamagedError unless the file is the one that was written down."""
    size = path.stat().st_size
    if size != row.size:
        raise DamagedError(f"{_name(row)} is damaged: it has {size:,} bytes and had {row.size:,} when the run ended")
    if sha256_of(path) != row.sha256:
        raise DamagedError(f"{_name(row)} is damaged: its sha256 is not the one that was written down")


def _name(row: RunFileRow) -> str:
    return f"file '{row.name}' of run '{row.run_id}'"
