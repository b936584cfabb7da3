"""A finished run taken away as one file and brought back, here and elsewhere; and files that are no such thing."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from analysis.errors import ConflictError, ExpertScopeError, InputError, NotFoundError, TooLargeError
from backend.services import NewRun, RunDocument, RunInfo, Services, open_services
from backend.services.archives.packing import MANIFEST
from backend.services.expert_table import dumps
from backend.services.run_files import files_folder
from backend.settings import Settings
from tests.backend.factories import make_result
from tests.backend.tune_document import make_tune_document


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Services]:
    """Another data folder, which has nothing yet."""
    opened = open_services(Settings(data_dir=tmp_path / "elsewhere"))
    yield opened
    opened.close()


@pytest.fixture
def archive(services: Services, done: RunInfo, tmp_path: Path) -> Path:
    path = tmp_path / "run.zip"
    services.archives.write(done.id, path)
    return path


def report_text(services: Services, run_id: str) -> bytes:
    return b"".join(services.results.report_json(run_id))


def changed(archive: Path, change: Callable[[dict[str, bytes]], object]) -> io.BytesIO:
    """The archive with other files in it, and a manifest that is as it was unless `change` makes it another."""
    with zipfile.ZipFile(archive) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    change(files)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as written:
        for name, data in files.items():
            written.writestr(name, data)
    return target


def relisted(files: dict[str, bytes]) -> None:
    """Let the manifest list what is there, as somebody would who forges an archive."""
    import hashlib

    manifest = json.loads(files.pop(MANIFEST))
    manifest["files"] = [
        {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
    ]
    files[MANIFEST] = json.dumps(manifest).encode()


def test_a_run_comes_back_elsewhere_with_its_id_and_everything_that_pages_show(
    services: Services, elsewhere: Services, done: RunInfo, archive: Path
) -> None:
    run = elsewhere.archives.read(archive)
    assert (run.id, run.name, run.status, run.headline) == (done.id, done.name, "done", done.headline)
    assert report_text(elsewhere, run.id) == report_text(services, done.id)
    mine, theirs = services.results, elsewhere.results
    assert theirs.answers(run.id) == mine.answers(done.id)
    assert theirs.certificate(run.id) == mine.certificate(done.id)
    assert theirs.experts_csv(run.id) == mine.experts_csv(done.id)
    assert theirs.report_html(run.id) == mine.report_html(done.id)
    assert theirs.heatmap_csv(run.id, "frequency") == mine.heatmap_csv(done.id, "frequency")
    assert theirs.expert(run.id, 2, 5) == mine.expert(done.id, 2, 5)
    traced = mine.traced_prompts(done.id)
    assert theirs.traced_prompts(run.id) == traced
    assert elsewhere.prompt_sets.load(run.prompt_set.id) == services.prompt_sets.load(done.prompt_set.id)
    assert elsewhere.runs.events(run.id) == services.runs.events(done.id)
    assert run.model.description == done.model.description
    assert elsewhere.storage.faults() == []


def test_beside_itself_a_run_gets_a_new_id_and_shares_its_model_and_prompts(
    services: Services, done: RunInfo, archive: Path
) -> None:
    run = services.archives.read(archive)
    assert run.id != done.id
    assert (run.model.id, run.prompt_set.id) == (done.model.id, done.prompt_set.id)
    assert report_text(services, run.id) == report_text(services, done.id)
    assert services.runs.list().count == 2


def test_the_same_run_gives_the_same_archive_but_for_its_date(
    services: Services, done: RunInfo, archive: Path, tmp_path: Path
) -> None:
    services.archives.write(done.id, tmp_path / "again.zip")
    with zipfile.ZipFile(archive) as one, zipfile.ZipFile(tmp_path / "again.zip") as other:
        assert one.namelist() == other.namelist()
        for name in one.namelist():
            assert name == MANIFEST or one.read(name) == other.read(name)


def test_a_run_with_files_brings_them_along_with_their_digests(
    services: Services, elsewhere: Services, new_run: NewRun, tmp_path: Path
) -> None:
    asked = NewRun(new_run.model, new_run.prompt_set_id, "tune", "quick", parameters={"experts": "0:1"})
    run = services.runs.mark_running(services.runs.create(asked).id)
    folder = files_folder(services.settings, run.id)
    folder.mkdir(parents=True)
    (folder / "adapter.zip").write_bytes(b"weights" * 1000)
    services.runs.finish(run.id, RunDocument(make_tune_document()))
    services.archives.write(run.id, tmp_path / "tune.zip")
    back = elsewhere.archives.read(tmp_path / "tune.zip")
    assert elsewhere.documents.file(back.id, "adapter.zip").read_bytes() == b"weights" * 1000
    assert dumps(elsewhere.documents.get(back.id)) == dumps(services.documents.get(run.id))
    assert elsewhere.storage.faults() == []


def test_only_a_finished_run_has_an_archive(services: Services, running: RunInfo, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="is running and has no result"):
        services.archives.write(running.id, tmp_path / "run.zip")
    with pytest.raises(NotFoundError):
        services.archives.write("nowhere", tmp_path / "run.zip")
    assert [*tmp_path.glob("*.zip*"), *tmp_path.glob(".run*")] == []


def refused(elsewhere: Services, source: io.BytesIO, message: str, kind: type[ExpertScopeError] = InputError) -> None:
    """Refused in one line that names the fault, and nothing of it is left."""
    with pytest.raises(kind, match=message) as caught:
        elsewhere.archives.read_from(source)
    assert "\n" not in caught.value.message
    assert (elsewhere.runs.list().count, elsewhere.prompt_sets.list().count, elsewhere.models.list().count) == (0, 0, 0)
    folder = elsewhere.settings.data_dir / "runs"
    assert not folder.exists() or [*folder.iterdir()] == []


def test_what_is_no_archive_is_refused(elsewhere: Services, archive: Path) -> None:
    refused(elsewhere, io.BytesIO(b"no zip at all"), "no zip file")
    refused(elsewhere, io.BytesIO(archive.read_bytes()[:-100]), "no zip file")
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    refused(elsewhere, empty, "has no manifest.json")


@pytest.mark.parametrize("name", ["../../evil.json", "/etc/evil", "a\\b", "files/../../x", "files/"])
def test_names_that_lead_out_are_refused(elsewhere: Services, archive: Path, name: str) -> None:
    refused(elsewhere, changed(archive, lambda files: files.update({name: b"x"})), "no file of a run's archive")


def test_a_file_that_was_changed_taken_out_or_put_in_is_refused_by_name(elsewhere: Services, archive: Path) -> None:
    emptied = changed(archive, lambda files: files.update({"outcomes.json": b"[]"}))
    refused(elsewhere, emptied, "'outcomes.json'.*sha256")
    refused(elsewhere, changed(archive, lambda files: files.pop("scores.json")), "lacks 'scores.json'")
    refused(elsewhere, changed(archive, lambda files: files.update({"more.json": b""})), "holds 'more.json'")


def test_a_forged_report_or_prompt_is_refused_although_the_manifest_lists_it(
    elsewhere: Services, archive: Path
) -> None:
    def report(files: dict[str, bytes]) -> None:
        files["report.json"] = files["report.json"].replace(b'"seed":0', b'"seed":1')
        relisted(files)

    def prompt(files: dict[str, bytes]) -> None:
        files["prompts.json"] = files["prompts.json"].replace(b"Harmful request 0", b"Harmless request")
        relisted(files)

    refused(elsewhere, changed(archive, report), "'report.json' in the archive is not what its result gives")
    refused(elsewhere, changed(archive, prompt), "not the set that its sha256 names")


def test_values_that_no_row_can_hold_are_refused_with_their_field(elsewhere: Services, archive: Path) -> None:
    def status(files: dict[str, bytes]) -> None:
        run = json.loads(files["run.json"])
        files["run.json"] = json.dumps({**run, "seed": "zero"}).encode()
        relisted(files)

    def unknown(files: dict[str, bytes]) -> None:
        files["run.json"] = json.dumps({**json.loads(files["run.json"]), "owner": "x"}).encode()
        relisted(files)

    def waiting(files: dict[str, bytes]) -> None:
        files["run.json"] = json.dumps({**json.loads(files["run.json"]), "status": "queued"}).encode()
        relisted(files)

    refused(elsewhere, changed(archive, status), "'run.json'.*seed")
    refused(elsewhere, changed(archive, unknown), "'run.json'.*owner")
    refused(elsewhere, changed(archive, waiting), "expected a finished run")


def test_a_blob_that_is_none_is_refused(elsewhere: Services, archive: Path) -> None:
    def routing(files: dict[str, bytes]) -> None:
        files["result/routing.zst"] = b"\x80\x04pickle"
        relisted(files)

    refused(elsewhere, changed(archive, routing), "'result/routing.zst' in the archive cannot be used")


def test_a_blob_that_claims_to_hold_terabytes_is_refused_unread(elsewhere: Services, archive: Path) -> None:
    def bomb(files: dict[str, bytes]) -> None:
        # A zstd frame header: magic, descriptor with an 8-byte content size, a window descriptor, 2^42 bytes.
        files["result/report.zst"] = b"\x28\xb5\x2f\xfd\xc0\x00" + (1 << 42).to_bytes(8, "little")
        relisted(files)

    refused(elsewhere, changed(archive, bomb), "4,398,046,511,104 bytes")


def test_bombs_are_refused_by_what_they_declare_and_by_what_they_hold(tmp_path: Path, archive: Path) -> None:
    small = open_services(Settings(data_dir=tmp_path / "small", archive_limit_bytes=10_000))
    refused(small, io.BytesIO(archive.read_bytes()), "at most 10,000 are taken", TooLargeError)
    small.close()
    other = open_services(Settings(data_dir=tmp_path / "other"))
    zeros = bytes(50 << 20)
    refused(other, changed(archive, lambda files: files.update({"zeros.json": zeros})), "unpacks to", TooLargeError)
    # The directory says that the file is small; what is read is cut off at that, and is not what the manifest lists.
    lying = bytearray(changed(archive, lambda files: files.update({"scores.json": b"[]" + b" " * 900_000})).getvalue())
    place = lying.rindex(b"scores.json")
    lying[place - 22 : place - 18] = (len(zipfile.ZipFile(archive).read("scores.json"))).to_bytes(4, "little")
    refused(other, io.BytesIO(bytes(lying)), "'scores.json' in the archive")
    other.close()


def test_an_archive_of_a_newer_version_is_refused(elsewhere: Services, archive: Path) -> None:
    def newer(files: dict[str, bytes]) -> None:
        files[MANIFEST] = json.dumps({**json.loads(files[MANIFEST]), "revision": "9999"}).encode()

    refused(elsewhere, changed(archive, newer), "9999.*use a newer one", ConflictError)


def test_a_folder_that_models_may_not_come_from_stays_unknown(tmp_path: Path, archive: Path) -> None:
    """Else an archive would let whoever imports it start runs on any folder of the server."""
    shut = open_services(Settings(data_dir=tmp_path / "shut", model_roots=[tmp_path / "models"]))
    run = shut.archives.read(archive)
    assert run.model.ref == "imported:tiny-qwen"
    with pytest.raises(ExpertScopeError):
        shut.models.inspect(run.model.ref)
    shut.close()


def test_an_import_that_fails_half_way_leaves_nothing(
    elsewhere: Services, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("backend.services.archives.archives.record_files", full)
    with pytest.raises(OSError, match="No space left"):
        elsewhere.archives.read(archive)
    assert (elsewhere.runs.list().count, elsewhere.models.list().count) == (0, 0)
    assert [*(elsewhere.settings.data_dir / "runs").iterdir()] == []


def test_over_the_api_an_archive_goes_out_and_comes_back(client: TestClient, done: RunInfo) -> None:
    answer = client.get(f"/api/v1/runs/{done.id}/archive.zip")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    back = client.post("/api/v1/runs/import", files={"file": ("run.zip", answer.content)})
    assert back.status_code == 201
    assert back.headers["location"] == f"/api/v1/runs/{back.json()['id']}"
    reports = [client.get(f"/api/v1/runs/{one}/report.json").content for one in (done.id, back.json()["id"])]
    assert reports[0] == reports[1]
    refused = client.post("/api/v1/runs/import", files={"file": ("run.zip", b"x")})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_input")


def test_a_server_that_hides_texts_gives_no_archive(services: Services, done: RunInfo) -> None:
    from backend.services.archives import Archives

    hiding = services.settings.model_copy(update={"hide_completions": True})
    archives = Archives(services.database, hiding, services.models, services.documents, services.audit_log)
    with pytest.raises(ExpertScopeError, match="which this server hides"):
        archives.read_out(done.id)


def test_an_audit_from_before_the_experts_stood_apart_has_an_archive_too(
    services: Services, elsewhere: Services, done: RunInfo, tmp_path: Path
) -> None:
    from sqlalchemy import delete, update

    from backend.db.tables import RunLayerRow, RunResultRow
    from backend.services.stored_result import pack_report

    result = make_result(services.prompt_sets.load(done.prompt_set.id))
    old = {
        "report": pack_report(result.report),
        "experts": None,
        "counts": result.counts.to_bytes(),
        "routing": result.routing.to_bytes(),
    }
    with services.database.write() as session:
        session.execute(delete(RunLayerRow))
        session.execute(update(RunResultRow).values(old))
    services.archives.write(done.id, tmp_path / "old.zip")
    run = elsewhere.archives.read(tmp_path / "old.zip")
    assert elsewhere.results.report(run.id) == result.report
    assert elsewhere.results.expert(run.id, 2, 5).row == result.report["experts"][0]
