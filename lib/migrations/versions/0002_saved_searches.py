"""Searches that users keep under a name."""

import sqlalchemy as sa
from alembic import op

from lib.store import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "saved_search",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("view", sa.JSON(), nullable=False),
        sa.Column("saved_at", UtcDateTime(), nullable=False),
        sa.UniqueConstraint("owner", "name"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("saved_search")
