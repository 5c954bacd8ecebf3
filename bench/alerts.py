"""A million anomaly groups against a thousand alerts, and one group at a time as the peer."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from bench.result import Row
from lib.alerts.matching import GroupTable, matches, matching, table_of
from lib.alerts.matching_kernel import warm
from lib.alerts.model import AlertRule, DimensionFilter
from lib.metrics.model import AffectedSeries, AnomalyGroup, Direction
from lib.metrics.timeline import as_datetime

GROUPS, QUICK_GROUPS, ALERTS, SERIES = 1_000_000, 100_000, 1_000, 3
ALONE = 200  # groups that are matched one at a time
DIMENSIONS = {"marketplace": 20, "category": 50, "seller": 200, "tier": 3, "shipping": 4}
MEASURES = ("revenue", "orders", "clicks", "visits", "returns")
SEED = 5
GOAL_S = 5.0


def run(quick: bool) -> list[Row]:  # noqa: FBT001  # what bench.__main__ calls
    """Return the time to match all, and the ratio to matching group by group."""
    warm()
    count = QUICK_GROUPS if quick else GROUPS
    random = np.random.default_rng(SEED)
    table, rules = _table(count, random), [_rule(number, random) for number in range(ALERTS)]
    begun = perf_counter()
    found = sum(len(matching(rule, table)) for rule in rules)
    ours = perf_counter() - begun
    groups = [_group(table, int(at)) for at in random.choice(count, ALONE, replace=False)]
    begun = perf_counter()
    told = sum(matches(rule, one, list(DIMENSIONS)) for rule in rules for one in groups)
    alone = (perf_counter() - begun) / (ALONE * ALERTS) * (count * ALERTS)
    few = table_of(groups, list(DIMENSIONS))
    assert told == sum(len(matching(rule, few)) for rule in rules), "both ways agree"
    print(f"group by group: timed on {ALONE} groups, extrapolated; {found:,} pairs match")
    case = f"{count:,} groups, {ALERTS:,} alerts"
    peers = {"group by group": alone}
    return [Row(case, "all matched", "s", "lower", ours, peers, "< 5 (1 M)", ours < GOAL_S)]


def _table(count: int, random: np.random.Generator) -> GroupTable:
    codes = [random.integers(0, size, count * SERIES) for size in DIMENSIONS.values()]
    return GroupTable(
        np.arange(count),
        random.integers(0, len(MEASURES), count).astype(np.int32),
        -np.sort(-random.uniform(0, 100, count)).astype(np.float32),
        random.integers(0, 2, count).astype(np.int8),
        random.exponential(1_000, count),
        np.arange(0, count * SERIES + 1, SERIES, dtype=np.int64),
        np.stack(codes, axis=1).astype(np.int32),
        MEASURES,
        tuple(DIMENSIONS),
        [[f"{name}{value}" for value in range(size)] for name, size in DIMENSIONS.items()],
    )


def _rule(number: int, random: np.random.Generator) -> AlertRule:
    chosen = random.choice(list(DIMENSIONS), random.integers(0, 4), replace=False)
    return AlertRule(
        f"alert{number}",
        measures=tuple(random.choice(MEASURES, random.integers(0, 3), replace=False)),
        filters=tuple(
            DimensionFilter(
                str(name),
                tuple(f"{name}{value}" for value in random.integers(0, DIMENSIONS[name], 5)),
            )
            for name in chosen
        ),
        severity=float(random.integers(0, 90)),
        direction=list(Direction)[random.integers(0, len(Direction))],
    )


def _group(table: GroupTable, at: int) -> AnomalyGroup:
    keys = table.codes[table.first[at] : table.first[at + 1]]
    series = tuple(
        AffectedSeries(
            tuple(table.values[place][code] for place, code in enumerate(key)), 0, 0, 0, 0, 0, 0
        )
        for key in keys
    )
    moment = as_datetime(0)
    return AnomalyGroup(
        str(at),
        "d",
        MEASURES[table.measure[at]],
        moment,
        moment,
        float(table.severity[at]),
        (Direction.SPIKE, Direction.DIP)[table.direction[at]],
        float(table.impact[at]),
        0.0,
        series,
        len(series),
    )
