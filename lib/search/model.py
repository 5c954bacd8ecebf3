"""What a search is asked for with, and what comes back. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

MAX_QUERY_CHARACTERS = 2_000
MAX_FACET_DEPTH = 8
MAX_PAGE_SIZE = 1_000
UNITS = ("year", "quarter", "month", "week", "day")  # of the calendar, for histograms of dates

Value = str | tuple[str, ...] | int | datetime


class AttributeType(StrEnum):
    """The type of an attribute's values, by Kendra's names."""

    STRING = "STRING_VALUE"
    STRING_LIST = "STRING_LIST_VALUE"
    LONG = "LONG_VALUE"
    DATE = "DATE_VALUE"


@dataclass(frozen=True)
class Principals:
    """Users, casefolded so that case tells none apart, and groups as they are written."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Access:
    """Who may find a document: nobody denied, and everybody where nobody is named as allowed."""

    allowed: Principals = Principals()
    denied: Principals = Principals()


@dataclass(frozen=True)
class Document:
    """One document to index. Attribute names are Kendra's: letters, digits, `_` and `-`."""

    id: str
    title: str
    text: str
    uri: str = ""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    access: Access = Access()


class Words(StrEnum):
    """How many of the query's words a document must hold."""

    ALL = "all"
    MOST = "most"  # at least two thirds of them, rounded up
    ANY = "any"


@dataclass(frozen=True)
class AnyOf:
    """Documents whose attribute has one of the values; for a string list, contains one of them."""

    attribute: str
    values: tuple[str | int | datetime, ...]


@dataclass(frozen=True)
class AllOf:
    """Documents whose string list contains every one of the values."""

    attribute: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Range:
    """Documents whose number or date lies between two bounds; None is no bound."""

    attribute: str
    low: int | datetime | None = None
    high: int | datetime | None = None
    low_included: bool = True
    high_included: bool = True


@dataclass(frozen=True)
class And:
    """Documents that satisfy every filter."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class Or:
    """Documents that satisfy at least one filter."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True)
class Not:
    """Documents that do not satisfy the filter."""

    filter: Filter


Filter = AnyOf | AllOf | Range | And | Or | Not
Path = tuple[str | None, ...]  # values from the outermost facet inwards; None is a missing value


@dataclass(frozen=True)
class FacetRequest:
    """A hierarchy of facets in any order and depth, and the paths selected in it.

    Selected paths are joined by OR; different facets by AND. The counts of a hierarchy are not
    reduced by its own selection, but by that of all others.
    """

    attributes: tuple[str, ...]
    selected: tuple[Path, ...] = ()
    top: int | None = 10  # values shown at each level; None shows all
    value_search: str = ""  # only outermost values that contain these letters, case ignored

    def __post_init__(self) -> None:
        """Refuse no level, too many, repeated ones, and paths that do not fit."""
        if not 1 <= len(self.attributes) <= MAX_FACET_DEPTH:
            raise ValueError(f"A facet hierarchy has 1 to {MAX_FACET_DEPTH} levels.")
        if len(set(self.attributes)) < len(self.attributes):
            raise ValueError("A facet hierarchy names each attribute once.")
        if any(not 1 <= len(path) <= len(self.attributes) for path in self.selected):
            raise ValueError("A selected path has between one value and one for each level.")
        if self.top is not None and self.top < 1:
            raise ValueError("At least one value must be shown at each level.")


@dataclass(frozen=True)
class HistogramRequest:
    """Counts of a number by equal steps, or of a date by calendar unit."""

    attribute: str
    step: int = 0  # for numbers
    unit: str = ""  # for dates: one of `UNITS`


@dataclass(frozen=True)
class Sort:
    """An order by an attribute; documents without it come last either way."""

    attribute: str
    descending: bool = False


