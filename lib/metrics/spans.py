"""Evidence that gathers over several intervals: weighted means of a series' scores.

A small deviation that stays shows in the mean of many scores before it shows in any one of them,
and noise that grows in the mean of their sizes. Exponentially weighted, so that one number a series
and span is all that is carried from interval to interval (Roberts, Technometrics 1959).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lib.metrics.model import Floats

SPANS = (6, 36, 144)  # intervals over which signed scores are gathered
ROUGH_SPAN = 12  # and over which their sizes are
KINDS = 1 + len(SPANS) + 1  # of evidence: the score itself, each span, roughness
CHUNK_CELLS = 1_000_000  # scores at a time


def no_memory(series: int) -> Floats:
    """Return what is carried over before the first interval, [spans and roughness, series]."""
    return np.zeros((KINDS - 1, series), dtype=np.float32)


def remember(memory: Floats, z: Floats) -> tuple[Floats, Floats]:
    """Return what is carried over after the rows of z, and their evidence [KINDS, rows, series].

    The first kind is z itself. Each has about the size of a standard normal in quiet times and is
    NaN where z is; a gap adds nothing.
    """
    from lib.metrics.band_kernels import run_spans

    after = memory.copy()
    evidence = np.empty((KINDS, *z.shape), dtype=np.float32)
    evidence[0] = z
    gains = np.array([2 / (span + 1) for span in (*SPANS, ROUGH_SPAN)], dtype=np.float32)
    run_spans(after, np.ascontiguousarray(z, dtype=np.float32), gains, evidence)
    return after, evidence


def divided(memory: Floats, factors: NDArray[np.float64]) -> Floats:
    """Return what would be carried over had each series' scores been divided by its factor."""
    from lib.metrics.band_kernels import QUIET_SIZE

    smaller = memory / factors
    smaller[-1] = (memory[-1] + QUIET_SIZE) / factors - QUIET_SIZE  # sizes less the usual one
    stretched: Floats = smaller.astype(np.float32)
    return stretched


def memory_after(memory: Floats, z: Floats) -> Floats:
    """Return what is carried over after the rows of z."""
    for _, after, _ in by_chunks(memory, z):
        memory = after
    return memory


def by_chunks(memory: Floats, z: Floats) -> Iterator[tuple[slice, Floats, Floats]]:
    """Yield some rows at a time: which, what is carried over after them, and their evidence."""
    rows = max(1, CHUNK_CELLS // max(1, z.shape[1]))
    for low in range(0, len(z), rows):
        at = slice(low, min(len(z), low + rows))
        memory, evidence = remember(memory, z[at])
        yield at, memory, evidence
