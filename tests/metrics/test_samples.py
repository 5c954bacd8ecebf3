from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lib.metrics.model import MetricsError
from lib.metrics.samples import CATALOGUE, MEASURES, VALUES, occurrences, shop_rows

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_the_shop_is_the_same_however_it_is_cut() -> None:
    whole = shop_rows(NOON - timedelta(hours=6), NOON)
    halves = [
        shop_rows(NOON - timedelta(hours=6), NOON - timedelta(hours=2)),
        shop_rows(NOON - timedelta(hours=2), NOON),
    ]
    assert whole.to_pylist() == [row for half in halves for row in half.to_pylist()]
    assert whole.num_rows == 6 * 144
    assert whole.column_names == ["time", *VALUES, *MEASURES]


def test_every_incident_happens_in_its_turn() -> None:
    happened = occurrences(NOON - timedelta(days=26), NOON)
    assert {one.incident.sentence for one in happened} == {one.sentence for one in CATALOGUE}


def test_an_incident_moves_what_it_says() -> None:
    happened = occurrences(NOON - timedelta(days=30), NOON)
    one = next(one for one in happened if one.incident.step == "visits" and one.incident.factor < 1)
    before = shop_rows(one.start - timedelta(days=7), one.end - timedelta(days=7)).to_pandas()
    during = shop_rows(one.start, one.end).to_pandas()
    for name, low, high in (("DE", 0.4, 0.5), ("UK", 0.9, 1.1)):
        share = (
            during.loc[during.marketplace == name, "visits"].sum()
            / before.loc[before.marketplace == name, "visits"].sum()
        )
        assert low < share < high


def test_in_a_gap_nothing_arrives() -> None:
    happened = occurrences(NOON - timedelta(days=30), NOON)
    gap = next(one for one in happened if not one.incident.step)
    assert shop_rows(gap.start, gap.end).num_rows == 0


def test_a_funnel_narrows() -> None:
    rows = shop_rows(NOON - timedelta(hours=3), NOON).to_pandas()
    assert (rows.visits >= rows.clicks).all()
    assert (rows.clicks >= rows.orders).all()
    assert (rows.orders >= rows.returns).all()


def test_too_long_a_sample_is_refused() -> None:
    with pytest.raises(MetricsError, match="400 days"):
        shop_rows(NOON - timedelta(days=500), NOON)
