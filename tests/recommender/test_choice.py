from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.recommender.choice import (
    Needs,
    latency_differs,
    offer,
    pareto,
    price_margin,
    recommend,
    with_price,
)
from lib.recommender.model import Interval, Metrics, Origin, Percentile


def _row(
    name: str, price: float, rate: float, milliseconds: float, interval: Interval | None = None
) -> Metrics:
    cost = price / (60 * rate)
    return Metrics(name, Origin.AWS, price, cost, rate, milliseconds, latency=interval)


C5 = _row("ml.c5.xlarge", 0.204, 18604, 53)
M4 = _row("ml.m4.2xlarge", 0.48, 25424, 69)
WORSE = _row("ml.worse", 0.5, 18000, 70)


def test_rows_that_another_beats_in_all_are_off_the_front() -> None:
    unknown = Metrics("ml.unknown", Origin.AWS)
    assert pareto([C5, M4, WORSE, unknown]) == (True, True, False, False)


@given(st.lists(st.tuples(*[st.integers(1, 4)] * 3), min_size=1, max_size=12))
def test_the_front_is_never_empty_and_covers_the_rest(points: list[tuple[int, int, int]]) -> None:
    rows = [Metrics("x", Origin.AWS, None, a, b, c) for a, b, c in points]
    front = pareto(rows)
    kept = [point for point, on in zip(points, front, strict=True) if on]
    assert kept
    for a, b, c in points:
        assert any(x <= a and y >= b and z <= c for x, y, z in kept)


def test_instances_carry_the_rate_with_headroom() -> None:
    one = offer(C5, Needs(rate=20_000, headroom=0.3))
    assert one.instances == 2
    assert one.monthly == pytest.approx(2 * 0.204 * 730)


def test_the_cheapest_that_fits_is_recommended() -> None:
    found = recommend([WORSE, M4, C5], Needs(rate=10_000, latency=60))
    assert found.offer is not None
    assert found.offer.metrics is C5
    assert "1 instance for $149 a month" in found.reason


def test_nothing_fits_and_the_reason_says_what_is_missed() -> None:
    found = recommend([C5, M4], Needs(rate=10_000, latency=10, budget=1, quality=0.9))
    assert found.offer is None
    assert "budget, latency, quality unknown" in found.reason
    assert recommend([], Needs(rate=1)).offer is None


def test_overlapping_intervals_are_no_significant_difference() -> None:
    one = _row("a", 1, 100, 5, Interval(4, 6))
    near = _row("b", 2, 100, 6, Interval(5, 7))
    far = _row("c", 3, 100, 9, Interval(8, 10))
    assert latency_differs(one, near) is False
    assert latency_differs(one, far) is True
    assert latency_differs(one, C5) is None
    assert "No significant difference" in recommend([one, near], Needs(rate=1)).reason


@pytest.mark.parametrize(
    "bad",
    [{"rate": 0}, {"rate": float("nan")}, {"rate": 1, "headroom": 1}, {"rate": 1, "at": "p42"}],
)
def test_impossible_needs_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|is one of"):
        Needs(**bad)


def test_a_latency_is_asked_at_a_percentile() -> None:
    slow = replace(C5, p95=Percentile(200.0, 150.0, 250.0))
    assert offer(slow, Needs(rate=1, at="p95", latency=100)).misses == ("latency",)
    assert offer(slow, Needs(rate=1, latency=100)).misses == ()
    assert offer(C5, Needs(rate=1, at="p99", latency=100)).misses == ("latency unknown",)


def test_a_price_may_rise_until_the_next_is_cheaper() -> None:
    needs = Needs(rate=10_000)
    found = price_margin([C5, M4, WORSE], needs)
    assert found is not None
    share, other = found
    assert other == "ml.m4.2xlarge"
    risen = replace(C5, cost_per_hour=C5.cost_per_hour * (1 + share) * 1.01)  # type: ignore[operator]  # known
    best = recommend([risen, M4], needs).offer
    assert best is not None
    assert best.metrics == M4
    assert price_margin([C5], needs) is None


def test_what_no_row_knows_does_not_count_for_the_front() -> None:
    slow = Metrics("slow", Origin.LOCAL, max_invocations=10, model_latency=5)
    fast = Metrics("fast", Origin.LOCAL, max_invocations=20, model_latency=4)
    assert pareto([slow, fast]) == (False, True)
    assert pareto([Metrics("x", Origin.LOCAL)]) == (False,)
    assert with_price(fast, 0.6).cost_per_inference == pytest.approx(0.6 / 1_200)
    assert with_price(C5, 9.0) is C5
