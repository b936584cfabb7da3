"""What a worker computes with."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("workers", sa.Column("machine", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("workers", "machine")
