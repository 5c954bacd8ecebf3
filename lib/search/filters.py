"""Filters and selected facet paths, checked against the attributes and applied to documents."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import datetime
from functools import reduce

import numpy as np
import numpy.typing as npt

from lib.search import kernels
from lib.search.columns import Level, Snapshot, sealed
from lib.search.model import (
    AllOf,
    And,
    AnyOf,
    Attribute,
    AttributeType,
    Filter,
    Not,
    Or,
    Path,
    QueryError,
    Range,
)
from lib.search.refusals import no_list
from lib.search.segment import ListColumn, StringColumn, microseconds

Docs = npt.NDArray[np.uint32]
Mask = npt.NDArray[np.uint8]

_STRINGS = (AttributeType.STRING, AttributeType.STRING_LIST)
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


def attribute_of(snapshot: Snapshot, name: str) -> Attribute:
    """Return the attribute; raise `QueryError` that names the nearest ones if there is none."""
    found = snapshot.attributes.get(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(name, snapshot.attributes, 3, 0.5)
    if near:
        advice = f"Did you mean {' or '.join(f'“{other}”' for other in near)}?"
    elif snapshot.attributes:
        known = sorted(snapshot.attributes)
        advice = f"It has {', '.join(known[:20])}{' and more' if len(known) > 20 else ''}."  # noqa: PLR2004 - as many as one reads
    else:
        advice = "It has none yet."
    raise QueryError(f"The index has no attribute “{name}”. {advice}")


def keep(docs: Docs, mask: Mask, room: Docs | None = None) -> Docs:
    """Return the documents whose mask is set, in the room for them if there is any."""
    out = np.empty(len(docs), np.uint32) if room is None else room
    return sealed(out[: kernels.keep_masked(docs, sealed(mask), out)])


def narrowed(snapshot: Snapshot, number: int, docs: Docs, wanted: Filter, room: Docs) -> Docs:
    """Return those of a segment's documents that satisfy the filter, in the room for them.

    Raises `QueryError` for an attribute that is not in the index or values of another type.
    """
    match wanted:
        case And(filters):
            for part in filters:
                docs = narrowed(snapshot, number, docs, part, room)
            return docs
        case AnyOf(name, values) if attribute_of(snapshot, name).type is AttributeType.STRING:
            level = snapshot.level(name)
            codes = [code for code in _codes(snapshot, name, values) if code is not None]
            column = level.columns[number]
            if isinstance(column, StringColumn):
                found = kernels.keep_codes(docs, column.codes, _flags(level, codes), room)
                return sealed(room[:found])
    return keep(docs, _mask_of(snapshot, number, docs, wanted), room)


def _mask_of(snapshot: Snapshot, number: int, docs: Docs, wanted: Filter) -> Mask:
    """Return 1 for each of a segment's documents that satisfies the filter, else 0.

    Raises `QueryError` for an attribute that is not in the index or values of another type.
    """
    match wanted:
        case And(filters) | Or(filters):
            join, neutral = (np.bitwise_and, 1) if isinstance(wanted, And) else (np.bitwise_or, 0)
            masks = (_mask_of(snapshot, number, docs, part) for part in filters)
            return reduce(join, masks, np.full(len(docs), neutral, np.uint8))
        case Not(part):
            return _mask_of(snapshot, number, docs, part) ^ np.uint8(1)
        case Range():
            return _range(snapshot, number, docs, wanted)
        case AllOf():
            return _all_of(snapshot, number, docs, wanted)
        case AnyOf(name, values):
            if attribute_of(snapshot, name).type in _STRINGS:
                known = [code for code in _codes(snapshot, name, values) if code is not None]
                return _hold(snapshot.level(name), number, docs, known, least=1)
            return _any_number(snapshot, number, docs, wanted)


def _all_of(snapshot: Snapshot, number: int, docs: Docs, wanted: AllOf) -> Mask:
    if attribute_of(snapshot, wanted.attribute).type is not AttributeType.STRING_LIST:
        raise no_list(wanted.attribute)
    codes = {code or 0 for code in _codes(snapshot, wanted.attribute, wanted.values)}
    if 0 in codes:  # a value that no document has
        return np.zeros(len(docs), np.uint8)
    return _hold(snapshot.level(wanted.attribute), number, docs, codes, least=len(codes))


def mask_of_paths(
    snapshot: Snapshot,
    number: int,
    docs: Docs,
    attributes: tuple[str, ...],
    paths: tuple[Path, ...],
) -> Mask:
    """Return 1 for each document that lies on one of the selected paths, else 0."""
    mask = np.zeros(len(docs), np.uint8)
    last_values: dict[Path, list[int]] = {}
    for path in paths:
        code = _label_code(snapshot, attributes[len(path) - 1], path[-1])
        if code is not None:
            last_values.setdefault(path[:-1], []).append(code)
    for parents, codes in last_values.items():
        part = _on(snapshot, number, docs, attributes[len(parents)], codes)
        for name, value in zip(attributes, parents, strict=False):
            code = _label_code(snapshot, name, value)
            part &= _on(snapshot, number, docs, name, [] if code is None else [code])
        mask |= part
    return mask


def _label_code(snapshot: Snapshot, name: str, label: str | None) -> int | None:
    return 0 if label is None else snapshot.level(name).code_of.get(label)


def _on(snapshot: Snapshot, number: int, docs: Docs, name: str, codes: list[int]) -> Mask:
    level = snapshot.level(name)
    mask = _hold(level, number, docs, [code for code in codes if code], least=1)
    if 0 in codes:
        mask |= _missing(level.columns[number], docs)
    return mask


def _missing(column: StringColumn | ListColumn, docs: Docs) -> Mask:
    if isinstance(column, ListColumn):
        missing = column.offsets[docs + np.uint32(1)] == column.offsets[docs]
    else:
        missing = column.codes[docs] == 0
    return np.asarray(missing, np.uint8)


def _hold(level: Level, number: int, docs: Docs, codes: Iterable[int], *, least: int) -> Mask:
    wanted, mask = _flags(level, codes), np.empty(len(docs), np.uint8)
    match level.columns[number]:
        case StringColumn(column):
            kernels.mask_codes(docs, column, wanted, mask)
        case ListColumn(offsets, column):
            kernels.mask_lists(docs, offsets, column, wanted, least, mask)
    return mask


def _flags(level: Level, codes: Iterable[int]) -> Mask:
    flags = np.zeros(len(level.labels), np.uint8)
    for code in codes:
        flags[code] = 1
    return sealed(flags)


def _codes(
    snapshot: Snapshot, name: str, values: tuple[str | int | datetime, ...]
) -> list[int | None]:
    for value in values:
        if not isinstance(value, str):
            raise QueryError(f"“{name}” holds strings, so it cannot be {value!r}.")
    code_of = snapshot.level(name).code_of
    return [code_of.get(str(value)) for value in values]


def _any_number(snapshot: Snapshot, number: int, docs: Docs, wanted: AnyOf) -> Mask:
    attribute = attribute_of(snapshot, wanted.attribute)
    values = sorted(_whole(attribute, value) for value in wanted.values)
    column = snapshot.numbers(snapshot.segments[number], attribute.name)
    mask = np.empty(len(docs), np.uint8)
    kernels.mask_values(
        docs, column.values, column.present, sealed(np.array(values, np.int64)), mask
    )
    return mask


def _range(snapshot: Snapshot, number: int, docs: Docs, wanted: Range) -> Mask:
    attribute = attribute_of(snapshot, wanted.attribute)
    if attribute.type in _STRINGS:
        raise QueryError(
            f"A range needs a number or a date, and “{attribute.name}” holds strings. Use “any of”."
        )
    low, high = _LOWEST, _HIGHEST
    if wanted.low is not None:
        low = _whole(attribute, wanted.low) + (not wanted.low_included)
    if wanted.high is not None:
        high = _whole(attribute, wanted.high) - (not wanted.high_included)
    mask = np.zeros(len(docs), np.uint8)
    if low <= high:
        column = snapshot.numbers(snapshot.segments[number], attribute.name)
        kernels.mask_range(docs, column.values, column.present, low, high, mask)
    return mask


def _whole(attribute: Attribute, value: str | int | datetime) -> int:
    if attribute.type is AttributeType.DATE and isinstance(value, datetime):
        return microseconds(value)
    if attribute.type is AttributeType.LONG and isinstance(value, int):
        return min(max(value, _LOWEST), _HIGHEST)
    raise QueryError(
        f"“{attribute.name}” holds {_plain(attribute.type)}s, so it cannot be compared with "
        f"{value!r}."
    )


def _plain(kind: AttributeType) -> str:
    return {
        AttributeType.STRING: "string",
        AttributeType.STRING_LIST: "list of strings",
        AttributeType.LONG: "whole number",
        AttributeType.DATE: "date",
    }[kind]
