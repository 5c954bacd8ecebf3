from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.metrics.model import Frequency, MetricsError, Unit
from lib.metrics.timeline import interval_end, interval_starts, local_seconds

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo"]
TIMES = st.integers(946_684_800, 1_900_000_000)


@given(
    first=TIMES,
    length=st.integers(0, 90 * 86_400),
    frequency=st.builds(Frequency, st.integers(1, 5), st.sampled_from(list(Unit)[1:])),
    zone=st.sampled_from(ZONES),
)
def test_intervals_cover_the_time_without_gaps(
    first: int, length: int, frequency: Frequency, zone: str
) -> None:
    last = first + length
    starts = interval_starts(frequency, zone, first, last)
    assert starts[0] <= first
    assert starts[-1] <= last < interval_end(frequency, zone, int(starts[-1]))
    ends = [interval_end(frequency, zone, int(start)) for start in starts[:-1]]
    assert ends == starts[1:].tolist()


@given(time=TIMES, zone=st.sampled_from(ZONES))
def test_local_seconds_are_what_clocks_show(time: int, zone: str) -> None:
    wall = datetime.fromtimestamp(time, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
    assert local_seconds(np.array([time]), zone)[0] == int(wall.timestamp())


def test_the_day_on_which_clocks_change_has_another_length() -> None:
    first = int(datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp())
    starts = interval_starts(Frequency(1, Unit.DAY), "Europe/Berlin", first, first + 2 * 86_400)
    assert (np.diff(starts) / 3_600).tolist() == [24, 23]


def test_weeks_begin_on_mondays_and_months_on_their_first() -> None:
    time = int(datetime(2026, 11, 26, tzinfo=UTC).timestamp())
    [week] = interval_starts(Frequency(1, Unit.WEEK), "UTC", time, time)
    assert datetime.fromtimestamp(week, UTC).isoformat()[:10] == "2026-11-23"
    [quarter] = interval_starts(Frequency(3, Unit.MONTH), "UTC", time, time)
    assert datetime.fromtimestamp(quarter, UTC).isoformat()[:10] == "2026-10-01"


def test_a_wrong_timestamp_is_no_flood_of_intervals() -> None:
    with pytest.raises(MetricsError, match="1970-01-01 to 2026"):
        interval_starts(Frequency(5, Unit.MINUTE), "UTC", 0, 1_780_000_000)
