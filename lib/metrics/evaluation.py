"""Detectors at work: learning from history, then every interval once, as its data arrive.

Learning scores the whole history causally, takes what is usual from its first part and keeps the
events of the rest. A continuous detector goes on from there. An interval, its groups and what is
announced of them are written in one transaction, and a detector's files after it: killed in
between, the next run follows the same rows again and writes nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import func, select

from lib.aws import Aws, AwsError, open_aws
from lib.jobs import JobError, Jobs, JobState, Report, job
from lib.metrics.bands import DAY_S, Clock, follow, intervals_needed, new_state
from lib.metrics.detectors import detector_folder, detectors, found_detector, set_state
from lib.metrics.feedback import factors
from lib.metrics.groups import Scored, find_groups, missing_data_groups
from lib.metrics.groups_store import write_groups
from lib.metrics.history import History, cut, load_history, save_history
from lib.metrics.model import (
    AnomalyGroup,
    Dataset,
    Detector,
    DetectorState,
    Finding,
    Floats,
    Measure,
    MetricsError,
    Panel,
    Scores,
    SeriesKey,
)
from lib.metrics.panel import read_panel
from lib.metrics.rollups import leaves, with_rollups
from lib.metrics.severity import Calibration, calibrate, event_gap
from lib.metrics.spans import memory_after, no_memory
from lib.metrics.timeline import as_datetime, days_off, interval_end, interval_starts
from lib.settings import Settings, settings
from lib.store import EvaluatedIntervalRow, Store, open_store, utc_now

LATE_INTERVALS = 24  # before the new ones, in which rows that came late are counted
SCALE_SHARE = 0.3  # of it, from which the scale of each series is taken
RETRY_S = 300  # after a failed run
CATCH_UP = 2_000  # intervals at a time
LATE = "came after its interval was looked at"
RELEARN_SHARE = 0.1  # of the intervals known, and at least a day, after which habits are learnt


@job(max_attempts=3)
def evaluate(report: Report, detector: str) -> dict[str, Any]:
    """Bring a detector up to date and return counts; a backtest looks back once."""
    now = settings()
    with closing(open_store(now.store_url)) as store:
        try:
            found = found_detector(store, detector)
            if found.state is DetectorState.PAUSED:
                return {"intervals": 0, "groups": 0}
            return Evaluation(store, now, open_aws(now), found).run(report, utc_now())
        except (MetricsError, AwsError) as error:
            set_state(store, detector, DetectorState.FAILED, str(error))
            raise JobError(str(error)) from error


def title_of(detector: Detector) -> str:
    """Return the title of the jobs that evaluate a detector."""
    return f"Evaluate {detector.name}"


def start_evaluation(jobs: Jobs, detector: Detector, owner: str) -> None:
    """Evaluate a detector in the background, unless that is under way."""
    last = jobs.latest(title_of(detector))
    if last is None or last.finished:
        jobs.submit(evaluate, title=title_of(detector), owner=owner, detector=detector.id)


def submit_due(jobs: Jobs) -> None:
    """Start the evaluation of every continuous detector that has an interval to evaluate."""
    now = utc_now()
    watching = {DetectorState.LEARNING, DetectorState.ACTIVE, DetectorState.FAILED}
    for detector in detectors(jobs.store):
        if detector.state not in watching or now < next_due(jobs.store, detector):
            continue
        last = jobs.latest(title_of(detector))
        if last is not None and (
            not last.finished
            or (
                last.state is not JobState.DONE
                and now - last.created_at < timedelta(seconds=RETRY_S)
            )
        ):
            continue
        start_evaluation(jobs, detector, detector.created_by)


def next_due(store: Store, detector: Detector) -> datetime:
    """Return when the next interval of a detector can be evaluated."""
    last = last_evaluated(store, detector)
    if last is None:
        return detector.created_at or utc_now()
    frequency, zone = detector.dataset.frequency, detector.dataset.zone
    begins = interval_end(frequency, zone, int(last.timestamp()))
    ends = interval_end(frequency, zone, begins)
    return as_datetime(ends + detector.dataset.offset_s)


def last_evaluated(store: Store, detector: Detector) -> datetime | None:
    """Return the start of the last interval that a detector has evaluated."""
    with store.read() as session:
        return session.scalar(
            select(func.max(EvaluatedIntervalRow.start)).where(
                EvaluatedIntervalRow.detector == detector.id
            )
        )


def late_intervals(store: Store, detector: Detector, since: datetime) -> int:
    """Return how many intervals a detector has looked at late since a time."""
    with store.read() as session:
        count = session.scalar(
            select(func.count()).where(
                EvaluatedIntervalRow.detector == detector.id,
                EvaluatedIntervalRow.late,
                EvaluatedIntervalRow.evaluated_at >= since,
            )
        )
    return int(count or 0)


def evaluated_span(store: Store, detector: Detector) -> tuple[datetime, datetime] | None:
    """Return from when until when a detector has looked at intervals; None before the first."""
    with store.read() as session:
        first, last = session.execute(
            select(
                func.min(EvaluatedIntervalRow.start), func.max(EvaluatedIntervalRow.start)
            ).where(EvaluatedIntervalRow.detector == detector.id)
        ).one()
    if first is None or last is None:
        return None
    frequency, zone = detector.dataset.frequency, detector.dataset.zone
    return first, as_datetime(interval_end(frequency, zone, int(last.timestamp())))


class Evaluation:
    """One run of a detector."""

    def __init__(self, store: Store, settings: Settings, aws: Aws, detector: Detector) -> None:
        self._store = store
        self._settings = settings
        self._aws = aws
        self._detector = detector
        self._folder = detector_folder(settings, detector.id)

    def run(self, report: Report, now: datetime) -> dict[str, Any]:
        """Learn from history or go on from it, and return counts. Raises `MetricsError`."""
        started = time.monotonic()
        dataset = self._detector.dataset
        history = load_history(self._folder, dataset)
        if history is None or self._detector.state is DetectorState.BACKTEST:
            report(0.05, "Reading the rows")
            end = None if self._detector.state is DetectorState.BACKTEST else self._until(now)
            history, groups = self._learn(report, end)
        else:
            report(0.05, "Reading new rows")
            history, groups = self._go_on(history, now)
        intervals = len(history.panel.starts)
        if self._detector.state is not DetectorState.BACKTEST:
            needed = intervals_needed(dataset.frequency)
            state = DetectorState.ACTIVE if intervals > needed else DetectorState.LEARNING
            set_state(self._store, self._detector.id, state)
        return {
            "intervals": intervals,
            "series": len(history.panel.series),
            "groups": groups,
            "seconds": round(time.monotonic() - started, 1),
        }

    def _until(self, now: datetime) -> datetime:
        """Return the end of the last interval whose data are due."""
        due = int(now.timestamp()) - self._detector.dataset.offset_s
        frequency, zone = self._detector.dataset.frequency, self._detector.dataset.zone
        [current] = interval_starts(frequency, zone, due, due)
        return as_datetime(int(current))

    def _learn(self, report: Report, end: datetime | None) -> tuple[History, int]:
        dataset = self._detector.dataset
        panel = read_panel(dataset, self._settings, self._aws, end=end)
        report(0.4, f"Learning {len(panel.series):,} series")
        panel = with_rollups(panel, dataset)
        first = round(dataset.learnt_share * len(panel.starts))
        said = factors(self._store, self._detector.id)
        groups: list[AnomalyGroup] = []
        states, memories, calibrations = {}, {}, {}
        for number, measure in enumerate(dataset.measures):
            report(0.4 + 0.5 * number / len(dataset.measures), f"Looking at {measure.name}")
            learnt = learn_measure(panel, measure.name, first)
            states[measure.name], memories[measure.name] = learnt.state, learnt.after
            calibrations[measure.name] = learnt.calibrations[-1][1]
            known = said.get(measure.name, {})
            groups += find_groups(learnt.scored(self._detector.id, measure, panel, known))
        groups += missing_data_groups(self._detector.id, panel, first)
        report(0.95, "Keeping what was found")
        history = History(panel, states, memories, calibrations, dataset)
        kept = self._keep(panel, first, groups, announced=True)
        save_history(self._folder, history)
        return history, kept

    def _go_on(self, history: History, now: datetime) -> tuple[History, int]:
        dataset, before = self._detector.dataset, history.panel
        frequency, zone = dataset.frequency, dataset.zone
        begin = interval_end(frequency, zone, int(before.starts[-1]))
        until = min(int(self._until(now).timestamp()), begin + CATCH_UP * frequency.seconds)
        if until <= begin:
            return history, 0
        again = int(before.starts[-min(LATE_INTERVALS, len(before.starts))])
        read = read_panel(
            dataset, self._settings, self._aws, start=as_datetime(again), end=as_datetime(until)
        )
        late = _late_rows(before, read)
        new = cut(read, int(np.searchsorted(read.starts, begin)))
        starts = interval_starts(frequency, zone, begin, until - 1)
        joined = _joined(_with_late_rows(history, late), new, starts, dataset)
        panel, first = joined.panel, len(before.starts)
        said = factors(self._store, self._detector.id)
        groups: list[AnomalyGroup] = []
        after, memories, calibrations = {}, {}, {}
        for measure in dataset.measures:
            name = measure.name
            rows = panel.amounts[name][first:]
            after[name], scores = follow(joined.states[name], rows, starts, clock_of(panel))
            scored = Scored(
                self._detector.id,
                name,
                measure.is_additive,
                panel,
                scores,
                first,
                ((0, joined.calibrations[name]),),
                joined.memories[name],
                said.get(name, {}),
            )
            groups += find_groups(scored)
            memories[name] = memory_after(joined.memories[name], scores.z)
            calibrations[name] = _up_to_date(joined.calibrations[name], panel, name)
        groups += missing_data_groups(self._detector.id, panel, first)
        kept = self._keep(panel, first, groups, announced=False)
        gone_on = replace(joined, states=after, memories=memories, calibrations=calibrations)
        save_history(self._folder, gone_on)
        return gone_on, kept

    def _keep(
        self, panel: Panel, first: int, groups: Sequence[AnomalyGroup], *, announced: bool
    ) -> int:
        """Write intervals that were not written before, with their groups; return their number."""
        at = utc_now()
        own = leaves(panel.series)
        slack = timedelta(seconds=(1 + event_gap(panel.frequency)) * panel.frequency.seconds)
        with self._store.write() as session:
            done = set(
                session.scalars(
                    select(EvaluatedIntervalRow.start).where(
                        EvaluatedIntervalRow.detector == self._detector.id
                    )
                )
            )
            fresh = [
                (row, as_datetime(int(panel.starts[row])))
                for row in range(first, len(panel.starts))
                if as_datetime(int(panel.starts[row])) not in done
            ]
            late = timedelta(seconds=2 * panel.frequency.seconds + self._detector.dataset.offset_s)
            session.add_all(
                EvaluatedIntervalRow(
                    detector=self._detector.id,
                    start=start,
                    evaluated_at=at,
                    rows=int(panel.rows[row][own].sum()),
                    late=not announced and at - start > late,
                )
                for row, start in fresh
            )
            times = {start for _, start in fresh}
            new = [one for one in groups if (one.worst or one.start) in times]
            in_time = sorted(new, key=lambda one: one.start)
            return len(write_groups(session, in_time, slack, announced=announced))


@dataclass(frozen=True, eq=False)
class Learnt:
    """One measure of a history: the bands after it, what is usual, and the scores from `first`."""

    state: Any
    scores: Scores
    calibrations: tuple[tuple[int, Calibration], ...]  # each from its row of the scores on
    memory: Floats  # of evidence that gathered before the scores
    after: Floats  # and after them
    first: int  # the panel's row of the scores' first row

    def scored(
        self, detector: str, measure: Measure, panel: Panel, factors: Mapping[SeriesKey, float]
    ) -> Scored:
        """Return the measure as it is looked at for events, with the factors of feedback."""
        return Scored(
            detector,
            measure.name,
            measure.is_additive,
            panel,
            self.scores,
            self.first,
            self.calibrations,
            self.memory,
            factors,
        )


def learn_measure(panel: Panel, measure: str, first: int) -> Learnt:
    """Return what is learnt of a measure; an interval is judged by the habits before it alone."""
    amounts = panel.amounts[measure]
    clock = clock_of(panel)
    told = min(first, round(SCALE_SHARE * len(amounts)))
    state = new_state(amounts[:told], panel.frequency)
    after, scores = follow(state, amounts, panel.starts, clock)
    late = Scores(
        scores.expected[first:], scores.lower[first:], scores.upper[first:], scores.z[first:]
    )
    calibrations = [(0, calibrate(scores.z[:first], panel.frequency))]
    while (row := first + calibrations[-1][0]) + _until_learnt(panel, row) < len(amounts):
        row += _until_learnt(panel, row)
        calibrations.append((row - first, calibrate(scores.z[:row], panel.frequency)))
    memory = memory_after(no_memory(amounts.shape[1]), scores.z[:first])
    gone_on = memory_after(memory, scores.z[first:])
    return Learnt(after, late, tuple(calibrations), memory, gone_on, first)


def _up_to_date(calibration: Calibration, panel: Panel, measure: str) -> Calibration:
    """Return what is usual after all of the panel, learnt again where enough is new."""
    amounts = panel.amounts[measure]
    if len(amounts) < calibration.rows + _until_learnt(panel, calibration.rows):
        return calibration
    state = new_state(amounts[: round(SCALE_SHARE * len(amounts))], panel.frequency)
    clock = clock_of(panel)
    return calibrate(follow(state, amounts, panel.starts, clock)[1].z, panel.frequency)


def _until_learnt(panel: Panel, rows: int) -> int:
    """Return after how many intervals more than `rows` habits are learnt again."""
    return max(1, DAY_S // panel.frequency.seconds, round(RELEARN_SHARE * rows))


def series_scores(panel: Panel, measure: str, keys: Sequence[SeriesKey]) -> tuple[Floats, Scores]:
    """Return amounts and scores of some series over a whole panel, [intervals, series]."""
    places = [panel.series.index(key) for key in keys]
    amounts = np.ascontiguousarray(panel.amounts[measure][:, places])
    state = new_state(amounts[: round(SCALE_SHARE * len(amounts))], panel.frequency)
    _, scores = follow(state, amounts, panel.starts, clock_of(panel))
    return amounts, scores


def clock_of(panel: Panel) -> Clock:
    """Return how the panel's rows lie in time, with the days off of its country."""
    years = [
        as_datetime(int(start)).year
        for start in (panel.starts[[0, -1]] if len(panel.starts) else ())
    ]
    free = days_off(panel.holidays, years[0], years[-1] + 1) if years else ()
    return Clock(panel.frequency, panel.zone, free)


