from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.alerts.matching import explain, matches, matching, sentence, table_of
from lib.alerts.model import AlertRule, Channel, ChannelKind, DimensionFilter
from lib.metrics.model import AffectedSeries, AnomalyGroup, Direction, GroupKind, SeriesKey

DIMENSIONS = ("category", "seller", "marketplace", "tier", "shipping")
START = datetime(2022, 5, 25, 20, 5, tzinfo=UTC)
POST = AlertRule(
    "testRevenueForFashionOrJewelleryInUSOrCA",
    measures=("revenue",),
    filters=(
        DimensionFilter("marketplace", ("US", "CA")),
        DimensionFilter("category", ("fashion", "jewellery")),
    ),
    severity=20,
)
ALL = AlertRule("testAlertWithNoFilters", severity=None)


READ_BACK = (
    "When revenue is unusual with a severity of 20 or more, in a series whose marketplace is US or "
    "CA and category is fashion or jewellery, tell the inbox; also when data do not arrive or a "
    "run fails."
)
READ_BACK_TOO = (
    "When orders or clicks is unusually low with a severity of 70 or more and 1,000 or more away "
    "from what was expected, in a series whose tier is not like p*, publish to the SNS topic topic "
    "in one message every 60 minutes, then nothing for 30 minutes."
)


def group(  # noqa: PLR0913 - what a group is
    *keys: SeriesKey,
    measure: str = "revenue",
    severity: float = 77.3,
    direction: Direction = Direction.DIP,
    kind: GroupKind = GroupKind.ANOMALY,
    impact: float = 50,
    number: int = 0,
) -> AnomalyGroup:
    series = tuple(AffectedSeries(key, 50, 100, 90, 110, -9, 1e-6) for key in keys)
    return AnomalyGroup(
        f"g{number}", "d", measure, START, START + timedelta(minutes=5), severity, direction,
        100 - impact, 100, series, len(series), kind=kind,
    )  # fmt: skip


FIRST = group(
    ("jewellery", "thirdParty", "CA", "regular", "priority"),
    ("electronics", "self", "MX", "premium", "overnight"),
    ("electronics", "self", "US", "regular", "overnight"),
)
SECOND = group(
    ("jewellery", "self", "UK", "regular", "overnight"),
    ("jewellery", "thirdParty", "JP", "premium", "overnight"),
    ("electronics", "thirdParty", "DE", "premium", "priority"),
    severity=77.59,
    number=1,
)


def test_the_case_of_the_post() -> None:
    assert matches(POST, FIRST, DIMENSIONS)
    assert not matches(POST, SECOND, DIMENSIONS)
    assert matches(ALL, FIRST, DIMENSIONS)
    assert matches(ALL, SECOND, DIMENSIONS)
    table = table_of([FIRST, SECOND], DIMENSIONS)
    assert matching(POST, table).tolist() == [0]
    assert matching(ALL, table).tolist() == [1, 0]


def test_why_a_group_does_not_match_is_told_condition_by_condition() -> None:
    told = {one.name: one for one in explain(POST, SECOND, DIMENSIONS)}
    assert told["Severity"].met
    assert told["Measure"].met
    assert told["category"].met
    assert not told["marketplace"].met
    assert told["marketplace"].wanted == "US or CA"
    assert told["marketplace"].found == "DE, JP, UK"


def test_one_series_must_fit_all_filters() -> None:
    apart = group(("fashion", "self", "UK", "a", "b"), ("electronics", "self", "US", "a", "b"))
    assert not matches(POST, apart, DIMENSIONS)
    last = explain(POST, apart, DIMENSIONS)[-1]
    assert (last.name, last.met) == ("One series that fits all filters", False)


def test_a_series_over_all_values_fits_no_filter_on_them() -> None:
    sums = group((None, None, "US", None, None))
    assert not matches(POST, sums, DIMENSIONS)
    assert matches(
        AlertRule("a", filters=(DimensionFilter("marketplace", ("US",)),)), sums, DIMENSIONS
    )


