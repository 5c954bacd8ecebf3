from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import Stemmer

from bench import search, search_quality
from bench.search import (
    BLOCK,
    SUFFIXES,
    WORKLOADS,
    Question,
    Size,
    assert_equal,
    block_of,
    paths_of_buckets,
    paths_of_nodes,
    paths_of_rows,
    questions_of,
    read_records,
    request_of,
    write_blocks,
)
from bench.search_quality import Collection, ndcg, read_collection
from lib.search.model import FacetNode

TINY = Size(documents=400, words=30, queries=3, repeats=1, peer_queries=2)


@pytest.fixture
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the generated language small, so that a few documents hold the words asked for."""
    monkeypatch.setattr(search, "BASES", 300)
    monkeypatch.setattr(search, "RANKS", (5, 100))
    for cached in (search.vocabulary, search._cumulative):
        cached.cache_clear()


@pytest.mark.usefixtures("few_words")
def test_every_form_has_its_word_as_stem() -> None:
    stem = Stemmer.Stemmer("english").stemWord
    words = search.vocabulary()
    assert len(set(words)) == 300
    assert {stem(word + suffix) for word in words for suffix in SUFFIXES} == set(words)


@pytest.mark.usefixtures("few_words")
def test_documents_are_the_same_every_time_and_frequent_words_come_first() -> None:
    block, again = block_of(0, 500, 40), block_of(0, 500, 40)
    assert np.array_equal(block.bases, again.bases)
    assert not np.array_equal(block.bases, block_of(BLOCK, 500, 40).bases)
    assert (block.facets["service"] % 60 == block.facets["technology"]).all()
    assert (block.tags[:, 0] != block.tags[:, 1]).all()
    counts = np.bincount(block.bases.ravel(), minlength=300)
    assert counts[:30].mean() > 3 * counts[200:].mean()


@pytest.mark.usefixtures("few_words")
def test_what_is_written_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BLOCK", 150)
    write_blocks(TINY, tmp_path / "blocks", [7])
    records = list(read_records(tmp_path / "blocks"))
    assert [record.number for record in records] == list(range(400))
    assert {len(record.text.split()) for record in records} == {30}
    second = block_of(150, 150, 30)
    assert records[150].facets["region"] == f"region {second.facets['region'][0]}"
    with np.load(tmp_path / "blocks" / "000000150.npz") as codes:
        holders = 150 + np.flatnonzero((second.bases == 7).any(axis=1))
        assert codes["postings"].tolist() == [[7, number] for number in holders.tolist()]


@pytest.mark.usefixtures("few_words")
def test_requests_without_hits_are_never_the_same_and_draw_two_words() -> None:
    nested, everything = WORKLOADS[0], next(each for each in WORKLOADS if not each.has_words)
    for question in questions_of(nested, TINY):
        assert len(set(question.words)) == 2
        assert all(5 <= rank <= 100 for rank in question.ranks)
    requests = [request_of(q, repeat) for q in questions_of(everything, TINY) for repeat in (0, 1)]
    assert len(set(requests)) == len(requests)
    assert {request.query for request in requests} == {""}


def test_counts_are_compared_by_path_but_ties_may_differ() -> None:
    nodes = (FacetNode("a 1", 5, children=(FacetNode("b 1", 3), FacetNode("b 2", 2))),)
    buckets = {
        "level": {
            "doc_count_error_upper_bound": 0,
            "buckets": [
                {
                    "key": "a 1",
                    "doc_count": 5,
                    "level": {
                        "buckets": [
                            {"key": "b 1", "doc_count": 3},
                            {"key": "b 3", "doc_count": 2},
                        ]
                    },
                }
            ],
        }
    }
    ours, theirs = paths_of_nodes(nodes), paths_of_buckets(buckets)
    assert ours == {("a 1",): 5, ("a 1", "b 1"): 3, ("a 1", "b 2"): 2}
    assert_equal(ours, theirs)
    assert_equal(ours, paths_of_rows(("a", "b"), [(1, 1, 3), (1, 2, 2)]))
    with pytest.raises(AssertionError):
        assert_equal(ours, {("a 1",): 5, ("a 1", "b 1"): 2, ("a 1", "b 2"): 3})
    with pytest.raises(AssertionError):
        assert_equal(ours, theirs | {("a 2",): 9})


def test_approximate_counts_of_tantivy_are_refused() -> None:
    with pytest.raises(AssertionError):
        paths_of_buckets({"level": {"doc_count_error_upper_bound": 3, "buckets": []}})


@pytest.mark.usefixtures("few_words")
def test_all_engines_count_the_same_and_every_row_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_apart", lambda work, *arguments: work(*arguments))
    rows = search._rows(TINY, tmp_path)
    assert len(rows) == 3 + 4 + 2 * len(WORKLOADS)
    assert {row.metric for row in rows if row.goal} == {"text in, index out", "open"}
    nested = next(row for row in rows if row.case.endswith("2 levels (480 cells)"))
    assert set(nested.peers) == {"tantivy", "DuckDB", "SQLite FTS5"}


def test_goals_of_the_latencies_are_five_times_tantivy() -> None:
    times = {"ours": [1.0, 1.0], "tantivy": [5.0, 5.0]}
    assert all(row.met for row in search._latency_rows("", times, judged=True))
    times["tantivy"] = [4.9, 4.9]
    assert not any(row.met for row in search._latency_rows("", times, judged=True))


def test_a_size_that_would_take_too_long_is_left_out() -> None:
    large = Size(10_000_000, 16, 1, 1, 1)
    assert "minutes" in search._hindrance(large, spent=3_600)
    assert search._hindrance(TINY, spent=3_600) == ""


def test_a_question_shows_its_case() -> None:
    assert str(TINY) == "400 documents of 30 words"
    assert Question(WORKLOADS[0], 0).words == ()


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Return a folder of three documents and two questions, one of which nobody judged."""
    folder = tmp_path / "search" / "tiny"
    folder.mkdir(parents=True)
    documents = [
        {"_id": "a", "title": "Wings", "text": "lift of wings in a slipstream"},
        {"_id": "b", "title": "Heat", "text": "heat flows through a plate"},
        {"_id": "c", "title": "Plates", "text": "plates under load buckle"},
    ]
    questions = [{"_id": "1", "text": "how do plates heat?"}, {"_id": "2", "text": "wings"}]
    for name, lines in (("corpus", documents), ("queries", questions)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n1\tb\t3\n1\tc\t1\n")
    return folder


def test_gain_is_linear_and_the_best_order_scores_one() -> None:
    grades = {"b": 3.0, "c": 1.0}
    assert ndcg(["b", "c"], grades) == 1
    swapped = (1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3))
    assert ndcg(["c", "b"], grades) == pytest.approx(swapped)
    assert ndcg(["x"] * 10 + ["b"], grades) == 0


