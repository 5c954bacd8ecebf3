"""From clauses to documents and scores: BM25 over stems, with a share for the forms as written.

A loose word matches the documents that hold any form of its stem. Its score is BM25 (Lucene's:
idf = ln(1 + (N - n + .5) / (n + .5)), tf = f / (f + k1 * (1 - b + b * length / average))) of the
stem times `1 - exact_share`, plus BM25 of the form as written times `exact_share`, times its
repeats in the query. A phrase scores with the sum of its words' idf and its own frequency; prefix
and fuzzy words as one word that stands once wherever any of their forms does. N, n and the average
are those of the whole index, deleted documents included until their segment is merged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.search import kernels
from lib.search.columns import SegmentView, Snapshot, Vocabulary, address, encoded, frozen, sealed
from lib.search.model import Words
from lib.search.parse import Clause, Fuzzy, Phrase, Prefix, Word

Docs = npt.NDArray[np.uint32]
Frequencies = npt.NDArray[np.uint8]
Bits = npt.NDArray[np.uint64]
Visible = Sequence[npt.NDArray[np.uint8] | None]  # as `Snapshot.visible` returns it

_GALLOP_RATIO = 24
_LIST_COST = 6  # scoring a posting takes as long as marking so many
_GROUPED_LISTS = 3
_ROUNDING = 1.0 + 1e-9  # bounds may not fall below a score by the order of a sum
_BLOCK = 4_096  # documents looked at in one go: mostly one of the first may be found
_NO_DOCS = frozen(np.zeros(0, np.uint32))


@dataclass(frozen=True)
class Bm25:
    """The ranking's parameters: saturation, length norm, share of the forms as written."""

    k1: float = 1.2
    b: float = 0.75
    exact_share: float = 0.15

    def __post_init__(self) -> None:
        """Refuse values without meaning."""
        if self.k1 <= 0 or not 0 <= self.b <= 1 or not 0 <= self.exact_share < 1:
            raise ValueError("BM25 needs k1 above 0, b from 0 to 1, and an exact share below 1.")


@dataclass(slots=True)
class _Term:
    """One source of scores over all segments.

    `documents` is how many hold it; for a phrase, one number for each of its words.
    """

    factor: float
    documents: list[int]

    def weight(self, count: int) -> float:
        """Return the factor times the idf."""
        return self.factor * sum(
            math.log(1 + (count - number + 0.5) / (number + 0.5)) for number in self.documents
        )


@dataclass(slots=True)
class _Postings:
    """Documents and frequencies of one term in one segment, and where they lie in memory."""

    docs: Docs
    frequencies: Frequencies
    docs_at: int
    frequencies_at: int
    term: int


@dataclass(slots=True)
class _Matched:
    """What one segment holds of the query: documents of each clause, postings of each term."""

    segment: SegmentView
    docs: list[Docs]
    postings: list[_Postings]

    def add_made(self, docs: Docs, frequencies: Frequencies, term: int) -> None:
        """Add a clause whose postings are not in the index but were made for this query."""
        self.docs.append(docs)
        self.postings.append(
            _Postings(docs, frequencies, address(docs), address(frequencies), term)
        )

    def add_postings(self, vocabulary: Vocabulary, number: int, term: int) -> Docs:
        """Add the postings of a word of the index; return its documents."""
        start, end = vocabulary.extent(number, number + 1)
        docs = vocabulary.documents[start:end]
        self.postings.append(
            _Postings(
                docs,
                vocabulary.frequencies[start:end],
                vocabulary.documents_at + start * docs.itemsize,
                vocabulary.frequencies_at + start,
                term,
            )
        )
        return docs


