"""nDCG@10 of the search against bm25s on collections with judged questions.

Each collection is indexed by our writer and asked through the engine, as an analyst would: titles
and texts go in, the question as it stands goes in, the ids of ten hits come out. bm25s ranks the
same titles and texts by Lucene's BM25 (k1 1.2, b 0.75) over English stems without stop words. The
parameters of ranking and re-ranking were fitted on cranfield, cisi and cacm, whose figures are so
in-sample; awsdocs is only scored.
"""

from __future__ import annotations

import json
import lzma
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.result import Row
from bench.summarize_quality import paired_bootstrap
from lib.search.embedding import Embedder, open_embedder
from lib.search.engine import EmbeddedSearch
from lib.search.index import Index, open_index
from lib.search.model import MAX_QUERY_CHARACTERS, Document, SearchEngine, SearchRequest, Words
from lib.search.rerank import Reranker
from lib.search.writer import open_writer

DATA = Path(
    os.environ.get("SIGHTLINE_BENCH_DATA")
    or Path(__file__).resolve().parents[2] / "shared" / "data"
)
HITS = 10
TIMED = 10  # questions
QUICK_RERANKED = {"cacm"}
BM25S = {"method": "lucene", "k1": 1.2, "b": 0.75}

Grades = Mapping[str, float]  # of the judged documents of a question


@dataclass(frozen=True)
class Collection:
    """A folder of judged questions, and the nDCG@10 expected on it.

    `least` is that of bm25s, `least_reranked` that of the same model over the first results of
    bm25s, the better of two mixes.
    """

    name: str
    least: float
    least_reranked: float
    is_fitted: bool = True


COLLECTIONS = (
    Collection("cranfield", 0.361, 0.413),
    Collection("cisi", 0.394, 0.461),
    Collection("cacm", 0.500, 0.562),
    Collection("awsdocs", 0.688, 0.751, is_fitted=False),
)


@dataclass(frozen=True)
class Judged:
    """The documents of a collection, its questions, and the grades of what answers each."""

    documents: list[Document]
    questions: list[str]
    grades: list[Grades]


Ranking = list[list[str]]  # for each question the ids of the hits, the best first


def run(quick: bool) -> list[Row]:  # noqa: FBT001  # the interface of every benchmark
    """Return nDCG@10 on every collection; no rows where the data is absent."""
    folder = DATA / "search"
    if not folder.is_dir():
        print("Skipped: no judged questions here. Set SIGHTLINE_BENCH_DATA to their folder.")
        return []
    print("In-sample on cranfield, cisi and cacm; awsdocs is only scored. Any word may match.")
    if quick:
        print("awsdocs is left out: its 26,614 pages take half a minute. Re-ranked: cacm.")
    rows = []
    for collection in COLLECTIONS:
        if collection.is_fitted or not quick:
            judged = read_collection(folder / collection.name)
            with index_of(judged) as index:
                lexical = scores_of(ranking_of(EmbeddedSearch(index), judged), judged.grades)
                rows += _rows(collection, judged, lexical)
                if not quick or collection.name in QUICK_RERANKED:
                    compared = collection.is_fitted and not quick
                    rows += _reranked_rows(collection, judged, index, lexical, compared=compared)
    return rows


def read_collection(folder: Path) -> Judged:
    """Return a collection; questions that nobody judged are left out."""
    grades: dict[str, dict[str, float]] = defaultdict(dict)
    for line in (folder / "qrels.tsv").read_text().splitlines()[1:]:
        question, document, grade = line.split("\t")
        grades[question][document] = float(grade)
    questions = {each["_id"]: each["text"] for each in _lines(folder / "queries.jsonl")}
    judged = [key for key in questions if any(grades[key].values())]
    return Judged(
        [
            Document(each["_id"], each.get("title", ""), each["text"])
            for path in folder.glob("corpus.jsonl*")
            for each in _lines(path)
        ],
        [questions[key] for key in judged],
        [grades[key] for key in judged],
    )


def _lines(path: Path) -> Iterator[dict[str, str]]:
    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as lines:
        yield from map(json.loads, lines)


def _case(collection: Collection, judged: Judged) -> str:
    role = "in-sample" if collection.is_fitted else "only scored"
    return (
        f"{collection.name} ({role}), {len(judged.documents):,} documents, "
        f"{len(judged.questions)} questions"
    )


def _rows(collection: Collection, judged: Judged, ours: np.ndarray) -> list[Row]:
    case = _case(collection, judged)
    theirs = scores_of(bm25s_ranking(judged), judged.grades)
    peers = {"bm25s": round(float(theirs.mean()), 3)}
    difference = paired_bootstrap(100 * (ours - theirs))
    return [
        _quality(case, "lexical", ours, peers, collection.least),
        Row(
            case,
            f"lexical nDCG@{HITS} x 100 minus bm25s: {difference}",
            "points",
            "higher",
            round(difference.mean, 2),
            {},
            "at or above bm25s",
            difference.mean >= 0,
        ),
    ]


