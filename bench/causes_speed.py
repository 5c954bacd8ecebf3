"""Time to find what drives what in a panel, and to attribute one anomaly, against statsmodels.

Ten measures of 200 series over 2,000 intervals; ours tests all 90 pairs on all series, combines
them, looks within the interval and attributes one window; the median of three runs. statsmodels'
grangercausalitytests tests one pair of one series at a time; some are timed and extrapolated to
all. tigramite's PCMCI, and dowhy's fit and attribution of one row, are timed on one series and
extrapolated to all; ours attributes four rows.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

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
RUNS = 3
STATSMODELS = ("statsmodels==0.14.4", "scipy==1.14.1", "pandas==2.2.3")
OTHERS = ("tigramite==5.2.7.0", "dowhy==0.14", "numba==0.61.2", "networkx==3.4.2")
TIMEOUT_S = 600
GOAL_S, GOAL_RATIO = 1.0, 100


def run(quick: bool) -> list[Row]:  # noqa: FBT001  # what bench.__main__ calls
    """Return the seconds of discovery and attribution, and the ratio to statsmodels."""
    count = QUICK_SERIES if quick else SERIES
    observations = _observations(count)
    discover(_observations(2))  # what is compiled or imported on first use is not measured
    runs = sorted(_run(observations) for _ in range(RUNS))
    ours, discovered, attributed = runs[RUNS // 2]
    case = f"{MEASURES} measures, {count} series, {INTERVALS:,} intervals"
    peers = _peers(observations.values, count)
    one = {name: spent for name, spent in peers.items() if name == "dowhy"}
    whole = {name: spent for name, spent in peers.items() if name not in one}
    rows = [
        Row(case, "discovery", "s", "lower", discovered, whole),
        Row(case, "one attribution", "s", "lower", attributed, one),
        Row(case, "both", "s", "lower", ours, {}, f"< {GOAL_S:g}", ours < GOAL_S),
    ]
    for name, theirs in peers.items():
        ratio = theirs / (attributed if name == "dowhy" else ours)
        goal = f">= {GOAL_RATIO}"
        rows.append(Row(case, f"times {name}", "x", "higher", ratio, {}, goal, ratio >= GOAL_RATIO))
    return rows


def _run(observations: Observations) -> tuple[float, float, float]:
    """Return the seconds of both, of discovery and of one attribution."""
    begun = perf_counter()
    found = discover(observations)
    discovered = perf_counter()
    attribute(observations, found, "m9", *WINDOW)
    done = perf_counter()
    return done - begun, discovered - begun, done - discovered


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


def _peers(values: Matrix, series: int) -> dict[str, float]:
    """Return the peers' seconds for all series."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "values.npy"
        np.save(path, np.log(values[0]))
        timed = _ask("peer_granger.py", STATSMODELS, [path, str(LAGS), str(TIMED)])
        if timed is not None:
            print(f"statsmodels: timed on {TIMED} pairs of one series, extrapolated")
            found["statsmodels"] = timed / TIMED * MEASURES * (MEASURES - 1) * series
        both = _ask("peer_causes.py", OTHERS, [path, str(LAGS), str(WINDOW[0])])
        if both is not None:
            print("tigramite and dowhy: timed on one series, extrapolated")
            found |= {name: spent * series for name, spent in both.items()}
    return found


def _ask(script: str, requirements: Sequence[str], arguments: Sequence[str | Path]) -> Any:
    """Return what a peer's script prints as JSON; None where it cannot be had here."""
    python = peer_python(requirements[0].replace("==", "-"), requirements)
    if python is None:
        print(f"{requirements[0]} cannot be had here, left out")
        return None
    done = subprocess.run(
        [python, Path(__file__).with_name(script), *arguments],
        capture_output=True, text=True, check=True, timeout=TIMEOUT_S,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])
