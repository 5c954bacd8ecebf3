"""Where a deviation sits: the fewest combinations of dimension values that explain it.

Every combination of up to three dimensions is judged by two shares: how much of the abnormal
deviation it holds, and how much of what was expected of it is abnormal. The one with the best
harmonic mean is taken, what it holds is removed, and the rest is searched again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lib.metrics.model import Localisation

MAX_LAYERS = 3  # dimensions in a combination
MAX_CAUSES = 5
LEAST_SHARE = 0.1  # of the deviation that one more combination must explain
EXPLAINED = 0.9  # then the search ends
LAYER_PRICE = 0.03  # of the score, for each dimension more

Amounts = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cube:
    """Series by their codes in each dimension [series, dimensions], with the names of the codes."""

    dimensions: Sequence[str]
    codes: NDArray[np.int64]
    names: Sequence[Sequence[str]]


def cube_of(dimensions: Sequence[str], keys: Sequence[Sequence[str]]) -> Cube:
    """Return the cube of some series' keys."""
    columns, names = [], []
    for place in range(len(dimensions)):
        found, codes = np.unique([key[place] for key in keys], return_inverse=True)
        columns.append(codes)
        names.append([str(name) for name in found])
    codes = np.stack(columns, axis=1) if columns else np.zeros((len(keys), 0), dtype=np.int64)
    return Cube(tuple(dimensions), codes.astype(np.int64), names)


def localise(
    cube: Cube, observed: Amounts, expected: Amounts, abnormal: NDArray[np.bool_]
) -> tuple[Localisation, ...]:
    """Return the combinations that explain the deviation of the abnormal series, best first.

    `observed` and `expected` are amounts of each series. Empty where nothing is abnormal.
    """
    weight = np.abs(observed - expected) * abnormal
    whole = float(weight.sum())
    if whole <= 0 or not cube.dimensions:
        return ()
    size = np.abs(expected) + weight
    left = np.ones(len(weight), dtype=bool)
    found: list[Localisation] = []
    explained = 0.0
    while len(found) < MAX_CAUSES and explained < EXPLAINED:
        best = _best(cube, weight * left, size, abnormal)
        if best is None:
            break
        layers, code, inside = best
        share = float((weight * left)[inside].sum()) / whole
        if found and share < LEAST_SHARE:
            break
        values = {
            cube.dimensions[layer]: cube.names[layer][place]
            for layer, place in zip(layers, code, strict=True)
        }
        found.append(Localisation(values, share))
        explained += share
        left &= ~inside
    return tuple(found)


def _best(
    cube: Cube, weight: Amounts, size: Amounts, abnormal: NDArray[np.bool_]
) -> tuple[tuple[int, ...], tuple[int, ...], NDArray[np.bool_]] | None:
    """Return the dimensions, codes and members of the combination with the best score."""
    whole = weight.sum()
    if whole <= 0:
        return None
    top: tuple[float, tuple[int, ...], int, NDArray[np.int64]]
    top = (0.0, (), 0, np.zeros(0, dtype=np.int64))
    for count in range(1, min(MAX_LAYERS, len(cube.dimensions)) + 1):
        for layers in combinations(range(len(cube.dimensions)), count):
            keys = _keys(cube, layers)
            held = np.bincount(keys, weight)
            bad = np.bincount(keys, size * abnormal)
            all_of_it = np.bincount(keys, size)
            recall = held / whole
            purity = bad / np.maximum(all_of_it, 1e-300)
            harmonic = 2 * recall * purity / np.maximum(recall + purity, 1e-300)
            harmonic -= LAYER_PRICE * (count - 1)
            at = int(harmonic.argmax())
            if harmonic[at] > top[0] + 1e-12:
                top = (float(harmonic[at]), layers, at, keys)
    value, layers, at, keys = top
    if value <= 0:
        return None
    inside = keys == at
    member = int(np.flatnonzero(inside)[0])
    return layers, tuple(int(cube.codes[member, layer]) for layer in layers), inside


def _keys(cube: Cube, layers: tuple[int, ...]) -> NDArray[np.int64]:
    keys = np.zeros(len(cube.codes), dtype=np.int64)
    for layer in layers:
        keys = keys * len(cube.names[layer]) + cube.codes[:, layer]
    _, dense = np.unique(keys, return_inverse=True)
    return dense.astype(np.int64)
