"""Backups made while others write, restored into empty folders, and everything that a restore must refuse."""

import io
import json
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard

from analysis.errors import ConflictError, ExpertScopeError, InputError, NotFoundError
from analysis.shards import FolderShards, Shard
from backend.services import NewRun, RunInfo, Services, open_services
from backend.services.backups import make_backup, restore_backup
from backend.services.backups.manifest import NAME, Manifest
from backend.settings import Settings

FORMS = ("backup.tar.zst", "backup")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """SQLite, whatever the other tests use: PostgreSQL has tests of its own."""
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def shards(settings: Settings, done: RunInfo) -> FolderShards:
    store = FolderShards(settings.run_dir(done.id) / "shards")
    for number in range(3):
        store.write(f"capture-{number:04}", Shard({"x": np.arange(number + 1)}))
    return store


def at(tmp_path: Path, name: str) -> Settings:
    return Settings(data_dir=tmp_path / name)


@pytest.mark.parametrize("form", FORMS)
def test_a_restored_folder_has_every_run_with_its_report_and_shards(
    services: Services, done: RunInfo, shards: FolderShards, tmp_path: Path, form: str
) -> None:
    manifest = make_backup(services.settings, tmp_path / form)
    assert restore_backup(at(tmp_path, "new"), tmp_path / form) == manifest
    restored = open_services(at(tmp_path, "new"))
    assert restored.runs.get(done.id) == services.runs.get(done.id)
    assert restored.results.report(done.id) == services.results.report(done.id)
    assert restored.results.answers(done.id) == services.results.answers(done.id)
    store = FolderShards(restored.settings.run_dir(done.id) / "shards")
    assert [store.read(f"capture-{n:04}").arrays["x"].tolist() for n in range(3)] == [[0], [0, 1], [0, 1, 2]]
    assert restored.storage.faults() == []
    restored.close()
    left = {path.name for path in (tmp_path / "new").iterdir()}
    assert left - {"expertscope.db-wal", "expertscope.db-shm"} == {"expertscope.db", "runs"}


def test_a_backup_made_while_others_write_is_one_state_of_the_database(
    services: Services, new_run: NewRun, tmp_path: Path
) -> None:
    """A run and its first event are written in one transaction; a copy in between would have one without the other."""
    stop, failures = threading.Event(), []

    def write() -> None:
        try:
            while not stop.is_set():
                services.runs.cancel(services.runs.create(new_run).id)
        except Exception as failure:
            failures.append(failure)

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        for number in range(4):
            make_backup(services.settings, tmp_path / f"{number}.tar.zst")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert failures == []
    counts = []
    for number in range(4):
        restore_backup(at(tmp_path, f"new{number}"), tmp_path / f"{number}.tar.zst")
        restored = open_services(at(tmp_path, f"new{number}"))
        runs = restored.runs.list(limit=500).items
        for run in runs:
            kinds = [event.kind for event in restored.runs.events(run.id)]
            assert kinds == (["created", "cancelled"] if run.status == "cancelled" else ["created"])
        assert restored.storage.faults() == []
        counts.append(restored.runs.list().count)
        restored.close()
    assert counts == sorted(counts)
    assert counts[-1] > 0


def test_a_backup_that_exists_is_never_written_over(services: Services, tmp_path: Path) -> None:
    (tmp_path / "backup.tar.zst").write_bytes(b"mine")
    with pytest.raises(ConflictError, match="never written over"):
        make_backup(services.settings, tmp_path / "backup.tar.zst")
    assert (tmp_path / "backup.tar.zst").read_bytes() == b"mine"


def test_without_a_database_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing to back up"):
        make_backup(at(tmp_path, "none"), tmp_path / "backup")
    assert [*tmp_path.iterdir()] == []


def test_a_backup_that_cannot_be_finished_leaves_nothing(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("backend.services.backups.make._pack", full)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ExpertScopeError, match="could not be written: No space left on device"):
        make_backup(services.settings, tmp_path / "backup.tar.zst")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_damaged_file_of_a_run_stops_the_backup_and_is_named(
    services: Services, done: RunInfo, tmp_path: Path
) -> None:
    from backend.db.tables import RunFileRow

    folder = services.settings.run_dir(done.id) / "files"
    folder.mkdir(parents=True)
    (folder / "adapter.zip").write_bytes(b"changed")
    with services.database.write() as session:
        session.add(RunFileRow(run_id=done.id, name="adapter.zip", size=7, sha256="0" * 64))
    with pytest.raises(ExpertScopeError, match=f"'adapter.zip' of run '{done.id}' is damaged"):
        make_backup(services.settings, tmp_path / "backup")


def refused(tmp_path: Path, source: Path, message: str, kind: type[ExpertScopeError] = InputError) -> None:
    """Refused in one line, and nothing is left."""
    target = at(tmp_path, "target")
    with pytest.raises(kind, match=message) as caught:
        restore_backup(target, source)
    assert "\n" not in caught.value.message
    assert not target.data_dir.exists()


def rewritten(backup: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], object]) -> Path:
    """The archive with other members."""
    with zstandard.ZstdDecompressor().stream_reader(backup.read_bytes()) as plain:
        whole = io.BytesIO(plain.read())
    with tarfile.open(fileobj=whole) as opened:
        members = [(member, opened.extractfile(member).read()) for member in opened]
    change(members)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as written:
        for member, data in members:
            written.addfile(member, io.BytesIO(data) if member.isreg() else None)
    target = backup.with_name("changed.tar.zst")
    target.write_bytes(zstandard.compress(packed.getvalue()))
    return target


