"""Load on one subject, one request at a time: open loop by a schedule, and closed loop.

In an open loop the arrivals do not wait for answers, and a latency counts from the intended time
of the request, so a stall is felt by all who would have arrived during it. A closed loop sends the
next request after the last answer and misses them (coordinated omission).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter, sleep  # noqa: TID251 - an event costs twice the processor time

import numpy as np
from numpy.typing import NDArray

from lib.recommender.model import Percentile


def poisson_arrivals(rate: float, seconds: float, seed: int) -> NDArray[np.float64]:
    """Return increasing times in seconds within `seconds`, `rate` of them a second on average.

    Raise ValueError where rate or length is not above 0.
    """
    if not (rate > 0 and seconds > 0):
        raise ValueError("Rate and length of a load test must be above 0.")
    random = np.random.default_rng(seed)
    # Given their number, the arrivals of a Poisson process are uniform.
    return np.sort(random.uniform(0, seconds, random.poisson(rate * seconds)))


def open_loop(
    call: Callable[[], object],
    arrivals: Sequence[float] | NDArray[np.float64],
    *,
    clock: Callable[[], float] = perf_counter,
    wait: Callable[[float], None] = sleep,
    stopped: Callable[[], bool] = lambda: False,
) -> NDArray[np.float64]:
    """Return the latency of each request in seconds, from its intended time to its answer.

    `stopped` is asked before each request; what was not sent is left out. What `call` raises,
    ends the test.
    """
    begin = clock()
    latencies = []
    for arrival in np.asarray(arrivals, np.float64).tolist():
        if stopped():
            break
        intended = begin + arrival
        early = intended - clock()
        if early > 0:
            wait(early)
        call()
        latencies.append(clock() - intended)
    return np.asarray(latencies, np.float64)


def closed_loop(
    call: Callable[[], object],
    seconds: float,
    *,
    clock: Callable[[], float] = perf_counter,
    stopped: Callable[[], bool] = lambda: False,
) -> NDArray[np.float64]:
    """Return the service time in seconds of requests sent back to back: the rate at saturation."""
    end = clock() + seconds
    times = []
    while (begin := clock()) < end and not stopped():
        call()
        times.append(clock() - begin)
    return np.asarray(times, np.float64)


def queue_latencies(
    arrivals: Sequence[float] | NDArray[np.float64], services: Sequence[float]
) -> NDArray[np.float64]:
    """Return what a queue of one server makes of a schedule (Lindley's recursion), in seconds."""
    free = 0.0
    latencies = []
    for arrival, service in zip(arrivals, services, strict=True):
        free = max(free, float(arrival)) + service
        latencies.append(free - float(arrival))
    return np.asarray(latencies, np.float64)


def percentile(
    samples: Sequence[float] | NDArray[np.float64], share: float, confidence: float = 0.95
) -> Percentile:
    """Return the `share` percentile (0 to 1) with an interval of order statistics.

    The interval takes samples as independent; at high load a queue makes them alike, and repeats
    say more. Raise ValueError without samples.
    """
    from scipy.stats import binom

    ordered = np.sort(np.asarray(samples, np.float64))
    count = len(ordered)
    if not count:
        raise ValueError("No request was answered.")
    tail = (1 - confidence) / 2
    # P(fewer than k samples lie below the percentile) is the binomial distribution up to k - 1.
    low = int(binom.ppf(tail, count, share))
    high = int(binom.ppf(1 - tail, count, share)) + 1
    return Percentile(
        float(np.quantile(ordered, share, method="inverted_cdf")),
        float(ordered[low - 1]) if low >= 1 else None,
        float(ordered[high - 1]) if high <= count else None,
    )
