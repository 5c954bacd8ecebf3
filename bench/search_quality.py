"""nDCG@10 of the search against bm25s on collections with judged questions.

Each collection is indexed by our writer and asked through the engine, as an analyst would: titles
and texts go in, the question as it stands goes in, the ids of ten hits come out. bm25s ranks the
same titles and texts by Lucene's BM25 (k1 1.2, b 0.75) over English stems without stop words. The
ranking's parameters may be fitted on cranfield, cisi and cacm; awsdocs is only scored.
"""

from __future__ import annotations

import json
import lzma
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.result import Row
from bench.summarize_quality import paired_bootstrap
from lib.search.model import MAX_QUERY_CHARACTERS, Document, SearchEngine, SearchRequest, Words

DATA = Path(
    os.environ.get("SIGHTLINE_BENCH_DATA")
    or Path(__file__).resolve().parents[2] / "shared" / "data"
)
HITS = 10
BM25S = {"method": "lucene", "k1": 1.2, "b": 0.75}

Grades = Mapping[str, float]  # of the judged documents of a question


@dataclass(frozen=True)
class Collection:
    """A folder of judged questions, and the nDCG@10 of bm25s published for it."""

    name: str
    least: float
    is_fitted: bool = True


COLLECTIONS = (
    Collection("cranfield", 0.361),
    Collection("cisi", 0.394),
    Collection("cacm", 0.500),
    Collection("awsdocs", 0.688, is_fitted=False),
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
    print("Fitted on cranfield, cisi and cacm; awsdocs is only scored. Any word may match.")
    if quick:
        print("awsdocs is left out: its 26,614 pages take half a minute.")
    rows = []
    for collection in COLLECTIONS:
        if collection.is_fitted or not quick:
            rows += _rows(collection, read_collection(folder / collection.name))
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


def _rows(collection: Collection, judged: Judged) -> list[Row]:
    ours = scores_of(our_ranking(judged), judged.grades)
    theirs = scores_of(bm25s_ranking(judged), judged.grades)
    role = "fitted" if collection.is_fitted else "only scored"
    case = (
        f"{collection.name} ({role}), {len(judged.documents):,} documents, "
        f"{len(judged.questions)} questions"
    )
    mean = round(float(ours.mean()), 3)
    peers = {"bm25s": round(float(theirs.mean()), 3)}
    difference = paired_bootstrap(100 * (ours - theirs))
    return [
        Row(
            case,
            f"nDCG@{HITS}",
            "0 to 1",
            "higher",
            mean,
            peers,
            f"at least {collection.least:.3f}",
            mean >= collection.least,
        ),
        Row(
            case,
            f"nDCG@{HITS} x 100 minus bm25s: {difference}",
            "points",
            "higher",
            round(difference.mean, 2),
            {},
            "at or above bm25s",
            difference.mean >= 0,
        ),
    ]


def our_ranking(judged: Judged) -> Ranking:
    """Return the hits of our engine, from documents to responses."""
    from lib.search.engine import EmbeddedSearch
    from lib.search.index import open_index
    from lib.search.writer import open_writer

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with open_writer(folder) as writer:
            writer.add(judged.documents)
            writer.commit()
        engine = EmbeddedSearch(open_index(folder))
        return [_hits(engine, question) for question in judged.questions]


def _hits(engine: SearchEngine, question: str) -> list[str]:
    request = SearchRequest(
        question[:MAX_QUERY_CHARACTERS], Words.ANY, page_size=HITS, suggest_spelling=False
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
