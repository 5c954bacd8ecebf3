"""What a training job is bound by: one verdict, its evidence, how sure it is, and what to do next.

Evidence is ranked: what the program says of its steps comes before what the machine says. Of the
machine, the kernel's pressure stall information is asked before I/O wait, which counts only
otherwise idle cores and misses a starved loader on a busy machine; the rule that fired names
itself. Where nothing can tell, that is the verdict.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from lib.training.model import Phase, Profile
from lib.training.steps import PARTS, Steps, steps_of

LEAST_STEPS = 10  # after the warm-up, that can tell
DATA_BOUND, COMMUNICATION_BOUND, START_BOUND = 0.2, 0.2, 0.4  # shares of the time
LEAST_COVERED = 0.5  # of a step that events of the program explain
STRAGGLES, SAME_WORKER = 0.15, 0.8  # of a step, and of the steps in which it is the same one
LOW_GPU, HIGH_GPU, IDLE_GPU = 50.0, 70.0, 10.0  # percent
HIGH_PRESSURE = 20.0  # percent of the time in which some task waited for I/O
HIGH_WAIT, HIGH_CPU, IDLE_CPU, FULL_MEMORY = 20.0, 80.0, 20.0, 92.0  # percent
RESAMPLES, SEED = 200, 11
FROM_SYSTEM = 0.6  # how sure a verdict is that no step event supports
LEAST_SAMPLES = 30  # of the system, that can tell


class Bound(StrEnum):
    """What a job waits for most."""

    DATA = "data"
    CPU = "CPU"
    COMMUNICATION = "communication"
    COMPUTE = "compute"
    MEMORY = "memory"
    START_UP = "start-up"
    IDLE = "idle"
    UNKNOWN = "not enough data"


NEXT = {
    Bound.DATA: "Load ahead: more loader workers, pinned memory, larger files, or a local copy.",
    Bound.CPU: "Give the accelerator less CPU work: move transforms to it, or take more cores.",
    Bound.COMMUNICATION: "Talk less or faster: larger batches, gradient accumulation, fewer nodes.",
    Bound.COMPUTE: "The device works: mixed precision, a compiled model, or more devices.",
    Bound.MEMORY: "Memory is full: a smaller batch, recomputed activations, or sharded states.",
    Bound.START_UP: "Begin faster: a smaller image, data that need no unpacking, a warm pool.",
    Bound.IDLE: "Nothing runs for most of the time: stop the job earlier, or look for a hang.",
    Bound.UNKNOWN: "Record steps: two lines of `lib.training.recorder` are enough.",
}


@dataclass(frozen=True)
class Verdict:
    """What a run is bound by: share of the time (0 to 1), sentences, and how sure (0 to 1)."""

    bound: Bound
    share: float
    evidence: tuple[str, ...]
    confidence: float
    culprit: str = ""  # the worker that others wait for

    @property
    def next_step(self) -> str:
        """Return what to do about it."""
        if self.culprit:
            return f"Look at {self.culprit}: its machine, its share of the data, its neighbours."
        return NEXT[self.bound]


def judge(profile: Profile) -> Verdict:
    """Return the verdict on a profile."""
    steps = steps_of(profile)
    start = _start_up(profile, steps)
    if start is not None:
        return start
    by_steps = _by_steps(steps) if steps.count >= LEAST_STEPS else None
    found = by_steps or _by_system(profile)
    if found is not None:
        return found
    why = (
        "The events of the program cover too little of the steps."
        if steps.count >= LEAST_STEPS
        else f"There are {steps.count} steps after the warm-up; {LEAST_STEPS} are needed."
        if len(steps.workers)
        else "No event of the program says when a step begins."
    )
    gpu = "" if profile.of("gpu") else " No accelerator was measured either."
    return Verdict(Bound.UNKNOWN, 0.0, (why + gpu,), 1.0)


def straggler(steps: Steps) -> tuple[str, float, float] | None:
    """Return the worker that the others wait for, its gap and how often it is the same one.

    Steps of workers that synchronise last as long as each other; who waits least in the phase that
    synchronises is the one that came last. The gap is a share of the step.
    """
    if len(steps.workers) < 2:  # noqa: PLR2004 - one waits for another
        return None
    talk = [PARTS.index(part) for part in (Phase.BACKWARD, Phase.COMMUNICATION)]
    waits = steps.parts[:, steps.warm :, talk].sum(axis=2)
    known = np.isfinite(waits).all(axis=0)
    if known.sum() < LEAST_STEPS:
        return None
    waits = waits[:, known]
    lasts = steps.steady()[:, known]
    gaps = (waits.max(axis=0) - waits.min(axis=0)) / np.nanmax(lasts, axis=0)
    last = waits.argmin(axis=0)
    [(worker, times)] = Counter(last.tolist()).most_common(1)
    return steps.workers[worker], float(np.median(gaps)), times / len(last)


def _start_up(profile: Profile, steps: Steps) -> Verdict | None:
    whole = profile.end - profile.start
    if not whole or not len(steps.workers):
        return None
    share = (float(np.nanmin(steps.start)) - profile.start) / whole
    if share < START_BOUND:
        return None
    return Verdict(
        Bound.START_UP,
        share,
        (f"The first step begins after {share * whole / 1e6:.0f} s, {share:.0%} of the time.",),
        1.0,
    )


def _by_steps(steps: Steps) -> Verdict | None:
    found = straggler(steps)
    shares = dict(zip(PARTS, steps.shares(), strict=True))
    late = found is not None and found[1] >= STRAGGLES and found[2] >= SAME_WORKER
    if late and found is not None and shares[Phase.DATA] < DATA_BOUND:
        name, gap, often = found
        return Verdict(
            Bound.COMMUNICATION,
            gap,
            (_late_words(name, gap, often),),
            often,
            culprit=name,
        )
    bound, share = _largest(shares)
    if bound is Bound.UNKNOWN:
        return None
    told = [
        f"{part.value} {shares[part]:.0%}"
        for part in sorted(PARTS, key=lambda one: -shares[one])
        if shares[part] >= 0.005  # noqa: PLR2004 - less prints as nothing
    ]
    evidence = [f"Of {steps.count} steps: {', '.join(told)}."]
    if bound is Bound.DATA:
        evidence.append("Step phases say so; that comes before what I/O wait says.")
    return Verdict(bound, share, tuple(evidence), _sure(steps, bound))


def _late_words(name: str, gap: float, often: float) -> str:
    return (
        f"{name} comes last in {often:.0%} of the steps: it waits least where the others wait for "
        f"it, {gap:.0%} of a step less."
    )


def _largest(shares: dict[Phase, float]) -> tuple[Bound, float]:
    data, talk = shares[Phase.DATA], shares[Phase.COMMUNICATION]
    work = shares[Phase.FORWARD] + shares[Phase.BACKWARD] + shares[Phase.OPTIMIZER]
    if data >= DATA_BOUND and data >= talk:
        return Bound.DATA, data
    if talk >= COMMUNICATION_BOUND:
        return Bound.COMMUNICATION, talk
    return (Bound.COMPUTE, work) if work >= LEAST_COVERED else (Bound.UNKNOWN, 0.0)


def _sure(steps: Steps, bound: Bound) -> float:
    """Return how often steps drawn anew give the same verdict."""
    random = np.random.default_rng(SEED)
    parts, lasts = steps.parts[:, steps.warm :], steps.steady()
    same = 0
    for _ in range(RESAMPLES):
        rows = random.integers(0, lasts.shape[1], lasts.shape[1])
        whole = np.nansum(lasts[:, rows])
        shares = np.nansum(parts[:, rows], axis=(0, 1)) / whole
        same += _largest(dict(zip(PARTS, shares, strict=True)))[0] is bound
    return same / RESAMPLES


def _by_system(profile: Profile) -> Verdict | None:
    """Return what the machines alone say; None without accelerator or with too few samples."""
    gpus = profile.of("gpu", "GPUUtilization")
    if not gpus or max(len(one.times) for one in gpus) < LEAST_SAMPLES:
        return None
    gpu = np.concatenate([one.values for one in gpus])
    cpu, wait = _mean(profile, "CPUUtilization"), _mean(profile, "I/OWaitPercentage")
    memory = [np.percentile(one.values, 95) for one in profile.of("gpu", "GPUMemoryUtilization")]
    busy, low = float(gpu.mean()), float((gpu < LOW_GPU).mean())
    seen = f"accelerators {busy:.0f} % busy, cores {cpu:.0f} %, waiting for I/O {wait:.0f} %"
    rule = f"The rule of high I/O wait with low accelerator utilisation fired: {seen}."
    full = f"Accelerator memory is {max(memory, default=0):.0f} % full; {seen}."
    idle = float((gpu < IDLE_GPU).mean())
    stalled = _pressure(profile)
    psi = f"Tasks waited for I/O {stalled:.0f} % of the time (pressure stall information): {seen}."
    cases = (
        (busy >= HIGH_GPU and max(memory, default=0) > FULL_MEMORY, Bound.MEMORY, busy / 100, full),
        (busy >= HIGH_GPU, Bound.COMPUTE, busy / 100, f"On average: {seen}."),
        (stalled >= HIGH_PRESSURE, Bound.DATA, low, psi),
        (wait >= HIGH_WAIT, Bound.DATA, low, rule),
        (cpu >= HIGH_CPU, Bound.CPU, low, f"On average: {seen}."),
        (busy < IDLE_GPU and cpu < IDLE_CPU, Bound.IDLE, idle, f"On average: {seen}."),
    )
    return next(
        (
            Verdict(bound, share, (words,), FROM_SYSTEM)
            for is_so, bound, share, words in cases
            if is_so
        ),
        None,
    )


def _pressure(profile: Profile) -> float:
    """Return in how much of the time some task waited for I/O, percent; 0 where nobody says."""
    values = [one.values for one in profile.of("pressure") if one.channel.name == "io_some"]
    return float(np.concatenate(values).mean()) if values else 0.0


def _mean(profile: Profile, dimension: str) -> float:
    values = [one.values for one in profile.of("cpu", dimension)]
    return float(np.concatenate(values).mean()) if values else 0.0
