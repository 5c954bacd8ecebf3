"""Facets with nested counts at 100,000 to 10 million documents, against tantivy, DuckDB and SQLite.

The documents are generated: words by the Zipf-Mandelbrot law with a skew by topic, in inflected
forms that English stemmers agree on, and six facets. They are written to disk first, so that
every engine reads the same text and none waits for the generator. A request is two words of
log-uniform rank, either of which may match, and its counts must be equal in every engine, each
time. The engines take turns query by query, so that what else the machine does affects all; the
time of a query is the best of its repeats, p50 and p95 are over the queries. The goals of the
latencies are for 1M documents and more.

Our time is from `SearchRequest` to `SearchResponse`. tantivy gets its query object built from
terms and answers with its aggregation alone; each level has segment_size above the number of
values, without which its counts are approximate. Where hits are asked for, both give stored fields
and an excerpt with what matched in it. tantivy is timed with its English stemmer, which finds what
ours does. DuckDB gets ready-made postings of just the words asked for, SQLite's FTS5 ready-made
stems without positions: both flatter them.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bench.result import Row
from lib.search.excerpts import EXCERPT_CHARACTERS
from lib.search.model import (
    And,
    AnyOf,
    Document,
    FacetNode,
    FacetRequest,
    SearchEngine,
    SearchRequest,
    SearchResponse,
    Words,
)

SEED = 11
BASES = 150_000  # words, each in four forms
SHIFT, EXPONENT = 2.7, 1.0  # of Zipf-Mandelbrot: 1 / (rank + shift) ** exponent
TOPICAL = 0.25  # share of the words that are drawn by the document's topic
SUFFIXES = ("", "s", "ed", "ing")
SUFFIX_SHARES = (0.7, 0.15, 0.08, 0.07)
RANKS = (30, 30_000)
BLOCK = 10_000  # documents written and read at once
CARDINALITIES = {"technology": 60, "doctype": 8, "region": 25, "service": 500}
TAGS = 200
FIRST_DAY = datetime(2015, 1, 1, tzinfo=UTC)
DAYS = 4_000
TOP = 10
SEGMENT_SIZE = 1_000
FASTER = 5.0
JUDGED_FROM = 1_000_000  # documents
OPEN_MS = 100.0
CLIENTS = 8
LONGEST_MINUTES = 40
DOCUMENTS_10M = 10_000_000
GROWTH_TO_10M = 4.0  # of the time for 1M documents of 75 words, to 10M of 16
MEMORY_10M, DISK_10M = 8 << 30, 12 << 30

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Size:
    """How many documents of how many words, how much is asked, and which peers take part."""

    documents: int
    words: int
    queries: int
    repeats: int
    peer_queries: int  # of DuckDB and SQLite, which are slower by far
    has_sqlite: bool = True

    def __str__(self) -> str:
        return f"{self.documents:,} documents of {self.words} words"


QUICK_SIZES = (Size(100_000, 75, 60, 2, 10),)
SIZES = (
    Size(1_000_000, 75, 200, 3, 20),
    Size(DOCUMENTS_10M, 16, 100, 3, 5, has_sqlite=False),
)


@dataclass(frozen=True)
class Block:
    """Some generated documents: base words and suffixes one document a row, codes of facets."""

    first: int
    bases: Numbers
    suffixes: Numbers
    facets: Mapping[str, Numbers]
    days: Numbers
    tags: Numbers  # two a document, different ones


@dataclass(frozen=True)
class Workload:
    """A kind of request: its facet levels, what is filtered by, and whether words and hits."""

    name: str
    levels: tuple[str, ...] = ()
    filtered: tuple[tuple[str, tuple[str, ...]], ...] = ()
    has_words: bool = True
    hits: int = 0


NESTED = ("technology", "doctype")
WORKLOADS = (
    Workload("2 levels (480 cells)", NESTED),
    Workload("2 levels (480 cells) and 10 hits", NESTED, hits=TOP),
    Workload("3 levels (12,000 cells)", (*NESTED, "region")),
    Workload("filter of 2 values, 2 levels", NESTED, (("region", ("region 2", "region 5")),)),
    Workload("all documents, 2 levels", NESTED, has_words=False),
    Workload("10 hits, no counts", hits=TOP),
)


@dataclass(frozen=True)
class Built:
    """What it took to index: seconds, bytes on disk, most memory in bytes."""

    seconds: float
    size: int
    memory: int


@dataclass(frozen=True)
class Served:
    """A fresh process that opened an index: milliseconds, memory in bytes, queries a second."""

    open_ms: float
    first_ms: float
    memory: int
    per_second: float


@dataclass(frozen=True)
class Question:
    """One request of a workload: its words and their ranks, none for all documents."""

    workload: Workload
    number: int
    ranks: tuple[int, ...] = ()
    words: tuple[str, ...] = ()


def run(quick: bool) -> list[Row]:  # noqa: FBT001  # the interface of every benchmark
    """Return index time, size, memory and latencies at each size that this machine can hold."""
    rows: list[Row] = []
    spent = 0.0
    for size in QUICK_SIZES if quick else SIZES:
        reason = _hindrance(size, spent)
        if reason:
            print(f"{size}: left out, {reason}.")
            continue
        started = perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            rows += _rows(size, Path(folder))
        spent = perf_counter() - started
        print(f"{size}: {spent:,.0f} s.")
    return rows


def _hindrance(size: Size, spent: float) -> str:
    """Return why a size is left out, or nothing."""
    if size.documents < DOCUMENTS_10M:
        return ""
    minutes = spent * GROWTH_TO_10M / 60
    if minutes > LONGEST_MINUTES:
        return f"it would take about {minutes:,.0f} minutes"
    if _kilobytes(Path("/proc/meminfo"), "MemAvailable") << 10 < MEMORY_10M:
        return f"it needs {MEMORY_10M >> 30} GiB of free memory"
    if shutil.disk_usage(tempfile.gettempdir()).free < DISK_10M:
        return f"it needs {DISK_10M >> 30} GiB of free disk space"
    return ""


def _rows(size: Size, folder: Path) -> list[Row]:
    questions = {workload: questions_of(workload, size) for workload in WORKLOADS}
    asked = sorted({rank for each in questions.values() for q in each for rank in q.ranks})
    blocks = folder / "blocks"
    write_blocks(size, blocks, asked)
    built = {
        "ours": _apart(build_ours, blocks, folder / "ours"),
        "tantivy": _apart(build_tantivy, blocks, folder / "tantivy"),
    }
    load = questions[WORKLOADS[0]]
    served = {
        "ours": _apart(serve, _open_ours, folder / "ours", load),
        "tantivy": _apart(serve, _open_tantivy, folder / "tantivy", load),
    }
    rows = _built_rows(str(size), built) + _served_rows(str(size), served)
    ours, tantivy = open_ours(folder / "ours"), Tantivy(folder / "tantivy")
    with ExitStack() as stack:
        slow: dict[str, SqlPeer] = {"DuckDB": stack.enter_context(open_duckdb(blocks))}
        if size.has_sqlite:
            slow["SQLite FTS5"] = stack.enter_context(open_sqlite(blocks, folder / "sqlite"))
        for workload, each in questions.items():
            times = _times(size, each, ours, tantivy, slow)
            judged = bool(workload.levels) and size.documents >= JUDGED_FROM
            rows += _latency_rows(f"{size}: {workload.name}", times, judged=judged)
    return rows


def _apart(work: Callable[..., Any], *arguments: object) -> Any:
    """Return what some work returns in a process of its own, whose memory is all its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        return processes.submit(work, *arguments).result()


