"""What the search page draws: the query bar, facets, results and other views of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lib.aws import AwsError
from lib.search.hierarchies import MAX_FACETS, Facet
from lib.search.intervals import Interval
from lib.search.model import (
    MAX_FACET_DEPTH,
    MAX_QUERY_CHARACTERS,
    Attribute,
    FacetRequest,
    FacetResult,
    QueryError,
    SearchEngine,
    SearchRequest,
    SearchResponse,
    Words,
)
from lib.ui import search_state as state
from lib.ui.facet_tree import label, show_facet_tree, title
from lib.ui.hit_list import show_hits
from lib.ui.markdown import escape
from lib.ui.search_charts import show_map, show_matrix
from lib.ui.search_distribution import interval_label
from lib.ui.search_exports import show_exports
from lib.ui.search_state import Search

if TYPE_CHECKING:
    from lib.search.engine import EmbeddedSearch

VIEWS = ("Results", "Matrix", "Map", "Distribution", "As code")
WORD_NAMES = {Words.ALL: "All words", Words.MOST: "Most words", Words.ANY: "Any word"}
CHIPS_SHOWN = 20
MATRIX_TOP = 30
MAP_TOP = 25
SHOWN_MS = 0.05  # less rounds to nothing
LOOK_SECONDS = 1.0
BAR_SECONDS = 0.1  # between two drawings of a progress bar


def ask_query(attributes: Sequence[Attribute], *, is_indexed: bool) -> DeltaGenerator:
    """Draw the query bar; return the place at its end for what acts on the whole view.

    An index here is asked while one types, other engines once Enter is pressed.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input(
            "Search for",
            type="search",
            key=state.QUERY,
            max_chars=MAX_QUERY_CHARACTERS,
            live="300ms" if is_indexed else False,
            bind="query-params",
            on_change=state.first_page,
            placeholder='Words, a "phrase", a beginn*, a typo~',
            width="stretch",
        )
        with st.container(
            horizontal=True, vertical_alignment="bottom", gap="small", width="content"
        ):
            st.selectbox(
                "Must contain",
                [str(words) for words in Words],
                index=list(Words).index(Words.MOST),
                format_func=lambda words: WORD_NAMES[Words(words)],
                key=state.WORDS,
                bind="query-params",
                on_change=state.first_page,
                width=130,
            )
            st.selectbox(
                "Order",
                list(state.sort_orders(attributes, by_meaning=is_indexed)),
                key=state.SORT,
                bind="query-params",
                on_change=state.first_page,
                help="Meaning compares the first results with what the query means, too.",
                width=180,
            )
            actions = st.container(
                horizontal=True, vertical_alignment="bottom", gap="small", width="content"
            )
    return actions


def read_facets(attributes: Sequence[Attribute]) -> tuple[Facet, ...]:
    """Draw the view as text, and return the hierarchies and selections that it holds."""
    state.put_again()
    state.use_first_levels(attributes)
    with st.popover("Link", icon=":material/link:"):
        st.caption(
            "The address of this page holds the whole view: copy it to share or keep it. "
            "Facets and selection can be changed here as text, too."
        )
        st.text_input(
            "Facets",
            value=state.first_levels(attributes),
            key=state.LEVELS,
            bind="query-params",
            help="Levels of a hierarchy with `>` between them, hierarchies with `;` between them.",
        )
        st.text_input(
            "Selected",
            key=state.SELECTED,
            bind="query-params",
            help="For each hierarchy the selected paths, as JSON.",
        )
        st.text_input(
            "Ranges",
            key=state.RANGES,
            bind="query-params",
            help="Numbers and days, as in `size:10..20;_created_at:2024-01-01..`.",
        )
    return state.facets_of_address(attributes)


def show_suggestions(engine: SearchEngine) -> None:
    """Draw what the query being typed may become."""
    query: str = st.session_state.get(state.QUERY) or ""
    try:
        suggested = engine.suggest(query, 6) if query.strip() else ()
    except (QueryError, AwsError) as error:
        st.caption(escape(f"No suggestions: {error}"))
        return
    found = [one for one in suggested if one != query]
    if found:
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.caption("Suggestions:", width="content")
            for number, suggestion in enumerate(found):
                st.button(
                    escape(suggestion),
                    key=f"search_suggestion_{number}",
                    type="tertiary",
                    on_click=state.ask,
                    args=(suggestion,),
                )