def test_missing_data_are_told_where_health_is() -> None:
    gone = group(measure="", kind=GroupKind.MISSING_DATA, severity=90)
    assert matches(POST, gone, DIMENSIONS)
    assert not matches(AlertRule("a", health=False), gone, DIMENSIONS)
    assert not matches(AlertRule("a", severity=95), gone, DIMENSIONS)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (
            POST,
            READ_BACK,
        ),
        (
            AlertRule(
                "a",
                measures=("orders", "clicks"),
                filters=(DimensionFilter("tier", ("p*",), exclude=True, pattern=True),),
                direction=Direction.DIP,
                least_impact=1_000,
                channel=Channel(ChannelKind.SNS, "arn:aws:sns:us-west-2:123456789012:topic"),
                health=False,
                digest_minutes=60,
                cooldown_minutes=30,
            ),
            READ_BACK_TOO,
        ),
    ],
)
def test_a_rule_is_read_back_in_plain_words(rule: AlertRule, says: str) -> None:
    assert sentence(rule) == says


VALUES = (["a", "b", "ab"], ["x", "y"], ["1", "2", "3"])
NAMES = ("first", "second", "third")
keys = st.sampled_from(list(product(*([*values, None] for values in VALUES))))
groups = st.builds(
    lambda keys, measure, severity, direction, kind, impact: group(
        *keys, measure=measure, severity=severity, direction=direction, kind=kind, impact=impact
    ),
    st.lists(keys, max_size=4),
    st.sampled_from(["m", "n"]),
    st.floats(0, 100),
    st.sampled_from(list(Direction)),
    st.sampled_from([GroupKind.ANOMALY] * 5 + [GroupKind.MISSING_DATA]),
    st.floats(0, 1_000),
)
filters = st.builds(
    DimensionFilter,
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(["a", "b", "x", "1", "2", "?", "a*"]), min_size=1, max_size=3).map(
        tuple
    ),
    st.booleans(),
    st.booleans(),
)
rules = st.builds(
    AlertRule,
    st.just("rule"),
    measures=st.lists(st.sampled_from(["m", "n", "o"]), max_size=2).map(tuple),
    filters=st.lists(filters, max_size=3).map(tuple),
    severity=st.none() | st.floats(0, 100),
    direction=st.sampled_from(list(Direction)),
    least_impact=st.floats(0, 1_000),
    health=st.booleans(),
)


def naive(rule: AlertRule, one: AnomalyGroup) -> bool:  # noqa: PLR0911 - one for a condition
    """Tell the same as the matcher by the definition alone."""
    if one.severity < (rule.severity or 0):
        return False
    if one.kind is GroupKind.MISSING_DATA:
        return rule.health
    if rule.measures and one.measure not in rule.measures:
        return False
    if Direction.BOTH not in {rule.direction, one.direction} and rule.direction != one.direction:
        return False
    if abs(one.observed - one.expected) < rule.least_impact:
        return False
    if not rule.filters:
        return True

    def fits(key: SeriesKey, wanted: DimensionFilter) -> bool:
        value = key[NAMES.index(wanted.dimension)]
        if value is None:
            return False
        listed = (
            any(fnmatchcase(value, each) for each in wanted.values)
            if wanted.pattern
            else value in wanted.values
        )
        return listed is not wanted.exclude

    return any(all(fits(each.key, one) for one in rule.filters) for each in one.series)


@settings(max_examples=300, deadline=None)
@given(rules, st.lists(groups, max_size=6))
def test_both_matchers_are_the_definition(rule: AlertRule, found: list[AnomalyGroup]) -> None:
    near = [abs(np.float32(one.severity) - np.float32(rule.severity or 0)) < 1e-4 for one in found]
    told = [naive(rule, one) for one in found]
    alone = [matches(rule, one, NAMES) for one in found]
    together = set(matching(rule, table_of(found, NAMES)).tolist())
    for at, close in enumerate(near):
        if not close:
            assert alone[at] == told[at]
        assert (at in together) == alone[at]
