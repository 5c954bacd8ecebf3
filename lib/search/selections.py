"""Selected facet paths as filters, and which values of a hierarchy they select."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from lib.search.model import (
    And,
    AnyOf,
    AttributeType,
    FacetRequest,
    Filter,
    Or,
    Path,
    QueryError,
    Range,
    Selection,
)

Types = Mapping[str, AttributeType]


def selection_of(path: Path, selected: Iterable[Path]) -> Selection:
    """Return whether a path is selected wholly, only below it, or not at all."""
    paths = tuple(selected)
    if any(path[: len(chosen)] == chosen for chosen in paths):
        return Selection.ALL
    if any(chosen[: len(path)] == path for chosen in paths):
        return Selection.PART
    return Selection.NONE


def selected_below(path: Path, selected: Iterable[Path]) -> tuple[str | None, ...]:
    """Return the values of the next level that lie on a selected path, in order."""
    place = len(path)
    return tuple(
        dict.fromkeys(
            chosen[place] for chosen in selected if len(chosen) > place and chosen[:place] == path
        )
    )


def selected_filter(facet: FacetRequest, types: Types) -> Filter:
    """Return the filter for documents on one of a hierarchy's selected paths.

    Raises `QueryError` for a missing value and for a label that the attribute cannot have.
    """
    return Or(tuple(path_filter(facet.attributes, path, types) for path in facet.selected))


def path_filter(attributes: tuple[str, ...], path: Path, types: Types) -> Filter:
    """Return the filter for documents on one path; raises `QueryError` as `selected_filter`."""
    return And(
        tuple(
            label_filter(name, label, types) for name, label in zip(attributes, path, strict=False)
        )
    )


def label_filter(name: str, label: str | None, types: Types) -> Filter:
    """Return the filter for documents with a facet's value: a date's label is its year.

    Raises `QueryError` for a missing value and for a label that the attribute cannot have.
    """
    if label is None:
        raise QueryError(f"Documents without “{name}” cannot be selected here. Unselect them.")
    kind = types[name]
    if kind in (AttributeType.STRING, AttributeType.STRING_LIST):
        return AnyOf(name, (label,))
    try:
        number = int(label)
        if kind is AttributeType.LONG:
            return AnyOf(name, (number,))
        start, end = datetime(number, 1, 1, tzinfo=UTC), datetime(number + 1, 1, 1, tzinfo=UTC)
    except ValueError as error:
        what = "number" if kind is AttributeType.LONG else "year"
        raise QueryError(f"“{label}” is no {what}, as “{name}” has. Unselect it.") from error
    return Range(name, start, end, high_included=False)
