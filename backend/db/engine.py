"""Opens the application database and hands out short transactions.

SQLite allows one writer at a time, so a write transaction takes its lock at the start (BEGIN IMMEDIATE): it waits for
its turn instead of failing half way through. Readers never wait (WAL). On PostgreSQL writers stand in such a queue, by
an advisory lock: what looks whether a row is there and then makes it would otherwise be made twice.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from analysis.errors import InputError

BUSY_TIMEOUT_MS = 30_000
_WRITER_LOCK = 4_977_312
APPLICATION_ID = 0x45585053
"""What says in an SQLite file that it is ours ("EXPS")."""


class Database:
    """One engine and two kinds of session. Safe to share between threads; a session is not."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self._writer = self.engine.execution_options(expertscope_writes=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one state of the database and leaves no trace."""
        with Session(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session committed at the end of the block, or rolled back when the block raises."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def truncate_journal(self) -> None:
        """Empty SQLite's write-ahead log, which still holds pages from before they were deleted. What somebody is
        reading stays until the next time."""
        if self.engine.dialect.name == "sqlite":
            with self.engine.connect() as connection:
                connection.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def ping(self) -> None:
        """Raise SQLAlchemyError when the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("select 1"))

    def close(self) -> None:
        self.engine.dispose()


def open_engine(url: str) -> Engine:
    """An engine for a sqlite or postgresql URL. Raises InputError for any other."""
    try:
        parsed = make_url(url)
    except ArgumentError as fault:
        raise InputError(
            "database_url is not a database URL: expected sqlite:///PATH or postgresql+psycopg://…"
        ) from fault
    if parsed.get_backend_name() == "postgresql":
        engine = create_engine(parsed, pool_pre_ping=True)
        event.listen(engine, "begin", _begin_postgres)
        return engine
    if parsed.get_backend_name() != "sqlite":
        raise InputError(
            f"database_url names '{parsed.get_backend_name()}': use sqlite:///PATH or postgresql+psycopg://…"
        )
    engine = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own; _begin_sqlite does
    # secure_delete: what is deleted, such as a question of the playground, is overwritten and not merely unlinked.
    pragmas = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}")
    for pragma in (*pragmas, "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("expertscope_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_postgres(connection: Connection) -> None:
    if connection.get_execution_options().get("expertscope_writes", False):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {BUSY_TIMEOUT_MS}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")


__all__ = ["Database", "SQLAlchemyError", "open_engine"]
