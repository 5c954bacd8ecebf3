from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Event

import bm25s
import numpy as np
import pytest
import tantivy
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.search.analysis import stem, words_of
from lib.search.columns import SegmentView
from lib.search.engine import EmbeddedSearch
from lib.search.index import open_index
from lib.search.match import Bm25, within_one_edit
from lib.search.model import (
    Access,
    AllOf,
    And,
    AnyOf,
    AttributeType,
    Document,
    FacetRequest,
    Filter,
    HistogramRequest,
    Not,
    Or,
    Principals,
    QueryError,
    Range,
    SearchRequest,
    Sort,
    Value,
    Words,
)
from lib.search.spelling import Speller
from lib.search.writer import open_writer
from tests.search.contract import DOCUMENTS, SearchEngineContract
from tests.search.contract import TYPES as CONTRACT_TYPES
from tests.search.oracle import expected_facet, expected_hits, satisfies
from tests.search.segments_for_tests import MemoryIndex, index_of

WORDS = ["encrypt", "encrypted", "data", "bucket", "key", "keys", "cluster", "of", "the", "query"]
TYPES = {
    "tech": AttributeType.STRING,
    "kind": AttributeType.STRING,
    "tags": AttributeType.STRING_LIST,
    "size": AttributeType.LONG,
    "date": AttributeType.DATE,
}


def day(year: int, month: int = 1, date: int = 1) -> datetime:
    return datetime(year, month, date, tzinfo=UTC)


GUIDE = Document(
    "guide",
    "Encrypting data",
    "How to encrypt data at rest. The access key opens it.",
    "https://guide",
    {"tech": "Storage", "kind": "Guide", "tags": ("a", "b"), "size": 3, "date": day(2020)},
)
MANUAL = Document(
    "manual",
    "Clusters",
    "A cluster runs data jobs; a key access is refused.",
    attributes={"tech": "Compute", "kind": "Guide", "tags": ("b",), "size": 1, "date": day(2021)},
)
NOTE = Document("note", "Notes", "Nothing but encryption and naïve café words.")


def engine(*documents: Document, **options: float) -> EmbeddedSearch:
    return EmbeddedSearch(index_of(documents, TYPES), Bm25(**options))


def ids(search: EmbeddedSearch, query: str = "", **request: object) -> list[str]:
    wanted = SearchRequest(query, **request)  # type: ignore[arg-type]  # passed through
    return [hit.id for hit in search.query(wanted).hits]


