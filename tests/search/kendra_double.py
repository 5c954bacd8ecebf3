"""A small Kendra: it answers on the wire, counts by reading every document, and keeps limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lib.search.analysis import stem, words_of
from lib.search.columns import may_find
from lib.search.kendra import Limits
from lib.search.model import AttributeType, Document, Principals, SearchRequest, Value
from tests.aws.double import AwsDouble, Params, WireError
from tests.search.contract import TYPES, elements, found

INDEX_ID = "0123abcd-0123-abcd-0123-0123456789ab"
NO_LIMITS_RAISED = Limits()
TYPE_MEMBERS = {
    AttributeType.STRING: "StringValue",
    AttributeType.STRING_LIST: "StringListValue",
    AttributeType.LONG: "LongValue",
    AttributeType.DATE: "DateValue",
}


@dataclass(frozen=True)
class SmallKendra:
    """Answers a query on the wire over a handful of documents, within the limits of the service.

    Besides documents it finds one passage as an answer, unless only documents are asked for.
    """

    documents: tuple[Document, ...]
    limits: Limits = NO_LIMITS_RAISED
    sortable: frozenset[str] = frozenset(TYPES)

    def describe(self, params: Params) -> dict[str, Any]:
        if params["Id"] != INDEX_ID:
            raise WireError("ResourceNotFoundException", "There is no index with the given ID.")
        fields = [
            {
                "Name": name,
                "Type": kind.value,
                "Search": {"Facetable": True, "Sortable": name in self.sortable},
            }
            for name, kind in TYPES.items()
        ]
        internal = {"Name": "_source_uri", "Type": "STRING_VALUE", "Search": {"Facetable": False}}
        return {"Id": INDEX_ID, "DocumentMetadataConfigurations": [*fields, internal]}

    def query(self, params: Params) -> dict[str, Any]:
        self.refuse(params)
        wanted = params.get("AttributeFilter")
        text = params.get("QueryText", "")
        hits = [
            document
            for document in found(SearchRequest(text, user=principals(params)), self.documents)
            if may_find(principals(params), document.access)
            and (wanted is None or passes(document, wanted))
        ]
        for order in reversed(params.get("SortingConfigurations", [])):
            hits = in_order(hits, order["DocumentAttributeKey"], order["SortOrder"] == "DESC")
        size = min(params.get("PageSize", 10), 100)
        start = (params.get("PageNumber", 1) - 1) * size
        items = [item(document, text) for document in hits[:100][start : start + size]]
        total = len(hits)
        if params.get("QueryResultTypeFilter") != "DOCUMENT" and hits and text:
            items.insert(0, {**item(hits[0], text), "Type": "ANSWER"})
            total += 1
        facets = [self.count(hits, facet) for facet in params.get("Facets", [])]
        answer = {"ResultItems": items, "FacetResults": facets, "TotalNumberOfResults": total}
        spell = params.get("SpellCorrectionConfiguration", {})
        if spell.get("IncludeQuerySpellCheckSuggestions") and "encript" in text:
            corrected = text.replace("encript", "encrypt")
            answer["SpellCorrectedQueries"] = [{"SuggestedQueryText": corrected}]
        return answer

    def suggest(self, params: Params) -> dict[str, Any]:
        past = ["storage", "storage encryption", "encrypt data", "store keys"]
        texts = [text for text in past if text.startswith(params["QueryText"])]
        return {
            "Suggestions": [
                {"Value": {"Text": {"Text": text}}}
                for text in texts[: params["MaxSuggestionsCount"]]
            ]
        }

    def refuse(self, params: Params) -> None:
        """Raise what Kendra answers beyond its documented limits."""
        wanted = params.get("AttributeFilter")
        if wanted and depth(wanted) > 2:
            refuse("AttributeFilter cannot have a depth of more than 2.")
        if wanted and longest(wanted) > 10:
            refuse("AttributeFilter cannot have a length of more than 10")
        for facet in params.get("Facets", []):
            if facet_depth(facet) > self.limits.facet_levels:
                refuse("Facets cannot have more than one nested facet.")
            if facet.get("MaxResults", 10) > self.limits.facet_values:
                refuse("MaxResults of a facet is above its limit.")
        order = params.get("SortingConfigurations", [])
        if len(order) > self.limits.sort_attributes:
            refuse("Too many sorting configurations.")
        browses = order and params.keys() & {"AttributeFilter", "Facets"}
        if not params.get("QueryText") and not browses:
            refuse("QueryText, or AttributeFilter or Facets and a sorting type, must be given.")
        if params.get("PageSize", 10) < 1 or params.get("PageNumber", 1) < 1:
            refuse("PageSize and PageNumber start at 1.")

    def count(self, hits: list[Document], facet: dict[str, Any]) -> dict[str, Any]:
        name = facet["DocumentAttributeKey"]
        groups: dict[Any, list[Document]] = {}
        for document in hits:
            for value in elements(document, name):
                groups.setdefault(value, []).append(document)
        largest = sorted(groups.items(), key=lambda group: (-len(group[1]), str(group[0])))
        kind = TYPES[name]
        member = "StringValue" if kind is AttributeType.STRING_LIST else TYPE_MEMBERS[kind]
        pairs = [
            {
                "DocumentAttributeValue": {member: value},
                "Count": len(group),
                "FacetResults": [self.count(group, inner) for inner in facet.get("Facets", [])],
            }
            for value, group in largest[: facet.get("MaxResults", 10)]
        ]
        return {
            "DocumentAttributeKey": name,
            "DocumentAttributeValueType": kind.value,
            "DocumentAttributeValueCountPairs": pairs,
        }


def refuse(message: str) -> None:
    raise WireError("ValidationException", message)


def depth(wanted: dict[str, Any]) -> int:
    ((operation, value),) = wanted.items()
    if operation == "NotFilter":
        return 1 + depth(value)
    return 1 + max(map(depth, value)) if isinstance(value, list) else 0


def longest(wanted: dict[str, Any]) -> int:
    ((operation, value),) = wanted.items()
    if operation == "NotFilter":
        return longest(value)
    return max(len(value), *map(longest, value)) if isinstance(value, list) else 0


def facet_depth(facet: dict[str, Any]) -> int:
    return 1 + max(map(facet_depth, facet.get("Facets", [])), default=0)


def passes(document: Document, wanted: dict[str, Any]) -> bool:
    ((operation, value),) = wanted.items()
    match operation:
        case "AndAllFilters":
            return all(passes(document, part) for part in value)
        case "OrAllFilters":
            return any(passes(document, part) for part in value)
        case "NotFilter":
            return not passes(document, value)
    ((member, bound),) = value["Value"].items()
    if member != TYPE_MEMBERS[TYPES[value["Key"]]]:
        refuse(f"The attribute {value['Key']} is of another type than {member}.")
    held = elements(document, value["Key"])
    compare: dict[str, Callable[[Any], bool]] = {
        "EqualsTo": lambda own: own == bound,
        "GreaterThan": lambda own: own > bound,
        "GreaterThanOrEquals": lambda own: own >= bound,
        "LessThan": lambda own: own < bound,
        "LessThanOrEquals": lambda own: own <= bound,
        "ContainsAny": lambda own: own in bound,
    }
    if operation == "ContainsAll":
        return set(bound) <= set(held)
    return any(map(compare[operation], held))


def principals(params: Params) -> Principals:
    context = params["UserContext"]
    return Principals(frozenset({context["UserId"]}), frozenset(context.get("Groups", ())))


def in_order(hits: list[Document], name: str, descending: bool) -> list[Document]:  # noqa: FBT001 - the wire's own order
    if name.startswith("_"):
        return hits
    present = [hit for hit in hits if name in hit.attributes]
    present.sort(key=lambda hit: elements(hit, name)[0], reverse=descending)
    return present + [hit for hit in hits if name not in hit.attributes]


def item(document: Document, query: str) -> dict[str, Any]:
    return {
        "Type": "DOCUMENT",
        "DocumentId": document.id,
        "DocumentTitle": marked(document.title, query),
        "DocumentExcerpt": marked(document.text, query),
        **({"DocumentURI": document.uri} if document.uri else {}),
        "DocumentAttributes": [
            {"Key": name, "Value": wire_value(name, value)}
            for name, value in document.attributes.items()
        ],
        "ScoreAttributes": {"ScoreConfidence": "HIGH"},
    }


def wire_value(name: str, value: Value) -> dict[str, Any]:
    return {TYPE_MEMBERS[TYPES[name]]: list(value) if isinstance(value, tuple) else value}


def marked(text: str, query: str) -> dict[str, Any]:
    stems = {stem(form) for form, _, _ in words_of(query)}
    highlights = [
        {"BeginOffset": start, "EndOffset": end, "TopAnswer": False}
        for form, start, end in words_of(text)
        if stem(form) in stems
    ]
    return {"Text": text, "Highlights": highlights}


def serve(double: AwsDouble, kendra: SmallKendra) -> None:
    double.on("kendra", "Query", kendra.query)
    double.on("kendra", "DescribeIndex", kendra.describe)
    double.on("kendra", "GetQuerySuggestions", kendra.suggest)
