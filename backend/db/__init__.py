"""The application database: tables, engine, migrations, health. Only `backend.services` uses it."""

from backend.db.engine import Database
from backend.db.faults import passing_reason
from backend.db.health import check_database, faults_of
from backend.db.migrate import known_revisions, migrate

__all__ = ["Database", "check_database", "faults_of", "known_revisions", "migrate", "passing_reason"]
