"""Intervals in time: where they start, by the clock or the local calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from lib.metrics.model import Frequency, MetricsError, Unit

Seconds = NDArray[np.int64]  # since 1970, UTC

MAX_INTERVALS = 2_000_000
MONTHS = 12


def interval_starts(frequency: Frequency, zone: str, first: int, last: int) -> Seconds:
    """Return the starts of all intervals from the one that holds `first` to the one of `last`.

    Up to hours they are multiples of the frequency since 1970 in UTC. Days begin at local midnight,
    weeks on Mondays and months on their first day; several of them count from 1970-01-05, a
    Monday, and months from January 1970. Raises `MetricsError` where there are too many.
    """
    if (last - first) // frequency.seconds > MAX_INTERVALS:
        raise MetricsError(
            f"From {_iso(first)} to {_iso(last)} there are more than {MAX_INTERVALS:,} intervals "
            f"of {frequency.iso}: a timestamp is wrong, or the frequency is too fine."
        )
    if not frequency.is_calendar:
        step = frequency.seconds
        return np.arange(first // step * step, last + 1, step, dtype=np.int64)
    here = ZoneInfo(zone)
    day = _first_day(frequency, datetime.fromtimestamp(first, UTC).astimezone(here).date())
    starts = []
    while (start := _midnight(day, here)) <= last:
        starts.append(start)
        day = _next_day(frequency, day)
    return np.array(starts, dtype=np.int64)


def interval_end(frequency: Frequency, zone: str, start: int) -> int:
    """Return where the interval that starts at `start` ends, exclusive."""
    if not frequency.is_calendar:
        return start + frequency.seconds
    here = ZoneInfo(zone)
    local = datetime.fromtimestamp(start, UTC).astimezone(here).date()
    return _midnight(_next_day(frequency, _first_day(frequency, local)), here)


def local_seconds(times: Seconds, zone: str) -> Seconds:
    """Return times as local clocks show them, in seconds: UTC with the zone's offset added."""
    if zone == "UTC":
        return times
    import pandas as pd

    local = pd.DatetimeIndex(times.astype("datetime64[s]"), tz="UTC").tz_convert(zone)
    wall: NDArray[np.int64] = (
        local.tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)
    )
    return wall


def as_datetime(seconds: int) -> datetime:
    """Return a time in UTC."""
    return datetime.fromtimestamp(int(seconds), UTC)


def _first_day(frequency: Frequency, day: date) -> date:
    if frequency.unit is Unit.MONTH:
        months = (day.year * MONTHS + day.month - 1) // frequency.count * frequency.count
        return date(months // MONTHS, months % MONTHS + 1, 1)
    length = frequency.count * (7 if frequency.unit is Unit.WEEK else 1)
    origin = date(1970, 1, 5).toordinal()
    return date.fromordinal(origin + (day.toordinal() - origin) // length * length)


def _next_day(frequency: Frequency, day: date) -> date:
    if frequency.unit is Unit.MONTH:
        months = day.year * MONTHS + day.month - 1 + frequency.count
        return date(months // MONTHS, months % MONTHS + 1, 1)
    return day + timedelta(days=frequency.count * (7 if frequency.unit is Unit.WEEK else 1))


def _midnight(day: date, zone: ZoneInfo) -> int:
    # Where midnight is skipped, the day begins when the clocks go on.
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def _iso(seconds: int) -> str:
    return f"{as_datetime(seconds):%Y-%m-%d}"


@cache
def days_off(country: str, first: int, last: int) -> frozenset[date]:
    """Return the public holidays of a country in the years from first to last; none for "".

    Raises `MetricsError` where the country is not known.
    """
    if not country:
        return frozenset()
    import holidays

    try:
        return frozenset(holidays.country_holidays(country, years=range(first, last + 1)))
    except NotImplementedError as error:
        raise MetricsError(f"The holidays of {country!r} are not known.") from error


def countries() -> tuple[str, ...]:
    """Return the countries whose holidays are known, by their ISO 3166 codes."""
    import holidays

    return tuple(sorted(holidays.list_supported_countries()))
