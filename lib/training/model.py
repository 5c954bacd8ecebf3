"""Profiles of training jobs: what machines and programs did, and what is odd. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Micros = NDArray[np.int64]  # UTC microseconds
Values = NDArray[np.float64]


class TrainingError(ValueError):
    """A profile that cannot be read or judged; the message says why and what to do."""


class Phase(StrEnum):
    """What a program does within a step; `STEP` is the step itself."""

    STEP = "step"
    DATA = "data"
    FORWARD = "forward"
    BACKWARD = "backward"
    OPTIMIZER = "optimizer"
    COMMUNICATION = "communication"
    CHECKPOINT = "checkpoint"
    OTHER = "other"


@dataclass(frozen=True, order=True)
class Channel:
    """One measured thing: such as the utilisation of core cpu5 of node algo-1, in percent."""

    node: str
    kind: str  # cpu, gpu, memory, i/o, network, pressure
    name: str
    dimension: str

    @property
    def label(self) -> str:
        """Return the channel in words."""
        return " ".join(part for part in (self.node, self.name, self.dimension) if part)


@dataclass(frozen=True, eq=False)
class Series:
    """The samples of a channel in order of time."""

    channel: Channel
    times: Micros
    values: Values


@dataclass(frozen=True, eq=False)
class Spans:
    """What the programs did, column by column; `workers` and `names` are numbered.

    `step` is -1 where an event names none. Times in UTC microseconds, durations in microseconds.
    """

    workers: tuple[str, ...]
    names: tuple[str, ...]
    phase: NDArray[np.int8]  # places in `PHASES`
    worker: NDArray[np.int32]
    name: NDArray[np.int32]
    step: NDArray[np.int64]
    start: Micros
    duration: Micros

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.start)


PHASES = tuple(Phase)


@dataclass(frozen=True)
class Oddity:
    """Something odd that was kept or left out, how often, and in words."""

    kind: str
    count: int
    words: str


@dataclass(frozen=True)
class Reported:
    """What a rule of AWS's own report has said: how often it fired on how many samples."""

    rule: str
    fired: int
    samples: int
    parameters: str


@dataclass(frozen=True, eq=False)
class Profile:
    """All that is known of one run; `configuration` is what a comparison may name as different."""

    name: str
    system: tuple[Series, ...]
    spans: Spans
    oddities: tuple[Oddity, ...] = ()
    configuration: Mapping[str, str] = field(default_factory=dict)
    reported: tuple[Reported, ...] = ()

    @property
    def start(self) -> int:
        """Return the first moment, UTC microseconds; 0 of an empty profile."""
        firsts = [int(one.times[0]) for one in self.system if len(one.times)]
        firsts += [int(self.spans.start.min())] if len(self.spans) else []
        return min(firsts, default=0)

    @property
    def end(self) -> int:
        """Return the last moment, UTC microseconds; 0 of an empty profile."""
        lasts = [int(one.times[-1]) for one in self.system if len(one.times)]
        if len(self.spans):
            lasts.append(int((self.spans.start + self.spans.duration).max()))
        return max(lasts, default=0)

    @property
    def seconds(self) -> float:
        """Return how long the profile is."""
        return (self.end - self.start) / 1e6

    @property
    def nodes(self) -> tuple[str, ...]:
        """Return the nodes that were measured."""
        return tuple(sorted({one.channel.node for one in self.system}))

    def of(self, kind: str, dimension: str | None = None, node: str | None = None) -> list[Series]:
        """Return the series of a kind, of one dimension and node where named."""
        return [
            one
            for one in self.system
            if one.channel.kind == kind
            and dimension in {None, one.channel.dimension}
            and node in {None, one.channel.node}
        ]


def no_spans() -> Spans:
    """Return no event."""
    empty = np.zeros(0, dtype=np.int64)
    return Spans(
        (), (), empty.astype(np.int8), empty.astype(np.int32), empty.astype(np.int32), empty, empty,
        empty,
    )  # fmt: skip


def joined(parts: Sequence[Spans]) -> Spans:
    """Return the events of several parts as one, in order of time."""
    parts = [one for one in parts if len(one)]
    if not parts:
        return no_spans()
    workers = tuple(sorted({name for one in parts for name in one.workers}))
    names = tuple(sorted({name for one in parts for name in one.names}))
    worker_at = {name: at for at, name in enumerate(workers)}
    name_at = {name: at for at, name in enumerate(names)}
    whole = Spans(
        workers,
        names,
        np.concatenate([one.phase for one in parts]),
        np.concatenate([_renumbered(one.worker, one.workers, worker_at) for one in parts]),
        np.concatenate([_renumbered(one.name, one.names, name_at) for one in parts]),
        np.concatenate([one.step for one in parts]),
        np.concatenate([one.start for one in parts]),
        np.concatenate([one.duration for one in parts]),
    )
    return chosen(whole, np.argsort(whole.start, kind="stable"))


def chosen(spans: Spans, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Spans:
    """Return some of the events."""
    return Spans(
        spans.workers, spans.names, spans.phase[rows], spans.worker[rows], spans.name[rows],
        spans.step[rows], spans.start[rows], spans.duration[rows],
    )  # fmt: skip


def _renumbered(
    codes: NDArray[np.int32], names: Sequence[str], places: Mapping[str, int]
) -> NDArray[np.int32]:
    table = np.array([places[name] for name in names], dtype=np.int32)
    return table[codes]