def _late_rows(before: Panel, read: Panel) -> int:
    """Return how many rows have come for intervals that were read before."""
    own = leaves(before.series)
    known = dict(zip(before.starts.tolist(), before.rows[:, own].sum(axis=1).tolist(), strict=True))
    return sum(
        max(0, int(rows) - known[start])
        for start, rows in zip(read.starts.tolist(), read.rows.sum(axis=1).tolist(), strict=True)
        if start in known
    )


def _with_late_rows(history: History, late: int) -> History:
    """Return the history with what came late among the findings about its data."""
    if not late:
        return history
    quality = history.panel.quality
    others = tuple(one for one in quality.findings if one.kind != LATE)
    # Every run counts all that came late in its reach, so the largest count is the true one.
    most = max([late, *(one.rows for one in quality.findings if one.kind == LATE)])
    found = Finding(LATE, most, "not judged: wait longer for late rows to take them in")
    panel = replace(history.panel, quality=replace(quality, findings=(*others, found)))
    return replace(history, panel=panel)


def _joined(
    history: History, new: Panel, starts: np.ndarray[Any, np.dtype[np.int64]], dataset: Dataset
) -> History:
    """Return the history with the new intervals after it; its bands have yet to follow them.

    A series that was never seen before was 0 where the measure says so, and is new to its bands.
    """
    before = history.panel
    own = leaves(before.series)
    known = [before.series[place] for place in own]
    place = {known[at]: at for at in range(len(known))}
    for key in new.series:
        place.setdefault(key, len(place))
    keys = list(place)
    rows_at = np.searchsorted(starts, new.starts)
    to = np.array([place[key] for key in new.series], dtype=np.int64)
    counts = np.zeros((len(starts), len(keys)), dtype=np.int32)
    if len(to):
        counts[np.ix_(rows_at, to)] = new.rows
    silent = counts.sum(axis=1) == 0
    amounts = {}
    for measure in dataset.measures:
        zero = measure.is_additive and measure.missing == "zero"
        added = np.full((len(starts), len(keys)), 0.0 if zero else np.nan, dtype=np.float32)
        if len(to):
            added[np.ix_(rows_at, to)] = new.amounts[measure.name]
        added[silent] = np.nan
        old = np.full((len(before.starts), len(keys)), np.nan, dtype=np.float32)
        old[:, : len(own)] = before.amounts[measure.name][:, own]
        amounts[measure.name] = np.vstack([old, added])
    rows = np.vstack(
        [np.pad(before.rows[:, own], ((0, 0), (0, len(keys) - len(own)))), counts]
    ).astype(np.int32)
    leaf_panel = replace(
        before,
        series=tuple(keys),
        starts=np.concatenate([before.starts, starts]),
        amounts=amounts,
        rows=rows,
    )
    panel = with_rollups(leaf_panel, dataset)
    if panel.series == before.series:
        return replace(history, panel=panel)
    places = {key: at for at, key in enumerate(before.series)}
    kept = [at for at, key in enumerate(panel.series) if key in places]
    source = [places[panel.series[at]] for at in kept]
    states, memories, calibrations = {}, {}, {}
    for name, state in history.states.items():
        fresh = new_state(panel.amounts[name][: len(before.starts)], panel.frequency)
        for field in state._fields:
            getattr(fresh, field)[..., kept] = getattr(state, field)[..., source]
        states[name] = fresh
        memories[name] = no_memory(len(panel.series))
        memories[name][:, kept] = history.memories[name][:, source]
        stretch = np.ones(len(panel.series))
        stretch[kept] = history.calibrations[name].stretch[source]
        calibrations[name] = replace(history.calibrations[name], stretch=stretch)
    return History(panel, states, memories, calibrations, dataset)
