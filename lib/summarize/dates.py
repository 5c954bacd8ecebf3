"""Dates in a sentence, in one form however they are written.

"3 May 2024", "May 3, 2024" and "2024-05-03" are one date. Months are read in English, German,
French and Spanish, weekdays in English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol


class Span(Protocol):
    """Something at characters `[start, end)` of a sentence."""

    @property
    def start(self) -> int:
        """Return the first character."""
        ...

    @property
    def end(self) -> int:
        """Return the character behind the last."""
        ...


@dataclass(frozen=True)
class Date:
    """A date at characters `[start, end)`, as far as it is told; weekdays count from Monday, 0."""

    start: int
    end: int
    day: int | None = None
    month: int | None = None
    year: int | None = None
    weekday: int | None = None


_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar jänner janvier enero",
            "february feb februar février febrero",
            "march mar märz mars marzo",
            "april apr avril abril",
            "may mai mayo",
            "june jun juni juin junio",
            "july jul juli juillet julio",
            "august aug août agosto",
            "september sept sep septembre septiembre",
            "october oct oktober octobre octubre",
            "november nov novembre noviembre",
            "december dec dezember décembre diciembre",
        ),
        1,
    )
    for name in names.split()
}
_WEEKDAYS = {
    day: number
    for number, day in enumerate(
        ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    )
}


def any_of(words: Iterable[str]) -> str:
    """Return the alternatives of a pattern, longest first."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


_MONTH = rf"(?P<month>{any_of(_MONTHS)})\b(?:\.(?=\s))?"
_DAY = r"(?<![\d.,:])(?P<day>[0-3]?\d)(?:\s?(?:st|nd|rd|th|er|º)\b|\.(?=\s))?"
_YEAR = r"(?P<year>[12]\d{3})(?!\d|[.,]\d)"
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<!\d)(?P<year>[12]\d{3})-(?P<month>[01]?\d)-(?P<day>[0-3]?\d)(?!\d)",
        (
            r"(?<!\d)(?P<first>[0-3]?\d)(?P<sep>[/.-])(?P<second>[0-3]?\d)(?P=sep)"
            r"(?P<year>[12]\d{3}|\d\d)(?![\d/-])"
        ),
        rf"{_DAY}\s+(?:(?:of|de|del)\s+)?\b{_MONTH}(?:,?\s+(?:de\s+|del\s+)?{_YEAR})?",
        rf"\b{_MONTH}\s+(?:the\s+)?{_DAY}(?!\d|[.,:]\d|\s?(?:am|pm|%|per\b))(?:\s?,?\s+{_YEAR})?",
        rf"\b{_MONTH}(?:\s?,)?\s+(?:of\s+|de\s+)?{_YEAR}",
    )
)
_MONTH_ALONE = re.compile(
    r"\b(?:january|february|march|april|may|june|july|august|september|october|november|december)\b"
)
_VERBS = {"may", "march"}  # unless they have a capital that no sentence gave them
_WEEKDAY = re.compile(rf"\b({any_of(_WEEKDAYS)})s?\b")


def find_dates(sentence: str) -> list[Date]:
    """Return the dates of a sentence, in order; a date in figures only may be two (1/2/2024)."""
    rest = lowered(sentence)
    found: list[Date] = []
    for pattern in _DATES:
        dates = [date for match in pattern.finditer(rest) for date in _dates(match)]
        found += dates
        rest = blank(rest, dates)
    for match in _MONTH_ALONE.finditer(rest):
        if match[0] not in _VERBS or (match.start() and sentence[match.start()].isupper()):
            found.append(Date(*match.span(), month=_MONTHS[match[0]]))
    for match in _WEEKDAY.finditer(rest):
        found.append(Date(*match.span(), weekday=_WEEKDAYS[match[1]]))
    return sorted(found, key=lambda date: date.start)


def _dates(match: re.Match[str]) -> Iterator[Date]:
    groups = match.groupdict()
    year = _year(groups["year"]) if groups.get("year") else None
    if "first" in groups:
        first, second = int(groups["first"]), int(groups["second"])
        orders = dict.fromkeys(((first, second), (second, first)))
        yield from (Date(*match.span(), *each, year) for each in orders if _is_date(*each))
        return
    named = _MONTHS.get(groups["month"]) or int(groups["month"])
    day = int(groups["day"]) if groups.get("day") else None
    if _is_date(day or 1, named):
        yield Date(*match.span(), day, named, year)


def _year(digits: str) -> int:
    """Return a year; of two digits those from 1950 to 2049."""
    year = int(digits)
    if len(digits) > 2:  # noqa: PLR2004 a year in full
        return year
    return year + (1900 if year >= 50 else 2000)  # noqa: PLR2004 the middle of a century


def _is_date(day: int, month: int) -> bool:
    return 1 <= day <= 31 and 1 <= month <= 12  # noqa: PLR2004 of a month, of a year


def lowered(text: str) -> str:
    """Return the text in lower case, character by character: its spans stay the same."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def blank(text: str, spans: Iterable[Span]) -> str:
    """Return the text with the spans, in order, filled with NUL: no pattern finds them again."""
    pieces, end = [], 0
    for span in spans:
        if span.start >= end:
            pieces += [text[end : span.start], "\0" * (span.end - span.start)]
            end = span.end
    return "".join([*pieces, text[end:]])
