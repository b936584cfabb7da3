"""Alembic's entry point. Always runs on the connection that `backend.db.migrate` hands over."""

from alembic import context

from backend.db.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter columns in place
    compare_type=True,
)
context.run_migrations()
