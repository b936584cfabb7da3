"""`expertscope backup`, `restore`, `check` and `runs` as a person calls them."""

import json
from pathlib import Path

import pytest

from backend.cli import run
from backend.services import RunInfo, Services, open_services
from backend.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def data(folder: Path) -> list[str]:
    return ["--data", str(folder)]


def test_backup_restore_and_check_in_three_commands(
    services: Services, done: RunInfo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, new = tmp_path / "b.tar.zst", tmp_path / "new"
    assert run(["backup", str(out), *data(tmp_path / "data"), "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert [file["path"] for file in manifest["files"]] == ["expertscope.db"]
    assert run(["restore", str(out), *data(new)]) == 0
    assert "1 files" in capsys.readouterr().err
    assert run(["check", *data(new)]) == 0
    assert capsys.readouterr() == ("", "everything stored is as it was written\n")


def test_check_lists_every_fault_and_ends_with_status_1(
    services: Services, done: RunInfo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "runs" / "nobodysrun00").mkdir(parents=True)
    assert run(["check", *data(tmp_path / "data")]) == 1
    printed = capsys.readouterr()
    assert printed.out == "orphan\truns/nobodysrun00\tno run of this id is in the database\n"
    assert "1 faults, 1 of them" in printed.err
    assert run(["check", "--repair", "--json", *data(tmp_path / "data")]) == 1  # not an hour old
    assert json.loads(capsys.readouterr().out)["repaired"] == []


def test_check_and_backup_without_a_database_make_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", *data(tmp_path / "none")]) == 1
    assert run(["backup", str(tmp_path / "b"), *data(tmp_path / "none")]) == 1
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["error", "error"]
    assert [*tmp_path.iterdir()] == []


def test_a_run_is_exported_imported_and_deleted(
    services: Services, done: RunInfo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, new = tmp_path / "run.zip", tmp_path / "new"
    assert run(["runs", "export", done.id, str(archive), *data(tmp_path / "data")]) == 0
    capsys.readouterr()
    assert run(["runs", "import", str(archive), *data(new)]) == 0
    assert capsys.readouterr().out == f"{done.id}\n"
    other = open_services(Settings(data_dir=new))
    assert other.results.report(done.id) == services.results.report(done.id)
    other.close()
    assert run(["runs", "delete", done.id, *data(new)]) == 0
    assert run(["runs", "delete", done.id, *data(new)]) == 1
    assert "no run has the id" in capsys.readouterr().err


def test_a_damaged_database_keeps_the_worker_from_starting(
    services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    services.close()
    path = tmp_path / "data" / "expertscope.db"
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 6] = b"\xff" * 4096 * 4
    path.write_bytes(content)
    for extra in ("-wal", "-shm"):
        Path(f"{path}{extra}").unlink(missing_ok=True)
    assert run(["worker", *data(tmp_path / "data")]) == 1
    line = capsys.readouterr().err
    assert line.startswith("error: the database 'expertscope.db' is damaged (")
    assert "'expertscope restore BACKUP --data DIR'" in line
    assert line.count("\n") == 1
