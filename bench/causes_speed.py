"""Time to find what drives what in a panel, and to attribute one anomaly, against statsmodels.

Ten measures of 200 series over 2,000 intervals; ours tests all 90 pairs on all series, combines
them, looks within the interval and attributes one window. statsmodels' grangercausalitytests tests
one pair of one series at a time; some are timed and extrapolated to all.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from bench.peers import peer_python
from bench.result import Row
from lib.causes.attribution import attribute
from lib.causes.discovery import discover
from lib.causes.model import Matrix, Observations

MEASURES, SERIES, QUICK_SERIES, INTERVALS, LAGS = 10, 200, 40, 2_000, 5
SEED = 1
TIMED = 18  # pairs
WINDOW = (1_900, 1_904)
REQUIREMENTS = ["statsmodels==0.14.4", "scipy==1.14.1", "pandas==2.2.3"]
TIMEOUT_S = 600
GOAL_S, GOAL_RATIO = 1.0, 100


def run(quick: bool) -> list[Row]:  # noqa: FBT001  # what bench.__main__ calls
    """Return the seconds of discovery and attribution, and the ratio to statsmodels."""
    count = QUICK_SERIES if quick else SERIES
    observations = _observations(count)
    discover(_observations(2))  # what is compiled or imported on first use is not measured
    begun = perf_counter()
    found = discover(observations)
    discovered = perf_counter()
    attribute(observations, found, "m9", *WINDOW)
    done = perf_counter()
    case = f"{MEASURES} measures, {count} series, {INTERVALS:,} intervals"
    ours = done - begun
    theirs = _statsmodels(observations.values, count)
    peers = {} if theirs is None else {"statsmodels": theirs}
    rows = [
        Row(case, "discovery", "s", "lower", discovered - begun),
        Row(case, "one attribution", "s", "lower", done - discovered),
        Row(case, "both", "s", "lower", ours, peers, f"< {GOAL_S:g}", ours < GOAL_S),
    ]
    if theirs is not None:
        ratio = theirs / ours
        goal = f">= {GOAL_RATIO}"
        rows.append(
            Row(case, "times statsmodels", "x", "higher", ratio, {}, goal, ratio >= GOAL_RATIO)
        )
    return rows


def _observations(series: int) -> Observations:
    random = np.random.default_rng(SEED)
    values = np.zeros((series, INTERVALS, MEASURES))
    noise = 0.1 * random.standard_t(5, size=values.shape)
    for at in range(1, INTERVALS):
        values[:, at] = 0.4 * values[:, at - 1] + noise[:, at]
        values[:, at, 1:] += 0.3 * values[:, at - 1, :-1]
    amounts = np.exp(values) * 100
    starts = 3_600 * np.arange(INTERVALS, dtype=np.int64)
    names = tuple(f"m{at}" for at in range(MEASURES))
    keys = tuple((str(at),) for at in range(series))
    return Observations(names, keys, starts, starts // 3_600 % 168, amounts, ("shop",))


def _statsmodels(values: Matrix, series: int) -> float | None:
    python = peer_python(REQUIREMENTS[0].replace("==", "-"), REQUIREMENTS)
    if python is None:
        print(f"{REQUIREMENTS[0]} cannot be had here, left out")
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "values.npy"
        np.save(path, np.log(values[0]))
        script = Path(__file__).with_name("peer_granger.py")
        done = subprocess.run(
            [python, script, path, str(LAGS), str(TIMED)],
            capture_output=True, text=True, check=True, timeout=TIMEOUT_S,
        )  # fmt: skip
    print(f"statsmodels: timed on {TIMED} pairs of one series, extrapolated")
    pairs = MEASURES * (MEASURES - 1)
    return float(json.loads(done.stdout.splitlines()[-1])) / TIMED * pairs * series
