"""From scores to events: anomaly groups per measure over all affected series and intervals."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from lib.metrics.localise import Cube, cube_of, localise
from lib.metrics.model import (
    MAX_SERIES_KEPT,
    AffectedSeries,
    AnomalyGroup,
    DimensionContribution,
    Direction,
    Floats,
    GroupKind,
    Localisation,
    Panel,
    Scores,
    SeriesKey,
)
from lib.metrics.rollups import leaves
from lib.metrics.severity import Calibration, combined, event_gap, p_values, score, severity
from lib.metrics.spans import by_chunks, divided
from lib.metrics.timeline import as_datetime, interval_end

CLEAR_LEAN = 1.5  # median z of the affected series from which an interval has a direction
LEAST_SEVERITY = 40.0  # of an interval that is kept as a group
FALSE_DISCOVERIES = 0.05  # share of the affected series that may be affected by chance
CLEAR_Z = 3.0  # of series that count for the place of a deviation
MISSING_ALWAYS = 0.5  # share of empty intervals from which one is nothing new

Truths = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scored:
    """One measure of a panel over the intervals that are looked at; all matrices alike."""

    detector: str  # its id
    measure: str
    is_additive: bool
    panel: Panel
    scores: Scores
    first: int  # the panel's row of the scores' first row
    calibrations: Sequence[tuple[int, Calibration]]  # each from its row of the scores on
    memory: Floats  # of evidence that gathered before the first row
    factors: Mapping[SeriesKey, float] = field(
        default_factory=dict
    )  # feedback: divide z and memory

    @property
    def z(self) -> Floats:
        """Return the scores after feedback."""
        if not self.factors:
            return self.scores.z
        stretched: Floats = (self.scores.z / self._divisors()).astype(np.float32)
        return stretched

    @property
    def gathered(self) -> Floats:
        """Return the memory after feedback."""
        return divided(self.memory, self._divisors()) if self.factors else self.memory

    def _divisors(self) -> NDArray[np.float64]:
        return np.array([self.factors.get(key, 1.0) for key in self.panel.series])


def find_groups(scored: Scored) -> tuple[AnomalyGroup, ...]:
    """Return the events of a measure in the scored intervals, in order of time."""
    judged = tuple(_judged(scored))
    gap = event_gap(scored.panel.frequency)
    return tuple(_group(scored, event) for event in _events(judged, gap))


def severities(scored: Scored) -> NDArray[np.float64]:
    """Return the severity of each scored interval; 0 below `LEAST_SEVERITY`."""
    rated = np.zeros(len(scored.scores.z))
    for interval in _judged(scored):
        rated[interval.at] = interval.severity
    return rated


def missing_data_groups(detector: str, panel: Panel, first: int) -> tuple[AnomalyGroup, ...]:
    """Return an event for each run of intervals from the row `first` on in which no row arrived.

    Its severity falls with the share of empty intervals before: where half were, it is nothing.
    """
    empty = panel.rows.sum(axis=1) == 0
    before = float(empty[:first].mean()) if first else 0.0
    rated = 100.0 * max(0.0, 1.0 - before / MISSING_ALWAYS)
    groups = []
    at = first
    while at < len(empty):
        if not empty[at]:
            at += 1
            continue
        last = at
        while last + 1 < len(empty) and empty[last + 1]:
            last += 1
        start, end = _bounds(panel, at, last)
        groups.append(
            AnomalyGroup(
                id=group_id(detector, "", start, GroupKind.MISSING_DATA),
                detector=detector,
                measure="",
                start=start,
                end=end,
                severity=rated,
                direction=Direction.DIP,
                observed=0.0,
                expected=float(panel.rows[:first].sum(axis=1).mean()) if first else 0.0,
                series=(),
                series_count=len(panel.series),
                kind=GroupKind.MISSING_DATA,
                worst=start,
            )
        )
        at = last + 1
    return tuple(groups)


def group_id(detector: str, measure: str, start: datetime, kind: GroupKind) -> str:
    """Return the id of an event, which is the same however often it is found."""
    text = f"{detector}\n{measure}\n{start.isoformat()}\n{kind}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def contributions(
    dimensions: Sequence[str], keys: Sequence[SeriesKey], weights: NDArray[np.float64]
) -> tuple[DimensionContribution, ...]:
    """Return for each dimension its values' shares of the weights in percent, largest first."""
    whole = float(weights.sum())
    if whole <= 0:
        return ()
    found = []
    for place, dimension in enumerate(dimensions):
        names, codes = np.unique([key[place] or "" for key in keys], return_inverse=True)
        shares = 100.0 * np.bincount(codes, weights, minlength=len(names)) / whole
        order = np.argsort(-shares, kind="stable")
        values = tuple((str(names[at]), float(shares[at])) for at in order if shares[at] > 0)
        found.append(DimensionContribution(dimension, values))
    return tuple(found)


