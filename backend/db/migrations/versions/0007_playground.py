"""Questions of the playground, which the worker answers between runs."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "playground_questions",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("model_id", sa.String(length=12), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("judge", sa.Text(), nullable=False),
        sa.Column("max_new_tokens", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=16), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("started", sa.DateTime(), nullable=True),
        sa.Column("finished", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_playground_questions")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_playground_questions_model_id")),
    )
    op.create_index(op.f("ix_playground_questions_created_id"), "playground_questions", ["created", "id"])
    op.create_index(op.f("ix_playground_questions_status"), "playground_questions", ["status"])


def downgrade() -> None:
    op.drop_table("playground_questions")
