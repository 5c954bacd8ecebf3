from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.search import facets
from lib.search.engine import EmbeddedSearch
from lib.search.model import (
    AttributeType,
    Document,
    FacetRequest,
    FacetResult,
    Path,
    QueryError,
    SearchRequest,
    Selection,
    Value,
    Words,
)
from tests.search.oracle import check_level, expected_facet, expected_hits, flattened
from tests.search.segments_for_tests import index_of

VALUES: dict[str, list[str | None]] = {
    "tech": ["X", "Y", "Z", None, "unknown"],
    "kind": ["p", "q", "Q", None],
    "tags": ["a", "b", "c", None],
    "labels": ["k", "l", None],
    "size": ["-1", "0", "10", "2", None],
    "date": ["1969", "1970", None],
}
TYPES = {
    "tech": AttributeType.STRING,
    "kind": AttributeType.STRING,
    "tags": AttributeType.STRING_LIST,
    "labels": AttributeType.STRING_LIST,
    "size": AttributeType.LONG,
    "date": AttributeType.DATE,
}


def texts(letters: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(letters), max_size=3, unique=True).map(tuple)


attributes: st.SearchStrategy[dict[str, Value]] = st.fixed_dictionaries(
    {},
    optional={
        "tech": st.sampled_from("XYZ"),
        "kind": st.sampled_from(["p", "q", "Q"]),
        "tags": texts("abc"),
        "labels": texts("kl"),
        "size": st.sampled_from([-1, 0, 2, 10]),
        "date": st.sampled_from([1969, 1970]).map(lambda y: datetime(y, 12, 31, 23, tzinfo=UTC)),
    },
)
words = st.lists(st.sampled_from(["red", "green", "blue"]), max_size=3).map(" ".join)
corpora = st.lists(st.tuples(words, attributes), min_size=1, max_size=14).map(
    lambda drawn: [
        Document(str(n), "", text, attributes=values) for n, (text, values) in enumerate(drawn)
    ]
)


@st.composite
def facet_requests(draw: st.DrawFn) -> FacetRequest:
    names = draw(st.lists(st.sampled_from(list(TYPES)), min_size=1, max_size=4, unique=True))
    paths: st.SearchStrategy[Path] = st.integers(1, len(names)).flatmap(
        lambda depth: st.tuples(*(st.sampled_from(VALUES[name]) for name in names[:depth]))
    )
    return FacetRequest(
        tuple(names),
        tuple(draw(st.lists(paths, max_size=3))),
        draw(st.sampled_from([None, 1, 2, 10])),
        draw(st.sampled_from(["", "", "x", "q", "1"])),
    )


def check(
    documents: list[Document], request: SearchRequest, results: tuple[FacetResult, ...]
) -> None:
    for facet, result in zip(request.facets, results, strict=True):
        assert result.attributes == facet.attributes
        assert result.exact
        counts = expected_facet(documents, request, facet)
        check_level(result.nodes, result.distinct, result.remainder, (), counts, facet)


@settings(max_examples=200, deadline=None)
@given(
    corpora,
    st.sampled_from(["", "red", "red blue"]),
    st.lists(facet_requests(), min_size=1, max_size=3),
    st.integers(0, 14),
    st.sampled_from(["as it is", "in a hash table", "in two threads", "in two threads, dense"]),
)
def test_every_level_counts_what_brute_force_counts(
    documents: list[Document], query: str, wanted: list[FacetRequest], cut: int, counted: str
) -> None:
    request = SearchRequest(query, Words.ANY, facets=tuple(wanted))
    search = EmbeddedSearch(index_of(documents, TYPES, [min(cut, len(documents))]))
    with pytest.MonkeyPatch.context() as patch:
        if counted == "in a hash table":
            patch.setattr(facets, "_SMALL_TABLE", 0)
            patch.setattr(facets, "_LARGE_TABLE", 0)
        if "threads" in counted:
            patch.setattr(facets, "_MOST_IN_CACHES", 0)
            patch.setattr(facets, "_SHARED_FROM", 0)
            patch.setattr(facets, "_DENSE", 1_000 if "dense" in counted else 1)
        response = search.query(request)
    assert response.total == len(expected_hits(documents, request))
    check(documents, request, response.facets)


def documents_of(*values: tuple[str, ...]) -> list[Document]:
    return [
        Document(str(n), "", "", attributes=dict(zip(("a", "b", "c"), each, strict=False)))
        for n, each in enumerate(values)
    ]


def count(documents: list[Document], facet: FacetRequest) -> FacetResult:
    return EmbeddedSearch(index_of(documents)).query(SearchRequest(facets=(facet,))).facets[0]


