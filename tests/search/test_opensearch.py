"""The OpenSearch adapter over HTTP, against a double that counts with tantivy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lib.search.model import (
    Access,
    AttributeType,
    Bucket,
    Correction,
    Document,
    FacetRequest,
    HistogramRequest,
    Principals,
    QueryError,
    SearchEngine,
    SearchRequest,
    Words,
)
from lib.search.opensearch import OpenSearchEngine, _corrected, _unmarked
from tests.search.contract import DOCUMENTS, TYPES, SearchEngineContract, found, own_tree, tree_of
from tests.search.opensearch_double import OpenSearchDouble


@pytest.fixture(scope="module")
def filled() -> Iterator[OpenSearchDouble]:
    with OpenSearchDouble() as double:
        engine = OpenSearchEngine(double.url, "documents")
        engine.create(TYPES)
        assert engine.add(DOCUMENTS) == len(DOCUMENTS)
        yield double


@pytest.fixture
def double(filled: OpenSearchDouble) -> OpenSearchDouble:
    filled.searches.clear()
    filled.failures.clear()
    filled.changes.clear()
    return filled


@pytest.fixture
def opensearch(double: OpenSearchDouble) -> OpenSearchEngine:
    return OpenSearchEngine(double.url, "documents")


class TestContract(SearchEngineContract):
    @pytest.fixture
    def engine(self, opensearch: OpenSearchEngine) -> SearchEngine:
        return opensearch


# ------------------------------------------------------------------------------------ counting


def numbered(double: OpenSearchDouble, count: int) -> OpenSearchEngine:
    engine = OpenSearchEngine(double.url, f"numbered-{count}")
    engine.create({"Code": AttributeType.LONG, "Name": AttributeType.STRING})
    engine.add(
        Document(f"{n}", "Data", "Data", attributes={"Code": n, "Name": f"name {n % 40:02}"})
        for n in range(count)
    )
    return engine


def test_pages_through_every_value(double: OpenSearchDouble) -> None:
    engine = numbered(double, 2100)
    result = engine.query(SearchRequest(facets=(FacetRequest(("Code",), top=None),))).facets[0]
    assert len(double.searches) == 1 + 3
    assert (len(result.nodes), result.distinct, result.remainder) == (2100, 2100, 0)
    assert {node.count for node in result.nodes} == {1}


def test_counts_every_value_by_the_selections_of_the_others(opensearch: OpenSearchEngine) -> None:
    facets = (
        FacetRequest(("Technology", "Tags"), top=None, selected=(("Compute",),)),
        FacetRequest(("Document_Type",), selected=(("User_Guides",),)),
    )
    request = SearchRequest("encrypt data", facets=facets)
    assert tree_of(opensearch.query(request).facets[0].nodes) == own_tree(request, 0)


def test_ends_a_year_before_the_next_begins(double: OpenSearchDouble) -> None:
    engine = OpenSearchEngine(double.url, "years")
    engine.create({"Day": AttributeType.DATE})
    days = [datetime(2020, 6, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)]
    engine.add(Document(str(n), "", "", attributes={"Day": day}) for n, day in enumerate(days))
    facet = FacetRequest(("Day",), selected=(("2020",),))
    response = engine.query(SearchRequest(facets=(facet,)))
    assert [hit.id for hit in response.hits] == ["0"]
    assert [(node.value, node.count) for node in response.facets[0].nodes] == [
        ("2020", 1),
        ("2021", 1),
    ]


def test_hides_what_anybody_is_denied_from_visitors(double: OpenSearchDouble) -> None:
    engine = OpenSearchEngine(double.url, "denied")
    engine.create({})
    engine.add([Document("x", "", "", access=Access(denied=Principals(frozenset({"bob"}))))])
    totals = [
        engine.query(SearchRequest(user=user)).total
        for user in (None, Principals(frozenset({"bob"})), Principals(frozenset({"ana"})))
    ]
    assert totals == [0, 0, 1]
    assert engine.attributes() == ()


def test_corrects_to_no_word_that_others_alone_may_read(double: OpenSearchDouble) -> None:
    engine = OpenSearchEngine(double.url, "corrected")
    engine.create({})
    ben = Principals(frozenset({"ben"}))
    engine.add(
        [
            Document("open", "Data", "Encrypt data."),
            Document("secret", "Board", "Merger of data.", access=Access(ben)),
        ]
    )
    for words in Words:
        request = SearchRequest("mergor encript", words, user=Principals(frozenset({"ann"})))
        assert engine.query(request).correction is None
        assert engine.query(replace(request, user=None)).correction is None
    request = SearchRequest("mergor encript", Words.ANY, user=ben)
    assert engine.query(request).correction == Correction("merger encrypt", 2)
    request = SearchRequest("dato encript", user=Principals(frozenset({"ann"})))
    assert engine.query(request).correction == Correction("data encrypt", 1)


def test_sends_one_search_for_several_hierarchies(
    opensearch: OpenSearchEngine, double: OpenSearchDouble
) -> None:
    opensearch.attributes()
    double.searches.clear()
    facets = (
        FacetRequest(("Technology", "Tags"), selected=(("Storage", "keys"),)),
        FacetRequest(("Region",), selected=(("eu-west-1",), (None,))),
    )
    opensearch.query(SearchRequest("encrypt data", facets=facets))
    (body,) = double.searches
    assert "post_filter" in body
    assert "post_filter" not in str(body["query"])


def test_searches_the_values_of_a_number(double: OpenSearchDouble) -> None:
    engine = numbered(double, 210)
    facet = FacetRequest(("Code", "Name"), value_search="20", top=5)
    result = engine.query(SearchRequest(facets=(facet,))).facets[0]
    assert [node.value for node in result.nodes] == ["120", "20", "200", "201", "202"]
    assert (result.distinct, result.remainder) == (12, 7)


def test_searches_values_beyond_the_top(double: OpenSearchDouble) -> None:
    engine = numbered(double, 90)
    facet = FacetRequest(("Name",), value_search="ME 1", top=3, selected=(("name 30",),))
    result = engine.query(SearchRequest(facets=(facet,))).facets[0]
    assert [(node.value, node.count) for node in result.nodes] == [
        ("name 10", 2),
        ("name 11", 2),
        ("name 12", 2),
    ]
    assert (result.distinct, result.remainder) == (10, 14)


def test_says_how_many_values_there_are(double: OpenSearchDouble) -> None:
    engine = numbered(double, 90)
    facet = FacetRequest(("Name",), selected=(("name 39",),))
    result = engine.query(SearchRequest(facets=(facet,))).facets[0]
    assert (len(result.nodes), result.distinct, result.remainder) == (11, 40, 90 - 30 - 2)
    assert {attribute.name: attribute.distinct for attribute in engine.attributes()} == {
        "Code": 90,
        "Name": 40,
    }


def test_badges_counts_that_shards_may_have_missed(
    opensearch: OpenSearchEngine, double: OpenSearchDouble
) -> None:
    request = SearchRequest(facets=(FacetRequest(("Technology", "Document_Type")),))
    opensearch.query(request)
    answer = double.indexes["documents"].search(double.searches[-1])["aggregations"]
    assert opensearch.query(request).facets[0].exact
    inner = answer["facet_0"]["values"]["buckets"][1]["values"]
    for terms in (answer["facet_0"]["values"], inner):
        terms["doc_count_error_upper_bound"] = 3
        double.changes = {"aggregations": answer}
        assert not opensearch.query(request).facets[0].exact
        terms["doc_count_error_upper_bound"] = 0


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"timed_out": True}, "ran out of time"),
        ({"_shards": {"total": 5, "failed": 2}}, "lost 2 of 5 shards"),
    ],
)
def test_says_that_an_answer_is_partial(
    opensearch: OpenSearchEngine, double: OpenSearchDouble, changes: dict[str, Any], note: str
) -> None:
    double.changes = changes
    response = opensearch.query(SearchRequest("data", facets=(FacetRequest(("Tags",)),)))
    assert note in response.notes[0]
    assert not response.facets[0].exact


@pytest.mark.parametrize(
    ("unit", "starts"),
    [
        ("year", [datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)]),
        ("month", [datetime(2020, 12, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)]),
        ("week", [datetime(2020, 12, 28, tzinfo=UTC)]),
        ("day", [datetime(2020, 12, 31, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)]),
    ],
)
def test_counts_by_calendar(double: OpenSearchDouble, unit: str, starts: list[datetime]) -> None:
    engine = OpenSearchEngine(double.url, f"dates-{unit}")
    engine.create({"Day": AttributeType.DATE})
    days = [datetime(2020, 12, 31, 23, tzinfo=UTC), datetime(2021, 1, 1, 1, tzinfo=UTC)]
    engine.add(Document(str(n), "", "", attributes={"Day": day}) for n, day in enumerate(days))
    (result,) = engine.query(
        SearchRequest(histograms=(HistogramRequest("Day", unit=unit),))
    ).histograms
    assert [bucket.low for bucket in result.buckets] == starts
    assert sum(bucket.count for bucket in result.buckets) == 2
    assert all(isinstance(each, Bucket) and each.low < each.high for each in result.buckets)  # type: ignore[operator]  # both are dates
    highs = [bucket.high for bucket in result.buckets]
    assert highs[:-1] == starts[1:]


# --------------------------------------------------------------------------- words and highlights


@pytest.mark.parametrize("query", ["encrypting", "dat*", "dara~", "adta~", '"in transit"', "the"])
def test_finds_the_words_of_the_query_language(opensearch: OpenSearchEngine, query: str) -> None:
    request = SearchRequest(query, page_size=100)
    hits = opensearch.query(request).hits
    assert {hit.id for hit in hits} == {document.id for document in found(request, DOCUMENTS)}


def test_reads_highlights_and_characters_of_any_plane() -> None:
    text, spans = _unmarked("\ue000😀 data\ue001 and \ue000東京\ue001")
    assert text == "😀 data and 東京"
    assert [text[span.start : span.end] for span in spans] == ["😀 data", "東京"]
    option = {"offset": 3, "length": 4, "options": [{"text": "data"}]}
    assert _corrected("😀 dara 東", [option]) == "😀 data 東"


def test_says_what_the_query_language_ignores(opensearch: OpenSearchEngine) -> None:
    assert opensearch.query(SearchRequest('"data')).notes == (
        "A quotation mark has no partner and was ignored.",
    )


def test_says_that_it_does_not_re_rank(opensearch: OpenSearchEngine) -> None:
    [note] = opensearch.query(SearchRequest("data", rerank=True)).notes
    assert "not re-ranked" in note


def test_shows_ten_thousand_results_and_says_so(
    opensearch: OpenSearchEngine, double: OpenSearchDouble
) -> None:
    response = opensearch.query(SearchRequest("data", page=12, page_size=1000))
    body = double.searches[-1]
    assert body["from"] + body["size"] <= 10_000
    assert "first 10,000 results" in response.notes[0]
    assert response.total == 62


# ---------------------------------------------------------------------------------------- errors


def test_says_that_there_is_no_such_index(double: OpenSearchDouble) -> None:
    with pytest.raises(QueryError, match="no index “nothing”"):
        OpenSearchEngine(double.url, "nothing").query(SearchRequest())


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "does not let this user"),
        (403, "does not let this user"),
        (400, "too many buckets"),
        (503, "cannot answer this request"),
    ],
)
def test_says_what_went_wrong(
    opensearch: OpenSearchEngine, double: OpenSearchDouble, status: int, sentence: str
) -> None:
    reason = {"error": {"root_cause": [{"reason": "too many buckets"}]}, "status": status}
    double.failures = [(status, reason)] * 4
    with pytest.raises(QueryError, match=sentence):
        opensearch.query(SearchRequest("data"))


def test_says_that_nothing_answers(opensearch: OpenSearchEngine, double: OpenSearchDouble) -> None:
    double.failures = [None] * 4
    with pytest.raises(QueryError, match="cannot be reached"):
        opensearch.query(SearchRequest("data"))


def test_says_that_documents_were_not_taken(double: OpenSearchDouble) -> None:
    engine = OpenSearchEngine(double.url, "documents")
    failed = {"index": {"_id": "x", "status": 400, "error": {"reason": "bad"}}}
    double.failures = [(200, {"errors": True, "items": [failed]})]
    with pytest.raises(QueryError, match="did not take every document"):
        engine.add([Document("x", "", "")])


def test_keeps_the_password_to_itself(double: OpenSearchDouble) -> None:
    engine = OpenSearchEngine(double.url, "documents", ("ana", "a-secret"))
    double.failures = [None] * 4
    with pytest.raises(QueryError) as refused:
        engine.query(SearchRequest("data"))
    assert "a-secret" not in str(refused.value)


@pytest.mark.parametrize(
    "histogram",
    [HistogramRequest("Pages"), HistogramRequest("Published"), HistogramRequest("Tags")],
)
def test_refuses_histograms_without_steps(
    opensearch: OpenSearchEngine, histogram: HistogramRequest
) -> None:
    with pytest.raises(QueryError, match=f"“{histogram.attribute}”"):
        opensearch.query(SearchRequest(histograms=(histogram,)))
