"""Funnels of a made-up shop whose truth is known; all happens within one interval."""

from __future__ import annotations

import numpy as np

from lib.causes.model import Matrix, Observations

DAY = 288
FUNNEL = ("visits", "clicks", "orders", "revenue")
TRUE_EDGES = {("visits", "clicks"), ("clicks", "orders"), ("orders", "revenue")}


def observed(values: Matrix, measures: tuple[str, ...] = FUNNEL, shops: int = 0) -> Observations:
    series, intervals, _ = values.shape
    starts = 300 * np.arange(intervals, dtype=np.int64)
    names = [str(at % shops) if shops else str(at) for at in range(series)]
    keys = tuple((name, str(at)) for at, name in enumerate(names))
    return Observations(measures, keys, starts, starts // 300 % DAY, values, ("shop", "item"))


def counted(persistence: float, *, series: int = 30, days: int = 10, seed: int = 0) -> Observations:
    """Return counts whose rates are disturbed; a fifth measure has nothing to do with them."""
    random = np.random.default_rng(seed)
    intervals = days * DAY
    season = np.exp(0.6 * np.sin(2 * np.pi * np.arange(intervals) / DAY))

    def disturbed() -> Matrix:
        shocks = 0.08 * random.standard_t(5, size=(series, intervals))
        for at in range(1, intervals):
            shocks[:, at] += persistence * shocks[:, at - 1]
        return np.exp(shocks)

    visits = random.poisson(200 * season * disturbed())
    clicks = random.poisson(0.3 * visits * disturbed())
    orders = random.poisson(0.2 * clicks * disturbed())
    revenue = 20 * orders * np.exp(0.1 * random.normal(size=orders.shape))
    other = random.poisson(100 * season * disturbed())
    values = np.stack([visits, clicks, orders, revenue, other], axis=2).astype(np.float64)
    return observed(values, (*FUNNEL, "other"))


def injected(
    drops: tuple[float, float, float], window: tuple[int, int], *, series: int = 30, seed: int = 0
) -> Observations:
    """Return amounts; in the window the logarithms of the three rates are off by `drops`."""
    random = np.random.default_rng(seed)
    intervals = 6 * DAY
    at = np.arange(intervals)
    inside = (at >= window[0]) & (at < window[1])
    season = np.exp(0.6 * np.sin(2 * np.pi * at / DAY))

    def noise() -> Matrix:
        shocks: Matrix = 0.05 * random.standard_t(5, size=(series, intervals))
        return shocks

    visits = np.log(2_000 * season) + noise() + drops[0] * inside
    clicks = visits + np.log(0.3) + noise() + drops[1] * inside
    orders = clicks + np.log(0.2) + noise() + drops[2] * inside
    revenue = orders + 3 + 0.03 * random.normal(size=orders.shape)
    return observed(np.exp(np.stack([visits, clicks, orders, revenue], axis=2)), shops=3)
