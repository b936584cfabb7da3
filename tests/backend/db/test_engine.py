"""How the database behaves when several threads use it and when something goes wrong."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from analysis.errors import InputError
from backend.db import Database, migrate
from backend.db.tables import PromptRow, WorkerRow


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'test.db'}")
    migrate(opened)
    yield opened
    opened.close()


def worker(name: str, seen: datetime | None = None) -> WorkerRow:
    moment = seen or datetime.now(UTC)
    return WorkerRow(id=name, pid=1, started=moment, seen=moment)


def count(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(WorkerRow)) or 0


def test_sqlite_runs_with_write_ahead_log_foreign_keys_and_patience(database: Database) -> None:
    with database.engine.connect() as connection:
        found = {
            name: connection.scalar(text(f"pragma {name}")) for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000}


def test_a_failed_write_leaves_nothing(database: Database) -> None:
    def write_and_fail() -> None:
        with database.write() as session:
            session.add(worker("a"))
            session.flush()
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_and_fail()
    assert count(database) == 0


def test_rows_must_refer_to_rows_that_exist(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(PromptRow(prompt_set_id="nowhere", position=0, prompt_id="p", text="t"))


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    with database.write() as session:
        session.add(worker("a"))
        session.flush()
        assert count(database) == 0
    assert count(database) == 1


def test_writers_take_turns(database: Database) -> None:
    """Each adds one to what it read; without turns some of these would be lost or refused."""
    with database.write() as session:
        session.add(worker("counter"))

    def add_one() -> None:
        for _ in range(10):
            with database.write() as session:
                row = session.get_one(WorkerRow, "counter")
                row.pid = row.pid + 1

    threads = [threading.Thread(target=add_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.get_one(WorkerRow, "counter").pid == 41


def test_times_come_back_as_the_same_moment_in_utc(database: Database) -> None:
    moment = datetime(2026, 11, 22, 10, 41, tzinfo=timezone(timedelta(hours=2)))
    with database.write() as session:
        session.add(worker("a", moment))
    with database.read() as session:
        seen = session.get_one(WorkerRow, "a").seen
    assert seen == moment
    assert seen.tzinfo is UTC


def test_a_time_without_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="zone"), database.write() as session:
        session.add(worker("a", datetime(2026, 11, 22, 10, 41)))  # noqa: DTZ001


@pytest.mark.parametrize("url", ["mysql://db/x", "no url"])
def test_other_databases_are_refused_by_name(url: str) -> None:
    with pytest.raises(InputError, match="sqlite:///PATH or postgresql"):
        Database(url)
