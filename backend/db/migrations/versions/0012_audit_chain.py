"""Every entry of the audit log carries the hash of the one before, and says from where it came.

Entries that are there already are chained in their order. The hash is written out here, as it is at this revision:
a later change of `backend.db.chain` must not change what old entries had.
"""

import hashlib
import json
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_TABLE = sa.table(
    "audit_log",
    sa.column("id", sa.Integer),
    sa.column("time", sa.DateTime),
    sa.column("actor", sa.Text),
    sa.column("role", sa.Text),
    sa.column("action", sa.Text),
    sa.column("subject", sa.Text),
    sa.column("details", sa.JSON),
    sa.column("address", sa.Text),
    sa.column("previous", sa.Text),
    sa.column("hash", sa.Text),
)


def upgrade() -> None:
    op.add_column("audit_log", sa.Column("address", sa.Text(), nullable=False, server_default=""))
    for name in ("previous", "hash"):
        op.add_column("audit_log", sa.Column(name, sa.String(length=64), nullable=False, server_default=""))
    _open()
    connection, previous = op.get_bind(), ""
    for row in connection.execute(sa.select(_TABLE).order_by(_TABLE.c.id)).all():
        digest = _hash(row, previous)
        connection.execute(sa.update(_TABLE).where(_TABLE.c.id == row.id).values(previous=previous, hash=digest))
        previous = digest
    _close()


def downgrade() -> None:
    _open()
    with op.batch_alter_table("audit_log") as table:
        for name in ("address", "previous", "hash"):
            table.drop_column(name)
    _close()


def _hash(row: "sa.Row[tuple[object, ...]]", previous: str) -> str:
    time: datetime = row.time
    parts = [
        previous,
        row.id,
        time.replace(tzinfo=UTC).isoformat(),
        row.actor,
        row.role,
        row.address,
        row.action,
        row.subject,
        row.details,
    ]
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _open() -> None:
    """The one moment in which entries may be changed: inside this migration's transaction."""
    if op.get_bind().dialect.name == "sqlite":
        for change in ("update", "delete"):
            op.execute(f"DROP TRIGGER audit_log_no_{change}")
    else:
        op.execute("ALTER TABLE audit_log DISABLE TRIGGER audit_log_no_change")


def _close() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_log_no_{change.lower()} BEFORE {change} ON audit_log "
                "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
            )
    else:
        op.execute("ALTER TABLE audit_log ENABLE TRIGGER audit_log_no_change")