def choose_levels(search: Search, attributes: Sequence[Attribute]) -> None:
    """Draw which attributes are facets, in which order of nesting."""
    names = [attribute.name for attribute in attributes]
    with st.popover("Choose facets", icon=":material/account_tree:", width="stretch"):
        st.caption("Pick attributes from the outermost level inwards.")
        for position in range(min(len(search.facets) + 1, MAX_FACETS)):
            new = position == len(search.facets)
            now = () if new else search.facets[position].attributes
            key = f"search_levels_{position}_{'>'.join(now)}"
            st.multiselect(
                "One more hierarchy" if new else f"Hierarchy {position + 1}",
                names,
                default=list(now),
                format_func=label,
                max_selections=MAX_FACET_DEPTH,
                key=key,
                on_change=_rearrange,
                args=(search, position, key),
                placeholder="Add a facet" if new else "No level: the hierarchy goes",
            )


def show_facets(search: Search, response: SearchResponse) -> None:
    """Draw the facet trees."""
    show_facet_tree(
        search.facets,
        response.facets[: len(search.facets)],
        search.letters,
        search.tree_actions(),
        clicked=state.clicked(),
        key="search_tree",
    )
    state.address_drawn()


def show_selected(search: Search) -> None:
    """Draw what is selected as buttons that take it out again."""
    chips = [(at, path) for at, facet in enumerate(search.facets) for path in facet.selected]
    if not chips and not search.intervals:
        return
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        for number, (position, path) in enumerate(chips[:CHIPS_SHOWN]):
            names = search.facets[position].attributes
            values = " › ".join("No value" if value is None else value for value in path)
            st.button(
                escape(f"{label(names[0])}: {values}"),
                icon=":material/close:",
                key=f"search_chip_{number}",
                help="Take this out of the selection",
                on_click=search.remove,
                args=(position, path),
            )
        if len(chips) > CHIPS_SHOWN:
            st.caption(f"and {len(chips) - CHIPS_SHOWN:,} more", width="content")
        for interval in search.intervals:
            st.button(
                escape(f"{label(interval.attribute)}: {interval_label(interval)}"),
                icon=":material/close:",
                key=f"search_range_{interval.attribute}",
                help="Take this out of the selection",
                on_click=search.within,
                args=(Interval(interval.attribute),),
            )
        st.button("Clear all", type="tertiary", key="search_clear", on_click=search.clear)


def show_total(response: SearchResponse, whole: int) -> None:
    """Draw how many documents were found, a better spelling, and what was left out."""
    found = f"**{response.total:,}** of {whole:,} documents"
    spent = response.milliseconds
    st.markdown(f"{found} · {f'{spent:,.1f}' if spent >= SHOWN_MS else '< 0.1'} ms")
    if response.correction is not None:
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.markdown("Did you mean", width="content")
            st.button(
                escape(response.correction.query),
                key="search_correction",
                on_click=state.ask,
                args=(response.correction.query,),
            )
            st.caption(f"{response.correction.total:,} documents", width="content")
    if response.notes:
        st.caption(escape(" ".join(response.notes)))


def show_results(search: Search, response: SearchResponse) -> None:
    """Draw one page of found documents, the way to the others, and the downloads."""
    engine = search.engine
    pages = ceil(min(response.total, engine.max_results) / state.PAGE_SIZE)
    list_above = st.container()
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        page = 1
        if pages > 1:
            page = st.pagination(
                pages,
                key=state.PAGE,
                bind="query-params",
                on_change=_close_document,
                width="stretch",  # as narrow as its content, it leaves out pages that would fit
            )
        show_exports(search, response.total)
    request = search.hits_request(page)
    opened = st.session_state.get(state.OPENED, "")
    with list_above:
        if request.rerank and engine.keeps_texts:
            _compare_meanings(cast("EmbeddedSearch", engine), request)
        found = engine.query(request)
        if more_notes := set(found.notes) - set(response.notes):
            st.caption(escape(" ".join(sorted(more_notes))))
        show_hits(
            found.hits,
            first=(page - 1) * state.PAGE_SIZE + 1,
            opened=engine.document(opened, request.user) if opened else None,
            can_open=engine.keeps_texts,
            on_open=lambda identifier: st.session_state.update({state.OPENED: identifier}),
            key="search_hits",
        )


def choose_matrix(attributes: Sequence[Attribute]) -> FacetRequest | None:
    """Draw which two facets make rows and columns, and return the request for their counts."""
    names = state.facet_names(attributes)
    if len(names) < 2:  # noqa: PLR2004 - rows and columns
        return None
    known = [name for name in state.FIRST_LEVELS[0] if name in names]
    at_first = [*known, *(name for name in names if name not in known)]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        rows = st.selectbox(
            "Rows",
            names,
            index=names.index(at_first[0]),
            format_func=label,
            key="search_rows",
            bind="query-params",
            width=220,
        )
        st.button(
            "Transpose",
            icon=":material/swap_horiz:",
            key="search_transpose",
            on_click=_transpose,
        )
        columns = st.selectbox(
            "Columns",
            names,
            index=names.index(at_first[1]),
            format_func=label,
            key="search_columns",
            bind="query-params",
            width=220,
        )
    if rows == columns:
        st.info("Choose two different facets.", icon=":material/info:")
        return None
    return FacetRequest((rows, columns), top=MATRIX_TOP)