@dataclass(frozen=True)
class SearchRequest:
    """A query with its facets, filters, order and page. An empty query matches every document.

    In the query, "quoted words" are a phrase, a word* is a prefix, a word~ is fuzzy (one edit).
    """

    query: str = ""
    words: Words = Words.MOST
    filter: Filter | None = None
    facets: tuple[FacetRequest, ...] = ()
    histograms: tuple[HistogramRequest, ...] = ()
    sort: tuple[Sort, ...] = ()
    page: int = 1
    page_size: int = 10
    user: Principals | None = None  # None sees what is open to everybody
    suggest_spelling: bool = True
    rerank: bool = False  # the first results by words and meaning, where no sort is asked for

    def __post_init__(self) -> None:
        """Refuse a query or page outside the limits."""
        if len(self.query) > MAX_QUERY_CHARACTERS:
            raise ValueError(
                f"The query has {len(self.query):,} characters; the limit is "
                f"{MAX_QUERY_CHARACTERS:,}. Shorten it to what matters."
            )
        if self.page < 1 or not 0 <= self.page_size <= MAX_PAGE_SIZE:
            raise ValueError(f"Pages start at 1 and hold up to {MAX_PAGE_SIZE:,} results.")


@dataclass(frozen=True)
class Span:
    """Characters `[start, end)` of a text that matched the query."""

    start: int
    end: int


@dataclass(frozen=True)
class Hit:
    """One found document with an excerpt; highlights count in characters of their own text."""

    id: str
    title: str
    title_highlights: tuple[Span, ...]
    excerpt: str
    excerpt_highlights: tuple[Span, ...]
    uri: str
    attributes: Mapping[str, Value]
    score: float


class Selection(StrEnum):
    """Whether a facet value is selected: wholly, in part (below it), or not."""

    ALL = "all"
    PART = "part"
    NONE = "none"


class FacetNode(NamedTuple):
    """One value at one level: how many documents, and the values of the next level within it.

    A tuple, because every answer makes a hundred of them and a dataclass takes three times as long.
    """

    value: str | None
    count: int  # type: ignore[assignment]  # nobody asks a node how often it holds something
    selection: Selection = Selection.NONE
    children: tuple[FacetNode, ...] = ()
    distinct: int = 0  # different values of the next level, shown or not
    remainder: int = 0  # documents of those not shown; an element of a list counts each


@dataclass(frozen=True)
class FacetResult:
    """The counts of one hierarchy, largest first; `distinct` and `remainder` as in a node."""

    attributes: tuple[str, ...]
    nodes: tuple[FacetNode, ...]
    distinct: int
    remainder: int
    exact: bool = True


@dataclass(frozen=True)
class Bucket:
    """Documents whose value lies in `[low, high)`."""

    low: int | datetime
    high: int | datetime
    count: int


@dataclass(frozen=True)
class HistogramResult:
    """The counts of one histogram in order, empty buckets included."""

    attribute: str
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True)
class Correction:
    """A query that finds more, and how many documents it finds."""

    query: str
    total: int


@dataclass(frozen=True)
class SearchResponse:
    """Found documents, their exact number, and the counts asked for."""

    total: int
    hits: tuple[Hit, ...]
    facets: tuple[FacetResult, ...] = ()
    histograms: tuple[HistogramResult, ...] = ()
    correction: Correction | None = None
    notes: tuple[str, ...] = ()  # sentences: what was cut, ignored or not supported
    milliseconds: float = 0.0


@dataclass(frozen=True)
class Attribute:
    """An attribute that the index knows: its type and how many different values it has."""

    name: str
    type: AttributeType
    distinct: int


class SearchEngine(Protocol):
    """An engine that searches documents by words and facets."""

    @property
    def name(self) -> str:
        """Return what the engine is called."""
        ...

    @property
    def max_results(self) -> int:
        """Return how many results of a query its pages reach."""
        ...

    @property
    def keeps_texts(self) -> bool:
        """Tell whether `document` has whole documents to return."""
        ...

    def query(self, request: SearchRequest) -> SearchResponse:
        """Return what was found; raise `QueryError` with a sentence where it cannot be asked."""
        ...

    def attributes(self) -> tuple[Attribute, ...]:
        """Return the attributes that can be facets, filters and orders."""
        ...

    def suggest(self, prefix: str, limit: int = 8) -> tuple[str, ...]:
        """Return completions of a query being typed, the most frequent first."""
        ...

    def document(self, identifier: str, user: Principals | None = None) -> Document | None:
        """Return a whole document, or None if there is none that the user may find."""
        ...


class QueryError(ValueError):
    """A request that cannot be answered; the message says why and what to do."""