@pytest.fixture(scope="module")
def contract_index() -> MemoryIndex:
    return index_of(DOCUMENTS, CONTRACT_TYPES, [len(DOCUMENTS) // 2])


class TestContract(SearchEngineContract):
    @pytest.fixture
    def engine(self, contract_index: MemoryIndex) -> EmbeddedSearch:
        return EmbeddedSearch(contract_index)


texts = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)
people = st.frozensets(st.sampled_from(["ann", "bob"]), max_size=1)
principals = st.builds(Principals, people, people)


@st.composite
def corpora(draw: st.DrawFn) -> list[Document]:
    optional: dict[str, st.SearchStrategy[Value]] = {
        "tech": st.sampled_from("XYZ"),
        "kind": st.sampled_from(["p", "q", "Q"]),
        "tags": st.lists(st.sampled_from("abc"), max_size=3, unique=True).map(tuple),
        "size": st.integers(-5, 5),
        "date": st.builds(day, st.integers(1969, 1972), st.integers(1, 12)),
    }
    size = draw(st.integers(1, 12))
    return [
        Document(
            str(number),
            draw(texts),
            draw(texts),
            attributes=draw(st.fixed_dictionaries({}, optional=optional)),
            access=draw(st.just(Access()) | st.builds(Access, principals, principals)),
        )
        for number in range(size)
    ]


ranges = st.builds(
    Range,
    st.just("size"),
    st.none() | st.integers(-6, 6),
    st.none() | st.integers(-6, 6),
    st.booleans(),
    st.booleans(),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    st.builds(AnyOf, st.just("tech"), st.lists(st.sampled_from("XYZW"), max_size=2).map(tuple))
    | st.builds(AnyOf, st.just("tags"), st.lists(st.sampled_from("abcd"), max_size=2).map(tuple))
    | st.builds(AnyOf, st.just("size"), st.lists(st.integers(-5, 5), max_size=3).map(tuple))
    | st.builds(AllOf, st.just("tags"), st.lists(st.sampled_from("abcd"), max_size=3).map(tuple))
    | ranges,
    lambda parts: (
        st.builds(Not, parts)
        | st.builds(And, st.lists(parts, max_size=2).map(tuple))
        | st.builds(Or, st.lists(parts, max_size=2).map(tuple))
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(
    corpora(),
    st.lists(st.sampled_from([*WORDS, "absent"]), max_size=5).map(" ".join),
    st.sampled_from(Words),
    st.none() | filters,
    st.none() | principals,
    st.integers(0, 12),
)
def test_finds_what_brute_force_finds_whatever_the_segments(  # noqa: PLR0913, PLR0917 - drawn
    documents: list[Document],
    query: str,
    words: Words,
    wanted: Filter | None,
    user: Principals | None,
    cut: int,
) -> None:
    request = SearchRequest(query, words, wanted, user=user, page_size=50)
    whole = EmbeddedSearch(index_of(documents, TYPES)).query(request)
    parts = EmbeddedSearch(index_of(documents, TYPES, [min(cut, len(documents))])).query(request)
    assert {hit.id for hit in whole.hits} == expected_hits(documents, request)
    assert whole.total == len(whole.hits)
    assert replace(parts, milliseconds=0) == replace(whole, milliseconds=0)


@settings(max_examples=60, deadline=None)
@given(corpora(), st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join))
def test_pages_are_pieces_of_one_ranking(documents: list[Document], query: str) -> None:
    search = EmbeddedSearch(index_of(documents, TYPES, [len(documents) // 2]))
    user = Principals(frozenset({"ann"}))
    request = SearchRequest(query, Words.ANY, page_size=50, user=user)
    ranking = search.query(request).hits
    pages = [search.query(replace(request, page_size=2, page=n)).hits for n in range(1, 8)]
    assert [hit for page in pages for hit in page] == list(ranking)
    assert [hit.score for hit in ranking] == sorted((h.score for h in ranking), reverse=True)


def random_corpus(count: int, seed: int = 5) -> list[Document]:
    random = np.random.default_rng(seed)
    vocabulary = [f"w{n}" for n in range(300)]
    shares = 1 / np.arange(1, 301)
    shares /= shares.sum()
    return [
        Document(
            str(n),
            "",
            " ".join(random.choice(vocabulary, random.integers(5, 60), p=shares)),
            attributes={
                "tech": f"t{random.integers(12)}",
                "kind": f"k{random.integers(5)}",
                "size": int(random.integers(40)),
            },
        )
        for n in range(count)
    ]


CORPUS = random_corpus(3_000)


@cache
def corpus_index(*cuts: int) -> MemoryIndex:
    return index_of(CORPUS, cuts=cuts)


QUERIES = ["w0 w1", "w3 w40", "w90 w1 w7", "w200", "w5 w5 w80", "w2 w9 w14 w33 w60 w120"]


def tantivy_searcher() -> tuple[tantivy.Index, tantivy.Searcher]:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", tokenizer_name="whitespace")
    builder.add_text_field("id", stored=True, tokenizer_name="raw")
    for name in ("tech", "kind"):
        builder.add_text_field(name, fast=True, tokenizer_name="raw")
    index = tantivy.Index(builder.build())
    writer = index.writer(50_000_000, 1)
    for document in CORPUS:
        values = {name: str(document.attributes[name]) for name in ("tech", "kind")}
        writer.add_document(tantivy.Document(id=document.id, text=document.text, **values))
    writer.commit()
    index.reload()
    return index, index.searcher()


def test_nested_counts_are_those_of_tantivy() -> None:
    search = EmbeddedSearch(corpus_index(1_000))
    index, searcher = tantivy_searcher()
    terms = {"size": 100, "segment_size": 100}
    inner = {"kind": {"terms": {"field": "kind", **terms}}}
    outer = {"tech": {"terms": {"field": "tech", **terms}, "aggs": inner}}
    facet = FacetRequest(("tech", "kind"), top=None)
    for query in QUERIES:
        for words, joined in ((Words.ANY, query), (Words.ALL, query.replace(" ", " AND "))):
            found = searcher.aggregate(index.parse_query(joined, ["text"]), outer)
            expected = {
                (parent["key"], child["key"]): child["doc_count"]
                for parent in found["tech"]["buckets"]
                for child in parent["kind"]["buckets"]
            }
            response = search.query(SearchRequest(query, words, facets=(facet,)))
            counts = {
                (parent.value, child.value): child.count
                for parent in response.facets[0].nodes
                for child in parent.children
            }
            assert counts == expected
            assert response.total == sum(expected.values())


def test_scores_are_those_of_bm25s() -> None:
    search = EmbeddedSearch(corpus_index(700, 1_500), Bm25(exact_share=0))
    retriever = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    retriever.index([document.text.split() for document in CORPUS], show_progress=False)
    for query in QUERIES:
        expected = retriever.get_scores(query.split())
        for page_size in (10, 200):
            hits = search.query(SearchRequest(query, Words.ANY, page_size=page_size)).hits
            best = np.sort(expected)[::-1][: len(hits)]
            assert [hit.score for hit in hits] == pytest.approx(best.tolist(), rel=1e-5)
            assert [hit.score for hit in hits] == pytest.approx(
                [expected[int(hit.id)] for hit in hits], rel=1e-5
            )


@pytest.mark.parametrize("words", list(Words))
@pytest.mark.parametrize("wanted", [None, Range("size", 3, 9), Range("size", 5, None)])
def test_the_page_holds_the_best_of_the_filtered(words: Words, wanted: Filter | None) -> None:
    search = EmbeddedSearch(corpus_index())
    held = {document.id for document in CORPUS if wanted is None or satisfies(document, wanted)}
    for query in QUERIES:
        everything = search.query(SearchRequest(query, words, page_size=1_000))
        rest = [
            search.query(SearchRequest(query, words, page_size=1_000, page=page)).hits
            for page in (2, 3)
        ]
        ranked = [h for h in [*everything.hits, *rest[0], *rest[1]] if h.id in held]
        response = search.query(SearchRequest(query, words, filter=wanted, page_size=7))
        assert list(response.hits) == ranked[:7]
        assert response.total == len(ranked)


def test_forms_as_written_score_more_than_other_forms_of_the_stem() -> None:
    documents = [
        Document("other", "", "encrypting rest words"),
        Document("same", "", "encrypted rest words"),
        Document("none", "", "more rest words"),
    ]
    assert ids(engine(*documents), "encrypted") == ["same", "other"]
    scores = engine(*documents, exact_share=0).query(SearchRequest("encrypted")).hits
    assert scores[0].score == scores[1].score


def test_a_repeated_word_counts_as_often() -> None:
    documents = [Document("a", "", "apple"), Document("b", "", "berry"), Document("c", "", "c")]
    once, twice = (
        {h.id: h.score for h in engine(*documents).query(SearchRequest(q, Words.ANY)).hits}
        for q in ("apple berry", "apple apple berry")
    )
    assert twice["a"] == pytest.approx(2 * once["a"])
    assert twice["b"] == once["b"]


def test_most_words_are_two_thirds_of_those_that_exist() -> None:
    search = engine(GUIDE, MANUAL, NOTE)
    assert ids(search, "encrypt data key unheard") == ["guide", "manual"]
    response = search.query(SearchRequest("encrypt data key unheard"))
    assert "No document holds “unheard”." in response.notes
    assert ids(search, "encrypt data key unheard", words=Words.ALL) == []
    assert set(ids(search, "encrypt cluster", words=Words.ANY)) == {"guide", "manual", "note"}


def test_stop_words_match_only_alone() -> None:
    search = engine(GUIDE, MANUAL, NOTE)
    assert ids(search, "how to encrypt", words=Words.ALL) == ["guide", "note"]
    assert ids(search, "how to", words=Words.ALL) == ["guide"]


def test_phrases_follow_the_order_of_words_and_stay_in_title_or_text() -> None:
    search = engine(GUIDE, MANUAL, NOTE)
    assert ids(search, '"access key"') == ["guide"]
    assert ids(search, '"key access"') == ["manual"]
    assert ids(search, '"data how"') == []
    assert ids(search, '"naïve café"') == ["note"]
    assert ids(search, '"encrypt data at rest" cluster', words=Words.ANY) == ["guide", "manual"]


def test_a_phrase_counts_each_time_it_stands() -> None:
    documents = [
        Document("once", "", "a b a c c c b"),
        Document("twice", "", "a b a b c c c"),
        Document("never", "", "b a a c c c b"),
    ]
    assert ids(engine(*documents), '"a b"') == ["twice", "once"]
    assert ids(engine(*documents), '"a b a"') == ["once", "twice"]


def test_prefix_and_fuzzy_words() -> None:
    search = engine(GUIDE, MANUAL, NOTE)
    assert set(ids(search, "encr*")) == {"guide", "note"}
    assert ids(search, "clustre~") == ["manual"]
    assert ids(search, "cafe~") == ["note"]
    assert ids(search, "encrypt~") == ["guide"]


@given(st.text("abé漢", max_size=6), st.text("abé漢", max_size=6))
def test_one_edit_is_what_the_definition_says(left: str, right: str) -> None:
    edits = {left}
    for i in range(len(left) + 1):
        edits.update(left[:i] + letter + left[i:] for letter in "abé漢")
        edits.update(left[:i] + letter + left[i + 1 :] for letter in "abé漢")
        edits.add(left[:i] + left[i + 1 :])
        edits.add(left[:i] + left[i : i + 2][::-1] + left[i + 2 :])
    assert within_one_edit(left, right) == (right in edits)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text("abé漢", min_size=1, max_size=4), min_size=1, max_size=8),
    st.text("abé", min_size=1, max_size=4),
)
def test_fuzzy_words_find_every_form_one_edit_away(forms: list[str], word: str) -> None:
    documents = [Document(str(n), "", form) for n, form in enumerate(forms)]
    expected = {
        str(n)
        for n, form in enumerate(forms)
        if any(within_one_edit(each, word) for each, _, _ in words_of(form))
    }
    assert set(ids(engine(*documents), f"{word}~")) == expected


@pytest.mark.parametrize(
    "query", ['"open', "*", "~", '""', "a * b", "(", "\x00\x01", "\ud800", "''"]
)
def test_syntax_errors_never_fail(query: str) -> None:
    response = engine(GUIDE, MANUAL).query(SearchRequest(query))
    assert isinstance(response.total, int)
    assert all(note.endswith(".") for note in response.notes)


@given(st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_no_query_fails(query: str) -> None:
    engine(GUIDE, MANUAL, NOTE).query(SearchRequest(query))


def test_unknown_attributes_are_named_with_the_nearest() -> None:
    search = engine(GUIDE)
    for request in (
        SearchRequest(facets=(FacetRequest(("tehc",)),)),
        SearchRequest(filter=AnyOf("tehc", ("x",))),
        SearchRequest(sort=(Sort("tehc"),)),
        SearchRequest(histograms=(HistogramRequest("tehc", 1),)),
    ):
        with pytest.raises(QueryError, match=r"no attribute “tehc”.*“tech”"):
            search.query(request)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (SearchRequest(filter=AnyOf("tech", (1,))), "holds strings"),
        (SearchRequest(filter=AnyOf("size", ("x",))), "whole number"),
        (SearchRequest(filter=AnyOf("size", (day(2020),))), "whole number"),
        (SearchRequest(filter=Range("date", 3)), "date"),
        (SearchRequest(filter=Range("tech", 3)), "number or a date"),
        (SearchRequest(filter=AllOf("tech", ("x",))), "any of"),
        (SearchRequest(sort=(Sort("tags"),)), "several values"),
        (SearchRequest(histograms=(HistogramRequest("date", 1),)), "needs a unit"),
        (SearchRequest(histograms=(HistogramRequest("size"),)), "step above 0"),
        (SearchRequest(histograms=(HistogramRequest("tech", 1),)), "strings"),
    ],
)
def test_wrong_types_are_refused(request_: SearchRequest, sentence: str) -> None:
    with pytest.raises(QueryError, match=sentence):
        engine(GUIDE).query(request_)


def test_dates_are_filtered_to_the_microsecond() -> None:
    search = engine(GUIDE, MANUAL, NOTE)
    assert ids(search, filter=AnyOf("date", (day(2020),))) == ["guide"]
    assert ids(search, filter=AnyOf("date", (day(2020).replace(tzinfo=None),))) == ["guide"]
    assert ids(search, filter=Range("date", day(2020), low_included=False)) == ["manual"]
    assert ids(search, filter=Range("date", high=day(2021), high_included=False)) == ["guide"]


def test_sorting_puts_missing_values_last_either_way() -> None:
    search = engine(NOTE, GUIDE, MANUAL)
    assert ids(search, sort=(Sort("size"),)) == ["manual", "guide", "note"]
    assert ids(search, sort=(Sort("size", descending=True),)) == ["guide", "manual", "note"]
    assert ids(search, sort=(Sort("tech"),)) == ["manual", "guide", "note"]
    assert ids(search, sort=(Sort("kind"), Sort("date", descending=True))) == [
        "manual",
        "guide",
        "note",
    ]
    assert ids(search, sort=(Sort("size"),), page_size=1, page=2) == ["guide"]


@settings(max_examples=50, deadline=None)
@given(corpora(), st.booleans(), st.integers(1, 6))
def test_sorted_hits_have_the_scores_of_ranked_ones(
    documents: list[Document],
    descending: bool,  # noqa: FBT001 - hypothesis draws it
    page_size: int,
) -> None:
    search = EmbeddedSearch(index_of(documents, TYPES, [len(documents) // 3]))
    request = SearchRequest("data key", Words.ANY, page_size=50)
    scores = {hit.id: hit.score for hit in search.query(request).hits}
    order = (Sort("size", descending), Sort("tech"))
    hits = search.query(replace(request, sort=order, page_size=page_size)).hits
    assert all(hit.score == scores[hit.id] for hit in hits)

    def key(document: Document) -> tuple[bool, int, bool, str]:
        size = document.attributes.get("size")
        assert size is None or isinstance(size, int)
        tech = str(document.attributes.get("tech", ""))
        return size is None, (-1 if descending else 1) * (size or 0), tech == "", tech

    expected = sorted((d for d in documents if d.id in scores), key=key)
    assert [hit.id for hit in hits] == [document.id for document in expected][:page_size]


def test_deleted_documents_are_not_found() -> None:
    search = EmbeddedSearch(index_of([GUIDE, MANUAL, NOTE], TYPES, deleted=["guide"]))
    assert ids(search) == ["manual", "note"]
    assert ids(search, "data") == ["manual"]
    assert search.document("guide") is None
    tech = search.query(SearchRequest(facets=(FacetRequest(("tech",)),))).facets[0]
    assert [(node.value, node.count) for node in tech.nodes] == [("Compute", 1), (None, 1)]


def test_denial_wins_and_nobody_sees_restricted_documents() -> None:
    ann, team = Principals(frozenset({"ann"})), Principals(groups=frozenset({"team"}))
    both = Principals(ann.users, team.groups)
    search = engine(
        replace(GUIDE, access=Access(team, ann)), replace(MANUAL, access=Access(ann)), NOTE
    )
    assert ids(search) == ["note"]
    assert ids(search, user=ann) == ["manual", "note"]
    assert ids(search, user=team) == ["guide", "note"]
    assert ids(search, user=both) == ["manual", "note"]
    assert search.document("manual") is None
    assert search.document("manual", ann) == replace(MANUAL, access=Access(ann))
    assert search.query(SearchRequest("encrpyting")).correction is None
    assert search.suggest("encr") == ("encryption",)


@pytest.mark.parametrize("words", list(Words))
@pytest.mark.parametrize("hidden", ["merger", '"merger plans"', "merg*", "merget~"])
def test_words_of_others_are_as_if_they_did_not_exist(hidden: str, words: Words) -> None:
    ann, ben = Principals(frozenset({"ann"})), Principals(frozenset({"ben"}))
    secret = Document("secret", "Board", "Merger plans with the data.", access=Access(ben))
    for query in (hidden, f"data {hidden}"):
        request = SearchRequest(query, words, user=ann)
        with_secret = engine(GUIDE, MANUAL, NOTE, secret).query(request)
        without = engine(GUIDE, MANUAL, NOTE).query(request)
        assert with_secret.notes == without.notes
        assert with_secret.correction == without.correction
        assert [hit.id for hit in with_secret.hits] == [hit.id for hit in without.hits]
    assert engine(GUIDE, secret).query(SearchRequest(hidden, words, user=ben)).total == 1


def test_what_was_deleted_is_no_word_of_the_query_any_more() -> None:
    search = EmbeddedSearch(index_of([GUIDE, MANUAL, NOTE], TYPES, deleted=["guide"]))
    response = search.query(SearchRequest("opens data"))
    assert response.total == 1
    assert response.notes == ("No document holds “opens”.",)


def test_documents_come_back_whole() -> None:
    search = engine(GUIDE, MANUAL, NOTE)
    assert search.document("guide") == GUIDE
    assert search.document("note") == NOTE
    assert search.document("nobody") is None
    hit = search.query(SearchRequest("encrypting data")).hits[0]
    assert (hit.id, hit.title, hit.uri, hit.attributes) == (
        GUIDE.id,
        GUIDE.title,
        GUIDE.uri,
        GUIDE.attributes,
    )


def test_a_correction_must_find_more() -> None:
    search = engine(GUIDE, MANUAL, NOTE)
    search.warm()
    correction = search.query(SearchRequest("how to encryp dta?")).correction
    assert correction is not None
    assert (correction.query, correction.total) == ("how to encrypt data?", 1)
    assert search.query(SearchRequest("encrypt data")).correction is None
    filtered = SearchRequest("dta", filter=AnyOf("tech", ("Nowhere",)))
    assert search.query(filtered).correction is None
    assert search.query(SearchRequest("dta", suggest_spelling=False)).correction is None


def test_threads_that_need_a_speller_at_once_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    together, made = Barrier(4), list[Speller]()

    class Slow(Speller):
        def __init__(self, segments: Iterable[SegmentView]) -> None:
            Event().wait(0.05)  # long enough for the other threads to ask as well
            super().__init__(segments)
            made.append(self)

    monkeypatch.setattr("lib.search.engine.Speller", Slow)
    search = engine(GUIDE, MANUAL, NOTE)

    def ask(_number: int) -> str:
        together.wait()
        correction = search.query(SearchRequest("dta")).correction
        return correction.query if correction else ""

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ask, range(4))) == {"data"}
    assert len(made) == 1


def test_suggestions_complete_the_last_word_and_titles() -> None:
    search = engine(GUIDE, MANUAL, NOTE, Document("2", "Encryption at rest", "encryption"))
    assert search.suggest("how to encr")[:2] == ("how to encryption", "how to encrypt")
    assert "Encrypting data" in search.suggest("Encr")
    assert search.suggest("encrypting d")[0] == "encrypting data"
    assert search.suggest("") == ()
    assert search.suggest("zzz") == ()
    assert len(search.suggest("e", limit=2)) == 2


def test_histograms_show_empty_buckets() -> None:
    documents = [
        Document(str(n), "", "", attributes={"size": size, "date": date})
        for n, (size, date) in enumerate(
            [(-3, day(1969, 12, 31)), (4, day(1970, 2, 3)), (14, day(1970, 4, 1))]
        )
    ]
    search = engine(*documents, NOTE)

    def counts(**request: object) -> list[tuple[object, int]]:
        wanted = HistogramRequest(**request)  # type: ignore[arg-type]  # passed through
        found = search.query(SearchRequest(histograms=(wanted,))).histograms[0].buckets
        assert all(a.high == b.low for a, b in pairwise(found))
        return [(bucket.low, bucket.count) for bucket in found]

    assert counts(attribute="size", step=5) == [(-5, 1), (0, 1), (5, 0), (10, 1)]
    assert counts(attribute="date", unit="year") == [(day(1969), 1), (day(1970), 2)]
    assert counts(attribute="date", unit="quarter") == [
        (day(1969, 10), 1),
        (day(1970, 1), 1),
        (day(1970, 4), 1),
    ]
    assert [n for _, n in counts(attribute="date", unit="month")] == [1, 0, 1, 0, 1]
    weeks = counts(attribute="date", unit="week")
    assert weeks[0] == (day(1969, 12, 29), 1)
    assert [low for low, n in weeks if n] == [day(1969, 12, 29), day(1970, 2, 2), day(1970, 3, 30)]
    assert len(counts(attribute="date", unit="day")) == 92
    assert (
        engine(NOTE)
        .query(SearchRequest(histograms=(HistogramRequest("size", 5),)))
        .histograms[0]
        .buckets
        == ()
    )
    with pytest.raises(QueryError, match="limit is 10,000"):
        engine(
            replace(GUIDE, attributes={"size": 10**9}), replace(MANUAL, attributes={"size": 0})
        ).query(SearchRequest(histograms=(HistogramRequest("size", 5),)))


def test_threads_get_the_answers_of_one() -> None:
    search = EmbeddedSearch(corpus_index(1_300))
    requests = [
        SearchRequest(query, words, facets=(FacetRequest(("tech", "kind")),))
        for query in QUERIES
        for words in Words
    ] * 8
    alone = [replace(search.query(request), milliseconds=0) for request in requests]
    with ThreadPoolExecutor(8) as pool:
        together = [replace(r, milliseconds=0) for r in pool.map(search.query, requests)]
    assert together == alone


def test_a_newer_commit_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = replace(index_of([GUIDE, MANUAL], TYPES), version=2)

    class Older(MemoryIndex):
        def refresh(self) -> MemoryIndex:
            return newer

    older = index_of([GUIDE], TYPES)
    search = EmbeddedSearch(Older(**vars(older)))
    assert search.query(SearchRequest()).total == 1
    monkeypatch.setattr("lib.search.engine._REFRESH_SECONDS", -1.0)
    assert search.query(SearchRequest()).total == 2
    assert search.attributes() == newer.attributes


def test_what_queries_need_is_made_again_before_they_ask_when_the_index_has_doubled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = Event()

    class Watched(Speller):
        def __init__(self, segments: Iterable[SegmentView]) -> None:
            known = tuple(segments)
            super().__init__(known)
            # A thread of an earlier test may make one, too.
            if any(segment.forms.find("lighthouse") >= 0 for segment in known):
                made.set()

    monkeypatch.setattr("lib.search.engine.Speller", Watched)
    search = EmbeddedSearch(open_index(tmp_path))
    with open_writer(tmp_path) as writer:
        writer.add([GUIDE, replace(MANUAL, title="Lighthouse")])
        writer.commit()
    assert not made.is_set()
    search.refresh()
    assert made.wait(30)


def test_who_knows_of_a_newer_commit_sees_it_at_once(tmp_path: Path) -> None:
    search = EmbeddedSearch(open_index(tmp_path))
    with open_writer(tmp_path) as writer:
        writer.add([GUIDE])
        writer.commit()
    search.refresh()
    assert search.query(SearchRequest()).total == 1


def test_an_index_on_disk_gives_the_answers_of_one_in_memory(tmp_path: Path) -> None:
    documents = CORPUS[:400]
    with open_writer(tmp_path) as writer:
        writer.add(documents[:150])
        writer.commit()
        writer.add(documents[150:])
        writer.commit()
    stored = EmbeddedSearch(open_index(tmp_path))
    memory = EmbeddedSearch(index_of(documents, cuts=[150]))
    for query in [*QUERIES, '"w0 w1"', "w1*", ""]:
        for words in Words:
            request = SearchRequest(query, words, facets=(FacetRequest(("tech", "size")),))
            expected = replace(memory.query(request), milliseconds=0)
            assert replace(stored.query(request), milliseconds=0) == expected


def test_an_empty_index_answers() -> None:
    search = EmbeddedSearch(index_of([], TYPES, cuts=[]))
    search.warm()
    response = search.query(
        SearchRequest("word", facets=(FacetRequest(("tech", "tags")),), sort=(Sort("size"),))
    )
    assert (response.total, response.hits, response.facets[0].nodes) == (0, (), ())


def test_counts_promised_before_are_kept_after_the_click() -> None:
    search = EmbeddedSearch(corpus_index())
    for order in (("tech", "kind"), ("kind", "tech")):
        facet = FacetRequest(order, top=None)
        promised = search.query(SearchRequest("w1 w30", facets=(facet,))).facets[0]
        for outer in promised.nodes:
            for inner in outer.children:
                chosen = replace(facet, selected=((outer.value, inner.value),))
                total = search.query(SearchRequest("w1 w30", facets=(chosen,))).total
                assert total == inner.count


def test_brute_force_agrees_on_a_large_corpus() -> None:
    search = EmbeddedSearch(corpus_index(2_000))
    facet = FacetRequest(("kind", "size", "tech"), top=None)
    request = SearchRequest("w12", Words.ANY, filter=Not(AnyOf("tech", ("t3",))), facets=(facet,))
    counts = expected_facet(CORPUS, request, facet)
    node = search.query(request).facets[0].nodes[0]
    assert node.count == counts[(node.value,)]
    assert {child.value: child.count for child in node.children} == {
        path[1]: count for path, count in counts.items() if path[0] == node.value and len(path) == 2
    }


def test_idf_counts_the_whole_index() -> None:
    search = EmbeddedSearch(
        index_of([GUIDE, MANUAL, NOTE], TYPES, [1, 2]), Bm25(b=0, exact_share=0)
    )
    hit = search.query(SearchRequest("cluster")).hits[0]
    frequency = sum(
        stem(form) == "cluster" for form, _, _ in words_of(f"{MANUAL.title} {MANUAL.text}")
    )
    expected = math.log(1 + 2.5 / 1.5) * frequency / (frequency + 1.2)
    assert hit.score == pytest.approx(expected)
