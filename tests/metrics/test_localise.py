from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lib.metrics.localise import Amounts, Cube, cube_of, localise

VALUES = {"country": ["US", "UK", "DE", "JP"], "kind": ["a", "b", "c"], "tier": ["x", "y"]}
KEYS = list(product(*VALUES.values()))


def spoiled(
    *where: dict[str, str], factor: float = 0.5
) -> tuple[Cube, Amounts, Amounts, NDArray[np.bool_]]:
    random = np.random.default_rng(1)
    expected = random.uniform(50, 500, len(KEYS))
    names = list(VALUES)
    hit = np.array(
        [
            any(all(key[names.index(n)] == v for n, v in one.items()) for one in where)
            for key in KEYS
        ]
    )
    observed = expected * np.where(hit, factor, 1.0) * random.normal(1, 0.01, len(KEYS))
    return cube_of(names, KEYS), observed, expected, np.abs(observed / expected - 1) > 0.1


@pytest.mark.parametrize(
    "where",
    [
        [{"country": "US"}],
        [{"country": "UK", "kind": "b"}],
        [{"country": "DE", "kind": "a", "tier": "y"}],
        [{"country": "US"}, {"country": "JP", "kind": "c"}],
    ],
)
@pytest.mark.parametrize("factor", [0.3, 2.0])
def test_the_fewest_combinations_are_found(where: list[dict[str, str]], factor: float) -> None:
    found = localise(*spoiled(*where, factor=factor))
    assert sorted(map(str, (dict(one.values) for one in found))) == sorted(map(str, where))
    assert sum(one.share for one in found) > 0.95


@given(st.permutations(range(len(KEYS))))
def test_the_order_of_series_does_not_matter(order: list[int]) -> None:
    cube, observed, expected, abnormal = spoiled({"country": "UK", "kind": "b"})
    shuffled = Cube(cube.dimensions, cube.codes[order], cube.names)
    assert localise(shuffled, observed[order], expected[order], abnormal[order]) == localise(
        cube, observed, expected, abnormal
    )


def test_nothing_abnormal_has_no_place() -> None:
    cube, observed, expected, _ = spoiled({"country": "UK"})
    assert localise(cube, observed, expected, np.zeros(len(KEYS), dtype=bool)) == ()
    assert localise(cube_of([], [()]), np.ones(1), np.zeros(1), np.ones(1, dtype=bool)) == ()
