"""How well a detector did on the intervals it looked back at, with and without known incidents."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from lib.metrics.model import AnomalyGroup, MetricsError
from lib.metrics.severity import false_groups_per_week

THRESHOLDS = (50, 60, 70, 80, 90)
MAX_LABELS = 10_000


@dataclass(frozen=True)
class Label:
    """A known incident: when it was, `end` exclusive, and its measure; empty for all."""

    start: datetime
    end: datetime
    measure: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a severity threshold would have given; None where no incident is known."""

    threshold: int
    groups: int
    per_week: float
    by_chance_per_week: float  # at most
    precision: float | None  # share of the groups that overlap an incident, 0 to 1
    recall: float | None  # share of the incidents that a group overlaps
    delay: (
        timedelta | None
    )  # median, from an incident's start to the end of its first interval seen


def outcomes(
    groups: Sequence[AnomalyGroup],
    labels: Sequence[Label],
    span: tuple[datetime, datetime],
    interval: timedelta,
) -> tuple[Outcome, ...]:
    """Return what each of THRESHOLDS would have given over a span, start and end.

    An event is seen an `interval` after it starts.
    """
    start, end = span
    weeks = max((end - start) / timedelta(weeks=1), 1e-9)
    known = [one for one in labels if one.end > start and one.start < end]
    return tuple(_outcome(groups, known, threshold, weeks, interval) for threshold in THRESHOLDS)


def read_labels(data: bytes, zone: str, measures: Iterable[str]) -> tuple[Label, ...]:
    """Return the incidents of a CSV with the columns start, end and, if wanted, measure.

    Times are ISO 8601, in `zone` where they name none. Raises `MetricsError` with the line.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise MetricsError("The incidents are not a CSV file in UTF-8.") from error
    if not rows or not {"start", "end"} <= set(rows[0]):
        raise MetricsError("The first line must name the columns start and end, and may measure.")
    if len(rows) > MAX_LABELS:
        raise MetricsError(f"There are {len(rows):,} incidents; {MAX_LABELS:,} are the most.")
    known = set(measures)
    return tuple(_label(row, line, zone, known) for line, row in enumerate(rows, start=2))


def _label(row: dict[str, str | None], line: int, zone: str, measures: set[str]) -> Label:
    start, end = (_time(row[name] or "", line, zone) for name in ("start", "end"))
    if end <= start:
        raise MetricsError(f"Line {line}: the incident ends before it starts.")
    measure = (row.get("measure") or "").strip()
    if measure and measure not in measures:
        raise MetricsError(
            f"Line {line}: {measure!r} is no measure; there are {', '.join(sorted(measures))}."
        )
    return Label(start, end, measure)


def _time(text: str, line: int, zone: str) -> datetime:
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise MetricsError(f"Line {line}: {text.strip()!r} is no time in ISO 8601.") from error
    return (time if time.tzinfo else time.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def _outcome(
    groups: Sequence[AnomalyGroup],
    labels: Sequence[Label],
    threshold: int,
    weeks: float,
    interval: timedelta,
) -> Outcome:
    sent = [one for one in groups if one.severity >= threshold]
    right = [one for one in sent if any(_meet(one, label) for label in labels)]
    first = [
        min(one.start for one in sent if _meet(one, label)) + interval
        for label in labels
        if any(_meet(one, label) for one in sent)
    ]
    starts = [label.start for label in labels if any(_meet(one, label) for one in sent)]
    delays = [
        max((at - start).total_seconds(), 0.0) for at, start in zip(first, starts, strict=True)
    ]
    return Outcome(
        threshold,
        len(sent),
        len(sent) / weeks,
        false_groups_per_week(threshold),
        len(right) / len(sent) if labels and sent else None,
        len(first) / len(labels) if labels else None,
        timedelta(seconds=median(delays)) if delays else None,
    )


def _meet(group: AnomalyGroup, label: Label) -> bool:
    same = not label.measure or not group.measure or label.measure == group.measure
    return same and group.start < label.end and group.end > label.start
