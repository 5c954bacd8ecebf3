from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from lib.search.intervals import Interval
from lib.search.model import Bucket
from lib.ui.search_distribution import FAINT, bars, interval_label, interval_of

YEARS = [Bucket(2010 + n, 2011 + n, n) for n in range(4)]
MONTHS = [
    Bucket(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC), 3),
    Bucket(datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC), 5),
]


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        (Interval("n", 2015, 2020), "2015 to 2020"),
        (Interval("n", 2015, 2015), "2015"),
        (Interval("n", None, 0), "up to 0"),
        (Interval("n", -5), "from -5"),
        (Interval("d", date(2024, 5, 3), date(2024, 5, 31)), "3 May 2024 to 31 May 2024"),
    ],
)
def test_intervals_are_read_as_people_write_them(interval: Interval, shown: str) -> None:
    assert interval_label(interval) == shown


def test_buckets_fill_an_interval_whose_ends_are_both_in_it() -> None:
    assert interval_of("n", YEARS[1:3]) == Interval("n", 2011, 2012)
    assert interval_of("d", MONTHS) == Interval("d", date(2024, 1, 1), date(2024, 2, 29))


def test_bars_outside_the_range_are_faint_and_each_says_what_it_counts() -> None:
    [trace] = bars("n", YEARS, Interval("n", 2011, 2012)).data
    assert list(trace.marker.opacity) == [FAINT, 1, 1, FAINT]
    assert list(trace.customdata) == ["2010", "2011", "2012", "2013"]
    assert list(trace.x) == [2010, 2011, 2012, 2013]
    [dates] = bars("d", MONTHS, Interval("d")).data
    assert list(dates.marker.opacity) == [1, 1]
    assert list(dates.customdata) == ["1 Jan 2024 to 31 Jan 2024", "1 Feb 2024 to 29 Feb 2024"]
