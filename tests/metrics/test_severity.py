from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter

from lib.metrics.model import Floats, Frequency, Unit
from lib.metrics.severity import (
    calibrate,
    combined,
    event_gap,
    false_groups_per_week,
    p_values,
    score,
    severity,
)
from lib.metrics.spans import KINDS, memory_after, no_memory, remember

HOURLY = Frequency(1, Unit.HOUR)


def quiet(kind: str, series: int, intervals: int, seed: int) -> Floats:
    random = np.random.default_rng(seed)
    own = random.normal(size=(intervals, series))
    shared = random.normal(size=(intervals, 1))
    z: NDArray[np.float64] = {
        "apart": own,
        "together": np.sqrt(0.8) * shared + np.sqrt(0.2) * own,
        "heavy": random.standard_t(6, size=(intervals, series)) / np.sqrt(1.5),
        "heaviest": random.standard_t(2, size=(intervals, series)) / 2,
        "stays": lfilter([1], [1, -0.7], own, axis=0),
        "loud": own * np.linspace(0.5, 2, series),
    }[kind]
    quiet: Floats = z.astype(np.float32)
    return quiet


def events(history: Floats, later: Floats, frequency: Frequency, threshold: float) -> int:
    calibration = calibrate(history, frequency)
    _, evidence = remember(memory_after(no_memory(history.shape[1]), history), later)
    chances = combined(p_values(calibration, evidence))
    severities = [severity(calibration, score(chance, 1.0), frequency) for chance in chances]
    hot = np.flatnonzero(np.array(severities) >= threshold)
    return int((np.diff(hot, prepend=-1_000) > 1 + event_gap(frequency)).sum())


@pytest.mark.parametrize("series", [1, 30, 200])
@pytest.mark.parametrize("kind", ["apart", "together", "heavy", "heaviest", "loud", "stays"])
@pytest.mark.parametrize("frequency", [HOURLY, Frequency(5, Unit.MINUTE)])
def test_a_severity_is_as_rare_on_every_data_set(
    kind: str, series: int, frequency: Frequency
) -> None:
    history, later = quiet(kind, series, 4_000, 1), quiet(kind, series, 10_000, 2)
    weeks = 10_000 * frequency.seconds / (7 * 86_400)
    for threshold in (50, 70):
        allowed = false_groups_per_week(threshold) * weeks
        found = events(history, later, frequency, threshold)
        # Where a variance does not exist, the tail is not known from so few intervals.
        assert found <= (5 if kind == "heaviest" else 2) * allowed + 3 * np.sqrt(allowed) + 2


def test_a_small_deviation_that_stays_is_an_event() -> None:
    five_minutes = Frequency(5, Unit.MINUTE)
    history, later = quiet("apart", 1, 4_000, 1), quiet("apart", 1, 300, 3)
    later[100:200] += 1.5
    assert events(history, later[:100], five_minutes, 70) == 0
    assert events(history, later, five_minutes, 70) >= 1
    alone = calibrate(history, five_minutes)
    one = np.zeros((KINDS, 1, 1), dtype=np.float32)
    one[0] = later[100:200].max()
    assert severity(alone, score(combined(p_values(alone, one))[0], 1.0), five_minutes) < 70


def test_the_scale_of_severities() -> None:
    assert false_groups_per_week(50) == pytest.approx(7)
    assert false_groups_per_week(70) == pytest.approx(0.5)
    assert false_groups_per_week(90) < 0.02


@given(st.lists(st.floats(-40, 40), min_size=1, max_size=8), st.integers(0, 7), st.floats(1, 3))
def test_a_larger_deviation_is_never_less_severe(z: list[float], at: int, factor: float) -> None:
    calibration = calibrate(quiet("heavy", len(z), 400, 3), HOURLY)
    row = np.repeat(np.array([[z]], dtype=np.float32), KINDS, axis=0)
    larger = row.copy()
    larger[:, 0, at % len(z)] *= factor
    before, after = (combined(p_values(calibration, one))[0] for one in (row, larger))
    assert after <= before * (1 + 1e-6)


@given(st.floats(1e-15, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_is_never_less_severe(chance: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert score(chance, low) <= score(chance, high)


def test_far_beyond_all_that_was_seen_the_chance_still_falls() -> None:
    calibration = calibrate(quiet("apart", 10, 500, 4), HOURLY)
    z = np.array([4.0, 6.0, 9.0], dtype=np.float32)[:, None].repeat(10, 1)
    chances = p_values(calibration, np.stack([z] * KINDS))[:, 0]
    assert (np.diff(np.log10(chances)) < -1).all()
    assert chances[0] < 1e-3


def test_what_was_not_scored_does_not_count() -> None:
    chances = np.array([[0.01, np.nan], [np.nan, np.nan]])
    together = combined(chances)
    assert together[0] == pytest.approx(0.01, rel=1e-6)
    assert np.isnan(together[1])


def test_an_anomaly_in_the_past_hardly_changes_what_is_usual() -> None:
    history = quiet("apart", 20, 1_000, 5)
    spoiled = history.copy()
    spoiled[500:503] = 40  # and what has gathered fades over some dozen intervals
    clean, dirty = (calibrate(one, HOURLY) for one in (history, spoiled))
    z = np.full((KINDS, 1, 20), 5.0, dtype=np.float32)
    before, after = (p_values(one, z)[0, 0] for one in (clean, dirty))
    assert before < after < 1e-3
    assert events(history, 5 * history[:1], HOURLY, 70) == events(
        spoiled, 5 * history[:1], HOURLY, 70
    )
