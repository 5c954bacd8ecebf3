"""Which part of a system is at fault, where parts call each other and the callers suffer too.

A part's excess is how much worse each call was than usual, times its calls: all in one unit, such
as seconds lost or requests failed, so that parts add up. What its callees lost, it did not lose by
itself; the rest is its own, and the largest own excess comes first. A part counts only where it is
clearly worse than its means over as many intervals were before. Needs no model, only who calls
whom, and one look at the intervals in question.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.causes.model import CausesError, Matrix

CLEAR_Z = 3.0
USUAL_QUANTILE, ITS_Z = 0.9, 1.645  # of the size of usual deviations, which gives their spread
LEAST_SPREAD = 1e-3  # of the usual value, so that what never moved is no division by zero
LEAST_PAST = 5  # windows of the past that tell what is usual


@dataclass(frozen=True)
class Suspect:
    """One part: its own excess and all of it in the target's unit times calls, and how clear."""

    part: str
    own: float
    excess: float
    z: float


def at_fault(
    parts: Sequence[str],
    past: tuple[Matrix, Matrix],
    now: tuple[Matrix, Matrix],
    calls: Sequence[tuple[str, str]],
    target: str,
) -> tuple[Suspect, ...]:
    """Return the parts that the target depends on, the likeliest at fault first.

    `past` and `now` are what each call cost (more is worse; NaN where there was none) and how many
    calls there were, [part, interval]; `calls` are (caller, callee). Raises `CausesError` where the
    target is no part, or the past is too short.
    """
    if target not in parts:
        raise CausesError(f"{target!r} is none of the parts: {', '.join(parts)}.")
    length = now[0].shape[1]
    if past[0].shape[1] < LEAST_PAST * length:
        raise CausesError(
            f"The past has {past[0].shape[1]} intervals; {LEAST_PAST * length} are needed to tell "
            f"what is usual of {length}."
        )
    excess, z = _excess(past[0], now)
    callees = _callees(calls)
    place = {name: at for at, name in enumerate(parts)}
    found = []
    for name in _reached(target, callees):
        if name not in place or np.isnan(z[place[name]]):
            continue
        whole = excess[place[name]]
        below = sum(
            min(float(excess[place[one]]), float(whole))
            for one in callees.get(name, ())
            if one in place and one != name
        )
        found.append(Suspect(name, float(whole - below), float(whole), float(z[place[name]])))
    return tuple(sorted(found, key=lambda one: (one.own <= 0, -one.own, -one.z)))


def calls_of(text: str, parts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return who calls whom, from lines such as "shop → payments" (or "shop -> payments").

    Raises `CausesError` with the line where a name is no part or the arrow is missing.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        caller, _, callee = (part.strip() for part in line.replace("->", "→").partition("→"))
        if caller not in parts or callee not in parts:
            raise CausesError(
                f"Line {number} names no two parts: write caller → callee, with "
                f"{', '.join(parts[:8])}{' and others' if len(parts) > 8 else ''}."  # noqa: PLR2004 - fit a line
            )
        found.append((caller, callee))
    return tuple(found)


def _excess(past: Matrix, now: tuple[Matrix, Matrix]) -> tuple[Matrix, Matrix]:
    """Return each part's clear excess times its calls, and how clear it is; NaN where unknown."""
    cost, calls = now
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of parts that nobody called
        usual = np.nanmedian(past, axis=1)
        off = np.nanmean(cost, axis=1) - usual
        away = np.abs(_means(past, cost.shape[1]) - usual[:, None])
        spread = np.nanquantile(away, USUAL_QUANTILE, axis=1) / ITS_Z
        called = np.nan_to_num(np.nanmean(calls, axis=1))
    z: Matrix = off / np.maximum(spread, np.maximum(LEAST_SPREAD * np.abs(usual), 1e-12))
    excess: Matrix = np.where(z > CLEAR_Z, off * called, 0.0)
    return excess, z


def _means(values: Matrix, length: int) -> Matrix:
    """Return means over `length` intervals of what is known; NaN where less than half is."""
    known = np.isfinite(values)
    sums = np.cumsum(np.pad(np.where(known, values, 0.0), ((0, 0), (1, 0))), axis=1)
    counts: NDArray[np.int64] = np.cumsum(np.pad(known, ((0, 0), (1, 0))), axis=1)
    number = counts[:, length:] - counts[:, :-length]
    whole = sums[:, length:] - sums[:, :-length]
    means: Matrix = np.where(2 * number >= length, whole / np.maximum(number, 1), np.nan)
    return means


def _callees(calls: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    callees: dict[str, list[str]] = {}
    for caller, callee in calls:
        callees.setdefault(caller, []).append(callee)
    return callees


def _reached(target: str, callees: dict[str, list[str]]) -> list[str]:
    reached = [target]
    for name in reached:
        reached += [one for one in callees.get(name, ()) if one not in reached]
    return reached
