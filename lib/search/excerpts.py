"""Excerpts: the passage of a text that shows the query best, and which characters matched."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from lib.search.analysis import words_of
from lib.search.columns import SegmentView
from lib.search.match import forms_near
from lib.search.model import Span
from lib.search.parse import Clause, Fuzzy, Phrase, Prefix, Word

EXCERPT_CHARACTERS = 240

_CUT = "…"
_MOST_MATCHES = 400
_LONGEST_STEP = 24  # how far a cut moves to stand between words
_SPACES = str.maketrans("\t\n\v\f\r\u2028\u2029", " " * 7)

Match = tuple[int, int, int]  # start, end, number of the clause


class Highlighter:
    """The forms that a query stands for in one segment, to be found again in its texts."""

    def __init__(self, segment: SegmentView, clauses: Iterable[Clause]) -> None:
        self._clause_of: dict[str, int] = {}
        self._prefixes: list[tuple[str, int]] = []
        self._phrases: list[tuple[tuple[str, ...], int]] = []
        for number, clause in enumerate(clauses):
            match clause:
                case Word(stem=stem):
                    found = segment.stems.find(stem)
                    for form in segment.forms_of(found) if found >= 0 else ():
                        self._clause_of[segment.forms.texts.text(form)] = number
                case Fuzzy(form):
                    for near in forms_near(segment.forms, form):
                        self._clause_of[segment.forms.texts.text(near)] = number
                case Prefix(prefix):
                    self._prefixes.append((prefix, number))
                case Phrase(forms):
                    self._phrases.append((forms, number))
        self._patterns = [
            (re.compile(r"\b" + r"[^\w]+".join(map(re.escape, forms)) + r"\b"), number)
            for forms, number in self._phrases
        ]

    def highlights(self, text: str) -> tuple[Span, ...]:
        """Return what matched in a short text, as characters in order without overlaps."""
        if text.isascii():
            return _spans(self._scan(text.lower()))
        return _spans(self._read(text))

    def matches(self, text: str) -> list[Match]:
        """Return what matched in a text, in order."""
        lowered = text.lower()
        found = self._scan(lowered) if len(lowered) == len(text) else []
        return found if found or text.isascii() else self._read(text)

    def excerpt(self, text: str) -> tuple[str, tuple[Span, ...]]:
        """Return the best passage of about 240 characters, and what matched in it."""
        start, end = self._window(text)
        passage = text[start:end].translate(_SPACES)
        before, after = _CUT if start else "", _CUT if end < len(text) else ""
        highlights = self.highlights(passage)
        if before:
            highlights = tuple(Span(span.start + 1, span.end + 1) for span in highlights)
        return f"{before}{passage}{after}", highlights

    def _window(self, text: str) -> tuple[int, int]:
        if len(text) <= EXCERPT_CHARACTERS:
            return 0, len(text)
        matches = self.matches(text)
        if not matches:
            return 0, _word_end(text, EXCERPT_CHARACTERS)
        first, last = _densest(matches)
        room = max(EXCERPT_CHARACTERS - (last - first), 0)
        start = max(first - room // 2, 0)
        end = min(start + EXCERPT_CHARACTERS, len(text))
        start = max(min(start, end - EXCERPT_CHARACTERS), 0)
        return _word_start(text, start, first), _word_end(text, end)

    def _scan(self, lowered: str) -> list[Match]:
        # Searches the text for the forms: exact in ASCII, a good guess elsewhere.
        found: list[Match] = []
        for form, number in self._clause_of.items():
            _find(lowered, form, number, found, whole=True)
        for prefix, number in self._prefixes:
            _find(lowered, prefix, number, found, whole=False)
        for pattern, number in self._patterns:
            found += [(*match.span(), number) for match in pattern.finditer(lowered)]
        found.sort()
        return found

    def _read(self, text: str) -> list[Match]:
        # Splits the text into words as the index does: slower, and exact in every script.
        words = words_of(text)
        found: list[Match] = []
        for form, start, end in words:
            number = self._clause_of.get(form)
            if number is None:
                number = next((n for prefix, n in self._prefixes if form.startswith(prefix)), None)
            if number is not None:
                found.append((start, end, number))
        for forms, number in self._phrases:
            size = len(forms)
            found += [
                (words[i][1], words[i + size - 1][2], number)
                for i in range(len(words) - size + 1)
                if all(words[i + k][0] == form for k, form in enumerate(forms))
            ]
        found.sort()
        return found


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _find(lowered: str, form: str, number: int, found: list[Match], *, whole: bool) -> None:
    size, ascii_form = len(form), form.isascii()
    start = lowered.find(form)
    matches = 0
    while start >= 0 and matches < _MOST_MATCHES:
        end = start + size
        if not ascii_form or start == 0 or not _is_word(lowered[start - 1]):
            if not whole:
                while end < len(lowered) and _is_word(lowered[end]):
                    end += 1
            if not whole or not ascii_form or end == len(lowered) or not _is_word(lowered[end]):
                found.append((start, end, number))
                matches += 1
        start = lowered.find(form, end)


def _densest(matches: list[Match]) -> tuple[int, int]:
    # The start and end of the matches in the window with the most different clauses, then the
    # most matches, then the first.
    best, best_value, left = (matches[0][0], matches[0][1]), (0, 0), 0
    inside: Counter[int] = Counter()
    for right, (_, end, number) in enumerate(matches):
        inside[number] += 1
        while left < right and end - matches[left][0] > EXCERPT_CHARACTERS:
            dropped = matches[left][2]
            inside[dropped] -= 1
            if not inside[dropped]:
                del inside[dropped]
            left += 1
        value = (len(inside), right - left)
        if value > best_value:
            best, best_value = (matches[left][0], end), value
    return best


def _word_start(text: str, start: int, latest: int) -> int:
    if start == 0:
        return 0
    for place in range(start, min(start + _LONGEST_STEP, latest + 1)):
        if text[place - 1].isspace():
            return place
    return start


def _word_end(text: str, end: int) -> int:
    if end >= len(text):
        return len(text)
    for place in range(end, max(end - _LONGEST_STEP, 0), -1):
        if text[place].isspace():
            return place
    return end


def _spans(matches: Iterable[Match]) -> tuple[Span, ...]:
    spans: list[Span] = []
    last = 0
    for start, end, _ in matches:
        if start >= last:
            spans.append(Span(start, end))
            last = end
    return tuple(spans)