@pytest.fixture
def backup(services: Services, shards: FolderShards, tmp_path: Path) -> Path:
    make_backup(services.settings, tmp_path / "backup.tar.zst")
    return tmp_path / "backup.tar.zst"


def member(name: str, data: bytes = b"", **more: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def test_a_folder_with_anything_in_it_is_left_alone(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ConflictError, match="not empty"):
        restore_backup(at(tmp_path, "mine"), backup)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_what_a_killed_restore_left_does_not_stand_in_the_way(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "new" / ".restore-killed" / "runs").mkdir(parents=True)
    restore_backup(at(tmp_path, "new"), backup)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["expertscope.db", "runs"]


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "runs/../../evil", "runs/x/shards/../../../evil", "evil"])
def test_a_name_that_the_manifest_does_not_list_is_refused(backup: Path, tmp_path: Path, name: str) -> None:
    changed = rewritten(backup, lambda members: members.append(member(name, b"x")))
    refused(tmp_path, changed, "does not list")
    assert not (tmp_path / "evil").exists()


def test_a_manifest_cannot_list_places_outside_either(backup: Path, tmp_path: Path) -> None:
    def listed(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        manifest = json.loads(members[0][1])
        manifest["files"].append({"path": "../evil", "size": 1, "sha256": "0" * 64})
        members[0] = member(NAME, json.dumps(manifest).encode())

    refused(tmp_path, rewritten(backup, listed), "no place of a backup")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(backup: Path, tmp_path: Path, kind: bytes) -> None:
    def linked(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[1] = member(members[1][0].name, type=kind, linkname="/etc/passwd")

    refused(tmp_path, rewritten(backup, linked), "is not the file of")


def test_a_byte_that_has_changed_is_refused_by_name(backup: Path, tmp_path: Path) -> None:
    def flipped(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        info, data = members[-1]
        members[-1] = info, bytes([data[0] ^ 1]) + data[1:]

    refused(tmp_path, rewritten(backup, flipped), "capture-0002.safetensors' in the backup is damaged")


def test_an_archive_that_is_cut_off_or_none_is_refused(backup: Path, tmp_path: Path) -> None:
    whole = backup.read_bytes()
    for size in (len(whole) // 4, len(whole) // 2):
        (tmp_path / "cut.tar.zst").write_bytes(whole[:size])
        refused(tmp_path, tmp_path / "cut.tar.zst", "cut off, damaged or not one|incomplete")
    (tmp_path / "none.tar.zst").write_bytes(b"no archive")
    refused(tmp_path, tmp_path / "none.tar.zst", "cut off, damaged or not one")
    refused(tmp_path, tmp_path / "nowhere", "there is no backup", NotFoundError)
    changed = rewritten(backup, lambda members: members.pop())
    refused(tmp_path, changed, "1 files are missing, the first is 'runs/.*capture-0002")
    changed = rewritten(backup, lambda members: members.append(members[1]))
    refused(tmp_path, changed, "or holds it twice")


def test_a_bomb_is_refused_before_it_has_unpacked(backup: Path, tmp_path: Path) -> None:
    """A header of half a gigabyte of zeros behind the manifest, 20 kB in the archive."""

    packed = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(packed, closefd=False) as stream:
        with zstandard.ZstdDecompressor().stream_reader(backup.read_bytes()) as plain:
            original = plain.read()
        with tarfile.open(fileobj=io.BytesIO(original)) as opened:
            stream.write(original[: opened.getmembers()[1].offset])
        info, _ = member("comment", type=tarfile.XHDTYPE)
        info.size = 512 << 20
        stream.write(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(512):
            stream.write(bytes(1 << 20))
    (tmp_path / "bomb.tar.zst").write_bytes(packed.getvalue())
    assert len(packed.getvalue()) < 1 << 20
    refused(tmp_path, tmp_path / "bomb.tar.zst", "more than manifest.json lists")


def test_a_backup_that_needs_more_than_the_disk_has_is_refused_first(backup: Path, tmp_path: Path) -> None:
    def vast(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        manifest = json.loads(members[0][1])
        manifest["files"][0]["size"] = 1 << 60
        members[0] = member(NAME, json.dumps(manifest).encode())

    refused(tmp_path, rewritten(backup, vast), "make room")


def test_a_backup_of_a_newer_schema_is_refused(services: Services, tmp_path: Path) -> None:
    make_backup(services.settings, tmp_path / "backup")
    manifest = Manifest.from_bytes((tmp_path / "backup" / NAME).read_bytes())
    (tmp_path / "backup" / NAME).write_bytes(manifest.model_copy(update={"revision": "9999"}).to_bytes())
    refused(tmp_path, tmp_path / "backup", "schema '9999'.*a newer one", ConflictError)


def test_a_link_in_a_backup_that_is_a_folder_is_refused(services: Services, tmp_path: Path) -> None:
    make_backup(services.settings, tmp_path / "backup")
    copy = tmp_path / "elsewhere.db"
    (tmp_path / "backup" / "expertscope.db").rename(copy)
    (tmp_path / "backup" / "expertscope.db").symlink_to(copy)
    refused(tmp_path, tmp_path / "backup", "a link that leads out of it")
