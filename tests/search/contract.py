"""What every search engine must do, checked against counting by brute force.

A test module takes part with a subclass of `SearchEngineContract` that has a fixture `engine`,
which searches `DOCUMENTS`. What an engine cannot do it says in a note: its subclass says which.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.search.analysis import stem, words_of
from lib.search.columns import may_find
from lib.search.model import (
    Access,
    AllOf,
    And,
    AnyOf,
    AttributeType,
    Bucket,
    Document,
    FacetNode,
    FacetRequest,
    FacetResult,
    Filter,
    HistogramRequest,
    Not,
    Or,
    Path,
    Principals,
    QueryError,
    Range,
    SearchEngine,
    SearchRequest,
    Selection,
    Sort,
    Value,
    Words,
)
from lib.search.parse import Clause, Fuzzy, Phrase, Prefix, Word, parse_query

Tree = dict[str | None, tuple[int, Any]]

TYPES = {
    "Technology": AttributeType.STRING,
    "Document_Type": AttributeType.STRING,
    "Region": AttributeType.STRING,
    "Tags": AttributeType.STRING_LIST,
    "Pages": AttributeType.LONG,
    "Published": AttributeType.DATE,
}

# The counts of "Take your intelligent search experience to the next level with Amazon Kendra
# hierarchical facets" for the query "How to encrypt data?".
POST = {
    "Databases": {"User_Guides": 12, "Reference_Guides": 7, "Release_Notes": 4},
    "Storage": {"User_Guides": 16, "Reference_Guides": 6},
    "Compute": {"User_Guides": 9, "Reference_Guides": 6, "Release_Notes": 1},
}
POST_QUERY = "How to encrypt data?"
POST_TOTAL = 61
TAGS = ("keys", "backup", "cluster", "audit")
REGIONS = ("eu-west-1", "us-east-1", "ap-south-1", None)


def guide(number: int, technology: str, kind: str) -> Document:
    """One document of the post, with more attributes that follow from its number."""
    attributes: dict[str, Value | None] = {
        "Technology": technology,
        "Document_Type": kind,
        "Region": REGIONS[number % 4],
        "Tags": tuple(tag for bit, tag in enumerate(TAGS) if (number * 7) >> bit & 1),
        "Pages": number % 5 * 10 if number % 7 else None,
        "Published": datetime(2020 + number % 3, number % 2 * 9 + 1, 15, tzinfo=UTC),
    }
    words = "Encrypting data at rest" if number % 2 else "How you encrypt the data in transit"
    return Document(
        id=f"guide-{number:02}",
        title=f"{technology} {kind.replace('_', ' ').lower()}, part {number}",
        text=f"{words} of a {technology.lower()} service. " + "Rotate keys. " * (number % 3),
        uri=f"https://docs.example.org/{number}",
        attributes={name: value for name, value in attributes.items() if value not in (None, ())},
    )


def documents() -> tuple[Document, ...]:
    rows = [(t, k) for t, kinds in POST.items() for k, count in kinds.items() for _ in range(count)]
    guides = [guide(number, *row) for number, row in enumerate(rows)]
    attributes = {"Technology": "Storage", "Document_Type": "Policy"}
    staff = Access(Principals(groups=frozenset({"staff"})), Principals(users=frozenset({"bob"})))
    ana = Access(Principals(users=frozenset({"ana"})))
    others = [
        Document("bill", "Invoices", "What a month costs.", attributes={"Pages": 3}),
        Document("rest", "Data", "Data without the other word.", attributes={"Tags": ("keys",)}),
        Document("secret", "Staff", "Encrypt all data.", attributes=attributes, access=staff),
        Document("ana", "For Ana", "Encrypt this data.", attributes=attributes, access=ana),
        Document("cjk", "Größe 東京", "Ünïcode 😀 and billing.", attributes={"Region": "東京"}),
    ]
    return (*guides, *others)


# --------------------------------------------------------------------------------- brute force


def found(request: SearchRequest, among: Iterable[Document]) -> list[Document]:
    """The documents that a request finds, by reading all of them."""
    clauses = parse_query(request.query).clauses
    least = {
        Words.ALL: len(clauses),
        Words.MOST: math.ceil(2 * len(clauses) / 3),
        Words.ANY: min(1, len(clauses)),
    }[request.words]
    return [
        document
        for document in among
        if may_find(request.user, document.access)
        and sum(holds(document, clause) for clause in clauses) >= least
        and (request.filter is None or satisfies(document, request.filter))
        and all(on_a_path(document, facet) for facet in request.facets)
    ]


@cache
def forms(text: str) -> list[str]:
    return [form for form, _, _ in words_of(text)]


def holds(document: Document, clause: Clause) -> bool:
    title, text = forms(document.title), forms(document.text)
    match clause:
        case Word(stem=wanted):
            return any(stem(form) == wanted for form in title + text)
        case Phrase(wanted_forms):
            size = len(wanted_forms)
            return any(
                tuple(part[start : start + size]) == wanted_forms
                for part in (title, text)
                for start in range(len(part))
            )
        case Prefix(prefix):
            return any(form.startswith(prefix) for form in title + text)
        case Fuzzy(wanted):
            return any(within_one_edit(form, wanted) for form in title + text)


def within_one_edit(left: str, right: str) -> bool:
    letters = set(left + right)
    splits = [(left[:place], left[place:]) for place in range(len(left) + 1)]
    edits = {left}
    edits |= {a + b[1:] for a, b in splits if b}
    edits |= {a + letter + b for a, b in splits for letter in letters}
    edits |= {a + letter + b[1:] for a, b in splits if b for letter in letters}
    edits |= {a + b[1] + b[0] + b[2:] for a, b in splits if len(b) > 1}
    return right in edits


def satisfies(document: Document, wanted: Filter) -> bool:
    match wanted:
        case And(parts):
            return all(satisfies(document, part) for part in parts)
        case Or(parts):
            return any(satisfies(document, part) for part in parts)
        case Not(part):
            return not satisfies(document, part)
        case AnyOf(name, values):
            return any(value in values for value in elements(document, name))
        case AllOf(name, names):
            return set(names) <= set(elements(document, name))
        case Range(name):
            return any(within(value, wanted) for value in elements(document, name))


def within(value: Any, limits: Range) -> bool:
    low, high = limits.low, limits.high
    above = low is None or value > low or (value == low and limits.low_included)
    return above and (high is None or value < high or (value == high and limits.high_included))


def elements(document: Document, name: str) -> tuple[Any, ...]:
    value = document.attributes.get(name, ())
    return value if isinstance(value, tuple) else (value,)


def labels(document: Document, name: str) -> list[str | None]:
    values = elements(document, name)
    return [str(v.year) if isinstance(v, datetime) else str(v) for v in values] or [None]


def on_path(document: Document, attributes: Sequence[str], path: Path) -> bool:
    return all(label in labels(document, name) for name, label in zip(attributes, path))  # noqa: B905 - paths end early


def on_a_path(document: Document, facet: FacetRequest) -> bool:
    paths = facet.selected
    return not paths or any(on_path(document, facet.attributes, path) for path in paths)


def tree(group: Sequence[Document], attributes: Sequence[str]) -> Tree:
    if not attributes:
        return {}
    by_label: dict[str | None, list[Document]] = {}
    for document in group:
        for label in labels(document, attributes[0]):
            by_label.setdefault(label, []).append(document)
    return {label: (len(each), tree(each, attributes[1:])) for label, each in by_label.items()}


def own_tree(request: SearchRequest, number: int) -> Tree:
    """The counts of one hierarchy, not reduced by its own selection."""
    facets = list(request.facets)
    facets[number] = replace(facets[number], selected=())
    return tree(found(replace(request, facets=tuple(facets)), DOCUMENTS), facets[number].attributes)


def tree_of(nodes: Iterable[FacetNode]) -> Tree:
    return {node.value: (node.count, tree_of(node.children)) for node in nodes}


def cut(counts: Tree, levels: int, *, missing: bool) -> Tree:
    """The counts of the outer levels, with or without those of missing values."""
    if levels == 0:
        return {}
    return {
        label: (count, cut(below, levels - 1, missing=missing))
        for label, (count, below) in counts.items()
        if missing or label is not None
    }


DOCUMENTS = documents()

# ------------------------------------------------------------------------------------ requests

FILTERS: Mapping[str, Filter] = {
    "one value": AnyOf("Technology", ("Storage",)),
    "several values": AnyOf("Technology", ("Storage", "Compute", "No such thing")),
    "an element": AnyOf("Tags", ("keys", "audit")),
    "all elements": AllOf("Tags", ("keys", "backup")),
    "a number": AnyOf("Pages", (10, 40)),
    "a date": AnyOf("Published", (datetime(2020, 1, 15, tzinfo=UTC),)),
    "a range": Range("Pages", 10, 40, low_included=False),
    "an open range": Range("Pages", high=30, high_included=False),
    "dates": Range("Published", datetime(2020, 6, 1, tzinfo=UTC), datetime(2021, 6, 1, tzinfo=UTC)),
    "not": Not(AnyOf("Region", ("eu-west-1", "us-east-1"))),
    "not a range": Not(Range("Pages", 10, 30)),
    "neither": And((Not(AnyOf("Technology", ("Storage",))), Not(AllOf("Tags", ("keys",))))),
    "not both": Not(And((AnyOf("Technology", ("Storage",)), AnyOf("Tags", ("keys",))))),
    "not either": Not(Or((AnyOf("Technology", ("Storage",)), AnyOf("Tags", ("keys",))))),
    "or of and": Or(
        (
            And((AnyOf("Technology", ("Storage",)), AnyOf("Tags", ("keys",)))),
            And((AnyOf("Technology", ("Compute",)), Range("Pages", low=20))),
        )
    ),
    "three levels": And(
        (
            AnyOf("Document_Type", ("User_Guides", "Reference_Guides")),
            Or(
                (
                    AnyOf("Region", ("us-east-1",)),
                    And((AnyOf("Pages", (0,)), AllOf("Tags", ("keys",)))),
                )
            ),
        )
    ),
}

LEAVES = st.one_of(
    st.builds(
        AnyOf,
        st.just("Technology"),
        st.lists(st.sampled_from(list(POST)), min_size=1, max_size=2).map(tuple),
    ),
    st.builds(
        AnyOf, st.just("Tags"), st.lists(st.sampled_from(TAGS), min_size=1, max_size=2).map(tuple)
    ),
    st.builds(
        AllOf, st.just("Tags"), st.lists(st.sampled_from(TAGS), min_size=1, max_size=2).map(tuple)
    ),
    st.builds(Range, st.just("Pages"), st.integers(0, 40), st.none() | st.integers(0, 40)),
)
TREES: st.SearchStrategy[Filter] = st.recursive(
    LEAVES,
    lambda within: st.one_of(
        st.lists(within, min_size=1, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(within, min_size=1, max_size=3).map(lambda parts: Or(tuple(parts))),
        st.builds(Not, within),
    ),
    max_leaves=5,
)

HIERARCHIES = [
    ("Technology",),
    ("Technology", "Document_Type"),
    ("Document_Type", "Technology"),
    ("Technology", "Tags"),
    ("Tags", "Document_Type"),
    ("Pages",),
    ("Published", "Region"),
    ("Region", "Pages"),
    ("Technology", "Document_Type", "Region"),
    ("Document_Type", "Tags", "Published", "Pages"),
]

# ------------------------------------------------------------------------------------ contract


class SearchEngineContract:
    """The tests of an engine; what it lacks stands in its class attributes."""

    levels = 8
    counts_missing = True
    has_histograms = True
    has_word_modes = True
    takes_every_filter = True
    sorts_every_document = True

    def test_finds_every_open_document_without_a_query(self, engine: SearchEngine) -> None:
        response = engine.query(SearchRequest(page_size=100))
        expected = {document.id for document in found(SearchRequest(), DOCUMENTS)}
        assert response.total == len(expected) == len(response.hits)
        assert {hit.id for hit in response.hits} == expected

    @pytest.mark.parametrize("query", ["encrypt data", "Invoices", '"data at rest"', "invoic*"])
    def test_finds_the_documents_with_the_words(self, engine: SearchEngine, query: str) -> None:
        response = engine.query(SearchRequest(query, page_size=100))
        expected = {document.id for document in found(SearchRequest(query), DOCUMENTS)}
        assert {hit.id for hit in response.hits} == expected
        assert response.total == len(expected) > 0

    @pytest.mark.parametrize("words", Words)
    def test_needs_as_many_words_as_asked(self, engine: SearchEngine, words: Words) -> None:
        request = SearchRequest("encrypt data rotate costs", words=words)
        response = engine.query(request)
        if self.has_word_modes:
            assert response.total == len(found(request, DOCUMENTS))
        else:
            assert any("words" in note for note in response.notes) == (words is not Words.MOST)

    def test_keeps_what_the_post_promises(self, engine: SearchEngine) -> None:
        for attributes in (("Technology", "Document_Type"), ("Document_Type", "Technology")):
            request = SearchRequest(POST_QUERY, facets=(FacetRequest(attributes),))
            response = engine.query(request)
            assert response.total == POST_TOTAL
            cells = {
                (node.value, child.value): child.count
                for node in response.facets[0].nodes
                for child in node.children
            }
            turn = 1 if attributes[0] == "Technology" else -1
            assert cells == {
                (t, k)[::turn]: count for t, kinds in POST.items() for k, count in kinds.items()
            }
            assert [node.count for node in response.facets[0].nodes] == (
                [23, 22, 16] if attributes[0] == "Technology" else [37, 19, 5]
            )
            for (outer, inner), promised in cells.items():
                chosen = And((AnyOf(attributes[0], (outer,)), AnyOf(attributes[1], (inner,))))  # type: ignore[arg-type]  # no missing values here
                filtered = engine.query(replace(request, filter=chosen))
                assert filtered.total == promised
                assert tree_of(filtered.facets[0].nodes) == {
                    outer: (promised, {inner: (promised, {})})
                }
                facet = FacetRequest(attributes, selected=((outer, inner),))
                selected = engine.query(replace(request, facets=(facet,)))
                assert selected.total == promised
                assert tree_of(selected.facets[0].nodes) == tree_of(response.facets[0].nodes)

    @pytest.mark.parametrize("query", ["", "encrypt data"])
    @pytest.mark.parametrize("attributes", HIERARCHIES)
    @pytest.mark.parametrize("top", [10, None])
    def test_counts_like_brute_force(
        self, engine: SearchEngine, query: str, attributes: tuple[str, ...], top: int | None
    ) -> None:
        request = SearchRequest(query, facets=(FacetRequest(attributes, top=top),))
        response = engine.query(request)
        self.check(response.facets[0], own_tree(request, 0), attributes)
        assert response.facets[0].exact
        self.check_note(response.notes, attributes[self.levels :])

    def check(self, result: FacetResult, counts: Tree, attributes: tuple[str, ...]) -> None:
        expected = cut(counts, self.levels, missing=self.counts_missing)
        assert result.attributes == attributes[: self.levels]
        assert tree_of(result.nodes) == expected
        assert result.distinct == len(counts.keys() - {None})
        assert result.remainder == 0
        order = [(node.value is None, -node.count) for node in result.nodes]
        assert order == sorted(order)

    def check_note(self, notes: tuple[str, ...], left_out: tuple[str, ...]) -> None:
        for name in left_out:
            assert any(f"“{name}”" in note for note in notes), notes

    def test_counts_a_selection_by_the_others(self, engine: SearchEngine) -> None:
        request = SearchRequest(
            "encrypt data",
            filter=Range("Pages", low=10),
            facets=(
                FacetRequest(
                    ("Technology", "Document_Type"),
                    selected=(("Databases",), ("Storage", "User_Guides")),
                ),
                FacetRequest(("Tags",), selected=(("keys",), ("audit",))),
                FacetRequest(("Published",), selected=(("2021",),)),
                FacetRequest(("Region",)),
            ),
        )
        response = engine.query(request)
        assert response.total == len(found(request, DOCUMENTS)) > 0
        for number, result in enumerate(response.facets):
            expected = own_tree(request, number)
            chosen = {path[0] for path in request.facets[number].selected}
            counted = tree_of(result.nodes)
            assert {label: counted[label] for label in expected if label is not None} == {
                label: (count, cut(below, 1, missing=self.counts_missing))
                for label, (count, below) in expected.items()
                if label is not None
            }
            assert counted.keys() - expected.keys() <= chosen
        technology = {node.value: node for node in response.facets[0].nodes}
        assert technology["Databases"].selection is Selection.ALL
        assert {child.selection for child in technology["Databases"].children} == {Selection.ALL}
        assert technology["Storage"].selection is Selection.PART
        assert technology["Compute"].selection is Selection.NONE
        inner = {child.value: child.selection for child in technology["Storage"].children}
        assert inner["User_Guides"] is Selection.ALL
        assert inner["Reference_Guides"] is Selection.NONE

    def test_shows_selected_values_outside_the_top(self, engine: SearchEngine) -> None:
        facet = FacetRequest(
            ("Document_Type", "Technology"),
            selected=(("Release_Notes", "Compute"), ("No such type",)),
            top=1,
        )
        request = SearchRequest("encrypt data", facets=(facet,))
        result = engine.query(request).facets[0]
        assert [(node.value, node.count) for node in result.nodes] == [
            ("User_Guides", 37),
            ("Release_Notes", 5),
            ("No such type", 0),
        ]
        shown = {child.value: child.count for child in result.nodes[1].children}
        assert shown == {"Databases": 4, "Compute": 1}
        assert (result.distinct, result.remainder) == (3, 19)

    def test_says_how_much_the_top_leaves_out(self, engine: SearchEngine) -> None:
        request = SearchRequest(facets=(FacetRequest(("Tags", "Technology"), top=2),))
        result = engine.query(request).facets[0]
        counts = own_tree(request, 0)
        largest = sorted((count for label, (count, _) in counts.items() if label), reverse=True)
        assert [node.count for node in result.nodes if node.value] == largest[:2]
        assert (result.distinct, result.remainder) == (4, sum(largest[2:]))
        for node in result.nodes:
            if node.value is not None:
                inner = {k: v for k, v in counts[node.value][1].items() if k is not None}
                assert node.distinct == len(inner)
                assert node.remainder == sum(n for n, _ in inner.values()) - sum(
                    child.count for child in node.children if child.value is not None
                )

    def test_searches_the_values_of_a_facet(self, engine: SearchEngine) -> None:
        facet = FacetRequest(("Document_Type", "Technology"), value_search="gUiDeS", top=5)
        request = SearchRequest(facets=(facet,))
        result = engine.query(request).facets[0]
        expected = own_tree(request, 0)
        assert {node.value: node.count for node in result.nodes} == {
            label: expected[label][0] for label in ("User_Guides", "Reference_Guides")
        }
        assert (result.distinct, result.remainder) == (2, 0)

    def test_takes_a_search_for_values_literally(self, engine: SearchEngine) -> None:
        request = SearchRequest(facets=(FacetRequest(("Document_Type",), value_search=".*[("),))
        assert engine.query(request).facets[0].nodes == ()

    def test_counts_missing_values_or_says_that_it_does_not(self, engine: SearchEngine) -> None:
        facet = FacetRequest(("Region", "Pages"))
        request = SearchRequest("encrypt data", facets=(facet,))
        response = engine.query(request)
        missing = [node for node in response.facets[0].nodes if node.value is None]
        if not self.counts_missing:
            assert not missing
            assert any("missing values: 15 of 61" in note for note in response.notes)
            return
        assert tree_of(missing) == {None: own_tree(request, 0)[None]}
        selected = replace(request, facets=(replace(facet, selected=((None,),)),))
        assert engine.query(selected).total == len(found(selected, DOCUMENTS)) == 15

    @pytest.mark.parametrize("name", FILTERS)
    def test_filters(self, engine: SearchEngine, name: str) -> None:
        if name == "three levels" and not self.takes_every_filter:
            return
        request = SearchRequest(filter=FILTERS[name], page_size=100)
        response = engine.query(request)
        expected = {document.id for document in found(request, DOCUMENTS)}
        assert {hit.id for hit in response.hits} == expected
        assert response.total == len(expected) > 0

    @settings(
        max_examples=25,
        deadline=None,
        database=None,  # an example of one engine is not replayed with another
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(wanted=TREES)
    def test_filters_of_any_shape(self, engine: SearchEngine, wanted: Filter) -> None:
        request = SearchRequest("encrypt data", filter=wanted)
        try:
            total = engine.query(request).total
        except QueryError as refusal:
            assert not self.takes_every_filter, refusal  # noqa: PT017 - only some may refuse
            return
        assert total == len(found(request, DOCUMENTS))

    def test_pages(self, engine: SearchEngine) -> None:
        pages = [engine.query(SearchRequest("data", page=n, page_size=25)) for n in range(1, 5)]
        assert [len(page.hits) for page in pages] == [25, 25, 12, 0]
        assert {page.total for page in pages} == {62}
        ids = [hit.id for page in pages for hit in page.hits]
        assert len(set(ids)) == len(ids)

    def test_counts_without_hits(self, engine: SearchEngine) -> None:
        response = engine.query(SearchRequest("data", page_size=0))
        assert (response.total, response.hits) == (62, ())

    def test_finds_nothing(self, engine: SearchEngine) -> None:
        response = engine.query(SearchRequest("zebra", facets=(FacetRequest(("Technology",)),)))
        assert (response.total, response.hits, response.facets[0].nodes) == (0, (), ())

    @pytest.mark.parametrize("name", ["Pages", "Published", "Technology"])
    @pytest.mark.parametrize("descending", [False, True])
    def test_sorts(self, engine: SearchEngine, name: str, descending: bool) -> None:  # noqa: FBT001 - pytest calls it
        order = (Sort(name, descending), Sort("Published"))
        response = engine.query(SearchRequest("data", sort=order, page_size=100))
        values: list[Any] = [hit.attributes.get(name) for hit in response.hits]
        present = [value for value in values if value is not None]
        assert present == sorted(present, reverse=descending)
        if not self.sorts_every_document:
            assert any(f"“{name}”" in note for note in response.notes)
        assert values[: len(present)] == present
        for _, ties in itertools.groupby(response.hits, lambda hit: hit.attributes.get(name)):
            dates: list[Any] = [hit.attributes.get("Published") for hit in ties]
            known = [date for date in dates if date is not None]
            assert name == "Published" or known == sorted(known)

    def test_returns_documents_as_they_are(self, engine: SearchEngine) -> None:
        by_id = {document.id: document for document in DOCUMENTS}
        for hit in engine.query(SearchRequest("encrypt data", page_size=100)).hits:
            document = by_id[hit.id]
            assert (hit.title, hit.uri) == (document.title, document.uri)
            assert hit.attributes == document.attributes
            assert hit.score > 0

    def test_highlights_the_words(self, engine: SearchEngine) -> None:
        for hit in engine.query(SearchRequest("encrypt storage", page_size=20)).hits:
            marked = [hit.excerpt[span.start : span.end] for span in hit.excerpt_highlights]
            assert {stem(word.lower()) for word in marked} == {"encrypt", "storag"}
            in_title = [hit.title[span.start : span.end] for span in hit.title_highlights]
            assert in_title == ["Storage"]

    def test_highlights_by_characters(self, engine: SearchEngine) -> None:
        (hit,) = engine.query(SearchRequest("billing")).hits
        (span,) = hit.excerpt_highlights
        assert hit.excerpt[span.start : span.end] == "billing"

    @pytest.mark.parametrize(
        ("user", "extra"),
        [
            (None, set()),
            (Principals(), set()),
            (Principals(users=frozenset({"ana"})), {"ana"}),
            (Principals(users=frozenset({"eve"}), groups=frozenset({"staff"})), {"secret"}),
            (Principals(users=frozenset({"bob"}), groups=frozenset({"staff"})), set()),
        ],
    )
    def test_finds_only_what_the_user_may_find(
        self, engine: SearchEngine, user: Principals | None, extra: set[str]
    ) -> None:
        facet = FacetRequest(("Document_Type",), selected=(("Policy",),))
        request = SearchRequest("encrypt data", user=user, facets=(facet,))
        response = engine.query(request)
        assert {hit.id for hit in response.hits} == extra
        assert {node.value: node.count for node in response.facets[0].nodes}["Policy"] == len(extra)
        assert engine.query(replace(request, facets=())).total == POST_TOTAL + len(extra)

    def test_counts_histograms_or_says_that_it_does_not(self, engine: SearchEngine) -> None:
        histograms = (
            HistogramRequest("Pages", step=20),
            HistogramRequest("Published", unit="quarter"),
        )
        facet = FacetRequest(("Technology",), selected=(("Storage",),))
        request = SearchRequest("encrypt data", facets=(facet,), histograms=histograms)
        response = engine.query(request)
        if not self.has_histograms:
            assert response.histograms == ()
            self.check_note(response.notes, ("Pages", "Published"))
            return
        hits = found(request, DOCUMENTS)
        pages, published = response.histograms
        assert pages.buckets == tuple(
            Bucket(low, low + 20, count_within(hits, "Pages", low, low + 20)) for low in (0, 20, 40)
        )
        quarters = [
            datetime(y, m, 1, tzinfo=UTC) for y in (2020, 2021, 2022) for m in (1, 4, 7, 10)
        ]
        ends = [*quarters[1:], datetime(2023, 1, 1, tzinfo=UTC)]
        assert published.buckets == tuple(
            Bucket(low, high, count_within(hits, "Published", low, high))
            for low, high in zip(quarters, ends, strict=True)
        )

    def test_proposes_a_spelling_that_finds_more(self, engine: SearchEngine) -> None:
        request = SearchRequest("encript data", words=Words.ALL)
        correction = engine.query(request).correction
        assert correction is not None
        assert (correction.query, correction.total) == ("encrypt data", POST_TOTAL)
        assert engine.query(replace(request, suggest_spelling=False)).correction is None
        assert engine.query(SearchRequest("encrypt data")).correction is None

    def test_knows_its_attributes(self, engine: SearchEngine) -> None:
        known = {attribute.name: attribute.type for attribute in engine.attributes()}
        assert known.items() >= TYPES.items()

    def test_suggests_completions(self, engine: SearchEngine) -> None:
        suggestions = engine.suggest("stor", limit=2)
        assert 0 < len(suggestions) <= 2
        assert all(text.casefold().startswith("stor") for text in suggestions)
        assert engine.suggest("") == ()

    @pytest.mark.parametrize(
        "request_",
        [
            SearchRequest(facets=(FacetRequest(("Nowhere",)),)),
            SearchRequest(filter=AnyOf("Nowhere", ("x",))),
            SearchRequest(sort=(Sort("Nowhere"),)),
            SearchRequest(filter=AnyOf("Pages", ("many",))),
            SearchRequest(filter=AllOf("Technology", ("Storage",))),
            SearchRequest(sort=(Sort("Tags"),)),
            SearchRequest(filter=Range("Technology", 1, 2)),
        ],
    )
    def test_refuses_with_a_sentence(self, engine: SearchEngine, request_: SearchRequest) -> None:
        with pytest.raises(QueryError, match=r"“\w+”.*\.$"):
            engine.query(request_)


def count_within(documents: Iterable[Document], name: str, low: Any, high: Any) -> int:
    return sum(low <= value < high for each in documents for value in elements(each, name))
