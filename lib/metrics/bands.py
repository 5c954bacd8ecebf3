"""What is expected of every series, from its own past: level, season and noise, one step ahead.

A robust exponential smoothing in the scale in which a series' noise is even: a slowly moving level,
a profile of the day and one of the week (each used only where it has been taking error away), the
part of the last deviation that tends to stay, and a standard deviation for each part of the day. A
far value moves the state no more than three standard deviations would, so one anomaly does not
poison what is expected next; a new level is taken over once values have stayed there for long.
Every row is scored before it is learnt from, so history and live data are treated alike.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lib.metrics.model import Floats, Frequency, Scores, Unit
from lib.metrics.timeline import Seconds, local_seconds

if TYPE_CHECKING:
    from lib.metrics.band_kernels import BandState, Calendar, Pace

DAY_S, HOUR_S = 86_400, 3_600
MAX_DAY_SLOTS = 288
WEEK_SLOTS = 168  # hours
DAY_PARTS = 8  # for which noise is told apart
HOLIDAY_WIDTH = 2.0  # times the usual standard deviation: no holiday is like another
FLOOR_SHARE = 1e-3  # of a series' size: less than this is no noise but rounding
LEAST_FLOOR = 1e-6
EVEN_SLOPES = (0.25, 0.75)  # of log noise over log level: below even, between like counts, above
LEAST_SPREAD = 0.02  # variance of log level that tells a slope; with less, noise is as of counts
BLOCKS = 16  # of history in which noise and level are compared
COUNT_FLOOR = 0.35  # of counts, whose root has a standard deviation of 0.5 unless they are rare
SPARSE = 0.1  # share of zeros from which a series is sparse
SPARSE_FLOOR = 0.5  # times the standard deviation of all of a sparse series
SHIFT_SHARE = 0.02  # of the mean, added before a logarithm


class Transform(IntEnum):
    """The scale in which a series' noise is even, by the kernel's numbers."""

    NONE = 0
    ROOT = 1
    LOG = 2


@dataclass(frozen=True)
class Clock:
    """How the rows of some series lie in time: their length, local time, and days off."""

    frequency: Frequency
    zone: str = "UTC"
    holidays: Collection[date] = ()


def intervals_needed(frequency: Frequency) -> int:
    """Return after how many intervals a series is scored, by what there is to learn.

    Below an hour 25 hours, hourly three days, daily two weeks, else a dozen intervals.
    """
    if frequency.unit in {Unit.WEEK, Unit.MONTH}:
        return 12
    if frequency.seconds >= DAY_S:
        return 14
    if frequency.seconds >= HOUR_S:
        return max(12, 3 * DAY_S // frequency.seconds)
    return 25 * HOUR_S // frequency.seconds


def score_history(values: Floats, starts: Seconds, clock: Clock, first: int) -> Scores:
    """Return the scores of the rows from `first` on; each knows only the rows before it.

    `values` is [intervals, series], NaN where nothing is known. The rows before `first` also tell
    in which scale a series' noise is even. Rows before a series is ready have no z.
    """
    _, scores = follow(new_state(values[:first], clock.frequency), values, starts, clock)
    return Scores(
        scores.expected[first:], scores.lower[first:], scores.upper[first:], scores.z[first:]
    )


def new_state(history: Floats, frequency: Frequency) -> BandState:
    """Return a state that has seen no row, in the scales that a history of the series suggests."""
    from lib.metrics.band_kernels import BandState

    count = history.shape[1]
    transform, shift = _transforms(history, frequency)

    def zeros(rows: int) -> Floats:
        return np.zeros((rows, count), dtype=np.float32)

    rows = {"day": MAX_DAY_SLOTS, "week": WEEK_SLOTS, "scale": DAY_PARTS}
    known = {"transform": transform, "shift": shift, "floor": _floors(history, transform)}
    profiles = {f"{name}{more}": zeros(rows[name]) for name in rows for more in ("", "_visits")}
    vectors = {name: zeros(1)[0] for name in BandState._fields}
    parts: dict[str, Any] = {**vectors, **profiles, **known}
    return BandState(**parts)


def follow(
    state: BandState, values: Floats, starts: Seconds, clock: Clock
) -> tuple[BandState, Scores]:
    """Return the state after the rows, and the scores of each row from what was known before it."""
    from lib.metrics.band_kernels import Bands, BandState, run_bands

    after = BandState._make(part.copy() for part in state)
    rows = np.ascontiguousarray(values, dtype=np.float32)
    bands = Bands._make(np.empty_like(rows) for _ in range(4))
    run_bands(after, rows, _calendar(starts, clock), _pace(clock.frequency), bands)
    return after, Scores(*bands)


def save_state(state: BandState, path: Path) -> None:
    """Write the state to a file, in place of the one before."""
    aside = path.with_name(f".{path.name}.part")
    with aside.open("wb") as file:
        np.savez(file, allow_pickle=False, **state._asdict())
    aside.replace(path)


def load_state(path: Path) -> BandState:
    """Return the state in a file; raises `OSError`, `KeyError` or `ValueError` where it is none."""
    from lib.metrics.band_kernels import BandState

    with np.load(path, allow_pickle=False) as saved:
        return BandState._make(saved[name] for name in BandState._fields)


def warm() -> None:
    """Compile or load the kernel, so that nobody waits for it later."""
    values = np.ones((2, 2), dtype=np.float32)
    clock = Clock(Frequency(1, Unit.HOUR))
    follow(new_state(values, clock.frequency), values, np.array([0, HOUR_S]), clock)


def _pace(frequency: Frequency) -> Pace:
    from lib.metrics.band_kernels import Pace

    per_day = max(1.0, DAY_S / frequency.seconds)
    memory = min(0.05, 1 / (7 * per_day))  # a week
    return Pace(
        level=np.float32(1 / max(2 * per_day, 7.0)),
        day=np.float32(0.12),
        week=np.float32(0.2),
        scale=np.float32(min(0.1, memory * DAY_PARTS) if per_day >= DAY_PARTS else memory),
        season=np.float32(max(memory, 0.002)),
        week_rows=np.float32(max(1.0, HOUR_S / frequency.seconds)),
        patience=max(5, DAY_S // frequency.seconds // 2),
        needed=intervals_needed(frequency),
    )


def _calendar(starts: Seconds, clock: Clock) -> Calendar:
    from lib.metrics.band_kernels import Calendar

    frequency = clock.frequency
    local = local_seconds(starts, clock.zone)
    if frequency.is_calendar:
        local = local + DAY_S // 2  # noon is safely within the day
    days = local // DAY_S
    weekday = (days + 3) % 7  # 1970-01-01 was a Thursday
    off = [(day - date(1970, 1, 1)) // timedelta(days=1) for day in clock.holidays]
    free = np.isin(days, off)
    weekday = np.where(free, 6, weekday)  # as on a Sunday
    widths = np.where(free, HOLIDAY_WIDTH, 1.0).astype(np.float32)
    nothing = np.zeros_like(local)
    if frequency.unit in {Unit.WEEK, Unit.MONTH}:
        return Calendar(nothing, nothing, nothing, widths)
    if frequency.is_calendar:
        return Calendar(nothing, weekday * 24, nothing, widths)
    second = local % DAY_S
    slots = min(MAX_DAY_SLOTS, max(1, DAY_S // frequency.seconds))
    return Calendar(
        second * slots // DAY_S,
        weekday * 24 + second // HOUR_S,
        second * DAY_PARTS // DAY_S,
        widths,
    )


def _transforms(history: Floats, frequency: Frequency) -> tuple[NDArray[np.int8], Floats]:
    """Return the scale for each series, by how its noise goes with its level.

    Noise is the difference to a week before, or a day; level the mean, both by the time of day.
    """
    count = history.shape[1]
    transform = np.full(count, Transform.NONE, dtype=np.int8)
    per_day = max(1, DAY_S // frequency.seconds)
    per_week = max(1, 7 * DAY_S // frequency.seconds)
    lag = per_week if len(history) >= 3 * per_week else per_day
    changes = np.abs(history[lag:] - history[:-lag])
    if len(changes) < BLOCKS:
        return transform, np.ones(count, dtype=np.float32)
    at = np.arange(len(changes))
    if per_day > 1:
        groups = at % per_day * min(BLOCKS, per_day) // per_day
    else:
        groups = at * BLOCKS // len(at)
    each = range(groups.max() + 1)
    levels = np.array([_mean(history[lag:][groups == group]) for group in each])
    noises = np.array([_mean(changes[groups == group]) for group in each])
    slope, known = _slopes(levels, noises)
    lowest = np.where(np.isnan(history), np.inf, history).min(axis=0)
    positive = (lowest >= 0) & (known > len(levels) // 2)
    low, high = EVEN_SLOPES
    transform[positive & (slope >= low)] = Transform.ROOT
    transform[positive & (slope >= high) & (lowest > 0)] = Transform.LOG
    shift = np.maximum(SHIFT_SHARE * np.abs(_mean(history)), LEAST_FLOOR)
    return transform, shift.astype(np.float32)


def _slopes(levels: Floats, noises: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Return the slope of log noise over log level of each series, and how many blocks told it."""
    known = (levels > 0) & (noises > 0)
    count = known.sum(axis=0)

    def centred(amounts: Floats) -> Floats:
        logs = np.log(np.where(known, amounts, 1.0))
        kept: Floats = np.where(known, logs - logs.sum(axis=0) / np.maximum(count, 1), 0.0)
        return kept

    x, y = centred(levels), centred(noises)
    spread = np.square(x).sum(axis=0)
    told = spread > LEAST_SPREAD * np.maximum(count, 1)
    slope: Floats = np.where(told, (x * y).sum(axis=0) / np.where(told, spread, 1.0), 0.5)
    return slope, count


