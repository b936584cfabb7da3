"""Restores a backup into an empty data folder. A backup may come from anywhere, so nothing of it is believed: every
name, size and digest is held against the manifest, which itself allows only the places that a backup has.
"""

import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import zstandard
from sqlalchemy import URL, inspect, make_url

from analysis.errors import ConflictError, InputError, NotFoundError
from backend.db import Database, known_revisions
from backend.services.backups import postgres
from backend.services.backups.files import check_room, copy_bytes, room_for, sync_folders
from backend.services.backups.manifest import DATABASE, DUMP, MOST_BYTES, NAME, Entry, Manifest
from backend.settings import Settings

DRAFT = ".restore-"
_HEADERS = 1 << 16
"""Most bytes beside its content that a file may take in the archive."""


def restore_backup(settings: Settings, source: Path) -> Manifest:
    """Fill the data folder from `source`, an archive or a folder that `make_backup` has written.

    Every file is verified before the first one is put in its place, the database last; what fails leaves nothing.
    Raises NotFoundError without a backup, ConflictError where the folder (or the PostgreSQL database) is not empty,
    InputError for a backup that is incomplete, damaged or not one, ExpertScopeError where it cannot be written.
    """
    if not source.exists():
        raise NotFoundError(f"there is no backup at '{source}'")
    folder = settings.data_dir.absolute()
    with room_for(f"data folder '{folder.name}'"), _empty(folder) as draft:
        manifest = _unpack(source, draft, folder)
        _check_revision(manifest)
        url = make_url(settings.database)
        _check_kind(manifest, url, settings)
        if manifest.database == "sqlite":
            _check_database(draft / DATABASE)
        else:
            _load_postgres(settings, draft / DUMP, url)
        _put_in_place(draft, folder)
    return manifest


@contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    """A folder to unpack into, inside the data folder, so that both are on one disk. What a killed restore has left
    there is cleared away; the data folder goes too where this made it and the block fails."""
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{DRAFT}*"):
        shutil.rmtree(left)
    if any(folder.iterdir()):
        raise ConflictError(
            f"data folder '{folder.name}' is not empty: a restore goes into an empty or new folder only"
        )
    draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=folder))
    try:
        yield draft
    except BaseException:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if made:
            folder.rmdir()
        raise
    shutil.rmtree(draft)


def _unpack(source: Path, draft: Path, folder: Path) -> Manifest:
    if source.is_dir():
        return _copy_folder(source, draft, folder)
    try:
        with (
            source.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file) as plain,
        ):
            bounded = _Bounded(plain, MOST_BYTES + _HEADERS)
            with tarfile.open(fileobj=bounded, mode="r|") as archive:  # type: ignore[call-overload]
                return _unpack_archive(archive, bounded, draft, folder)
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as fault:
        raise InputError(f"backup '{source.name}' is cut off, damaged or not one: {fault}") from fault


class _Bounded:
    """Reads on until more has come out than a backup can hold: an archive's own headers may be bombs too."""

    def __init__(self, source: IO[bytes], most: int) -> None:
        self._source = source
        self.left = most

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise InputError(f"the archive holds more than {NAME} lists: it is no backup")
        return data


def _unpack_archive(archive: tarfile.TarFile, bounded: _Bounded, draft: Path, folder: Path) -> Manifest:
    members = iter(archive)
    first = next(members, None)
    if first is None or first.name != NAME or not first.isreg():
        raise InputError(f"the archive is no backup: its first file has to be {NAME}")
    manifest = Manifest.from_bytes(_whole(archive, first))
    check_room(folder, manifest.size, "the backup")
    bounded.left = manifest.size + (len(manifest.files) + 1) * _HEADERS
    missing = {entry.path: entry for entry in manifest.files}
    for member in members:
        entry = missing.pop(member.name, None)
        if entry is None:
            raise InputError(f"the archive holds '{member.name[:80]}', which {NAME} does not list, or holds it twice")
        if not member.isreg() or member.size != entry.size:
            raise InputError(f"'{entry.path}' in the archive is not the file of {entry.size:,} bytes that {NAME} lists")
        content = archive.extractfile(member)
        assert content is not None
        _take(content, entry, draft)
    _nothing_missing(missing)
    return manifest


def _copy_folder(source: Path, draft: Path, folder: Path) -> Manifest:
    listed = source / NAME
    if listed.is_symlink() or not listed.is_file():
        raise InputError(f"folder '{source.name}' is no backup: it has no {NAME}")
    if listed.stat().st_size > MOST_BYTES:
        raise InputError(f"{NAME} has more than {MOST_BYTES:,} bytes: it is none of a backup")
    manifest = Manifest.from_bytes(listed.read_bytes())
    check_room(folder, manifest.size, "the backup")
    for entry in manifest.files:
        path = source / entry.path
        if not path.is_file() or not path.resolve().is_relative_to(source.resolve()):
            raise InputError(f"the backup is incomplete: '{entry.path}' is missing, or a link that leads out of it")
        with path.open("rb") as content:
            _take(content, entry, draft)
    return manifest


def _whole(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > MOST_BYTES:
        raise InputError(f"{NAME} has more than {MOST_BYTES:,} bytes: it is none of a backup")
    content = archive.extractfile(member)
    assert content is not None
    return content.read(MOST_BYTES)


def _take(content: IO[bytes], entry: Entry, draft: Path) -> None:
    """Write one file, and raise InputError unless it is the one that the manifest lists."""
    target = draft / entry.path
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        size, sha256 = copy_bytes(content, file, entry.size)
    if (size, sha256) != (entry.size, entry.sha256):
        raise InputError(f"'{entry.path}' in the backup is damaged: its size or sha256 is not the one in {NAME}")


def _nothing_missing(missing: dict[str, Entry]) -> None:
    if missing:
        raise InputError(f"the backup is incomplete: {len(missing)} files are missing, the first is '{min(missing)}'")


def _check_revision(manifest: Manifest) -> None:
    if manifest.revision not in known_revisions():
        raise ConflictError(
            f"the backup has the schema '{manifest.revision}' of ExpertScope {manifest.expertscope}, which this "
            "version does not know: install that version or a newer one"
        )


def _check_kind(manifest: Manifest, url: URL, settings: Settings) -> None:
    """A backup goes back into the kind of database that it came from; SQLite's default place is part of it."""
    if manifest.database != url.get_backend_name():
        raise InputError(
            f"the backup is of a {manifest.database} database and EXPERTSCOPE_DATABASE_URL names "
            f"{url.get_backend_name()}: set it to the kind of the backup"
        )
    if manifest.database == "sqlite" and settings.database_url is not None:
        place = settings.data_dir.absolute() / DATABASE
        if Path(url.database or "").absolute() != place:
            raise InputError(f"a backup is restored as '{DATABASE}' in the data folder: unset EXPERTSCOPE_DATABASE_URL")


def _check_database(path: Path) -> None:
    try:
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.Error as fault:
        found = str(fault)
    if found != "ok":
        raise InputError(f"the database in the backup is damaged: {found}")


def _load_postgres(settings: Settings, dump: Path, url: URL) -> None:
    database = Database(settings.database)
    try:
        if inspect(database.engine).get_table_names():
            raise ConflictError("the PostgreSQL database is not empty: a restore goes into an empty one only")
    finally:
        database.close()
    postgres.load(url, dump)
    dump.unlink()


def _put_in_place(draft: Path, folder: Path) -> None:
    """Everything by renaming, the database last: a folder without it counts as none."""
    for path in sorted(draft.iterdir(), key=lambda path: path.name == DATABASE):
        path.rename(folder / path.name)
    sync_folders([folder])
