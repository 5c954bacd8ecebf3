"""Ranges of numbers and dates that are selected: written into an address, and as a filter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from lib.search.hierarchies import SelectionError
from lib.search.model import And, Attribute, AttributeType, Filter, Range

MAX_INTERVALS = 8

Bound = int | date

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Interval:
    """Whole numbers or days from `low` to `high`, both included; None is no bound."""

    attribute: str
    low: Bound | None = None
    high: Bound | None = None

    def __str__(self) -> str:
        """Return the interval as people write it, such as `2015..2020` or `..2024-05-03`."""
        low, high = ("" if bound is None else str(bound) for bound in (self.low, self.high))
        return f"{low}..{high}"

    @property
    def range(self) -> Range:
        """Return the interval as a filter; days are those of UTC."""
        low, high = self.low, self.high
        if isinstance(high, date):
            if high == date.max:
                return Range(self.attribute, _midnight(low))
            return Range(
                self.attribute, _midnight(low), _midnight(high + _ONE_DAY), high_included=False
            )
        return Range(self.attribute, _midnight(low), high)


def intervals_text(intervals: Iterable[Interval]) -> str:
    """Return intervals as text, such as `year:2015..2020;_created_at:2024-01-01..`."""
    return ";".join(f"{interval.attribute}:{interval}" for interval in intervals)


def read_intervals(text: str, known: Mapping[str, Attribute]) -> tuple[Interval, ...]:
    """Return the intervals of a text; raises `SelectionError` where they are none."""
    intervals = [_read(part.strip(), known) for part in text.split(";") if part.strip()]
    if len({interval.attribute for interval in intervals}) < len(intervals):
        raise SelectionError("Each attribute has one range.")
    if len(intervals) > MAX_INTERVALS:
        raise SelectionError(f"There are at most {MAX_INTERVALS} ranges.")
    return tuple(intervals)


def filter_of(intervals: Iterable[Interval]) -> Filter | None:
    """Return the filter that lets through what lies in every interval; None where there is none."""
    ranges = tuple(interval.range for interval in intervals)
    return And(ranges) if len(ranges) > 1 else ranges[0] if ranges else None


def with_interval(intervals: Iterable[Interval], new: Interval) -> tuple[Interval, ...]:
    """Return the intervals with another one in place of its attribute's; without bounds it goes."""
    kept = tuple(one for one in intervals if one.attribute != new.attribute)
    return kept if new.low is None and new.high is None else (*kept, new)


def _read(text: str, known: Mapping[str, Attribute]) -> Interval:
    name, _, bounds = text.partition(":")
    name, (low_text, dots, high_text) = name.strip(), bounds.partition("..")
    attribute = known.get(name)
    if attribute is None:
        raise SelectionError(f"The index has no attribute “{name[:80]}”.")
    if attribute.type not in {AttributeType.LONG, AttributeType.DATE}:
        raise SelectionError(f"“{name}” holds strings, so it has no range.")
    is_date = attribute.type is AttributeType.DATE
    kind = "days, as in 2024-01-01..2024-12-31" if is_date else "whole numbers, as in 10..20"
    shape = f"The range of “{name}” is two {kind}; one of them may be left out."
    try:
        low, high = (_bound(part.strip(), is_date=is_date) for part in (low_text, high_text))
    except (ValueError, OverflowError):
        raise SelectionError(shape) from None
    if not dots or low is high is None:
        raise SelectionError(shape)
    if low is not None and high is not None and low > high:  # type: ignore[operator]  # one kind
        raise SelectionError(f"The range of “{name}” ends before it begins.")
    return Interval(name, low, high)


def _bound(text: str, *, is_date: bool) -> Bound | None:
    if not text:
        return None
    if is_date:
        return date.fromisoformat(text)
    return min(max(int(text), _LOWEST), _HIGHEST)


def _midnight(bound: Bound | None) -> int | datetime | None:
    if isinstance(bound, date):
        return datetime(bound.year, bound.month, bound.day, tzinfo=UTC)
    return bound
