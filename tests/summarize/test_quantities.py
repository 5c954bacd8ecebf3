from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.summarize.quantities import PERCENT, TIME, Rounding, find_quantities
from tests.summarize.strategies import anything


def read(sentence: str) -> list[tuple[float, str | None]]:
    """Return the first reading of each quantity."""
    return [(each.values[0].number, each.values[0].unit) for each in find_quantities(sentence)]


def readings(sentence: str) -> set[tuple[float, str | None]]:
    return {
        (value.number, value.unit) for each in find_quantities(sentence) for value in each.values
    }


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1000", 1000),
        ("1,000", 1000),
        ("1 , 000", 1000),
        ("1, 000", 1000),
        ("1 000", 1000),
        ("1\u00a0000", 1000),
        ("1\u202f000", 1000),
        ("1'000", 1000),
        ("a thousand", 1000),
        ("one thousand", 1000),
        ("10 hundred", 1000),
        ("1k", 1000),
        ("12,345,678", 12_345_678),
        ("12 345 678", 12_345_678),
        ("12.345.678", 12_345_678),
        ("1,00,000", 100_000),
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("1 , 234 . 5", 1234.5),
        ("4.5", 4.5),
        ("4·5", 4.5),
        ("4 . 5", 4.5),
        ("4. 5", 4.5),
        ("4,5", 4.5),
        ("4.5 million", 4_500_000),
        ("4.5-million", 4_500_000),
        ("4.5m", 4_500_000),
        ("4.5mn", 4_500_000),
        ("4.5 Mio.", 4_500_000),
        ("four and", 4),
        ("4.5bn", 4.5e9),
        ("4.5 Mrd.", 4.5e9),
        ("4.5 milliards", 4.5e9),
        ("4.5 trillion", 4.5e12),
        ("seven", 7),
        ("Seven", 7),
        ("seventeen", 17),
        ("twenty-five", 25),
        ("twenty - five", 25),
        ("twenty five", 25),
        ("TWENTY-FIVE", 25),
        ("two hundred", 200),
        ("two hundred and six", 206),
        ("two hundred and six thousand", 206_000),
        ("three million two hundred thousand", 3_200_000),
        ("half a", 0.5),
        ("two-thirds", 2 / 3),
        ("two thirds", 2 / 3),
        ("a quarter of", 0.25),
        ("three quarters", 0.75),
        ("3/4", 0.75),
        ("¾", 0.75),
        ("2½", 2.5),
        ("two and a half", 2.5),
        ("a dozen", 12),
        ("two dozen", 24),
        ("21st", 21),
        ("twenty-first", 21),
        ("the fifth", 5),
        ("third quarter", 3),
        ("the 1980s", 1980),
        ("the 1980's", 1980),
        ("hundreds", 100),
        ("tens of thousands", 10_000),
        ("٣", 3),
    ],
)
def test_a_number_is_one_however_it_is_written(written: str, number: float) -> None:
    [(found, unit)] = read(f"It was {written} there.")
    assert found == pytest.approx(number, rel=1e-9)
    assert unit is None


@pytest.mark.parametrize(
    ("written", "number", "unit"),
    [
        ("$4.5m", 4_500_000, "$"),
        ("$ 4.5 million", 4_500_000, "$"),
        ("US$4.5 million", 4_500_000, "$"),
        ("4,500,000 dollars", 4_500_000, "$"),
        ("four million dollars", 4_000_000, "$"),
        ("USD 4.5m", 4_500_000, "$"),
        ("£4.5m", 4_500_000, "£"),
        ("4.5 Mio. Euro", 4_500_000, "€"),
        ("4,50 €", 4.5, "€"),
        ("4.5%", 4.5, PERCENT),
        ("4.5 %", 4.5, PERCENT),
        ("4.5 percent", 4.5, PERCENT),
        ("4.5 per cent", 4.5, PERCENT),
        ("4.5-percent", 4.5, PERCENT),
        ("4,5 Prozent", 4.5, PERCENT),
        ("4,5 pour cent", 4.5, PERCENT),
        ("4,5 por ciento", 4.5, PERCENT),
        ("five percent", 5, PERCENT),
        ("5 percentage points", 5, PERCENT),
        ("10:30", 630, TIME),
        ("10.30am", 630, TIME),
        ("10:30 p.m.", 1350, TIME),
        ("10pm", 1320, TIME),
        ("21:45", 1305, TIME),
    ],
)
def test_units_are_read(written: str, number: float, unit: str) -> None:
    assert read(f"It was {written} there.") == [(number, unit)]


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("28-24", [28, 24]),
        ("28 - 24", [28, 24]),
        ("between 14 and 16", [14, 16]),
        ("five and six", [5, 6]),
        ("the second one thousand", [2, 1000]),
        ("iPhone6 and B2B", []),
        ("on 3 May 2024 and 7 others", [7]),
        ("often, someone, phone, tenth", [10]),
        ("1/0 and 24:70", [1, 0, 24, 70]),
        ("增长了4.5%，达到300万", [4.5, 300]),
        ("x", []),
    ],
)
def test_known_sentences(sentence: str, found: list[float]) -> None:
    assert [number for number, _ in read(sentence)] == found