# The documents


@cache
def vocabulary() -> list[str]:
    """Return words that are their own stems, also the stems of their inflected forms."""
    import Stemmer

    random = np.random.default_rng(SEED)
    stems_of = Stemmer.Stemmer("english").stemWords
    syllables = [consonant + vowel for consonant in "bcdfghklmnprstvw" for vowel in "aeiou"]
    endings = list("bdfgkmnprt")
    found: dict[str, None] = {}
    while len(found) < BASES:
        drawn = random.integers(len(syllables), size=(BASES, 4)).tolist()
        lengths = random.integers(2, 5, size=BASES).tolist()
        last = random.choice(endings, size=BASES).tolist()
        words = [
            "".join([syllables[number] for number in row[:length]]) + ending
            for row, length, ending in zip(drawn, lengths, last, strict=True)
        ]
        stems = [stems_of([word + suffix for word in words]) for suffix in SUFFIXES]
        alike = zip(words, *stems, strict=True)
        found |= dict.fromkeys(word for word, *each in alike if set(each) == {word})
    return list(found)[:BASES]


@cache
def _cumulative() -> npt.NDArray[np.float64]:
    weights = 1 / (np.arange(BASES) + SHIFT) ** EXPONENT
    return np.cumsum(weights / weights.sum())


def block_of(first: int, count: int, words: int) -> Block:
    """Return documents from a number on, the same at every call."""
    random = np.random.default_rng([SEED, first])
    services = CARDINALITIES["service"]
    service = (services * random.random(count) ** 2).astype(np.int64)
    facets = {
        "service": service,
        "technology": service % CARDINALITIES["technology"],
        "doctype": (CARDINALITIES["doctype"] * random.random(count) ** 1.5).astype(np.int64),
        "region": random.integers(CARDINALITIES["region"], size=count),
    }
    bases = np.searchsorted(_cumulative(), random.random((count, words)))
    topical = bases * CARDINALITIES["technology"] + facets["technology"][:, None]
    is_topical = (random.random((count, words)) < TOPICAL) & (topical < BASES)
    tag = random.integers(TAGS, size=count)
    return Block(
        first,
        np.where(is_topical, topical, bases).clip(max=BASES - 1),
        random.choice(len(SUFFIXES), size=(count, words), p=SUFFIX_SHARES),
        facets,
        random.integers(DAYS, size=count),
        np.stack([tag, (tag + random.integers(1, TAGS, size=count)) % TAGS], axis=1),
    )


