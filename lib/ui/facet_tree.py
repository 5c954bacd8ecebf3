"""Hierarchies of facets as trees: counts at every level, several values selected at any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from lib.search.hierarchies import Facet, levels_text
from lib.search.model import FacetNode, FacetResult, Path, Selection
from lib.ui.packaged import component

CHECKED = {Selection.ALL: "true", Selection.PART: "mixed", Selection.NONE: "false"}
ACRONYMS = frozenset({"api", "aws", "id", "uri", "url", "http", "faq", "pdf"})


@dataclass(frozen=True)
class Click:
    """A value that was switched on or off: the hierarchy by its levels, and the path in it."""

    number: int  # counts up within a browser's session
    facet: str
    path: Path
    on: bool


@dataclass(frozen=True)
class TreeActions:
    """What the page does when somebody uses the tree; hierarchies go by their levels."""

    clicked: Callable[[Sequence[Click]], None]
    turned: Callable[[str], None]
    more: Callable[[str], None]
    searched: Callable[[str, str], None]


def show_facet_tree(  # noqa: PLR0913 - the trees, what they show, and what they do
    facets: Sequence[Facet],
    results: Sequence[FacetResult],
    searches: Mapping[str, str],
    actions: TreeActions,
    *,
    clicked: int,
    key: str,
) -> None:
    """Draw the trees. `clicked` is the number of the last click that the results know of."""

    def on_clicks() -> None:
        actions.clicked(_read_clicks(st.session_state[key].clicks))

    def on_turned() -> None:
        actions.turned(str(st.session_state[key].turned))

    def on_more() -> None:
        actions.more(str(st.session_state[key].more))

    def on_searched() -> None:
        search = st.session_state[key].searched
        if isinstance(search, dict):
            actions.searched(str(search.get("facet")), str(search.get("letters"))[:200])

    expanded = _read_expanded(st.session_state.get(key))
    component("facet_tree")(
        key=key,
        data={
            "clicked": clicked,
            "facets": [
                facet_data(facet, result, searches.get(facet_key(facet), ""), expanded)
                for facet, result in zip(facets, results, strict=True)
            ],
        },
        on_clicks_change=on_clicks,
        on_turned_change=on_turned,
        on_more_change=on_more,
        on_searched_change=on_searched,
        on_expanded_change=_nothing,
    )


def facet_key(facet: Facet) -> str:
    """Return what a hierarchy goes by in the browser: its levels."""
    return levels_text([Facet(facet.attributes)])


def label(attribute: str) -> str:
    """Return an attribute's name as people write it: "api_version_year" as "API version year"."""
    words = attribute.replace("-", " ").replace("_", " ").split() or [attribute]
    spoken = [word.upper() if word.lower() in ACRONYMS else word for word in words]
    return " ".join([spoken[0][:1].upper() + spoken[0][1:], *map(_lowered, spoken[1:])])


def title(attributes: Iterable[str]) -> str:
    """Return the name of a hierarchy."""
    return " › ".join(map(label, attributes))


def turned(attributes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the levels with the outermost one innermost; two levels are swapped."""
    return (*attributes[1:], attributes[0])


def facet_data(
    facet: Facet, result: FacetResult, search: str, expanded: Mapping[str, frozenset[Path]]
) -> dict[str, Any]:
    """Return what the browser needs of one hierarchy: values below closed ones are left out."""
    key = facet_key(facet)
    opened = expanded.get(key, _opened_at_first(facet, result))
    return {
        "key": key,
        "title": title(facet.attributes),
        "turned": title(turned(facet.attributes)),
        "levels": [label(name) for name in facet.attributes],
        "search": search,
        "selected": len(facet.selected),
        "expanded": [list(path) for path in sorted(opened, key=repr)],
        "nodes": _nodes_data(result.nodes, (), len(facet.attributes), opened),
        "distinct": result.distinct,
        "remainder": result.remainder,
        "summary": _summary(result, search),
        "exact": result.exact,
    }


def _nodes_data(
    nodes: Sequence[FacetNode], above: Path, levels: int, opened: frozenset[Path]
) -> list[dict[str, Any]]:
    inner = len(above) + 1 < levels
    data = []
    for node in nodes:
        path = (*above, node.value)
        # One level below what is open goes along, so that opening shows something at once.
        reachable = not above or above in opened
        data.append(
            {
                "value": node.value,
                "count": node.count,
                "selection": CHECKED[node.selection],
                "listed": node.value is not None and node.count > 0,
                "inner": inner and bool(node.children),
                "children": _nodes_data(node.children, path, levels, opened) if reachable else [],
                "distinct": node.distinct,
                "remainder": node.remainder,
            }
        )
    return data


def _summary(result: FacetResult, search: str) -> str:
    shown = sum(node.value is not None and node.count > 0 for node in result.nodes)
    if not result.nodes:
        return f"No value contains “{search}”." if search else "No document found has a value."
    if shown < result.distinct:
        return f"Top {shown:,} of {result.distinct:,} values."
    return f"{result.distinct:,} value{'' if result.distinct == 1 else 's'}."


def _opened_at_first(facet: Facet, result: FacetResult) -> frozenset[Path]:
    if len(facet.attributes) == 1 or not result.nodes:
        return frozenset()
    above = {path[:depth] for path in facet.selected for depth in range(1, len(path))}
    return frozenset(above or {(result.nodes[0].value,)})


def _read_clicks(sent: object) -> list[Click]:
    # From the browser, so nothing about it is sure.
    return [
        Click(one["number"], one["facet"], tuple(one["path"]), one["on"])
        for one in (sent if isinstance(sent, list) else [])
        if isinstance(one, dict)
        and isinstance(one.get("number"), int)
        and isinstance(one.get("facet"), str)
        and isinstance(one.get("on"), bool)
        and _is_path(one.get("path"))
    ]


def _read_expanded(state: Any) -> dict[str, frozenset[Path]]:
    sent = state.get("expanded") if state is not None else None
    return {
        str(facet): frozenset(tuple(path) for path in paths if _is_path(path))
        for facet, paths in (sent if isinstance(sent, dict) else {}).items()
        if isinstance(paths, list)
    }


def _is_path(sent: object) -> bool:
    return (
        isinstance(sent, list)
        and bool(sent)
        and all(value is None or isinstance(value, str) for value in sent)
    )


def _lowered(word: str) -> str:
    return word if word.isupper() else word[:1].lower() + word[1:]


def _nothing() -> None:
    """Let Streamlit keep the state of the tree; the next run reads it."""
