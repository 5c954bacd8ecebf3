from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.metrics.localise import Amounts, Cube, cube_of, localise

VALUES = {"country": ["US", "UK", "DE", "JP"], "kind": ["a", "b", "c"], "tier": ["x", "y"]}
KEYS = list(product(*VALUES.values()))


def spoiled(*where: dict[str, str], factor: float = 0.5) -> tuple[Cube, Amounts, Amounts]:
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
    return cube_of(names, KEYS), observed, expected


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
    assert sum(one.share for one in found) > 0.9


@given(st.permutations(range(len(KEYS))))
def test_the_order_of_series_does_not_matter(order: list[int]) -> None:
    cube, observed, expected = spoiled({"country": "UK", "kind": "b"})
    shuffled = Cube(cube.dimensions, cube.codes[order], cube.names)
    found = localise(shuffled, observed[order], expected[order])
    assert [one.values for one in found] == [
        one.values for one in localise(cube, observed, expected)
    ]


def test_noise_has_no_place() -> None:
    cube, observed, expected = spoiled()
    assert localise(cube, observed, expected) == ()
    assert localise(cube, expected, expected) == ()
    assert localise(cube_of([], [()]), np.ones(1), np.zeros(1)) == ()


def test_many_small_series_show_together() -> None:
    """No series of rare counts tells anything alone; all that share a value do."""
    random = np.random.default_rng(3)
    keys = list(product([str(n) for n in range(20)], [str(n) for n in range(60)]))
    expected = np.full(len(keys), 0.5)
    rate = np.where([key[0] == "7" for key in keys], 3.0, 1.0)
    observed: Amounts = random.poisson(expected * rate).astype(np.float64)
    found = localise(cube_of(["shop", "item"], keys), observed, expected)
    assert [dict(one.values) for one in found] == [{"shop": "7"}]
