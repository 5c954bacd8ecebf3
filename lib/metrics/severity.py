"""How unusual an interval is: p-values from a series' own past, one for all series, a severity.

1. `p_values`: how often |z| was as large in quiet times, over all series, each stretched by its own
   habits; beyond what was seen, an exponential tail, which errs to the safe side of a normal one.
2. `score`: -log10 of the Cauchy combination of the series' p-values (Liu and Xie, JASA 2020, valid
   though series move together), plus log10(1 + 9 x the share of the measure that is affected).
3. `severity`: how rare such a score is by chance. 50 is expected once a day (once in 24 intervals
   where they are longer), 70 once in 14 days: 100 / (1 + exp(-k u)), where u is log10 of the days
   between two such scores. So a severity means the same on every data set.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, log10

import numpy as np
from numpy.typing import NDArray

from lib.metrics.model import Floats, Frequency

DAYS_AT_70 = 14.0
STEEPNESS = log(0.7 / 0.3) / log10(DAYS_AT_70)
SURVIVALS = np.array([1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005])
TAIL = (0.05, 0.005)  # survivals between which the tail is measured; rarer ones may be anomalies
LEAST_TAIL = 0.3  # of z in which the chance falls to 1/e, about that of a normal there
NORMAL = np.array([0.0, 0.6745, 1.2816, 1.6449, 1.96, 2.3263, 2.5758, 2.807])  # |z| at SURVIVALS
OWN_HABIT = 0.95  # the quantile of |z| by which a series is stretched
ENOUGH = 100  # scored intervals of a series before its own habits count
PRIOR = 200  # intervals that the habits of all series weigh in those of one
HABITS = (0.8, 3.0)
RARE = 0.05  # share of intervals by which the scores of a past are measured
SMALLEST = 1e-15  # p-value
DAY_S = 86_400


@dataclass(frozen=True, eq=False)
class Calibration:
    """What is usual: |z| at `SURVIVALS` over all series, each series' stretch, and its scores."""

    knots: NDArray[np.float64]
    tail: float
    stretch: NDArray[np.float64]  # one a series
    middle: float  # the median score of an interval
    decade: float  # by how much a score rises as its chance falls to a tenth; 1 in theory


def calibrate(z: Floats) -> Calibration:
    """Return what the scores [intervals, series] of a past say is usual; normal where too few."""
    sizes = np.abs(z)
    known = np.isfinite(sizes)
    if known.sum() < ENOUGH:
        return Calibration(NORMAL, LEAST_TAIL, np.ones(z.shape[1]), log10(2.0), 1.0)
    stretch = _stretches(sizes, known)
    pooled = (sizes / stretch)[known]
    knots = np.maximum.accumulate(np.quantile(pooled, 1.0 - SURVIVALS))
    knots[0] = 0.0
    low, high = (knots[list(SURVIVALS).index(survival)] for survival in TAIL)
    tail = max((high - low) / log(TAIL[0] / TAIL[1]), LEAST_TAIL)
    plain = Calibration(knots, tail, stretch, log10(2.0), 1.0)
    scores = -np.log10(combined(p_values(plain, z)))
    scores = scores[np.isfinite(scores)]
    middle, rare = np.quantile(scores, [0.5, 1.0 - RARE])
    decade = float(rare - middle) / log10(0.5 / RARE)
    return Calibration(knots, tail, stretch, float(middle), max(decade, 1.0))


def p_values(calibration: Calibration, z: Floats) -> NDArray[np.float64]:
    """Return for each z how often one as far off is seen by chance; NaN where z is."""
    sizes = np.abs(z) / calibration.stretch
    inside = np.interp(sizes, calibration.knots, np.log(SURVIVALS))
    last = calibration.knots[-1]
    beyond = np.log(SURVIVALS[-1]) - (sizes - last) / calibration.tail
    chances: NDArray[np.float64] = np.exp(np.where(sizes > last, beyond, inside))
    return np.maximum(chances, SMALLEST)


def combined(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one p-value for each row of [intervals, series]; NaN where no series has any."""
    known = np.isfinite(chances)
    clipped = np.clip(np.where(known, chances, 0.5), SMALLEST, 1.0 - 1e-9)
    count = known.sum(axis=1)
    mean = (np.where(known, 1.0 / np.tan(np.pi * clipped), 0.0)).sum(axis=1) / np.maximum(count, 1)
    together = np.arctan2(1.0, mean) / np.pi  # exact for large means, too
    return np.where(count > 0, np.clip(together, SMALLEST, 1.0), np.nan)


def score(chance: float, affected_share: float) -> float:
    """Return the score of an interval from its p-value and the share (0 to 1) that is affected."""
    return -log10(max(chance, SMALLEST)) + log10(1.0 + 9.0 * min(max(affected_share, 0.0), 1.0))


def severity(
    calibration: Calibration, scored: float, frequency: Frequency, measures: int = 1
) -> float:
    """Return the severity of a score, 0 to 100, where so many measures are watched."""
    days = _interval_days(frequency) / _chance_of(calibration, scored) / measures
    return float(100.0 / (1.0 + np.exp(-STEEPNESS * log10(days))))


def false_groups_per_week(threshold: float) -> float:
    """Return how many groups of at least a severity chance alone makes a week, at most."""
    share = min(max(threshold, 1.0), 99.0) / 100.0
    return float(7.0 / 10 ** (log(share / (1.0 - share)) / STEEPNESS))


def _chance_of(calibration: Calibration, scored: float) -> float:
    above = max(scored - calibration.middle, 0.0)
    return 0.5 * 10 ** (-above / calibration.decade)


def _interval_days(frequency: Frequency) -> float:
    # Of intervals longer than an hour, 24 count as a day: else every one of them would be rare.
    return min(frequency.seconds, DAY_S / 24) / DAY_S


def _stretches(sizes: Floats, known: NDArray[np.bool_]) -> NDArray[np.float64]:
    counts = known.sum(axis=0)
    pooled = float(np.quantile(sizes[known], OWN_HABIT))
    own = np.full(sizes.shape[1], pooled)
    enough = counts >= ENOUGH
    if enough.any():
        own[enough] = np.nanquantile(np.where(known, sizes, np.nan)[:, enough], OWN_HABIT, axis=0)
    weight = counts / (counts + PRIOR)
    habit = weight * own / max(pooled, 1e-9) + (1.0 - weight)
    clipped: NDArray[np.float64] = np.clip(habit, *HABITS)
    return clipped
