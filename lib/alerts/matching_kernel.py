"""A rule on very many groups, compiled: stops at the first condition that a group fails."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, parallel=True)
def match_groups(  # noqa: PLR0913, PLR0917 - one loop over columns
    measure: Any,
    direction: Any,
    impact: Any,
    first: Any,
    codes: Any,
    wanted: Any,
    points: Any,
    columns: Any,
    fits: Any,
    limits: Any,
    found: Any,
) -> None:
    """Set `found` of each group that fits; see `matching.GroupTable` and `matching.matching`.

    `limits` holds least impact, whether missing data count, and whether a filter
    is on a dimension that the groups do not have.
    """
    least_impact, health, impossible = limits
    for at in numba.prange(len(measure)):
        if measure[at] < 0:
            found[at] = health
            continue
        if impossible or not wanted[measure[at]] or not points[direction[at]]:
            continue
        if impact[at] < least_impact:
            continue
        if len(columns) == 0:
            found[at] = True
            continue
        for series in range(first[at], first[at + 1]):
            fit = True
            for row in range(len(columns)):
                code = codes[series, columns[row]]
                if code < 0 or not fits[row, code]:
                    fit = False
                    break
            if fit:
                found[at] = True
                break


def warm() -> None:
    """Compile or load the kernel, so that nobody waits for it later."""
    none = np.zeros(0)
    match_groups(
        none.astype(np.int32), none.astype(np.int8), none,
        np.zeros(1, dtype=np.int64), np.zeros((0, 1), dtype=np.int32), np.zeros(1, dtype=np.bool_),
        np.zeros(3, dtype=np.bool_), np.zeros(0, dtype=np.int64), np.zeros((0, 1), dtype=np.bool_),
        (0.0, True, False), np.zeros(0, dtype=np.bool_),
    )  # fmt: skip
