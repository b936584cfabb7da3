"""What happens to runs after they have ended: deleted, swept, checked, repaired."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text, update
from starlette.testclient import TestClient

from analysis.errors import ConflictError, DamagedError, NotFoundError
from analysis.shards import FolderShards, Shard
from backend.db.tables import RunFileRow, RunResultRow, RunRow
from backend.services import NewRun, RunDocument, RunInfo, Services
from backend.services.run_files import files_folder
from backend.services.storage import Storage
from tests.backend.tune_document import make_tune_document

HOURS = 3_600


@pytest.fixture
def tuned(services: Services, new_run: NewRun) -> RunInfo:
    """A finished run that left a file."""
    asked = NewRun(new_run.model, new_run.prompt_set_id, "tune", "quick", parameters={"experts": "0:1"})
    run = services.runs.mark_running(services.runs.create(asked).id)
    folder = files_folder(services.settings, run.id)
    folder.mkdir(parents=True)
    (folder / "adapter.zip").write_bytes(b"adapter" * 1000)
    return services.runs.finish(run.id, RunDocument(make_tune_document()))


def shards_of(services: Services, run: RunInfo) -> FolderShards:
    store = FolderShards(services.settings.run_dir(run.id) / "shards")
    store.write("capture-0000", Shard({"x": np.arange(100)}))
    return store


def age(path: Path, hours: float) -> None:
    """As if nobody had touched it for so long."""
    moment = time.time() - hours * HOURS
    for one in (*path.rglob("*"), path):
        os.utime(one, (moment, moment), follow_symlinks=False)


def faults(services: Services) -> list[tuple[str, str]]:
    return [(fault.kind, fault.place) for fault in services.storage.faults()]


def test_a_deleted_run_is_gone_from_database_and_disk_and_the_log_says_so(services: Services, tuned: RunInfo) -> None:
    shards_of(services, tuned)
    services.storage.delete(tuned.id)
    with pytest.raises(NotFoundError):
        services.runs.get(tuned.id)
    with pytest.raises(NotFoundError):
        services.documents.get(tuned.id)
    assert not services.settings.run_dir(tuned.id).exists()
    with services.database.read() as session:
        for table in ("run_events", "run_documents", "run_files"):
            assert session.scalar(text(f"select count(*) from {table}")) == 0
    entry = services.audit_log.entries(action="runs.deleted").items[0]
    assert (entry.subject, entry.details["kind"], entry.details["status"]) == (tuned.id, "tune", "done")


def test_a_deleted_audit_is_gone_although_it_was_just_shown(services: Services, done: RunInfo) -> None:
    services.results.report(done.id)
    services.storage.delete(done.id)
    with pytest.raises(NotFoundError):
        services.results.report(done.id)


def test_a_run_that_waits_or_runs_is_not_deleted(services: Services, running: RunInfo) -> None:
    with pytest.raises(ConflictError, match=r"is running and cannot be deleted.*cancel it first"):
        services.storage.delete(running.id)
    with pytest.raises(NotFoundError):
        services.storage.delete("nowhere")
    assert services.runs.get(running.id).status == "running"


def test_over_the_api_a_run_is_deleted_once(client: TestClient, done: RunInfo) -> None:
    assert client.delete(f"/api/v1/runs/{done.id}").status_code == 204
    assert client.delete(f"/api/v1/runs/{done.id}").status_code == 404
    assert client.get("/api/v1/runs").json()["count"] == 0


def test_a_file_that_changed_since_the_run_ended_is_an_error_and_not_served(
    services: Services, client: TestClient, tuned: RunInfo
) -> None:
    path = files_folder(services.settings, tuned.id) / "adapter.zip"
    assert services.documents.file(tuned.id, "adapter.zip") == path
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedError, match="its sha256 is not the one"):
        services.documents.file(tuned.id, "adapter.zip")
    answer = client.get(f"/api/v1/runs/{tuned.id}/adapter.zip")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "damaged")
    path.write_bytes(data[:-1])
    with pytest.raises(DamagedError, match="6,999 bytes and had 7,000"):
        services.documents.file(tuned.id, "adapter.zip")
    assert faults(services) == [("file", f"runs/{tuned.id}/files/adapter.zip")]


@pytest.mark.parametrize("column", ["report", "experts", "routing"])
def test_one_bit_of_a_stored_result_is_noticed_and_never_shown(services: Services, done: RunInfo, column: str) -> None:
    """In the middle of what zstd packed, where it would often unpack to something else without a checksum."""
    with services.database.write() as session:
        blob = bytearray(session.scalar(text(f"select {column} from run_results")))
        blob[len(blob) // 2] ^= 4
        session.execute(update(RunResultRow).values({column: bytes(blob)}))
    name = {"report": "report", "experts": "experts", "routing": "routing table"}[column]
    assert faults(services) == [("result", f"run {done.id}, {name}")]
    with pytest.raises(DamagedError):
        services.results.routing(done.id) if column == "routing" else services.results.report(done.id)
    assert [fault.kind for fault in services.storage.repair()] == []  # only a backup has it


def test_what_is_missing_is_named(services: Services, done: RunInfo, tuned: RunInfo) -> None:
    (files_folder(services.settings, tuned.id) / "adapter.zip").unlink()
    with services.database.write() as session:
        session.execute(text("delete from run_results"))
    expected = {("missing", f"run {done.id}, report"), ("missing", f"runs/{tuned.id}/files/adapter.zip")}
    assert set(faults(services)) == expected


def test_a_damaged_shard_is_found_and_repaired_by_deleting_it(services: Services, done: RunInfo) -> None:
    store = shards_of(services, done)
    path = store.path("capture-0000")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert faults(services) == [("shard", f"runs/{done.id}/shards/capture-0000.safetensors")]
    assert len(services.storage.repair()) == 1
    assert not path.exists()
    assert faults(services) == []


def test_a_folder_without_a_run_is_an_orphan_that_repair_takes_after_an_hour(services: Services, done: RunInfo) -> None:
    shards_of(services, done)
    orphan = services.settings.data_dir / "runs" / "nobodysrun00"
    (orphan / "shards").mkdir(parents=True)
    assert faults(services) == [("orphan", "runs/nobodysrun00")]
    assert services.storage.repair() == []
    age(orphan, 2)
    assert [fault.place for fault in services.storage.repair()] == ["runs/nobodysrun00"]
    assert faults(services) == []
    assert services.settings.run_dir(done.id).is_dir()


def test_the_worker_sweeps_only_what_a_deletion_has_left(services: Services, done: RunInfo) -> None:
    """A folder that nobody has deleted stays: the database may be the wrong one."""
    shards_of(services, done)
    services.storage.delete(done.id)
    left, other = services.settings.run_dir(done.id), services.settings.run_dir("nobodysrun00")
    for folder in (left, other):
        (folder / "shards").mkdir(parents=True)
        age(folder, 2)
    assert services.storage.sweep() == 1
    assert (left.exists(), other.exists()) == (False, True)


def test_the_sweep_takes_old_drafts_and_never_those_of_a_run_that_goes_on(
    services: Services, running: RunInfo, tuned: RunInfo
) -> None:
    drafts = []
    for run in (running, tuned):
        draft = services.settings.run_dir(run.id) / ".files.killed"
        draft.mkdir(parents=True)
        (draft / "adapter.zip").write_bytes(b"half")
        drafts.append(draft)
    assert services.storage.sweep() == 0  # just made
    for draft in drafts:
        age(draft, 2)
    assert services.storage.sweep() == 1
    assert [draft.exists() for draft in drafts] == [True, False]


@pytest.mark.parametrize(("days", "left"), [(0, True), (9, True), (7, False)])
def test_shards_of_finished_runs_go_after_the_days_that_are_set(
    services: Services, tuned: RunInfo, running: RunInfo, days: int, left: bool
) -> None:
    for run in (tuned, running):
        shards_of(services, run)
    with services.database.write() as session:
        session.execute(update(RunRow).values(finished=datetime.now(UTC) - timedelta(days=8)))
    settings = services.settings.model_copy(update={"retention_days": days})
    storage = Storage(services.database, settings, services.results, services.documents, services.audit_log)
    storage.sweep()
    assert (settings.run_dir(tuned.id) / "shards").exists() == left
    assert (settings.run_dir(running.id) / "shards").exists()
    assert services.documents.file(tuned.id, "adapter.zip").is_file()
    assert services.storage.faults() == []


def test_files_of_runs_from_before_digests_were_kept_are_taken_as_they_are(services: Services, tuned: RunInfo) -> None:
    with services.database.write() as session:
        session.execute(text("delete from run_files"))
        assert session.get(RunFileRow, (tuned.id, "adapter.zip")) is None
    assert services.documents.file(tuned.id, "adapter.zip").is_file()
    assert faults(services) == []
