"""OpenSearch as a search engine, for indexes that one machine does not hold.

The index is made by `create` and filled by `add`: title and text are copied into one field of
stemmed words with a field of exact ones beside it; attributes are keywords, numbers and dates
under `attributes`, and the year of every date is a keyword under `years`.

Facets are nested `terms` aggregations, each hierarchy below a filter of the others' selections;
the hits are filtered after the counting. Where every value is asked for, `composite` pages
through all of them, once for each level.
"""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lib.search.model import (
    UNITS,
    AllOf,
    And,
    AnyOf,
    Attribute,
    AttributeType,
    Bucket,
    Correction,
    Document,
    FacetNode,
    FacetRequest,
    FacetResult,
    Filter,
    HistogramRequest,
    HistogramResult,
    Hit,
    Not,
    Or,
    Path,
    Principals,
    QueryError,
    Range,
    SearchRequest,
    SearchResponse,
    Sort,
    Span,
    Value,
    Words,
)
from lib.search.refusals import no_list, no_order
from lib.search.selections import label_filter, selected_below, selection_of

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from lib.search.parse import Clause

TIMEOUT_S = 10.0
MAX_WINDOW = 10_000  # index.max_result_window: hits that paging reaches
MAX_VALUES = 10_000  # values of one aggregation; search.max_buckets is 65,536
SHARD_VALUES = 1_000  # that each shard reports of an outermost facet, so that sums are exact
PAGE_VALUES = 1_000  # of a composite aggregation
EXCERPT_CHARACTERS = 300
MARK, UNMARK = "\ue000", "\ue001"  # private characters around a highlight: no markup to escape

FIELD_TYPES = {
    AttributeType.STRING: "keyword",
    AttributeType.STRING_LIST: "keyword",
    AttributeType.LONG: "long",
    AttributeType.DATE: "date",
}
ALLOWED = ("access.allowed_users", "access.allowed_groups")
DENIED = ("access.denied_users", "access.denied_groups")
EVERYTHING: dict[str, Any] = {"match_all": {}}

_Json = dict[str, Any]


@dataclass
class _Level:
    """The counted values of one facet, the facet within each, and what was not listed."""

    counts: dict[str | None, int] = field(default_factory=dict)
    below: dict[str | None, _Level] = field(default_factory=dict)
    distinct: int = 0
    remainder: int = 0
    exact: bool = True

    def add(self, label: str | None, count: int, below: _Level) -> None:
        """Set the count of a value."""
        self.counts[label] = count
        self.below[label] = below
        self.exact &= below.exact