def test_both_ends_of_a_range_have_the_scale_and_the_unit() -> None:
    assert (5e6, "$") in readings("$5-6 million")
    assert (6e6, "$") in readings("$5-6 million")
    assert (5e6, None) in readings("5 to 6 million")
    assert (14, PERCENT) in readings("14 to 16 percent")
    assert (2015, None) in readings("in 2014-15")


def test_a_time_without_its_half_of_the_day_may_be_either() -> None:
    assert readings("at 9:45") == {(585, TIME), (1305, TIME)}
    assert readings("at 9pm") == {(1260, TIME), (9, None)}


def test_a_number_may_be_several_side_by_side() -> None:
    assert [part.number for part in find_quantities("rows 15 100")[0].parts] == [15, 100]
    assert [part.number for part in find_quantities("pages 3,4")[0].parts] == [3, 4]
    assert find_quantities("1,000")[0].parts == ()


@pytest.mark.parametrize("written", ["one of them", "both", "a couple", "twice", "1 of them"])
def test_what_other_words_say_too_tells_nothing(written: str) -> None:
    assert not any(quantity.telling for quantity in find_quantities(written))


def test_one_with_a_unit_tells() -> None:
    assert find_quantities("1 %")[0].telling
    assert find_quantities("one percent")[0].telling


@pytest.mark.parametrize(
    ("sentence", "rounding", "low", "high"),
    [
        ("3,000 people", Rounding.EXACT, 3000, 3000),
        ("about 3,000 people", Rounding.ABOUT, 2500, 3500),
        ("Some 3,000 people", Rounding.ABOUT, 2500, 3500),
        ("about $3.2 million", Rounding.ABOUT, 3_150_000, 3_250_000),
        ("more than 3,000 people", Rounding.OVER, 3000, 4000),
        ("over a thousand people", Rounding.OVER, 1000, 2000),
        ("3,000+ people", Rounding.OVER, 3000, 4000),
        ("nearly 3,000 people", Rounding.UNDER, 2000, 3000),
        ("up to 2,500 people", Rounding.UNDER, 2400, 2500),
        ("30 or so people", Rounding.ABOUT, 25, 35),
        ("thousands of people", Rounding.EXACT, 1000, 1_000_000),
        ("the 1980s", Rounding.EXACT, 1980, 1989.9),
    ],
)
def test_a_rounded_number_has_the_precision_of_its_last_digit(
    sentence: str, rounding: Rounding, low: float, high: float
) -> None:
    quantity = find_quantities(sentence)[0]
    assert quantity.rounding is rounding
    assert next(quantity.ranges())[:2] == pytest.approx((low, high))


@given(st.integers(1, 10**12), st.sampled_from(["{}", "{:,}", "${:,}", "{} percent", "{:_}"]))
def test_an_integer_is_read_back(number: int, form: str) -> None:
    written = form.format(number).replace("_", "\u00a0")
    [quantity] = find_quantities(f"It was {written}.")
    assert quantity.values[0].number == pytest.approx(number, rel=1e-11)
    assert f"It was {written}."[quantity.start : quantity.end] == written


@given(st.one_of(anything, st.text(alphabet="0123456789.,:/- $%½stndhmpa", max_size=60)))
def test_spans_are_in_order_and_apart(sentence: str) -> None:
    end = 0
    for quantity in find_quantities(sentence):
        assert end <= quantity.start < quantity.end <= len(sentence)
        assert quantity.values
        end = quantity.end


@pytest.mark.parametrize("unit", ["1", "1 ", "1,", "1.", "one ", "1/2 ", "5 May ", "about ", "$ "])
def test_endless_input_ends(unit: str) -> None:
    # Quadratic time would make this test hang.
    assert len(find_quantities(f"7 {unit * (100_000 // len(unit))} end")) >= 1
