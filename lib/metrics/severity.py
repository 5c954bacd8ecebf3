"""How unusual an interval is: p-values from a series' own past, one for all series, a severity.

1. `p_values`: how often evidence as strong was seen, over all series, each stretched by its own
   habits. Evidence is the score of the interval and what has gathered over spans (`spans`).
2. `score`: -log10 of the Cauchy combination of all p-values (Liu and Xie, JASA 2020, valid though
   series move together), less up to one where little of the measure is affected.
3. `severity`: how rarely chance makes an event of such a score. Scores of the past above a high
   one are declustered, so that what goes on counts once, and given a generalised Pareto tail
   (peaks over threshold: Davison and Smith, JRSS B 1990), averaged over all shapes and scales by
   how well they fit, so that few data give a heavy tail. 50 is expected once a day (once in 24
   intervals where they are longer), 70 once in 14 days: 100 / (1 + exp(-k u)), where u is log10 of
   the days between two such events. So a severity means the same on every data set.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, log10

import numpy as np
from numpy.typing import NDArray

from lib.metrics.model import Floats, Frequency
from lib.metrics.spans import KINDS, by_chunks, no_memory

DAYS_AT_70 = 14.0
STEEPNESS = log(0.7 / 0.3) / log10(DAYS_AT_70)
SURVIVALS = np.array([1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005])
TAIL = (4, 7)  # of SURVIVALS, between which the tail is measured; rarer ones may be anomalies
LEAST_TAIL = 0.1  # times the evidence at the survival 0.05
NORMAL = np.array([0.0, 0.6745, 1.2816, 1.6449, 1.96, 2.3263, 2.5758, 2.807])  # at SURVIVALS
POOLED_SERIES = 500  # whose evidence tells what is usual; of more, some
OWN_HABIT = 0.95  # the quantile of |z| by which a series is stretched
HABIT_ROWS = 2_000  # that tell it
ENOUGH = 100  # scored intervals before their own habits count
PRIOR = 200  # intervals that the habits of all series weigh in those of one
HABITS = (0.8, 3.0)
PEAKS = 100  # intervals above the threshold from which scores have a tail,
PEAKS_A_DAY = 4.0  # at least, so that all that is kept lies above it; of longer intervals, in 24
MOST_PEAKS = 0.15  # share of all intervals
ANOMALOUS = 0.4  # share of the past events that may be real: only counted, however large
SHAPES = np.linspace(0.02, 1.0, 25)  # of a generalised Pareto tail: 0 exponential, 1 no mean
USUAL_SHAPE = 0.05  # mean of the exponential prior of the shape
SCALES = np.geomspace(0.25, 4.0, 33)  # times the mean excess
LEAST_EXCESS = 0.1  # mean, of a score
BEYOND = np.geomspace(0.01, 1e3, 80)  # excesses of a score at which its tail is tabulated
EVENT_GAP_S = 3_600  # quiet after which an event is over, or one interval
SMALLEST = 1e-15  # p-value
DAY_S = 86_400


@dataclass(frozen=True, eq=False)
class Calibration:
    """What is usual: of evidence at `SURVIVALS`, of each series, and of the scores' events."""

    knots: NDArray[np.float64]  # |evidence| / stretch, [kinds, SURVIVALS]
    tails: NDArray[np.float64]  # one a kind: over which the chance falls to 1/e beyond the knots
    stretch: NDArray[np.float64]  # one a series
    threshold: float  # the score above which `rates` are known
    rates: NDArray[np.float64]  # log10 of events an interval, at `threshold` and BEYOND it
    rows: int  # intervals that it was learnt from


