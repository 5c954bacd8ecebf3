"""Collections of documents that were added to search, and the newest job of a title found fast."""

import sqlalchemy as sa
from alembic import op

from lib.store import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create table and index."""
    op.create_table(
        "search_collection",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("folded_name", sa.String(200), nullable=False, unique=True),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("added_by", sa.String(200), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
    )
    op.create_index("job_title_created", "job", ["title", "created_at"])


def downgrade() -> None:
    """Drop table and index."""
    op.drop_index("job_title_created", "job")
    op.drop_table("search_collection")
