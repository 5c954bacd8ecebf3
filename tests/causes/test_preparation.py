from __future__ import annotations

import numpy as np
import pytest

from lib.causes.model import CausesError
from lib.causes.preparation import is_drifting, prepare, winsorised
from tests.causes.funnels import DAY, FUNNEL, counted, observed


def test_season_and_level_are_out_and_the_rest_is_even() -> None:
    found = prepare(counted(0.3))
    shocks = found.shocks
    assert found.logs.all()
    by_slot = np.array([np.nanmedian(shocks[:, slot::DAY], axis=(0, 1)) for slot in range(DAY)])
    assert np.abs(by_slot).max() < 0.6
    assert np.median(np.abs(shocks), axis=(0, 1)) == pytest.approx(0.6745 * np.ones(5), abs=0.1)


def test_a_shock_taken_back_is_the_amount() -> None:
    observations = counted(0.0, series=3)
    found = prepare(observations)
    even = found.usual + found.shocks * found.scale[:, None, :]
    assert np.expm1(even) == pytest.approx(observations.values, rel=1e-9)


def test_one_anomaly_is_no_evidence() -> None:
    assert winsorised(np.array([[[40.0, -40.0, 1.0]]])).tolist() == [[[6.0, -6.0, 1.0]]]


def test_what_wanders_is_told_from_what_stays() -> None:
    random = np.random.default_rng(1)
    shocks = random.normal(size=(5, 600, 2))
    shocks[:, :, 1] = np.cumsum(shocks[:, :, 1], axis=1)
    assert is_drifting(shocks).tolist() == [False, True]


def test_too_little_is_said() -> None:
    values = np.ones((2, 2, 4))
    with pytest.raises(CausesError, match="There are 2 intervals; 60 are the least"):
        prepare(observed(values))
    values = np.random.default_rng(2).normal(100, 1, size=(2, 400, 4))
    values[:, :, 1:] = 5.0
    with pytest.raises(CausesError, match="Fewer than two measures vary"):
        prepare(observed(values))


def test_a_constant_measure_and_gaps_are_named() -> None:
    values = np.random.default_rng(2).normal(100, 1, size=(2, 400, 4))
    values[:, :, 2] = 7.0
    values[:, ::9, 0] = np.nan
    found = prepare(observed(values))
    assert [FUNNEL[at] for at in found.kept] == ["visits", "clicks", "revenue"]
    assert found.notes[0] == "orders is constant and says nothing."
    assert found.notes[1].endswith("of the intervals miss a value and are left out.")
