"""What SQLite and PostgreSQL have to do alike: the part of the tests that runs on both every time."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from backend.db import Database
from backend.db.tables import AuditLogRow, PromptRow, RunDocumentRow, WorkerRow
from backend.services import NewRun, Services, open_services
from backend.settings import Settings
from tests.backend.factories import make_csv, make_result
from tests.tiny_models import save_tiny_model


@pytest.fixture
def services(either_url: str, tmp_path: Path) -> Services:
    opened = open_services(Settings(data_dir=tmp_path / "data", database_url=either_url))
    yield opened
    opened.close()


@pytest.fixture
def new_run(services: Services, model_folder: Path) -> NewRun:
    prompts = services.prompt_sets.create(make_csv(), "requests.csv")
    return NewRun(services.models.register(str(model_folder)).id, prompts.id, preset="quick")


def worker(name: str) -> WorkerRow:
    now = datetime.now(UTC)
    return WorkerRow(id=name, pid=0, started=now, seen=now)


def test_the_audit_log_lets_nobody_change_or_delete_an_entry(either: Database) -> None:
    entry = {"time": datetime.now(UTC), "actor": "a", "role": "admin", "action": "x", "subject": "s", "details": {}}
    with either.write() as session:
        session.add(AuditLogRow(**entry))
    for statement in ("update audit_log set actor = 'b'", "delete from audit_log"):
        with pytest.raises(DBAPIError, match="append-only"), either.write() as session:
            session.execute(text(statement))
    with either.read() as session:
        assert [row.actor for row in session.scalars(select(AuditLogRow))] == ["a"]


def test_json_and_blobs_come_back_as_they_were(either: Database, services: Services, new_run: NewRun) -> None:
    """Text of every kind, nested JSON, each byte there is, and a blob of some megabytes."""
    machine = {
        "gpus": [{"name": "Ünïcode 漢字 \u2028 \"'", "memory": 2**53}],
        "none": None,
        "nested": {"a": [1.5, True]},
    }
    blob = bytes(range(256)) * 20_000
    run = services.runs.create(new_run)
    with services.database.write() as session:
        session.add(worker("w"))
        session.get_one(WorkerRow, "w").machine = machine
        session.add(RunDocumentRow(run_id=run.id, schema="s", document=blob, created=datetime.now(UTC)))
    with services.database.read() as session:
        assert session.get_one(WorkerRow, "w").machine == machine
        assert session.get_one(RunDocumentRow, run.id).document == blob


def test_a_result_is_read_as_it_was_stored(services: Services, new_run: NewRun) -> None:
    run = services.runs.mark_running(services.runs.create(new_run).id)
    result = make_result(services.prompt_sets.load(new_run.prompt_set_id))
    services.runs.finish(run.id, result)
    assert services.results.report(run.id) == result.report
    assert services.results.answers(run.id) == list(result.answers)
    assert services.storage.faults() == []


def test_pages_are_newest_first_and_hold_each_run_once(services: Services, new_run: NewRun) -> None:
    made = [services.runs.create(new_run).id for _ in range(7)]
    seen: list[str] = []
    cursor = None
    while True:
        page = services.runs.list(limit=3, cursor=cursor)
        seen += [run.id for run in page.items]
        cursor = page.next
        if cursor is None:
            break
    created = {run.id: run.created for run in services.runs.list().items}
    assert sorted(seen) == sorted(made)
    assert seen == sorted(made, key=lambda run_id: (created[run_id], run_id), reverse=True)


def test_words_are_found_in_capitals_or_not(services: Services, new_run: NewRun) -> None:
    run = services.runs.create(new_run)
    assert [one.id for one in services.runs.list(search="TINY-qwen").items] == [run.id]
    assert services.runs.list(search="100%_nothing").count == 0
    assert services.runs.list(made_from=run.id).count == 0


def test_two_writers_take_turns_at_one_row(either: Database) -> None:
    """Each adds one to what it read, with the row locked as runs lock theirs."""
    with either.write() as session:
        session.add(worker("counter"))

    def add_one() -> None:
        for _ in range(10):
            with either.write() as session:
                row = session.scalars(select(WorkerRow).where(WorkerRow.id == "counter").with_for_update()).one()
                row.pid = row.pid + 1

    threads = [threading.Thread(target=add_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with either.read() as session:
        assert session.get_one(WorkerRow, "counter").pid == 40


def test_events_of_a_run_are_numbered_without_gap_however_many_write(services: Services, new_run: NewRun) -> None:
    run = services.runs.mark_running(services.runs.create(new_run).id)
    failures: list[BaseException] = []

    def report(part: int) -> None:
        try:
            for done in range(5):
                services.runs.report_progress(run.id, "capture", done, 5 * part)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=report, args=(part,)) for part in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [event.number for event in services.runs.events(run.id)] == list(range(1, 18))


def test_the_same_key_sent_twice_at_once_makes_one_run(services: Services, new_run: NewRun) -> None:
    made: list[str] = []
    failures: list[BaseException] = []

    def create() -> None:
        try:
            made.append(services.runs.create(new_run, "monday").id)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(set(made)) == 1
    assert services.runs.list().count == 1


def test_rows_must_refer_to_rows_that_exist_and_go_with_them(services: Services, new_run: NewRun) -> None:
    with pytest.raises(IntegrityError), services.database.write() as session:
        session.add(PromptRow(prompt_set_id="nowhere", position=0, prompt_id="p", text="t"))
    run = services.runs.create(new_run)
    services.runs.cancel(run.id)
    services.storage.delete(run.id)
    with services.database.read() as session:
        assert session.scalar(text("select count(*) from run_events")) == 0


def test_times_are_the_same_moment_in_utc(either: Database) -> None:
    moment = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC) - timedelta(microseconds=1)
    with either.write() as session:
        session.add(WorkerRow(id="w", pid=1, started=moment, seen=moment))
    with either.read() as session:
        assert session.get_one(WorkerRow, "w").seen == moment


def test_a_tiny_checkpoint_is_registered_once_by_two_at_once(services: Services, tmp_path: Path) -> None:
    folder = save_tiny_model("olmoe", tmp_path / "olmoe")
    found: list[str] = []
    failures: list[BaseException] = []

    def register() -> None:
        try:
            found.append(services.models.register(str(folder)).id)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=register) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(set(found)) == 1
