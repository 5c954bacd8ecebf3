"""Profiles made for tests: machines of known measures, and programs of known steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lib.training.model import PHASES, Channel, Phase, Profile, Series, Spans, no_spans

START = 1_790_000_040_000_000  # microseconds


def system(
    levels: tuple[float, float, float, float],
    random: np.random.Generator,
    *,
    seconds: int = 120,
    spans: Spans | None = None,
) -> Profile:
    """Return a node of 4 cores and 2 accelerators: how busy, their memory, cores, I/O wait."""
    times = START + 500_000 * np.arange(2 * seconds, dtype=np.int64)
    gpu, memory, cpu, wait = levels

    def series(kind: str, name: str, dimension: str, level: float) -> Series:
        values = np.clip(level + 3 * random.normal(size=len(times)), 0, 100)
        return Series(Channel("algo-1", kind, name, dimension), times, values)

    found = [series("cpu", f"cpu{at}", "CPUUtilization", cpu) for at in range(4)]
    found += [series("cpu", f"cpu{at}", "I/OWaitPercentage", wait) for at in range(4)]
    for at in range(2):
        found.append(series("gpu", f"gpu{at}", "GPUUtilization", gpu))
        found.append(series("gpu", f"gpu{at}", "GPUMemoryUtilization", memory))
    return Profile("made", tuple(found), spans or no_spans())


def program(workers: Sequence[Mapping[Phase, Sequence[float]]], *, start: int = START) -> Spans:
    """Return steps of several workers, from the seconds of each part of each step, in order."""
    rows: list[tuple[int, int, int, int, int]] = []
    for number, parts in enumerate(workers):
        at = start
        for step in range(len(next(iter(parts.values())))):
            begun = at
            for part, lasts in parts.items():
                micros = round(1e6 * lasts[step])
                rows.append((PHASES.index(part), number, step, at, micros))
                at += micros
            rows.append((PHASES.index(Phase.STEP), number, step, begun, at - begun))
    table = np.array(rows, dtype=np.int64)
    return Spans(
        tuple(f"rank {at}" for at in range(len(workers))),
        ("event",),
        table[:, 0].astype(np.int8),
        table[:, 1].astype(np.int32),
        np.zeros(len(table), dtype=np.int32),
        table[:, 2],
        table[:, 3],
        table[:, 4],
    )
