from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lib.metrics.model import (
    AffectedSeries,
    AnomalyGroup,
    Direction,
    Frequency,
    GroupKind,
    Localisation,
    Unit,
)
from lib.ui.anomaly_words import amount, change, headline, period, place, series_name, span

START = datetime(2026, 5, 3, 14, tzinfo=UTC)
GROUP = AnomalyGroup(
    id="g",
    detector="d",
    measure="revenue",
    start=START,
    end=START + timedelta(hours=2),
    severity=80,
    direction=Direction.DIP,
    observed=770.0,
    expected=1_000.0,
    series=(),
    series_count=3,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (12345.6, "12,346"),
        (123.44, "123.4"),
        (0.0012344, "0.001234"),
        (0.0, "0"),
        (-5.0, "-5"),
        (float("nan"), "unknown"),
        (999.96, "1000"),
    ],
)
def test_an_amount_has_digits_that_fit(value: float, shown: str) -> None:
    assert amount(value) == shown


@pytest.mark.parametrize(
    ("observed", "expected", "shown"),
    [
        (770, 1000, "23 % below"),
        (1015, 1000, "1.5 % above"),
        (50_000, 2, "25,000 times"),
        (3, 0, "3 above"),
        (-4, 10, "14 below"),
        (0, 10, "100 % below"),
    ],
)
def test_a_change(observed: float, expected: float, shown: str) -> None:
    assert change(observed, expected) == shown


def test_a_span_is_in_local_time_and_whole_days_have_no_hours() -> None:
    assert span(START, START + timedelta(hours=2), "UTC") == "3 May 2026, 14:00 to 16:00"
    assert span(START, START + timedelta(hours=2), "Asia/Tokyo") == (
        "3 May 2026, 23:00 to 4 May 2026, 01:00"
    )
    day = datetime(2026, 5, 3, tzinfo=UTC)
    assert span(day, day + timedelta(days=1), "UTC") == "3 May 2026"
    assert span(day, day + timedelta(days=3), "UTC") == "3 May 2026 to 5 May 2026"


def test_a_headline_says_what_happened() -> None:
    first = AffectedSeries(("US", None), 77.0, 100.0, 90.0, 110.0, -5.0, 1e-6)
    event = replace(GROUP, series=(first,), causes=(Localisation({"country": "US"}, 1.0),))
    assert headline(event, "UTC") == (
        "revenue in US: 23 % below what was expected, 3 May 2026, 14:00 to 16:00"
    )
    assert headline(replace(event, causes=()), "UTC").startswith("revenue: 23 % below")
    both = replace(event, direction=Direction.BOTH)
    assert headline(both, "UTC").startswith("revenue in US: both ways in 3 series")
    silent = replace(GROUP, kind=GroupKind.MISSING_DATA)
    assert headline(silent, "UTC") == "No data arrived, 3 May 2026, 14:00 to 16:00"


def test_a_place_is_the_best_explanation() -> None:
    two = (Localisation({"country": "US", "kind": ""}, 0.7), Localisation({"country": "UK"}, 0.3))
    assert place(replace(GROUP, causes=two)) == "US · (empty) and 1 more"
    assert place(GROUP) == "everywhere"


def test_a_frequency_in_words() -> None:
    assert period(Frequency(5, Unit.MINUTE)) == "5 minutes"
    assert period(Frequency(1, Unit.HOUR)) == "hour"


def test_a_series_is_named_by_its_values() -> None:
    assert series_name(("US", None, "")) == "US · all · (empty)"
    assert series_name((None, None)) == series_name(()) == "everything"