class Matcher:
    """The clauses of a query looked up in every segment of a snapshot.

    `known` says of each clause whether a document holds it that the user may find.
    """

    def __init__(
        self, snapshot: Snapshot, clauses: tuple[Clause, ...], bm25: Bm25, visible: Visible
    ) -> None:
        self._bm25 = bm25
        self._count = snapshot.count
        self._terms: list[_Term] = []
        self._matched = [_Matched(segment, [], []) for segment in snapshot.segments]
        for clause in clauses:
            match clause:
                case Word():
                    self._add_word(clause)
                case Phrase():
                    self._add_phrase(clause)
                case Prefix():
                    self._add_prefix(clause)
                case Fuzzy():
                    self._add_fuzzy(clause)
        self._constant = bm25.k1 * (1 - bm25.b)
        self._slope = bm25.k1 * bm25.b / snapshot.average_length
        self._weights = [term.weight(self._count) for term in self._terms]
        self.known = [
            any(
                _any_visible(matched.docs[number], flags)
                for matched, flags in zip(self._matched, visible, strict=True)
            )
            for number in range(len(clauses))
        ]

    def _term(self, factor: float, parts: int = 1) -> int:
        self._terms.append(_Term(factor, [0] * parts))
        return len(self._terms) - 1

    def _add_word(self, word: Word) -> None:
        share = self._bm25.exact_share
        repeats = sum(times for _, times in word.forms)
        numbers = [self._form_numbers(matched.segment, word) for matched in self._matched]
        stems = [
            _stem_number(matched.segment, word, forms)
            for matched, forms in zip(self._matched, numbers, strict=True)
        ]
        if share == 0 or self._has_one_form(stems, numbers):
            stem_term, form_terms = self._term(repeats), []
        else:
            stem_term = self._term((1 - share) * repeats)
            form_terms = [self._term(share * times) for _, times in word.forms]
        for matched, stem, forms in zip(self._matched, stems, numbers, strict=True):
            if stem < 0:
                matched.docs.append(_NO_DOCS)
                continue
            docs = matched.add_postings(matched.segment.stems, stem, stem_term)
            matched.docs.append(docs)
            self._terms[stem_term].documents[0] += len(docs)
            if form_terms:
                for form, term in zip(forms, form_terms, strict=True):
                    self._add_form(matched, form, term)

    def _form_numbers(self, segment: SegmentView, word: Word) -> list[int]:
        return [segment.forms.find(form) for form, _ in word.forms]

    def _has_one_form(self, stems: list[int], numbers: list[list[int]]) -> bool:
        # Whether the stem stands for the one form as written: then one list gives both shares.
        return all(
            len(forms) == 1 and forms[0] >= 0 and matched.segment.is_only_form(forms[0])
            for matched, stem, forms in zip(self._matched, stems, numbers, strict=True)
            if stem >= 0
        )

    def _add_form(self, matched: _Matched, number: int, term: int) -> None:
        if number >= 0:
            docs = matched.add_postings(matched.segment.forms, number, term)
            self._terms[term].documents[0] += len(docs)

    def _add_phrase(self, phrase: Phrase) -> None:
        term = self._term(1.0, len(phrase.forms))
        for matched in self._matched:
            vocabulary = matched.segment.forms
            numbers = [vocabulary.find(form) for form in phrase.forms]
            extents = [vocabulary.extent(n, n + 1) if n >= 0 else (0, 0) for n in numbers]
            for part, (start, end) in enumerate(extents):
                self._terms[term].documents[part] += end - start
            docs, frequencies = _phrase(vocabulary, extents)
            matched.add_made(docs, frequencies, term)

    def _add_prefix(self, prefix: Prefix) -> None:
        term = self._term(1.0)
        for matched in self._matched:
            vocabulary = matched.segment.forms
            start, end = vocabulary.extent(*vocabulary.with_prefix(prefix.prefix))
            bits = matched.segment.bits()
            kernels.mark(bits, vocabulary.documents[start:end])
            self._add_union(matched, bits, min(end - start, matched.segment.count), term)

    def _add_fuzzy(self, fuzzy: Fuzzy) -> None:
        share = self._bm25.exact_share
        near, exact = self._term(1 - share), self._term(share)
        for matched in self._matched:
            vocabulary, bits, room = matched.segment.forms, matched.segment.bits(), 0
            for number in forms_near(vocabulary, fuzzy.form):
                start, end = vocabulary.extent(number, number + 1)
                kernels.mark(bits, vocabulary.documents[start:end])
                room += end - start
            self._add_union(matched, bits, min(room, matched.segment.count), near)
            self._add_form(matched, vocabulary.find(fuzzy.form), exact)

    def _add_union(self, matched: _Matched, bits: Bits, room: int, term: int) -> None:
        docs = _extracted(bits, np.empty(room + kernels.EXTRACT_SLACK, np.uint32))
        matched.add_made(docs, sealed(np.ones(len(docs), np.uint8)), term)
        self._terms[term].documents[0] += len(docs)

    def documents(self, number: int, least: int) -> Docs:
        """Return the documents of a segment that hold at least so many clauses.

        They are in no order and stay only until this thread matches another query.
        """
        matched = self._matched[number]
        lists = [docs for docs in matched.docs if len(docs)]
        if len(lists) < least:
            return _NO_DOCS
        if len(lists) == 1:
            return lists[0]
        if len(lists) == least:
            return _in_all(matched.segment, lists)
        if least == 1:
            return _in_any(matched.segment, lists)
        return _in_some(matched.segment, lists, least)

    def best(
        self, number: int, docs: Docs, room: int, *, restricted: bool
    ) -> tuple[npt.NDArray[np.float64], Docs]:
        """Return scores and documents of the best of `docs` in a segment, in no order.

        `restricted` says that `docs` are not all documents that hold any of the clauses.
        """
        matched = self._matched[number]
        segment = matched.segment
        postings = [entry for entry in matched.postings if self._weights[entry.term] > 0]
        if not postings or not len(docs):
            return np.zeros(room)[: len(docs)], docs[:room]
        postings.sort(key=lambda entry: -self._weights[entry.term])
        weights = np.array([self._weights[entry.term] for entry in postings])
        bounds = np.zeros(len(weights) + 1)
        bounds[:-1] = np.cumsum(weights[::-1])[::-1] * _ROUNDING
        sizes = [len(entry.docs) for entry in postings]
        scores, best = np.empty(room), np.empty(room, np.uint32)
        numbers = np.array(
            [
                [entry.docs_at for entry in postings],
                [entry.frequencies_at for entry in postings],
                sizes,
            ]
        )
        sealed(numbers)
        lists = (
            numbers[0],
            numbers[1],
            numbers[2],
            sealed(weights),
            sealed(bounds),
            segment.lengths,
            self._constant,
            self._slope,
        )
        places = np.empty(len(weights), np.int64)
        if restricted and len(docs) < sizes[0]:
            found = kernels.best_of(_ascending(docs), *lists, places, scores, best)
        elif len(sizes) > 1 and sizes[0] * _LIST_COST > sum(sizes) + (segment.count >> 5):
            grouped = min(len(postings), _GROUPED_LISTS)
            bounded = restricted or len(postings) > grouped
            planes = _planes(
                segment, [*(entry.docs for entry in postings[:grouped]), *([docs] * bounded)]
            )
            groups, limits = _groups(weights, grouped)
            found = kernels.best_in_groups(
                planes, grouped, int(bounded), groups, limits, *lists, places, scores, best
            )
        else:
            least_spread = self._constant + self._slope * segment.least_length
            found = kernels.best_in_lists(
                _ascending(docs) if restricted else docs,
                int(restricted),
                *lists,
                least_spread,
                places,
                scores,
                best,
            )
        return scores[:found], best[:found]


