"""Where a deviation sits: the fewest combinations of dimension values that explain it.

A scan statistic (Kulldorff, Communications in Statistics 1997) over every combination of values: if
all series inside deviate by one factor, the likelihood gains D^2 / (phi E), with D the deviation
and E what was expected inside. A coarser combination dilutes the factor and a finer one loses what
deviates, so the gain is greatest where both fit. The best is taken, what it holds is set aside,
and the rest is searched again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log

import numpy as np
from numpy.typing import NDArray

from lib.metrics.model import Localisation

MAX_LAYERS = 5  # dimensions in a combination,
MAX_LAYERS_OF_MANY, MANY = 3, 7  # or of so many dimensions
MAX_CAUSES = 5
LEAST_SHARE = 0.1  # of the first gain that one more combination must have
CHOICE_PRICE = 10.0  # of the gain, times the logarithm of the number of combinations to choose from
LEAST_DISPERSION = 1e-4  # of that of all series
RESTLESS, RESTLESS_OF_FEW, FEW = 0.03, 0.1, 500  # share of the series that tell no dispersion

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


def localise(cube: Cube, observed: Amounts, expected: Amounts) -> tuple[Localisation, ...]:
    """Return the combinations that explain how amounts of the series deviate, best first.

    `observed` and `expected` are one amount a series. Empty where nothing deviates more than the
    calmest series do by chance.
    """
    deviation = observed - expected
    whole = float(np.abs(deviation).sum())
    if whole <= 0 or not cube.dimensions:
        return ()
    size = np.maximum(np.abs(expected), np.abs(observed).max() * 1e-9)
    left = np.ones(len(deviation), dtype=bool)
    found: list[Localisation] = []
    first = 0.0
    net = float(deviation.sum())
    while len(found) < MAX_CAUSES:
        spread = _dispersion(deviation[left], size[left]) if left.any() else 0.0
        best = _best(cube, deviation * left, size * left * spread) if spread else None
        if best is None or best.gain * spread < LEAST_SHARE * first:
            break
        first = first or best.gain * spread
        held = float((deviation * left)[best.inside].sum())
        share = min(abs(held) / max(abs(net), abs(held)), 1.0)
        values = {
            cube.dimensions[layer]: cube.names[layer][place]
            for layer, place in zip(best.layers, best.code, strict=True)
        }
        found.append(Localisation(values, share))
        left &= ~best.inside
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Combination:
    gain: float
    layers: tuple[int, ...]
    code: tuple[int, ...]
    inside: NDArray[np.bool_]


def _best(cube: Cube, deviation: Amounts, size: Amounts) -> _Combination | None:
    """Return the combination of values that gains most; None where none gains anything."""
    dimensions = len(cube.dimensions)
    most = MAX_LAYERS if dimensions < MANY else MAX_LAYERS_OF_MANY
    top: tuple[float, tuple[int, ...], NDArray[np.bool_]] | None = None
    for count in range(1, min(most, dimensions) + 1):
        for layers in combinations(range(dimensions), count):
            keys = _keys(cube, layers)
            held, sizes = np.bincount(keys, deviation), np.bincount(keys, size)
            gains = held * held / np.maximum(sizes, 1e-300) * (sizes > 0)
            at = int(gains.argmax())
            gain = float(gains[at]) - CHOICE_PRICE * log(max(len(gains), 2))
            if gain > 0 and (top is None or gain > top[0] * (1 + 1e-9)):
                top = (gain, layers, keys == at)
    if top is None:
        return None
    gain, layers, inside = top
    member = int(np.flatnonzero(inside)[0])
    return _Combination(
        gain, layers, tuple(int(cube.codes[member, layer]) for layer in layers), inside
    )


def _dispersion(deviation: Amounts, size: Amounts) -> float:
    """Return the variance of a deviation over the amount expected, of the calmest series."""
    restless = max(RESTLESS * len(size), RESTLESS_OF_FEW * min(len(size), FEW))
    order = np.argsort(np.square(deviation) / size)[: max(1, len(size) - round(restless))]
    calm = float(np.square(deviation[order]).sum() / size[order].sum())
    return max(calm, LEAST_DISPERSION * float(np.square(deviation).sum() / size.sum()))


def _keys(cube: Cube, layers: tuple[int, ...]) -> NDArray[np.int64]:
    keys = np.zeros(len(cube.codes), dtype=np.int64)
    for layer in layers:
        keys = keys * len(cube.names[layer]) + cube.codes[:, layer]
    _, dense = np.unique(keys, return_inverse=True)
    return dense.astype(np.int64)
