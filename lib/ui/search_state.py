"""The view of the search page as its address holds it, and every way to change it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from lib.identity import User
from lib.search.hierarchies import (
    MAX_TOP,
    Attributes,
    Facet,
    SelectionError,
    levels_text,
    narrowed,
    read_facets,
    rearranged,
    selected_text,
    with_path,
)
from lib.search.model import (
    Attribute,
    AttributeType,
    FacetRequest,
    Path,
    Principals,
    SearchEngine,
    SearchRequest,
    Sort,
    Words,
)
from lib.ui.facet_tree import Click, TreeActions, facet_key, label, turned
from lib.ui.search_charts import walk

QUERY = "search_q"
WORDS = "search_words"
SORT = "search_sort"
LEVELS = "search_levels"
SELECTED = "search_in"
PAGE = "search_page"
VIEW = "search_view"
SAVED_KEYS = (QUERY, WORDS, SORT, LEVELS, SELECTED)

CLICKED = "search.clicked"  # the number of the last click in the tree that was taken in
SEARCHES = "search.searches"  # letters to find among the values, by hierarchy
OPENED = "search.opened"  # the id of the document that is shown as a whole
PROBLEM = "search.problem"  # a sentence about the last change that could not be made

FIRST_LEVELS = (("Technology", "Document_Type"), ("service",), ("api_version_year",))
RELEVANCE = "Relevance"
PAGE_SIZE = 10


@dataclass(frozen=True)
class Search:
    """An engine with what the user asks it for, and whom it answers."""

    engine: SearchEngine
    question: SearchRequest  # the words, their number, the order and the user
    facets: tuple[Facet, ...]
    letters: Mapping[str, str]  # to find among the values, by hierarchy

    def request(self, *more: FacetRequest) -> SearchRequest:
        """Return the request for the counts of this view, of the tree's facets and more."""
        return replace(
            self.question,
            facets=(
                *(
                    FacetRequest(
                        facet.attributes,
                        facet.selected,
                        facet.top,
                        self.letters.get(facet_key(facet), ""),
                    )
                    for facet in self.facets
                ),
                *more,
            ),
            page_size=0,
        )

    def hits_request(self, page: int, page_size: int = PAGE_SIZE) -> SearchRequest:
        """Return the request for one page of what was found, without counts."""
        request = self.request()
        selected = tuple(facet for facet in request.facets if facet.selected)
        return replace(
            request, facets=selected, page=page, page_size=page_size, suggest_spelling=False
        )

    def whole(self) -> int:
        """Return how many documents the user may find at all."""
        every = SearchRequest(page_size=0, user=self.question.user)
        return self.engine.query(every).total

    def paths_of(self, attributes: Attributes) -> list[Path]:
        """Return every combination of values that the user's documents have, by full path."""
        every = SearchRequest(
            facets=(FacetRequest(attributes, top=None),), page_size=0, user=self.question.user
        )
        [counts] = self.engine.query(every).facets
        return [path for path, _ in walk(counts.nodes) if len(path) == len(attributes)]

    def tree_actions(self) -> TreeActions:
        """Return what the tree does to this view."""
        return TreeActions(
            clicked=lambda clicks: _trying(lambda: self._take_in(clicks)),
            turned=lambda key: _trying(lambda: self._turn(key)),
            more=lambda key: _keep(
                replace(facet, top=min(5 * facet.top, MAX_TOP))
                if facet_key(facet) == key
                else facet
                for facet in self.facets
            ),
            searched=_search_values,
        )

    def narrow(self, attributes: Attributes, path: Path) -> None:
        """Select one path, in a new hierarchy where none of this view fits."""
        _trying(lambda: set_facets(narrowed(self.facets, attributes[: len(path)], path)))

    def remove(self, position: int, path: Path) -> None:
        """Take one selected path out of a hierarchy."""
        facet = self.facets[position]
        kept = tuple(other for other in facet.selected if other != path)
        set_facets(self._with(position, replace(facet, selected=kept)))

    def clear(self) -> None:
        """Select nothing any more."""
        set_facets(replace(facet, selected=()) for facet in self.facets)

    def rearrange(self, position: int, attributes: Attributes) -> None:
        """Give one hierarchy other levels; without any it goes, and past the last it is new."""

        def change() -> None:
            if position == len(self.facets):
                set_facets((*self.facets, Facet(attributes)))
            elif not attributes:
                set_facets((*self.facets[:position], *self.facets[position + 1 :]))
            else:
                facet = rearranged(self.facets[position], attributes, self.paths_of)
                set_facets(self._with(position, facet))

        _trying(change)

    def _with(self, position: int, facet: Facet) -> tuple[Facet, ...]:
        return (*self.facets[:position], facet, *self.facets[position + 1 :])

    def _take_in(self, clicks: Sequence[Click]) -> None:
        facets = {facet_key(facet): facet for facet in self.facets}
        last: int = st.session_state.get(CLICKED, 0)
        # Even clicks that cannot be taken in are answered, or the tree would show them for ever.
        st.session_state[CLICKED] = max([last, *(click.number for click in clicks)])
        for click in clicks:
            facet = facets.get(click.facet)
            if click.number > last and facet and len(click.path) <= len(facet.attributes):
                facets[click.facet] = with_path(
                    facet, click.path, on=click.on, paths_of=self.paths_of
                )
        set_facets(facets.values())

    def _turn(self, key: str) -> None:
        for position, facet in enumerate(self.facets):
            if facet_key(facet) == key:
                self.rearrange(position, turned(facet.attributes))