def event_gap(frequency: Frequency) -> int:
    """Return how many quiet intervals may lie between two of one event."""
    return max(1, EVENT_GAP_S // frequency.seconds)


def calibrate(z: Floats, frequency: Frequency) -> Calibration:
    """Return what the scores [intervals, series] of a past say is usual.

    As far as there are less than `ENOUGH` of them, as if quiet intervals had been seen before.
    """
    stretch = _stretches(z)
    knots, tails = _knots(z, stretch)
    plain = Calibration(knots, tails, stretch, 0.0, np.zeros(0), len(z))
    scores = np.full(len(z), np.nan)
    for at, _, evidence in by_chunks(no_memory(z.shape[1]), z):
        scores[at] = -np.log10(combined(p_values(plain, evidence)))
    threshold, rates = _event_rates(scores[np.isfinite(scores)], frequency)
    return Calibration(knots, tails, stretch, threshold, rates, len(z))


def p_values(calibration: Calibration, evidence: Floats) -> NDArray[np.float64]:
    """Return for evidence [kinds, ...] how often one as strong is seen by chance; NaN where it is.

    One for all kinds, by the Cauchy combination.
    """
    cotangents = np.zeros(evidence.shape[1:])
    for kind in range(KINDS):
        sizes = np.abs(evidence[kind]) / calibration.stretch
        inside = np.interp(sizes, calibration.knots[kind], np.log(SURVIVALS))
        last = calibration.knots[kind, -1]
        beyond = log(SURVIVALS[-1]) - (sizes - last) / calibration.tails[kind]
        chances = np.exp(np.where(sizes > last, beyond, inside))
        cotangents += 1.0 / np.tan(np.pi * np.clip(chances, SMALLEST, 1.0 - 1e-9))
    together: NDArray[np.float64] = np.arctan2(1.0, cotangents / KINDS) / np.pi
    return np.maximum(together, SMALLEST)


def combined(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one p-value for each row of [intervals, series]; NaN where no series has any."""
    known = np.isfinite(chances)
    clipped = np.clip(np.where(known, chances, 0.5), SMALLEST, 1.0 - 1e-9)
    count = known.sum(axis=1)
    mean = (np.where(known, 1.0 / np.tan(np.pi * clipped), 0.0)).sum(axis=1) / np.maximum(count, 1)
    together = np.arctan2(1.0, mean) / np.pi  # exact for large means, too
    return np.where(count > 0, np.clip(together, SMALLEST, 1.0), np.nan)


def score(chance: float, affected_share: float) -> float:
    """Return the score of an interval from its p-value and the share (0 to 1) that is affected.

    It never passes what the p-value alone tells, so that chance makes no more events than said.
    """
    return -log10(max(chance, SMALLEST)) + log10(0.1 + 0.9 * min(max(affected_share, 0.0), 1.0))


def severity(
    calibration: Calibration, scored: float, frequency: Frequency, measures: int = 1
) -> float:
    """Return the severity of a score, 0 to 100, where so many measures are watched."""
    above = scored - calibration.threshold
    rates = calibration.rates
    if above <= 0:
        rate = float(rates[0]) - above
    else:
        rate = float(np.interp(above, np.concatenate([[0.0], BEYOND]), rates))
    days = log10(_interval_days(frequency) / measures) - rate
    return float(100.0 / (1.0 + np.exp(-STEEPNESS * days)))


def false_groups_per_week(threshold: float) -> float:
    """Return how many groups of at least a severity chance alone makes a week, at most."""
    share = min(max(threshold, 1.0), 99.0) / 100.0
    return float(7.0 / 10 ** (log(share / (1.0 - share)) / STEEPNESS))


def _interval_days(frequency: Frequency) -> float:
    # Of intervals longer than an hour, 24 count as a day: else every one of them would be rare.
    return min(frequency.seconds, DAY_S / 24) / DAY_S


def _event_rates(
    scores: NDArray[np.float64], frequency: Frequency
) -> tuple[float, NDArray[np.float64]]:
    """Return a high score, and log10 of how many events an interval pass it and BEYOND it."""
    if len(scores) < ENOUGH:
        theory = -np.log10((np.arange(ENOUGH) + 0.5) / ENOUGH)
        scores = np.concatenate([scores, np.random.default_rng(0).permutation(theory)])
    share = max(PEAKS / len(scores), PEAKS_A_DAY * _interval_days(frequency))
    threshold = float(np.quantile(scores, 1.0 - min(share, MOST_PEAKS)))
    hot = np.flatnonzero(scores > threshold)
    if not len(hot):
        hot = np.array([int(scores.argmax())])
    events = np.split(hot, np.flatnonzero(np.diff(hot) > event_gap(frequency) + 1) + 1)
    excesses = np.array([scores[rows].max() for rows in events]) - threshold
    survivals = np.concatenate([[1.0], _tail(excesses)])
    return threshold, np.log10(len(events) / len(scores) * survivals)


def _tail(excesses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of events whose excess passes each of BEYOND, by generalised Pareto tails.

    The mean over shapes and scales, weighted by their likelihood and the prior.
    """
    usual = np.sort(excesses)[: len(excesses) - round(ANOMALOUS * len(excesses))]
    size = max(float(usual.mean()), LEAST_EXCESS)
    shape, scale = (each.ravel() for each in np.meshgrid(SHAPES, SCALES * size, indexing="ij"))
    fit = -shape / USUAL_SHAPE - len(usual) * np.log(scale)
    for excess in usual:
        fit -= (1.0 + 1.0 / shape) * np.log1p(shape * excess / scale)
    counted = len(excesses) - len(usual)
    fit -= counted / shape * np.log1p(shape * usual[-1] / scale)
    weight = np.exp(fit - fit.max())
    weight /= weight.sum()
    beyond = (1.0 + shape * BEYOND[:, None] / scale) ** (-1.0 / shape)
    survivals: NDArray[np.float64] = beyond @ weight
    return survivals


def _knots(
    z: Floats, stretch: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sizes of each kind of evidence at SURVIVALS, and its tail beyond them."""
    step = max(1, z.shape[1] // POOLED_SERIES)
    some = z[:, ::step]
    kinds: list[list[NDArray[np.float64]]] = [[] for _ in range(KINDS)]
    for _, _, evidence in by_chunks(no_memory(some.shape[1]), some):
        sizes = np.abs(evidence) / stretch[::step]
        for kind in range(KINDS):
            kinds[kind].append(sizes[kind][np.isfinite(sizes[kind])])
    knots = np.empty((KINDS, len(SURVIVALS)))
    for kind in range(KINDS):
        pooled = np.concatenate([np.zeros(0), *kinds[kind]])
        quiet = np.interp((np.arange(PRIOR) + 0.5) / PRIOR, 1.0 - SURVIVALS, NORMAL)
        pooled = pooled if len(pooled) >= ENOUGH else np.concatenate([pooled, quiet])
        knots[kind] = np.maximum.accumulate(np.quantile(pooled, 1.0 - SURVIVALS))
    knots[:, 0] = 0.0
    low, high = TAIL
    tails = (knots[:, high] - knots[:, low]) / log(SURVIVALS[low] / SURVIVALS[high])
    return knots, np.maximum(tails, LEAST_TAIL * knots[:, low] + 1e-9)


def _stretches(z: Floats) -> NDArray[np.float64]:
    """Return for each series by how much its usual sizes differ from those of all."""
    sizes = np.abs(z[:: max(1, len(z) // HABIT_ROWS)])
    known = np.isfinite(sizes)
    counts = known.sum(axis=0)
    if known.sum() < ENOUGH:
        return np.ones(z.shape[1])
    pooled = float(np.quantile(sizes[known], OWN_HABIT))
    own = np.full(sizes.shape[1], pooled)
    enough = counts >= ENOUGH
    if enough.any():
        own[enough] = np.nanquantile(sizes[:, enough], OWN_HABIT, axis=0)
    weight = counts / (counts + PRIOR)
    habit = weight * own / max(pooled, 1e-9) + (1.0 - weight)
    clipped: NDArray[np.float64] = np.clip(habit, *HABITS)
    return clipped
