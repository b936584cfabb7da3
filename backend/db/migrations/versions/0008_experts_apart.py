"""The experts of a report apart from the rest of it, and what belongs to one layer apart from the other layers."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("run_results", sa.Column("experts", sa.LargeBinary(), nullable=True))
    op.create_table(
        "run_layers",
        sa.Column("run_id", sa.String(length=12), nullable=False),
        sa.Column("layer", sa.Integer(), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_layers_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "layer", name=op.f("pk_run_layers")),
    )


def downgrade() -> None:
    """Results that were stored since cannot be read by an older version."""
    op.drop_table("run_layers")
    op.drop_column("run_results", "experts")