def _any_visible(docs: Docs, flags: npt.NDArray[np.uint8] | None) -> bool:
    if flags is None:
        return len(docs) > 0
    return any(flags[docs[start : start + _BLOCK]].any() for start in range(0, len(docs), _BLOCK))


def _stem_number(segment: SegmentView, word: Word, forms: list[int]) -> int:
    # The stem of a form that is there is found without looking for it.
    for form in forms:
        if form >= 0:
            return int(segment.stem_of[form])
    return segment.stems.find(word.stem)


def _ascending(docs: Docs) -> Docs:
    return docs if bool((docs[1:] > docs[:-1]).all()) else sealed(np.sort(docs))


def _planes(segment: SegmentView, lists: list[Docs]) -> Bits:
    words = (segment.count >> 6) + 1
    planes = np.zeros(len(lists) * words, np.uint64)
    for i, docs in enumerate(lists):
        kernels.mark(planes[i * words : (i + 1) * words], docs)
    return planes


def _groups(
    weights: npt.NDArray[np.float64], grouped: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    # All combinations of the first lists, by what a document that holds them can score.
    rest = float(weights[grouped:].sum())
    limit_of = {
        group: (rest + sum(float(weights[i]) for i in range(grouped) if group >> i & 1)) * _ROUNDING
        for group in range(0 if rest else 1, 1 << grouped)
    }
    order = sorted(limit_of, key=lambda group: -limit_of[group])
    return (
        sealed(np.array(order, np.int64)),
        sealed(np.array([limit_of[group] for group in order])),
    )


def least_clauses(known: list[bool], words: Words) -> int:
    """Return how many clauses a document must hold; 0 if none can.

    `known` is the matcher's: for "most", only what is known counts.
    """
    if words is Words.ALL:
        return len(known) if all(known) else 0
    if words is Words.ANY:
        return min(sum(known), 1)
    return -(-2 * sum(known) // 3)


def forms_near(vocabulary: Vocabulary, form: str) -> list[int]:
    """Return the numbers of the forms that are at most one edit away."""
    blob = vocabulary.texts
    room = np.empty(len(blob), np.uint32)
    found = kernels.nearly_equal(blob.offsets, blob.bytes, encoded(form), room)
    return [n for n in room[:found].tolist() if within_one_edit(blob.text(n), form)]


def within_one_edit(left: str, right: str) -> bool:
    """Return whether a letter more, less, other, or two swapped at most tell the words apart."""
    if left == right:
        return True
    start = next(
        (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b),
        min(len(left), len(right)),
    )
    return (
        left[start + 1 :] == right[start + 1 :]
        or left[start + 1 :] == right[start:]
        or left[start:] == right[start + 1 :]
        or (
            left[start + 2 :] == right[start + 2 :]
            and left[start : start + 2] == right[start : start + 2][::-1]
        )
    )


def _phrase(vocabulary: Vocabulary, extents: list[tuple[int, int]]) -> tuple[Docs, Frequencies]:
    sizes = [end - start for start, end in extents]
    rarest = sizes.index(min(sizes))
    docs, frequencies = np.empty(sizes[rarest], np.uint32), np.empty(sizes[rarest], np.uint8)
    found = 0
    if sizes[rarest]:
        found = kernels.match_phrase(
            vocabulary.documents_at,
            vocabulary.frequencies_at,
            vocabulary.places,
            vocabulary.positions,
            frozen(np.array([start for start, _ in extents], np.int64)),
            frozen(np.array([end for _, end in extents], np.int64)),
            rarest,
            np.empty(len(extents), np.int64),
            docs,
            frequencies,
        )
    return frozen(docs[:found]), frozen(frequencies[:found])


def _extracted(bits: Bits, room: Docs) -> Docs:
    return sealed(room[: kernels.extract(bits, room)])


def _in_any(segment: SegmentView, lists: list[Docs]) -> Docs:
    # Only the shorter lists are marked; what the longest adds to them is quicker to read off.
    *shorter, longest = sorted(lists, key=len)
    room, bits = segment.room("matched", sum(map(len, lists)) + 1), segment.bits()
    marked = 0
    for docs in shorter:
        marked = kernels.append_new(bits, docs, room, marked)
    found = kernels.append_others(bits, longest, room, marked)
    kernels.unmark(bits, sealed(room[:marked]))
    return sealed(room[:found])


def _in_all(segment: SegmentView, lists: list[Docs]) -> Docs:
    few, *more = sorted(lists, key=len)
    for many in more:
        out = np.empty(len(few), np.uint32)
        if len(many) > _GALLOP_RATIO * len(few):
            found = kernels.intersect(few, address(many), len(many), out)
        else:
            bits = segment.bits()
            kernels.mark(bits, many)
            found = kernels.keep_marked(bits, few, out)
            kernels.unmark(bits, many)
        few = sealed(out[:found])
    return few


def _in_some(segment: SegmentView, lists: list[Docs], least: int) -> Docs:
    bits = segment.bits()
    levels = len(lists).bit_length()
    planes = np.zeros(levels * len(bits), np.uint64)
    for docs in lists:
        kernels.mark(bits, docs)
        kernels.add_to_counters(planes, bits, levels)
    kernels.at_least(planes, bits, levels, least)
    size = min(sum(map(len, lists)) // least, segment.count)
    return _extracted(bits, segment.room("matched", size + kernels.EXTRACT_SLACK))
