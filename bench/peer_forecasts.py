"""Times the peers of `bench.detect`; runs in their environment, not in ours.

Usage: `python peer_forecasts.py SERIES.npy PEER`, with SERIES [intervals, series]. Prints JSON:
seconds for all series, after one warm-up on a single series.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

DAY = 288  # intervals of 5 minutes
LEVEL = 99


def auto_ets(values: Any) -> None:
    """Fit AutoETS with a season of a day, and its band one step ahead."""
    from statsforecast.models import AutoETS  # type: ignore[import-not-found]  # peers' environment

    for column in values.T:
        AutoETS(season_length=DAY).forecast(y=column, h=1, level=[LEVEL], fitted=True)


def seasonal_naive(values: Any) -> None:
    """Fit the seasonal naive method, and its band one step ahead."""
    from statsforecast.models import SeasonalNaive

    for column in values.T:
        SeasonalNaive(season_length=DAY).forecast(y=column, h=1, level=[LEVEL], fitted=True)


def prophet(values: Any) -> None:
    """Fit Prophet with its seasons of a day and a week, and its band on the same points."""
    import pandas as pd
    from prophet import Prophet  # type: ignore[import-not-found]  # peers' environment

    logging.getLogger("cmdstanpy").setLevel(logging.ERROR)
    times = pd.date_range("2026-01-01", periods=len(values), freq="5min")
    for column in values.T:
        frame = pd.DataFrame({"ds": times, "y": column})
        Prophet(interval_width=LEVEL / 100).fit(frame).predict(frame)


PEERS: dict[str, Callable[[Any], None]] = {
    "AutoETS": auto_ets,
    "seasonal naive": seasonal_naive,
    "Prophet": prophet,
}

if __name__ == "__main__":
    series = np.load(sys.argv[1], allow_pickle=False).astype(np.float64)
    run = PEERS[sys.argv[2]]
    run(series[:, :1])
    begun = perf_counter()
    run(series)
    print(json.dumps(perf_counter() - begun))