def show_counts_matrix(search: Search, counts: FacetResult) -> None:
    """Draw the cross table; a click on a cell selects it."""
    show_matrix(
        counts,
        on_choose=lambda path: search.narrow(counts.attributes, path),
        key=f"search_matrix_{_fingerprint(search, counts)}",
    )
    st.caption(
        f"Documents by {escape(title(counts.attributes))}: choose a cell to see only those. "
        f"Up to {MATRIX_TOP} rows, and as many values in each. {_exactness(counts)}"
    )


def choose_map(search: Search) -> tuple[FacetRequest | None, bool]:
    """Draw which hierarchy is shown and how; return the request, and whether as rings."""
    if not search.facets:
        st.caption("Choose facets on the left to see them as a map.")
        return None, False
    by_name = {title(facet.attributes): facet for facet in search.facets}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = st.selectbox(
            "Hierarchy", list(by_name), key="search_map", bind="query-params", width=320
        )
        shape = st.radio(
            "Shape", ["Areas", "Rings"], horizontal=True, key="search_shape", bind="query-params"
        )
    return FacetRequest(by_name[chosen].attributes, top=MAP_TOP), shape == "Rings"


def show_counts_map(search: Search, counts: FacetResult, *, rings: bool) -> None:
    """Draw the nested counts as areas or rings; a click on one selects it."""
    show_map(
        counts,
        rings=rings,
        on_choose=lambda path: search.narrow(counts.attributes, path) if path else None,
        key=f"search_map_{_fingerprint(search, counts)}_{rings}",
    )
    st.caption(
        f"Documents by {escape(title(counts.attributes))}: choose an area to see only those. "
        f"Up to {MAP_TOP} values at each level. {_exactness(counts)}"
    )


def show_nothing_found(search: Search) -> None:
    """Draw what to relax when nothing was found."""
    request = search.request()
    ways: list[tuple[str, int, Callable[[], None]]] = []
    if search.intervals:
        total = search.engine.query(replace(request, filter=None)).total
        ways.append(("Without the ranges", total, lambda: state.set_intervals(())))
    if any(facet.selected for facet in search.facets):
        facets = tuple(replace(facet, selected=()) for facet in request.facets)
        total = search.engine.query(replace(request, facets=facets)).total
        ways.append(("Without the selected facets", total, search.clear))
    if request.query.strip() and request.words is not Words.ANY:
        total = search.engine.query(replace(request, words=Words.ANY)).total
        ways.append(("With any of the words", total, lambda: state.use_words(Words.ANY)))
    if request.query.strip():
        total = search.engine.query(replace(request, query="")).total
        ways.append(("Without the words", total, lambda: state.ask("")))
    with st.container(border=True):
        st.markdown("**No document matches all of this**")
        st.caption("Check the spelling, or relax what must hold:")
        for number, (name, total, relax) in enumerate(way for way in ways if way[1]):
            st.button(f"{name}: {total:,} documents", key=f"search_relax_{number}", on_click=relax)


def _exactness(counts: FacetResult) -> str:
    return "" if counts.exact else "The counts are approximate, or not all values are listed."


def _compare_meanings(engine: EmbeddedSearch, request: SearchRequest) -> None:
    # The bar is also where Streamlit stops a run of the page that a newer one has overtaken.
    place, drawn = st.empty(), time.monotonic()
    for part in engine.embed_ahead(request):
        if time.monotonic() - drawn > BAR_SECONDS:
            place.progress(part, "Comparing meanings …")
            drawn = time.monotonic()
    place.empty()
    if engine.loads_model:
        st.fragment(_wait_for_model, run_every=LOOK_SECONDS)(engine)


def _wait_for_model(engine: EmbeddedSearch) -> None:
    if not engine.loads_model:
        st.rerun()


def _rearrange(search: Search, position: int, key: str) -> None:
    search.rearrange(position, tuple(st.session_state[key]))


def _transpose() -> None:
    rows, columns = st.session_state["search_rows"], st.session_state["search_columns"]
    st.session_state["search_rows"], st.session_state["search_columns"] = columns, rows


def _close_document() -> None:
    st.session_state[state.OPENED] = ""


def _fingerprint(search: Search, counts: FacetResult) -> int:
    # Another view gets another widget, so that a choice made in one is gone in the next.
    return hash((search.request(), counts.attributes))
