"""A backup of a PostgreSQL database: pg_dump, and back into an empty one."""

import threading
from pathlib import Path

import pytest

from analysis.errors import ConflictError, ExpertScopeError, InputError, NotInstalledError
from backend.services import NewRun, open_services
from backend.services.backups import make_backup, postgres, restore_backup
from backend.settings import Settings
from tests.backend.factories import make_csv, make_result
from tests.postgres import Server


@pytest.fixture
def settings(postgres: Server, tmp_path: Path) -> Settings:
    with postgres.fresh() as url:
        yield Settings(data_dir=tmp_path / "data", database_url=url)


def test_a_backup_made_while_others_write_comes_back_whole(
    settings: Settings, postgres: Server, model_folder: Path, tmp_path: Path
) -> None:
    services = open_services(settings)
    prompts = services.prompt_sets.create(make_csv(), "requests.csv")
    new = NewRun(services.models.register(str(model_folder)).id, prompts.id, preset="quick")
    run = services.runs.mark_running(services.runs.create(new).id)
    services.runs.finish(run.id, make_result(services.prompt_sets.load(prompts.id)))
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            services.runs.cancel(services.runs.create(new).id)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        manifest = make_backup(settings, tmp_path / "backup.tar.zst")
    finally:
        stop.set()
        writer.join()
    assert [file.path for file in manifest.files] == ["postgresql.dump"]
    with postgres.fresh(migrated=False) as url:
        target = Settings(data_dir=tmp_path / "new", database_url=url)
        restore_backup(target, tmp_path / "backup.tar.zst")
        restored = open_services(target)
        assert restored.results.report(run.id) == services.results.report(run.id)
        assert {one.status for one in restored.runs.list(limit=500).items} <= {"done", "cancelled", "queued"}
        assert restored.storage.faults() == []
        restored.close()
        again = Settings(data_dir=tmp_path / "again", database_url=url)
        with pytest.raises(ConflictError, match="not empty"):
            restore_backup(again, tmp_path / "backup.tar.zst")
        assert not again.data_dir.exists()
    services.close()


def test_a_backup_goes_back_into_its_own_kind_of_database(settings: Settings, tmp_path: Path) -> None:
    open_services(settings).close()
    make_backup(settings, tmp_path / "backup")
    with pytest.raises(InputError, match="is of a postgresql database"):
        restore_backup(Settings(data_dir=tmp_path / "new"), tmp_path / "backup")
    assert not (tmp_path / "new").exists()


def test_without_pg_dump_the_missing_tool_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "_newest", lambda name: None)
    with pytest.raises(NotInstalledError, match=r"pg_dump is not installed.*apt-get install postgresql-client"):
        make_backup(settings, tmp_path / "backup")
    assert [*tmp_path.glob("*backup*")] == []


def test_a_server_that_does_not_answer_is_told_in_one_line_without_the_password(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=f"postgresql+psycopg://me:hidden-word@/nothing?host={tmp_path}")
    with pytest.raises(ExpertScopeError, match="pg_dump failed") as caught:
        make_backup(settings, tmp_path / "backup")
    assert "hidden-word" not in caught.value.message
    assert "\n" not in caught.value.message