def write_blocks(size: Size, folder: Path, asked: Sequence[int]) -> None:
    """Write the documents: texts and stems a line each, codes, postings of the words asked for."""
    folder.mkdir()
    bases = vocabulary()
    forms = [base + suffix for base in bases for suffix in SUFFIXES]
    for first in range(0, size.documents, BLOCK):
        block = block_of(first, min(BLOCK, size.documents - first), size.words)
        name = f"{first:09d}"
        texts = block.bases * len(SUFFIXES) + block.suffixes
        _write_lines(folder / f"{name}.texts", texts, forms)
        if size.has_sqlite:
            _write_lines(folder / f"{name}.stems", block.bases, bases)
        columns: dict[str, Any] = {**block.facets, "days": block.days, "tags": block.tags}
        np.savez(folder / f"{name}.npz", postings=_postings(block, asked), **columns)


def _write_lines(path: Path, rows: Numbers, words: Sequence[str]) -> None:
    with path.open("w") as file:
        file.writelines(" ".join([words[each] for each in row]) + "\n" for row in rows.tolist())


def _postings(block: Block, asked: Sequence[int]) -> Numbers:
    """Return rows of base word and document, each once."""
    row, place = np.nonzero(np.isin(block.bases, asked))
    pairs = block.bases[row, place] << 32 | (row + block.first)
    different = np.unique(pairs)
    return np.stack([different >> 32, different & 0xFFFFFFFF], axis=1)


@dataclass(frozen=True)
class Record:
    """One document as it is read back: what both engines are given."""

    number: int
    text: str
    facets: dict[str, str]
    date: datetime
    tags: tuple[str, ...]


def read_records(folder: Path) -> Iterator[Record]:
    """Yield the documents in order."""
    number = 0
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as codes:
            columns = {name: codes[name].tolist() for name in CARDINALITIES}
            days, tags = codes["days"].tolist(), codes["tags"].tolist()
        names = {
            name: [f"{name} {code}" for code in range(count)]
            for name, count in CARDINALITIES.items()
        }
        with path.with_suffix(".texts").open() as texts:
            for row, text in enumerate(texts):
                yield Record(
                    number,
                    text[:-1],
                    {name: names[name][columns[name][row]] for name in columns},
                    FIRST_DAY + timedelta(days[row]),
                    (f"tag {tags[row][0]}", f"tag {tags[row][1]}"),
                )
                number += 1


