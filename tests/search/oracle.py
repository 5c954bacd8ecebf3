"""What a search must find and count, worked out document by document in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import product

from lib.search.analysis import stem, words_of
from lib.search.columns import may_find
from lib.search.model import (
    AllOf,
    And,
    AnyOf,
    Document,
    FacetNode,
    FacetRequest,
    Filter,
    Not,
    Or,
    Path,
    Range,
    SearchRequest,
    Selection,
    Words,
)
from lib.search.parse import STOP_WORDS


def expected_hits(documents: Iterable[Document], request: SearchRequest) -> set[str]:
    """Return the ids of all hits."""
    return {
        document.id
        for document in _candidates(documents, request)
        if all(_on_paths(document, facet) for facet in request.facets)
    }


def expected_facet(
    documents: Iterable[Document], request: SearchRequest, facet: FacetRequest
) -> dict[Path, int]:
    """Return the number of documents at every path of the hierarchy."""
    counts: Counter[Path] = Counter()
    for document in _candidates(documents, request):
        others = (other for other in request.facets if other is not facet)
        if all(_on_paths(document, other) for other in others):
            paths = set(product(*(_labels(document, name) for name in facet.attributes)))
            counts.update({path[:depth] for path in paths for depth in range(1, len(path) + 1)})
    return dict(counts)


def flattened(nodes: Iterable[FacetNode], parent: Path = ()) -> Iterator[tuple[Path, FacetNode]]:
    """Yield every node with its path."""
    for node in nodes:
        path = (*parent, node.value)
        yield path, node
        yield from flattened(node.children, path)


def expected_selection(path: Path, facet: FacetRequest) -> Selection:
    """Return the mark of a node."""
    if any(path[: len(chosen)] == chosen for chosen in facet.selected):
        return Selection.ALL
    if any(chosen[: len(path)] == path for chosen in facet.selected):
        return Selection.PART
    return Selection.NONE


def check_level(  # noqa: PLR0913, PLR0917 - one level
    nodes: tuple[FacetNode, ...],
    distinct: int,
    remainder: int,
    parent: Path,
    counts: Mapping[Path, int],
    facet: FacetRequest,
) -> None:
    """Assert that one level and all below it are what the counts say."""
    depth = len(parent)
    here: dict[str | None, int] = {
        p[-1]: n for p, n in counts.items() if len(p) == depth + 1 and p[:-1] == parent
    }
    valued = {value: count for value, count in here.items() if value is not None}
    if depth == 0 and facet.value_search:
        letters = facet.value_search.casefold()
        valued = {v: n for v, n in valued.items() if letters in v.casefold()}
        here = dict[str | None, int](valued.items())
    chosen = {
        path[depth]
        for path in facet.selected
        if path[:depth] == parent
        and len(path) > depth
        and (depth or facet.value_search.casefold() in (path[0] or "").casefold())
    }
    if depth == 0 and facet.value_search:
        chosen.discard(None)
    best = sorted(valued, key=lambda v: (-valued[v], _rank(v)))[: facet.top]
    expected = set(best) | chosen | ({None} if None in here else set())
    shown = [node.value for node in nodes]
    assert set(shown) == expected
    assert len(shown) == len(expected)
    assert [node.count for node in nodes] == [here.get(value, 0) for value in shown]
    ordered = [(node.value is None, -node.count) for node in nodes]
    assert ordered == sorted(ordered)
    assert distinct == len(valued)
    assert remainder == sum(valued.values()) - sum(valued.get(v, 0) for v in shown if v is not None)
    for node in nodes:
        path = (*parent, node.value)
        assert node.selection is expected_selection(path, facet)
        if depth + 1 < len(facet.attributes):
            check_level(node.children, node.distinct, node.remainder, path, counts, facet)
        else:
            assert node.children == ()


def _rank(label: str) -> tuple[int, str, str]:
    return int(label) if label.lstrip("-").isdecimal() else 0, label.casefold(), label


def _candidates(documents: Iterable[Document], request: SearchRequest) -> Iterator[Document]:
    visible = [document for document in documents if may_find(request.user, document.access)]
    for document in visible:
        if (request.filter is None or satisfies(document, request.filter)) and _matches(
            visible, document, request
        ):
            yield document


def _stems(document: Document) -> set[str]:
    return {stem(form) for form, _, _ in words_of(f"{document.title} {document.text}")}


def _matches(documents: list[Document], document: Document, request: SearchRequest) -> bool:
    forms = [form for form, _, _ in words_of(request.query)]
    wanted = {stem(form) for form in forms if form not in STOP_WORDS} or set(map(stem, forms))
    if not wanted:
        return True
    held = len(wanted & _stems(document))
    if request.words is Words.ALL:
        return held == len(wanted)
    if request.words is Words.ANY:
        return held > 0
    known = wanted & set().union(*(_stems(each) for each in documents))
    return held > 0 and 3 * held >= 2 * len(known)


def _labels(document: Document, name: str) -> tuple[str | None, ...]:
    match document.attributes.get(name):
        case None | ():
            return (None,)
        case tuple() as values:
            return values
        case datetime() as moment:
            return (str(moment.year),)
        case value:
            return (str(value),)


def _on_paths(document: Document, facet: FacetRequest) -> bool:
    labels = [_labels(document, name) for name in facet.attributes]
    return not facet.selected or any(
        all(value in labels[depth] for depth, value in enumerate(path)) for path in facet.selected
    )


def satisfies(document: Document, wanted: Filter) -> bool:  # noqa: PLR0911 - one a kind
    """Return whether the document satisfies the filter."""
    match wanted:
        case And(filters):
            return all(satisfies(document, part) for part in filters)
        case Or(filters):
            return any(satisfies(document, part) for part in filters)
        case Not(part):
            return not satisfies(document, part)
        case AnyOf(name, values):
            held = document.attributes.get(name, ())
            return bool(set(held if isinstance(held, tuple) else (held,)) & set(values))
        case AllOf(name, values):
            held = document.attributes.get(name, ())
            return isinstance(held, tuple) and set(values) <= set(held)
        case Range(name, low, high, low_included, high_included):
            value = document.attributes.get(name)
            if value is None:
                return False
            above = low is None or value > low or (low_included and value == low)  # type: ignore[operator]  # the test asks numbers with numbers
            below = high is None or value < high or (high_included and value == high)  # type: ignore[operator]  # the same
            return bool(above and below)