class OpenSearchEngine:
    """Searches one index of an OpenSearch cluster.

    Every method raises `QueryError` with a sentence where the cluster does not answer as well.
    """

    name = "OpenSearch"
    max_results = MAX_WINDOW
    keeps_texts = True

    def __init__(self, url: str, index: str, login: tuple[str, str] | None = None) -> None:
        self._url = url
        self._index = index
        self._login = login

    def query(self, request: SearchRequest) -> SearchResponse:
        """Return what was found; raise `QueryError` with a sentence where it cannot be asked."""
        from lib.search.parse import parse_query

        started = time.perf_counter()
        parsed = parse_query(request.query)
        selections = [self._selection(facet) for facet in request.facets]
        answer = self._search(self._body(request, parsed.clauses, selections))
        notes = [*parsed.notes, *_notes(request, answer)]
        return SearchResponse(
            total=answer["hits"]["total"]["value"],
            hits=tuple(self._hit(hit) for hit in answer["hits"]["hits"]),
            facets=tuple(
                self._facet(request, number, selections, parsed.clauses, answer)
                for number in range(len(request.facets))
            ),
            histograms=tuple(
                self._histogram(histogram, answer["aggregations"][f"histogram_{number}"])
                for number, histogram in enumerate(request.histograms)
            ),
            correction=self._correction(request, selections, answer),
            notes=tuple(notes),
            milliseconds=(time.perf_counter() - started) * 1000,
        )

    def attributes(self) -> tuple[Attribute, ...]:
        """Return the attributes that can be facets, filters and orders.

        How many values one has is an estimate above 40,000.
        """
        aggregations = {
            name: {"cardinality": {"field": self._counted(name), "precision_threshold": 40_000}}
            for name in self._types
        }
        answer = self._search({"size": 0, "aggs": aggregations}) if aggregations else {}
        return tuple(
            Attribute(name, kind, int(answer["aggregations"][name]["value"]))
            for name, kind in self._types.items()
        )

    def suggest(self, prefix: str, limit: int = 8) -> tuple[str, ...]:
        """Return titles that begin like a query being typed, the most frequent first.

        Only titles of documents that are open to everybody are suggested.
        """
        beginning = prefix.strip()
        if not beginning:
            return ()
        starts = {"prefix": {"title.raw": {"value": beginning, "case_insensitive": True}}}
        body = {
            "size": 0,
            "query": {"bool": {"filter": [_open_to(None), starts]}},
            "aggs": {"titles": {"terms": {"field": "title.raw", "size": limit}}},
        }
        titles = self._search(body)["aggregations"]["titles"]["buckets"]
        return tuple(bucket["key"] for bucket in titles)

    def document(self, identifier: str, user: Principals | None = None) -> Document | None:
        """Return a whole document, without whom it is open to, or None if there is none."""
        its_id = {"term": {"id": identifier}}
        body = {"size": 1, "query": _all_of([_open_to(user), its_id])}
        for found in self._search(body)["hits"]["hits"]:
            hit, source = self._hit(found), found["_source"]
            return Document(hit.id, hit.title, source["text"], hit.uri, hit.attributes)
        return None

    def create(self, types: Mapping[str, AttributeType]) -> None:
        """Make the index for documents with these attributes."""
        with self._errors():
            self._client.indices.create(index=self._index, body=index_body(types))

    def add(self, documents: Iterable[Document]) -> int:
        """Add or replace documents, visible at once, and return how many."""
        from opensearchpy.helpers import bulk

        actions = (
            {"_index": self._index, "_id": document.id, "_source": _source(document)}
            for document in documents
        )
        with self._errors():
            added, _ = bulk(self._client, actions, refresh=True)
        return int(added)

    # ------------------------------------------------------------------------------- the cluster

    @cached_property
    def _client(self) -> OpenSearch:
        from opensearchpy import OpenSearch

        return OpenSearch(self._url, http_auth=self._login, timeout=TIMEOUT_S)

    @cached_property
    def _types(self) -> Mapping[str, AttributeType]:
        with self._errors():
            answer = self._client.indices.get_mapping(index=self._index)
        return {
            name: AttributeType(kind)
            for index in answer.values()  # an alias may stand for several
            for name, kind in index["mappings"].get("_meta", {}).get("attributes", {}).items()
        }

    def _search(self, body: _Json) -> _Json:
        with self._errors():
            answer: _Json = self._client.search(index=self._index, body=body)
        return answer

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from opensearchpy import exceptions

        try:
            yield
        except exceptions.NotFoundError as error:
            raise QueryError(
                f"OpenSearch has no index “{self._index}”. Create it, or name another one."
            ) from error
        except (exceptions.AuthenticationException, exceptions.AuthorizationException) as error:
            raise QueryError(
                f"OpenSearch does not let this user at the index “{self._index}”. Check the user "
                "name, the password and the user's roles."
            ) from error
        except exceptions.ConnectionError as error:
            raise QueryError(
                "OpenSearch cannot be reached or did not answer in time. Check its address and "
                "the network, then try again."
            ) from error
        except exceptions.TransportError as error:
            raise QueryError(
                f"OpenSearch cannot answer this request: {_reason(error.info)}. Ask for less, or "
                "see the cluster's log."
            ) from error
        except exceptions.OpenSearchException as error:
            raise QueryError(
                f"OpenSearch did not take every document ({type(error).__name__}). See the "
                "cluster's log."
            ) from error

    # ------------------------------------------------------------------------------- the request

    def _body(
        self, request: SearchRequest, clauses: tuple[Clause, ...], selections: list[_Json | None]
    ) -> _Json:
        start = (request.page - 1) * request.page_size
        body: _Json = {
            "track_total_hits": True,
            "from": min(start, MAX_WINDOW),
            "size": max(0, min(request.page_size, MAX_WINDOW - start)),
            "_source": {"excludes": ["access", "years"]},
            "query": self._matched(request, clauses),
            "highlight": _highlight(),
            "sort": [self._order(sort) for sort in request.sort] + ["_score", {"id": "asc"}],
        }
        chosen = [selection for selection in selections if selection]
        if chosen:
            body["post_filter"] = _all_of(chosen)
        aggregations: _Json = {}
        for number, facet in enumerate(request.facets):
            if not self._is_paged(facet):
                levels = self._level(facet, (), listed=True)
                others = _others(selections, number)
                aggregations[f"facet_{number}"] = {"filter": _all_of(others), "aggs": levels}
        for number, histogram in enumerate(request.histograms):
            counted = {"buckets": self._steps(histogram)}
            aggregations[f"histogram_{number}"] = {"filter": _all_of(chosen), "aggs": counted}
        if aggregations:
            body["aggs"] = aggregations
        if clauses and request.suggest_spelling:
            term = {"field": "words.exact", "suggest_mode": "missing", "size": 1}
            body["suggest"] = {"words": {"text": request.query, "term": term}}
        return body

    def _matched(self, request: SearchRequest, clauses: tuple[Clause, ...]) -> _Json:
        filters = [_open_to(request.user)]
        if request.filter is not None:
            filters.append(self._filter(request.filter))
        least = {
            Words.ALL: len(clauses),
            Words.MOST: -(-2 * len(clauses) // 3),
            Words.ANY: min(1, len(clauses)),
        }[request.words]
        words = [_clause(clause) for clause in clauses]
        return {"bool": {"should": words, "minimum_should_match": least, "filter": filters}}

    def _order(self, sort: Sort) -> _Json:
        if self._type(sort.attribute) is AttributeType.STRING_LIST:
            raise no_order(sort.attribute)
        order = "desc" if sort.descending else "asc"
        return {f"attributes.{sort.attribute}": {"order": order, "missing": "_last"}}

    def _steps(self, histogram: HistogramRequest) -> _Json:
        kind, place = self._type(histogram.attribute), f"attributes.{histogram.attribute}"
        if kind is AttributeType.DATE and histogram.unit in UNITS:
            unit = {"field": place, "calendar_interval": histogram.unit, "min_doc_count": 0}
            return {"date_histogram": unit}
        if kind is AttributeType.LONG and histogram.step > 0:
            return {"histogram": {"field": place, "interval": histogram.step, "min_doc_count": 0}}
        raise QueryError(
            f"A histogram of “{histogram.attribute}” needs a date and a unit "
            f"({', '.join(UNITS)}), or a number and a step above 0."
        )

    def _level(self, facet: FacetRequest, path: Path, *, listed: bool) -> _Json:
        # The aggregations of one level: its largest values, the missing one, the selected ones.
        if len(path) == len(facet.attributes):
            return {}
        name = facet.attributes[len(path)]
        place = {"field": self._counted(name)}
        terms: _Json = {**place, "size": facet.top}
        if not path:
            terms["shard_size"] = SHARD_VALUES
            if facet.value_search:
                terms |= {"size": MAX_VALUES, "shard_size": MAX_VALUES}
                terms["include"] = _containing(facet.value_search)
        known = {"exists": place}
        levels: _Json = {
            "values": {
                "terms": terms,
                "aggs": self._level(facet, (*path, ""), listed=False),
            },
            "distinct": {"cardinality": {**place, "precision_threshold": 40_000}},
            "missing": {
                "filter": {"bool": {"must_not": [known]}},
                "aggs": self._level(facet, (*path, None), listed=listed),
            },
        }
        selected = selected_below(path, facet.selected) if listed else ()
        letters = "" if path else facet.value_search.casefold()
        for number, label in enumerate(selected):
            if label is not None and letters in label.casefold():
                levels[f"selected_{number}"] = {
                    "filter": self._label(name, label),
                    "aggs": self._level(facet, (*path, label), listed=True),
                }
        return levels

    def _selection(self, facet: FacetRequest) -> _Json | None:
        for name in facet.attributes:
            self._type(name)
        paths = [
            _all_of([self._label(*pair) for pair in zip(facet.attributes, path, strict=False)])
            for path in facet.selected
        ]
        return {"bool": {"should": paths, "minimum_should_match": 1}} if paths else None

    def _label(self, name: str, label: str | None) -> _Json:
        if label is None:
            return {"bool": {"must_not": [{"exists": {"field": f"attributes.{name}"}}]}}
        return self._filter(label_filter(name, label, self._types))

    def _filter(self, wanted: Filter) -> _Json:
        match wanted:
            case And(parts):
                return _all_of([self._filter(part) for part in parts])
            case Or(parts):
                within = [self._filter(part) for part in parts]
                return {"bool": {"should": within, "minimum_should_match": 1}}
            case Not(part):
                return {"bool": {"must_not": [self._filter(part)]}}
            case AnyOf(name, values):
                held = [self._value(name, value) for value in values]
                return {"terms": {f"attributes.{name}": held}}
            case AllOf(name, names):
                return self._every(name, names)
            case Range(name):
                return {"range": {f"attributes.{name}": self._bounds(wanted)}}

    def _every(self, name: str, values: tuple[str, ...]) -> _Json:
        if self._type(name) is not AttributeType.STRING_LIST:
            raise no_list(name)
        return _all_of([{"term": {f"attributes.{name}": value}} for value in values])

    def _bounds(self, limits: Range) -> _Json:
        bounds: _Json = {}
        if self._type(limits.attribute) not in (AttributeType.LONG, AttributeType.DATE):
            raise QueryError(
                f"A range needs a number or a date, and “{limits.attribute}” holds strings. "
                "Use “any of”."
            )
        if limits.low is not None:
            operation = "gte" if limits.low_included else "gt"
            bounds[operation] = self._value(limits.attribute, limits.low)
        if limits.high is not None:
            operation = "lte" if limits.high_included else "lt"
            bounds[operation] = self._value(limits.attribute, limits.high)
        return bounds

    def _value(self, name: str, value: str | int | datetime) -> str | int:
        kind = self._type(name)
        if kind is AttributeType.DATE and isinstance(value, datetime):
            return _moment(value)
        if kind is AttributeType.LONG and isinstance(value, int):
            return value
        if FIELD_TYPES[kind] == "keyword" and isinstance(value, str):
            return value
        raise QueryError(f"“{name}” holds a {FIELD_TYPES[kind]}, so it cannot be {value!r}.")

    def _type(self, name: str) -> AttributeType:
        if name not in self._types:
            near = difflib.get_close_matches(name, self._types, 3)
            known = ", ".join(near or sorted(self._types))
            raise QueryError(f"The index has no attribute “{name}”. It has {known}.")
        return self._types[name]

    def _counted(self, name: str) -> str:
        folder = "years" if self._type(name) is AttributeType.DATE else "attributes"
        return f"{folder}.{name}"

    def _is_paged(self, facet: FacetRequest) -> bool:
        if facet.top is None or facet.top > MAX_VALUES:
            return True
        return bool(facet.value_search) and self._type(facet.attributes[0]) is AttributeType.LONG

    # -------------------------------------------------------------------------------- the answer

    def _facet(
        self,
        request: SearchRequest,
        number: int,
        selections: list[_Json | None],
        clauses: tuple[Clause, ...],
        answer: _Json,
    ) -> FacetResult:
        facet = request.facets[number]
        if self._is_paged(facet):
            filters = [self._matched(request, clauses), *_others(selections, number)]
            level = self._paged(facet, _all_of(filters))
        else:
            level = _read_level(answer["aggregations"][f"facet_{number}"], facet, ())
        _cut(level, facet, ())
        exact = level.exact and not _is_partial(answer)
        nodes = _nodes(level, facet, ())
        return FacetResult(facet.attributes, nodes, level.distinct, level.remainder, exact)

    def _paged(self, facet: FacetRequest, query: _Json) -> _Level:
        outermost = _Level()
        for depth in range(1, len(facet.attributes) + 1):
            for path, count in self._cells(facet.attributes[:depth], query):
                level = outermost
                for label in path[:-1]:
                    level = level.below[label]
                level.add(path[-1], count, _Level())
                level.distinct += path[-1] is not None
        return outermost

    def _cells(self, attributes: tuple[str, ...], query: _Json) -> Iterator[tuple[Path, int]]:
        # Every combination of values that occurs, a page at a time.
        sources = [
            {str(place): {"terms": {"field": self._counted(name), "missing_bucket": True}}}
            for place, name in enumerate(attributes)
        ]
        composite: _Json = {"size": PAGE_VALUES, "sources": sources}
        body = {"size": 0, "query": query, "aggs": {"cells": {"composite": composite}}}
        while True:
            page = self._search(body)["aggregations"]["cells"]
            for bucket in page["buckets"]:
                key = bucket["key"]
                values = [key[str(place)] for place in range(len(attributes))]
                path = tuple(None if value is None else str(value) for value in values)
                yield path, bucket["doc_count"]
            if len(page["buckets"]) < PAGE_VALUES:
                return
            composite["after"] = page["after_key"]

    def _histogram(self, histogram: HistogramRequest, answer: _Json) -> HistogramResult:
        buckets = []
        for bucket in answer["buckets"]["buckets"]:
            if self._type(histogram.attribute) is AttributeType.DATE:
                low = datetime.fromtimestamp(bucket["key"] / 1000, UTC)
                high = _next_start(low, histogram.unit)
                buckets.append(Bucket(low, high, bucket["doc_count"]))
            else:
                start = int(bucket["key"])
                buckets.append(Bucket(start, start + histogram.step, bucket["doc_count"]))
        return HistogramResult(histogram.attribute, tuple(buckets))

    def _correction(
        self, request: SearchRequest, selections: list[_Json | None], answer: _Json
    ) -> Correction | None:
        from lib.search.parse import parse_query

        suggested = answer.get("suggest", {}).get("words", ())
        query = _corrected(request.query, suggested)
        if query == request.query or not self._may_know(request.user, suggested):
            return None
        chosen = [selection for selection in selections if selection]
        matched = self._matched(request, parse_query(query).clauses)
        body = {"size": 0, "track_total_hits": True, "query": _all_of([matched, *chosen])}
        total = self._search(body)["hits"]["total"]["value"]
        return Correction(query, total) if total > answer["hits"]["total"]["value"] else None

    def _may_know(self, user: Principals | None, suggested: Iterable[_Json]) -> bool:
        # The suggester takes words from all documents: each must be in one that the user may find.
        words = [word["options"][0]["text"] for word in suggested if word["options"]]
        holding = {
            f"word_{number}": {"filter": {"term": {"words.exact": word}}, "aggs": {}}
            for number, word in enumerate(words)
        }
        body = {"size": 0, "query": _open_to(user), "aggs": holding}
        counted = self._search(body)["aggregations"]
        return all(counted[name]["doc_count"] for name in holding)

    def _hit(self, hit: _Json) -> Hit:
        source, marked = hit["_source"], hit.get("highlight", {})
        title, title_highlights = _unmarked(marked.get("title", [source["title"]])[0])
        beginning = source["text"][:EXCERPT_CHARACTERS]
        excerpt, excerpt_highlights = _unmarked(marked.get("text", [beginning])[0])
        return Hit(
            id=source["id"],
            title=title,
            title_highlights=title_highlights,
            excerpt=excerpt,
            excerpt_highlights=excerpt_highlights,
            uri=source["uri"],
            attributes={
                name: _typed(self._type(name), value)
                for name, value in source["attributes"].items()
            },
            score=hit["_score"] or 0.0,
        )


# ------------------------------------------------------------------------------------- the index


def index_body(types: Mapping[str, AttributeType]) -> _Json:
    """Return the settings and mapping of an index for documents with these attributes."""
    stemmed = {"tokenizer": "standard", "filter": ["lowercase", "stemmed"]}
    keyword = {"type": "keyword"}
    exact = {"type": "text", "analyzer": "standard"}
    text = {"type": "text", "analyzer": "stemmed", "copy_to": "words"}
    dates = [name for name, kind in types.items() if kind is AttributeType.DATE]
    people = [place.removeprefix("access.") for place in ALLOWED + DENIED]
    return {
        "settings": {
            "analysis": {
                "analyzer": {"stemmed": {"type": "custom", **stemmed}},
                "filter": {"stemmed": {"type": "stemmer", "language": "porter2"}},
            }
        },
        "mappings": {
            "dynamic": False,
            "_meta": {"attributes": {name: kind.value for name, kind in types.items()}},
            "properties": {
                "id": keyword,
                "uri": {"type": "keyword", "index": False},
                "title": {**text, "fields": {"raw": {"type": "keyword", "ignore_above": 2048}}},
                "text": text,
                "words": {"type": "text", "analyzer": "stemmed", "fields": {"exact": exact}},
                "attributes": {
                    "properties": {name: {"type": FIELD_TYPES[types[name]]} for name in types}
                },
                "years": {"properties": dict.fromkeys(dates, keyword)},
                "access": {"properties": dict.fromkeys(people, keyword)},
            },
        },
    }


def _source(document: Document) -> _Json:
    allowed, denied = document.access.allowed, document.access.denied
    attributes = document.attributes.items()
    return {
        "id": document.id,
        "title": document.title,
        "text": document.text,
        "uri": document.uri,
        "attributes": {name: _json_value(value) for name, value in attributes},
        "years": {
            name: str(value.astimezone(UTC).year)
            for name, value in attributes
            if isinstance(value, datetime)
        },
        "access": {
            "allowed_users": sorted(allowed.users),
            "allowed_groups": sorted(allowed.groups),
            "denied_users": sorted(denied.users),
            "denied_groups": sorted(denied.groups),
        },
    }


def _json_value(value: Value) -> str | int | list[str]:
    if isinstance(value, datetime):
        return _moment(value)
    return list(value) if isinstance(value, tuple) else value


def _moment(value: datetime) -> str:
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def _typed(kind: AttributeType, value: Any) -> Value:
    if kind is AttributeType.DATE:
        return datetime.fromisoformat(value)
    if kind is AttributeType.STRING_LIST:
        return tuple(value)
    typed: Value = value
    return typed


# ----------------------------------------------------------------------------------- the request


def _clause(clause: Clause) -> _Json:
    from lib.search.parse import Fuzzy, Phrase, Prefix, Word

    match clause:
        case Word(forms=forms):
            text = " ".join(form for form, repeats in forms for _ in range(repeats))
            return {"match": {"words": {"query": text}}}
        case Phrase(exact):
            return {"match_phrase": {"words.exact": {"query": " ".join(exact)}}}
        case Prefix(prefix):
            return {"prefix": {"words.exact": {"value": prefix}}}
        case Fuzzy(form):
            return {"fuzzy": {"words.exact": {"value": form, "fuzziness": 1}}}


def _open_to(user: Principals | None) -> _Json:
    # Nobody denied, and everybody where nobody is allowed; without a user where nobody is named.
    named = [{"exists": {"field": place}} for place in ALLOWED]
    if user is None:
        return {"bool": {"must_not": [*named, *({"exists": {"field": p}} for p in DENIED)]}}
    people = (sorted(user.users), sorted(user.groups))
    allowed = [{"terms": {place: names}} for place, names in zip(ALLOWED, people, strict=True)]
    denied = [{"terms": {place: names}} for place, names in zip(DENIED, people, strict=True)]
    nobody_named = {"bool": {"must_not": named}}
    return {
        "bool": {
            "should": [nobody_named, *allowed],
            "minimum_should_match": 1,
            "must_not": denied,
        }
    }


def _all_of(filters: list[_Json]) -> _Json:
    if not filters:
        return EVERYTHING
    return filters[0] if len(filters) == 1 else {"bool": {"filter": filters}}


def _others(selections: list[_Json | None], number: int) -> list[_Json]:
    return [each for other, each in enumerate(selections) if other != number and each]


def _highlight() -> _Json:
    return {
        "pre_tags": [MARK],
        "post_tags": [UNMARK],
        "require_field_match": False,
        "fields": {
            "title": {"number_of_fragments": 0},
            "text": {
                "number_of_fragments": 1,
                "fragment_size": EXCERPT_CHARACTERS,
                "no_match_size": EXCERPT_CHARACTERS,
            },
        },
    }


def _containing(letters: str) -> str:
    # A Lucene regular expression for values with the letters in them, case ignored.
    pattern = ""
    for letter in letters:
        cases = sorted({letter, letter.lower(), letter.upper()})
        escaped = [re.sub(r'[][.?+*|{}()"\\#@&<>~^-]', r"\\\g<0>", each) for each in cases]
        pattern += f"({'|'.join(escaped)})" if len(escaped) > 1 else escaped[0]
    return f".*{pattern}.*"


# ------------------------------------------------------------------------------------ the answer


def _notes(request: SearchRequest, answer: _Json) -> Iterator[str]:
    if request.rerank:
        yield "OpenSearch ranks results by their words: they were not re-ranked by meaning."
    if request.page * request.page_size > MAX_WINDOW:
        yield f"OpenSearch shows the first {MAX_WINDOW:,} results of a query and no more."
    if _is_partial(answer):
        failed, total = answer["_shards"]["failed"], answer["_shards"]["total"]
        reason = "ran out of time" if answer["timed_out"] else f"lost {failed} of {total} shards"
        yield f"OpenSearch {reason}: there may be more documents than are counted here."


def _is_partial(answer: _Json) -> bool:
    return bool(answer["timed_out"] or answer["_shards"]["failed"])


def _read_level(answer: _Json, facet: FacetRequest, path: Path) -> _Level:
    level = _Level()
    if "values" not in answer:
        return level
    terms = answer["values"]
    for bucket in terms["buckets"]:
        label = str(bucket["key"])
        level.add(label, bucket["doc_count"], _read_level(bucket, facet, (*path, label)))
    listed = len(level.counts)
    others = terms["sum_other_doc_count"]
    level.exact &= terms["doc_count_error_upper_bound"] == 0
    level.distinct = max(listed, int(answer["distinct"]["value"])) if others else listed
    for number, chosen in enumerate(selected_below(path, facet.selected)):
        found = answer.get(f"selected_{number}")
        if found:
            others -= 0 if chosen in level.counts else found["doc_count"]
            below = _read_level(found, facet, (*path, chosen))
            level.add(chosen, found["doc_count"], below)
    level.remainder = others
    missing = answer["missing"]
    if missing["doc_count"]:
        level.add(None, missing["doc_count"], _read_level(missing, facet, (*path, None)))
    return level


def _cut(level: _Level, facet: FacetRequest, path: Path) -> None:
    # Leaves the largest values, the missing one and the selected ones, with those not counted.
    if len(path) == len(facet.attributes):
        return
    chosen = selected_below(path, facet.selected)
    if not path and facet.value_search:
        letters = facet.value_search.casefold()
        chosen = tuple(label for label in chosen if label and letters in label.casefold())
        found = {label for label in level.counts if label and letters in label.casefold()}
        level.counts = {label: level.counts[label] for label in level.counts if label in found}
        level.distinct = sum(1 for label in found if level.counts[label])
    for label in chosen:
        level.counts.setdefault(label, 0)
        level.below.setdefault(label, _Level())
    known = [label for label in level.counts if label is not None]
    known.sort(key=lambda label: _rank(level, label))
    kept = {*known[: facet.top], *chosen, None}
    level.remainder += sum(level.counts[label] for label in known if label not in kept)
    level.counts = {label: count for label, count in level.counts.items() if label in kept}
    for label in level.counts:
        _cut(level.below[label], facet, (*path, label))


def _nodes(level: _Level, facet: FacetRequest, path: Path) -> tuple[FacetNode, ...]:
    return tuple(
        FacetNode(
            value=label,
            count=level.counts[label],
            selection=selection_of((*path, label), facet.selected),
            children=_nodes(level.below[label], facet, (*path, label)),
            distinct=level.below[label].distinct,
            remainder=level.below[label].remainder,
        )
        for label in sorted(level.counts, key=lambda label: _rank(level, label))
    )


def _rank(level: _Level, label: str | None) -> tuple[bool, int, str]:
    return label is None, -level.counts[label], label or ""


def _unmarked(text: str) -> tuple[str, tuple[Span, ...]]:
    plain, spans = "", []
    for number, piece in enumerate(re.split(f"[{MARK}{UNMARK}]", text)):
        if number % 2:
            spans.append(Span(len(plain), len(plain) + len(piece)))
        plain += piece
    return plain, tuple(spans)


def _corrected(query: str, words: Iterable[_Json]) -> str:
    units = query.encode("utf-16-le")  # OpenSearch counts in units of UTF-16
    pieces, place = [], 0
    for word in words:
        if word["options"]:
            start, end = 2 * word["offset"], 2 * (word["offset"] + word["length"])
            pieces += [units[place:start].decode("utf-16-le"), word["options"][0]["text"]]
            place = end
    return "".join([*pieces, units[place:].decode("utf-16-le")])


def _next_start(start: datetime, unit: str) -> datetime:
    if unit in ("week", "day"):
        return start + timedelta(days=7 if unit == "week" else 1)
    months = start.month - 1 + {"month": 1, "quarter": 3, "year": 12}[unit]
    return start.replace(year=start.year + months // 12, month=months % 12 + 1)


def _reason(info: Any) -> str:
    causes = info.get("error", {}).get("root_cause", []) if isinstance(info, dict) else []
    return str(causes[0].get("reason", "no reason given")) if causes else "no reason given"
