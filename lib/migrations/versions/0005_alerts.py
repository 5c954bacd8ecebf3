"""Which groups alerts have looked at, and how a notification is written."""

import sqlalchemy as sa
from alembic import op

from lib.store import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was found before is not announced."""
    with op.batch_alter_table("anomaly_group") as table:
        table.add_column(sa.Column("announced_at", UtcDateTime()))
    op.execute("UPDATE anomaly_group SET announced_at = found_at")
    op.create_index("ix_anomaly_group_announced_at", "anomaly_group", ["announced_at"])
    # Nothing has written notifications before.
    with op.batch_alter_table("notification") as table:
        table.add_column(sa.Column("format", sa.String(16), nullable=False))


def downgrade() -> None:
    """Drop the columns."""
    with op.batch_alter_table("notification") as table:
        table.drop_column("format")
    op.drop_index("ix_anomaly_group_announced_at", "anomaly_group")
    with op.batch_alter_table("anomaly_group") as table:
        table.drop_column("announced_at")
