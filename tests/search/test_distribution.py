from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.search.distribution import LONGEST, MOST_BUCKETS, distribution
from lib.search.engine import EmbeddedSearch
from lib.search.model import (
    Attribute,
    AttributeType,
    Document,
    FacetRequest,
    QueryError,
    SearchRequest,
)
from tests.search.segments_for_tests import index_of

SIZE = Attribute("size", AttributeType.LONG, 0)
DAY = Attribute("day", AttributeType.DATE, 0)


def numbered(*sizes: int) -> EmbeddedSearch:
    return EmbeddedSearch(
        index_of(
            [Document(str(n), "", "word", attributes={"size": s}) for n, s in enumerate(sizes)]
        )
    )


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=8))
def test_numbers_get_few_nice_steps_that_hold_all_of_them(sizes: list[int]) -> None:
    buckets = distribution(numbered(*sizes), SearchRequest(), SIZE).buckets
    assert len(buckets) <= MOST_BUCKETS + 2
    assert sum(bucket.count for bucket in buckets) == len(sizes)
    [step] = {int(bucket.high) - int(bucket.low) for bucket in buckets}  # type: ignore[arg-type]  # numbers
    assert str(step).rstrip("0") in {"1", "2", "5"}
    if max(sizes) - min(sizes) > MOST_BUCKETS:
        assert len(buckets) > MOST_BUCKETS / 5


def test_steps_that_call_for_each_other_come_to_an_end() -> None:
    # In steps of 50 they fill 40 buckets of 20, and in steps of 20 one too many.
    buckets = distribution(numbered(50, 849), SearchRequest(), SIZE).buckets
    assert (buckets[0].low, buckets[0].high, buckets[-1].high) == (40, 60, 860)


def test_each_year_has_a_bar() -> None:
    buckets = distribution(numbered(2006, 2020, 2020, 2026), SearchRequest(), SIZE).buckets
    assert [(b.low, b.count) for b in buckets if b.count] == [(2006, 1), (2020, 2), (2026, 1)]
    assert len(buckets) == 21


@pytest.mark.parametrize(
    ("days", "unit"),
    [
        (0, "day"),
        (20, "day"),
        (250, "week"),
        (900, "month"),
        (3_000, "quarter"),
        (20_000, "year"),
    ],
)
def test_dates_get_the_finest_unit_with_few_bars(days: int, unit: str) -> None:
    start = datetime(2001, 1, 1, tzinfo=UTC)
    documents = [
        Document(str(n), "", "", attributes={"day": start + timedelta(n)}) for n in (0, days)
    ]
    buckets = distribution(EmbeddedSearch(index_of(documents)), SearchRequest(), DAY).buckets
    first = buckets[0].high - buckets[0].low  # type: ignore[operator]  # moments
    assert isinstance(first, timedelta)
    assert LONGEST[unit] - 3 <= first.days <= LONGEST[unit]
    assert sum(bucket.count for bucket in buckets) == 2


def test_a_chosen_unit_is_kept_and_too_many_bars_are_refused() -> None:
    start = datetime(1950, 1, 1, tzinfo=UTC)
    documents = [
        Document(str(n), "", "", attributes={"day": start + timedelta(n)}) for n in (0, 20_000)
    ]
    engine = EmbeddedSearch(index_of(documents))
    assert len(distribution(engine, SearchRequest(), DAY, "month").buckets) == 658
    with pytest.raises(QueryError, match="larger step or unit"):
        distribution(engine, SearchRequest(), DAY, "day")


def test_what_is_selected_is_counted_and_nothing_is_no_bars() -> None:
    documents = [
        Document(str(n), "", "", attributes={"size": n, "tech": "AB"[n % 2]}) for n in range(6)
    ]
    engine = EmbeddedSearch(index_of(documents))
    request = SearchRequest(facets=(FacetRequest(("tech",), (("A",),)), FacetRequest(("size",))))
    found = distribution(engine, request, SIZE)
    assert {b.low: b.count for b in found.buckets if b.count} == {0: 1, 2: 1, 4: 1}
    assert distribution(engine, SearchRequest("nowhere"), SIZE).buckets == ()
