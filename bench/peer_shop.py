"""A week at a time for the peers of `bench.shop_events`; runs in their environment, not ours.

Usage: `python peer_shop.py SERIES.npy PEER FIRST OUT.npy`, with SERIES [hours, series]. From FIRST
on, a peer is fitted anew every week on all that came before and forecasts that week. Writes how far
each value is from its forecast, in standard deviations of the forecast.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

DAY, WEEK = 24, 168
LEVEL, WIDTH = 95, 1.96  # percent of a band, and its half in standard deviations


def mstl(past: Any, ahead: int) -> tuple[Any, Any]:
    """Return forecast and standard deviation of MSTL with AutoETS for the trend."""
    from statsforecast.models import (  # type: ignore[import-not-found]  # peers' environment
        MSTL,
        AutoETS,
    )

    model = MSTL(season_length=[DAY, WEEK], trend_forecaster=AutoETS(model="ZZN"))
    found = model.forecast(y=past, h=ahead, level=[LEVEL])
    return found["mean"], (found[f"hi-{LEVEL}"] - found["mean"]) / WIDTH


def seasonal_naive(past: Any, ahead: int) -> tuple[Any, Any]:
    """Return forecast and standard deviation of the same hour a week before."""
    from statsforecast.models import SeasonalNaive

    found = SeasonalNaive(season_length=WEEK).forecast(y=past, h=ahead, level=[LEVEL])
    return found["mean"], (found[f"hi-{LEVEL}"] - found["mean"]) / WIDTH


def prophet(past: Any, ahead: int) -> tuple[Any, Any]:
    """Return forecast and standard deviation of Prophet as it comes."""
    import pandas as pd
    from prophet import Prophet  # type: ignore[import-not-found]  # peers' environment

    logging.getLogger("cmdstanpy").setLevel(logging.ERROR)
    times = pd.date_range("2026-01-01", periods=len(past) + ahead, freq="h")
    model = Prophet(interval_width=LEVEL / 100).fit(
        pd.DataFrame({"ds": times[: len(past)], "y": past})
    )
    found = model.predict(pd.DataFrame({"ds": times[len(past) :]}))
    return found["yhat"].to_numpy(), (found["yhat_upper"] - found["yhat"]).to_numpy() / WIDTH


PEERS: dict[str, Callable[[Any, int], tuple[Any, Any]]] = {
    "MSTL with AutoETS": mstl,
    "seasonal naive": seasonal_naive,
    "Prophet": prophet,
}

if __name__ == "__main__":
    values = np.load(sys.argv[1], allow_pickle=False).astype(np.float64)
    run, first = PEERS[sys.argv[2]], int(sys.argv[3])
    far = np.zeros((len(values) - first, values.shape[1]))
    for number, column in enumerate(values.T):
        for at in range(first, len(values), WEEK):
            ahead = min(WEEK, len(values) - at)
            mean, spread = run(column[:at], ahead)
            away = (column[at : at + ahead] - mean) / np.maximum(spread, 1e-9)
            far[at - first : at - first + ahead, number] = away
    np.save(sys.argv[4], far)
