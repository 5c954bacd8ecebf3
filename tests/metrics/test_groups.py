from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lib.metrics.bands import Clock, score_history
from lib.metrics.groups import Scored, contributions, find_groups, missing_data_groups
from lib.metrics.model import Direction, GroupKind, Panel, Scores
from lib.metrics.panel import panel_of
from lib.metrics.rollups import with_rollups
from lib.metrics.samples import shop_dataset, shop_rows
from lib.metrics.severity import calibrate
from lib.metrics.spans import memory_after, no_memory
from lib.metrics.tables import Rows

NOW = datetime(2026, 11, 26, tzinfo=UTC)
DAYS = 60
FIRST = 24 * 42
LEARNT = 24 * 21


@pytest.fixture(scope="module")
def panel() -> Panel:
    import ibis

    rows = shop_rows(NOW - timedelta(days=DAYS), NOW)
    dataset = shop_dataset()
    return with_rollups(panel_of(Rows(ibis.memtable(rows), is_text=False), dataset), dataset)


def scored(panel: Panel, measure: str) -> Scored:
    scores = score_history(panel.amounts[measure], panel.starts, Clock(panel.frequency), LEARNT)
    before = scores.z[: FIRST - LEARNT]
    late = [
        part[FIRST - LEARNT :] for part in (scores.expected, scores.lower, scores.upper, scores.z)
    ]
    return Scored(
        "d",
        measure,
        is_additive=True,
        panel=panel,
        scores=Scores(*late),
        first=FIRST,
        calibrations=((0, calibrate(before, panel.frequency)),),
        memory=memory_after(no_memory(before.shape[1]), before),
    )


def test_the_paused_advertising_is_one_event_that_names_its_place(panel: Panel) -> None:
    groups = find_groups(scored(panel, "visits"))
    [event] = [one for one in groups if one.start == datetime(2026, 11, 15, 12, tzinfo=UTC)]
    assert event.severity > 90
    assert event.direction is Direction.DIP
    assert timedelta(hours=7) <= event.end - event.start <= timedelta(hours=9)
    assert [dict(cause.values) for cause in event.causes] == [{"marketplace": "DE"}]
    [market] = [one for one in event.contributions if one.dimension == "marketplace"]
    assert market.values[0][0] == "DE"
    assert market.values[0][1] > 90
    assert event.observed < event.expected
    assert ("DE", None, None, None, None) in [series.key for series in event.series]
    assert event.series_count >= len(event.series) > 10
    first = event.series[0]
    assert first.observed < first.lower < first.expected < first.upper


def test_events_above_70_are_few_and_nearly_all_real(panel: Panel) -> None:
    from lib.metrics.samples import MEASURES, occurrences

    happened = occurrences(NOW - timedelta(days=DAYS), NOW)
    found = [
        one for name in MEASURES for one in find_groups(scored(panel, name)) if one.severity >= 70
    ]
    real = [
        one
        for one in found
        if any(seen.start <= one.start < seen.end + timedelta(hours=1) for seen in happened)
    ]
    assert len(real) >= 6
    assert len(found) - len(real) <= 3


def test_data_that_do_not_arrive_are_an_event(panel: Panel) -> None:
    events = missing_data_groups("d", panel, FIRST)
    assert [one.kind for one in events] == [GroupKind.MISSING_DATA]
    assert events[0].start == datetime(2026, 11, 21, 2, tzinfo=UTC)
    assert events[0].end == datetime(2026, 11, 21, 5, tzinfo=UTC)
    assert events[0].severity > 90


def test_feedback_makes_a_series_less_severe(panel: Panel) -> None:
    before = scored(panel, "visits")
    after = replace(before, factors=dict.fromkeys(panel.series, 4.0))
    rated = [[one.severity for one in find_groups(each)] for each in (before, after)]
    assert max(rated[0]) > 90
    assert max(rated[1], default=0.0) < max(rated[0])


def test_an_event_has_the_same_id_however_often_it_is_found(panel: Panel) -> None:
    once, twice = (find_groups(scored(panel, "clicks")) for _ in range(2))
    assert [one.id for one in once] == [one.id for one in twice]
    assert len({one.id for one in once}) == len(once)


def test_shares_of_a_dimension_add_up() -> None:
    keys = [("US", "a"), ("US", "b"), ("UK", "a")]
    shares = contributions(("country", "kind"), keys, np.array([1.0, 2.0, 5.0]))
    assert shares[0].values == (("UK", 62.5), ("US", 37.5))
    assert sum(share for _, share in shares[1].values) == pytest.approx(100)
    assert contributions(("country",), [("US",)], np.zeros(1)) == ()
