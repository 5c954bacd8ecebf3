"""What a source supports of a summary: the sentences it rests on, and the parts it lacks.

Support is a matter of words. A number that stands in the source may say something false in the
summary, and a true word may be missing there: nothing here verifies a summary.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np

from lib.summarize.dates import Date, find_dates
from lib.summarize.model import (
    Mark,
    MarkKind,
    SourceSentence,
    Summary,
    SummarySentence,
    Support,
    Timings,
)
from lib.summarize.names import (
    Name,
    acronyms_of,
    capitals_within,
    find_names,
    fold,
    forms_of,
    name_tokens,
)
from lib.summarize.quantities import TIME, Quantity, find_quantities, rounded_to
from lib.summarize.sentences import sentence_text, split
from lib.summarize.terms import (
    Language,
    count_words,
    detect_language,
    stems,
    term_vectors,
    word_spans,
    words_of,
)

SUPPORT_THRESHOLD = 0.2  # cosine; below it a shared common word is all two sentences share
MOST_SUPPORT = 3
NEAR = 3  # words of names apart that parts of one name may stand in the source
_FIGURE_LAST = re.compile(r"[$£€]?\s?\d[\d,]*\.$")
_FIGURE_FIRST = re.compile(r"\d+(?:\s?[%\w]+)?")
_LONGEST_FIGURE = 20  # characters
_NOUNS_HAVE_CAPITALS = {"de", "lb"}  # where a single capitalised word is seldom a name
_ROUNDING_ERROR = 1e-9  # relative; of products of floats


def best_support(cosines: np.ndarray, most: int = MOST_SUPPORT) -> tuple[Support, ...]:
    """Return the source sentences of the highest cosines above the threshold, best first."""
    near = np.flatnonzero(cosines >= SUPPORT_THRESHOLD)
    best = near[np.argsort(-cosines[near], kind="stable")][:most]
    return tuple(Support(int(row), min(1.0, float(cosines[row]))) for row in best)


def cosines(source: Sequence[str], summary: Sequence[str]) -> np.ndarray:
    """Return the TF-IDF cosine of each summary sentence (row) to each source sentence (column).

    Terms and weights are those of `term_vectors`, over the sentences of both.
    """
    words = [words_of(sentence) for sentence in (*source, *summary)]
    language = detect_language(word for sentence in words for word in sentence)
    vectors = term_vectors(words, language).matrix
    similar: np.ndarray = (vectors[len(source) :] @ vectors[: len(source)].T).toarray()
    return similar


def supported_summary(
    engine: str, text: str, summary: str, timings: Timings, notes: tuple[str, ...] = ()
) -> Summary:
    """Return a summary that somebody wrote freely, each sentence with what it rests on in the text.

    The summary's own sentence ends are kept. A sentence without any like it has no support.
    """
    source = split(text)
    sentences = [sentence_text(summary, each) for each in split(summary)]
    similar = cosines([sentence_text(text, each) for each in source], sentences)
    return Summary(
        engine,
        tuple(
            SummarySentence(sentence, count_words(sentence), best_support(row))
            for sentence, row in zip(sentences, similar, strict=True)
        ),
        source,
        timings,
        notes,
    )


def marks_of(text: str, summary: Summary) -> list[tuple[Mark, ...]]:
    """Return for each sentence of a summary the parts that its text lacks: see `Source.marks`."""
    return read_source(text, summary.source).marks([each.text for each in summary.sentences])


@dataclass(frozen=True)
class Source:
    """All that a text says, ready to be asked whether it supports a summary; see `read_source`."""

    words: frozenset[str]  # as they are, in lower case
    folded: frozenset[str]  # without accents
    numbers: dict[str | None, list[float]]  # by unit, ascending
    dates: frozenset[tuple[int | None, int | None, int | None]]  # day, month, year
    months: frozenset[int]
    weekdays: frozenset[int]
    names: dict[str, list[int]]  # places of each word
    name_forms: frozenset[str]
    acronyms: frozenset[str]

    def marks(self, sentences: Sequence[str]) -> list[tuple[Mark, ...]]:
        """Return for each sentence of a summary the parts that the source lacks, in order.

        Numbers, dates, names, and of what is left the words whose stem the source does not have;
        the language of the summary gives the stemmer and the stop words, which are never marked.
        More source text never adds a mark.
        """
        words = [
            sentence[start:end].lower()
            for sentence in sentences
            for start, end in word_spans(sentence)
        ]
        language = detect_language(words)
        absent = self._absent(words, language)
        capitals = capitals_within(sentences)
        least = 2 if language.code in _NOUNS_HAVE_CAPITALS else 1
        return [
            _apart(
                sentence,
                chain(
                    self._dates_of(sentence),
                    self._quantities_of(sentence),
                    (
                        Mark(name.start, name.end, MarkKind.NAME, self._name_reason(name))
                        for name in find_names(sentence, capitals)
                        if len(name.keys) >= least or name.acronym
                    ),
                    _words_of(sentence, absent),
                ),
            )
            for sentence in sentences
        ]

    def _dates_of(self, sentence: str) -> Iterator[Mark]:
        """Yield the dates of a sentence, each with what the source lacks of it."""
        by_span: dict[tuple[int, int], list[Date]] = defaultdict(list)
        for date in find_dates(sentence):
            by_span[date.start, date.end].append(date)
        for (start, end), dates in by_span.items():
            reason = min((self._date_reason(date) for date in dates), key=len)
            yield Mark(start, end, MarkKind.DATE, reason)

    def _quantities_of(self, sentence: str) -> Iterator[Mark]:
        for quantity in find_quantities(sentence):
            yield Mark(quantity.start, quantity.end, MarkKind.NUMBER, self._number_reason(quantity))

    def _number_reason(self, quantity: Quantity) -> str:
        if self._has_quantity(quantity):
            return ""
        if self._has_quantity(rounded_to(quantity)):
            return "number not in the source, only one that rounds to it"
        return "number not in the source"

    def _has_quantity(self, quantity: Quantity) -> bool:
        if not quantity.telling:
            return True
        if any(self._has_number(*each) for each in quantity.ranges()):
            return True
        return bool(quantity.parts) and all(
            self._has_number(part.number, part.number, part.unit) for part in quantity.parts
        )

    def _has_number(self, low: float, high: float, unit: str | None) -> bool:
        """Tell whether the source has such a number, in the same unit or where one has none."""
        low, high = low * (1 - _ROUNDING_ERROR), high * (1 + _ROUNDING_ERROR)
        units = [each for each in self.numbers if each != TIME] if unit is None else [unit, None]
        for numbers in (self.numbers.get(each, []) for each in units if unit != TIME or each):
            place = bisect_left(numbers, low)
            if place < len(numbers) and numbers[place] <= high:
                return True
        return False

    def _date_reason(self, date: Date) -> str:
        """Return what the source lacks of a date, empty where it lacks nothing.

        A date of the source that leaves out a part supports one that has it, if the part stands
        elsewhere.
        """
        if date.weekday is not None:
            return "" if date.weekday in self.weekdays else "weekday not in the source"
        lacks = [
            name
            for name, is_there in (
                ("day", self._has_part(date.day)),
                ("month", date.month is None or date.month in self.months),
                ("year", self._has_part(date.year)),
            )
            if not is_there
        ]
        if lacks:
            return f"{' and '.join(lacks)} not in the source"
        wanted = (date.day, date.month, date.year)
        for told in self.dates:
            pairs = list(zip(wanted, told, strict=True))
            if told[1] == date.month and all(
                one is None or other is None or one == other for one, other in pairs
            ):
                return ""
        return "day, month and year do not stand together in the source"

    def _has_part(self, number: int | None) -> bool:
        return number is None or self._has_number(number, number, None)

    def _name_reason(self, name: Name) -> str:
        if name.acronym and name.keys[0] in self.acronyms:
            return ""
        if len(name.keys) > 1 and "".join(key[0] for key in name.keys) in self.names:
            return ""
        if not all(forms_of(key) & self.name_forms for key in name.keys):
            return "name not in the source"
        if all(self._are_near(*pair) for pair in set(pairwise(name.keys))):
            return ""
        return "parts of the name do not stand together in the source"

    def _are_near(self, one: str, other: str) -> bool:
        """Tell whether two words of a name stand near each other, or one has another form."""
        first, second = self.names.get(one), self.names.get(other)
        if first is None or second is None:
            return True
        if len(first) > len(second):
            first, second = second, first
        for place in first:
            found = bisect_left(second, place - NEAR)
            if found < len(second) and second[found] <= place + NEAR:
                return True
        return False

    def _absent(self, words: Sequence[str], language: Language) -> frozenset[str]:
        """Return the content words that the source has in no form."""
        absent = [
            word
            for word in dict.fromkeys(words)
            if not (
                word in self.words
                or word in language.stop_words
                or word.isdigit()
                or fold(word) in self.folded
            )
        ]
        if language.stemmer is None or not absent:
            return frozenset(absent)
        in_source = set(stems(list(self.words), language))
        stemmed = stems(absent, language)
        return frozenset(
            word for word, stem in zip(absent, stemmed, strict=True) if stem not in in_source
        )


def has_capitals(text: str) -> bool:
    """Tell whether the script of a text has capitals, without which names cannot be found."""
    return text.lower() != text.upper()


def read_source(text: str, sentences: Iterable[SourceSentence] | None = None) -> Source:
    """Return what a text says, of its sentences where they are known already.

    Every sentence is read by itself, as those of a summary are: a summary made of sentences of the
    text has no mark.
    """
    words: set[str] = set()
    numbers: dict[str | None, set[float]] = defaultdict(set)
    dates: set[tuple[int | None, int | None, int | None]] = set()
    weekdays: set[int] = set()
    names: dict[str, list[int]] = defaultdict(list)
    acronyms: set[str] = set()
    place = 0
    before = ""
    for each in split(text) if sentences is None else sentences:
        sentence = sentence_text(text, each)
        # Tokenised text writes "122. 5", which looks like the end of a sentence.
        for quantity in find_quantities(_over_the_end(before, sentence)):
            for value in quantity.values:
                numbers[value.unit].add(value.number)
        before = sentence
        words.update(sentence[start:end].lower() for start, end in word_spans(sentence))
        for quantity in find_quantities(sentence):
            for value in (*quantity.values, *quantity.parts):
                numbers[value.unit].add(value.number)
        for date in find_dates(sentence):
            dates.add((date.day, date.month, date.year))
            numbers[None].update(part for part in (date.day, date.year) if part is not None)
            if date.weekday is not None:
                weekdays.add(date.weekday)
        tokens = name_tokens(sentence)
        acronyms.update(acronyms_of(tokens))
        for token in tokens:
            names[token.key].append(place)
            place += 1
    return Source(
        frozenset(words),
        frozenset(map(fold, words)),
        {unit: sorted(those) for unit, those in numbers.items()},
        frozenset(dates),
        frozenset(month for _, month, _ in dates if month is not None),
        frozenset(weekdays),
        dict(names),
        frozenset().union(*map(forms_of, names)),
        frozenset(acronyms),
    )


def _over_the_end(before: str, sentence: str) -> str:
    """Return the number that the end of a sentence may have cut in two, empty for none."""
    first, second = _FIGURE_LAST.search(before[-_LONGEST_FIGURE:]), _FIGURE_FIRST.match(sentence)
    return f"{first[0]} {second[0]}" if first and second else ""


def _words_of(sentence: str, absent: frozenset[str]) -> Iterator[Mark]:
    """Yield the absent words, those that overlap as one."""
    first, last = 0, 0
    for start, end in word_spans(sentence):
        if sentence[start:end].lower() not in absent:
            continue
        if start >= last:
            if last:
                yield Mark(first, last, MarkKind.WORD, "word not in the source")
            first = start
        last = end
    if last:
        yield Mark(first, last, MarkKind.WORD, "word not in the source")


def _apart(sentence: str, parts: Iterable[Mark]) -> tuple[Mark, ...]:
    """Return the parts that have a reason, in order; of two that overlap the first one counts."""
    taken = bytearray(len(sentence))
    marks = []
    for part in parts:
        if any(taken[part.start : part.end]):
            continue
        taken[part.start : part.end] = b"\1" * (part.end - part.start)
        if part.reason:
            marks.append(part)
    return tuple(sorted(marks, key=lambda mark: mark.start))
