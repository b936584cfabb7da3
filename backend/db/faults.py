"""What a database's fault means to a person, where it is one that passes or that somebody can end."""

import sqlite3

from sqlalchemy.exc import DBAPIError

_SQLITE = {
    sqlite3.SQLITE_BUSY: "the database is locked by another program for long: try again, and end what holds it",
    sqlite3.SQLITE_LOCKED: "the database is locked by another program for long: try again, and end what holds it",
    sqlite3.SQLITE_FULL: "the disk of the database is full: make room and try again",
    sqlite3.SQLITE_IOERR: "the disk of the database cannot be read or written: the server's log says how",
    sqlite3.SQLITE_READONLY: "the database cannot be written: look at the owner and the mode of the data folder",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened: look at the owner and the mode of the data folder",
    sqlite3.SQLITE_CORRUPT: "the database is damaged: 'expertscope check' lists the faults, 'expertscope restore' "
    "brings back a backup",
    sqlite3.SQLITE_NOTADB: "the database is damaged: 'expertscope restore' brings back a backup",
}
_PRIMARY = 0xFF
"""The low byte of an extended code says which kind of fault it is."""
_POSTGRES = {
    "53100": "the disk of the database is full: make room and try again",
    "53200": "the database server is out of memory: try again",
    "53300": "the database server has too many connections: try again",
    "40001": "another program changed the same rows: try again",
    "40P01": "another program changed the same rows: try again",
    "55P03": "the database is locked by another program for long: try again",
    "57P01": "the database server is shutting down: try again",
    "57P03": "the database server is starting: try again",
}


def passing_reason(error: DBAPIError) -> str | None:
    """One line on what happened and what to do; None for a fault that is a mistake of the program."""
    original = error.orig
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", None)
        return None if code is None else _SQLITE.get(code & _PRIMARY)
    state = getattr(original, "sqlstate", None)
    if state is None and error.connection_invalidated:
        return "the database server does not answer: try again, and look whether it runs"
    if state is None and type(original).__name__ == "OperationalError":
        return "the database server does not answer: try again, and look whether it runs"
    return _POSTGRES.get(state or "")
