from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lib.metrics.backtest import THRESHOLDS, Label, outcomes, read_labels
from lib.metrics.model import AnomalyGroup, Direction, MetricsError

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def group(hour: int, severity: float, measure: str = "orders", hours: int = 2) -> AnomalyGroup:
    start = BEGIN + hour * HOUR
    return AnomalyGroup(
        f"g{hour}", "d", measure, start, start + hours * HOUR, severity, Direction.DIP, 1, 2, (), 1
    )


def test_precision_recall_and_delay_at_each_threshold() -> None:
    labels = [Label(BEGIN + at * HOUR, BEGIN + (at + 4) * HOUR) for at in (10, 50, 90)]
    groups = [group(11, 95), group(52, 75), group(70, 65), group(120, 55)]
    found = {
        one.threshold: one
        for one in outcomes(groups, labels, (BEGIN, BEGIN + timedelta(weeks=2)), HOUR)
    }
    assert [one.groups for one in found.values()] == [4, 3, 2, 1, 1]
    assert found[50].precision == 0.5
    assert found[50].recall == pytest.approx(2 / 3)
    assert found[50].per_week == 2
    assert found[50].by_chance_per_week == pytest.approx(7)
    assert found[50].delay == 2.5 * HOUR
    assert found[90].precision == 1
    assert found[90].recall == pytest.approx(1 / 3)


def test_without_known_incidents_there_is_no_precision() -> None:
    found = outcomes([group(1, 80)], [], (BEGIN, BEGIN + timedelta(weeks=1)), HOUR)
    assert [one.threshold for one in found] == list(THRESHOLDS)
    assert all(one.precision is None and one.recall is None for one in found)


def test_an_incident_of_another_measure_does_not_excuse_a_group() -> None:
    labels = [Label(BEGIN, BEGIN + 9 * HOUR, "visits")]
    [first, *_] = outcomes([group(1, 80)], labels, (BEGIN, BEGIN + timedelta(weeks=1)), HOUR)
    assert (first.precision, first.recall) == (0, 0)


def test_incidents_are_read_in_their_time_zone() -> None:
    data = b"start,end,measure\n2026-03-01T10:00,2026-03-01 12:00,orders\n2026-03-02,2026-03-03,\n"
    first, second = read_labels(data, "Europe/Berlin", ["orders"])
    assert first == Label(BEGIN + 9 * HOUR, BEGIN + 11 * HOUR, "orders")
    assert second.measure == ""


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"from,to\n1,2\n", "must name the columns"),
        (b"", "must name the columns"),
        (b"\xff\xfe\x00", "not a CSV"),
        (b"start,end\nmonday,2026-03-01\n", "Line 2: 'monday' is no time"),
        (b"start,end\n2026-03-02,2026-03-01\n", "Line 2: the incident ends before"),
        (b"start,end,measure\n2026-03-01,2026-03-02,profit\n", "'profit' is no measure"),
    ],
)
def test_what_is_no_list_of_incidents_is_said_with_its_line(data: bytes, says: str) -> None:
    with pytest.raises(MetricsError, match=says):
        read_labels(data, "UTC", ["orders"])