def test_our_rankings_and_that_of_bm25s_are_scored_end_to_end(
    collection: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_collection(collection).questions == ["how do plates heat?"]
    monkeypatch.setattr(search_quality, "DATA", collection.parents[1])
    monkeypatch.setattr(search_quality, "COLLECTIONS", (Collection("tiny", 0.9, 1.1),))
    score, difference, reranked, gain, milliseconds = search_quality.run(quick=False)
    assert score.ours == 1
    assert score.peers == {"bm25s": 1}
    assert score.met
    assert difference.met
    assert reranked.ours == 1
    assert reranked.peers == {"lexical": 1, "in 32-bit arithmetic": 1}
    assert reranked.met is False
    assert gain.ours == 0
    assert milliseconds.ours > 0


def test_a_quick_run_re_ranks_one_collection(
    collection: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_quality, "DATA", collection.parents[1])
    monkeypatch.setattr(search_quality, "COLLECTIONS", (Collection("tiny", 0.9, 1.1),))
    assert len(search_quality.run(quick=True)) == 2
    monkeypatch.setattr(search_quality, "QUICK_RERANKED", {"tiny"})
    assert len(search_quality.run(quick=True)) == 5


def test_without_the_collections_there_are_no_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_quality, "DATA", tmp_path)
    assert search_quality.run(quick=True) == []
