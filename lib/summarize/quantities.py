"""Numbers and times of day in a sentence, in one form however they are written.

"$ 4.5 million", "$4.5m" and "4,500,000 dollars" are one amount. Number words are read in English;
digits and units in German, French and Spanish too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from lib.summarize.dates import any_of, blank, find_dates, lowered
from lib.summarize.terms import UNSPACED

PERCENT = "%"
TIME = "time of day"  # in minutes since midnight
_SIGNIFICANT = ".12g"  # digits; what products of floats leave beyond them is no difference


class Rounding(StrEnum):
    """What the words around a number say of its precision."""

    EXACT = "exact"
    ABOUT = "about"
    OVER = "over"
    UNDER = "under"


@dataclass(frozen=True)
class Value:
    """A number with its unit: percent, a currency, the time of day, or none."""

    number: float
    unit: str | None = None


@dataclass(frozen=True)
class Quantity:
    """A number as it stands at characters `[start, end)`: its possible values, most often one.

    Where it may as well be several numbers side by side ("15 100"), those are the `parts`. A
    quantity that is not `telling` ("one", "both") says something of a source and nothing of a
    summary: many other words say the same. `reach` is how far above its value it extends
    ("thousands", "the 1980s"), `scale` what its digits were multiplied by.
    """

    start: int
    end: int
    values: tuple[Value, ...]
    parts: tuple[Value, ...] = ()
    rounding: Rounding = Rounding.EXACT
    telling: bool = True
    reach: float = 0
    scale: float = 1

    def ranges(self) -> Iterator[tuple[float, float, str | None]]:
        """Yield lowest and highest number, and the unit, that a source may state for this one.

        A rounded number has the precision of its last digit that is not zero: "about 3,000" stands
        for 2,500 to 3,500, "over 3,000" for 3,000 to 4,000, "nearly 3,000" for 2,000 to 3,000.
        """
        for value in self.values:
            number, step = value.number, _last_place(value.number)
            low, high = {
                Rounding.EXACT: (number, number + self.reach),
                Rounding.ABOUT: (number - step / 2, number + step / 2),
                Rounding.OVER: (number, number + step),
                Rounding.UNDER: (number - step, number),
            }[self.rounding]
            yield low, high, value.unit


_UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = dict(
    zip(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"],
        range(20, 100, 10),
        strict=True,
    )
)
_ORDINALS = [
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
]
_SMALL = (
    {word: number for number, word in enumerate(_UNITS)}
    | {word: number for number, word in enumerate(_ORDINALS)}
    | _TENS
    | {f"{word[:-1]}ieth": number for word, number in _TENS.items()}
)
_LARGE = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_LARGE_WORDS = _LARGE | {f"{word}th": number for word, number in _LARGE.items()} | {"dozen": 12.0}
_MANY = {"tens": 10.0, "dozens": 12.0} | {f"{word}s": number for word, number in _LARGE.items()}
_SCALES = _LARGE | {
    "k": 1e3,
    "tsd": 1e3,
    "lakh": 1e5,
    "m": 1e6,
    "mn": 1e6,
    "mln": 1e6,
    "mio": 1e6,
    "millionen": 1e6,
    "millions": 1e6,
    "millón": 1e6,
    "millones": 1e6,
    "crore": 1e7,
    "b": 1e9,
    "bn": 1e9,
    "bln": 1e9,
    "mrd": 1e9,
    "milliarde": 1e9,
    "milliarden": 1e9,
    "milliard": 1e9,
    "milliards": 1e9,
    "t": 1e12,
    "tn": 1e12,
    "trn": 1e12,
    "dozen": 12.0,
}
_LETTER_SCALES = {"k", "m", "b", "t"}  # metres and tonnes as well
_COLLECTIVES = {
    **dict.fromkeys(("both", "couple", "pair", "pairs", "twin", "twins", "twice", "double"), 2),
    **dict.fromkeys(("duo", "brace", "doubled", "doubles"), 2),
    **dict.fromkeys(("trio", "triple", "tripled", "treble", "thrice", "hat-trick", "triplets"), 3),
    **dict.fromkeys(("quartet", "quadruple", "quadruplets"), 4),
}
_FRACTIONS = {
    "half": 1 / 2,
    "halves": 1 / 2,
    "third": 1 / 3,
    "quarter": 1 / 4,
    "fifth": 1 / 5,
    "sixth": 1 / 6,
    "seventh": 1 / 7,
    "eighth": 1 / 8,
    "ninth": 1 / 9,
    "tenth": 1 / 10,
}
_SIGNS = {"½": 1 / 2, "⅓": 1 / 3, "⅔": 2 / 3, "¼": 1 / 4, "¾": 3 / 4}
_CURRENCIES = {
    "$": "$",
    "dollar": "$",
    "dollars": "$",
    "usd": "$",
    "£": "£",
    "gbp": "£",
    "sterling": "£",
    "€": "€",
    "euro": "€",
    "euros": "€",
    "eur": "€",
    "¥": "¥",
    "yen": "¥",
    "₹": "₹",
    "rupee": "₹",
    "rupees": "₹",
    "chf": "CHF",
}


_HALF_DAY = r"(?P<half>[ap])(?:\.\s?m\b\.?|\s?m\b)"
_TIMES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<![\d.,:])(?P<hour>[012]?\d)[:.](?P<minute>[0-5]\d)\s?{_HALF_DAY}",
        r"(?<![\d.,:])(?P<hour>[012]?\d):(?P<minute>[0-5]\d)(?::[0-5]\d)?(?![\d:])",
        rf"(?<![\d.,:])(?P<hour>[01]?\d)\s?{_HALF_DAY}",
    )
)
_DECADE = re.compile(r"(?<![\d.,])(?P<digits>(?:1\d|20)?\d0)\s?['’]?s\b")
_DIGITS = r"\d+(?:(?:[.,'’·\u00a0\u202f\u2009]|[ ]?[,.][ ]|[ ])\d+)*"
_HUNDREDTHS = {
    "cent": ("$", "€"),
    "cents": ("$", "€"),
    "pence": ("£",),
    "p": ("£",),
}
_UNIT = (
    r"(?P<unit>%|％|٪|per\s?cent\b|percentage\spoints?\b|pct\b|prozent\b|pour\scent\b|por\sciento\b"
    r"|cents?\b|pence\b|(?<=\d)p\b"
    rf"|[$£€¥₹]|(?:u\.?s\.?\s)?(?:{any_of([c for c in _CURRENCIES if c.isalpha()])})\b)"
)
_BEFORE = r"(?P<before>[$£€¥₹]|\b(?:usd|eur|gbp|chf)\b)"
_SCALE = rf"(?P<scale>(?:{any_of(_SCALES)})(?![^\W\d_]))(?:\.(?=\s))?"
_NUMBER = re.compile(
    rf"(?:{_BEFORE}\s?)?(?<![^\W_{UNSPACED}])(?P<digits>{_DIGITS})(?P<ordinal>(?:st|nd|rd|th)\b)?"
    rf"(?:[\s-]?{_SCALE})?(?:[\s-]?{_UNIT})?",
)
_WORD = rf"(?:{any_of(_SMALL)}|{any_of(_LARGE_WORDS)})"
_WORD_NUMBER = re.compile(
    rf"\b(?P<words>{_WORD}(?:(?:\s?-\s?|\s+)(?:and\s+)?{_WORD})*)\b(?:[\s-]?{_UNIT})?",
)
_PLURAL = re.compile(
    r"\b(?:(?P<times>tens|dozens|hundreds|thousands)\s+of\s+)?"
    r"(?P<word>tens|dozens|hundreds|thousands|millions|billions|trillions|twenties|thirties"
    r"|forties|fifties|sixties|seventies|eighties|nineties)\b",
)
_PARTS_OF = rf"(?:{any_of([*_UNITS[1:10], 'a', 'an'])})|[1-9]"  # "two-thirds", "a quarter"
_FRACTION = re.compile(
    rf"\b(?:(?P<count>{_PARTS_OF})[\s-]+(?:and\s+a\s+)?)?(?P<part>half|halves)\b"
    rf"|\b(?P<counted>{_PARTS_OF})[\s-]+(?P<named>third|quarter|fifth|sixth|seventh|eighth|ninth|tenth)"
    r"(?P<plural>s)?\b(?!\s+(?:of\s+)?(?:the\s+)?(?:quarter|time|place|day))"
    r"|(?<![\d/])(?P<top>\d{1,2})/(?P<bottom>\d{1,2})(?![\d/])"
    r"|(?P<whole>\d{1,9})?\s?(?P<sign>[½⅓⅔¼¾])",
)
_COLLECTIVE = re.compile(rf"\b(?:{any_of(_COLLECTIVES)})\b")
_ROUNDED = re.compile(
    r"(?P<about>\b(?:about|around|approximately|approx\.?|roughly|some|circa|ca\.?|c\.|estimated"
    r"|close to|in the region of|or so|rund|etwa|ungefähr|environ|unos|unas|aproximadamente)"
    r"|[~≈])"
    r"|(?P<over>\b(?:more than|over|at least|above|exceeding|upwards of|in excess of|mehr als|über"
    r"|plus de|más de))"
    r"|(?P<under>\b(?:nearly|almost|up to|under|less than|fewer than|below|just short of|as many as"
    r"|as much as|close to|approaching|fast|knapp|weniger als|presque|moins de|casi|menos de))",
)
_ROUNDED_BEFORE = re.compile(rf"(?:{_ROUNDED.pattern})\s?(?:a\s|an\s|the\s)?$")
_ROUNDED_AFTER = re.compile(r"\s?(?:\+|or so\b|or more\b|-?\s?odd\b|-ish\b)")
_LONGEST_ROUNDING = 24  # characters before a number that can hold a rounding word
_DECADE_YEARS = 9.9
_JOINER = re.compile(r"\s?(?:-|–|—|to|and|or|bis|und|à|a|y)\s?")
_MAYBE_NUMBER = re.compile(
    rf"\d|[½⅓⅔¼¾]|\b(?:{any_of([*_SMALL, *_LARGE_WORDS, *_COLLECTIVES])}"
    r"|half|halves|quarter|tens|(?:twent|thirt|fort|fift|sixt|sevent|eight|ninet)ies)"
)


def rounded_to(quantity: Quantity) -> Quantity:
    """Return the quantity as one that may be rounded, if its digits are more than one."""
    digits = f"{quantity.values[0].number:.11e}".split("e")[0].rstrip("0")
    if quantity.rounding is not Rounding.EXACT or quantity.reach or digits.endswith("."):
        return quantity
    return replace(quantity, rounding=Rounding.ABOUT)


def find_quantities(sentence: str) -> list[Quantity]:
    """Return the numbers and times of day of a sentence, in order, without those of its dates."""
    lower = lowered(sentence)
    if not _MAYBE_NUMBER.search(lower):
        return []
    rest = blank(lower, find_dates(sentence))
    found: list[Quantity] = []
    for pattern, read in _READERS:
        quantities = [quantity for match in pattern.finditer(rest) for quantity in read(match)]
        found += quantities
        rest = blank(rest, quantities)
    found.sort(key=lambda quantity: quantity.start)
    return [_rounded(lower, each) for each in _ranges(lower, found)]


def _last_place(number: float) -> float:
    """Return the place value of the last digit that is not zero: 100 for 2,500, 0.1 for 4.5."""
    if number == 0 or not math.isfinite(number):
        return 0.0
    digits, exponent = f"{abs(number):.11e}".split("e")
    return float(10.0 ** (int(exponent) - len(digits.replace(".", "").rstrip("0")) + 1))


def _value(number: float, unit: str | None = None) -> Value:
    return Value(float(format(number, _SIGNIFICANT)), unit)


def _time(match: re.Match[str]) -> Iterator[Quantity]:
    groups = match.groupdict()
    hour, minute = int(groups["hour"]), int(groups.get("minute") or 0)
    half = groups.get("half")
    if hour >= 24:  # noqa: PLR2004 hours of a day
        return
    hours = [hour] if hour > 12 or hour == 0 else [hour % 12, hour % 12 + 12]  # noqa: PLR2004 noon
    if half and len(hours) > 1:
        hours = hours[half == "p" :][:1]
    values = tuple(Value(60.0 * each + minute, TIME) for each in hours)
    yield Quantity(*match.span(), values if minute else (*values, Value(float(hour))))


def _decade(match: re.Match[str]) -> Iterator[Quantity]:
    year = int(match["digits"])
    years = [year] if year >= 1000 else [year, 1900 + year]  # noqa: PLR2004 a year in full
    yield Quantity(*match.span(), tuple(map(_value, years)), reach=_DECADE_YEARS)


def _plural(match: re.Match[str]) -> Iterator[Quantity]:
    word = match["word"]
    if word.endswith("ies"):
        year = _TENS[f"{word[:-3]}y"]
        yield Quantity(*match.span(), (_value(year), _value(1900 + year)), reach=_DECADE_YEARS)
    else:
        number = _MANY[word] * _MANY.get(match["times"] or "", 1)
        yield Quantity(*match.span(), (_value(number),), reach=999 * number)


def _collective(match: re.Match[str]) -> Iterator[Quantity]:
    yield Quantity(*match.span(), (_value(_COLLECTIVES[match[0]]),), telling=False)


def _fraction(match: re.Match[str]) -> Iterator[Quantity]:
    groups = match.groupdict()
    if groups["sign"]:
        number = int(groups["whole"] or 0) + _SIGNS[groups["sign"]]
    elif groups["top"]:
        if not int(groups["bottom"]):
            return
        number = int(groups["top"]) / int(groups["bottom"])
    elif groups["part"]:
        count = _count(groups["count"])
        mixed = " and a " in match[0]
        number = count + 0.5 if mixed else 0.5
    else:
        count = _count(groups["counted"])
        if (count > 1) != bool(groups["plural"]) or groups["counted"].isdigit():
            return
        number = count * _FRACTIONS[groups["named"]]
        rank = _SMALL.get(groups["named"])
        if count == 1 and rank:  # "a third" may be the third of several
            yield Quantity(
                *match.span(), (_value(number), _value(100 * number, PERCENT), _value(rank))
            )
            return
    parts: tuple[Value, ...] = ()
    if groups["top"]:
        parts = (_value(int(groups["top"])), _value(int(groups["bottom"])))
    yield Quantity(*match.span(), (_value(number), _value(100 * number, PERCENT)), parts)


def _count(word: str | None) -> int:
    if word is None or word in {"a", "an"}:
        return 1
    return int(word) if word.isdigit() else _SMALL[word]


def _numbers(match: re.Match[str]) -> Iterator[Quantity]:
    """Yield the numbers of a run of digits; the last one has the scale and the unit."""
    numerals = list(_numerals(match["digits"]))
    before = _CURRENCIES.get(match["before"] or "")
    for place, (start, end, numbers, parts) in enumerate(numerals):
        is_first, is_last = place == 0, place == len(numerals) - 1
        unit = (before if is_first else None) or (_unit(match["unit"]) if is_last else None)
        scale = (match["scale"] or "") if is_last else ""
        scaled = [number * _SCALES.get(scale, 1) for number in numbers]
        if scale in _LETTER_SCALES and unit is None:
            scaled += numbers
        small = _HUNDREDTHS.get(match["unit"] or "", ()) if is_last else ()
        hundredths = [_value(number / 100, each) for each in small for number in scaled]
        offset = match.start("digits")
        yield Quantity(
            match.start() if is_first else offset + start,
            match.end() if is_last else offset + end,
            (*hundredths, *(_value(number, unit) for number in scaled)),
            () if scale else tuple(_value(float(part), unit) for part in parts),
            telling=scaled != [1] or unit is not None or bool(small),
            scale=_SCALES.get(scale, 1),
        )


def _unit(written: str | None) -> str | None:
    if written is None or written in _HUNDREDTHS:
        return None
    word = written.split()[-1]
    return _CURRENCIES.get(word, PERCENT)


_GROUPED = re.compile(
    r"(?P<whole>\d{1,3}(?:(?P<sep>,|'|’|\u00a0|\u202f|\u2009|[ ]?,[ ]|[ ])\d{3})(?:(?P=sep)\d{3})*"
    r"|\d{1,2}(?:,\d\d)+,\d{3})(?:(?:[.·]|[ ]?\.[ ])(?P<decimals>\d+))?"
)
_GROUPED_BY_STOPS = re.compile(r"(?P<whole>\d{1,3}(?:\.\d{3})+)(?:,(?P<decimals>\d+))?")
_DECIMAL = re.compile(r"(?P<whole>\d+)(?:[.·]|[ ]\.[ ]|(?P<gap>\.[ ]))(?P<decimals>\d+)")
_DECIMAL_COMMA = re.compile(r"(?P<whole>\d+),(?P<decimals>\d{1,2})")
_LONGEST_NUMERAL = 8  # runs of digits in one numeral


def _numerals(digits: str) -> Iterator[tuple[int, int, list[float], list[str]]]:
    """Yield start, end, possible numbers and, where it may be several numbers, those."""
    runs = [match.span() for match in re.finditer(r"\d+", digits)]
    at = 0
    while at < len(runs):
        for last in range(_furthest(runs, at), at - 1, -1):
            start, end = runs[at][0], runs[last][1]
            numbers, is_open = _numeral(digits[start:end])
            if numbers:
                parts = [digits[first:stop] for first, stop in runs[at : last + 1]]
                yield start, end, numbers, parts if is_open else []
                at = last + 1
                break


def _furthest(runs: list[tuple[int, int]], at: int) -> int:
    """Return the last run of digits that can be of one numeral: behind groups of two or three."""
    last = at
    while last + 1 < min(len(runs), at + _LONGEST_NUMERAL):
        last += 1
        if runs[last][1] - runs[last][0] not in {2, 3}:
            break
    return last


def _numeral(digits: str) -> tuple[list[float], bool]:
    """Return what a numeral can mean, nothing if it is none, and whether it may be several."""
    if digits.isdigit():
        return [float(digits)], False
    if match := _GROUPED.fullmatch(digits):
        return [_float(match)], match["sep"] in {" ", ", "}
    if match := _GROUPED_BY_STOPS.fullmatch(digits):
        numbers = [_float(match)]
        if digits.count(".") == 1 and match["decimals"] is None:
            numbers.append(float(digits))
        return numbers, False
    if match := _DECIMAL.fullmatch(digits):
        return [_float(match)], match["gap"] is not None
    if match := _DECIMAL_COMMA.fullmatch(digits):
        return [_float(match)], True
    return [], False


def _float(match: re.Match[str]) -> float:
    whole = re.sub(r"\D", "", match["whole"])
    return float(f"{whole}.{match['decimals'] or 0}")


def _word_numbers(match: re.Match[str]) -> Iterator[Quantity]:
    """Yield the numbers that words say: "twenty-five", "two hundred and six thousand"."""
    words = [each for each in re.finditer(r"[a-z]+", match["words"]) if each[0] != "and"]
    offset = match.start("words")
    unit = _unit(match["unit"])
    groups = list(_groups([each[0] for each in words]))
    for place, (first, last, number) in enumerate(groups):
        is_last = place == len(groups) - 1
        start = offset + words[first].start()
        end = match.end() if is_last else offset + words[last].end()
        value = _value(number, unit if is_last else None)
        yield Quantity(start, end, (value,), telling=number != 1 or value.unit is not None)


def _groups(words: list[str]) -> Iterator[tuple[int, int, float]]:
    """Yield first word, last word and number of each number in a run of number words."""
    first, total, group, lowest = 0, 0.0, 0.0, float("inf")
    for place, word in enumerate(words):
        small, large = _SMALL.get(word), _LARGE_WORDS.get(word)
        if small is not None:
            fits = place == first or (small < lowest and (small < 10 or lowest >= 100))  # noqa: PLR2004
            if not fits:
                yield first, place - 1, total + group
                first, total, group = place, 0.0, 0.0
            group += small
            lowest = 10 if small >= 20 and small % 10 == 0 else 0  # noqa: PLR2004 "twenty" takes a unit
        elif large is not None:
            if large == 100 or word == "dozen":  # noqa: PLR2004 hundreds
                group = (group or 1) * large
            else:
                total += (group or 1) * large
                group = 0.0
            lowest = large
    yield first, len(words) - 1, total + group


def _ranges(sentence: str, found: list[Quantity]) -> Iterator[Quantity]:
    """Yield the quantities; what stands at one end of a range may hold for the other.

    "5 to 6 million" is five million as well, "2014-15" is 2015 as well.
    """
    added: dict[int, list[Value]] = {}
    for place, (first, second) in enumerate(pairwise(found)):
        if not _JOINER.fullmatch(sentence, first.end, second.start):
            continue
        low, high = first.values[0], second.values[0]
        if first.scale < second.scale or (high.unit and not low.unit):
            scale = second.scale / first.scale
            added.setdefault(place, []).append(_value(low.number * scale, high.unit or low.unit))
        if low.unit and not high.unit:
            added.setdefault(place + 1, []).append(_value(high.number, low.unit))
        if 1000 <= low.number < 2100 and high.number < 100:  # noqa: PLR2004 a year, its short form
            century = low.number // 100 * 100
            added.setdefault(place + 1, []).append(_value(century + high.number))
    for place, quantity in enumerate(found):
        yield replace(quantity, values=(*quantity.values, *added.get(place, ())))


# Each reads what those before it left.
_READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Iterator[Quantity]]], ...] = (
    *((pattern, _time) for pattern in _TIMES),
    (_DECADE, _decade),
    (_FRACTION, _fraction),
    (_NUMBER, _numbers),
    (_PLURAL, _plural),
    (_WORD_NUMBER, _word_numbers),
    (_COLLECTIVE, _collective),
)


def _rounded(sentence: str, quantity: Quantity) -> Quantity:
    """Return the quantity with the rounding that the words beside it state."""
    if quantity.reach:
        return quantity
    before = _ROUNDED_BEFORE.search(
        sentence, max(0, quantity.start - _LONGEST_ROUNDING), quantity.start
    )
    after = _ROUNDED_AFTER.match(sentence, quantity.end)
    if before is None and after is None:
        return quantity
    kind = next(name for name, text in before.groupdict().items() if text) if before else "about"
    if after and not before and after[0].strip() in {"+", "or more"}:
        kind = "over"
    return replace(quantity, rounding=Rounding(kind))
