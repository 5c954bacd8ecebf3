from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.search.embedding import Embedder, EmbeddingError, open_embedder
from lib.search.engine import EmbeddedSearch
from lib.search.model import (
    Access,
    AnyOf,
    AttributeType,
    Document,
    FacetRequest,
    Hit,
    Principals,
    SearchRequest,
    SearchResponse,
    Sort,
    Words,
)
from lib.search.rerank import (
    LOADING,
    MEANING,
    PASSAGES,
    RERANKED,
    Candidate,
    Reranker,
    mixed,
    passages,
)
from tests.search.segments_for_tests import index_of

TYPES = {"tech": AttributeType.STRING, "size": AttributeType.LONG}
TECHNOLOGIES = ("Storage", "Compute", "Databases")
TOPICS = (
    "Encrypt data at rest with a key that you manage.",
    "The data of last month's invoices, and what they cost.",
    "A cluster copies its data to other nodes.",
    "Keys are rotated every year.",
    "",
)
STAFF = Access(Principals(groups=frozenset({"staff"})))
DOCUMENTS = tuple(
    Document(
        f"doc-{n:03}",
        ("", "Data", "Keys and data")[n % 3],
        " ".join([TOPICS[n % 5], f"Part {n}.", "data " * (n % 7), TOPICS[(n // 5) % 5]]),
        attributes={"tech": TECHNOLOGIES[n % 3], "size": n},
        access=STAFF if n % 11 == 0 else Access(),
    )
    for n in range(3 * RERANKED)
)
QUERY = "how do I protect my data"


@cache
def reranker() -> Reranker:
    loaded = Reranker()
    loaded.load()
    return loaded


@cache
def engine() -> EmbeddedSearch:
    return EmbeddedSearch(index_of(DOCUMENTS, TYPES, cuts=(40, 100)), reranker=reranker())


def pages(request: SearchRequest, searched: EmbeddedSearch | None = None) -> list[Hit]:
    """All hits of a request, page by page."""
    hits: list[Hit] = []
    while found := (searched or engine()).query(request).hits:
        hits += found
        request = replace(request, page=request.page + 1)
    return hits


def without_hits(response: SearchResponse) -> SearchResponse:
    return replace(response, hits=(), milliseconds=0.0)


@pytest.mark.parametrize("page_size", [7, 10, RERANKED, 1_000])
def test_only_the_first_results_change_places_and_none_is_lost(page_size: int) -> None:
    request = SearchRequest(QUERY, Words.ANY, page_size=page_size)
    by_words, by_meaning = pages(request), pages(replace(request, rerank=True))
    assert len(by_words) > RERANKED
    assert by_meaning[RERANKED:] == by_words[RERANKED:]
    assert by_meaning != by_words
    assert sorted(hit.id for hit in by_meaning) == sorted(hit.id for hit in by_words)
    assert {hit.id: hit for hit in by_meaning} == {hit.id: hit for hit in by_words}


REQUESTS = st.builds(
    lambda tech, **options: SearchRequest(
        filter=AnyOf("size", tuple(range(0, 140, 2))),
        facets=(FacetRequest(("tech",), ((tech,),) if tech else ()), FacetRequest(("size",))),
        **options,
    ),
    tech=st.sampled_from([None, *TECHNOLOGIES]),
    query=st.lists(
        st.sampled_from(["data", "keys", "encrypt", "clusters", '"last month"', "inv*", "dta~"]),
        max_size=4,
    ).map(" ".join),
    words=st.sampled_from(Words),
    page=st.integers(1, 8),
    page_size=st.integers(0, 60),
    user=st.sampled_from([None, Principals(groups=frozenset({"staff"}))]),
)


@settings(max_examples=30)
@given(REQUESTS)
def test_counts_totals_and_who_may_find_what_stay_as_they_are(request: SearchRequest) -> None:
    by_words, by_meaning = engine().query(request), engine().query(replace(request, rerank=True))
    assert without_hits(by_meaning) == without_hits(by_words)
    assert len(by_meaning.hits) == len(by_words.hits)
    everything = {hit.id for hit in pages(replace(request, page=1, page_size=100))}
    assert {hit.id for hit in by_meaning.hits} <= everything


def test_a_sort_and_an_empty_query_leave_nothing_to_re_rank() -> None:
    for request in (SearchRequest(QUERY, sort=(Sort("size", descending=True),)), SearchRequest()):
        expected = engine().query(request)
        found = engine().query(replace(request, rerank=True))
        assert replace(found, milliseconds=0) == replace(expected, milliseconds=0)


def test_what_answers_the_question_comes_before_what_repeats_its_word() -> None:
    documents = (
        Document("repeats", "Data", "Data of data with data about data. " * 3),
        Document("answers", "Encryption", "To keep data safe from readers, encrypt it with a key."),
        Document("other", "Invoices", "Data of last month's bill."),
    )
    searched = EmbeddedSearch(index_of(documents), reranker=reranker())
    request = SearchRequest(QUERY, Words.ANY)
    assert searched.query(request).hits[0].id == "repeats"
    assert searched.query(replace(request, rerank=True)).hits[0].id == "answers"


def test_a_long_document_is_judged_by_the_passage_that_matches() -> None:
    filler = "Nothing of note is said about the weather of that day. " * 40
    answer = "Data are protected from strangers by encrypting them with your own key. "
    documents = (
        Document("long", "", filler + answer * 4 + filler),
        Document("short", "", "The weather data of that day, and of the next."),
    )
    searched = EmbeddedSearch(index_of(documents), reranker=reranker())
    request = SearchRequest("protect data", Words.ANY, rerank=True)
    assert [hit.id for hit in searched.query(request).hits] == ["long", "short"]


@pytest.mark.parametrize(
    "query", ["*", '""', "~", "data " * 399, "dat\0a 😀", "データ", '"data" *~']
)
def test_odd_queries_are_answered(query: str) -> None:
    by_words = engine().query(SearchRequest(query, Words.ANY))
    by_meaning = engine().query(SearchRequest(query, Words.ANY, rerank=True))
    assert by_meaning.total == by_words.total
    assert len(by_meaning.hits) == len(by_words.hits)


def test_a_query_of_ten_thousand_characters_is_refused_with_the_limit() -> None:
    with pytest.raises(ValueError, match="2,000"):
        SearchRequest("x" * 10_000, rerank=True)
    assert reranker().order("x" * 10_000, [Candidate(1.0, ("a",))]) == [0]


def test_until_there_is_a_model_results_are_in_order_of_relevance_and_say_so() -> None:
    searched = EmbeddedSearch(index_of(DOCUMENTS, TYPES), reranker=Reranker())
    request = SearchRequest(QUERY, Words.ANY)
    found = searched.query(replace(request, rerank=True))
    assert found.hits == searched.query(request).hits
    assert LOADING in found.notes
    searched.warm()
    later = searched.query(replace(request, rerank=True))
    assert later.hits != found.hits
    assert LOADING not in later.notes


def test_a_model_that_cannot_be_loaded_says_why() -> None:
    def broken() -> Embedder:
        raise EmbeddingError("The file is gone. Install it again.")

    without = Reranker(broken)
    without.load()
    searched = EmbeddedSearch(index_of(DOCUMENTS, TYPES), reranker=without)
    *_, note = searched.query(SearchRequest(QUERY, Words.ANY, rerank=True)).notes
    assert "The file is gone." in note
    assert "order of relevance" in note


def test_what_is_embedded_ahead_can_be_given_up_and_gives_the_same_order() -> None:
    request = SearchRequest(QUERY, Words.ANY, rerank=True)
    expected = engine().query(request).hits
    fresh = Reranker()
    fresh.load()
    searched = EmbeddedSearch(index_of(DOCUMENTS, TYPES, cuts=(40, 100)), reranker=fresh)
    assert 0 < next(iter(searched.embed_ahead(request))) < 1
    parts = list(searched.embed_ahead(request))
    assert parts == sorted(parts)
    assert parts[-1] == 1
    assert searched.query(request).hits == expected


@pytest.mark.parametrize(
    "request_",
    [
        SearchRequest(QUERY),
        SearchRequest(rerank=True),
        SearchRequest(QUERY, rerank=True, sort=(Sort("size"),)),
        SearchRequest(QUERY, rerank=True, page_size=0),
        SearchRequest(QUERY, rerank=True, page=1 + RERANKED // 10),
    ],
)
def test_nothing_is_embedded_that_nobody_compares(request_: SearchRequest) -> None:
    assert not list(engine().embed_ahead(request_))


def test_passages_are_embedded_once() -> None:
    texts: list[str] = []

    class Counting(Embedder):
        def embed(self, text: str) -> np.ndarray:
            texts.append(text)
            return super().embed(text)

    real = open_embedder()
    counting = Reranker(lambda: Counting(real._tokenizer, real._session))
    counting.load()
    searched = EmbeddedSearch(index_of(DOCUMENTS, TYPES), reranker=counting)
    request = SearchRequest(QUERY, Words.ANY, rerank=True)
    searched.query(request)
    assert texts
    assert len(texts) == len(set(texts))
    embedded = len(texts)
    searched.query(replace(request, page=2))
    searched.query(replace(request, page=9))  # beyond what is re-ranked
    searched.query(replace(request, page_size=0))
    assert len(texts) == embedded


# --------------------------------------------------------------------------------- brute force


numbers = st.floats(0, 100, allow_nan=False)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20))
def test_the_mix_is_the_weighted_mean_of_both_stretched_to_one(
    scores: list[tuple[float, float]],
) -> None:
    def stretched(of: Sequence[float], value: float) -> float:
        return (value - min(of)) / (max(of) - min(of)) if max(of) > min(of) else 0.0

    words, nearness = [list(column) for column in zip(*scores, strict=True)]
    expected = [
        0.4 * stretched(words, one) + 0.6 * stretched(nearness, other) for one, other in scores
    ]
    assert pytest.approx(0.6) == MEANING
    assert mixed(np.array(words), np.array(nearness)).tolist() == pytest.approx(expected, abs=1e-9)


def test_the_order_is_that_of_the_mix_computed_from_embeddings() -> None:
    embed = open_embedder().embed
    texts = [(TOPICS[n % 4], TOPICS[(n * 3 + 1) % 5]) for n in range(8)]
    scores = [1.0, 0.5, 0.5, 2.0, 0.1, 1.9, 0.0, 1.0]
    asked = embed("keep data safe")
    near = [max(float(asked @ embed(text)) for text in each) for each in texts]
    mix = mixed(np.array(scores), np.array(near)).tolist()
    expected = sorted(range(8), key=lambda n: (-mix[n], n))
    candidates = [Candidate(score, each) for score, each in zip(scores, texts, strict=True)]
    assert reranker().order('"keep" data* safe~', candidates) == expected
    assert reranker().order("keep data safe", []) == []


@given(
    st.lists(st.text("ab ", min_size=1, max_size=9), max_size=500).map(" ".join),
    st.sets(st.integers(0, 2_000), max_size=30),
)
def test_passages_are_the_windows_of_a_hundred_words_with_the_most_clauses(
    text: str, places: set[int]
) -> None:
    matches = [(at, at + 1, at % 4) for at in sorted(places) if at < len(text)]
    words = list(re.finditer(r"\S+", text))
    starts = [words[n].start() for n in range(0, len(words), 100)] or [0]
    windows = [
        (len({n for at, _, n in matches if start <= at < end}), -start, text[start:end])
        for start, end in zip(starts, [*starts[1:], len(text)], strict=True)
    ]
    expected = [window.strip() for _, _, window in sorted(windows, reverse=True)[:PASSAGES]]
    assert [p.removeprefix("Title\n").strip() for p in passages("Title", text, matches)] == expected


def test_a_text_without_spaces_gives_passages_of_bounded_size() -> None:
    found = passages("", "東" * 1_000_000, [(900_000, 900_001, 0)])
    assert len(found) == PASSAGES
    assert all(len(passage) <= 8_001 for passage in found)
    assert passages("Only a title", "", []) == ("Only a title\n",)