# Indexing


def build_ours(blocks: Path, folder: Path) -> Built:
    """Index the documents by our writer."""
    from lib.search.writer import open_writer

    started = perf_counter()
    with open_writer(folder) as writer:
        writer.add(_document(record) for record in read_records(blocks))
        writer.commit()
    return _built(folder, started)


def _document(record: Record) -> Document:
    return Document(
        f"d{record.number}",
        record.facets["service"],
        record.text,
        attributes={**record.facets, "date": record.date, "tag": record.tags},
    )


def build_tantivy(blocks: Path, folder: Path) -> Built:
    """Index the documents by tantivy with two threads, stored text and positions."""
    import tantivy

    folder.mkdir()
    started = perf_counter()
    writer = tantivy.Index(_tantivy_schema(), str(folder)).writer(500_000_000, 2)
    for record in read_records(blocks):
        document = tantivy.Document()
        document.add_text("id", f"d{record.number}")
        document.add_text("text", f"{record.facets['service']} {record.text}")
        for name, value in record.facets.items():
            document.add_text(name, value)
        document.add_date("date", record.date)
        for tag in record.tags:
            document.add_text("tag", tag)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()
    return _built(folder, started)


def _tantivy_schema() -> Any:
    from tantivy import SchemaBuilder

    schema = SchemaBuilder()
    schema.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    schema.add_text_field("text", stored=True, tokenizer_name="en_stem")
    for name in (*CARDINALITIES, "tag"):
        schema.add_text_field(
            name, stored=True, fast=True, tokenizer_name="raw", index_option="basic"
        )
    schema.add_date_field("date", stored=True, indexed=True, fast=True)
    return schema.build()


def _built(folder: Path, started: float) -> Built:
    seconds = perf_counter() - started
    size = sum(path.stat().st_size for path in folder.rglob("*"))
    return Built(seconds, size, _kilobytes(Path("/proc/self/status"), "VmHWM") << 10)


def _kilobytes(path: Path, name: str) -> int:
    """Return one figure of a file of the kernel's, in KiB."""
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines())
    return int(lines[name].split()[0])


# Asking


def questions_of(workload: Workload, size: Size) -> list[Question]:
    """Return the requests of a workload: two words of log-uniform rank each, or all documents."""
    if not workload.has_words:
        return [Question(workload, number) for number in range(size.peer_queries)]
    random = np.random.default_rng(SEED)
    words = vocabulary()
    low, high = np.log(RANKS)
    found: list[Question] = []
    while len(found) < size.queries:
        one, other = np.exp(random.uniform(low, high, 2)).astype(int).tolist()
        if one != other:
            found.append(Question(workload, len(found), (one, other), (words[one], words[other])))
    return found


def request_of(question: Question, repeat: int = 0) -> SearchRequest:
    """Return the request; another page number without hits keeps answers out of the cache."""
    workload = question.workload
    filters = tuple(AnyOf(name, values) for name, values in workload.filtered)
    return SearchRequest(
        " ".join(question.words),
        Words.ANY,
        filter=And(filters) if filters else None,
        facets=(FacetRequest(workload.levels, top=TOP),) if workload.levels else (),
        page=1 if workload.hits else 1 + question.number + repeat * 1_000,
        page_size=workload.hits,
    )


def open_ours(folder: Path) -> SearchEngine:
    """Return our engine over an index."""
    from lib.search.engine import EmbeddedSearch
    from lib.search.index import open_index

    return EmbeddedSearch(open_index(folder))


