"""What a run costs: hours of accelerators paid, busy and idle, and what a fix would save."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.training.model import Phase, Profile
from lib.training.steps import PARTS, steps_of
from lib.training.verdict import Bound, Verdict

IDLE_PERCENT = 10.0
FIXABLE = frozenset({Bound.DATA, Bound.COMMUNICATION, Bound.CPU, Bound.START_UP, Bound.IDLE})


@dataclass(frozen=True)
class Money:
    """Hours of devices and US dollars of one run; dollars are None where no price is known.

    `saved` is what it would save if the time that the verdict names fell away.
    """

    devices: int
    device: str  # what counts as one: an accelerator, or a node where none was measured
    paid_hours: float
    busy_hours: float
    idle_hours: float
    paid: float | None
    idle: float | None
    saved: float | None


def money_of(profile: Profile, verdict: Verdict, usd_per_hour: float | None) -> Money:
    """Return the money of a run; `usd_per_hour` is the price of one node."""
    nodes = max(1, len(profile.nodes))
    gpus = profile.of("gpu", "GPUUtilization")
    hours = profile.seconds / 3_600
    devices = len(gpus) or nodes
    if gpus:
        busy = sum(float(one.values.mean()) / 100 for one in gpus) * hours
        idle = sum(float((one.values < IDLE_PERCENT).mean()) for one in gpus) * hours
    else:
        share = _computing(profile)
        busy, idle = devices * share * hours, devices * (1 - share) * hours
    paid = None if usd_per_hour is None else nodes * hours * usd_per_hour
    part = verdict.share if verdict.bound in FIXABLE else 0.0
    return Money(
        devices,
        "accelerator" if gpus else "node",
        devices * hours,
        busy,
        idle,
        paid,
        None if paid is None else paid * idle / max(devices * hours, 1e-12),
        None if paid is None else paid * part,
    )


def _computing(profile: Profile) -> float:
    """Return the share of a run in which its programs computed, by their step events."""
    steps = steps_of(profile)
    if not len(steps.workers) or not profile.seconds:
        return 0.0
    work = [PARTS.index(one) for one in (Phase.FORWARD, Phase.BACKWARD, Phase.OPTIMIZER)]
    spent = float(np.nansum(steps.parts[:, :, work])) / len(steps.workers)
    return min(1.0, spent / profile.seconds)
