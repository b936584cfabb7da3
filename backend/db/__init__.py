"""The application database: tables, engine, migrations. Only `backend.services` uses it."""

from backend.db.engine import Database
from backend.db.migrate import migrate

__all__ = ["Database", "migrate"]
