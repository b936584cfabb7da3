"""Brings a database to the newest schema at start, whichever process comes first; the others wait and find it done."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from analysis.errors import ConflictError, ExpertScopeError
from backend.db.engine import APPLICATION_ID, Database
from backend.db.faults import passing_reason

_ADVISORY_LOCK = 4_977_310


def migrate(database: Database) -> None:
    """Run every missing migration in one transaction: all of them take hold, or none.

    Raises ConflictError for a database of a newer ExpertScope, ExpertScopeError for one that cannot be used at all.
    """
    writer = database.engine.execution_options(expertscope_writes=True)
    try:
        with writer.begin() as connection:
            _wait_for_turn(connection)
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
            command.upgrade(configuration(connection), "head")
    except CommandError as fault:
        raise ConflictError(
            f"the database does not fit this version of ExpertScope: {fault}; use a newer one"
        ) from fault
    except DBAPIError as fault:
        place = database.engine.url.render_as_string(hide_password=True)
        reason = passing_reason(fault)
        advice = f" ({reason})" if reason else ""
        raise ExpertScopeError(f"the database {place} cannot be used: {fault.orig}{advice}") from fault


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for an open connection; there is no ini file, so an installed package can migrate too."""
    config = _config()
    config.attributes["connection"] = connection
    return config


def known_revisions() -> list[str]:
    """Every schema that this version can bring to the newest, which is the first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def _wait_for_turn(connection: Connection) -> None:
    """SQLite's BEGIN IMMEDIATE has locked already; PostgreSQL needs to be asked."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
