"""The view of the search page as its address holds it, and every way to change it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import streamlit as st

from lib.aws import AwsError
from lib.identity import User
from lib.search.collections import AWS_DOCUMENTATION, Kind
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
from lib.search.intervals import (
    Interval,
    filter_of,
    intervals_text,
    read_intervals,
    with_interval,
)
from lib.search.model import (
    MAX_QUERY_CHARACTERS,
    Attribute,
    AttributeType,
    FacetRequest,
    Path,
    Principals,
    QueryError,
    SearchEngine,
    SearchRequest,
    Sort,
    Words,
)
from lib.ui.facet_tree import Click, TreeActions, facet_key, label, turned
from lib.ui.search_charts import walk

DOCUMENTS = "search_docs"  # the name of the collection
QUERY = "search_q"
WORDS = "search_words"
SORT = "search_sort"
LEVELS = "search_levels"
SELECTED = "search_in"
RANGES = "search_ranges"
PAGE = "search_page"
VIEW = "search_view"
SAVED_KEYS = (DOCUMENTS, QUERY, WORDS, SORT, LEVELS, SELECTED, RANGES)

TAKEN = "search.taken"  # what was taken in of clicks in the tree and changes of the address
SEARCHES = "search.searches"  # letters to find among the values, by hierarchy
OPENED = "search.opened"  # the id of the document that is shown as a whole
OTHER = "search.other"  # whether other documents were chosen, whose facets are not known yet
PROBLEM = "search.problem"  # a sentence about the last change that could not be made

FIRST_LEVELS = (("Technology", "Document_Type"), ("service",), ("api_version_year",))
FEW_VALUES = 1_000  # an attribute with more is no facet to begin with
RELEVANCE = "Relevance"
MEANING = "Meaning"  # relevance, with the first results re-ranked
PAGE_SIZE = 10


@dataclass(frozen=True)
class Taken:
    """What the page has taken in; one value, because a quick click stops a run at any access.

    Streamlit stops callbacks, too: two keys of the session state may be one old and one new.
    """

    clicked: int = 0  # the number of the last click in the tree
    undrawn: Mapping[str, str] = field(default_factory=dict)  # put into the address since drawn
    facets: tuple[Facet, ...] | None = None  # as the undrawn address has them


@dataclass(frozen=True)
class Search:
    """An engine with what the user asks it for, and whom it answers."""

    engine: SearchEngine
    question: SearchRequest  # the words, their number, the order and the user
    facets: tuple[Facet, ...]
    intervals: tuple[Interval, ...]
    letters: Mapping[str, str]  # to find among the values, by hierarchy

    def request(self, *more: FacetRequest) -> SearchRequest:
        """Return the request for the counts of this view, of the tree's facets and more."""
        return replace(
            self.question,
            filter=filter_of(self.intervals),
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
        set_intervals(())

    def within(self, interval: Interval) -> None:
        """Select what lies in an interval; without bounds, anything of its attribute."""
        set_intervals(with_interval(self.intervals, interval))

    def beyond(self, attribute: str) -> SearchRequest:
        """Return the request of this view but for what is selected of one attribute."""
        others = tuple(one for one in self.intervals if one.attribute != attribute)
        return replace(self.request(), filter=filter_of(others))

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
        taken = _taken()
        known = self.facets if taken.facets is None else taken.facets
        facets = {facet_key(facet): facet for facet in known}
        # Even clicks that cannot be taken in are answered, or the tree would show them for ever.
        number = max([taken.clicked, *(click.number for click in clicks)])
        try:
            for click in clicks:
                facet = facets.get(click.facet)
                if (
                    click.number > taken.clicked
                    and facet
                    and len(click.path) <= len(facet.attributes)
                ):
                    facets[click.facet] = with_path(
                        facet, click.path, on=click.on, paths_of=self.paths_of
                    )
        except (SelectionError, QueryError, AwsError):
            st.session_state[TAKEN] = replace(taken, clicked=number)
            raise
        _keep(facets.values(), clicked=number)
        first_page()

    def _turn(self, key: str) -> None:
        for position, facet in enumerate(self.facets):
            if facet_key(facet) == key:
                self.rearrange(position, turned(facet.attributes))


def read_search(
    engine: SearchEngine,
    reader: Principals,
    facets: tuple[Facet, ...],
    intervals: tuple[Interval, ...],
) -> Search:
    """Return the search of the page, once its query bar is drawn."""
    question = SearchRequest(
        query=st.session_state.get(QUERY) or "",
        words=Words(st.session_state.get(WORDS) or Words.MOST),
        sort=sort_orders(engine.attributes(), by_meaning=False).get(
            st.session_state.get(SORT, ""), ()
        ),
        user=reader,
        rerank=st.session_state.get(SORT) == MEANING,
    )
    letters = dict(st.session_state.get(SEARCHES, {}))
    return Search(engine, question, facets, intervals, letters)


def principals(user: User, kind: Kind) -> Principals:
    """Return under which names documents may be open to a user; Kendra takes one of them."""
    if kind is Kind.KENDRA:
        return Principals(users=frozenset({user.email or user.username}))
    names = {user.username.casefold(), user.email.casefold()}
    return Principals(users=frozenset(names - {""}))


def choose_documents(name: str) -> None:
    """Go to another collection, whose facets, orders and pages are its own."""
    st.session_state[DOCUMENTS] = name
    other_documents()


def other_documents() -> None:
    """Forget what belongs to the collection shown before."""
    address_drawn()
    st.session_state[OTHER] = True
    st.session_state[SELECTED] = ""
    st.session_state[RANGES] = ""
    st.session_state[SORT] = RELEVANCE
    st.session_state[SEARCHES] = {}
    first_page()


def use_first_levels(attributes: Sequence[Attribute]) -> None:
    """Put the facets to begin with into the address, where other documents were chosen."""
    if st.session_state.pop(OTHER, False):
        st.session_state[LEVELS] = first_levels(attributes)


def facet_names(attributes: Iterable[Attribute]) -> list[str]:
    """Return the names of attributes, first those that make good facets."""

    def rank(attribute: Attribute) -> tuple[bool, bool, bool]:
        is_text = attribute.type in {AttributeType.STRING, AttributeType.STRING_LIST}
        tells_apart = attribute.distinct == 0 or 1 < attribute.distinct <= FEW_VALUES
        return not tells_apart, attribute.name.startswith("_"), not is_text

    return [attribute.name for attribute in sorted(attributes, key=rank)]


def first_levels(attributes: Iterable[Attribute]) -> str:
    """Return the hierarchies of a page that was never changed, of attributes that exist."""
    names = facet_names(attributes)
    facets = [
        Facet(levels)
        for hierarchy in FIRST_LEVELS
        if (levels := tuple(name for name in hierarchy if name in names))
    ]
    return levels_text(facets or [Facet((name,)) for name in names[:3]])


def facets_of_address(attributes: Sequence[Attribute]) -> tuple[Facet, ...]:
    """Return the hierarchies and selections of the address; those at first where it is wrong."""
    known = [attribute.name for attribute in attributes]
    levels, selected = st.session_state.get(LEVELS) or "", st.session_state.get(SELECTED) or ""
    try:
        return read_facets(levels, selected, known)
    except SelectionError as error:
        st.session_state[PROBLEM] = f"Facets in the address were ignored: {error}"
        return read_facets(first_levels(attributes), "", known)


def intervals_of_address(attributes: Sequence[Attribute]) -> tuple[Interval, ...]:
    """Return the ranges of the address; none where it is wrong."""
    known = {attribute.name: attribute for attribute in attributes}
    try:
        return read_intervals(st.session_state.get(RANGES) or "", known)
    except SelectionError as error:
        st.session_state[PROBLEM] = f"Ranges in the address were ignored: {error}"
        return ()


def sort_orders(
    attributes: Iterable[Attribute], *, by_meaning: bool
) -> dict[str, tuple[Sort, ...]]:
    """Return the orders that results can have, by the name that the page shows."""
    orders: dict[str, tuple[Sort, ...]] = {RELEVANCE: ()}
    if by_meaning:
        orders[MEANING] = ()
    for attribute in attributes:
        if attribute.type is not AttributeType.STRING_LIST:
            for arrow, descending in (("↓", True), ("↑", False)):
                orders[f"{label(attribute.name)} {arrow}"] = (Sort(attribute.name, descending),)
    return orders


def set_facets(facets: Iterable[Facet]) -> None:
    """Put hierarchies and selections into the address, and go to the first page."""
    _keep(facets)
    first_page()


def set_intervals(intervals: Iterable[Interval]) -> None:
    """Put ranges into the address, and go to the first page."""
    taken = _taken()
    undrawn = {**taken.undrawn, RANGES: intervals_text(intervals)}
    st.session_state[TAKEN] = replace(taken, undrawn=undrawn)
    put_again()
    first_page()


def first_page() -> None:
    """Go to the first page of results, with no document opened."""
    st.session_state[PAGE] = 1
    st.session_state[OPENED] = ""


def ask(query: str) -> None:
    """Ask another query, with everything else as it is."""
    st.session_state[QUERY] = query[:MAX_QUERY_CHARACTERS]
    first_page()


def use_words(words: Words) -> None:
    """Ask for other numbers of the query's words."""
    st.session_state[WORDS] = str(words)
    first_page()


def saved_view() -> dict[str, str]:
    """Return what a saved search keeps of the view."""
    return {key: str(st.session_state[key]) for key in SAVED_KEYS if st.session_state.get(key)}


def show_saved(view: Mapping[str, str]) -> None:
    """Go to a saved view; what it does not hold is as on a page that was never changed."""
    choose_documents(view.get(DOCUMENTS, AWS_DOCUMENTATION.name))
    st.session_state[OTHER] = LEVELS not in view
    unchanged = {QUERY: "", WORDS: str(Words.MOST), SORT: RELEVANCE, SELECTED: "", LEVELS: ""}
    unchanged[RANGES] = ""
    for key, value in unchanged.items():
        st.session_state[key] = view.get(key, value)


def problem() -> str:
    """Return the sentence about what could not be done, once."""
    return str(st.session_state.pop(PROBLEM, ""))


def clicked() -> int:
    """Return the number of the last click in the tree that was taken in."""
    return _taken().clicked


def put_again() -> None:
    """Put into the address what a run that was stopped before it was drawn had put there.

    A quick click stops a run, and with the click the browser sends the fields as it knows them.
    """
    for key, text in _taken().undrawn.items():
        st.session_state[key] = text


def address_drawn() -> None:
    """Leave the address to the browser again, which has what was put into it."""
    st.session_state[TAKEN] = Taken(_taken().clicked)


def _taken() -> Taken:
    return st.session_state.get(TAKEN) or Taken()


def _keep(facets: Iterable[Facet], *, clicked: int | None = None) -> None:
    kept = tuple(facets)
    taken = _taken()
    address = {LEVELS: levels_text(kept), SELECTED: selected_text(kept)}
    number = taken.clicked if clicked is None else clicked
    st.session_state[TAKEN] = Taken(number, {**taken.undrawn, **address}, kept)
    put_again()


def _search_values(key: str, letters: str) -> None:
    st.session_state[SEARCHES] = {**st.session_state.get(SEARCHES, {}), key: letters}


def _trying(change: Callable[[], None]) -> None:
    try:
        change()
    except (SelectionError, QueryError, AwsError) as error:
        st.session_state[PROBLEM] = str(error)
