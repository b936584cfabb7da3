"""The numbered migrations against the tables that the code believes in."""

import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from analysis.errors import ConflictError, ExpertScopeError
from backend.db import Database, migrate
from backend.db.migrate import configuration
from backend.db.tables import Base


def open_database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path / 'test.db'}")


def test_an_empty_database_gets_every_table(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    migrate(database)
    assert set(inspect(database.engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}


def test_the_migrations_make_exactly_the_tables_that_the_code_describes(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    migrate(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    migrate(database)
    with database.write() as session:
        row = "('w', 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
        session.execute(text(f"insert into workers (id, pid, started, seen) values {row}"))
    migrate(database)
    with database.read() as session:
        assert session.scalar(text("select count(*) from workers")) == 1


def test_server_and_worker_may_migrate_at_the_same_time(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            migrate(open_database(tmp_path))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    migrate(database)
    with database.write() as session:
        session.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(ConflictError, match="9999"):
        migrate(database)
    assert "runs" in inspect(database.engine).get_table_names()


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "test.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ExpertScopeError, match="not a database") as caught:
        migrate(open_database(tmp_path))
    assert "\n" not in caught.value.message


def test_the_first_migration_can_be_taken_back(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    migrate(database)
    with database.engine.execution_options(expertscope_writes=True).begin() as connection:
        command.downgrade(configuration(connection), "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
