"""Several workers: who has taken a run up, what they kept, in which order runs go, and what they wait for."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

RUNS = (
    ("priority", sa.Integer(), "1"),
    ("creator", sa.Text(), "local"),
    ("worker", sa.Text(), None),
    ("losses", sa.Integer(), "0"),
    ("retries", sa.Integer(), "0"),
    ("retry_at", sa.DateTime(), None),
    ("retry_reason", sa.Text(), None),
    ("batch_tokens", sa.Integer(), None),
)


def upgrade() -> None:
    for name, kind, default in RUNS:
        op.add_column("runs", sa.Column(name, kind, nullable=default is None, server_default=default))
    op.create_table(
        "run_shards",
        sa.Column("run_id", sa.String(length=12), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "key", name=op.f("pk_run_shards")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_shards_run_id"), ondelete="CASCADE"),
    )
    op.add_column("playground_questions", sa.Column("worker", sa.Text(), nullable=True))
    op.add_column("workers", sa.Column("kernel", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("workers", "kernel")
    op.drop_column("playground_questions", "worker")
    op.drop_table("run_shards")
    for name, _, _ in reversed(RUNS):
        op.drop_column("runs", name)
