"""Anomaly groups in the store: written once, extended while they last, listed and counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from lib.metrics.model import AnomalyGroup, GroupKind
from lib.metrics.records import as_data, read_data
from lib.store import AnomalyGroupRow, FeedbackRow, Store, utc_now

MAX_LISTED = 5_000


@dataclass(frozen=True)
class GroupQuery:
    """Which groups of a detector to list."""

    detector: str
    least_severity: float = 0.0
    measure: str = ""  # empty: all
    text: str = ""  # in a measure or in a value of an affected series
    start: datetime | None = None
    end: datetime | None = None


def list_groups(store: Store, query: GroupQuery) -> tuple[AnomalyGroup, ...]:
    """Return the groups, the most severe first, at most 5,000."""
    rows = _matching(query).order_by(AnomalyGroupRow.severity.desc(), AnomalyGroupRow.start.desc())
    with store.read() as session:
        found = [
            read_data(AnomalyGroup, row.detail) for row in session.scalars(rows.limit(MAX_LISTED))
        ]
    wanted = query.text.strip().casefold()
    return tuple(one for one in found if not wanted or wanted in _searchable(one))


def find_group(store: Store, group_id: str) -> AnomalyGroup | None:
    """Return the group with an id, or None."""
    with store.read() as session:
        row = session.get(AnomalyGroupRow, group_id)
        return None if row is None else read_data(AnomalyGroup, row.detail)


def severity_by_day(store: Store, detector: str, zone: str) -> Mapping[date, float]:
    """Return the highest severity of each local day on which a group began."""
    rows = select(AnomalyGroupRow.start, AnomalyGroupRow.severity).where(
        AnomalyGroupRow.detector == detector
    )
    here = ZoneInfo(zone)
    highest: dict[date, float] = {}
    with store.read() as session:
        for start, severity in session.execute(rows):
            day = start.astimezone(here).date()
            highest[day] = max(highest.get(day, 0.0), severity)
    return highest


def counts_since(store: Store, since: datetime, least_severity: float) -> Mapping[str, int]:
    """Return how many groups each detector has found that began since a time."""
    rows = (
        select(AnomalyGroupRow.detector, func.count())
        .where(AnomalyGroupRow.start >= since, AnomalyGroupRow.severity >= least_severity)
        .group_by(AnomalyGroupRow.detector)
    )
    with store.read() as session:
        return {detector: int(count) for detector, count in session.execute(rows)}


def related_groups(
    store: Store, group: AnomalyGroup, within: timedelta
) -> tuple[AnomalyGroup, ...]:
    """Return the detector's other groups that overlap in time, within some slack."""
    query = GroupQuery(group.detector, start=group.start - within, end=group.end + within)
    return tuple(one for one in list_groups(store, query) if one.id != group.id)


def write_groups(
    session: Session, groups: Iterable[AnomalyGroup], slack: timedelta, *, announced: bool
) -> list[AnomalyGroup]:
    """Write groups, in the caller's transaction, and return them as they are kept.

    A group that goes on where a kept one of its measure has ended, within the slack and in some of
    its series, extends it: same id, the higher severity and the worse interval. Alerts look at
    groups that are not `announced`.
    """
    written = []
    for group in groups:
        kept = _extended(session, group, slack) or group
        session.merge(_row(kept, announced=announced))
        session.flush()
        written.append(kept)
    return written


def feedback_of(store: Store, groups: Iterable[str]) -> Mapping[str, bool]:
    """Return what was said last of whole groups, by their ids."""
    rows = (
        select(FeedbackRow.group, FeedbackRow.is_anomaly)
        .where(FeedbackRow.group.in_(list(groups)), FeedbackRow.undone_at.is_(None))
        .order_by(FeedbackRow.id)
    )
    with store.read() as session:
        return {row.group: row.is_anomaly for row in session.execute(rows)}


def _extended(session: Session, group: AnomalyGroup, slack: timedelta) -> AnomalyGroup | None:
    open_rows = select(AnomalyGroupRow).where(
        AnomalyGroupRow.detector == group.detector,
        AnomalyGroupRow.measure == group.measure,
        AnomalyGroupRow.kind == group.kind,
        AnomalyGroupRow.start < group.start,
        AnomalyGroupRow.end >= group.start - slack,
    )
    keys = {series.key for series in group.series}
    for row in session.scalars(open_rows.order_by(AnomalyGroupRow.start)):
        before = read_data(AnomalyGroup, row.detail)
        shared = keys & {series.key for series in before.series}
        if shared or group.kind is GroupKind.MISSING_DATA:
            worse = group if group.severity > before.severity else before
            end = max(before.end, group.end)
            return replace(worse, id=before.id, start=before.start, end=end)
    return None


def _matching(query: GroupQuery) -> Select[AnomalyGroupRow]:
    rows = select(AnomalyGroupRow).where(
        AnomalyGroupRow.detector == query.detector,
        AnomalyGroupRow.severity >= query.least_severity,
    )
    if query.measure:
        rows = rows.where(AnomalyGroupRow.measure == query.measure)
    if query.start is not None:
        rows = rows.where(AnomalyGroupRow.end > query.start)
    if query.end is not None:
        rows = rows.where(AnomalyGroupRow.start < query.end)
    return rows


def _searchable(group: AnomalyGroup) -> str:
    values = {value for series in group.series for value in series.key if value}
    return " ".join((group.measure, group.kind, *sorted(values))).casefold()


def _row(group: AnomalyGroup, *, announced: bool) -> AnomalyGroupRow:
    now = utc_now()
    return AnomalyGroupRow(
        id=group.id,
        detector=group.detector,
        measure=group.measure,
        kind=group.kind,
        direction=group.direction,
        start=group.start,
        end=group.end,
        severity=group.severity,
        series_count=group.series_count,
        detail=as_data(group),
        found_at=now,
        announced_at=now if announced else None,
    )
