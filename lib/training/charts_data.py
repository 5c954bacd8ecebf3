"""What a chart of a long run shows: few points that keep every peak, bands, and heat maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.training.model import Micros, Profile, Series, Values

MOST_POINTS = 1_500
HEAT_COLUMNS = 300
HISTOGRAM_BINS = 40


@dataclass(frozen=True, eq=False)
class Band:
    """Least, mean and most of several series in windows of time."""

    times: Micros
    least: Values
    mean: Values
    most: Values


def thinned(series: Series, window: tuple[int, int] | None = None) -> tuple[Micros, Values]:
    """Return at most `MOST_POINTS` samples within a window that keep the shape and every peak."""
    times, values = series.times, series.values
    if window is not None:
        low, high = np.searchsorted(times, [window[0], window[1]])
        times, values = times[low:high], values[low:high]
    if len(times) <= MOST_POINTS:
        return times, values
    from tsdownsample import MinMaxLTTBDownsampler

    sampler = MinMaxLTTBDownsampler()  # type: ignore[no-untyped-call]  # it ships no types
    rows = sampler.downsample(np.ascontiguousarray(values), n_out=MOST_POINTS)
    return times[rows], values[rows]


def band(series: list[Series], window: tuple[int, int], columns: int = HEAT_COLUMNS) -> Band:
    """Return least, mean and most of the means that series have in each of some columns."""
    edges, grid = _grid(series, window, columns)
    known = np.isfinite(grid).any(axis=0)
    grid, starts = grid[:, known], edges[:-1][known]
    return Band(starts, np.nanmin(grid, axis=0), np.nanmean(grid, axis=0), np.nanmax(grid, axis=0))


def heat(
    series: list[Series], window: tuple[int, int], columns: int = HEAT_COLUMNS
) -> tuple[Micros, Values]:
    """Return the means of series, [series, column]; NaN where nothing was sampled."""
    edges, grid = _grid(series, window, columns)
    return edges[:-1], grid


def histogram(values: Values, bins: int = HISTOGRAM_BINS) -> tuple[Values, NDArray[np.int64]]:
    """Return the middles and counts of equal bins over what is known of some values."""
    known = values[np.isfinite(values)]
    counts, edges = np.histogram(known, bins=bins) if len(known) else (np.zeros(0), np.zeros(1))
    middles: Values = (edges[1:] + edges[:-1]) / 2
    return middles, counts.astype(np.int64)


def window_of(profile: Profile) -> tuple[int, int]:
    """Return first and last moment of a profile."""
    return profile.start, profile.end


def _grid(
    series: list[Series], window: tuple[int, int], columns: int
) -> tuple[NDArray[np.int64], Values]:
    most = max((len(one.times) for one in series), default=1)
    count = max(1, min(columns, most))
    edges = np.linspace(window[0], window[1] + 1, count + 1).astype(np.int64)
    grid = np.full((len(series), count), np.nan)
    for row, one in enumerate(series):
        bounds = np.searchsorted(one.times, edges)
        sums = np.concatenate([[0.0], np.cumsum(one.values)])
        numbers = np.diff(bounds)
        there = numbers > 0
        grid[row, there] = (sums[bounds[1:]] - sums[bounds[:-1]])[there] / numbers[there]
    return edges, grid
