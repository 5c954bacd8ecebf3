"""The score of the Numenta Anomaly Benchmark (Lavin and Ahmad, ICMLA 2015), as NAB counts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp

PROBATION, MOST_PROBATION = 0.15, 750  # share of a file, and rows, in which nothing counts
FAR = 3.0  # window widths behind a window from which a false alarm costs all


@dataclass(frozen=True)
class Weights:
    """What a hit, a false alarm and a miss are worth in one of NAB's profiles."""

    hit: float
    false_alarm: float
    miss: float


PROFILES: Mapping[str, Weights] = {
    "standard": Weights(1.0, 0.11, 1.0),
    "reward low FP": Weights(1.0, 0.22, 1.0),
    "reward low FN": Weights(1.0, 0.11, 2.0),
}


def probation(rows: int) -> int:
    """Return how many rows at the beginning of a file do not count."""
    return min(int(PROBATION * rows), MOST_PROBATION)


def file_score(
    alarms: Sequence[int], windows: Sequence[tuple[int, int]], rows: int, weights: Weights
) -> float:
    """Return the raw score of a file from rows of alarms and windows (first and last row)."""
    counted = [row for row in alarms if row >= probation(rows)]
    total = sum(_window_score(counted, window, weights) for window in windows)
    outside = [row for row in counted if not any(first <= row <= last for first, last in windows)]
    return total + sum(weights.false_alarm * _outside(row, windows) for row in outside)


def normalised(raw: float, windows: int, weights: Weights) -> float:
    """Return a score of all files: 0 for a detector that says nothing, 100 for a perfect one."""
    worst, best = -weights.miss * windows, weights.hit * windows
    return 100.0 * (raw - worst) / (best - worst)


def _window_score(alarms: Sequence[int], window: tuple[int, int], weights: Weights) -> float:
    first, last = window
    hits = [row for row in alarms if first <= row <= last]
    if not hits:
        return -weights.miss
    position = -(last - min(hits) + 1) / (last - first + 1)
    return weights.hit * _sigmoid(position) / _sigmoid(-1.0)


def _outside(row: int, windows: Sequence[tuple[int, int]]) -> float:
    before = [window for window in windows if window[1] < row]
    if not before:
        return -1.0
    first, last = max(before)
    return _sigmoid((row - last) / max(last - first, 1))


def _sigmoid(position: float) -> float:
    return -1.0 if position > FAR else 2.0 / (1.0 + exp(5.0 * position)) - 1.0
