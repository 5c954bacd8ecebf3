"""A small OpenSearch on a loopback port: one shard, whose counting tantivy does.

It takes the index body, bulk and search requests of the real one. Queries become tantivy's;
terms, cardinality, histogram and composite aggregations run there as they were sent. What tantivy
lacks is put together from its counts: filter aggregations, post_filter and calendar histograms.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import tantivy
from tantivy import Occur, Query

from lib.search.analysis import stem, words_of

Json = dict[str, Any]
EVERYTHING = 100_000
LEFT_TO_US = ("filter", "date_histogram")


class OpenSearchDouble(AbstractContextManager["OpenSearchDouble"]):
    """Serves its indexes at `url` from entering until leaving the context.

    `searches` holds the bodies asked; `failures` is answered first: (status, body), None for a
    connection that breaks off. `changes` are merged into every search answer.
    """

    def __init__(self) -> None:
        self.indexes: dict[str, Shard] = {}
        self.searches: list[Json] = []
        self.failures: list[tuple[int, Json] | None] = []
        self.changes: Json = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def respond(self, method: str, path: str, body: str) -> tuple[int, Json]:
        """Return status and body of an answer."""
        *names, operation = path.partition("?")[0].strip("/").split("/")
        if method == "PUT":
            self.indexes[operation] = Shard(json.loads(body)["mappings"])
            return 200, {"acknowledged": True}
        if operation == "_bulk":
            return 200, self.bulk([json.loads(line) for line in body.splitlines()])
        shard = self.indexes.get(names[0])
        if shard is None:
            reason = f"no such index [{names[0]}]"
            return 404, {"error": {"root_cause": [{"reason": reason}]}, "status": 404}
        if operation == "_mapping":
            return 200, {names[0]: {"mappings": shard.mappings}}
        self.searches.append(json.loads(body))
        return 200, {**shard.search(self.searches[-1]), **self.changes}

    def bulk(self, lines: list[Json]) -> Json:
        items = []
        for action, source in zip(lines[::2], lines[1::2], strict=True):
            place = action["index"]
            self.indexes[place["_index"]].sources[place["_id"]] = source
            items.append({"index": {"_id": place["_id"], "status": 201}})
        return {"errors": False, "items": items}


def handler_of(double: OpenSearchDouble) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(size).decode()
            failure = double.failures.pop(0) if double.failures else (0, {})
            if failure is None:
                self.close_connection = True
                return
            status, answer = (
                failure if failure[0] else double.respond(self.command, self.path, body)
            )
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = answer  # noqa: N815 - the base's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            pass

    return Handler


class Shard:
    """One index: its mapping, its documents as sent, and both in tantivy."""

    def __init__(self, mappings: Json) -> None:
        self.mappings = mappings
        self.types = dict(flat(mappings["properties"]))
        self.sources: dict[str, Json] = {}

    @cached_property
    def schema(self) -> tantivy.Schema:
        builder = tantivy.SchemaBuilder()
        for name, kind in self.types.items():
            match kind:
                case "keyword":
                    builder.add_text_field(name, stored=True, tokenizer_name="raw", fast=True)
                case "long":
                    builder.add_integer_field(name, indexed=True, fast=True)
                case "date":
                    builder.add_date_field(name, indexed=True, fast=True)
                case "text":
                    builder.add_text_field(name, tokenizer_name=name.replace(".", "_"))
        return builder.build()

    @cached_property
    def searcher(self) -> tantivy.Searcher:
        index = tantivy.Index(self.schema)
        index.register_tokenizer("words_exact", lower_case().build())
        stemmer = tantivy.Filter.stemmer("english")
        for name in ("words", "title", "text"):
            index.register_tokenizer(name, lower_case().filter(stemmer).build())
        writer = index.writer(15_000_000, 1)
        for source in self.sources.values():
            writer.add_document(self.document(source))
        writer.commit()
        index.reload()
        return index.searcher()

    def document(self, source: Json) -> tantivy.Document:
        document = tantivy.Document()
        for name, value in leaves(source):
            for each in value if isinstance(value, list) else [value]:
                match self.types.get(name):
                    case "keyword":
                        document.add_text(name, each)
                    case "long":
                        document.add_integer(name, each)
                    case "date":
                        document.add_date(name, datetime.fromisoformat(each))
        document.add_text("title.raw", source["title"])
        for text in (source["title"], source["text"]):
            document.add_text("words", text)
            document.add_text("words.exact", text)
        return document

    def search(self, body: Json) -> Json:
        query = self.query(body.get("query", {"match_all": {}}))
        post = self.query(body.get("post_filter", {"match_all": {}}))
        hits = self.hits(all_of(query, post))
        order = body.get("sort", ["_score"])
        for each in reversed(order):
            hits.sort(key=lambda hit: sort_key(hit, each))
        start = body.get("from", 0)
        shown = hits[start : start + body.get("size", 10)]
        marked = list(stems_in(body.get("query", {})))
        for hit in shown:
            hit["highlight"] = highlight(hit["_source"], body.get("highlight", {}), marked)
        answer = {
            "timed_out": False,
            "_shards": {"total": 1, "successful": 1, "failed": 0},
            "hits": {"total": {"value": len(hits), "relation": "eq"}, "hits": shown},
            "aggregations": self.aggregate(query, body.get("aggs", {})),
        }
        for name, suggester in body.get("suggest", {}).items():
            suggested = self.suggest(suggester["text"])
            answer["suggest"] = {name: suggested}
        return answer

    def hits(self, query: Query) -> list[Json]:
        found = self.searcher.search(query, limit=EVERYTHING).hits
        ids = [(self.searcher.doc(address)["id"][0], score) for score, address in found]
        return [{"_id": i, "_score": score, "_source": self.sources[i]} for i, score in ids]

    def count(self, query: Query) -> int:
        result: Any = self.searcher.search(query, limit=1)  # its type lacks the count
        return int(result.count)

    # ------------------------------------------------------------------------------ the queries

    def query(self, body: Json) -> Query:  # noqa: C901, PLR0911 - one case for each kind of query
        ((kind, inner),) = body.items()
        if kind == "match_all":
            return Query.all_query()
        if kind == "bool":
            return self.boolean(inner)
        if kind == "exists":
            return Query.exists_query(inner["field"])
        ((name, value),) = inner.items()
        match kind:
            case "match":
                stems = {stem(form) for form, _, _ in words_of(value["query"])}
                return any_of([self.term(name, each) for each in stems])
            case "match_phrase":
                words: list[Any] = value["query"].split()
                one = Query.term_query(self.schema, name, words[0])
                return Query.phrase_query(self.schema, name, words) if words[1:] else one
            case "prefix":
                letters = [spelled(each, value) for each in value["value"]]
                return Query.regex_query(self.schema, name, "".join(letters) + ".*")
            case "fuzzy":
                distance = value["fuzziness"]
                return Query.fuzzy_term_query(self.schema, name, value["value"], distance)
            case "term":
                return self.term(name, value)
            case "terms":
                return any_of([self.term(name, each) for each in value])
            case "range":
                return self.range(name, value)
        raise AssertionError(kind)

    def boolean(self, body: Json) -> Query:
        assert body.keys() <= {"filter", "must_not", "should", "minimum_should_match"}
        parts = [(Occur.Must, Query.all_query())]
        parts = [(occur, Query.const_score_query(query, 0.0)) for occur, query in parts]
        for each in body.get("filter", []):
            parts.append((Occur.Must, Query.const_score_query(self.query(each), 0.0)))
        parts += [(Occur.MustNot, self.query(each)) for each in body.get("must_not", [])]
        should = [(Occur.Should, self.query(each)) for each in body.get("should", [])]
        least = body.get("minimum_should_match", 0)
        if should or least:
            inner = Query.boolean_query(should, minimum_number_should_match=least)
            parts.append((Occur.Must, inner))
        return Query.boolean_query(parts)

    def term(self, name: str, value: Any) -> Query:
        is_date = self.types[name] == "date"
        typed = datetime.fromisoformat(value) if is_date else value
        if self.types[name] == "long" and not isinstance(value, int):
            typed = int(value)
        return Query.term_query(self.schema, name, typed)

    def range(self, name: str, bounds: Json) -> Query:
        if not bounds:
            return Query.exists_query(name)
        is_date = self.types[name] == "date"
        kind = tantivy.FieldType.Date if is_date else tantivy.FieldType.Integer
        typed = {k: datetime.fromisoformat(v) if is_date else v for k, v in bounds.items()}
        return Query.range_query(
            self.schema,
            name,
            kind,
            typed.get("gte", typed.get("gt")),
            typed.get("lte", typed.get("lt")),
            include_lower="gt" not in typed,
            include_upper="lt" not in typed,
        )

    # ------------------------------------------------------------------------- the aggregations

    def aggregate(self, query: Query, aggregations: Json) -> Json:
        """Return what tantivy counts, with the parts that it lacks filled in."""
        known = native(aggregations)
        counted: Json = self.searcher.aggregate(query, known) if known else {}
        return self.complete(query, aggregations, counted)

    def complete(self, query: Query, aggregations: Json, counted: Json) -> Json:
        answer: Json = {}
        for name, body in aggregations.items():
            inner = body.get("aggs", {})
            if "filter" in body:
                within = all_of(query, self.query(body["filter"]))
                counts = self.aggregate(within, inner)
                answer[name] = {"doc_count": self.count(within), **counts}
            elif "date_histogram" in body:
                answer[name] = {"buckets": self.calendar(query, **body["date_histogram"])}
            else:
                answer[name] = counted[name]
            if "terms" in body:
                answer[name] = reduced(counted[name], body["terms"]["size"])
                for bucket in answer[name]["buckets"]:
                    within = all_of(query, self.term(body["terms"]["field"], bucket["key"]))
                    bucket.update(self.complete(within, inner, bucket))
        return answer

    def calendar(
        self, query: Query, field: str, calendar_interval: str, min_doc_count: int
    ) -> list[Json]:
        ends = {"low": {"min": {"field": field}}, "high": {"max": {"field": field}}}
        extremes = self.searcher.aggregate(query, ends)
        if extremes["low"]["value"] is None:
            return []
        low, high = (datetime.fromtimestamp(extremes[e]["value"] / 1e9, UTC) for e in ends)
        starts = [low.replace(hour=0, minute=0, second=0, microsecond=0)]
        while start_of(starts[0], calendar_interval) != starts[0]:
            starts[0] -= timedelta(days=1)
        day = starts[0]
        while starts[-1] <= high:
            day += timedelta(days=1)
            if start_of(day, calendar_interval) == day:
                starts.append(day)
        buckets = []
        for start, end in pairwise(starts):
            bounds = {"gte": start.isoformat(), "lt": end.isoformat()}
            count = self.count(all_of(query, self.range(field, bounds)))
            if count >= min_doc_count:
                buckets.append({"key": int(start.timestamp() * 1000), "doc_count": count})
        return buckets

    def suggest(self, text: str) -> list[Json]:
        spread: Counter[str] = Counter()
        for source in self.sources.values():
            words = {form for form, _, _ in words_of(f"{source['title']} {source['text']}")}
            spread.update(words)
        entries = []
        for form, start, end in words_of(text):
            options = [] if form in spread else near(form, spread)
            units = len(text[:start].encode("utf-16-le")) // 2
            entry = {"text": form, "offset": units, "length": end - start, "options": options}
            entries.append(entry)
        return entries


def lower_case() -> tantivy.TextAnalyzerBuilder:
    simple = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    return simple.filter(tantivy.Filter.lowercase())


def flat(properties: Json, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, body in properties.items():
        if "type" in body:
            yield prefix + name, body["type"]
        for part in ("properties", "fields"):
            yield from flat(body.get(part, {}), f"{prefix}{name}.")


def leaves(source: Json, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in source.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def native(aggregations: Json) -> Json:
    known: Json = {}
    for name, body in aggregations.items():
        if any(kind in body for kind in LEFT_TO_US):
            continue
        ((kind, inner),) = ((k, v) for k, v in body.items() if k != "aggs")
        left_out = {"shard_size", "precision_threshold"}
        inner = {key: value for key, value in inner.items() if key not in left_out}
        if kind == "terms":
            inner |= {"size": EVERYTHING, "segment_size": EVERYTHING}
        known[name] = {kind: inner, "aggs": native(body.get("aggs", {}))}
    return known


def reduced(counted: Json, size: int) -> Json:
    """The largest buckets of a shard that reported all of them."""
    assert (counted["sum_other_doc_count"], counted["doc_count_error_upper_bound"]) == (0, 0)
    buckets = sorted(counted["buckets"], key=lambda bucket: (-bucket["doc_count"], bucket["key"]))
    others = sum(bucket["doc_count"] for bucket in buckets[size:])
    return {**counted, "buckets": buckets[:size], "sum_other_doc_count": others}


def all_of(*queries: Query) -> Query:
    return Query.boolean_query([(Occur.Must, query) for query in queries])


def any_of(queries: list[Query]) -> Query:
    return Query.boolean_query([(Occur.Should, query) for query in queries])


def spelled(letter: str, prefix: Json) -> str:
    if prefix.get("case_insensitive") and letter.isalpha():
        return f"[{letter.lower()}{letter.upper()}]"
    return re.escape(letter)


def start_of(day: datetime, unit: str) -> datetime:
    match unit:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1)
        case "year":
            return day.replace(day=1, month=1)
    return day


def sort_key(hit: Json, order: str | Json) -> tuple[bool, Any]:
    if order == "_score":
        return False, -hit["_score"]
    assert isinstance(order, dict)
    ((name, how),) = order.items()
    value: Any = hit["_source"]
    for part in name.split("."):
        value = value.get(part) if value else None
    if value is None:
        return True, 0
    how = how if isinstance(how, dict) else {"order": how}
    return False, Reversed(value) if how["order"] == "desc" else value


class Reversed:
    """A value in the opposite order."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: Reversed) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reversed) and bool(other.value == self.value)

    __hash__ = None  # type: ignore[assignment]  # never in a set


