from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.recommender.load_generator import (
    closed_loop,
    open_loop,
    percentile,
    poisson_arrivals,
    queue_latencies,
)


@dataclass
class _Time:
    now: float = 100.0

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def server(self, services: Sequence[float]) -> Callable[[], None]:
        left = iter(services)
        return lambda: self.wait(next(left))


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 3)), max_size=30))
def test_an_open_loop_measures_what_the_queue_of_its_schedule_makes(
    pairs: list[tuple[float, float]],
) -> None:
    arrivals = sorted(pair[0] for pair in pairs)
    services = [pair[1] for pair in pairs]
    time = _Time()
    measured = open_loop(time.server(services), arrivals, clock=time.clock, wait=time.wait)
    assert measured == pytest.approx(queue_latencies(arrivals, services), abs=1e-9)


def test_a_closed_loop_misses_who_would_have_arrived_in_a_stall() -> None:
    services = [0.01] * 1000
    services[300] = 2.0
    arrivals = poisson_arrivals(50, 10, seed=1)
    time = _Time()
    ours = open_loop(time.server(services), arrivals, clock=time.clock, wait=time.wait)
    time = _Time()
    closed = closed_loop(time.server(services), 10, clock=time.clock)
    assert percentile(ours, 0.99).value > 10 * percentile(closed, 0.99).value


def test_a_stopped_test_keeps_what_was_measured() -> None:
    time = _Time()
    asked = iter([False, False, True])
    measured = open_loop(
        lambda: None, [0, 1, 2, 3], clock=time.clock, wait=time.wait, stopped=lambda: next(asked)
    )
    assert len(measured) == 2


def test_arrivals_keep_the_rate_and_gaps_are_exponential() -> None:
    arrivals = poisson_arrivals(200, 100, seed=3)
    gaps = np.diff(arrivals)
    assert len(arrivals) == pytest.approx(20_000, rel=0.03)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)


def test_an_interval_covers_its_percentile_as_often_as_it_says() -> None:
    random = np.random.default_rng(4)
    covered = 0
    for _ in range(400):
        found = percentile(random.exponential(size=300), 0.9)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= np.log(10) <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def test_few_samples_do_not_bound_a_high_percentile() -> None:
    assert percentile(range(100), 0.99).high is None


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="No request"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match="above 0"):
        poisson_arrivals(0, 1, 1)