class Tantivy:
    """An index of tantivy and its answers."""

    def __init__(self, folder: Path) -> None:
        import tantivy

        self._tantivy = tantivy
        self._schema = _tantivy_schema()
        self._index = tantivy.Index(self._schema, str(folder))
        self._index.reload()
        self._searcher: Any = self._index.searcher()

    def ask(self, question: Question) -> dict[str, Any]:
        """Return the counts asked for, having read the hits asked for."""
        query = self._query(question)
        if question.workload.hits:
            found = self._searcher.search(query, question.workload.hits, count=False)
            self._show([self._searcher.doc(address) for _, address in found.hits], query)
        levels = question.workload.levels
        return self._searcher.aggregate(query, _aggregation(levels)) if levels else {}

    def _show(self, documents: list[Any], query: Any) -> list[tuple[Any, str, list[Any]]]:
        """Return documents, each with the passage that shows the query and what matched in it."""
        excerpts = self._tantivy.SnippetGenerator.create(
            self._searcher, query, self._schema, "text"
        )
        excerpts.set_max_num_chars(EXCERPT_CHARACTERS)
        shown = []
        for document in documents:
            excerpt = excerpts.snippet_from_doc(document)
            spans = [(span.start, span.end) for span in excerpt.highlighted()]
            shown.append((document.to_dict(), excerpt.fragment(), spans))
        return shown

    def total(self, question: Question) -> int:
        """Return how many documents a request finds."""
        return int(self._searcher.search(self._query(question), 1, count=True).count)

    def _query(self, question: Question) -> Any:
        query = self._tantivy.Query
        occur = self._tantivy.Occur
        if not question.words:
            return query.all_query()
        words = query.boolean_query(
            [
                (occur.Should, query.term_query(self._schema, "text", word))
                for word in question.words
            ]
        )
        filters = [
            (occur.Must, query.const_score_query(query.term_set_query(self._schema, *each), 0.0))
            for each in question.workload.filtered
        ]
        return query.boolean_query([(occur.Must, words), *filters]) if filters else words


def _aggregation(levels: Sequence[str]) -> dict[str, Any]:
    terms = {"field": levels[0], "size": TOP, "segment_size": SEGMENT_SIZE}
    inner = {"aggs": _aggregation(levels[1:])} if levels[1:] else {}
    return {"level": {"terms": terms, **inner}}


class SqlPeer:
    """A database asked in SQL, and how it finds the documents of two words."""

    def __init__(self, connection: Any, matching: str, *, as_text: bool) -> None:
        self._connection = connection
        self._matching = matching
        self._as_text = as_text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, question: Question) -> list[tuple[int, ...]]:
        """Return the codes of each cell and its count."""
        wanted = [
            f"{name} in ({', '.join(value.split()[-1] for value in values)})"
            for name, values in question.workload.filtered
        ]
        if question.words:
            wanted.insert(0, f"number in ({self._matching})")
        levels = ", ".join(question.workload.levels)
        where = f"where {' and '.join(wanted)}" if wanted else ""
        sql = f"select {levels}, count(*) from docs {where} group by {levels}"  # noqa: S608  # ours
        rows: list[tuple[int, ...]] = self._connection.execute(
            sql, self._words(question)
        ).fetchall()
        return rows

    def _words(self, question: Question) -> list[object]:
        if self._as_text and question.words:
            return [" OR ".join(question.words)]
        return list(question.ranks)


def open_duckdb(blocks: Path) -> SqlPeer:
    """Return DuckDB in memory with the facets and ready-made postings of the words asked for."""
    import duckdb
    import pyarrow as pa

    connection = duckdb.connect()
    facets, postings = [], []
    for path in sorted(blocks.glob("*.npz")):
        with np.load(path) as codes:
            facets.append({name: codes[name].astype(np.uint16) for name in CARDINALITIES})
            postings.append(codes["postings"].astype(np.uint32))
    docs = {name: np.concatenate([each[name] for each in facets]) for name in CARDINALITIES}
    docs["number"] = np.arange(len(docs["region"]), dtype=np.uint32)
    pairs = np.concatenate(postings)
    connection.register("facets", pa.table(docs))
    connection.register("pairs", pa.table({"word": pairs[:, 0], "number": pairs[:, 1]}))
    connection.execute("create table docs as select * from facets")
    connection.execute("create table postings as select * from pairs order by word, number")
    return SqlPeer(connection, "select number from postings where word in (?, ?)", as_text=False)