def stems_in(query: Any) -> Iterator[str]:
    if isinstance(query, list):
        for each in query:
            yield from stems_in(each)
    elif isinstance(query, dict):
        for kind, inner in query.items():
            if kind == "match":
                text = inner["words"]["query"]
                yield from (stem(form) for form, _, _ in words_of(text))
            else:
                yield from stems_in(inner)


def highlight(source: Json, body: Json, stems: list[str]) -> Json:
    marked = {}
    for name, how in body.get("fields", {}).items():
        text = source[name][: how.get("fragment_size")]
        pieces, place = [], 0
        for form, start, end in words_of(text):
            if stem(form) in stems:
                pieces += [
                    text[place:start],
                    *body["pre_tags"],
                    text[start:end],
                    *body["post_tags"],
                ]
                place = end
        if pieces or "no_match_size" in how:
            marked[name] = ["".join([*pieces, text[place:]])]
    return marked


def near(form: str, spread: Counter[str]) -> list[Json]:
    letters = set("".join(spread))
    edits = {form[:i] + letter + form[i + 1 :] for i in range(len(form)) for letter in letters}
    found = sorted(edits & spread.keys(), key=lambda word: -spread[word])
    return [{"text": word, "score": 0.8, "freq": spread[word]} for word in found[:1]]
