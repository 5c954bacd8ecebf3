"""The recursion behind the bands, compiled: one pass over time, all series side by side.

Matrices are time-major and float32, so that the inner loop runs over neighbouring series. Nothing
allocates, and the GIL is released.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from lib.metrics.model import Floats

Integers = NDArray[np.int64]

CHUNK = 512  # series whose state stays in the cache
ROOT, LOG = 1, 2
COUNT_SHIFT = np.float32(0.375)  # Anscombe's, for counts

ZERO, ONE, HALF = np.float32(0.0), np.float32(1.0), np.float32(0.5)
CLIP = np.float32(3.0)  # standard deviations that one value may move the state by, and the band
Z_CAP = np.float32(60.0)
TO_SIGMA = np.float32(1.2533)  # mean absolute deviation to standard deviation, of a normal
AR_MEMORY = np.float32(0.02)
AR_MOST = np.float32(0.95)
USEFUL = np.float32(0.97)  # a season is used where it takes away at least 3 % of the error
WIDE = np.float32(4.0)  # usual errors that one value may count for in judging a season
SETTLED = np.float32(2)  # visits of a slot of the day before the week is told from it
YOUNG = np.float32(3.0)  # visits of a slot before its usual error is known
UNBOUNDED = np.float32(8.0)  # values after which the noise is known well enough to clip by it
SPAN_CLIP = np.float32(6.0)  # standard deviations that one score may add to a span
QUIET_SIZE = np.float32(0.75)  # about the mean size of a score in quiet times
TINY = np.float32(1e-20)
NAN = np.float32(np.nan)


class BandState(NamedTuple):
    """All that is known of some series after the last row; one column a series, in even scale."""

    transform: NDArray[np.int8]
    shift: Floats  # added before the logarithm
    floor: Floats  # the least standard deviation
    level: Floats
    last: Floats  # the deviation from level and season that may stay
    covariance: Floats  # of neighbouring deviations
    variance: Floats
    plain_error: Floats  # mean absolute deviation from the level alone,
    day_error: Floats  # with the profile of the day,
    week_error: Floats  # and with both
    run: Floats  # far values in a row, negative where they are too low
    seen: Floats  # values
    day: Floats
    day_visits: Floats
    week: Floats
    week_visits: Floats
    scale: Floats
    scale_visits: Floats


class Calendar(NamedTuple):
    """For each row its slots of day and week, its part of the day, and the width of its band."""

    day: Integers
    week: Integers
    part: Integers
    width: Floats


class Pace(NamedTuple):
    """How fast a state learns, at the least, and how long it takes a new level for an anomaly."""

    level: np.float32
    day: np.float32
    week: np.float32
    scale: np.float32
    season: np.float32
    week_rows: np.float32  # rows of a slot in one week
    patience: int  # far values in a row
    needed: int  # values before the first z


class Bands(NamedTuple):
    """Where the scores go, [intervals, series]."""

    expected: Floats
    lower: Floats
    upper: Floats
    z: Floats


@numba.njit(cache=True, nogil=True, parallel=True, fastmath={"contract", "arcp", "nsz"})
def run_bands(  # noqa: PLR0915 - one loop, so that the compiler sees it whole
    state: BandState, values: Floats, calendar: Calendar, pace: Pace, bands: Bands
) -> None:
    """Follow every series over the rows: `state` becomes that after them, `bands` their scores.

    Each row is scored before it is learnt from; z is NaN where the value is not finite, or the
    series has been seen less than it needs.
    """
    times, series = values.shape
    logs = np.any(state.transform == LOG)
    for chunk in numba.prange((series + CHUNK - 1) // CHUNK):
        low = chunk * CHUNK
        high = min(series, low + CHUNK)
        size = high - low
        even = np.empty(size, dtype=np.float32)
        center = np.empty(size, dtype=np.float32)
        spread = np.empty(size, dtype=np.float32)
        roots = state.transform[low:high] == ROOT
        floor, level, last = state.floor[low:high], state.level[low:high], state.last[low:high]
        covariance, variance = state.covariance[low:high], state.variance[low:high]
        plain_error, day_error = state.plain_error[low:high], state.day_error[low:high]
        week_error = state.week_error[low:high]
        run, seen = state.run[low:high], state.seen[low:high]
        for at in range(times):
            row = values[at, low:high]
            day, day_visits = (
                _slot(state.day, low, high, calendar.day[at]),
                _slot(state.day_visits, low, high, calendar.day[at]),
            )
            week, week_visits = (
                _slot(state.week, low, high, calendar.week[at]),
                _slot(state.week_visits, low, high, calendar.week[at]),
            )
            scale, scale_visits = (
                _slot(state.scale, low, high, calendar.part[at]),
                _slot(state.scale_visits, low, high, calendar.part[at]),
            )
            width = calendar.width[at]
            z = bands.z[at, low:high]
            for s in range(size):
                root = np.sqrt(max(row[s], ZERO) + COUNT_SHIFT)
                even[s] = root if roots[s] else row[s]
            if logs:
                _take_logs(state, row, low, even)
            for s in range(size):
                known = np.isfinite(even[s])
                first = seen[s] == ZERO
                value = even[s] if known else ZERO
                at_level = value if first else level[s]
                by_day = day[s]
                # Within its first hour a slot of the week would follow the values themselves.
                by_week = week[s] if week_visits[s] >= pace.week_rows else ZERO
                uses_day = day_error[s] < USEFUL * plain_error[s]
                uses_week = week_error[s] < USEFUL * day_error[s]
                season = (by_day if uses_day else ZERO) + (by_week if uses_week else ZERO)
                phi = min(max(covariance[s] / (variance[s] + TINY), ZERO), AR_MOST)
                stayed = phi * last[s]
                prediction = at_level + season + stayed
                sigma = max(TO_SIGMA * scale[s] * width, floor[s])
                center[s] = prediction
                spread[s] = CLIP * sigma
                error = value - prediction
                far = error / sigma
                shown = min(max(far, -Z_CAP), Z_CAP)
                z[s] = shown if known and seen[s] >= pace.needed else NAN
                # From here on everything is learnt by a gain, which is 0 for a gap.
                one = ONE if known else ZERO
                young = ONE / (seen[s] + ONE)
                bound = CLIP * sigma if seen[s] >= UNBOUNDED else abs(error)
                kept = min(max(error, -bound), bound)
                higher = max(run[s], ZERO) + ONE if far > CLIP else ZERO
                lower = min(run[s], ZERO) - ONE if far < -CLIP else ZERO
                runs = higher + lower
                moved = abs(runs) > pace.patience
                most = max(bound, CLIP * np.sqrt(variance[s]))
                stays = min(max(stayed + kept, -most), most)
                step = one * (HALF * error if moved else max(pace.level, young) * stays)
                memory = one * max(AR_MEMORY, young)
                covariance[s] += memory * (stays * last[s] - covariance[s])
                variance[s] += memory * (last[s] * last[s] - variance[s])
                plain = value - at_level
                without_day = plain - by_day
                without_both = without_day - by_week
                test = one * max(pace.season, young)
                wide = WIDE * plain_error[s] + bound
                day_wide = wide if day_visits[s] < YOUNG else WIDE * day_error[s] + floor[s]
                week_wide = wide if week_visits[s] < YOUNG else WIDE * week_error[s] + floor[s]
                plain_error[s] += test * (min(abs(plain), wide) - plain_error[s])
                day_error[s] += test * (min(abs(without_day), day_wide) - day_error[s])
                week_error[s] += test * (min(abs(without_both), week_wide) - week_error[s])
                learns_week = one if day_visits[s] >= SETTLED else ZERO
                day_visits[s] += one
                gain = one * max(pace.day, ONE / max(day_visits[s], ONE))
                new_to_day = without_both if uses_week else without_day
                day[s] = by_day + gain * min(max(new_to_day, -day_wide), day_wide)
                week_visits[s] += learns_week
                gain = learns_week * max(pace.week, ONE / (week_visits[s] + ONE))
                new_to_week = without_day - week[s]
                week[s] += gain * min(max(new_to_week, -week_wide), week_wide)
                gain = one * max(pace.scale, ONE / (scale_visits[s] + ONE))
                scale[s] += gain * (abs(kept) - scale[s])
                scale_visits[s] += one
                level[s] = at_level + step if known else level[s]
                settled = ZERO if moved else stays - step
                last[s] = settled if known else stayed
                run[s] = runs if known else run[s]
                seen[s] += one
            _restore(state, low, center, spread, at, bands)


@numba.njit(cache=True, nogil=True)
def _slot(profile: Floats, low: int, high: int, slot: int) -> Floats:
    return profile[slot, low:high]


@numba.njit(cache=True, nogil=True)
def _take_logs(state: BandState, row: Floats, low: int, even: Floats) -> None:
    for s in range(len(row)):
        if state.transform[low + s] == LOG:
            even[s] = np.log(max(row[s], ZERO) + state.shift[low + s])


@numba.njit(cache=True, nogil=True, fastmath={"contract", "arcp", "nsz"})
def _restore(  # noqa: PLR0913, PLR0917 - what it reads and where it writes
    state: BandState, low: int, center: Floats, spread: Floats, at: int, bands: Bands
) -> None:
    high = low + len(center)
    roots = state.transform[low:high] == ROOT
    expected, lower, upper = (
        bands.expected[at, low:high],
        bands.lower[at, low:high],
        bands.upper[at, low:high],
    )
    for s in range(len(center)):
        middle, least, most = center[s], center[s] - spread[s], center[s] + spread[s]
        square = max(max(middle, ZERO) * max(middle, ZERO) - COUNT_SHIFT, ZERO)
        expected[s] = square if roots[s] else middle
        square = max(max(least, ZERO) * max(least, ZERO) - COUNT_SHIFT, ZERO)
        lower[s] = square if roots[s] else least
        square = max(max(most, ZERO) * max(most, ZERO) - COUNT_SHIFT, ZERO)
        upper[s] = square if roots[s] else most
    for s in range(len(center)):
        if state.transform[low + s] == LOG:
            shift = state.shift[low + s]
            expected[s] = max(np.exp(center[s]) - shift, ZERO)
            lower[s] = max(np.exp(center[s] - spread[s]) - shift, ZERO)
            upper[s] = max(np.exp(center[s] + spread[s]) - shift, ZERO)


@numba.njit(cache=True, nogil=True)
def run_spans(memory: Floats, z: Floats, gains: Floats, evidence: Floats) -> None:
    """Gather scores over spans: `memory` becomes that after the rows, `evidence[1:]` its values.

    The last gain is that of the scores' sizes, the others of the scores. All are divided by the
    standard deviation that independent scores would give them.
    """
    times, series = z.shape
    last = len(gains) - 1
    for at in range(times):
        for kind in range(last + 1):
            gain = gains[kind]
            unit = np.sqrt(gain / (np.float32(2.0) - gain))
            for s in range(series):
                far = z[at, s]
                known = np.isfinite(far)
                near = min(max(far, -SPAN_CLIP), SPAN_CLIP) if known else ZERO
                if kind == last and known:
                    near = abs(near) - QUIET_SIZE
                memory[kind, s] += gain * (near - memory[kind, s])
                evidence[kind + 1, at, s] = memory[kind, s] / unit if known else NAN
