"""Anomaly groups in words: amounts, spans of time and the one sentence that says what happened."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import isfinite
from zoneinfo import ZoneInfo

from lib.metrics.model import AnomalyGroup, Direction, Frequency, GroupKind, SeriesKey, Unit

DIGITS = 4  # significant ones, of amounts below a thousand
FACTOR_FROM = 1_000  # percent; beyond it a factor says more
WHOLE_FROM = 10  # percent; below it one digit after the point
ALL = "all"
EMPTY = "(empty)"
EVERYWHERE, EVERYTHING = "everywhere", "everything"
UNIT_NAMES = {
    Unit.SECOND: "second",
    Unit.MINUTE: "minute",
    Unit.HOUR: "hour",
    Unit.DAY: "day",
    Unit.WEEK: "week",
    Unit.MONTH: "month",
}


def amount(value: float) -> str:
    """Return an amount with digits that fit its size: 12,345, 123.4 or 0.001234."""
    if not isfinite(value):
        return "unknown"
    if abs(value) >= 10 ** (DIGITS - 1):
        return f"{value:,.0f}"
    return f"{value:.{DIGITS}g}"


def change(observed: float, expected: float) -> str:
    """Return how far off a value is: "23 % below", or the amounts where a share says nothing."""
    if expected > 0 and observed >= 0:
        percent = 100 * (observed - expected) / expected
        if abs(percent) < FACTOR_FROM:
            digits = 0 if abs(percent) >= WHOLE_FROM else 1
            return f"{abs(percent):.{digits}f} % {'above' if percent > 0 else 'below'}"
        return f"{observed / expected:,.0f} times"
    side = "above" if observed > expected else "below"
    return f"{amount(abs(observed - expected))} {side}"


def span(start: datetime, end: datetime, zone: str) -> str:
    """Return a span in local time; whole days without hours, `end` being exclusive."""
    here = ZoneInfo(zone)
    first, last = start.astimezone(here), end.astimezone(here)
    if (first.hour, first.minute, last.hour, last.minute) == (0, 0, 0, 0) and last > first:
        inclusive = last - timedelta(days=1)
        return _day(first) if inclusive <= first else f"{_day(first)} to {_day(inclusive)}"
    if first.date() == last.date():
        return f"{_day(first)}, {first:%H:%M} to {last:%H:%M}"
    return f"{_day(first)}, {first:%H:%M} to {_day(last)}, {last:%H:%M}"


def headline(group: AnomalyGroup, zone: str) -> str:
    """Return what happened in one sentence without its full stop."""
    when = span(group.start, group.end, zone)
    if group.kind is GroupKind.MISSING_DATA:
        return f"No data arrived, {when}"
    where = place(group)
    what = f"{group.measure} in {where}" if where and where != EVERYWHERE else group.measure
    if group.direction is Direction.BOTH or not group.series:
        return f"{what}: both ways in {series_count(group.series_count)}, {when}"
    first = group.series[0]
    return f"{what}: {change(first.observed, first.expected)} what was expected, {when}"


def place(group: AnomalyGroup) -> str:
    """Return where a group sits: its best explanation in short."""
    if not group.causes:
        return EVERYWHERE if group.series_count > 1 else ""
    first = " · ".join(value or EMPTY for value in group.causes[0].values.values())
    more = len(group.causes) - 1
    return f"{first} and {more} more" if more else first


def period(frequency: Frequency) -> str:
    """Return a frequency as people say it: hour, 5 minutes."""
    name = UNIT_NAMES[frequency.unit]
    return name if frequency.count == 1 else f"{frequency.count} {name}s"


def series_count(count: int) -> str:
    """Return a number of series in words."""
    return f"{count:,} series"


def series_name(key: SeriesKey) -> str:
    """Return a series by its values, `all` where it stands for all values of a dimension."""
    if not key or all(value is None for value in key):
        return EVERYTHING
    return " · ".join(ALL if value is None else value or EMPTY for value in key)


def _day(time: datetime) -> str:
    return f"{time.day} {time:%b} {time.year}"