def open_sqlite(blocks: Path, folder: Path) -> SqlPeer:
    """Return SQLite with a table of the facets and an FTS5 index of ready-made stems."""
    folder.mkdir()
    connection = sqlite3.connect(folder / "peer.db")
    connection.execute("pragma journal_mode = off")
    connection.execute("pragma synchronous = off")
    names = ", ".join(CARDINALITIES)
    connection.execute(f"create table docs (number integer primary key, {names})")
    connection.execute(
        "create virtual table words using fts5(stems, content = '', detail = none, columnsize = 0)"
    )
    number = 0
    for path in sorted(blocks.glob("*.npz")):
        with np.load(path) as codes:
            columns = [codes[name].tolist() for name in CARDINALITIES]
        rows = [(number + row, *each) for row, each in enumerate(zip(*columns, strict=True))]
        marks = ", ".join("?" * (1 + len(CARDINALITIES)))
        connection.executemany(f"insert into docs values ({marks})", rows)  # noqa: S608  # marks
        with path.with_suffix(".stems").open() as stems:
            texts = [(number + row, text) for row, text in enumerate(stems)]
        connection.executemany("insert into words (rowid, stems) values (?, ?)", texts)
        number += len(rows)
    connection.commit()
    return SqlPeer(connection, "select rowid from words where words match ?", as_text=True)


# Memory, opening and clients


def _open_ours(folder: Path) -> Callable[[Question], object]:
    engine = open_ours(folder)
    return lambda question: engine.query(request_of(question))


def _open_tantivy(folder: Path) -> Callable[[Question], object]:
    return Tantivy(folder).ask


def serve(
    open_engine: Callable[[Path], Callable[[Question], object]],
    folder: Path,
    questions: Sequence[Question],
) -> Served:
    """Open an index in this process and ask it from eight threads."""
    open_engine(folder)  # what is imported and compiled once
    opened = [_timed(lambda: open_engine(folder)) for _ in range(5)]
    ask = open_engine(folder)
    first = _timed(lambda: ask(questions[0]))
    for question in questions:
        ask(question)
    with ThreadPoolExecutor(CLIENTS) as clients:
        spent = _timed(lambda: list(clients.map(ask, [*questions] * CLIENTS)))
    memory = _kilobytes(Path("/proc/self/status"), "VmRSS") << 10
    return Served(median(opened), first, memory, CLIENTS * len(questions) / (spent / 1000))


def _timed(work: Callable[[], object]) -> float:
    """Return milliseconds."""
    started = perf_counter()
    work()
    return 1000 * (perf_counter() - started)


# Latency


def _times(
    size: Size,
    questions: Sequence[Question],
    ours: SearchEngine,
    tantivy: Tantivy,
    slow: Mapping[str, SqlPeer],
) -> dict[str, list[float]]:
    """Return the best time of each query in each engine, in turns; the counts are equal."""
    times: dict[str, list[float]] = {"ours": [], "tantivy": []}
    for question in questions:
        best = {"ours": np.inf, "tantivy": np.inf}
        total = tantivy.total(question)
        for repeat in range(size.repeats):
            request = request_of(question, repeat)
            started = perf_counter()
            response = ours.query(request)
            between = perf_counter()
            theirs = tantivy.ask(question)
            ended = perf_counter()
            best["ours"] = min(best["ours"], 1000 * (between - started))
            best["tantivy"] = min(best["tantivy"], 1000 * (ended - between))
            _check(question, response, total, paths_of_buckets(theirs))
        for name, time in best.items():
            times[name].append(time)
    if questions[0].workload.levels:
        for name, peer in slow.items():
            times[name] = [
                _sql_time(size, peer, question, ours) for question in questions[: size.peer_queries]
            ]
    return times


def _sql_time(size: Size, peer: SqlPeer, question: Question, ours: SearchEngine) -> float:
    response = ours.query(request_of(question))
    best = np.inf
    for _ in range(min(2, size.repeats)):
        started = perf_counter()
        rows = peer.ask(question)
        best = min(best, 1000 * (perf_counter() - started))
        total = sum(row[-1] for row in rows)
        _check(question, response, total, paths_of_rows(question.workload.levels, rows))
    return float(best)


Paths = dict[tuple[str, ...], int]  # values from the outermost level inwards: documents


def _check(question: Question, ours: SearchResponse, total: int, theirs: Paths) -> None:
    assert ours.total == total, (question, ours.total, total)
    if question.workload.levels:
        assert_equal(paths_of_nodes(ours.facets[0].nodes), theirs)


