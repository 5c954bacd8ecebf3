"""Steps of a training loop: how long each took on each worker, and what it was spent on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.training.model import PHASES, Phase, Profile, Spans

PARTS = (
    Phase.DATA,
    Phase.FORWARD,
    Phase.BACKWARD,
    Phase.OPTIMIZER,
    Phase.COMMUNICATION,
    Phase.CHECKPOINT,
)
WARM_SHARE, LEAST_WARM = 0.05, 1  # of the steps, which are left out
OUTLIER = 3.5  # robust standard deviations above the median
TO_SIGMA = 1.4826

Seconds = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps by worker: `duration` is [worker, step] in seconds, `parts` [worker, step, part].

    NaN where a worker has no such step; what no part covers is the rest. `start` is microseconds.
    """

    workers: tuple[str, ...]
    start: NDArray[np.float64]
    duration: Seconds
    parts: Seconds
    warm: int  # first steps that are left out of all statistics

    @property
    def count(self) -> int:
        """Return the number of steps after the warm-up."""
        return max(0, int(self.duration.shape[1]) - self.warm)

    def steady(self) -> Seconds:
        """Return the durations after the warm-up, [worker, step]."""
        return self.duration[:, self.warm :]

    def shares(self) -> Seconds:
        """Return the share of a step that each part takes, mean over workers and steps, 0 to 1."""
        whole = np.nansum(self.steady())
        if not whole:
            return np.zeros(len(PARTS))
        found: Seconds = np.nansum(self.parts[:, self.warm :], axis=(0, 1)) / whole
        return found


@dataclass(frozen=True)
class OutlierStep:
    """A step that took much longer than usual: where, how long, which part grew, what else was."""

    step: int
    worker: str
    start: int
    seconds: float
    usual: float
    part: str
    beside: str


def steps_of(profile: Profile) -> Steps:
    """Return the steps of all workers that have any; none where no event is a step."""
    spans = profile.spans
    is_step = spans.phase == PHASES.index(Phase.STEP)
    workers = [at for at in range(len(spans.workers)) if (is_step & (spans.worker == at)).any()]
    found = [_of_worker(spans, at, is_step) for at in workers]
    most = max((len(one[0]) for one in found), default=0)
    start = np.full((len(found), most), np.nan)
    duration = np.full((len(found), most), np.nan)
    parts = np.full((len(found), most, len(PARTS)), np.nan)
    for at, (begin, lasts, inside) in enumerate(found):
        start[at, : len(begin)] = begin
        duration[at, : len(begin)] = lasts
        parts[at, : len(begin)] = inside
    warm = min(most, max(LEAST_WARM, round(WARM_SHARE * most))) if most else 0
    return Steps(tuple(spans.workers[at] for at in workers), start, duration, parts, warm)


def outliers(steps: Steps, spans: Spans) -> tuple[OutlierStep, ...]:
    """Return the steps that stand out, the longest first; the warm-up does not count."""
    found = []
    for at, worker in enumerate(steps.workers):
        lasts = steps.duration[at, steps.warm :]
        known = lasts[np.isfinite(lasts)]
        if not len(known):
            continue
        middle = float(np.median(known))
        spread = max(TO_SIGMA * float(np.median(np.abs(known - middle))), 0.01 * middle)
        for step in np.flatnonzero(lasts > middle + OUTLIER * spread) + steps.warm:
            grown = steps.parts[at, step] - np.nanmedian(steps.parts[at, steps.warm :], axis=0)
            rest = _rest(steps, at)
            more = [*np.nan_to_num(grown), float(rest[step] - np.nanmedian(rest[steps.warm :]))]
            names = [*(str(one) for one in PARTS), "outside the parts"]
            begin, seconds = int(steps.start[at, step]), float(steps.duration[at, step])
            found.append(
                OutlierStep(
                    int(step), worker, begin, seconds, middle, names[int(np.argmax(more))],
                    _beside(spans, begin, begin + int(1e6 * seconds)),
                )
            )  # fmt: skip
    return tuple(sorted(found, key=lambda one: one.usual - one.seconds))


def _rest(steps: Steps, worker: int) -> Seconds:
    rest: Seconds = steps.duration[worker] - np.nansum(steps.parts[worker], axis=1)
    return rest


def _beside(spans: Spans, begin: int, end: int) -> str:
    """Return what else went on, such as a checkpoint; empty where nothing did."""
    rare = (spans.phase == PHASES.index(Phase.CHECKPOINT)) & (spans.start < end)
    rare &= spans.start + spans.duration > begin
    return ", ".join(sorted({spans.names[at] for at in spans.name[rare]}))


def _of_worker(
    spans: Spans, worker: int, is_step: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], Seconds, Seconds]:
    """Return start, length and parts of a worker's steps, in order of time."""
    mine = spans.worker == worker
    rows = np.flatnonzero(mine & is_step)
    rows = rows[np.argsort(spans.start[rows], kind="stable")]
    begin = spans.start[rows]
    end = begin + spans.duration[rows]
    parts = np.zeros((len(rows), len(PARTS)))
    for place, part in enumerate(PARTS):
        events = np.flatnonzero(mine & (spans.phase == PHASES.index(part)))
        if not len(events):
            continue
        first = spans.start[events]
        lasts = spans.duration[events]
        at = np.searchsorted(begin, first, side="right") - 1
        inside = (at >= 0) & (first < end[np.maximum(at, 0)])
        outermost = inside & _is_outermost(first, lasts)
        cut = np.minimum(lasts, end[np.maximum(at, 0)] - first)
        parts[:, place] = np.bincount(
            at[outermost], weights=cut[outermost] / 1e6, minlength=len(rows)
        )[: len(rows)]
    return begin.astype(np.float64), (end - begin) / 1e6, parts


def _is_outermost(start: NDArray[np.int64], lasts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which events lie within no other of the same part, so that none counts twice."""
    order = np.lexsort((-lasts, start))
    ends = np.maximum.accumulate(start[order] + lasts[order])
    before = np.concatenate([[np.iinfo(np.int64).min], ends[:-1]])
    outermost = np.zeros(len(start), dtype=bool)
    outermost[order] = start[order] >= before
    return outermost
