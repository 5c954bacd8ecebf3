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
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench import shop_events
from bench.nab import PROFILES, file_score, normalised, probation
from bench.peers import peer_python
from bench.result import Row
from lib.metrics.evaluation import learn_measure
from lib.metrics.groups import interval_scores, severities
from lib.metrics.model import Frequency, Measure, Panel, Unit
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
TSB_AD = [  # its measure alone, without the models it also brings
    "--no-deps", "TSB-AD==1.5", "numpy==1.26.4", "scipy==1.14.1", "scikit-learn==1.5.2",
    "joblib==1.4.2", "threadpoolctl==3.5.0", "pandas==2.2.3", "python-dateutil==2.9.0.post0",
    "pytz==2024.2", "six==1.16.0", "tzdata==2024.2",
]  # fmt: skip
VUS_PEERS = ["POLY", "Sub-PCA", "MatrixProfile", "TimesFM", "IForest", "SR"]
Windows = list[tuple[int, int]]
Amounts = NDArray[np.float64]


def run(quick: bool) -> list[Row]:  # noqa: FBT001  # what bench.__main__ calls
    """Return NAB's score and VUS-PR over the files at hand, and the recall of the shop's events."""
    return [*_nab_rows(), *shop_events.rows(quick=quick)]


def _nab_rows() -> list[Row]:
    folder = DATA / "metrics" / "nab"
    if not folder.is_dir():
        print("Skipped: no NAB files here. Set SIGHTLINE_BENCH_DATA to the folder of the data.")
        return []
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    files = {name: _read(folder / "data" / name) for name in labels}
    windows = {name: _rows_of(labels[name], frame) for name, frame in files.items()}
    judged = {name: judge(frame) for name, frame in files.items()}
    found = {name: alarms for name, (alarms, _) in judged.items()}
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
        *_vus_rows(windows, {name: scores for name, (_, scores) in judged.items()}),
    ]


def _vus_rows(windows: Mapping[str, Windows], scores: Mapping[str, Amounts]) -> list[Row]:
    python = peer_python("tsb-ad", TSB_AD)
    if python is None:
        print("VUS-PR: TSB-AD cannot be had here, left out")
        return []
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, each) in enumerate(scores.items()):
            if not windows[name]:
                continue
            labels = np.zeros(len(each), dtype=np.int8)
            for first, last in windows[name]:
                labels[first : last + 1] = 1
            np.savez(Path(folder) / f"{number}.npz", labels=labels, scores=each)
        script = Path(__file__).with_name("peer_vus.py")
        done = subprocess.run(
            [python, script, folder], capture_output=True, text=True, check=True, timeout=1_200
        )
    figures = list(json.loads(done.stdout.splitlines()[-1]).values())
    published = pd.read_csv(DATA / "metrics" / "tsb_ad_published" / "uni_mergedTable_VUS-PR.csv")
    nab = published[published["file"].str.contains("NAB")]
    peers = {name: float(nab[name].mean()) for name in VUS_PEERS}
    case = f"NAB, {len(figures)} files with windows (peers: TSB-AD's own {len(nab)})"
    return [Row(case, "VUS-PR, mean", "0 to 1", "higher", float(np.mean(figures)), peers)]


def judge(frame: pd.DataFrame) -> tuple[list[int], Amounts]:
    """Return the rows of a file (timestamp, value) at which an event begins, and all scores."""
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
    scored = known.scored("nab", Measure("value", "value"), panel, {})
    rated = np.zeros(count)
    rated[learnt:] = severities(scored)
    high = rated >= THRESHOLD
    hot = [row for row in range(len(frame)) if inside[row] and high[interval[row]]]
    gap = 1 + event_gap(frequency)
    alarms = [
        row
        for row, before in zip(hot, [None, *hot], strict=False)
        if before is None or interval[row] - interval[before] > gap
    ]
    points = np.zeros(count)
    points[learnt:] = interval_scores(scored)
    return alarms, np.where(inside, points[np.minimum(interval, count - 1)], 0.0)


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