def assert_equal(ours: Paths, theirs: Paths) -> None:
    """Raise unless counts are equal; of values with equal counts the last shown may differ."""
    for path in ours.keys() & theirs.keys():
        assert ours[path] == theirs[path], (path, ours[path], theirs[path])
    parents = {path[:-1] for path in ours} | {path[:-1] for path in theirs}
    for parent in parents:
        if not parent or (parent in ours and parent in theirs):
            assert _largest(ours, parent) == _largest(theirs, parent), parent


def _largest(paths: Paths, parent: tuple[str, ...]) -> list[int]:
    return sorted((n for path, n in paths.items() if path[:-1] == parent), reverse=True)[:TOP]


def paths_of_nodes(nodes: Sequence[FacetNode], parent: tuple[str, ...] = ()) -> Paths:
    """Return our counts by path."""
    found: Paths = {}
    for node in nodes:
        path = (*parent, str(node.value))
        found |= {path: node.count} | paths_of_nodes(node.children, path)
    return found


def paths_of_buckets(result: Mapping[str, Any], parent: tuple[str, ...] = ()) -> Paths:
    """Return tantivy's counts by path; they must be exact."""
    found: Paths = {}
    level = result.get("level", {"buckets": []})
    assert not level.get("doc_count_error_upper_bound")
    for bucket in level["buckets"]:
        path = (*parent, bucket["key"])
        found |= {path: bucket["doc_count"]} | paths_of_buckets(bucket, path)
    return found


def paths_of_rows(levels: Sequence[str], rows: Sequence[tuple[int, ...]]) -> Paths:
    """Return a database's counts by path, those of outer levels summed."""
    found: Paths = {}
    for *codes, count in rows:
        path = tuple(f"{name} {code}" for name, code in zip(levels, codes, strict=True))
        for depth in range(1, len(path) + 1):
            found[path[:depth]] = found.get(path[:depth], 0) + count
    return found


# Rows


def _built_rows(case: str, built: Mapping[str, Built]) -> list[Row]:
    ours, peer = built["ours"], built["tantivy"]
    return [
        Row(
            case,
            "text in, index out",
            "s",
            "lower",
            round(ours.seconds, 1),
            {"tantivy": round(peer.seconds, 1)},
            "at most tantivy's",
            ours.seconds <= peer.seconds,
        ),
        _figure(case, "index size", "MB", ours.size / 1e6, peer.size / 1e6),
        _figure(case, "most memory while indexing", "MB", ours.memory / 1e6, peer.memory / 1e6),
    ]


def _served_rows(case: str, served: Mapping[str, Served]) -> list[Row]:
    ours, peer = served["ours"], served["tantivy"]
    return [
        Row(
            case,
            "open",
            "ms",
            "lower",
            round(ours.open_ms, 1),
            {"tantivy": round(peer.open_ms, 1)},
            f"under {OPEN_MS:.0f} ms",
            ours.open_ms < OPEN_MS,
        ),
        _figure(case, "first request after it", "ms", ours.first_ms, peer.first_ms),
        _figure(case, "memory after the requests", "MB", ours.memory / 1e6, peer.memory / 1e6),
        Row(
            case,
            f"2 levels from {CLIENTS} threads",
            "requests/s",
            "higher",
            round(ours.per_second),
            {"tantivy": round(peer.per_second)},
        ),
    ]


def _figure(case: str, metric: str, unit: str, ours: float, tantivy: float) -> Row:
    return Row(case, metric, unit, "lower", round(ours, 1), {"tantivy": round(tantivy, 1)})


def _latency_rows(case: str, times: Mapping[str, Sequence[float]], *, judged: bool) -> list[Row]:
    rows = []
    for percent in (50, 95):
        figures = {name: float(np.percentile(each, percent)) for name, each in times.items()}
        ours = figures.pop("ours")
        ratio = figures["tantivy"] / ours
        rows.append(
            Row(
                case,
                f"p{percent}, {ratio:.1f} times as fast as tantivy",
                "ms",
                "lower",
                round(ours, 3),
                {name: round(figure, 3) for name, figure in figures.items()},
                f"{FASTER:.0f} times as fast as tantivy" if judged else "",
                ratio >= FASTER if judged else None,
            )
        )
    return rows
