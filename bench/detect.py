"""Series-points scored a second, memory, and the time of one new interval, against forecasters.

The series are generated: a day's and a week's season at 5 minutes, noise, and gaps. Ours scores
every point from what was known before it, with its band. A peer is timed on a few of the same
series, fitted ONCE with bands on the points it was fitted on (scoring online would mean a fit for
each point, some 2,000 times as long), in one process and an environment of its own; its rate is
extrapolated from those few. The limit is what this machine's memory can do: copying the points
and their four results once, in two threads.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from bench.peers import peer_python
from bench.result import Row
from lib.metrics import bands
from lib.metrics.model import Frequency, Unit
from lib.metrics.severity import calibrate, combined, p_values
from lib.metrics.spans import no_memory, remember

SEED = 11
SERIES, INTERVALS, WIDE = 10_000, 2_016, 50_000
STEP_S, DAY, WEEK = 300, 288, 2_016
RUNS, STEPS = 3, 12
POINT_GOAL, RATIO_GOAL, STEP_GOAL_MS = 50e6, 3_000, 50.0
RESULTS = 4  # expected, lower, upper, z
PEERS = {
    "AutoETS": (["statsforecast==2.1.1"], 6),
    "seasonal naive": (["statsforecast==2.1.1"], 200),
    "Prophet": (["prophet==1.1.7", "cmdstanpy==1.2.5"], 6),  # later ones do not fit together
}
PEER_TIMEOUT_S = 600
CLOCK = bands.Clock(Frequency(5, Unit.MINUTE))
START = 1_767_225_600  # 2026-01-01 UTC

Values = NDArray[np.float32]


def run(quick: bool) -> list[Row]:  # noqa: FBT001  # what bench.__main__ calls
    """Return the rows of the benchmark; quick takes a fifth of the series and no slow peer."""
    bands.warm()
    count = SERIES // 5 if quick else SERIES
    values = generated(INTERVALS, count)
    before = _forget_peak()
    ours = values.size / median(_seconds_of_all(values) for _ in range(RUNS))
    used = _peak_bytes() - before
    limit = memory_limit(values)
    names = ["seasonal naive"] if quick else list(PEERS)
    peers = {name: rate for name in names if (rate := peer_rate(name, values)) is not None}
    case = f"{count:,} series of {INTERVALS:,}"
    return [
        Row(case, "points scored", "1/s", "higher", ours, peers, ">= 50 M", ours >= POINT_GOAL),
        Row(case, "share of the memory limit", "%", "higher", 100 * ours / limit),
        Row(case, "peak memory beyond the series", "MB", "lower", used / 1e6),
        *_against_auto_ets(case, ours, peers),
        _step_row(WIDE),
    ]


def generated(intervals: int, count: int) -> Values:
    """Return [intervals, count] values with two seasons, noise and one missing value in 200."""
    random = np.random.default_rng(SEED)
    time = np.arange(intervals, dtype=np.float32)[:, None]
    phase = random.uniform(0, 2 * np.pi, count).astype(np.float32)
    level = random.lognormal(5, 1, count).astype(np.float32)
    season = 0.3 * np.sin(2 * np.pi * time / DAY + phase) + 0.1 * np.sin(2 * np.pi * time / WEEK)
    noise = 0.05 * random.standard_normal((intervals, count), dtype=np.float32)
    values = (level * (1 + season + noise)).astype(np.float32)
    values[random.random((intervals, count), dtype=np.float32) < 1 / 200] = np.nan
    return values


def starts(first: int, count: int) -> NDArray[np.int64]:
    """Return the starts of intervals in seconds since 1970."""
    return START + STEP_S * np.arange(first, first + count, dtype=np.int64)


def memory_limit(values: Values) -> float:
    """Return how many points a second could be read and their results written, at best."""
    targets = [np.empty_like(values) for _ in range(RESULTS)]
    halves = [slice(None, len(values) // 2), slice(len(values) // 2, None)]

    def copy(rows: slice) -> None:
        for target in targets:
            np.copyto(target[rows], values[rows])

    with ThreadPoolExecutor(len(halves)) as threads:
        list(threads.map(copy, halves))
        begun = perf_counter()
        list(threads.map(copy, halves))
        taken = perf_counter() - begun
    reads_and_writes = 2 * RESULTS / (1 + RESULTS)  # a copy reads the points again each time
    return values.size / taken * reads_and_writes


def peer_rate(name: str, values: Values) -> float | None:
    """Return the points a second of a peer on a few series; None where it cannot be had."""
    requirements, count = PEERS[name]
    python = peer_python(requirements[0].replace("==", "-"), requirements)
    if python is None:
        print(f"{name}: {requirements[0]} cannot be had here, left out")
        return None
    few = values[:, :count]
    known = np.where(np.isnan(few), np.nanmean(few, axis=0), few)  # peers know no gaps
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "series.npy"
        np.save(path, known)
        script = Path(__file__).with_name("peer_forecasts.py")
        done = subprocess.run(
            [python, script, path, name],
            capture_output=True,
            text=True,
            check=False,
            timeout=PEER_TIMEOUT_S,
        )
    if done.returncode != 0:
        print(f"{name}: failed, left out: {done.stderr.strip().splitlines()[-1:]}")
        return None
    print(f"{name}: timed on {count} series, extrapolated")
    return few.size / float(json.loads(done.stdout.splitlines()[-1]))


def _against_auto_ets(case: str, ours: float, peers: dict[str, float]) -> list[Row]:
    if "AutoETS" not in peers:
        return []
    ratio = ours / peers["AutoETS"]
    goal = f">= {RATIO_GOAL:,}"
    return [Row(case, "times AutoETS", "x", "higher", ratio, {}, goal, ratio >= RATIO_GOAL)]


def _step_row(count: int) -> Row:
    history = generated(DAY, count)
    state = bands.new_state(history, CLOCK.frequency)
    state, scores = bands.follow(state, history, starts(0, DAY), CLOCK)
    usual = calibrate(scores.z, CLOCK.frequency)
    memory = no_memory(count)
    taken = []
    for step in range(STEPS):
        row = history[step : step + 1]
        begun = perf_counter()
        state, scores = bands.follow(state, row, starts(DAY + step, 1), CLOCK)
        memory, evidence = remember(memory, scores.z)
        combined(p_values(usual, evidence))
        taken.append(1e3 * (perf_counter() - begun))
    ours = median(taken)
    case = f"one interval of {count:,} series"
    return Row(case, "scored and judged", "ms", "lower", ours, {}, "< 50", ours < STEP_GOAL_MS)


def _seconds_of_all(values: Values) -> float:
    begun = perf_counter()
    bands.score_history(values, starts(0, len(values)), CLOCK, DAY)
    return perf_counter() - begun


def _forget_peak() -> int:
    # Linux: 5 sets the peak back to what is resident now.
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_bytes()


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return 1024 * int(peak.split()[1])
