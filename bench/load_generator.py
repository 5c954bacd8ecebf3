"""The load generator against a server that stalls: schedule-based truth and a closed loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import process_time

from bench.result import Row
from lib.recommender.load_generator import (
    closed_loop,
    open_loop,
    percentile,
    poisson_arrivals,
    queue_latencies,
)

SERVICE, STALL, STALL_AT = 0.005, 1.5, 100  # seconds, seconds, the request that stalls
GOAL_OFF, GOAL_SHARE = 5, 2  # percent
RATE, BUSY_RATE = 50.0, 500.0  # requests per second


def run(quick: bool) -> list[Row]:  # noqa: FBT001 - the signature of every bench
    """Return p99 against truth and closed loop, and the generator's own share of a core."""
    seconds = 10.0 if quick else 60.0
    arrivals = poisson_arrivals(RATE, seconds, seed=1)
    services = [SERVICE] * len(arrivals)
    services[STALL_AT] = STALL
    truth = percentile(queue_latencies(arrivals, services), 0.99).value
    ours = percentile(open_loop(_server(), arrivals), 0.99).value
    closed = percentile(closed_loop(_server(), seconds), 0.99).value
    begin = process_time()
    open_loop(lambda: None, poisson_arrivals(BUSY_RATE, seconds, seed=2))
    share = 100 * (process_time() - begin) / seconds
    off = 100 * abs(ours - truth) / truth
    return [
        Row(
            "one stall of 1.5 s",
            "p99",
            "ms",
            "lower",
            1000 * ours,
            {"truth of the schedule": 1000 * truth, "closed loop": 1000 * closed},
        ),
        Row(
            "one stall of 1.5 s",
            "p99 off the truth",
            "%",
            "lower",
            off,
            {},
            "<= 5",
            off <= GOAL_OFF,
        ),
        Row(
            "500 requests/s",
            "generator's CPU",
            "% of a core",
            "lower",
            share,
            {},
            "< 2",
            share < GOAL_SHARE,
        ),
    ]


def _server() -> Callable[[], None]:
    served = iter(range(10**9))

    def serve() -> None:
        seconds = STALL if next(served) == STALL_AT else SERVICE
        threading.Event().wait(seconds)

    return serve