def read_search(engine: SearchEngine, user: User, facets: tuple[Facet, ...]) -> Search:
    """Return the search of the page, once its query bar is drawn."""
    question = SearchRequest(
        query=st.session_state.get(QUERY) or "",
        words=Words(st.session_state.get(WORDS) or Words.MOST),
        sort=sort_orders(engine.attributes()).get(st.session_state.get(SORT, ""), ()),
        user=principals(user),
    )
    return Search(engine, question, facets, dict(st.session_state.get(SEARCHES, {})))


def principals(user: User) -> Principals:
    """Return under which names documents may be open to a user."""
    return Principals(users=frozenset({user.username, user.email} - {""}))


def first_levels(known: Iterable[str]) -> str:
    """Return the hierarchies of a page that was never changed, of attributes that exist."""
    names = list(known)
    facets = [
        Facet(levels)
        for hierarchy in FIRST_LEVELS
        if (levels := tuple(name for name in hierarchy if name in names))
    ]
    return levels_text(facets or [Facet((name,)) for name in names[:3]])


def facets_of_address(known: Sequence[str]) -> tuple[Facet, ...]:
    """Return the hierarchies and selections of the address; those at first where it is wrong."""
    levels, selected = st.session_state.get(LEVELS) or "", st.session_state.get(SELECTED) or ""
    try:
        return read_facets(levels, selected, known)
    except SelectionError as error:
        st.session_state[PROBLEM] = f"Facets in the address were ignored: {error}"
        return read_facets(first_levels(known), "", known)


def sort_orders(attributes: Iterable[Attribute]) -> dict[str, tuple[Sort, ...]]:
    """Return the orders that results can have, by the name that the page shows."""
    orders: dict[str, tuple[Sort, ...]] = {RELEVANCE: ()}
    for attribute in attributes:
        if attribute.type is not AttributeType.STRING_LIST:
            for arrow, descending in (("↓", True), ("↑", False)):
                orders[f"{label(attribute.name)} {arrow}"] = (Sort(attribute.name, descending),)
    return orders


def set_facets(facets: Iterable[Facet]) -> None:
    """Put hierarchies and selections into the address, and go to the first page."""
    _keep(facets)
    first_page()


def first_page() -> None:
    """Go to the first page of results, with no document opened."""
    st.session_state[PAGE] = 1
    st.session_state[OPENED] = ""


def ask(query: str) -> None:
    """Ask another query, with everything else as it is."""
    st.session_state[QUERY] = query
    first_page()


def use_words(words: Words) -> None:
    """Ask for other numbers of the query's words."""
    st.session_state[WORDS] = str(words)
    first_page()


def saved_view() -> dict[str, str]:
    """Return what a saved search keeps of the view."""
    return {key: str(st.session_state[key]) for key in SAVED_KEYS if st.session_state.get(key)}


def show_saved(view: Mapping[str, str], known: Iterable[str]) -> None:
    """Go to a saved view; what it does not hold is as on a page that was never changed."""
    unchanged = {QUERY: "", WORDS: str(Words.MOST), SORT: RELEVANCE, SELECTED: ""}
    unchanged[LEVELS] = first_levels(known)
    for key in SAVED_KEYS:
        st.session_state[key] = view.get(key, unchanged[key])
    first_page()


def problem() -> str:
    """Return the sentence about what could not be done, once."""
    return str(st.session_state.pop(PROBLEM, ""))


def _keep(facets: Iterable[Facet]) -> None:
    kept = tuple(facets)
    st.session_state[LEVELS] = levels_text(kept)
    st.session_state[SELECTED] = selected_text(kept)


def _search_values(key: str, letters: str) -> None:
    st.session_state[SEARCHES] = {**st.session_state.get(SEARCHES, {}), key: letters}


def _trying(change: Callable[[], None]) -> None:
    try:
        change()
    except SelectionError as error:
        st.session_state[PROBLEM] = str(error)
