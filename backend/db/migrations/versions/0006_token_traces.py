"""Where single tokens of a run's prompts and answers were routed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "token_traces",
        sa.Column("run_id", sa.String(length=12), nullable=False),
        sa.Column("prompt_id", sa.Text(), nullable=False),
        sa.Column("trace", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_token_traces_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "prompt_id", name="pk_token_traces"),
    )


def downgrade() -> None:
    op.drop_table("token_traces")