def interval_scores(scored: Scored) -> NDArray[np.float64]:
    """Return how unusual each scored interval is: -log10 of the chance of its evidence."""
    points = np.zeros(len(scored.scores.z))
    for _, rows, chances in _chances(scored):
        points[rows] = np.nan_to_num(-np.log10(combined(chances)))
    return points


@dataclass(frozen=True, eq=False)
class _Interval:
    """An interval that is kept, with the p-values of its series and which are affected."""

    at: int  # row of the scores
    severity: float
    chances: NDArray[np.float64]
    affected: Truths
    lean: float  # median z of its affected series


def _chances(scored: Scored) -> Iterator[tuple[Calibration, slice, NDArray[np.float64]]]:
    """Yield some rows at a time: what is usual there, which rows, and the series' p-values."""
    z, memory = scored.z, scored.gathered
    bounds = [row for row, _ in scored.calibrations[1:]] + [len(z)]
    for (low, calibration), high in zip(scored.calibrations, bounds, strict=True):
        for rows, after, evidence in by_chunks(memory, z[low:high]):
            memory = after
            found = slice(low + rows.start, low + rows.stop)
            yield calibration, found, p_values(calibration, evidence)


def _judged(scored: Scored) -> Iterator[_Interval]:
    for calibration, rows, chances in _chances(scored):
        least = _least_score(scored, calibration)
        together = combined(chances)
        for row in np.flatnonzero(-np.log10(together) >= least):
            affected = _affected(chances[row])
            if not affected.any():
                continue
            at = rows.start + int(row)
            share = _affected_share(scored, at, affected)
            rated = _rated(scored, calibration, score(float(together[row]), share))
            if rated >= LEAST_SEVERITY:
                lean = float(np.nanmedian(scored.z[at][affected]))
                yield _Interval(at, rated, chances[row], affected, lean)


def _least_score(scored: Scored, calibration: Calibration) -> float:
    # The severity is monotone in the score, so a bisection finds the least that is kept.
    low, high = 0.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        kept = _rated(scored, calibration, middle) >= LEAST_SEVERITY
        low, high = (low, middle) if kept else (middle, high)
    return high


def _affected(chances: NDArray[np.float64]) -> Truths:
    """Return which series of an interval are affected, by Benjamini and Hochberg."""
    known = np.flatnonzero(np.isfinite(chances))
    order = known[np.argsort(chances[known])]
    limits = FALSE_DISCOVERIES * np.arange(1, len(order) + 1) / max(len(order), 1)
    passed = np.flatnonzero(chances[order] <= limits)
    affected: Truths = np.zeros(len(chances), dtype=bool)
    if len(passed):
        affected[order[: passed[-1] + 1]] = True
    return affected


def _affected_share(scored: Scored, at: int, affected: Truths) -> float:
    own = leaves(scored.panel.series)
    expected = np.abs(np.nan_to_num(scored.scores.expected[at]))
    hit = affected[own] if affected[own].any() else np.ones(len(own), dtype=bool)
    whole = float(expected[own].sum())
    return float(expected[own][hit].sum()) / whole if whole > 0 else 0.0


def _rated(scored: Scored, calibration: Calibration, points: float) -> float:
    frequency, measures = scored.panel.frequency, len(scored.panel.amounts)
    return severity(calibration, points, frequency, measures)


@dataclass(frozen=True, eq=False)
class _Event:
    first: int
    last: int
    seen: int  # the last interval that belongs to it, be it only as what the event has left behind
    worst: _Interval
    affected: Truths  # in any of the intervals


