"""Online scores of single series on the Numenta Anomaly Benchmark, at one fixed severity.

Each file is scored from left to right by what a detector runs: bands and habits know only the rows
before, and an alarm is the first interval of an event at severity 70 (once in two weeks by chance).
The threshold is not fitted, which NAB allows its detectors to do over its corpus. Only the files at
hand are scored, so the figure does not compare with NAB's published table, which is of all 58; what
others reach on the same files, by their published scores and fitted thresholds, stands beside it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from bench.nab import PROFILES, file_score, normalised, probation
from bench.result import Row
from lib.metrics.evaluation import learn_measure
from lib.metrics.groups import Scored, severities
from lib.metrics.model import Frequency, Panel, Unit
from lib.metrics.severity import event_gap

DATA = Path(
    os.environ.get("SIGHTLINE_BENCH_DATA")
    or Path(__file__).resolve().parents[2] / "shared" / "data"
)
THRESHOLD = 70.0
# NAB's published scores of each row of the same files, with the threshold that was fitted on all.
PUBLISHED = {"random cut forest": 48.58, "Numenta HTM": 71.68, "random": 19.65}
GOALS = {"standard": 51.7}  # random cut forest on all 58 files
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
        ours = normalised(raw, count, weights)
        peers = PUBLISHED if profile == "standard" else {}
        goal = f"> {GOALS[profile]}" if profile in GOALS else ""
        met = ours > GOALS[profile] if profile in GOALS else None
        rows.append(Row(case, profile, "0 to 100", "higher", ours, peers, goal, met))
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
    learnt = int(interval[probation(len(frame))])
    starts = seconds[0] // step * step + step * np.arange(count, dtype=np.int64)
    frequency = Frequency(step, Unit.SECOND)
    there = np.isfinite(values).astype(np.int32)
    panel = Panel((), ((),), starts, {"value": values}, there, frequency)
    known = learn_measure(panel, "value", learnt)
    scored = Scored(
        "nab",
        "value",
        is_additive=True,
        panel=panel,
        scores=known.scores,
        first=learnt,
        calibrations=known.calibrations,
        memory=known.memory,
    )
    high = np.zeros(count, dtype=bool)
    high[learnt:] = severities(scored) >= THRESHOLD
    hot = [row for row in range(len(frame)) if inside[row] and high[interval[row]]]
    gap = 1 + event_gap(frequency)
    return [
        row
        for row, before in zip(hot, [None, *hot], strict=False)
        if before is None or interval[row] - interval[before] > gap
    ]


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
