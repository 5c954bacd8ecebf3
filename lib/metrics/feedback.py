"""What people say of anomaly groups, and what later severities make of it.

Each "not an anomaly" of a series multiplies the divisor of its z by 1.25, each "real" divides it
again, between 1 and 4: so the same deviation weighs less after false alarms, and never more than at
first. What is said of a group is said of all its affected series.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from lib.metrics.groups_store import find_group
from lib.metrics.model import MetricsError, SeriesKey
from lib.store import AnomalyGroupRow, FeedbackRow, Store, utc_now

STEP = 1.25
LARGEST = 4.0


@dataclass(frozen=True)
class Feedback:
    """What somebody said of a group or one of its series, and whether it was taken back."""

    id: int
    group: str
    series: SeriesKey | None
    is_anomaly: bool
    who: str
    at: datetime
    undone_by: str
    undone_at: datetime | None


def give_feedback(
    store: Store, group: str, *, is_anomaly: bool, who: str, series: SeriesKey | None = None
) -> None:
    """Keep what somebody says of a group; raises `MetricsError` where it is gone."""
    if find_group(store, group) is None:
        raise MetricsError("This anomaly is no longer kept.")
    row = FeedbackRow(
        group=group,
        series=None if series is None else list(series),
        is_anomaly=is_anomaly,
        who=who,
        at=utc_now(),
    )
    with store.write() as session:
        session.add(row)


def undo_feedback(store: Store, feedback: int, who: str) -> None:
    """Take back what was said; it stays in the history."""
    standing = (FeedbackRow.id == feedback) & FeedbackRow.undone_at.is_(None)
    with store.write() as session:
        session.execute(
            update(FeedbackRow).where(standing).values(undone_by=who, undone_at=utc_now())
        )


def feedback_on(store: Store, group: str) -> tuple[Feedback, ...]:
    """Return all that was said of a group, the newest first."""
    rows = select(FeedbackRow).where(FeedbackRow.group == group).order_by(FeedbackRow.id.desc())
    with store.read() as session:
        return tuple(_feedback(row) for row in session.scalars(rows))


def factors(store: Store, detector: str) -> Mapping[str, Mapping[SeriesKey, float]]:
    """Return by measure what the z of series is divided by after all that was said."""
    rows = (
        select(FeedbackRow)
        .join(AnomalyGroupRow, AnomalyGroupRow.id == FeedbackRow.group)
        .where(AnomalyGroupRow.detector == detector, FeedbackRow.undone_at.is_(None))
        .order_by(FeedbackRow.id)
    )
    with store.read() as session:
        said = [_feedback(row) for row in session.scalars(rows)]
    divisors: dict[str, dict[SeriesKey, float]] = {}
    for one in said:
        group = find_group(store, one.group)
        if group is None:
            continue
        keys = [series.key for series in group.series] if one.series is None else [one.series]
        of_measure = divisors.setdefault(group.measure, {})
        for key in keys:
            moved = of_measure.get(key, 1.0) * (1 / STEP if one.is_anomaly else STEP)
            of_measure[key] = min(max(moved, 1.0), LARGEST)
    return divisors


def _feedback(row: FeedbackRow) -> Feedback:
    return Feedback(
        row.id,
        row.group,
        None if row.series is None else tuple(row.series),
        row.is_anomaly,
        row.who,
        row.at,
        row.undone_by or "",
        row.undone_at,
    )