def test_equal_counts_go_by_letters_with_case_ignored() -> None:
    found = count(documents_of(("b",), ("a",), ("B",), ("c",), ("c",)), FacetRequest(("a",)))
    assert [node.value for node in found.nodes] == ["c", "a", "B", "b"]


def test_numbers_of_equal_count_go_by_size() -> None:
    documents = [Document(str(n), "", "", attributes={"n": n}) for n in (10, 9, 100)]
    assert [node.value for node in count(documents, FacetRequest(("n",))).nodes] == [
        "9",
        "10",
        "100",
    ]


def test_selected_values_stay_visible_with_no_documents_and_outside_the_top() -> None:
    documents = documents_of(("x", "1"), ("x", "2"), ("y", "1"), ("z", "2"))
    wanted = FacetRequest(("a", "b"), selected=(("z",), ("gone", "3"), ("y", "2")), top=1)
    nodes = dict(flattened(count(documents, wanted).nodes))
    assert [(p, n.count, n.selection) for p, n in nodes.items()] == [
        (("x",), 2, Selection.NONE),
        (("x", "1"), 1, Selection.NONE),
        (("y",), 1, Selection.PART),
        (("y", "1"), 1, Selection.NONE),
        (("y", "2"), 0, Selection.ALL),
        (("z",), 1, Selection.ALL),
        (("z", "2"), 1, Selection.ALL),
        (("gone",), 0, Selection.PART),
        (("gone", "3"), 0, Selection.ALL),
    ]


def test_a_facet_is_not_reduced_by_its_own_selection_but_by_others() -> None:
    documents = documents_of(("x", "1"), ("x", "2"), ("y", "1"), ("y", "1"))
    request = SearchRequest(
        facets=(
            FacetRequest(("a",), selected=(("x",),)),
            FacetRequest(("b",), selected=(("1",),)),
            FacetRequest(("b", "a")),
        )
    )
    response = EmbeddedSearch(index_of(documents)).query(request)
    counted = [{n.value: n.count for n in facet.nodes} for facet in response.facets]
    assert counted == [{"x": 1, "y": 2}, {"1": 1, "2": 1}, {"1": 1}]
    assert response.total == 1


def test_a_list_counts_once_above_and_each_element_below() -> None:
    documents = [
        Document("1", "", "", attributes={"kind": "p", "tags": ("a", "b")}),
        Document("2", "", "", attributes={"kind": "p", "tags": ("a",)}),
    ]
    (kind,) = count(documents, FacetRequest(("kind", "tags"))).nodes
    assert kind.count == 2
    assert [(node.value, node.count) for node in kind.children] == [("a", 2), ("b", 1)]


def test_value_search_shows_only_values_with_the_letters() -> None:
    documents = documents_of(("Storage", "1"), ("Store", "1"), ("Store", "2"), ("Compute", "1"))
    found = count(documents, FacetRequest(("a", "b"), top=1, value_search="STOR"))
    assert [(node.value, node.count) for node in found.nodes] == [("Store", 2)]
    assert (found.distinct, found.remainder) == (2, 1)
    assert len(found.nodes[0].children) == 1


def test_large_hierarchies_are_counted_in_a_hash_table() -> None:
    documents = documents_of(*((f"x{n}", f"y{n % 997}", f"z{n % 89}") for n in range(2_000)))
    assert facets._LARGE_TABLE < 2_001 * 998 * 90
    found = count(documents, FacetRequest(("a", "b", "c"), top=3))
    assert (found.distinct, found.remainder) == (2_000, 1_997)
    assert [n.count for _, n in flattened(found.nodes)] == [1] * 9
    assert list(flattened(found.nodes))[2][0] == ("x0", "y0", "z0")


def test_a_hierarchy_beyond_all_numbers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facets, "_MOST_CELLS", 3)
    with pytest.raises(QueryError, match="a > b has too many combinations"):
        count(documents_of(("x", "1")), FacetRequest(("a", "b")))


@pytest.mark.parametrize("dense", [1, 1_000])
def test_two_threads_count_what_one_does(monkeypatch: pytest.MonkeyPatch, dense: int) -> None:
    documents = documents_of(*((f"{n % 7}", f"{n % 3}") for n in range(100)))
    facet = FacetRequest(("a", "b"), top=None)
    alone = count(documents, facet)
    monkeypatch.setattr(facets, "_MOST_IN_CACHES", 0)
    monkeypatch.setattr(facets, "_SHARED_FROM", 0)
    monkeypatch.setattr(facets, "_DENSE", dense)
    assert count(documents, facet) == alone
