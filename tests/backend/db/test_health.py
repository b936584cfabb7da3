"""What is looked at before anybody writes to a database, and what faults say to a person."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from analysis.errors import ConflictError, DamagedError
from backend.db import Database, check_database, faults_of, migrate, passing_reason
from backend.db.engine import APPLICATION_ID


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with some rows, and its journal folded in."""
    path = tmp_path / "expertscope.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    with database.write() as session:
        for number in range(500):
            row = f"('{number}', 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00', '{'x' * 200}')"
            session.execute(text(f"insert into workers (id, pid, started, seen, machine) values {row}"))
    database.truncate_journal()
    database.close()
    return path


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def damage(path: Path) -> None:
    """Overwrite a page of the largest table."""
    with closing(sqlite3.connect(path)) as connection:
        page = connection.execute("select rootpage from sqlite_master where name = 'workers'").fetchone()[0]
        size = connection.execute("pragma page_size").fetchone()[0]
    data = bytearray(path.read_bytes())
    data[(page - 1) * size : page * size] = b"\xff" * size
    path.write_bytes(data)


def test_a_sound_database_passes_and_so_does_none(path: Path, tmp_path: Path) -> None:
    check_database(url(path))
    check_database(url(tmp_path / "none.db"))
    assert not (tmp_path / "none.db").exists()
    assert faults_of(url(path)) == []


def test_a_damaged_database_is_refused_with_the_way_out(path: Path) -> None:
    damage(path)
    with pytest.raises(DamagedError, match=r"is damaged .*'expertscope restore BACKUP --data DIR'") as caught:
        check_database(url(path))
    assert "\n" not in caught.value.message
    assert faults_of(url(path)) != []


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(DamagedError, match="not a database"):
        check_database(url(tmp_path / "x.db"))


def test_a_row_whose_parent_is_gone_is_a_fault(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("insert into run_files values ('nowhere', 'x', 1, 'y')")
        connection.commit()
    with pytest.raises(DamagedError, match="run_files refers to a row of runs that is not there"):
        check_database(url(path))


def test_a_database_of_a_newer_version_or_of_another_program_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma application_id").fetchone()[0] == APPLICATION_ID
        connection.execute("update alembic_version set version_num = '9999'")
        connection.commit()
    with pytest.raises(ConflictError, match=r"'9999'.*newer"):
        check_database(url(path))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma application_id = 1234")
    with pytest.raises(ConflictError, match="another program"):
        check_database(url(path))


def test_what_was_deleted_is_no_longer_in_the_file(path: Path) -> None:
    """The playground's texts: neither in free pages nor in the journal."""
    secret = b"a prompt that nobody may find again"
    database = Database(url(path))
    with database.write() as session:
        now = "'2026-01-01 00:00:00', '2026-01-01 00:00:00'"
        session.execute(
            text(f"insert into workers (id, pid, started, seen, machine) values ('{secret.decode()}', 1, {now}, '')")
        )
    database.truncate_journal()
    assert secret in path.read_bytes()
    with database.write() as session:
        session.execute(text("delete from workers where pid = 1"))
    database.truncate_journal()
    database.close()
    files = [*path.parent.glob("expertscope.db*")]
    assert [file.name for file in files if secret in file.read_bytes()] == []


def test_a_lock_that_is_held_for_long_says_what_to_do(path: Path) -> None:
    database = Database(url(path))
    with database.engine.connect() as warm:
        warm.connection.execute("PRAGMA busy_timeout=10").close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError) as caught, database.write() as session:
            session.execute(text("delete from workers"))
    assert passing_reason(caught.value) == (
        "the database is locked by another program for long: try again, and end what holds it"
    )
    database.close()


def test_a_full_disk_says_so_and_the_database_goes_on(path: Path) -> None:
    database = Database(url(path))
    with database.engine.connect() as connection:
        pages = connection.connection.execute("PRAGMA page_count").fetchone()[0]
        connection.connection.execute(f"PRAGMA max_page_count={pages}").close()
    with pytest.raises(OperationalError) as caught, database.write() as session:
        session.execute(
            text(
                "insert into workers (id, pid, started, seen, machine) "
                "select id || 'x', pid, started, seen, hex(zeroblob(9000)) from workers"
            )
        )
    assert passing_reason(caught.value) == "the disk of the database is full: make room and try again"
    with database.read() as session:
        assert session.scalar(text("select count(*) from workers")) == 500
    database.close()


def test_a_mistake_of_the_program_is_not_called_passing(path: Path) -> None:
    database = Database(url(path))
    with pytest.raises(OperationalError) as caught, database.read() as session:
        session.execute(text("select * from nowhere"))
    assert passing_reason(caught.value) is None
    database.close()
