"""Whether a database can be worked with, asked before anything is written to it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url

from analysis.errors import ConflictError, DamagedError
from backend.db.engine import APPLICATION_ID
from backend.db.migrate import known_revisions

_MOST = 20
_LOOKED_AT = 500


def check_database(url: str) -> None:
    """Raise DamagedError for an SQLite file that is damaged, ConflictError for one of another program or of a newer
    ExpertScope. A file that is not there is made later; a PostgreSQL server looks after its own files.

    Reads the file once from end to end, without its indexes: a second for a gigabyte, or less.
    """
    path = _file(url)
    if path is None or not path.exists() or path.stat().st_size == 0:
        return
    try:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            _check_owner(connection, path)
            faults = _faults(connection, "quick_check")
    except sqlite3.DatabaseError as fault:
        if isinstance(fault, sqlite3.OperationalError):
            raise DamagedError(f"the database '{path.name}' cannot be opened: {fault}") from fault
        faults = [str(fault)]
    if faults:
        raise DamagedError(
            f"the database '{path.name}' is damaged ({faults[0]}): move the data folder away and bring back a backup "
            "with 'expertscope restore BACKUP --data DIR'; 'expertscope check' lists all faults"
        )


def faults_of(url: str) -> list[str]:
    """Everything that is wrong with an SQLite file, its indexes included; nothing for PostgreSQL."""
    path = _file(url)
    if path is None:
        return []
    try:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            return _faults(connection, "integrity_check")
    except sqlite3.DatabaseError as fault:
        return [str(fault)]


def _file(url: str) -> Path | None:
    parsed = make_url(url)
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


def _check_owner(connection: sqlite3.Connection, path: Path) -> None:
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    if owner not in (0, APPLICATION_ID):
        raise ConflictError(f"'{path.name}' is the database of another program: choose another --data")
    versioned = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if versioned else None
    if row is not None and row[0] not in known_revisions():
        raise ConflictError(
            f"the database '{path.name}' has the schema '{row[0]}', which this version of ExpertScope does not know: "
            "it was used with a newer one; install that again, or restore a backup from before"
        )


def _faults(connection: sqlite3.Connection, pragma: str) -> list[str]:
    found = [row[0] for row in connection.execute(f"PRAGMA {pragma}({_MOST})")]
    lines = [line for text in found for line in text.splitlines() if not line.startswith("***")]
    faults = [line for line in lines if line != "ok"]
    for number, (table, row, parent, _) in enumerate(connection.execute("PRAGMA foreign_key_check")):
        if number == _LOOKED_AT:
            break
        faults.append(f"row {row} of {table} refers to a row of {parent} that is not there")
    return faults