def _floors(history: Floats, transform: NDArray[np.int8]) -> Floats:
    """Return the least standard deviation of each series in its even scale."""
    known = ~np.isnan(history)
    filled = np.where(known, history, 0.0)
    size = np.abs(filled).max(axis=0, initial=0.0)
    roots, logs = transform == Transform.ROOT, transform == Transform.LOG
    rounding = np.where(logs, 1.0, np.where(roots, np.sqrt(size), size))
    floors = np.maximum(FLOOR_SHARE * rounding, LEAST_FLOOR)
    if not len(history):
        return floors.astype(np.float32)
    # Of rare counts most are the same, so the mean deviation says nothing of those that are not.
    counts = roots & (filled == np.round(filled)).all(axis=0)
    floors[counts] = np.maximum(floors[counts], COUNT_FLOOR)
    sparse = ((filled == 0) & known).sum(axis=0) > SPARSE * np.maximum(known.sum(axis=0), 1)
    even = np.where(roots, np.sqrt(np.maximum(filled, 0.0)), filled)
    floors[sparse] = np.maximum(floors, SPARSE_FLOOR * even.std(axis=0))[sparse]
    return floors.astype(np.float32)


def _mean(block: Floats) -> Floats:
    known = ~np.isnan(block)
    mean: Floats = np.where(known, block, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return mean
