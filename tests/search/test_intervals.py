from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.search.engine import EmbeddedSearch
from lib.search.hierarchies import SelectionError
from lib.search.intervals import (
    Interval,
    filter_of,
    intervals_text,
    read_intervals,
    with_interval,
)
from lib.search.model import Attribute, AttributeType, Document, SearchRequest
from tests.search.segments_for_tests import index_of

KNOWN = {
    "size": Attribute("size", AttributeType.LONG, 5),
    "day": Attribute("day", AttributeType.DATE, 5),
    "name": Attribute("name", AttributeType.STRING, 5),
}

FIRST_MOMENT = datetime(2024, 1, 1, tzinfo=UTC)


@st.composite
def intervals_of(draw: st.DrawFn, name: str) -> Interval:
    bounds: st.SearchStrategy[Any]
    bounds = st.integers(-(2**63), 2**63 - 1) if name == "size" else st.dates()
    bound: Any = [draw(bounds), draw(bounds)]
    low, high = sorted(bound)
    left_out = draw(st.sampled_from(["low", "high", "none"]))
    return Interval(name, None if left_out == "low" else low, None if left_out == "high" else high)


@given(st.lists(intervals_of("size"), max_size=1), st.lists(intervals_of("day"), max_size=1))
def test_what_is_written_is_read(sizes: list[Interval], dates: list[Interval]) -> None:
    intervals = (*sizes, *dates)
    assert read_intervals(intervals_text(intervals), KNOWN) == intervals


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("size", "two whole numbers"),
        ("size:5", "two whole numbers"),
        ("size:..", "two whole numbers"),
        ("size:a..b", "two whole numbers"),
        ("size:2024-01-01..", "two whole numbers"),
        ("day:3..4", "two days"),
        ("day:2024-02-30..", "two days"),
        ("size:9..1", "ends before it begins"),
        ("day:2024-01-02..2024-01-01", "ends before it begins"),
        ("size:1..2;size:3..4", "one range"),
        ("name:a..b", "holds strings"),
        ("other:1..2", "no attribute “other”"),
    ],
)
def test_what_is_no_range_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(SelectionError, match=sentence):
        read_intervals(text, KNOWN)


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 5 * 86_400_000_000)),  # microseconds
        min_size=1,
        max_size=12,
    ),
    st.tuples(st.none() | st.integers(0, 9), st.none() | st.integers(0, 9)),
    st.tuples(st.none() | st.integers(1, 6), st.none() | st.integers(1, 6)),
)
def test_documents_in_every_interval_are_found(
    pairs: list[tuple[int, int]],
    sizes: tuple[int | None, int | None],
    days_of_month: tuple[int | None, int | None],
) -> None:
    drawn = [(size, FIRST_MOMENT + timedelta(microseconds=after)) for size, after in pairs]
    documents = [
        Document(str(number), "", "", attributes={"size": size, "day": moment})
        for number, (size, moment) in enumerate(drawn)
    ]
    first, last = (date(2024, 1, day) if day else None for day in days_of_month)
    intervals = [
        one
        for one in (Interval("size", *sizes), Interval("day", first, last))
        if (one.low, one.high) != (None, None)
    ]
    found = EmbeddedSearch(index_of(documents)).query(
        SearchRequest(filter=filter_of(intervals), page_size=20)
    )
    expected = {
        str(number)
        for number, (size, moment) in enumerate(drawn)
        if (sizes[0] is None or size >= sizes[0])
        and (sizes[1] is None or size <= sizes[1])
        and (first is None or moment.date() >= first)
        and (last is None or moment.date() <= last)
    }
    assert {hit.id for hit in found.hits} == expected


def test_the_last_day_there_is_has_an_end() -> None:
    assert Interval("day", None, date.max).range.high is None
    assert Interval("day", date.max - timedelta(1), date.max - timedelta(1)).range.high is not None


def test_an_attribute_has_one_interval() -> None:
    first, other = Interval("size", 1, 2), Interval("day", date(2024, 1, 1))
    assert with_interval((first, other), Interval("size", 3)) == (other, Interval("size", 3))
    assert with_interval((first, other), Interval("size")) == (other,)
