"""Two runs side by side: which is faster, by how much and how surely, and what differs in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.training.model import Profile, TrainingError
from lib.training.steps import PARTS, Steps, steps_of

RESAMPLES, SEED = 2_000, 5
INTERVAL = (2.5, 97.5)  # percentiles
LEAST_STEPS = 5


@dataclass(frozen=True)
class PartChange:
    """One part of a step in both runs, milliseconds of the median step."""

    part: str
    baseline: float
    candidate: float


@dataclass(frozen=True)
class Comparison:
    """A candidate against a baseline: `change` is how much longer its step is, -0.1 for 10 % less.

    Costs are US dollars per million tokens, None where tokens or prices are not known.
    """

    change: float
    low: float
    high: float
    parts: tuple[PartChange, ...]
    steps_per_second: tuple[float, float]
    tokens_per_second: tuple[float, float] | None
    cost: tuple[float, float] | None
    differences: tuple[tuple[str, str, str], ...]  # of the configuration: what, then, now
    finding: str


def compare(
    baseline: Profile,
    candidate: Profile,
    tokens_per_step: float | None = None,
    usd_per_hour: tuple[float | None, float | None] = (None, None),
) -> Comparison:
    """Return how a candidate differs from a baseline; raises `TrainingError` without steps.

    Steps are compared after the warm-up, the longest worker of each, as it sets the pace.
    """
    sides = [(one, steps_of(one)) for one in (baseline, candidate)]
    for profile, steps in sides:
        if steps.count < LEAST_STEPS:
            raise TrainingError(
                f"{profile.name} has {steps.count} steps after the warm-up; {LEAST_STEPS} are "
                "needed to compare."
            )
    paces = [_paces(steps) for _, steps in sides]
    middles = [float(np.median(one)) for one in paces]
    low, high = _interval(paces[0], paces[1])
    rates = (1 / middles[0], 1 / middles[1])
    tokens = None
    if tokens_per_step is not None:
        tokens = (rates[0] * tokens_per_step, rates[1] * tokens_per_step)
    cost = None
    if tokens is not None and None not in usd_per_hour:
        each = [
            price * max(1, len(profile.nodes)) / 3_600 / rate * 1e6  # type: ignore[operator]  # known
            for price, (profile, _), rate in zip(usd_per_hour, sides, tokens, strict=True)
        ]
        cost = (each[0], each[1])
    change = middles[1] / middles[0] - 1
    parts = _parts(sides[0][1], sides[1][1])
    return Comparison(
        change, low, high, parts, rates, tokens, cost,
        _differences(baseline, candidate),
        _finding(candidate.name, (change, low, high), parts),
    )  # fmt: skip


def _paces(steps: Steps) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    lasts = steps.steady()
    known = lasts[:, np.isfinite(lasts).any(axis=0)]
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = np.nanmax(known, axis=0)
    return found


def _interval(
    one: np.ndarray[tuple[int], np.dtype[np.float64]],
    other: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> tuple[float, float]:
    random = np.random.default_rng(SEED)
    first, second = (
        np.median(each[random.integers(0, len(each), (RESAMPLES, len(each)))], axis=1)
        for each in (one, other)
    )
    low, high = np.percentile(second / first - 1, INTERVAL)
    return float(low), float(high)


def _parts(one: Steps, other: Steps) -> tuple[PartChange, ...]:
    found = []
    for at, part in enumerate(PARTS):
        before, after = (
            1_000 * float(np.nanmedian(np.nanmax(each.parts[:, each.warm :, at], axis=0)))
            for each in (one, other)
        )
        if before > 0 or after > 0:
            found.append(PartChange(part.value, before, after))
    return tuple(found)


def _differences(one: Profile, other: Profile) -> tuple[tuple[str, str, str], ...]:
    keys = sorted({*one.configuration, *other.configuration})
    pairs = [
        (key, one.configuration.get(key, ""), other.configuration.get(key, "")) for key in keys
    ]
    return tuple(pair for pair in pairs if pair[1] != pair[2])


def _finding(name: str, change: tuple[float, float, float], parts: tuple[PartChange, ...]) -> str:
    amount, low, high = change
    if low <= 0 <= high:
        return f"{name} is neither faster nor slower: the difference is within its error."
    word = "faster" if amount < 0 else "slower"
    most = max(parts, key=lambda one: abs(one.candidate - one.baseline), default=None)
    text = (
        f"A step of {name} takes {abs(amount):.0%} {'less' if amount < 0 else 'more'} "
        f"[{min(abs(low), abs(high)):.0%} to {max(abs(low), abs(high)):.0%}]: it is {word}"
    )
    if most is not None:
        text += f", most of all in {most.part} ({most.baseline:.0f} to {most.candidate:.0f} ms)"
    return text + "."
