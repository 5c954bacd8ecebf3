"""What is left of measures once season and level are out, so that tests see shocks and not days.

Raw seasonal data make any two measures look as if one drove the other. Amounts are taken as
logarithms where all are positive enough, the median of each slot of the week and a slow level are
subtracted, and the rest is brought to a robust standard deviation of 1. For finding edges it is
winsorised, because one anomaly in two measures is no evidence of a cause.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.causes.model import CausesError, Matrix, Observations

LEAST_INTERVALS = 60
WINSOR = 6.0  # robust standard deviations
LEVEL_SHARE = 0.1  # of the intervals over which the slow level is a median
LEAST_LEVEL = 25  # intervals
SEEN_OFTEN = 3  # times that a slot of the season must have been seen
TO_SIGMA = 1.4826
THREADS = 2


@dataclass(frozen=True, eq=False)
class Prepared:
    """Shocks of each series and measure, [series, interval, measure], and how to take them back.

    A shock times `scale` is how far the even amount (its logarithm where `logs`) is from `usual`.
    """

    shocks: Matrix
    scale: Matrix  # [series, measure]
    usual: Matrix  # as shocks, in the even scale
    logs: NDArray[np.bool_]  # by measure
    kept: NDArray[np.int64]  # measures that vary
    notes: tuple[str, ...]


def prepare(observations: Observations) -> Prepared:
    """Return the shocks; raises `CausesError` where there is too little to tell anything."""
    values = observations.values
    intervals = values.shape[1]
    if intervals < LEAST_INTERVALS:
        raise CausesError(
            f"There are {intervals} intervals; {LEAST_INTERVALS} are the least that can tell "
            "anything, and several hundred are good."
        )
    logs = np.array([_is_positive(values[:, :, at]) for at in range(values.shape[2])])
    even = np.where(logs, np.log1p(np.maximum(values, 0.0)), values)
    halves = np.array_split(np.arange(len(even)), min(THREADS, len(even)))
    with ThreadPoolExecutor(THREADS) as threads:  # medians leave the interpreter free
        found = list(threads.map(lambda rows: _usual(even[rows], observations.slots), halves))
    usual, scale = (np.concatenate([one[at] for one in found]) for at in (0, 1))
    rest = even - usual
    if not (scale > 0).all():
        scale = np.where(scale > 0, scale, np.nan_to_num(_quiet_std(rest)))
    constant = ~(scale > 0)
    shocks = rest / np.where(constant, np.nan, scale)[:, None, :]
    kept = np.flatnonzero(~constant.all(axis=0))
    names = observations.measures
    notes = [
        f"{names[at]} is constant and says nothing." for at in range(len(names)) if at not in kept
    ]
    gaps = float(np.isnan(values).any(axis=2).mean())
    if gaps > 0.05:  # noqa: PLR2004 - a share worth a word
        notes.append(f"{gaps:.0%} of the intervals miss a value and are left out.")
    if len(kept) < 2:  # noqa: PLR2004 - a cause and an effect
        raise CausesError(
            "Fewer than two measures vary, so none can drive another. Add a measure that varies."
        )
    return Prepared(shocks, scale, usual, logs, kept, tuple(notes))


def winsorised(shocks: Matrix) -> Matrix:
    """Return the shocks with the far ones brought to six standard deviations."""
    return np.clip(shocks, -WINSOR, WINSOR)


def is_drifting(shocks: Matrix) -> NDArray[np.bool_]:
    """Return for each measure whether most series wander, by the variance of long differences.

    Of independent shocks the variance of differences is the same at any distance.
    """
    far = min(48, shocks.shape[1] // 4)
    with np.errstate(all="ignore"):
        near = np.nanvar(shocks[:, 1:] - shocks[:, :-1], axis=1)
        long = np.nanvar(shocks[:, far:] - shocks[:, :-far], axis=1)
        ratio = np.nanmedian(long / near, axis=0)
    drifting: NDArray[np.bool_] = np.nan_to_num(ratio) > far / 4
    return drifting


def _is_positive(values: Matrix) -> bool:
    known = values[np.isfinite(values)]
    return bool(known.size and known.min() >= 0 and np.median(known) > 0)


def _usual(even: Matrix, slots: NDArray[np.int64]) -> tuple[Matrix, Matrix]:
    """Return what is usual of some series, and the robust standard deviation around it."""
    usual = _season(even, slots)
    usual += _level(even - usual)
    with np.errstate(all="ignore"):
        return usual, TO_SIGMA * _median(np.abs(even - usual))


def _season(even: Matrix, slots: NDArray[np.int64]) -> Matrix:
    counts = np.bincount(slots)
    usual = np.zeros_like(even)
    with np.errstate(all="ignore"):
        whole = _median(even)[:, None]
        usual += np.nan_to_num(whole)
        if np.median(counts[counts > 0]) < SEEN_OFTEN:
            return usual
        for slot in np.flatnonzero(counts):
            rows = slots == slot
            usual[:, rows] = np.nan_to_num(_median(even[:, rows]))[:, None]
    return usual


def _level(rest: Matrix) -> Matrix:
    """Return a slow level: medians of blocks, joined by lines."""
    intervals = rest.shape[1]
    size = max(LEAST_LEVEL, round(LEVEL_SHARE * intervals))
    edges = np.arange(0, intervals, size)
    middles: list[float] = []
    medians: list[Matrix] = []
    for low in edges:
        high = min(intervals, low + size)
        if high - low < LEAST_LEVEL and middles:
            break
        middles.append((low + high - 1) / 2)
        with np.errstate(all="ignore"):
            medians.append(np.nan_to_num(_median(rest[:, low:high])))
    at = np.arange(intervals)
    known = np.array(medians)  # [block, series, measure]
    if len(middles) == 1:
        return np.broadcast_to(known[0][:, None, :], rest.shape)
    place = np.clip(np.searchsorted(middles, at) - 1, 0, max(len(middles) - 2, 0))
    left, right = np.array(middles)[place], np.array(middles)[place + 1]
    share = np.clip((at - left) / (right - left), 0.0, 1.0)[:, None]
    known = known.transpose(1, 0, 2)
    joined: Matrix = known[:, place]
    joined += (known[:, place + 1] - joined) * share
    return joined


def _median(values: Matrix) -> Matrix:
    """Return the median over intervals of what is known; NaN where nothing is."""
    # Four times as fast where nothing is missing, which is the rule.
    middle: Matrix = np.median(values, axis=1)
    if np.isnan(middle).any():
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of series without any value
            middle = np.nanmedian(values, axis=1)
    return middle


def _quiet_std(rest: Matrix) -> Matrix:
    with np.errstate(all="ignore"):
        spread: Matrix = np.nanstd(rest, axis=1)
    return spread
