from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.summarize.dates import blank, find_dates, lowered
from tests.summarize.strategies import anything


def parts(sentence: str) -> list[tuple[int | None, int | None, int | None]]:
    return [(date.day, date.month, date.year) for date in find_dates(sentence)]


@pytest.mark.parametrize(
    "written",
    [
        "3 May 2024",
        "03 May 2024",
        "3rd May 2024",
        "3rd of May, 2024",
        "May 3, 2024",
        "May 3rd 2024",
        "May 3 , 2024",
        "may 3, 2024",
        "2024-05-03",
        "3. Mai 2024",
        "3 mai 2024",
        "3 de mayo de 2024",
    ],
)
def test_a_date_is_one_however_it_is_written(written: str) -> None:
    assert parts(f"It was on {written} that it began.") == [(3, 5, 2024)]


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("On 3/5/2024 or later", [(3, 5, 2024), (5, 3, 2024)]),
        ("On 13.5.2024 or later", [(13, 5, 2024)]),
        ("On 3/5/24 or later", [(3, 5, 2024), (5, 3, 2024)]),
        ("On 3/5/98 or later", [(3, 5, 1998), (5, 3, 1998)]),
        ("It opened in May 2024.", [(None, 5, 2024)]),
        ("It opened in May, 2024.", [(None, 5, 2024)]),
        ("It opened in September.", [(None, 9, None)]),
        ("It opened in sept. 2020.", [(None, 9, 2020)]),
        ("It opened on May 3.", [(3, 5, None)]),
        ("It opened in May.", [(None, 5, None)]),
        ("It may open.", []),
        ("May I open it?", []),
        ("They march on.", []),
        ("It lost 32/13/2024 and 99-99-99.", []),
        ("At 5 per cent in May.", [(None, 5, None)]),
        ("May 5% of them", []),
        ("In the fıfth of auguſt", []),
        ("", []),
    ],
)
def test_known_dates(sentence: str, found: list[tuple[int | None, int | None, int | None]]) -> None:
    assert parts(sentence) == found


def test_weekdays_are_found_in_any_case() -> None:
    assert [date.weekday for date in find_dates("On Monday, or on sundays.")] == [0, 6]


@given(anything)
def test_spans_are_in_order_and_within_the_sentence(sentence: str) -> None:
    for date in find_dates(sentence):
        assert 0 <= date.start < date.end <= len(sentence)


@given(st.text())
def test_lowering_and_blanking_keep_the_length(text: str) -> None:
    assert len(lowered(text)) == len(text)
    dates = find_dates(text)
    assert len(blank(text, dates)) == len(text)
    assert not find_dates(blank(text, dates))
