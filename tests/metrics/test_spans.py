from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.metrics.spans import KINDS, ROUGH_SPAN, SPANS, by_chunks, memory_after, no_memory, remember


def noise(rows: int, series: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(rows, series)).astype(np.float32)


def test_each_kind_is_the_weighted_mean_that_pandas_knows() -> None:
    import pandas as pd

    z = noise(400, 2)
    _, evidence = remember(no_memory(2), z)
    assert np.array_equal(evidence[0], z)
    for kind, span in enumerate(SPANS, start=1):
        gain = 2 / (span + 1)
        start = np.vstack([np.zeros((1, 2)), z])  # what is carried over begins at nothing
        mean = pd.DataFrame(start).ewm(alpha=gain, adjust=False).mean().to_numpy()[1:]
        assert evidence[kind] == pytest.approx(mean / np.sqrt(gain / (2 - gain)), abs=1e-3)


def test_in_quiet_times_every_kind_is_about_standard_normal() -> None:
    _, evidence = remember(no_memory(20), noise(4_000, 20))
    assert evidence[:-1, 500:].std(axis=(1, 2)) == pytest.approx(np.ones(KINDS - 1), abs=0.15)
    assert abs(evidence[-1, 500:].mean()) < 0.3


def test_a_gap_adds_nothing_and_has_no_evidence() -> None:
    z = np.array([[2.0], [np.nan], [2.0]], dtype=np.float32)
    after, evidence = remember(no_memory(1), z)
    assert np.isnan(evidence[:, 1]).all()
    assert np.isfinite(evidence[:, [0, 2]]).all()
    assert np.isfinite(after).all()
    assert evidence[1, 2, 0] > evidence[1, 0, 0]


def test_what_grows_rougher_shows_without_a_direction() -> None:
    z = np.tile(np.array([[3.0], [-3.0]], dtype=np.float32), (ROUGH_SPAN, 1))
    _, evidence = remember(no_memory(1), z)
    assert evidence[-1, -1, 0] > 5
    assert abs(evidence[3, -1, 0]) < 1


@given(st.integers(1, 60), st.integers(0, 60))
def test_it_can_be_cut_anywhere(rows: int, cut: int) -> None:
    z = noise(rows, 3)
    whole, evidence = remember(no_memory(3), z)
    half = memory_after(no_memory(3), z[:cut])
    assert np.array_equal(memory_after(half, z[cut:]), whole)
    parts = [part for _, _, part in by_chunks(half, z[cut:])]
    if parts:
        assert np.array_equal(np.concatenate(parts, axis=1), evidence[:, cut:])
