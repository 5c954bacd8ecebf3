"""Detectors, what they evaluated and found, feedback, alerts and their notifications."""

import sqlalchemy as sa
from alembic import op

from lib.store import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "detector",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("folded_name", sa.String(200), nullable=False, unique=True),
        sa.Column("description", sa.String(256), nullable=False),
        sa.Column("dataset", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "evaluated_interval",
        sa.Column("detector", sa.String(32), primary_key=True),
        sa.Column("start", UtcDateTime(), primary_key=True),
        sa.Column("evaluated_at", UtcDateTime(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "anomaly_group",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("detector", sa.String(32), nullable=False),
        sa.Column("measure", sa.String(256), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("start", UtcDateTime(), nullable=False),
        sa.Column("end", UtcDateTime(), nullable=False),
        sa.Column("severity", sa.Double(), nullable=False),
        sa.Column("series_count", sa.Integer(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("found_at", UtcDateTime(), nullable=False),
    )
    op.create_index("anomaly_group_time", "anomaly_group", ["detector", "start"])
    op.create_index("anomaly_group_severity", "anomaly_group", ["detector", "severity"])
    op.create_table(
        "anomaly_feedback",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("group", sa.String(32), nullable=False),
        sa.Column("series", sa.JSON()),
        sa.Column("is_anomaly", sa.Boolean(), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("undone_by", sa.String(200)),
        sa.Column("undone_at", UtcDateTime()),
    )
    op.create_index("ix_anomaly_feedback_group", "anomaly_feedback", ["group"])
    op.create_table(
        "alert",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("detector", sa.String(32), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("folded_name", sa.String(200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.Column("last_sent_at", UtcDateTime()),
        sa.Column("deleted_at", UtcDateTime()),
        sa.UniqueConstraint("detector", "folded_name"),
    )
    op.create_index("ix_alert_detector", "alert", ["detector"])
    op.create_table(
        "alert_version",
        sa.Column("alert", sa.String(32), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.Column("change", sa.String(16), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "notification",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("alert", sa.String(32), nullable=False),
        sa.Column("detector", sa.String(32), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("channel", sa.JSON(), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("sent_at", UtcDateTime()),
        sa.Column("read_at", UtcDateTime()),
    )
    op.create_index("ix_notification_alert", "notification", ["alert"])
    op.create_index("ix_notification_created_at", "notification", ["created_at"])
    op.create_index("notification_due", "notification", ["state", "due_at"])


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "notification",
        "alert_version",
        "alert",
        "anomaly_feedback",
        "anomaly_group",
        "evaluated_interval",
        "detector",
    ):
        op.drop_table(table)
