"""Facets: exact counts of every level of a hierarchy in one pass over the documents.

A document's values along the hierarchy make one number, its cell; cells are counted in an array,
or, where there are too many possible ones, in a hash table. The counts of an outer level are sums
of the inner one's, except above a list of strings: a document counts there for each of its
elements, so what the children sum to may exceed the parent, which counts the document once.

A missing value is the value None. It stands last, whenever documents lack a value, and is neither
among the top values nor in `distinct` and `remainder`. Whole numbers are counted by value and
dates by year.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.search import kernels
from lib.search.columns import Level, Snapshot, frozen, sealed
from lib.search.filters import Docs, attribute_of
from lib.search.model import FacetNode, FacetRequest, FacetResult, QueryError, Selection
from lib.search.segment import Codes, ListColumn, StringColumn

_SMALL_TABLE = 1 << 16
_LARGE_TABLE = 1 << 20
_CELLS_PER_DOCUMENT = 8
_MOST_IN_CACHES = 1 << 22  # documents of a segment
_DENSE = 50  # of so many documents one is counted
_SHARED_FROM = 1 << 16  # documents; fewer are counted before a second thread has begun
_MOST_CELLS = 1 << 62

Counts = npt.NDArray[np.uint32]
Keys = npt.NDArray[np.uint64]
Cells = npt.NDArray[np.int64]

_NO_KEYS: Keys = frozen(np.zeros(0, np.uint64))
_ROOT: Cells = frozen(np.zeros(1, np.int64))
_NODE: Callable[[tuple[Any, ...]], FacetNode] = partial(tuple.__new__, FacetNode)


@dataclass(slots=True)
class _LevelCounts:
    """The counts of one level: of all cells in order, or, with keys, of those that occur."""

    cardinality: int
    counts: Counts
    keys: Keys | None = None

    def outer(self, cardinality: int) -> _LevelCounts:
        """Return the counts of the level around it: the sums over this one."""
        if self.keys is None:
            sums = np.empty(len(self.counts) // self.cardinality, np.uint32)
            kernels.sum_rows(self.counts, self.cardinality, sums)
            return _LevelCounts(cardinality, sealed(sums))
        parents = self.keys // np.uint64(self.cardinality)
        first = np.flatnonzero(np.diff(parents, prepend=~parents[:1]))
        sums = np.add.reduceat(self.counts, first, dtype=np.uint32)
        return _LevelCounts(cardinality, sealed(sums), sealed(parents[first]))

    def count(self, cell: int) -> int:
        """Return the count of one cell."""
        if self.keys is None:
            return int(self.counts[cell])
        place = int(np.searchsorted(self.keys, np.uint64(cell)))
        found = place < len(self.keys) and int(self.keys[place]) == cell
        return int(self.counts[place]) if found else 0


@dataclass(slots=True)
class _Chosen:
    """The selected paths as a tree."""

    here: bool = False
    below: dict[str | None, _Chosen] = field(default_factory=dict)

    def selection(self) -> Selection:
        """Return whether the value is selected itself or only values within it."""
        return Selection.ALL if self.here else Selection.PART


def count_facet(
    snapshot: Snapshot, request: FacetRequest, docs_by_segment: Sequence[Docs]
) -> FacetResult:
    """Return the exact counts of a hierarchy over some documents of each segment.

    Raises `QueryError` for an attribute that is not in the index, and for a hierarchy with more
    than 2^62 combinations of values.
    """
    levels = [snapshot.level(attribute_of(snapshot, name).name) for name in request.attributes]
    if math.prod(len(level.labels) for level in levels) > _MOST_CELLS:
        raise QueryError(
            f"The hierarchy {' > '.join(request.attributes)} has too many combinations of values "
            "to number them. Leave out the level with the most values."
        )
    counts = _count_levels(snapshot, request.attributes, docs_by_segment)
    if request.value_search:
        counts[0] = _searched(counts[0], levels[0], request.value_search.casefold())
    root = _root(_shown_levels(levels, counts, request.top, _chosen(request)))
    return FacetResult(request.attributes, root.children, root.distinct, root.remainder)


def _count_levels(
    snapshot: Snapshot, names: tuple[str, ...], docs_by_segment: Sequence[Docs]
) -> list[_LevelCounts]:
    levels = [snapshot.level(name) for name in names]
    found = [_count(snapshot, names, docs_by_segment)]
    for depth in range(len(names) - 1, 0, -1):
        if levels[depth].is_list:
            found.append(_count(snapshot, names[:depth], docs_by_segment))
        else:
            found.append(found[-1].outer(len(levels[depth - 1].labels)))
    return found[::-1]


def _count(
    snapshot: Snapshot, names: tuple[str, ...], docs_by_segment: Sequence[Docs]
) -> _LevelCounts:
    levels = [snapshot.level(name) for name in names]
    sizes = [len(level.labels) for level in levels]
    cells, documents = math.prod(sizes), sum(map(len, docs_by_segment))
    counts = np.zeros(cells if cells <= _small_enough(documents) else 0, np.uint32)
    combined = snapshot.combined(names) if len(counts) else None
    if combined is not None:
        for number, docs in enumerate(docs_by_segment):
            columns = [level.columns[number] for level in levels]
            _count_dense(docs, columns, combined[number].codes, sizes, counts)
        return _LevelCounts(sizes[-1], sealed(counts))
    keys = [
        _keys(docs, [level.columns[number] for level in levels], sizes)
        for number, docs in enumerate(docs_by_segment)
    ]
    if len(counts):
        for each in keys:
            kernels.count_keys(each, counts)
        return _LevelCounts(sizes[-1], sealed(counts))
    different, different_counts = kernels.count_sparse(frozen(np.concatenate(keys)))
    order = np.argsort(different)
    return _LevelCounts(sizes[-1], sealed(different_counts[order]), sealed(different[order]))


def _count_dense(
    docs: Docs,
    columns: list[StringColumn | ListColumn],
    combined: Codes,
    sizes: list[int],
    counts: Counts,
) -> None:
    if len(combined) <= _MOST_IN_CACHES or len(docs) < _SHARED_FROM:
        kernels.count_codes(docs, combined, counts)
        return
    # Beyond the caches two threads wait for memory half as long; and where most lines of memory
    # are read anyway, two narrow columns are read sooner than a wide one.
    count = partial(_count_codes, combined)
    if len(docs) > len(combined) // _DENSE:
        match columns:
            case [StringColumn(outer), StringColumn(inner)]:
                count = partial(_count_pairs, outer, inner, sizes[1])
    half, others = len(docs) // 2, np.zeros_like(counts)
    second = _helpers().submit(count, docs[half:], others)
    count(docs[:half], counts)
    second.result()
    counts += others


def _count_codes(codes: Codes, docs: Docs, counts: Counts) -> None:
    kernels.count_codes(docs, codes, counts)


def _count_pairs(outer: Codes, inner: Codes, base: int, docs: Docs, counts: Counts) -> None:
    kernels.count_pairs(docs, outer, inner, base, counts)


@cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="count")


def _small_enough(documents: int) -> int:
    # The most cells that are counted in an array.
    return max(_SMALL_TABLE, min(_LARGE_TABLE, _CELLS_PER_DOCUMENT * documents))


def _keys(docs: Docs, columns: list[StringColumn | ListColumn], sizes: list[int]) -> Keys:
    # The cell of each document, once for each element of its lists.
    keys = sealed(np.zeros(len(docs), np.uint64))
    for column, size in zip(columns, sizes, strict=True):
        match column:
            case StringColumn(codes):
                extended = np.empty(len(docs), np.uint64)
                kernels.extend_keys(docs, keys, codes, size, extended)
            case ListColumn(offsets, codes):
                room = kernels.elements(docs, offsets)
                repeated, extended = np.empty(room, np.uint32), np.empty(room, np.uint64)
                kernels.expand_keys(docs, keys, offsets, codes, size, repeated, extended)
                docs = sealed(repeated)
        keys = sealed(extended)
    return keys


def _searched(counts: _LevelCounts, level: Level, letters: str) -> _LevelCounts:
    matching = np.array([letters in (label or "").casefold() for label in level.labels])
    matching[0] = False
    codes = slice(None) if counts.keys is None else counts.keys.astype(np.int64)
    kept = counts.counts * matching[codes].astype(np.uint32)
    return _LevelCounts(counts.cardinality, sealed(kept), counts.keys)


def _chosen(request: FacetRequest) -> _Chosen | None:
    if not request.selected:
        return None
    root = _Chosen()
    letters = request.value_search.casefold()
    for path in request.selected:
        if letters and letters not in (path[0] or "").casefold():
            continue
        place = root
        for value in path:
            place = place.below.setdefault(value, _Chosen())
        place.here = True
    return root


@dataclass(slots=True)
class _Shown:
    """The values to show at one level, parent by parent, and what their parents say of them.

    Labels, sizes, selections and cells belong to a value each; how many are shown, how many
    different ones there are and the documents of those not shown, to a parent each.
    """

    labels: list[str | None]
    sizes: list[int]
    selections: Iterable[Selection]
    cells: Cells
    shown: list[int]
    distinct: list[int]
    remainders: list[int]


def _root(levels: list[_Shown]) -> FacetNode:
    # The node around all others, made from the innermost level outwards.
    below: tuple[Iterable[Any], ...] = (repeat(()), repeat(0), repeat(0))
    for found in reversed(levels):
        nodes = list(map(_NODE, zip(found.labels, found.sizes, found.selections, *below)))  # noqa: B905  # some repeat for ever
        below = (_grouped(nodes, found.shown), found.distinct, found.remainders)
    children, distinct, remainder = (next(iter(each)) for each in below)
    return FacetNode(None, 0, Selection.NONE, children, distinct, remainder)


def _grouped(nodes: list[FacetNode], sizes: list[int]) -> list[tuple[FacetNode, ...]]:
    groups, place = [], 0
    for size in sizes:
        groups.append(tuple(nodes[place : place + size]))
        place += size
    return groups


def _shown_levels(
    levels: list[Level], counts: list[_LevelCounts], top: int | None, chosen: _Chosen | None
) -> list[_Shown]:
    found: list[_Shown] = []
    cells, parents = _ROOT, [_Parent(chosen, Selection.NONE)]
    for level, level_counts in zip(levels, counts, strict=True):
        shown = _top(level, level_counts, cells, top)
        if chosen is not None:
            shown, parents = _with_chosen(level, level_counts, shown, cells.tolist(), parents)
        found.append(shown)
        cells = shown.cells
    return found


def _top(level: Level, counts: _LevelCounts, parents: Cells, top: int | None) -> _Shown:
    width = counts.cardinality
    room = width if top is None else min(top, width)
    tops = np.empty((3, min(len(parents) * (room + 1), len(counts.counts))), np.int64)
    summaries = np.empty((3, len(parents)), np.int64)
    found = kernels.top_of_rows(
        _NO_KEYS if counts.keys is None else counts.keys,
        counts.counts,
        parents,
        width,
        level.ranks,
        level.by_rank,
        room,
        tops,
        summaries,
    )
    codes, sizes = tops[:2, :found].tolist()
    labels = list(map(level.labels.__getitem__, codes))
    return _Shown(
        labels, sizes, repeat(Selection.NONE), sealed(tops[2, :found]), *summaries.tolist()
    )


@dataclass(slots=True)
class _Parent:
    """What is selected below a value, and whether it is itself."""

    chosen: _Chosen | None
    selection: Selection


# A label, how many documents, its cell, and what is selected of it.
_Entry = tuple[str | None, int, int, _Parent]


def _with_chosen(
    level: Level, counts: _LevelCounts, found: _Shown, cells: list[int], parents: list[_Parent]
) -> tuple[_Shown, list[_Parent]]:
    # The same with the selected values marked and shown, whatever their counts.
    entries: list[_Entry] = []
    shown, remainders, place = [], [], 0
    cells_of_values = found.cells.tolist()
    for cell, parent, size, remainder in zip(
        cells, parents, found.shown, found.remainders, strict=True
    ):
        end = place + size
        unmarked = _Parent(
            None, Selection.ALL if parent.selection is Selection.ALL else Selection.NONE
        )
        values: list[_Entry] = [
            (label, number, value, unmarked)
            for label, number, value in zip(
                found.labels[place:end],
                found.sizes[place:end],
                cells_of_values[place:end],
                strict=True,
            )
        ]
        place, total = end, remainder + _sum_of_values(values)
        if parent.chosen is not None:
            values = _marked(level, counts, cell, values, parent)
        entries += values
        shown.append(len(values))
        remainders.append(total - _sum_of_values(values))
    marked = _Shown(
        [label for label, _, _, _ in entries],
        [number for _, number, _, _ in entries],
        [each.selection for _, _, _, each in entries],
        sealed(np.array([cell for _, _, cell, _ in entries], np.int64)),
        shown,
        found.distinct,
        remainders,
    )
    return marked, [each for _, _, _, each in entries]


def _marked(
    level: Level, counts: _LevelCounts, cell: int, values: list[_Entry], parent: _Parent
) -> list[_Entry]:
    # Selected values are shown even outside the top, and with no documents at all.
    found = {entry[0]: entry for entry in values}
    for label, below in parent.chosen.below.items() if parent.chosen else ():
        if label in found:
            _, number, place, _ = found[label]
        else:
            code = 0 if label is None else level.code_of.get(label, -1)
            known = cell >= 0 and code >= 0
            place = cell * counts.cardinality + code if known else -1
            number = counts.count(place) if known else 0
        is_all = parent.selection is Selection.ALL
        selection = Selection.ALL if is_all else below.selection()
        found[label] = (label, number, place, _Parent(below, selection))
    return sorted(found.values(), key=lambda entry: _order(level, entry))


def _sum_of_values(entries: list[_Entry]) -> int:
    return sum(number for label, number, _, _ in entries if label is not None)


def _order(level: Level, entry: _Entry) -> tuple[bool, int, int, str]:
    label, number, _, _ = entry
    code = level.code_of.get(label, 0) if label is not None else 0
    rank = int(level.ranks[code]) if code else len(level.labels)
    return label is None, -number, rank, label or ""
