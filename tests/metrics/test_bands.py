from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lib.metrics.bands import (
    Clock,
    follow,
    intervals_needed,
    load_state,
    new_state,
    save_state,
    score_history,
)
from lib.metrics.model import Floats, Frequency, Scores, Unit

HOURLY = Frequency(1, Unit.HOUR)
CLOCK = Clock(HOURLY)
MONDAY = 1_767_571_200  # 2026-01-05
WEEKS = 8


def times(count: int, step: int = 3_600) -> NDArray[np.int64]:
    return MONDAY + step * np.arange(count, dtype=np.int64)


def quiet(kind: str, count: int = 24 * 7 * WEEKS, series: int = 40) -> Floats:
    """Return series in which nothing happens, of one kind of noise and season."""
    random = np.random.default_rng(5)
    hour = np.arange(count)[:, None]
    day = 1 + 0.6 * np.sin(hour / 24 * 2 * np.pi)
    week = np.where(hour // 24 % 7 >= 5, 0.6, 1.0)
    shape = (count, series)
    kinds: dict[str, Callable[[], NDArray[Any]]] = {
        "normal": lambda: 50 + random.normal(size=shape),
        "counts": lambda: random.poisson(200 * day * week * np.ones(shape)),
        "few": lambda: random.poisson(1.5 * day * np.ones(shape)),
        "amounts": lambda: 1e5 * day * week * random.lognormal(0, 0.1, shape),
        "trend": lambda: 100 + 0.05 * hour + 20 * day + random.normal(size=shape),
        "lasting": lambda: 100 + _autoregressive(random.normal(size=shape)),
        "below zero": lambda: -5 + random.normal(size=shape) * day,
    }
    values: Floats = kinds[kind]().astype(np.float32)
    return values


def _autoregressive(noise: NDArray[np.float64]) -> NDArray[np.float64]:
    for at in range(1, len(noise)):
        noise[at] += 0.8 * noise[at - 1]
    return noise


def scored(values: Floats, first: int = 24 * 7 * 3) -> Scores:
    return score_history(values, times(len(values)), CLOCK, first)


@pytest.mark.parametrize(
    "kind", ["normal", "counts", "few", "amounts", "trend", "lasting", "below zero"]
)
def test_where_nothing_happens_z_is_nearly_normal(kind: str) -> None:
    z = scored(quiet(kind)).z
    assert np.isfinite(z).all()
    assert 0.75 < z.std() < 1.2
    assert abs(np.median(z)) < 0.35
    assert (np.abs(z) > 4.5).mean() < 1e-3


@pytest.mark.parametrize("kind", ["normal", "counts", "amounts", "trend"])
@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_a_shock_stands_out_and_does_not_poison_what_follows(kind: str, factor: float) -> None:
    values = quiet(kind)
    start = 24 * 43 + 4  # on a weekday
    values[start : start + 4] *= factor
    z = scored(values).z[start - 24 * 7 * 3 :]
    assert (np.abs(z[:2]) > 4).mean() > 0.9
    assert (np.abs(z[:4]) > 3).mean() > 0.9
    assert (np.sign(z[:4]) == np.sign(factor - 1)).mean() > 0.99
    assert (np.abs(z[4:48]) > 5).mean() < 0.02


def test_a_new_level_is_one_event_and_then_the_rule() -> None:
    values = quiet("normal")
    values[1_000:] += 30
    z = np.abs(scored(values).z[1_000 - 24 * 7 * 3 :])
    assert (z[:3] > 5).all()
    assert (z[36:] > 5).mean() < 0.01


def test_a_flat_series_that_moves_is_told_and_no_number_is_infinite() -> None:
    values = np.full((600, 2), 7, dtype=np.float32)
    values[590, 1] = 8
    scores = score_history(values, times(600), CLOCK, 400)
    assert np.isfinite(scores.z).all()
    assert np.abs(scores.z[:, 0]).max() < 1
    assert scores.z[190, 1] > 20


def test_bands_are_in_the_unit_of_the_measure_and_hold_what_is_usual() -> None:
    values = quiet("counts")
    scores = scored(values)
    late = values[24 * 7 * 3 :]
    assert ((scores.lower <= late) & (late <= scores.upper)).mean() > 0.99
    assert (scores.lower >= 0).all()
    assert np.abs(scores.expected / late.mean() - late / late.mean()).mean() < 0.15


def test_the_future_never_changes_a_score() -> None:
    values = quiet("counts", 900)
    whole = scored(values)
    values[800:] = 0
    assert np.array_equal(scored(values).z[: 800 - 504], whole.z[: 800 - 504])


def test_following_row_by_row_is_following_all_at_once(tmp_path: Path) -> None:
    values, starts = quiet("amounts", 700, 7), times(700)
    whole = score_history(values, starts, CLOCK, 600)
    state, _ = follow(new_state(values[:600], HOURLY), values[:600], starts[:600], CLOCK)
    for at in range(600, 700):
        save_state(state, tmp_path / "state.npz")
        state = load_state(tmp_path / "state.npz")
        state, row = follow(state, values[at : at + 1], starts[at : at + 1], CLOCK)
        assert np.allclose(row.z, whole.z[at - 600], atol=1e-4)
        assert np.allclose(row.upper, whole.upper[at - 600], rtol=1e-4)


def test_series_do_not_know_each_other() -> None:
    values = np.hstack([quiet("counts", 800, 300), quiet("amounts", 800, 300)])
    order = np.random.default_rng(1).permutation(600)
    assert np.array_equal(scored(values).z[:, order], scored(values[:, order].copy()).z)


def test_a_gap_stays_a_gap_and_is_not_learnt_from() -> None:
    values = quiet("counts")
    gappy = values.copy()
    gappy[1_000:1_003] = np.nan
    z = scored(gappy).z
    assert np.isnan(z[1_000 - 504 : 1_003 - 504]).all()
    assert np.isfinite(np.delete(z, np.arange(1_000 - 504, 1_003 - 504), axis=0)).all()
    infinite = values.copy()
    infinite[1_000:1_003] = np.inf
    assert np.array_equal(scored(infinite).z, z, equal_nan=True)


def test_a_series_is_not_scored_before_it_is_known() -> None:
    values = quiet("counts", 200)
    z = score_history(values, times(200), CLOCK, 0).z
    needed = intervals_needed(HOURLY)
    assert np.isnan(z[:needed]).all()
    assert np.isfinite(z[needed:]).all()


def test_a_holiday_is_expected_to_be_like_a_sunday_and_wider() -> None:
    values = quiet("counts")
    starts = times(len(values))
    wednesday = 24 * (7 * 6 + 2)
    values[wednesday : wednesday + 24] *= 0.6
    day = date.fromordinal(date(2026, 1, 5).toordinal() + 44)
    plain = score_history(values, starts, CLOCK, 504).z
    known = score_history(values, starts, Clock(HOURLY, "UTC", {day}), 504).z
    rows = slice(wednesday - 504 + 2, wednesday - 504 + 24)
    assert np.abs(known[rows]).mean() < 0.5 * np.abs(plain[rows]).mean()


@pytest.mark.parametrize("unit", [Unit.DAY, Unit.WEEK, Unit.MONTH])
def test_long_intervals_are_scored_too(unit: Unit) -> None:
    random = np.random.default_rng(3)
    values = random.normal(100, 3, (150, 5)).astype(np.float32)
    values[140] = 150
    frequency = Frequency(1, unit)
    z = score_history(values, times(150, frequency.seconds), Clock(frequency), 30).z
    assert (z[110] > 5).all()
    assert (np.abs(z[:110]) > 5).mean() < 0.01