def _events(judged: Sequence[_Interval], gap: int) -> list[_Event]:
    events: list[_Event] = []
    for one in judged:
        last = events[-1] if events else None
        if last and one.at - last.seen <= 1 + gap and (last.affected & one.affected).any():
            worst = one if one.severity > last.worst.severity else last.worst
            end = last.last if _is_left_behind(one, worst) else one.at
            events[-1] = _Event(last.first, end, one.at, worst, last.affected | one.affected)
        else:
            events.append(_Event(one.at, one.at, one.at, one, one.affected))
    return events


def _is_left_behind(one: _Interval, worst: _Interval) -> bool:
    """Tell whether an interval shows only what spans and bands have kept of an event."""
    leans = abs(one.lean) >= CLEAR_LEAN and one.lean * worst.lean > 0
    return abs(worst.lean) >= CLEAR_LEAN and not leans


def _group(scored: Scored, event: _Event) -> AnomalyGroup:
    panel, worst, z = scored.panel, event.worst, scored.z
    at, affected, chances = worst.at, worst.affected, worst.chances
    row = scored.first + at
    own = leaves(panel.series)
    observed = panel.amounts[scored.measure][row].astype(np.float64)
    expected = scored.scores.expected[at].astype(np.float64)
    start, end = _bounds(panel, scored.first + event.first, scored.first + event.last)
    away = np.where(np.isfinite(z[at]), observed - expected, 0.0)
    total, usual = _sums(scored, observed[own], expected[own])
    direction = _direction(z[at][affected])
    clear = np.isfinite(z[at]) & (np.abs(z[at]) >= CLEAR_Z)
    counted = own[(clear | affected)[own]] if (clear | affected)[own].any() else own
    side = {Direction.SPIKE: np.maximum(away, 0), Direction.DIP: np.maximum(-away, 0)}
    weights = side.get(direction, np.abs(away))
    keys = [panel.series[place] for place in own]
    cube = cube_of(panel.dimensions, [[value or "" for value in key] for key in keys])
    return AnomalyGroup(
        id=group_id(scored.detector, scored.measure, start, GroupKind.ANOMALY),
        detector=scored.detector,
        measure=scored.measure,
        start=start,
        end=end,
        severity=worst.severity,
        direction=direction,
        observed=total,
        expected=usual,
        series=_affected_series(scored, at, row, affected, chances),
        series_count=int(affected.sum()),
        contributions=contributions(
            panel.dimensions, [panel.series[place] for place in counted], weights[counted]
        ),
        causes=_localised(cube, observed[own], expected[own]),
        worst=as_datetime(int(panel.starts[row])),
    )


def _localised(
    cube: Cube, observed: NDArray[np.float64], expected: NDArray[np.float64]
) -> tuple[Localisation, ...]:
    known = np.isfinite(observed) & np.isfinite(expected)
    return localise(cube, np.where(known, observed, 0.0), np.where(known, expected, 0.0))


def _sums(
    scored: Scored, observed: NDArray[np.float64], expected: NDArray[np.float64]
) -> tuple[float, float]:
    known = np.isfinite(observed) & np.isfinite(expected)
    if not known.any():
        return 0.0, 0.0
    both = observed[known], expected[known]
    if scored.is_additive:
        return float(both[0].sum()), float(both[1].sum())
    return float(both[0].mean()), float(both[1].mean())


def _direction(z: NDArray[np.float32]) -> Direction:
    up, down = float(np.sum(z > 0)), float(np.sum(z < 0))
    if not down or up >= 4 * down:
        return Direction.SPIKE
    return Direction.DIP if not up or down >= 4 * up else Direction.BOTH


def _affected_series(
    scored: Scored, at: int, row: int, affected: Truths, chances: NDArray[np.float64]
) -> tuple[AffectedSeries, ...]:
    places = np.flatnonzero(affected)
    order = places[np.argsort(chances[places], kind="stable")][:MAX_SERIES_KEPT]
    scores, amounts = scored.scores, scored.panel.amounts[scored.measure]
    return tuple(
        AffectedSeries(
            scored.panel.series[place],
            float(amounts[row, place]),
            float(scores.expected[at, place]),
            float(scores.lower[at, place]),
            float(scores.upper[at, place]),
            float(scores.z[at, place]),
            float(chances[place]),
        )
        for place in order
    )


def _bounds(panel: Panel, first: int, last: int) -> tuple[datetime, datetime]:
    end = interval_end(panel.frequency, panel.zone, int(panel.starts[last]))
    return as_datetime(int(panel.starts[first])), as_datetime(end)
