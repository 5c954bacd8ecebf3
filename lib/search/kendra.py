"""Amazon Kendra as a search engine; its wire format does not leave this module.

Kendra counts the documents that match the query and its filter. A hierarchy of facets with a
selection of its own is therefore counted by one more query without that selection. What Kendra
cannot do is left out with a note in the response, or refused where it would find other documents.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from lib.aws import Aws, aws_errors, check_shape
from lib.search.model import (
    AllOf,
    And,
    AnyOf,
    Attribute,
    AttributeType,
    Correction,
    Document,
    FacetNode,
    FacetRequest,
    FacetResult,
    Filter,
    Hit,
    Not,
    Or,
    Path,
    Principals,
    QueryError,
    Range,
    SearchRequest,
    SearchResponse,
    Span,
    Value,
    Words,
)
from lib.search.refusals import no_list, no_order
from lib.search.selections import path_filter, selected_below, selected_filter, selection_of

MAX_RESULTS = 100  # of one query, over all of its pages
MAX_WORDS = 30
MAX_FILTER_DEPTH = 2
MAX_FILTER_LIST = 10
MIN_SUGGEST_CHARACTERS = 2
PARALLEL_QUERIES = 4
CODE_WIDTH = 88
NORMAL_FORM_LIMIT = 256  # clauses on the way to a normal form, which has 100 in the end

ANONYMOUS = "nobody-signed-in"  # without any user Kendra shows what everybody may see and more
BROWSING_ORDER = {"DocumentAttributeKey": "_created_at", "SortOrder": "DESC"}
BUILT_IN_ORDERS = ("_category", "_created_at", "_last_updated_at", "_version", "_view_count")
SCORES = {"VERY_HIGH": 1.0, "HIGH": 0.75, "MEDIUM": 0.5, "LOW": 0.25}

_Wire = dict[str, Any]
_Operation = tuple[str, _Wire]
_Clause = tuple[Filter, ...]


@dataclass(frozen=True)
class Limits:
    """What AWS Support raises for an index on request; the defaults are those of every index."""

    facet_levels: int = 2
    facet_values: int = 10
    sort_attributes: int = 3


_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class _Field:
    """An attribute as the index describes it."""

    type: AttributeType
    facetable: bool
    sortable: bool


@dataclass(frozen=True)
class _Plan:
    """The queries that answer a request: the first has the hits, facet i is in `of_facets[i]`."""

    wires: tuple[_Wire, ...]
    of_facets: tuple[int, ...]
    notes: tuple[str, ...]


@dataclass
class _Level:
    """The values of one facet: their counts, and the facet within each."""

    counts: dict[str, int] = field(default_factory=dict)
    below: dict[str, _Level] = field(default_factory=dict)
    complete: bool = True


class KendraSearch:
    """Searches one Kendra index of the AWS account.

    Its methods raise `lib.aws.AwsError` where AWS does not answer.
    """

    name = "Amazon Kendra"
    max_results = MAX_RESULTS
    keeps_texts = False

    def __init__(self, aws: Aws, index_id: str, limits: Limits = _DEFAULT_LIMITS) -> None:
        self._aws = aws
        self._index_id = index_id
        self._limits = limits

    def query(self, request: SearchRequest) -> SearchResponse:
        """Return what was found; raise `QueryError` with a sentence where it cannot be asked.

        The notes say what Kendra left out. Facets hold its first ten values of each level, dates
        by year, unless Support raised that; `exact` says that there are no others.
        """
        started = time.perf_counter()
        plan = self._planner.plan(request)
        answers = self._ask_all(plan.wires)
        facets, notes = self._facets(request, plan, answers)
        warnings = [warning["Message"] for warning in answers[0].get("Warnings", ())]
        return SearchResponse(
            total=answers[0]["TotalNumberOfResults"],
            hits=tuple(_hit(item) for item in _items_of_page(request, answers[0])),
            facets=facets,
            correction=self._correction(plan.wires[0], answers[0]),
            notes=tuple(dict.fromkeys([*plan.notes, *notes, *warnings])),
            milliseconds=(time.perf_counter() - started) * 1000,
        )

    def attributes(self) -> tuple[Attribute, ...]:
        """Return the attributes that can be facets; Kendra does not say how many values each has.

        `distinct` is 0 for all of them.
        """
        return tuple(
            Attribute(name, known.type, 0)
            for name, known in self._planner.fields.items()
            if known.facetable
        )

    def suggest(self, prefix: str, limit: int = 8) -> tuple[str, ...]:
        """Return completions of a query being typed out of past queries, the best first.

        Kendra completes two characters or more.
        """
        text = " ".join(prefix.split())
        if len(text) < MIN_SUGGEST_CHARACTERS or not text.isprintable():
            return ()
        with aws_errors("kendra", "GetQuerySuggestions"):
            answer = self._aws.client("kendra").get_query_suggestions(
                IndexId=self._index_id,
                QueryText=text,
                MaxSuggestionsCount=limit,
                SuggestionTypes=["QUERY"],
            )
        return tuple(each["Value"]["Text"]["Text"] for each in answer.get("Suggestions", ()))

    def document(self, identifier: str, user: Principals | None = None) -> Document | None:  # noqa: ARG002 - the protocol's
        """Return None: Kendra gives excerpts and no whole documents."""
        return None

    # --------------------------------------------------------------------------------- the index

    @cached_property
    def _planner(self) -> _Planner:
        with aws_errors("kendra", "DescribeIndex"):
            index = self._aws.client("kendra").describe_index(Id=self._index_id)
        fields = {
            each["Name"]: _Field(
                AttributeType(each["Type"]),
                each.get("Search", {}).get("Facetable", False),
                each.get("Search", {}).get("Sortable", False),
            )
            for each in index.get("DocumentMetadataConfigurations", ())
        }
        return _Planner(self._index_id, fields, self._limits)

    # -------------------------------------------------------------------------------- the answer

    def _ask(self, wire: _Wire) -> _Wire:
        with aws_errors("kendra", "Query"):
            answer: _Wire = self._aws.client("kendra").query(**wire)
        return answer

    def _ask_all(self, wires: Sequence[_Wire]) -> list[_Wire]:
        if len(wires) == 1:
            return [self._ask(wires[0])]
        with ThreadPoolExecutor(PARALLEL_QUERIES) as pool:
            return list(pool.map(self._ask, wires))

    def _correction(self, wire: _Wire, answer: _Wire) -> Correction | None:
        suggested = answer.get("SpellCorrectedQueries")
        if not suggested:
            return None
        text = suggested[0]["SuggestedQueryText"]
        left_out = {"Facets", "SpellCorrectionConfiguration"}
        again = {name: value for name, value in wire.items() if name not in left_out}
        total = self._ask({**again, "QueryText": text, "PageNumber": 1, "PageSize": 1})[
            "TotalNumberOfResults"
        ]
        return Correction(text, total) if total > answer["TotalNumberOfResults"] else None

    def _facets(
        self, request: SearchRequest, plan: _Plan, answers: Sequence[_Wire]
    ) -> tuple[tuple[FacetResult, ...], list[str]]:
        results: list[FacetResult] = []
        notes: list[str] = []
        for number, facet in enumerate(request.facets):
            wire, answer = plan.wires[plan.of_facets[number]], answers[plan.of_facets[number]]
            names = self._planner.levels(facet)
            level = _read_level(answer.get("FacetResults", ()), names, self._limits.facet_values)
            others = self._planner.selections(request, without=number)
            self._add_unlisted(wire, [request.filter, *others], facet, level)
            nodes, distinct, remainder = _nodes(level, (), facet)
            exact = _all_complete(level)
            results.append(FacetResult(names, nodes, distinct, remainder, exact))
            notes += self._facet_notes(facet, level, answer["TotalNumberOfResults"])
        return tuple(results), notes

    def _add_unlisted(
        self, wire: _Wire, filters: list[Filter | None], facet: FacetRequest, level: _Level
    ) -> None:
        # Selected values beyond the ones that Kendra lists are counted by a query of their own.
        names = self._planner.levels(facet)
        prefixes = [path[:size] for path in facet.selected for size in range(1, len(names) + 1)]
        paths = [
            path
            for path in dict.fromkeys(prefixes)
            if not _level_at(level, path[:-1]).complete
            and path[-1] not in _level_at(level, path[:-1]).counts
        ]
        answers = self._ask_all(
            [
                {
                    **{name: value for name, value in wire.items() if name != "Facets"},
                    **self._planner.filter_wire(
                        [*filters, path_filter(names, path, self._planner.types)]
                    ),
                    "PageSize": 1,
                }
                for path in paths
            ]
        )
        for path, answer in zip(paths, answers, strict=True):
            place = _level_at(level, path[:-1])
            place.counts[str(path[-1])] = answer["TotalNumberOfResults"]
            place.below[str(path[-1])] = _Level(complete=False)

    def _facet_notes(self, facet: FacetRequest, level: _Level, total: int) -> Iterator[str]:
        most = self._limits.facet_values
        if not _all_complete(level):
            search = " and searched" if facet.value_search else ""
            yield (
                f"Amazon Kendra lists up to {most:,} values at each level: of "
                f"{' > '.join(self._planner.levels(facet))} only these were counted{search}."
            )
        missing = total - sum(level.counts.values())
        is_list = self._planner.types[facet.attributes[0]] is AttributeType.STRING_LIST
        if level.complete and not is_list and missing > 0:
            yield (
                f"Amazon Kendra does not count missing values: {missing:,} of {total:,} documents "
                f"have no “{facet.attributes[0]}”."
            )


def request_code(
    request: SearchRequest, attributes: Iterable[Attribute], index_id: str, region: str
) -> str:
    """Return Python source that asks a Kendra index with these attributes a request, by boto3.

    All attributes count as facetable and sortable. Left out are the follow-up queries that depend
    on the answers: the total of a corrected spelling, and counts of selected values that Kendra
    did not list. Raises `QueryError` where Kendra cannot be asked.
    """
    fields = {one.name: _Field(one.type, facetable=True, sortable=True) for one in attributes}
    plan = _Planner(index_id, fields, _DEFAULT_LIMITS).plan(request)
    lines = ["import boto3", "", f'kendra = boto3.client("kendra", region_name={region!r})']
    for number, wire in enumerate(plan.wires):
        if number == 0:
            lines += ["", _call("response", wire)]
        else:
            facet = request.facets[plan.of_facets.index(number)]
            lines += ["", f"# Counts of {' > '.join(facet.attributes)} without its selection"]
            lines.append(_call(f"counts_{number}", wire))
    code = "\n".join(lines) + "\n"
    return f"import datetime\n\n{code}" if "datetime." in code else code


# ---------------------------------------------------------------------------------- the request


@dataclass(frozen=True)
class _Planner:
    """Makes the queries of a request to an index whose attributes are known, without asking it."""

    index_id: str
    fields: Mapping[str, _Field]
    limits: Limits

    def plan(self, request: SearchRequest) -> _Plan:
        for name in {name for facet in request.facets for name in facet.attributes}:
            self._check_facet(name)
        common, notes = self._common_wire(request)
        own = _counted_alone(request.facets)
        shared = [facet for number, facet in enumerate(request.facets) if number not in own]
        wires = [self._main_wire(request, common, shared)]
        wires += [self._counting_wire(request, common, number) for number in own]
        return _Plan(
            wires=tuple(_checked(self._browsable(wire)) for wire in wires),
            of_facets=tuple(
                own.index(number) + 1 if number in own else 0
                for number in range(len(request.facets))
            ),
            notes=(*_unsupported(request), *self._cut_facets(request), *notes),
        )

    def _main_wire(
        self, request: SearchRequest, common: _Wire, shared: Sequence[FacetRequest]
    ) -> _Wire:
        wire = {**common, **self.filter_wire([request.filter, *self.selections(request)])}
        wire |= _page_wire(request)
        if shared:
            wire["Facets"] = [self._facet_wire(facet) for facet in shared]
        if "QueryText" in common and request.suggest_spelling:
            wire["SpellCorrectionConfiguration"] = {"IncludeQuerySpellCheckSuggestions": True}
        return wire

    def _counting_wire(self, request: SearchRequest, common: _Wire, number: int) -> _Wire:
        others = self.selections(request, without=number)
        facets = [self._facet_wire(request.facets[number])]
        chosen = self.filter_wire([request.filter, *others])
        return {**common, **chosen, "Facets": facets, "PageSize": 1}

    def selections(self, request: SearchRequest, without: int | None = None) -> list[Filter]:
        return [
            selected_filter(facet, self.types)
            for number, facet in enumerate(request.facets)
            if facet.selected and number != without
        ]

    def _common_wire(self, request: SearchRequest) -> tuple[_Wire, list[str]]:
        wire: _Wire = {"IndexId": self.index_id}
        notes: list[str] = []
        text = _query_text(request.query)
        if text:
            wire["QueryText"] = text
        wire["QueryResultTypeFilter"] = "DOCUMENT"  # answers would be counted beside documents
        wire["UserContext"] = _user_context(request.user)
        order = self._order_wire(request)
        if not order and not text:
            order = [BROWSING_ORDER]
            notes.append("Without a query Amazon Kendra needs an order: newest documents first.")
        if order:
            wire["SortingConfigurations"] = order
        if request.sort:
            names = _listed([each["DocumentAttributeKey"] for each in order])
            notes.append(f"Sorted by {names}, Amazon Kendra may leave out documents without it.")
        return wire, notes

    def _order_wire(self, request: SearchRequest) -> list[_Wire]:
        for sort in request.sort:
            if sort.attribute in BUILT_IN_ORDERS:
                continue
            known = self._field(sort.attribute)
            if known.type is AttributeType.STRING_LIST:
                raise no_order(sort.attribute)
            if not known.sortable:
                raise QueryError(
                    f"The Kendra index does not sort by “{sort.attribute}”. Make it sortable "
                    "under Facet definition on the Amazon Kendra console, or sort by another one."
                )
        return [
            {
                "DocumentAttributeKey": sort.attribute,
                "SortOrder": "DESC" if sort.descending else "ASC",
            }
            for sort in request.sort[: self.limits.sort_attributes]
        ]

    def _facet_wire(self, facet: FacetRequest) -> _Wire:
        wire: _Wire = {}
        for name in reversed(self.levels(facet)):
            within = {"Facets": [wire]} if wire else {}
            wire = {
                "DocumentAttributeKey": name,
                **within,
                "MaxResults": self.limits.facet_values,
            }
        return wire

    def filter_wire(self, filters: Iterable[Filter | None]) -> _Wire:
        present = tuple(each for each in filters if each is not None)
        tree = _fitted(_literals(And(present), self.types))
        if isinstance(tree, And) and not tree.filters:
            return {}
        return {"AttributeFilter": _wire_of(tree, self.types)}

    def _browsable(self, wire: _Wire) -> _Wire:
        if wire.keys() & {"QueryText", "AttributeFilter", "Facets"}:
            return wire
        facetable = [name for name, known in self.fields.items() if known.facetable]
        if not facetable:
            raise QueryError(
                "Amazon Kendra does not list all documents. Enter a query, choose a filter, or "
                "make an attribute facetable on the Amazon Kendra console."
            )
        return {**wire, "Facets": [{"DocumentAttributeKey": facetable[0], "MaxResults": 1}]}

    def levels(self, facet: FacetRequest) -> tuple[str, ...]:
        return facet.attributes[: self.limits.facet_levels]

    def _cut_facets(self, request: SearchRequest) -> Iterator[str]:
        levels, sorts = self.limits.facet_levels, self.limits.sort_attributes
        for facet in request.facets:
            if facet.attributes[levels:]:
                yield (
                    f"Amazon Kendra nests facets {levels} levels deep: "
                    f"{_listed(facet.attributes[levels:])} within "
                    f"{' > '.join(facet.attributes[:levels])} was left out."
                )
        if request.sort[sorts:]:
            names = _listed([sort.attribute for sort in request.sort[sorts:]])
            yield f"Amazon Kendra sorts by up to {sorts} attributes: {names} was left out."

    @property
    def types(self) -> Mapping[str, AttributeType]:
        return {name: known.type for name, known in self.fields.items()}

    def _field(self, name: str) -> _Field:
        return self.fields[_known(name, self.types)]

    def _check_facet(self, name: str) -> None:
        if not self._field(name).facetable:
            raise QueryError(
                f"The Kendra index does not count “{name}”. Make it facetable under Facet "
                "definition on the Amazon Kendra console, or choose another facet."
            )


def _counted_alone(facets: Sequence[FacetRequest]) -> list[int]:
    # Hierarchies with a selection, and those that begin like another one.
    alone: list[int] = []
    shared: set[str] = set()
    for number, facet in enumerate(facets):
        if facet.selected or facet.attributes[0] in shared:
            alone.append(number)
        else:
            shared.add(facet.attributes[0])
    return alone


def _checked(wire: _Wire) -> _Wire:
    broken = check_shape("kendra", "Query", wire)
    if broken:
        raise QueryError(f"Amazon Kendra does not take this query: {' '.join(broken)}")
    return wire


def _unsupported(request: SearchRequest) -> Iterator[str]:
    if request.words is not Words.MOST and request.query.strip():
        yield "Amazon Kendra decides itself how many of the words a document must hold."
    if re.search(r"\w~", request.query):
        yield "Amazon Kendra has no fuzzy words: the ~ was left out."
    if len(re.findall(r"\w+", request.query)) > MAX_WORDS:
        yield f"Amazon Kendra reads the first {MAX_WORDS} words of a query; the rest is ignored."
    if request.rerank:
        yield "Amazon Kendra ranks results in its own way: they were not re-ranked by meaning."
    for histogram in request.histograms:
        yield f"Amazon Kendra counts no histograms: that of “{histogram.attribute}” was left out."
    end = request.page * request.page_size
    if end > MAX_RESULTS:
        yield f"Amazon Kendra shows the first {MAX_RESULTS} results of a query and no more."


def _query_text(query: str) -> str:
    return " ".join(re.sub(r"(?<=\w)~", "", query).split())


def _user_context(user: Principals | None) -> _Wire:
    if user is None:
        return {"UserId": ANONYMOUS}
    if len(user.users) > 1:
        raise QueryError("Amazon Kendra answers for one user at a time. Name one user.")
    wire: _Wire = {"UserId": next(iter(user.users), ANONYMOUS)}
    if user.groups:
        wire["Groups"] = sorted(user.groups)
    return wire


def _page_wire(request: SearchRequest) -> _Wire:
    start = (request.page - 1) * request.page_size
    if request.page_size == 0 or start >= MAX_RESULTS:
        return {"PageNumber": 1, "PageSize": 1}
    return {"PageNumber": request.page, "PageSize": min(request.page_size, MAX_RESULTS)}


def _items_of_page(request: SearchRequest, answer: _Wire) -> list[_Wire]:
    if (request.page - 1) * request.page_size >= MAX_RESULTS:
        return []
    items: list[_Wire] = answer.get("ResultItems", [])
    return items[: request.page_size]


def _call(variable: str, wire: _Wire) -> str:
    arguments = [f"    {name}={_source(value, len(name) + 5)},\n" for name, value in wire.items()]
    return f"{variable} = kendra.query(\n{''.join(arguments)})"


def _source(value: object, before: int, indent: int = 4) -> str:
    # Python source in lines of up to 88 characters, of which `before` are taken already.
    short = repr(value)
    if before + len(short) < CODE_WIDTH or not isinstance(value, dict | list) or not value:
        return short
    inner = indent + 4
    if isinstance(value, dict):
        keys = [f"{key!r}: " for key in value]
        parts = [
            key + _source(each, inner + len(key), inner)
            for key, each in zip(keys, value.values(), strict=True)
        ]
    else:
        parts = [_source(each, inner, inner) for each in value]
    lines = "".join(f"{' ' * inner}{part},\n" for part in parts)
    start, end = "{}" if isinstance(value, dict) else "[]"
    return f"{start}\n{lines}{' ' * indent}{end}"


# ---------------------------------------------------------------------------------- the filters


def _literals(tree: Filter, types: Mapping[str, AttributeType], *, negated: bool = False) -> Filter:
    # The same filter of And, Or and the operations that Kendra has, or their Not.
    match tree:
        case Not(part):
            return _literals(part, types, negated=not negated)
        case And(parts):
            within = tuple(_literals(part, types, negated=negated) for part in parts)
            return Or(within) if negated else And(within)
        case Or(parts):
            within = tuple(_literals(part, types, negated=negated) for part in parts)
            return And(within) if negated else Or(within)
        case AnyOf(name, values) if types[_known(name, types)] is not AttributeType.STRING_LIST:
            return _combined(tuple(AnyOf(name, (each,)) for each in values), Or, negated=negated)
        case Range():
            return _combined(tuple(_bounds(tree)), And, negated=negated)
        case AllOf(name) if types[_known(name, types)] is not AttributeType.STRING_LIST:
            raise no_list(name)
        case AnyOf() | AllOf():
            return _combined((tree,), And, negated=negated)


def _combined(literals: tuple[Filter, ...], kind: type[And | Or], *, negated: bool) -> Filter:
    if not negated:
        return kind(literals)
    within = tuple(Not(literal) for literal in literals)
    return Or(within) if kind is And else And(within)


def _bounds(limits: Range) -> Iterator[Range]:
    if limits.low is None and limits.high is None:
        raise QueryError(f"The range of “{limits.attribute}” needs a lower or an upper bound.")
    if limits.low is not None:
        yield Range(limits.attribute, low=limits.low, low_included=limits.low_included)
    if limits.high is not None:
        yield Range(limits.attribute, high=limits.high, high_included=limits.high_included)


def _fitted(tree: Filter) -> Filter:
    # The same filter within Kendra's limits: as it is, as And of Or, or as Or of And.
    for fitted in _candidates(tree):
        split = _split(fitted)
        if _fits(split):
            return split
    raise QueryError(
        f"Amazon Kendra takes filters of {MAX_FILTER_DEPTH} levels with up to {MAX_FILTER_LIST} "
        "entries in a list, and this one does not fit. Select fewer values or take out a filter."
    )


def _candidates(tree: Filter) -> Iterator[Filter]:
    yield _flat(tree)
    for outer, inner in ((And, Or), (Or, And)):
        clauses = _normal_form(tree, outer)
        if clauses is not None:
            yield _flat(outer(tuple(inner(clause) for clause in clauses)))


def _normal_form(tree: Filter, outer: type[And | Or]) -> list[_Clause] | None:
    # The clauses of the conjunctive (And) or disjunctive (Or) normal form, None if too many.
    if not isinstance(tree, And | Or):
        return [(tree,)]
    clauses: list[_Clause] = [] if isinstance(tree, outer) else [()]
    for each in tree.filters:
        part = _normal_form(each, outer)
        if part is None:
            return None
        if isinstance(tree, outer):
            clauses += part
        elif len(clauses) * len(part) <= NORMAL_FORM_LIMIT:
            clauses = _absorbed((*left, *right) for left in clauses for right in part)
        else:
            return None
        if len(clauses) > NORMAL_FORM_LIMIT:
            return None
    return _absorbed(clauses)


def _absorbed(clauses: Iterable[_Clause]) -> list[_Clause]:
    # A clause that holds all of another one adds nothing to it.
    kept: dict[frozenset[Filter], _Clause] = {}
    for clause in sorted((tuple(dict.fromkeys(clause)) for clause in clauses), key=len):
        literals = frozenset(clause)
        if not any(other <= literals for other in kept):
            kept[literals] = clause
    return list(kept.values())


def _flat(tree: Filter) -> Filter:
    if not isinstance(tree, And | Or):
        return tree
    kind = type(tree)
    parts: list[Filter] = []
    for part in map(_flat, tree.filters):
        parts += part.filters if isinstance(part, kind) else [part]
    unique = tuple(dict.fromkeys(parts))
    if not unique and kind is Or:
        raise QueryError("A filter without values finds nothing. Choose at least one value.")
    return unique[0] if len(unique) == 1 else kind(unique)


def _split(tree: Filter) -> Filter:
    if not isinstance(tree, And | Or) or len(tree.filters) <= MAX_FILTER_LIST:
        return tree
    kind, parts = type(tree), tree.filters
    starts = range(0, len(parts), MAX_FILTER_LIST)
    return kind(tuple(kind(parts[start : start + MAX_FILTER_LIST]) for start in starts))


def _fits(tree: Filter, room: int = MAX_FILTER_DEPTH) -> bool:
    if isinstance(tree, Not):
        return room > 0 and _fits(tree.filter, room - 1)
    if not isinstance(tree, And | Or):
        return True
    if len(tree.filters) > MAX_FILTER_LIST:
        return False
    return room > 0 and all(_fits(part, room - 1) for part in tree.filters)


def _wire_of(tree: Filter, types: Mapping[str, AttributeType]) -> _Wire:
    match tree:
        case And(parts):
            return {"AndAllFilters": [_wire_of(part, types) for part in parts]}
        case Or(parts):
            return {"OrAllFilters": [_wire_of(part, types) for part in parts]}
        case Not(part):
            return {"NotFilter": _wire_of(part, types)}
        case AnyOf() | AllOf() | Range():
            operation, value = _operation(tree, types)
            return {operation: {"Key": tree.attribute, "Value": value}}


def _operation(literal: AnyOf | AllOf | Range, types: Mapping[str, AttributeType]) -> _Operation:
    match literal:
        case AllOf(_, values):
            return "ContainsAll", {"StringListValue": list(values)}
        case AnyOf(name, several) if types[name] is AttributeType.STRING_LIST:
            return "ContainsAny", {"StringListValue": list(several)}
        case AnyOf(name, (value, *_)):
            return "EqualsTo", _typed(types, name, value)
        case Range(name, low, high):
            bound, included = low, literal.low_included
            operation = "GreaterThan"
            if bound is None:
                bound, included, operation = high, literal.high_included, "LessThan"
            return operation + "OrEquals" * included, _typed(types, name, bound)
    raise AssertionError(literal)  # _literals leaves no other


def _typed(types: Mapping[str, AttributeType], name: str, value: object) -> _Wire:
    kind = types[_known(name, types)]
    if kind is AttributeType.STRING and isinstance(value, str):
        return {"StringValue": value}
    if kind is AttributeType.LONG and isinstance(value, int):
        return {"LongValue": value}
    if kind is AttributeType.DATE and isinstance(value, datetime):
        return {"DateValue": value if value.tzinfo else value.replace(tzinfo=UTC)}
    what = kind.removesuffix("_VALUE").lower()
    raise QueryError(f"“{name}” holds a {what}, so it cannot be compared with {value!r}.")


def _known(name: str, types: Mapping[str, AttributeType]) -> str:
    if name not in types:
        raise QueryError(f"The Kendra index has no attribute “{name}”. Choose another one.")
    return name


# ----------------------------------------------------------------------------------- the answer


def _hit(item: _Wire) -> Hit:
    title, title_highlights = _text(item.get("DocumentTitle", {}))
    excerpt, excerpt_highlights = _text(item.get("DocumentExcerpt", {}))
    confidence = item.get("ScoreAttributes", {}).get("ScoreConfidence", "")
    return Hit(
        id=item["DocumentId"],
        title=title,
        title_highlights=title_highlights,
        excerpt=excerpt,
        excerpt_highlights=excerpt_highlights,
        uri=item.get("DocumentURI", ""),
        attributes={
            each["Key"]: _value(each["Value"]) for each in item.get("DocumentAttributes", ())
        },
        score=SCORES.get(confidence, 0.0),
    )


def _text(wire: _Wire) -> tuple[str, tuple[Span, ...]]:
    text: str = wire.get("Text", "")
    spans = (
        Span(each["BeginOffset"], min(each["EndOffset"], len(text)))
        for each in wire.get("Highlights", ())
    )
    return text, tuple(span for span in spans if 0 <= span.start < span.end)


def _value(wire: _Wire) -> Value:
    if "StringListValue" in wire:
        return tuple(wire["StringListValue"])
    if "DateValue" in wire:
        date: datetime = wire["DateValue"]
        return date.astimezone(UTC)
    value: str | int = wire["LongValue"] if "LongValue" in wire else wire["StringValue"]
    return value


def _label(wire: _Wire) -> str:
    value = _value(wire)
    if isinstance(value, datetime):
        return str(value.year)
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _read_level(results: Iterable[_Wire], names: tuple[str, ...], most: int) -> _Level:
    level = _Level()
    if not names:
        return level
    for result in results:
        if result.get("DocumentAttributeKey") == names[0]:
            pairs = result.get("DocumentAttributeValueCountPairs", ())
            level.complete = len(pairs) < most
            for pair in pairs:
                below = _read_level(pair.get("FacetResults", ()), names[1:], most)
                _add(level, _label(pair["DocumentAttributeValue"]), pair["Count"], below)
    return level


def _add(level: _Level, label: str, count: int, below: _Level) -> None:
    # Dates of the same year come as several values.
    level.counts[label] = level.counts.get(label, 0) + count
    known = level.below.setdefault(label, _Level())
    known.complete &= below.complete
    for value, inner_count in below.counts.items():
        _add(known, value, inner_count, below.below[value])


def _level_at(level: _Level, path: Path) -> _Level:
    for value in path:
        level = level.below.get(str(value), _Level(complete=level.complete))
    return level


def _all_complete(level: _Level) -> bool:
    return level.complete and all(map(_all_complete, level.below.values()))


def _nodes(
    level: _Level, path: Path, facet: FacetRequest
) -> tuple[tuple[FacetNode, ...], int, int]:
    # The values shown at one level, how many there are, and the documents of those not shown.
    letters = "" if path else facet.value_search.casefold()
    found = [value for value in level.counts if letters in value.casefold()]
    found.sort(key=lambda value: _rank(value, level.counts))
    chosen = [str(value) for value in selected_below(path, facet.selected)]
    kept = [value for value in chosen if letters in value.casefold()]
    shown = sorted({*found[: facet.top], *kept}, key=lambda value: _rank(value, level.counts))
    remainder = sum(level.counts[value] for value in found if value not in shown)
    return tuple(_node(level, (*path, value), facet) for value in shown), len(found), remainder


def _node(level: _Level, path: Path, facet: FacetRequest) -> FacetNode:
    value = str(path[-1])
    below = level.below.get(value, _Level())
    children, distinct, remainder = _nodes(below, path, facet)
    selection = selection_of(path, facet.selected)
    return FacetNode(value, level.counts.get(value, 0), selection, children, distinct, remainder)


def _rank(value: str, counts: Mapping[str, int]) -> tuple[int, str]:
    return -counts.get(value, 0), value


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)
