from __future__ import annotations

import numpy as np
import pytest

from lib.causes.granger import fit, lag_order
from lib.causes.model import CausesError, Matrix


def chain(series: int, intervals: int, measures: int, lag: int = 1, effect: float = 0.4) -> Matrix:
    noise = np.random.default_rng(3).normal(size=(series, intervals, measures))
    values = noise.copy()
    for t in range(lag, intervals):
        values[:, t] += 0.3 * values[:, t - 1]
        values[:, t, 1:] += effect * values[:, t - lag, :-1]
    return values


def f_test(values: Matrix, cause: int, effect: int, lags: int) -> float:
    """Compare the residual sums of squares of two plain fits: with and without the cause."""
    from scipy.stats import f

    intervals, measures = values.shape
    rows = intervals - lags
    columns = {
        (measure, lag): values[lags - lag : intervals - lag, measure]
        for measure in range(measures)
        for lag in range(1, lags + 1)
    }
    target = values[lags:, effect]

    def rest(chosen: list[tuple[int, int]]) -> float:
        design = np.column_stack([np.ones(rows), *(columns[key] for key in chosen)])
        fitted, *_ = np.linalg.lstsq(design, target, rcond=None)
        return float(np.square(target - design @ fitted).sum())

    full = rest(list(columns))
    without = rest([key for key in columns if key[0] != cause])
    free = rows - measures * lags - 1
    return float(f.sf((without - full) / lags / (full / free), lags, free))


@pytest.mark.parametrize("lags", [1, 3])
def test_p_values_are_those_of_two_plain_fits(lags: int) -> None:
    values = chain(2, 120, 3) * [1.0, 1e4, 1e-3] + [0.0, 1e5, 2.0]
    tested = fit(values, lags).p_values
    for series in range(2):
        for cause in range(3):
            for effect in range(3):
                if cause != effect:
                    expected = f_test(values[series], cause, effect, lags)
                    assert tested[series, cause, effect] == pytest.approx(expected, rel=1e-6)


def test_a_row_with_a_gap_is_left_out() -> None:
    values = chain(1, 200, 2)
    values[0, 57, 1] = np.nan
    residuals = fit(values, 2).residuals[0]
    assert np.isnan(residuals).any(axis=1).nonzero()[0].tolist() == [55, 56, 57]


def test_the_lag_order_is_that_of_the_data() -> None:
    assert lag_order(chain(20, 600, 3, lag=3)) == 3


def test_the_lag_of_an_edge_and_its_sign() -> None:
    found = fit(chain(10, 500, 2, lag=2, effect=-0.5), 3)
    assert (found.best_lags[:, 0, 1] == 2).all()
    assert (found.strengths[:, 0, 1] < -0.2).all()


def test_a_copy_of_a_measure_cannot_be_told_apart() -> None:
    values = chain(3, 200, 2)
    copied = np.concatenate([values, values[:, :, :1]], axis=2)
    assert np.isnan(fit(copied, 1).p_values).all()


def test_too_few_intervals_are_told() -> None:
    with pytest.raises(CausesError, match="4 intervals are too few"):
        fit(np.zeros((2, 4, 3)), 1)


def test_many_series_are_fitted_as_one_by_one() -> None:
    values = chain(7, 100, 3)
    together = fit(values, 2).p_values
    alone = np.concatenate([fit(values[at : at + 1], 2).p_values for at in range(7)])
    assert together == pytest.approx(alone, rel=1e-9)
