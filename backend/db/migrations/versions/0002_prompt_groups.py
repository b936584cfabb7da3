"""Prompts know whether they are jailbreaks, and prompt sets how many there are."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("prompts", sa.Column("prompt_group", sa.String(length=16), nullable=False, server_default="regular"))
    op.add_column("prompt_sets", sa.Column("jailbreak", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("prompt_sets", "jailbreak")
    op.drop_column("prompts", "prompt_group")
