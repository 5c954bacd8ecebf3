"""Which measure helps to predict which: conditional Granger tests, every series on its own.

For each series and effect an ordinary least squares fit on a constant and some lags of all
measures; a cause is tested by the Wald F of its own lags. One Gram matrix of the lags of a series
serves all pairs of measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.causes.model import CausesError, Matrix

Booleans = NDArray[np.bool_]

MAX_LAGS = 8
ROWS_PER_PARAMETER = 10  # of a series, for a lag order to be tried
_CHUNK_CELLS = 20_000_000  # of the lag matrices of the series fitted at once


@dataclass(frozen=True, eq=False)
class Fit:
    """The vector autoregression of every series; S series, M measures, p lags.

    `p_values` and `strengths` are [S, cause, effect], NaN where a series cannot tell. A strength is
    the sum of the cause's coefficients in standard deviations of both. `best_lags` is the lag with
    the largest coefficient in size. `coefficients` are [S, lag, cause, effect], `residuals`
    [S, interval, effect] from interval p on, NaN where a lag is missing.
    """

    lags: int
    p_values: Matrix
    strengths: Matrix
    best_lags: Matrix
    coefficients: Matrix
    residuals: Matrix


def fit(values: Matrix, lags: int) -> Fit:
    """Return the tests of [series, interval, measure] values; NaN rows are left out.

    Raises `CausesError` where no series has more intervals than a fit has parameters.
    """
    series, intervals, measures = values.shape
    if intervals - lags <= measures * lags + 1:
        raise CausesError(
            f"{intervals} intervals are too few to test {measures} measures at {lags} lags: "
            f"{measures * lags + lags + 2} are the least, ten times as many are good."
        )
    size = max(1, _CHUNK_CELLS // ((intervals - lags) * (measures * lags + 1)))
    parts = [_fit(values[at : at + size], lags) for at in range(0, series, size)]
    return Fit(
        lags,
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("p_values", "strengths", "best_lags", "coefficients", "residuals")
        ),
    )


def fit_given(values: Matrix, lags: int, effect: int, now: Sequence[int]) -> tuple[Matrix, Matrix]:
    """Return p-values and strengths [S, cause] of the lags on one effect, given causes of now.

    `now` are measures whose values in the same interval are in the fit as well, so that what comes
    through them is not taken for an effect of its own.
    """
    from scipy.special import fdtrc

    design, effects, _ = _lagged(values, lags)
    series, _, measures = effects.shape
    design = np.concatenate([design, effects[:, :, list(now)]], axis=2)
    known = design[:, :, 0] > 0
    target = effects[:, :, effect : effect + 1]
    inverse, solvable = _inverses(np.matmul(design.transpose(0, 2, 1), design))
    slopes = inverse @ np.matmul(design.transpose(0, 2, 1), target)
    free = known.sum(axis=1) - design.shape[2]
    solvable &= free > 0
    p_values = np.full((series, measures), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.square(target - design @ slopes).sum(axis=(1, 2)) / free
        for cause in range(measures):
            own = 1 + cause + measures * np.arange(lags)
            block = np.linalg.pinv(inverse[:, own[:, None], own], hermitian=True)
            some = slopes[:, own, 0]
            wald = np.einsum("sk,skl,sl->s", some, block, some) / (lags * noise)
            p_values[:, cause] = fdtrc(lags, np.maximum(free, 1), np.maximum(wald, 0.0))
        by_lag = slopes[:, 1 : 1 + measures * lags, 0].reshape(series, lags, measures)
        spread = np.nanstd(values, axis=1)
        strengths = by_lag.sum(axis=1) * spread / spread[:, effect : effect + 1]
    p_values[~solvable] = np.nan
    return p_values, np.where(solvable[:, None], strengths, np.nan)


def lag_order(values: Matrix, most: int = MAX_LAGS) -> int:
    """Return the number of lags that the Bayesian information criterion chooses for all series.

    Every order is fitted to the same intervals.
    """
    _, intervals, measures = values.shape
    most = max(1, min(most, intervals // (ROWS_PER_PARAMETER * measures)))
    return min(range(1, most + 1), key=lambda lags: _bic(values[:, most - lags :], lags))


def _bic(values: Matrix, lags: int) -> float:
    measures = values.shape[2]
    residuals = fit(values, lags).residuals
    known = np.isfinite(residuals.sum(axis=2))
    rows = known.sum(axis=1)
    filled = np.where(known[:, :, None], residuals, 0.0)
    usable = rows > measures
    covariance = np.einsum("stm,stn->smn", filled, filled)[usable] / rows[usable, None, None]
    _, logs = np.linalg.slogdet(covariance)
    penalty = measures * (measures * lags + 1) * np.log(rows[usable])
    return float(np.sum(rows[usable] * logs + penalty))


def _fit(values: Matrix, lags: int) -> Fit:
    from scipy.special import fdtrc

    design, effects, known = _lagged(values, lags)
    series, _, measures = effects.shape
    gram = np.matmul(design.transpose(0, 2, 1), design)
    inverse, solvable = _inverses(gram)
    coefficients = inverse @ np.matmul(design.transpose(0, 2, 1), effects)
    residuals = effects - design @ coefficients
    free = known.sum(axis=1) - measures * lags - 1
    solvable &= free > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.square(residuals).sum(axis=1) / free[:, None]  # [series, effect]
        p_values = np.full((series, measures, measures), np.nan)
        for cause in range(measures):
            own = 1 + cause + measures * np.arange(lags)
            block = np.linalg.pinv(inverse[:, own[:, None], own], hermitian=True)
            slopes = coefficients[:, own]
            wald = np.einsum("ske,skl,sle->se", slopes, block, slopes) / (lags * noise)
            p_values[:, cause] = fdtrc(lags, np.maximum(free, 1)[:, None], np.maximum(wald, 0.0))
    p_values[~solvable] = np.nan
    by_lag = coefficients[:, 1:].reshape(series, lags, measures, measures)
    spread = np.nanstd(values, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        strengths = by_lag.sum(axis=1) * spread[:, :, None] / spread[:, None, :]
    return Fit(
        lags,
        p_values,
        np.where(solvable[:, None, None], strengths, np.nan),
        np.abs(by_lag).argmax(axis=1).astype(np.float64) + 1.0,
        by_lag,
        np.where(known[:, :, None], residuals, np.nan),
    )


def _lagged(values: Matrix, lags: int) -> tuple[Matrix, Matrix, Booleans]:
    # Rows with a gap are zero in design and effects, so that they add nothing to any sum.
    series, intervals, measures = values.shape
    rows = intervals - lags
    design = np.empty((series, rows, 1 + measures * lags))
    design[:, :, 0] = 1.0
    for lag in range(1, lags + 1):
        at = 1 + measures * (lag - 1)
        design[:, :, at : at + measures] = values[:, lags - lag : intervals - lag]
    effects = values[:, lags:].copy()
    known = np.isfinite(design.sum(axis=2) + effects.sum(axis=2))
    design[~known] = 0.0
    effects[~known] = 0.0
    return design, effects, known


def _inverses(gram: Matrix) -> tuple[Matrix, Booleans]:
    # Scaled to a unit diagonal first, so that units of measures do not look like collinearity.
    scale = np.sqrt(np.einsum("skk->sk", gram))
    scale[scale == 0] = 1.0
    scaled = gram / (scale[:, :, None] * scale[:, None, :])
    values, vectors = np.linalg.eigh(scaled)
    solvable = values[:, 0] > values[:, -1] * 1e-11
    safe = np.where(values > values[:, -1:] * 1e-11, values, np.inf)
    inverse = (vectors / safe[:, None, :]) @ vectors.transpose(0, 2, 1)
    return inverse / (scale[:, :, None] * scale[:, None, :]), solvable
