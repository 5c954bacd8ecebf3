"""What is selected in hierarchies of facets: changed, turned around, written into an address."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from lib.search.model import MAX_FACET_DEPTH, Path

FIRST_TOP = 10
MAX_TOP = 1_000
MAX_FACETS = 8
MAX_SELECTED = 500

_TOP = re.compile(r"[1-9]\d{0,3}", re.ASCII)

Attributes = tuple[str, ...]
PathsOf = Callable[[Attributes], Iterable[Path]]  # every combination of values in the index


class SelectionError(ValueError):
    """A selection that cannot be read or made; the message says why."""


@dataclass(frozen=True)
class Facet:
    """A hierarchy of facets: its attributes, what is selected in it, and how much it shows."""

    attributes: Attributes
    selected: tuple[Path, ...] = ()
    top: int = FIRST_TOP


def levels_text(facets: Iterable[Facet]) -> str:
    """Return hierarchies as text, such as `Technology>Document_Type;service:50`."""
    return ";".join(
        ">".join(facet.attributes) + (f":{facet.top}" if facet.top != FIRST_TOP else "")
        for facet in facets
    )


def selected_text(facets: Iterable[Facet]) -> str:
    """Return what is selected as JSON: for each hierarchy its paths; empty where nothing is."""
    paths = [[list(path) for path in facet.selected] for facet in facets]
    while paths and not paths[-1]:
        paths.pop()
    return json.dumps(paths, ensure_ascii=False, separators=(",", ":")) if paths else ""


def read_facets(levels: str, selected: str, known: Collection[str]) -> tuple[Facet, ...]:
    """Return the hierarchies of two texts; raises `SelectionError` where they are none."""
    hierarchies = [_read_levels(part, known) for part in levels.split(";") if part.strip()]
    if len(hierarchies) > MAX_FACETS:
        raise SelectionError(f"There are at most {MAX_FACETS} hierarchies.")
    if len({facet.attributes for facet in hierarchies}) < len(hierarchies):
        raise SelectionError("Each hierarchy is shown once.")
    every_path = _read_selected(selected)
    if len(every_path) > len(hierarchies):
        raise SelectionError("More is selected than there are hierarchies.")
    every_path += [()] * (len(hierarchies) - len(every_path))
    facets = []
    for facet, paths in zip(hierarchies, every_path, strict=True):
        if any(not 1 <= len(path) <= len(facet.attributes) for path in paths):
            raise SelectionError("A selected path is deeper than its hierarchy.")
        facets.append(replace(facet, selected=tuple(dict.fromkeys(paths))))
    return tuple(facets)


def with_path(facet: Facet, path: Path, *, on: bool, paths_of: PathsOf) -> Facet:
    """Return the facet with everything at and below a path selected, or nothing of it.

    Taking a value out of a selected parent leaves the parent's other values selected.
    """
    outside = [other for other in facet.selected if not _covers(path, other)]
    covering = [other for other in outside if _covers(other, path)]
    if on:
        return _limited(facet, outside if covering else [*outside, path])
    kept = [other for other in outside if other not in covering]
    for depth in range(min(map(len, covering)), len(path)) if covering else ():
        kept += [
            sibling
            for sibling in paths_of(facet.attributes[: depth + 1])
            if sibling[:depth] == path[:depth] and sibling[depth] != path[depth]
        ]
    return _limited(facet, kept)


def rearranged(facet: Facet, attributes: Attributes, paths_of: PathsOf) -> Facet:
    """Return the facet with other levels and the same documents selected.

    What was selected of an attribute that is no level any more is dropped.
    """
    selected: list[Path] = []
    for path in facet.selected:
        wanted = {
            name: value
            for name, value in zip(facet.attributes, path, strict=False)
            if name in attributes
        }
        if not wanted:
            continue
        depth = 1 + max(attributes.index(name) for name in wanted)
        levels = attributes[:depth]
        if depth == len(wanted):
            selected.append(tuple(wanted[name] for name in levels))
            continue
        selected += [
            other
            for other in paths_of(levels)
            if all(
                wanted.get(name, value) == value for name, value in zip(levels, other, strict=True)
            )
        ]
    return _limited(replace(facet, attributes=attributes), dict.fromkeys(selected))


def narrowed(facets: tuple[Facet, ...], attributes: Attributes, path: Path) -> tuple[Facet, ...]:
    """Return the facets with one path selected, in a hierarchy of its own where none fits."""
    wanted = dict(zip(attributes, path, strict=False))
    for position, facet in enumerate(facets):
        if set(facet.attributes[: len(wanted)]) == set(wanted):
            found = tuple(wanted[name] for name in facet.attributes[: len(wanted)])
            return (
                *facets[:position],
                replace(facet, selected=(found,)),
                *facets[position + 1 :],
            )
    if len(facets) == MAX_FACETS:
        raise SelectionError(f"There are at most {MAX_FACETS} hierarchies. Remove one first.")
    return (*facets, Facet(attributes, (path,)))


def _read_levels(text: str, known: Collection[str]) -> Facet:
    levels, _, top = text.partition(":")
    attributes = tuple(name.strip() for name in levels.split(">"))
    unknown = [name for name in attributes if name not in known]
    if unknown:
        raise SelectionError(f"The index has no attribute “{unknown[0][:80]}”.")
    if len(attributes) > MAX_FACET_DEPTH or len(set(attributes)) < len(attributes):
        raise SelectionError(f"A hierarchy has up to {MAX_FACET_DEPTH} different levels.")
    if top and not (_TOP.fullmatch(top) and int(top) <= MAX_TOP):
        raise SelectionError(f"A hierarchy shows between 1 and {MAX_TOP:,} values at each level.")
    return Facet(attributes, top=int(top) if top else FIRST_TOP)


def _read_selected(text: str) -> list[tuple[Path, ...]]:
    try:
        facets = json.loads(text) if text.strip() else []
        paths = [tuple(_read_path(path) for path in _listed(facet)) for facet in _listed(facets)]
    except (ValueError, TypeError, RecursionError):
        raise SelectionError("The selection is no list of paths in JSON.") from None
    if sum(map(len, paths)) > MAX_SELECTED:
        raise SelectionError(f"At most {MAX_SELECTED} values can be selected.")
    return paths


def _read_path(path: object) -> Path:
    values = _listed(path)
    for value in values:
        if value is not None:
            if not isinstance(value, str):
                raise TypeError
            value.encode()  # half a surrogate pair is no text, and raises `ValueError`
    return tuple(values)


def _listed(read: object) -> list[Any]:
    if not isinstance(read, list):
        raise TypeError
    return read


def _covers(outer: Path, inner: Path) -> bool:
    return inner[: len(outer)] == outer


def _limited(facet: Facet, selected: Iterable[Path]) -> Facet:
    paths = tuple(selected)
    if len(paths) > MAX_SELECTED:
        raise SelectionError(
            f"This would select {len(paths):,} values one by one; the limit is {MAX_SELECTED}. "
            "Clear something first."
        )
    return replace(facet, selected=paths)
