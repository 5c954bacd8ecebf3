"""Selections in hierarchies: against sets of documents as the oracle, and through the address."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.search.hierarchies import (
    Facet,
    SelectionError,
    levels_text,
    narrowed,
    read_facets,
    rearranged,
    selected_text,
    with_path,
)
from lib.search.model import Path

NAMES = ("technology", "kind", "year")
VALUES = st.sampled_from(["a", "b", "c", None])
DOCUMENTS = st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=30)


def project(documents: Iterable[Path], levels: tuple[str, ...]) -> list[Path]:
    """Return the combinations of values that occur in some levels."""
    places = [NAMES.index(name) for name in levels]
    return sorted({tuple(document[place] for place in places) for document in documents}, key=str)


def found(documents: list[Path], facet: Facet) -> set[Path]:
    """Return the documents that a selection lets through."""
    places = [NAMES.index(name) for name in facet.attributes]
    return {
        document
        for document in documents
        if any(
            all(document[place] == value for place, value in zip(places, path, strict=False))
            for path in facet.selected
        )
    }


@given(DOCUMENTS, st.data())
def test_clicking_selects_and_deselects_exactly_the_documents_below(
    documents: list[Path], data: st.DataObject
) -> None:
    facet = Facet(NAMES)
    expected: set[Path] = set()
    for _ in range(data.draw(st.integers(1, 6))):
        path = data.draw(st.sampled_from(documents))[: data.draw(st.integers(1, 3))]
        on = data.draw(st.booleans())
        facet = with_path(facet, path, on=on, paths_of=lambda levels: project(documents, levels))
        below = {document for document in documents if document[: len(path)] == path}
        expected = expected | below if on else expected - below
        assert found(documents, facet) == expected
        assert len(set(facet.selected)) == len(facet.selected)


@given(DOCUMENTS, st.sampled_from(list(permutations(NAMES))), st.data())
def test_turning_a_hierarchy_keeps_the_documents(
    documents: list[Path], attributes: tuple[str, ...], data: st.DataObject
) -> None:
    paths = data.draw(st.lists(st.sampled_from(documents), max_size=4))
    facet = Facet(NAMES, tuple(path[: data.draw(st.integers(1, 3))] for path in paths))
    turned = rearranged(facet, attributes, lambda levels: project(documents, levels))
    assert turned.attributes == attributes
    assert found(documents, turned) == found(documents, facet)


def test_a_level_that_goes_takes_its_selection_along() -> None:
    facet = Facet(("kind", "year"), (("a", "b"), ("c",)))
    assert rearranged(facet, ("year",), lambda _: []).selected == (("b",),)


NAME = st.text("abcXYZ_-09", min_size=1, max_size=8)
FACETS = st.lists(
    st.lists(NAME, min_size=1, max_size=4, unique=True).flatmap(
        lambda names: st.builds(
            Facet,
            st.just(tuple(names)),
            st.lists(
                st.lists(st.none() | st.text(), min_size=1, max_size=len(names)).map(tuple),
                max_size=5,
                unique=True,
            ).map(tuple),
            st.integers(1, 1_000),
        )
    ),
    max_size=5,
    unique_by=lambda facet: facet.attributes,
)


@given(FACETS)
def test_the_address_brings_every_selection_back(facets: list[Facet]) -> None:
    known = {name for facet in facets for name in facet.attributes}
    assert read_facets(levels_text(facets), selected_text(facets), known) == tuple(facets)


@given(st.text(), st.text())
def test_any_address_is_read_or_refused(levels: str, selected: str) -> None:
    with suppress(SelectionError):
        facets = read_facets(levels, selected, NAMES)
        assert read_facets(levels_text(facets), selected_text(facets), NAMES) == facets


@pytest.mark.parametrize(
    ("levels", "selected", "sentence"),
    [
        ("nothing", "", "no attribute “nothing”"),
        ("kind>kind", "", "different levels"),
        ("kind:0", "", "between 1 and 1,000"),
        ("kind:9999999999999", "", "between 1 and 1,000"),
        ("kind:000000001" + "9" * 5_000, "", "between 1 and 1,000"),
        ("kind", '[[["\\ud800"]]]', "JSON"),
        ("kind", '[[["a","b"]]]', "deeper"),
        ("kind", '[[],[["a"]]]', "hierarchies"),
        ("kind", '[[["a"]]', "JSON"),
        ("kind", '{"kind":["a"]}', "JSON"),
        ("kind", "[[[1]]]", "JSON"),
        ("kind", '[["ab"]]', "JSON"),
        ("kind", "[" * 100_000, "JSON"),
        ("kind", "[[" + ",".join(['["a"]'] * 501) + "]]", "At most 500"),
        (";".join(["kind"] * 9), "", "at most 8"),
        ("kind;kind:20", "", "shown once"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(levels: str, selected: str, sentence: str) -> None:
    with pytest.raises(SelectionError, match=sentence):
        read_facets(levels, selected, NAMES)


def test_too_many_values_one_by_one_are_refused() -> None:
    facet = Facet(NAMES, ((None,),))
    many = [(None, str(number)) for number in range(600)]
    with pytest.raises(SelectionError, match="limit is 500"):
        with_path(facet, (None, "0"), on=False, paths_of=lambda _: many)


def test_a_cell_is_selected_where_its_attributes_are_or_on_its_own() -> None:
    facets = (Facet(("year",)), Facet(("kind", "technology"), (("x",),)))
    assert narrowed(facets, ("technology", "kind"), ("t", "k")) == (
        facets[0],
        Facet(("kind", "technology"), (("k", "t"),)),
    )
    assert narrowed(facets, ("technology",), ("t",)) == (*facets, Facet(("technology",), (("t",),)))