def _quality(
    case: str, order: str, scores: np.ndarray, peers: Mapping[str, float], least: float
) -> Row:
    mean = round(float(scores.mean()), 3)
    return Row(
        case,
        f"{order} nDCG@{HITS}",
        "0 to 1",
        "higher",
        mean,
        peers,
        f"at least {least:.3f}",
        mean >= least,
    )


def _reranked_rows(
    collection: Collection, judged: Judged, index: Index, lexical: np.ndarray, *, compared: bool
) -> list[Row]:
    case = _case(collection, judged)
    ours = _reranked_scores(judged, index, open_embedder())
    peers = {"lexical": round(float(lexical.mean()), 3)}
    if compared:
        exact = _reranked_scores(judged, index, open_embedder(exact=True))
        peers["in 32-bit arithmetic"] = round(float(exact.mean()), 3)
    difference = paired_bootstrap(100 * (ours - lexical))
    first, again, by_words = milliseconds(judged, index)
    return [
        _quality(case, "re-ranked", ours, peers, collection.least_reranked),
        Row(
            case,
            f"re-ranked nDCG@{HITS} x 100 minus lexical: {difference}",
            "points",
            "higher",
            round(difference.mean, 2),
        ),
        Row(
            case,
            f"re-ranked query with nothing embedded before, median of {TIMED}",
            "ms",
            "lower",
            round(first, 1),
            {"asked again": round(again, 1), "lexical": round(by_words, 1)},
        ),
    ]


def _reranked_scores(judged: Judged, index: Index, embedder: Embedder) -> np.ndarray:
    engine = EmbeddedSearch(index, reranker=_loaded(embedder))
    return scores_of(ranking_of(engine, judged, rerank=True), judged.grades)


def milliseconds(judged: Judged, index: Index) -> tuple[float, float, float]:
    """Return what the first questions take re-ranked, asked again, and not re-ranked: medians."""
    taken = []
    for question in judged.questions[:TIMED]:
        engine = EmbeddedSearch(index, reranker=_loaded(open_embedder()))
        _hits(engine, question, rerank=False)  # reads the index
        moments = [time.perf_counter()]
        for rerank in (True, True, False):
            _hits(engine, question, rerank=rerank)
            moments.append(time.perf_counter())
        taken.append(1000 * np.diff(moments))
    first, again, by_words = np.median(taken, axis=0).tolist()
    return first, again, by_words


def _loaded(embedder: Embedder) -> Reranker:
    reranker = Reranker(lambda: embedder)
    reranker.load()
    return reranker


@contextmanager
def index_of(judged: Judged) -> Iterator[Index]:
    """Give an index of the documents on disk, as the product makes it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with open_writer(folder) as writer:
            writer.add(judged.documents)
            writer.commit()
        yield open_index(folder)


def ranking_of(engine: SearchEngine, judged: Judged, *, rerank: bool = False) -> Ranking:
    """Return the hits of our engine."""
    return [_hits(engine, question, rerank=rerank) for question in judged.questions]


def _hits(engine: SearchEngine, question: str, *, rerank: bool) -> list[str]:
    request = SearchRequest(
        question[:MAX_QUERY_CHARACTERS],
        Words.ANY,
        page_size=HITS,
        suggest_spelling=False,
        rerank=rerank,
    )
    return [hit.id for hit in engine.query(request).hits]


def bm25s_ranking(judged: Judged) -> Ranking:
    """Return the hits of bm25s, with its English stop words and the same Snowball stemmer."""
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")

    def tokens(texts: list[str]) -> object:
        return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)

    ranker = bm25s.BM25(**BM25S)
    ranker.index(
        tokens([f"{each.title} {each.text}" for each in judged.documents]), show_progress=False
    )
    found, _ = ranker.retrieve(
        tokens(judged.questions), k=min(HITS, len(judged.documents)), show_progress=False
    )
    return [[judged.documents[number].id for number in hits] for hits in found.tolist()]


def scores_of(ranking: Ranking, grades: Sequence[Grades]) -> np.ndarray:
    """Return the nDCG@10 of each question."""
    return np.array([ndcg(*each) for each in zip(ranking, grades, strict=True)])


def ndcg(hits: Sequence[str], grades: Grades) -> float:
    """Return the discounted cumulative gain of the first ten hits, of that of the best order.

    The gain is the grade itself (Järvelin and Kekäläinen 2002), the discount log2(rank + 1).
    """
    best = sorted(grades.values(), reverse=True)[:HITS]
    return _gain([grades.get(each, 0.0) for each in hits[:HITS]]) / _gain(best)


def _gain(grades: Sequence[float]) -> float:
    return float((np.array(grades) / np.log2(np.arange(2, len(grades) + 2))).sum())
