"""Online scores of single series on the Numenta Anomaly Benchmark, at one fixed severity.

Each file is scored from left to right: bands know only the rows before, what is usual is learnt in
the probation (15 % of a file, at most 750 rows), and an alarm is the first interval of an event at
severity 70 (once in two weeks by chance). The threshold is not fitted, which NAB allows its
detectors to do over its corpus. Only the files at hand are scored, so the figure does not compare
with NAB's published table, which is of all 58.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from bench.nab import PROFILES, file_score, normalised, probation
from bench.result import Row
from lib.metrics.bands import Clock, follow, new_state
from lib.metrics.model import Frequency, Unit
from lib.metrics.severity import calibrate, combined, p_values, score, severity

DATA = Path(
    os.environ.get("SIGHTLINE_BENCH_DATA")
    or Path(__file__).resolve().parents[2] / "shared" / "data"
)
THRESHOLD = 70.0
MOST_INTERVALS = 100_000  # of a file once its gaps are filled
Windows = list[tuple[int, int]]


def run(quick: bool) -> list[Row]:  # noqa: ARG001, FBT001  # what bench.__main__ calls; it is quick
    """Return the normalised score of each of NAB's profiles over the files at hand."""
    folder = DATA / "metrics" / "nab"
    if not folder.is_dir():
        print("Skipped: no NAB files here. Set SIGHTLINE_BENCH_DATA to the folder of the data.")
        return []
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    files = {name: _read(folder / "data" / name) for name in labels}
    windows = {name: _rows_of(labels[name], frame) for name, frame in files.items()}
    found = {name: alarms(frame) for name, frame in files.items()}
    count = sum(len(each) for each in windows.values())
    case = f"NAB, {len(files)} of its 58 files"
    rows = []
    for profile, weights in PROFILES.items():
        raw = sum(file_score(found[n], windows[n], len(files[n]), weights) for n in files)
        rows.append(Row(case, profile, "0 to 100", "higher", normalised(raw, count, weights)))
    seen = sum(
        any(first <= row <= last for row in found[name])
        for name in files
        for first, last in windows[name]
    )
    alarm_count = sum(len(each) for each in found.values())
    return [
        *rows,
        Row(case, f"windows found of {count}", "windows", "higher", seen),
        Row(case, "alarms, in and out of windows", "alarms", "lower", alarm_count),
    ]


def alarms(frame: pd.DataFrame) -> list[int]:
    """Return the rows of a file (timestamp, value) at which an event begins."""
    seconds = frame["timestamp"].to_numpy("datetime64[s]").astype(np.int64)
    step = max(int(np.median(np.diff(seconds))), 1)
    interval = (seconds - seconds[0]) // step
    count = min(int(interval[-1]) + 1, MOST_INTERVALS)
    inside = interval < count
    values = np.full((count, 1), np.nan, dtype=np.float32)
    values[interval[inside], 0] = frame["value"].to_numpy()[inside]
    quiet = probation(len(frame))
    learnt = int(interval[quiet])
    clock = Clock(Frequency(step, Unit.SECOND))
    starts = seconds[0] // step * step + step * np.arange(count, dtype=np.int64)
    _, scores = follow(new_state(values[:learnt], clock.frequency), values, starts, clock)
    usual = calibrate(scores.z[:learnt])
    chances = combined(p_values(usual, scores.z))
    high = [
        bool(np.isfinite(chance))
        and severity(usual, score(float(chance), 1.0), clock.frequency) >= THRESHOLD
        for chance in chances
    ]
    of_rows = [bool(inside[row]) and high[interval[row]] for row in range(len(frame))]
    return [row for row in range(1, len(frame)) if of_rows[row] and not of_rows[row - 1]]


def _read(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, parse_dates=["timestamp"])
    return frame.sort_values("timestamp", kind="stable").reset_index(drop=True)


def _rows_of(windows: list[list[str]], frame: pd.DataFrame) -> Windows:
    times = frame["timestamp"]
    bounds = [(pd.Timestamp(first), pd.Timestamp(last)) for first, last in windows]
    return [
        (int(times.searchsorted(first)), int(times.searchsorted(last, side="right")) - 1)
        for first, last in bounds
    ]
