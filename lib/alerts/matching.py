"""Which groups an alert tells about, and why: one group in words, or a million at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from lib.alerts.model import AlertRule, ChannelKind, DimensionFilter
from lib.metrics.model import AnomalyGroup, Direction, GroupKind, SeriesKey

DIRECTIONS = (Direction.SPIKE, Direction.DIP, Direction.BOTH)


@dataclass(frozen=True)
class Criterion:
    """One condition of a rule on one group: what it wants, what there is, and whether it is met."""

    name: str
    wanted: str
    found: str
    met: bool


def explain(
    rule: AlertRule, group: AnomalyGroup, dimensions: Sequence[str]
) -> tuple[Criterion, ...]:
    """Return every condition of a rule on a group; the rule matches where all are met."""
    criteria = [_severity_criterion(rule, group)]
    if group.kind is GroupKind.MISSING_DATA:
        wanted = "data that do not arrive" if rule.health else "anomalies only"
        return (*criteria, Criterion("Kind", wanted, "no data arrived", rule.health))
    if rule.measures:
        met = group.measure in rule.measures
        criteria.append(Criterion("Measure", _any_of(rule.measures), group.measure, met))
    if rule.direction is not Direction.BOTH:
        met = _points(group.direction, rule.direction)
        criteria.append(Criterion("Direction", str(rule.direction), str(group.direction), met))
    if rule.least_impact > 0:
        impact = abs(group.observed - group.expected)
        met = impact >= rule.least_impact
        criteria.append(
            Criterion("Impact", f"{rule.least_impact:,g} or more", f"{impact:,.4g}", met)
        )
    return (*criteria, *_filter_criteria(rule, group, dimensions))


def matches(rule: AlertRule, group: AnomalyGroup, dimensions: Sequence[str]) -> bool:
    """Tell whether a rule tells about a group."""
    return all(criterion.met for criterion in explain(rule, group, dimensions))


def sentence(rule: AlertRule) -> str:
    """Return the rule in plain words."""
    what = f"{_any_of(rule.measures)} is" if rule.measures else "any measure is"
    kinds = {Direction.SPIKE: "unusually high", Direction.DIP: "unusually low"}
    how = kinds.get(rule.direction, "unusual")
    text = f"When {what} {how}"
    if rule.severity is not None and rule.severity > 0:
        text += f" with a severity of {rule.severity:g} or more"
    if rule.least_impact > 0:
        text += f" and {rule.least_impact:,g} or more away from what was expected"
    if rule.filters:
        text += ", in a series whose " + " and ".join(_filter_words(one) for one in rule.filters)
    text += f", {_where(rule)}"
    if rule.health:
        text += "; also when data do not arrive or a run fails"
    return text + "."


@dataclass(frozen=True, eq=False)
class GroupTable:
    """Groups of one detector as columns, the most severe first, for rules on very many of them.

    `place` says which group a row is. `codes` holds the values of every affected series [series,
    dimensions] as places in `values`, -1 for a series over all values; the series of row i are
    `first[i]` to `first[i + 1]`.
    """

    place: NDArray[np.int64]
    measure: NDArray[np.int32]  # a place in `measures`; -1 where no data arrived
    severity: NDArray[np.float32]
    direction: NDArray[np.int8]  # a place in DIRECTIONS
    impact: NDArray[np.float64]
    first: NDArray[np.int64]
    codes: NDArray[np.int32]
    measures: Sequence[str]
    dimensions: Sequence[str]
    values: Sequence[Sequence[str]]  # by dimension


def table_of(groups: Sequence[AnomalyGroup], dimensions: Sequence[str]) -> GroupTable:
    """Return groups as columns."""
    order = np.argsort([-one.severity for one in groups], kind="stable").astype(np.int64)
    groups = [groups[at] for at in order]
    measures = sorted({one.measure for one in groups if one.kind is not GroupKind.MISSING_DATA})
    place = {name: at for at, name in enumerate(measures)}
    keys: list[SeriesKey] = [series.key for one in groups for series in one.series]
    values: list[list[str]] = []
    codes = np.full((len(keys), len(dimensions)), -1, dtype=np.int32)
    for at in range(len(dimensions)):
        names = sorted({key[at] or "" for key in keys if key[at] is not None})
        known = {name: number for number, name in enumerate(names)}
        codes[:, at] = [-1 if key[at] is None else known[key[at] or ""] for key in keys]
        values.append(names)
    counts = np.array([len(one.series) for one in groups], dtype=np.int64)
    missing = [one.kind is GroupKind.MISSING_DATA for one in groups]
    return GroupTable(
        order,
        np.array(
            [-1 if gone else place[one.measure] for one, gone in zip(groups, missing, strict=True)],
            dtype=np.int32,
        ),
        np.array([one.severity for one in groups], dtype=np.float32),
        np.array([DIRECTIONS.index(one.direction) for one in groups], dtype=np.int8),
        np.array([abs(one.observed - one.expected) for one in groups], dtype=np.float64),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        codes,
        measures,
        tuple(dimensions),
        values,
    )


def matching(rule: AlertRule, table: GroupTable) -> NDArray[np.int64]:
    """Return the places of the groups that a rule tells about, the most severe first."""
    from lib.alerts.matching_kernel import match_groups

    wanted = np.array(
        [not rule.measures or name in rule.measures for name in table.measures] or [False],
        dtype=np.bool_,
    )
    points = np.array([_points(one, rule.direction) for one in DIRECTIONS], dtype=np.bool_)
    filters = [one for one in rule.filters if one.dimension in table.dimensions]
    columns = np.array([table.dimensions.index(one.dimension) for one in filters], dtype=np.int64)
    widest = max([len(names) for names in table.values], default=0) + 1
    fits = np.zeros((len(filters), widest), dtype=np.bool_)
    for row, one in enumerate(filters):
        names = table.values[columns[row]]
        fits[row, : len(names)] = [_fits(one, name) for name in names]
    least = np.float32(-1 if rule.severity is None else rule.severity)
    severe = int(np.searchsorted(-table.severity, -least, side="right"))
    found = np.zeros(severe, dtype=np.bool_)
    limits = (rule.least_impact, rule.health, len(filters) < len(rule.filters))
    match_groups(
        table.measure[:severe], table.direction, table.impact, table.first, table.codes,
        wanted, points, columns, fits, limits, found,
    )  # fmt: skip
    return table.place[found.nonzero()[0]]


def _severity_criterion(rule: AlertRule, group: AnomalyGroup) -> Criterion:
    least = 0.0 if rule.severity is None else rule.severity
    wanted = "any" if rule.severity is None else f"{least:g} or more"
    # As the table keeps it, so that both ways of matching agree at the threshold.
    met = bool(np.float32(group.severity) >= np.float32(least))
    return Criterion("Severity", wanted, f"{group.severity:.2f}", met)


def _filter_criteria(
    rule: AlertRule, group: AnomalyGroup, dimensions: Sequence[str]
) -> list[Criterion]:
    keys = [dict(zip(dimensions, one.key, strict=True)) for one in group.series]
    criteria = []
    for one in rule.filters:
        seen = sorted({value for key in keys if (value := key.get(one.dimension)) is not None})
        met = any(_fits(one, value) for value in seen)
        shown = ", ".join(seen[:8]) + (f" and {len(seen) - 8} more" if len(seen) > 8 else "")  # noqa: PLR2004 - a line
        criteria.append(Criterion(one.dimension, _wanted(one), shown or "all values", met))
    if len(rule.filters) > 1 and all(one.met for one in criteria):
        both = [
            key for key in keys if all(_holds(one, key.get(one.dimension)) for one in rule.filters)
        ]
        first = " · ".join(value for value in both[0].values() if value) if both else "none"
        criteria.append(
            Criterion("One series that fits all filters", "at least one", first, bool(both))
        )
    return criteria


def _holds(one: DimensionFilter, value: str | None) -> bool:
    return value is not None and _fits(one, value)


def _fits(one: DimensionFilter, value: str) -> bool:
    if one.pattern:
        listed = any(fnmatchcase(value, pattern) for pattern in one.values)
    else:
        listed = value in one.values
    return listed != one.exclude


def _points(found: Direction, wanted: Direction) -> bool:
    return wanted is Direction.BOTH or found in {wanted, Direction.BOTH}


def _any_of(values: Sequence[str]) -> str:
    if len(values) < 2:  # noqa: PLR2004 - what needs an "or"
        return "".join(values)
    return f"{', '.join(values[:-1])} or {values[-1]}"


def _wanted(one: DimensionFilter) -> str:
    kind = "like " if one.pattern else ""
    return f"{'not ' if one.exclude else ''}{kind}{_any_of(one.values)}"


def _filter_words(one: DimensionFilter) -> str:
    return f"{one.dimension} is {_wanted(one)}"


def _where(rule: AlertRule) -> str:
    place = {
        ChannelKind.INBOX: "tell the inbox",
        ChannelKind.SNS: "publish to the SNS topic " + rule.channel.target.rpartition(":")[2],
        ChannelKind.LAMBDA: "call the function " + rule.channel.target.rpartition(":")[2],
        ChannelKind.NAMED: f"tell {rule.channel.target}",
    }[rule.channel.kind]
    if rule.digest_minutes:
        place += f" in one message every {rule.digest_minutes:,} minutes"
    if rule.cooldown_minutes:
        place += f", then nothing for {rule.cooldown_minutes:,} minutes"
    return place
