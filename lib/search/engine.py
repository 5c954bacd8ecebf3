"""The embedded engine: from a request to its response over one commit of a columnar index.

A request is answered in steps over document numbers: match the words, keep what the user may find
and the filter lets through, split by the selected facet paths, then count, rank and read the hits
of the page. Counting never touches scores.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import numpy.typing as npt

from lib.search import kernels
from lib.search.analysis import words_of
from lib.search.columns import (
    Index,
    Recent,
    SegmentView,
    Snapshot,
    may_find,
    moment_of,
    sealed,
)
from lib.search.excerpts import Highlighter
from lib.search.facets import count_facet
from lib.search.filters import Docs, attribute_of, keep, mask_of_paths, narrowed
from lib.search.histograms import count_histogram
from lib.search.match import Bm25, Matcher, least_clauses
from lib.search.model import (
    Access,
    Attribute,
    AttributeType,
    Correction,
    Document,
    Hit,
    Principals,
    SearchRequest,
    SearchResponse,
    Sort,
    Value,
    Words,
)
from lib.search.parse import Clause, Fuzzy, Phrase, Prefix, Word, parse_query
from lib.search.refusals import no_order
from lib.search.rerank import LOADING, RERANKED, Candidate, Reranker, passages
from lib.search.segment import ListColumn, StringColumn
from lib.search.spelling import Speller

_REFRESH_SECONDS = 1.0
_CACHED_RESPONSES = 64
_CACHED_SPELLERS = 2
_MISSING = np.iinfo(np.int64).max
_TITLE_LETTERS = 3  # shorter beginnings stand for too many titles
_TITLES_READ = 50
_NO_DOCS = sealed(np.zeros(0, np.uint32))


@dataclass(frozen=True, slots=True)
class _Found:
    """What a request found: per segment, and for each facet what its counts are taken from.

    The documents stay only until this thread searches again.
    """

    matcher: Matcher | None
    hits: list[Docs]
    of_facets: list[list[Docs]]
    restricted: list[bool]  # whether hits are less than all documents with any of the clauses

    @property
    def total(self) -> int:
        """Return the number of hits."""
        return sum(map(len, self.hits))


_Place = tuple[int, int, float]  # segment, document, score


class EmbeddedSearch:
    """Searches an index on this machine. Every method may be called from several threads."""

    name = "Columnar index"
    max_results = 10_000
    keeps_texts = True

    def __init__(
        self, index: Index, bm25: Bm25 | None = None, reranker: Reranker | None = None
    ) -> None:
        self._index = index
        self._bm25 = bm25 or Bm25()
        self._reranker = reranker or Reranker()
        self._snapshot = Snapshot(index)
        self._checked = time.monotonic()
        self._refreshing = threading.Lock()
        self._responses: Recent[tuple[int, SearchRequest], SearchResponse]
        self._responses = Recent(_CACHED_RESPONSES)
        self._spellers: Recent[int, Speller] = Recent(_CACHED_SPELLERS)
        self._spelling = threading.Lock()

    def query(self, request: SearchRequest) -> SearchResponse:
        """Return what was found; raise `QueryError` with a sentence where it cannot be asked.

        Looks for a newer commit of the index at most once a second. Responses to requests
        without words are kept, the most recent ones of the current commit.
        """
        started = time.perf_counter()
        snapshot = self._current()
        if request.query.strip():
            response = self._answer(snapshot, request)
        else:
            response = self._responses.get(
                (snapshot.version, request), lambda: self._answer(snapshot, request)
            )
        return replace(response, milliseconds=(time.perf_counter() - started) * 1000)

    def embed_ahead(self, request: SearchRequest) -> Iterator[float]:
        """Embed what re-ranking the request will compare, yielding which part of it is done.

        Between two steps it may be given up. After the last one `query` answers at once.
        """
        snapshot = self._current()
        clauses = parse_query(request.query).clauses
        if clauses and _is_reranked(request):
            found = self._find(snapshot, request, clauses)
            first = _places(snapshot, request, found, 0, RERANKED)
            candidates = _candidates(snapshot, clauses, first)
            yield from self._reranker.embed_ahead(request.query, candidates)

    @property
    def loads_model(self) -> bool:
        """Return whether results will be re-ranked once a model is loaded."""
        return self._reranker.problem == LOADING

    def attributes(self) -> tuple[Attribute, ...]:
        """Return the attributes that can be facets, filters and orders."""
        return tuple(self._current().attributes.values())

    def suggest(self, prefix: str, limit: int = 8) -> tuple[str, ...]:
        """Return completions of the last word, the most frequent first, then titles.

        Only words and titles of documents that are open to everybody are suggested.
        """
        snapshot = self._current()
        words = words_of(prefix)
        if not words or words[-1][2] < len(prefix.rstrip()):
            return ()
        titles = self._titles(snapshot, prefix, limit // 2)
        completions: list[str] = []
        if words[-1][2] == len(prefix):
            form, start, _ = words[-1]
            completions = [
                prefix[:start] + found
                for found in _completions(snapshot, form, limit)
                if found != form
            ]
        found = [*completions[: limit - len(titles)], *titles]
        return tuple(dict.fromkeys(found))[:limit]

    def document(self, identifier: str, user: Principals | None = None) -> Document | None:
        """Return a whole document, or None if there is none that the user may find."""
        snapshot = self._current()
        for number in range(len(snapshot.segments) - 1, -1, -1):
            segment = snapshot.segments[number]
            doc = segment.find(identifier)
            if doc >= 0:
                code = int(segment.access[doc])
                access = snapshot.access_lists[code - 1] if code else Access()
                return _document(snapshot, number, doc, access) if may_find(user, access) else None
        return None

    def refresh(self) -> None:
        """Look for a newer commit of the index at once, for who knows that there is one."""
        self._checked -= _REFRESH_SECONDS
        self._current()

    def warm(self) -> None:
        """Make ahead what queries need: facet levels, word lists, speller and embedding model.

        The compiled loops are ready since this module was imported.
        """
        snapshot = self._current()
        for name in snapshot.attributes:
            snapshot.level(name)
        for segment in snapshot.segments:
            _ = segment.forms_by_stem, segment.everything
        self._speller(snapshot)
        self._answer(snapshot, SearchRequest("warm", words=Words.ANY))
        self._reranker.load()

    def _current(self) -> Snapshot:
        now = time.monotonic()
        if now - self._checked > _REFRESH_SECONDS and self._refreshing.acquire(blocking=False):
            try:
                index = self._index.refresh()
                if index is not self._index:
                    before = self._snapshot
                    self._index, self._snapshot = index, Snapshot(index, before)
                    if _size(self._snapshot) != _size(before):
                        threading.Thread(target=self.warm, name="warm search", daemon=True).start()
                self._checked = time.monotonic()
            finally:
                self._refreshing.release()
        return self._snapshot

    def _answer(self, snapshot: Snapshot, request: SearchRequest) -> SearchResponse:
        for facet in request.facets:
            for name in facet.attributes:
                attribute_of(snapshot, name)
        parsed = parse_query(request.query)
        found = self._find(snapshot, request, parsed.clauses)
        total = found.total
        notes = list(parsed.notes)
        if found.matcher:
            notes += _unknown_notes(parsed.clauses, found.matcher.known)
        places = _page(snapshot, request, found)
        if places and parsed.clauses and _is_reranked(request):
            if self._reranker.problem:
                notes.append(self._reranker.problem)
            else:
                places = self._reranked(snapshot, request, parsed.clauses, found)
        hits = _hits(snapshot, parsed.clauses, places)
        facets = tuple(
            count_facet(snapshot, facet, docs)
            for facet, docs in zip(request.facets, found.of_facets, strict=True)
        )
        histograms = tuple(count_histogram(snapshot, h, found.hits) for h in request.histograms)
        # Last, because it takes the room of what was found.
        correction = self._correction(snapshot, request, parsed.clauses, found)
        return SearchResponse(total, hits, facets, histograms, correction, tuple(notes))

    def _find(
        self, snapshot: Snapshot, request: SearchRequest, clauses: tuple[Clause, ...]
    ) -> _Found:
        visible = snapshot.visible(request.user)
        matcher = Matcher(snapshot, clauses, self._bm25, visible) if clauses else None
        least = least_clauses(matcher.known, request.words) if matcher else 0
        hits: list[Docs] = []
        restricted: list[bool] = []
        of_facets: list[list[Docs]] = [[] for _ in request.facets]
        for number, segment in enumerate(snapshot.segments):
            matched = segment.everything
            if matcher:
                matched = matcher.documents(number, least) if least else _NO_DOCS
            docs, flags = matched, visible[number]
            if flags is not None:
                docs = _flagged(segment, docs, flags)
            if request.filter is not None:
                room = segment.room("filtered", len(docs))
                docs = narrowed(snapshot, number, docs, request.filter, room)
            selected, split = _split(snapshot, request, number, docs)
            hits.append(selected)
            restricted.append(least != 1 or selected is not matched)
            for of_facet, part in zip(of_facets, split, strict=True):
                of_facet.append(part)
        return _Found(matcher, hits, of_facets, restricted)

    def _reranked(
        self,
        snapshot: Snapshot,
        request: SearchRequest,
        clauses: tuple[Clause, ...],
        found: _Found,
    ) -> list[_Place]:
        # The page where the first results have another order and all others follow as they are.
        start, end = (request.page - 1) * request.page_size, request.page * request.page_size
        places = _places(snapshot, request, found, 0, max(end, RERANKED))
        candidates = _candidates(snapshot, clauses, places[:RERANKED])
        first = [places[i] for i in self._reranker.order(request.query, candidates)]
        return [*first, *places[RERANKED:]][start:end]

    def _correction(
        self, snapshot: Snapshot, request: SearchRequest, clauses: tuple[Clause, ...], found: _Found
    ) -> Correction | None:
        if found.matcher is None or not request.suggest_spelling:
            return None
        total = found.total
        unknown = frozenset(
            form
            for form in _plain_forms(clauses)
            if not _documents_with(snapshot, request.user, form)
        )
        if not unknown:
            return None
        query = self._speller(snapshot).correct(request.query, unknown)
        forms = {form for form, _, _ in words_of(query)} - {
            form for form, _, _ in words_of(request.query)
        }
        if not all(_documents_with(snapshot, request.user, form) for form in forms) or not forms:
            return None
        better = self._find(snapshot, request, parse_query(query).clauses).total
        return Correction(query, better) if better > total else None

    def _speller(self, snapshot: Snapshot) -> Speller:
        # Made anew when the index doubles or halves: what it proposes is counted anyway.
        # One at a time, as it takes seconds and much memory.
        with self._spelling:
            return self._spellers.get(_size(snapshot), lambda: Speller(snapshot.segments))

    def _titles(self, snapshot: Snapshot, prefix: str, limit: int) -> list[str]:
        *forms, (last, _, _) = words_of(prefix)
        if len(last) < _TITLE_LETTERS:
            return []
        clauses = parse_query(" ".join([*(form for form, _, _ in forms), f"{last}*"])).clauses
        request = SearchRequest(words=Words.ALL, page_size=_TITLES_READ)
        places = _page(snapshot, request, self._find(snapshot, request, clauses))
        beginning = " ".join(prefix.split()).casefold()
        titles = (snapshot.segments[number].titles.text(doc) for number, doc, _ in places)
        found = dict.fromkeys(t for t in titles if t.casefold().startswith(beginning))
        return list(found)[:limit]


def _size(snapshot: Snapshot) -> int:
    # Grows by one when the index doubles.
    return snapshot.count.bit_length()


def _flagged(segment: SegmentView, docs: Docs, flags: npt.NDArray[np.uint8]) -> Docs:
    out = segment.room("visible", len(docs))
    return sealed(out[: kernels.keep_flagged(docs, flags, out)])


def _split(
    snapshot: Snapshot, request: SearchRequest, number: int, docs: Docs
) -> tuple[Docs, list[Docs]]:
    # The documents in all selections, and for each facet those in the selections of the others.
    masks = {
        i: mask_of_paths(snapshot, number, docs, facet.attributes, facet.selected)
        for i, facet in enumerate(request.facets)
        if facet.selected
    }
    if not masks:
        return docs, [docs] * len(request.facets)
    hits = keep(docs, reduce(np.bitwise_and, masks.values()))
    split = []
    for i in range(len(request.facets)):
        others = [mask for other, mask in masks.items() if other != i]
        if i not in masks:
            split.append(hits)
        else:
            split.append(keep(docs, reduce(np.bitwise_and, others)) if others else docs)
    return hits, split


def _page(snapshot: Snapshot, request: SearchRequest, found: _Found) -> list[_Place]:
    start = (request.page - 1) * request.page_size
    return _places(snapshot, request, found, start, start + request.page_size)


def _places(
    snapshot: Snapshot, request: SearchRequest, found: _Found, start: int, end: int
) -> list[_Place]:
    end = min(end, found.total)
    if start >= end:
        return []
    if request.sort:
        return _scored(found, _sorted(snapshot, request.sort, found.hits, end)[start:])
    if found.matcher is None:
        return _in_order(found.hits, start, end)
    places: list[_Place] = []
    for number, docs in enumerate(found.hits):
        if len(docs):
            scores, best = found.matcher.best(
                number, docs, min(end, len(docs)), restricted=found.restricted[number]
            )
            places += [
                (number, doc, score)
                for doc, score in zip(best.tolist(), scores.tolist(), strict=True)
            ]
    places.sort(key=lambda place: (-place[2], place[0], place[1]))
    return places[start:end]


def _in_order(hits: list[Docs], start: int, end: int) -> list[_Place]:
    places: list[_Place] = []
    for number, docs in enumerate(hits):
        places += [(number, doc, 0.0) for doc in docs[max(start, 0) : max(end, 0)].tolist()]
        start, end = start - len(docs), end - len(docs)
    return places


def _sorted(
    snapshot: Snapshot, order: tuple[Sort, ...], hits: list[Docs], end: int
) -> list[tuple[int, int]]:
    # The first places by the attributes, in the order of the index among equals.
    keys = [
        np.concatenate([_sort_keys(snapshot, sort, n, docs) for n, docs in enumerate(hits)])
        for sort in order
    ]
    first = keys[0]
    last = np.partition(first, end - 1)[end - 1]
    candidates = np.flatnonzero(first <= last)
    docs = np.concatenate(hits)[candidates]
    numbers = np.repeat(np.arange(len(hits)), list(map(len, hits)))[candidates]
    best = np.lexsort([docs, numbers, *(key[candidates] for key in reversed(keys))])[:end]
    return list(zip(numbers[best].tolist(), docs[best].tolist(), strict=True))


def _sort_keys(snapshot: Snapshot, sort: Sort, number: int, docs: Docs) -> npt.NDArray[np.int64]:
    kind = attribute_of(snapshot, sort.attribute).type
    if kind is AttributeType.STRING_LIST:
        raise no_order(sort.attribute)
    if kind is AttributeType.STRING:
        level = snapshot.level(sort.attribute)
        codes = level.columns[number].codes[docs]
        keys, missing = level.ranks[codes].astype(np.int64), codes == 0
    else:
        column = snapshot.numbers(snapshot.segments[number], sort.attribute)
        keys, missing = column.values[docs], column.present[docs] == 0
    if sort.descending:
        keys = ~keys  # turns the order round without overflow
    return np.where(missing, _MISSING, keys)


def _scored(found: _Found, places: list[tuple[int, int]]) -> list[_Place]:
    scores: dict[tuple[int, int], float] = {}
    if found.matcher is not None:
        for number in {number for number, _ in places}:
            docs = np.array(sorted(doc for n, doc in places if n == number), np.uint32)
            values, best = found.matcher.best(number, sealed(docs), len(docs), restricted=True)
            scores.update(
                ((number, doc), score)
                for doc, score in zip(best.tolist(), values.tolist(), strict=True)
            )
    return [(number, doc, scores.get((number, doc), 0.0)) for number, doc in places]


def _is_reranked(request: SearchRequest) -> bool:
    start = (request.page - 1) * request.page_size
    return request.rerank and not request.sort and request.page_size > 0 and start < RERANKED


def _candidates(
    snapshot: Snapshot, clauses: tuple[Clause, ...], places: list[_Place]
) -> list[Candidate]:
    highlighters = _highlighters(snapshot, clauses, places)
    candidates = []
    for number, doc, score in places:
        segment = snapshot.segments[number]
        title, text = segment.titles.text(doc), segment.texts.text(doc)
        matches = highlighters[number].matches(text)
        candidates.append(Candidate(score, passages(title, text, matches)))
    return candidates


def _highlighters(
    snapshot: Snapshot, clauses: tuple[Clause, ...], places: list[_Place]
) -> dict[int, Highlighter]:
    return {
        number: Highlighter(snapshot.segments[number], clauses)
        for number in {number for number, _, _ in places}
    }


def _hits(snapshot: Snapshot, clauses: tuple[Clause, ...], places: list[_Place]) -> tuple[Hit, ...]:
    highlighters = _highlighters(snapshot, clauses, places)
    hits = []
    for number, doc, score in places:
        segment, highlighter = snapshot.segments[number], highlighters[number]
        title = segment.titles.text(doc)
        excerpt, highlights = highlighter.excerpt(segment.texts.text(doc))
        hits.append(
            Hit(
                segment.ids.text(doc),
                title,
                highlighter.highlights(title),
                excerpt,
                highlights,
                segment.uris.text(doc),
                dict(_attributes(snapshot, segment, doc)),
                score,
            )
        )
    return tuple(hits)


def _attributes(snapshot: Snapshot, segment: SegmentView, doc: int) -> Iterator[tuple[str, Value]]:
    for name, column in segment.columns.items():
        if isinstance(column, StringColumn):
            if code := column.codes.item(doc):
                yield name, snapshot.dictionaries[name].values[code - 1]
        elif isinstance(column, ListColumn):
            held = column.codes[column.offsets.item(doc) : column.offsets.item(doc + 1)].tolist()
            if held:
                values = snapshot.dictionaries[name].values
                yield name, tuple(values[code - 1] for code in held)
        elif column.present.item(doc):
            value = column.values.item(doc)
            is_date = snapshot.attributes[name].type is AttributeType.DATE
            yield name, moment_of(value) if is_date else value


def _document(snapshot: Snapshot, number: int, doc: int, access: Access) -> Document:
    segment = snapshot.segments[number]
    return Document(
        segment.ids.text(doc),
        segment.titles.text(doc),
        segment.texts.text(doc),
        segment.uris.text(doc),
        dict(_attributes(snapshot, segment, doc)),
        access,
    )


def _completions(snapshot: Snapshot, form: str, limit: int) -> list[str]:
    texts = {
        segment.forms.texts.text(number)
        for segment in snapshot.segments
        for number in _frequent(segment, form, 4 * limit)
    }
    counts = {text: _documents_with(snapshot, None, text) for text in texts}
    ordered = sorted((-count, text) for text, count in counts.items() if count)
    return [text for _, text in ordered[: limit + 1]]


def _documents_with(snapshot: Snapshot, user: Principals | None, form: str) -> int:
    # How many documents hold the form that the user may find: words of others are not shown.
    total = 0
    for segment, flags in zip(snapshot.segments, snapshot.visible(user), strict=True):
        number = segment.forms.find(form)
        if number >= 0:
            start, end = segment.forms.extent(number, number + 1)
            docs = segment.forms.documents[start:end]
            total += len(docs) if flags is None else len(_flagged(segment, docs, flags))
    return total


def _frequent(segment: SegmentView, prefix: str, limit: int) -> list[int]:
    low, high = segment.forms.with_prefix(prefix)
    documents = np.diff(segment.forms.offsets[low : high + 1].astype(np.int64))
    if len(documents) <= limit:
        return list(range(low, high))
    found: list[int] = (np.argpartition(-documents, limit)[:limit] + low).tolist()
    return found


def _plain_forms(clauses: Iterable[Clause]) -> Iterator[str]:
    for clause in clauses:
        match clause:
            case Word(forms=forms):
                yield from (form for form, _ in forms)
            case Phrase(forms):
                yield from forms


def _unknown_notes(clauses: tuple[Clause, ...], known: list[bool]) -> Iterator[str]:
    for clause, is_known in zip(clauses, known, strict=True):
        if not is_known:
            yield f"No document holds {_shown(clause)}."


def _shown(clause: Clause) -> str:
    match clause:
        case Word(forms=forms):
            return " or ".join(f"“{form}”" for form, _ in forms)
        case Phrase(forms):
            return f"the phrase “{' '.join(forms)}”"
        case Prefix(prefix):
            return f"a word that begins with “{prefix}”"
        case Fuzzy(form):
            return f"a word like “{form}”"
