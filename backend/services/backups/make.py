"""Makes a backup while server and worker go on.

The database comes first, as one state of it. The files of the runs that it names come after: a shard never changes once
it is there, so one that was written meanwhile is a shard that the restored run need not compute again, and one that was
swept away meanwhile is one that it does not need.
"""

import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import zstandard
from sqlalchemy import make_url, select, text

from analysis.errors import ConflictError, ExpertScopeError, InputError, NotFoundError
from backend.db import Database
from backend.db.tables import RunFileRow, RunRow
from backend.services.backups import postgres
from backend.services.backups.files import copy_file, room_for, sync_folders
from backend.services.backups.manifest import DATABASE, DUMP, NAME, Entry, Manifest
from backend.services.run_files import files_folder, sha256_of
from backend.settings import Settings

ARCHIVE = ".tar.zst"


def make_backup(settings: Settings, target: Path) -> Manifest:
    """Write a backup of the data folder to `target`: one file where its name ends in .tar.zst, else a new folder.

    It appears under its name whole or not at all. Raises NotFoundError without a database, ConflictError where
    `target` exists, NotInstalledError for PostgreSQL without pg_dump, ExpertScopeError where it cannot be written.
    """
    target = target.absolute()
    _check_target(settings, target)
    with room_for(f"backup '{target.name}'"), _beside(target) as draft:
        manifest = _fill(settings, draft)
        (draft / NAME).write_bytes(manifest.to_bytes())
        sync_folders([path for path in (draft, *draft.rglob("*")) if path.is_dir()])
        if target.name.endswith(ARCHIVE):
            _pack(draft, manifest, target)
        else:
            draft.rename(target)
        sync_folders([target.parent])
    return manifest


def _check_target(settings: Settings, target: Path) -> None:
    if target.exists():
        raise ConflictError(f"'{target.name}' exists: a backup is never written over another, choose a new name")
    if not target.parent.is_dir():
        raise InputError(f"there is no folder '{target.parent.name}' to write the backup into: make it first")
    if target.is_relative_to(settings.data_dir.absolute() / "runs"):
        raise InputError("a backup among the runs would take itself for one of them: choose another place")
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise NotFoundError(f"there is no database at '{url.database}': nothing to back up")


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A new folder on the target's disk, gone at the end unless it was renamed."""
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fill(settings: Settings, draft: Path) -> Manifest:
    url = make_url(settings.database)
    sqlite = url.get_backend_name() == "sqlite"
    created = datetime.now(UTC).isoformat(timespec="seconds")
    if sqlite:
        entries = [_copy_sqlite(Path(url.database or ""), draft, DATABASE)]
        database = Database(f"sqlite:///{draft / DATABASE}")
    else:
        postgres.dump(url, draft / DUMP)
        entries = [_described(draft, DUMP)]
        database = Database(settings.database)
    try:
        revision, runs, files = _what_is_named(database)
    finally:
        database.close()
    if sqlite:  # reading it has left journals beside the copy
        entries = [_settled(draft)]
    for run_id in runs:
        entries += _copy_shards(settings, run_id, draft)
    for row in files:
        entries.append(_copy_written(settings, row, draft))
    entries += _copy_older_files(settings, runs, {row.run_id for row in files}, draft)
    return Manifest(
        created=created, database="sqlite" if sqlite else "postgresql", revision=revision, files=tuple(entries)
    )


def _what_is_named(database: Database) -> tuple[str, list[str], list[RunFileRow]]:
    """The schema's revision, every run, and every file that was written down."""
    with database.read() as session:
        revision = session.scalar(text("select version_num from alembic_version")) or ""
        return (
            revision,
            [*session.scalars(select(RunRow.id).order_by(RunRow.id))],
            [*session.scalars(select(RunFileRow).order_by(RunFileRow.run_id, RunFileRow.name))],
        )


def _copy_sqlite(source: Path, folder: Path, name: str) -> Entry:
    """One state of a database that others write to, by SQLite's own means."""
    try:
        # In one step: a copy in pieces begins anew whenever another process has written.
        with closing(sqlite3.connect(source, timeout=30)) as reader, closing(sqlite3.connect(folder / name)) as writer:
            reader.backup(writer)
            writer.execute("PRAGMA journal_mode=DELETE").close()
    except sqlite3.Error as fault:
        raise ExpertScopeError(f"the database '{source.name}' could not be copied: {fault}") from fault
    return _described(folder, name)


def _settled(folder: Path) -> Entry:
    """The copied database as one file again, without the write-ahead log that reading it has begun."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").close()
    return _described(folder, DATABASE)


def _described(folder: Path, name: str) -> Entry:
    path = folder / name
    return Entry(path=name, size=path.stat().st_size, sha256=sha256_of(path))


def _copy_shards(settings: Settings, run_id: str, draft: Path) -> Iterator[Entry]:
    for path in sorted((settings.run_dir(run_id) / "shards").glob("[!.]*")):
        try:
            yield copy_file(path, draft, f"runs/{run_id}/shards/{path.name}")
        except FileNotFoundError:  # swept away meanwhile, so nobody needs it
            continue


def _copy_written(settings: Settings, row: RunFileRow, draft: Path) -> Entry:
    """A run's file, if it is the one that was written down: a backup must not carry damage on in silence."""
    name = f"file '{row.name}' of run '{row.run_id}'"
    try:
        entry = copy_file(files_folder(settings, row.run_id) / row.name, draft, f"runs/{row.run_id}/files/{row.name}")
    except FileNotFoundError:
        raise ConflictError(
            f"{name} is gone: if the run was just deleted, make the backup again; 'expertscope check' lists what is "
            "missing"
        ) from None
    if (entry.size, entry.sha256) != (row.size, row.sha256):
        raise ExpertScopeError(f"{name} is damaged: 'expertscope check' lists all faults; restore or delete the run")
    return entry


def _copy_older_files(settings: Settings, runs: list[str], written: set[str], draft: Path) -> Iterator[Entry]:
    """Files of runs that ended before their digests were written down."""
    for run_id in runs:
        if run_id in written:
            continue
        for path in sorted(files_folder(settings, run_id).glob("[!.]*")):
            yield copy_file(path, draft, f"runs/{run_id}/files/{path.name}")


def _pack(folder: Path, manifest: Manifest, target: Path) -> None:
    """The folder as one compressed archive, the manifest first."""
    with tempfile.NamedTemporaryFile(dir=folder.parent, prefix=f".{target.name}.", delete=False) as file:
        draft = Path(file.name)
        try:
            with (
                zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(file, closefd=False) as packed,
                tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
            ):
                for place in (NAME, *(entry.path for entry in manifest.files)):
                    archive.add(folder / place, place, recursive=False, filter=_anonymous)
            file.flush()
            sync_folders([draft])  # fsync by name works for a file as for a folder
            draft.rename(target)
        finally:
            draft.unlink(missing_ok=True)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the name of the account that made the backup."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member
