"""What the browser gets to draw the trees and the found documents, and the charts of counts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.search.hierarchies import Facet
from lib.search.model import Document, FacetNode, FacetResult, Hit, Selection, Span
from lib.ui.facet_tree import facet_data, label, turned
from lib.ui.hit_list import LONGEST_DOCUMENT, hit_data, pieces, plain, shortened, web_address
from lib.ui.search_charts import counts_frame, map_figure, matrix_frame, walk

LEAVES = (FacetNode("User guide", 3), FacetNode("<b>", 1), FacetNode(None, 1))
RESULT = FacetResult(
    ("Technology", "Document_Type"),
    (
        FacetNode("Storage", 5, Selection.PART, LEAVES, 2, 0),
        FacetNode("Compute", 0, Selection.ALL),
        FacetNode(None, 2, children=(FacetNode("User guide", 2),), distinct=1),
    ),
    distinct=4,
    remainder=7,
)


def test_only_what_is_open_and_the_level_below_goes_to_the_browser() -> None:
    deep = FacetResult(
        ("a", "b", "c"),
        (
            FacetNode("x", 2, children=(FacetNode("y", 2, children=(FacetNode("z", 2),)),)),
            FacetNode("w", 1, children=(FacetNode("v", 1, children=(FacetNode("u", 1),)),)),
        ),
        2,
        0,
    )
    facet = Facet(deep.attributes)
    at_first = facet_data(facet, deep, "", {})
    assert at_first["expanded"] == [["x"]]
    [x, w] = at_first["nodes"]
    assert x["children"][0]["children"][0]["value"] == "z"
    assert w["children"][0]["value"] == "v"
    assert w["children"][0]["children"] == []
    opened = facet_data(facet, deep, "", {"a>b>c": frozenset({("w",)})})
    assert opened["nodes"][1]["children"][0]["children"][0]["value"] == "u"


def test_a_tree_says_what_is_selected_and_what_it_does_not_show() -> None:
    data = facet_data(Facet(RESULT.attributes, (("Storage", "<b>"),)), RESULT, "", {})
    assert [node["selection"] for node in data["nodes"]] == ["mixed", "true", "false"]
    assert [node["listed"] for node in data["nodes"]] == [True, False, False]
    assert data["summary"] == "Top 1 of 4 values."
    assert data["expanded"] == [["Storage"]]
    assert data["title"] == "Technology › Document type"
    json.dumps(data, allow_nan=False)


@pytest.mark.parametrize("exact", [True, False])
def test_a_tree_says_whether_its_counts_are_exact(exact: bool) -> None:  # noqa: FBT001 - a case
    counted = replace(RESULT, exact=exact)
    assert facet_data(Facet(RESULT.attributes), counted, "", {})["exact"] is exact


@pytest.mark.parametrize(
    ("attribute", "shown"),
    [("api_version_year", "API version year"), ("_created_at", "Created at"), ("_", "_")],
)
def test_an_attribute_is_named_as_people_write_it(attribute: str, shown: str) -> None:
    assert label(attribute) == shown


def test_turning_comes_back_to_the_start() -> None:
    levels = ("a", "b", "c")
    assert turned(levels) == ("b", "c", "a")
    assert turned(turned(turned(levels))) == levels


@given(st.text(), st.lists(st.integers(0, 50), max_size=6))
def test_the_pieces_are_the_text(text: str, edges: list[int]) -> None:
    places = sorted(min(edge, len(text)) for edge in edges)
    spans = [Span(a, b) for a, b in zip(places[::2], places[1::2], strict=False)]
    cut = pieces(text, spans)
    assert "".join(cut) == text
    assert cut[1::2] == [text[span.start : span.end] for span in spans]


@pytest.mark.parametrize(
    ("uri", "followed"),
    [
        ("https://docs.example.org/a?b#c", True),
        ("http://intranet/x", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_only_web_addresses_become_links(uri: str, *, followed: bool) -> None:
    assert web_address(uri) == (uri if followed else "")


def test_a_hit_is_opened_where_it_is_the_one() -> None:
    hit = Hit("1", "", (), "an excerpt", (Span(3, 10),), "", {"_created_at": _day(2024)}, 1.0)
    document = Document("1", "", "the whole text")
    assert hit_data(hit, document)["document"] == ["the whole text"]
    assert hit_data(hit, Document("2", "", "another"))["document"] is None
    closed = hit_data(hit, None)
    assert (closed["name"], closed["excerpt"]) == ("1", ["an ", "excerpt", ""])
    assert closed["attributes"] == [["Created at", "2024-01-01"]]


def test_values_and_documents_have_an_end() -> None:
    assert plain(("one", "two\nlines")) == "one, two lines"
    assert len(plain("x" * 1_000)) == 120
    assert "1 more characters" in shortened("x" * (LONGEST_DOCUMENT + 1))


def test_every_count_is_a_row() -> None:
    frame = counts_frame([RESULT])
    assert len(frame) == len(walk(RESULT.nodes)) == 7
    assert frame.iloc[1].tolist() == ["Technology › Document type", "Storage", "User guide", 3]
    assert counts_frame([]).empty


def test_a_matrix_has_the_counts_and_the_paths_of_its_cells() -> None:
    frame, rows, columns = matrix_frame(RESULT)
    assert list(frame.columns) == ["Technology", "User guide", "<b>", "No value", "Total"]
    assert frame.iloc[0].tolist() == ["Storage", 3, 1, 1, 5]
    assert rows == [("Storage",), ("Compute",), (None,)]
    assert columns == [("User guide",), ("<b>",), (None,)]


@pytest.mark.parametrize("rings", [True, False])
def test_areas_fit_into_their_parents_and_run_no_markup(*, rings: bool) -> None:
    overlapping = FacetResult(
        ("a", "b"),
        (FacetNode("x", 4, children=(FacetNode("<i>", 4), FacetNode("q", 4)), distinct=2),),
        1,
        0,
    )
    figure, paths = map_figure(overlapping, rings=rings)
    [areas] = figure.data
    assert list(areas.values) == [4, 4, 2, 2]
    assert list(areas.customdata) == [0, 4, 4, 4]
    assert paths == [(), ("x",), ("x", "<i>"), ("x", "q")]
    assert "<i>" not in areas.labels


def _day(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)
