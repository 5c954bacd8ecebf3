"""One p-value for a panel out of one for each of its series, valid though the series depend.

The quantile rule and its adaptive form follow Meinshausen, Meier and Buehlmann (JASA 2009); the
Cauchy rule Liu and Xie (JASA 2020). Each function takes p-values with the series along the first
axis, NaN where a series was not tested, and returns one p-value for each of the other cells, NaN
where no series was tested.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lib.causes.model import Matrix

LEAST_SHARE = 0.05  # of the series that must show an effect for the adaptive rule to see it
_SMALLEST = 1e-300  # so that a p-value of 0 has a finite statistic
_TINY = 1e-12  # below it a tangent, and above its inverse an arctangent, have lost their digits


def quantile(p_values: Matrix, share: float = 0.5) -> Matrix:
    """Return the quantile rule: small where at least about a share of the series is small."""
    order, tested = _sorted(p_values)
    rank = np.maximum(np.ceil(share * tested), 1).astype(np.int64)
    chosen = np.take_along_axis(order, np.minimum(rank, len(order))[None] - 1, axis=0)[0]
    combined: Matrix = np.minimum(chosen / share, 1.0)
    return combined


def adaptive(p_values: Matrix, least_share: float = LEAST_SHARE) -> Matrix:
    """Return the quantile rule at its best share from `least_share` to 1, paid for by a factor."""
    order, tested = _sorted(p_values)
    ranks = np.arange(1, len(order) + 1).reshape(-1, *[1] * (order.ndim - 1))
    shares = np.clip(ranks / np.maximum(tested, 1), least_share, 1.0)
    # A rank is the quantile of all shares up to its own; the largest of them divides best.
    usable = (ranks <= tested) & (ranks >= np.ceil(least_share * tested))
    candidates = np.where(usable, order / shares, np.inf)
    best = candidates.min(axis=0) * (1.0 - np.log(least_share))
    return np.where(tested > 0, np.minimum(best, 1.0), np.nan)


def simes(p_values: Matrix) -> Matrix:
    """Return Simes' rule: valid under positive dependence."""
    order, tested = _sorted(p_values)
    ranks = np.arange(1, len(order) + 1).reshape(-1, *[1] * (order.ndim - 1))
    candidates = np.where(ranks <= tested, order * tested / ranks, np.inf).min(axis=0)
    return np.where(tested > 0, np.minimum(candidates, 1.0), np.nan)


def cauchy(p_values: Matrix) -> Matrix:
    """Return the Cauchy combination: nearly valid under any dependence, for small p-values."""
    clipped = np.clip(p_values, _SMALLEST, 1.0 - _TINY)
    statistic = np.where(clipped < _TINY, 1.0 / (np.pi * clipped), np.tan(np.pi * (0.5 - clipped)))
    with np.errstate(invalid="ignore"):
        mean = _mean(statistic)
        small = 1.0 / (np.pi * np.maximum(mean, 1.0))
        combined = np.where(mean > 1.0 / _TINY, small, 0.5 - np.arctan(mean) / np.pi)
    return np.where(np.isnan(mean), np.nan, np.clip(combined, 0.0, 1.0))


def fisher(p_values: Matrix) -> Matrix:
    """Return Fisher's rule, which takes the series as independent: for comparison only."""
    from scipy.special import chdtrc

    tested = (~np.isnan(p_values)).sum(axis=0)
    logs = np.where(np.isnan(p_values), 0.0, -2.0 * np.log(np.maximum(p_values, _SMALLEST)))
    combined: Matrix = chdtrc(2.0 * np.maximum(tested, 1), logs.sum(axis=0))
    return np.where(tested > 0, combined, np.nan)


def benjamini_hochberg(p_values: Matrix) -> Matrix:
    """Return the p-values of many tests adjusted for the false discovery rate; NaN stay."""
    flat = p_values.ravel()
    tested = np.flatnonzero(~np.isnan(flat))
    order = tested[np.argsort(flat[tested])]
    scaled = flat[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted = np.full_like(flat, np.nan)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted.reshape(p_values.shape)


RULES: dict[str, Callable[[Matrix], Matrix]] = {
    "adaptive": adaptive,
    "quantile": quantile,
    "simes": simes,
    "cauchy": cauchy,
}


def _sorted(p_values: Matrix) -> tuple[Matrix, Matrix]:
    # NaN last; the number of series that were tested, as a float for the arithmetic.
    return np.sort(p_values, axis=0), (~np.isnan(p_values)).sum(axis=0).astype(np.float64)


def _mean(values: Matrix) -> Matrix:
    tested = (~np.isnan(values)).sum(axis=0)
    total: Matrix = np.nansum(values, axis=0)
    return np.where(tested > 0, total / np.maximum(tested, 1), np.nan)
