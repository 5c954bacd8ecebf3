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
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lib.search import kernels
from lib.search.columns import Level, Snapshot, frozen, sealed
from lib.search.filters import Docs, attribute_of
from lib.search.model import FacetNode, FacetRequest, FacetResult, QueryError, Selection
from lib.search.segment import ListColumn, StringColumn

_SMALL_TABLE = 1 << 16
_LARGE_TABLE = 1 << 20
_CELLS_PER_DOCUMENT = 8
_MOST_CELLS = 1 << 62
_NO_CODES = frozen(np.zeros(0, np.uint32))

Counts = npt.NDArray[np.uint32]
Keys = npt.NDArray[np.uint64]


@dataclass(slots=True)
class _LevelCounts:
    """The counts of one level: of all cells in order, or, with keys, of those that occur."""

    cardinality: int
    counts: Counts
    keys: Keys | None = None

    def outer(self, cardinality: int) -> _LevelCounts:
        """Return the counts of the level around it: the sums over this one."""
        if self.keys is None:
            rows = self.counts.reshape(-1, self.cardinality)
            return _LevelCounts(cardinality, np.add.reduce(rows, axis=1, dtype=np.uint32))
        parents = self.keys // np.uint64(self.cardinality)
        first = np.flatnonzero(np.diff(parents, prepend=~parents[:1]))
        sums = np.add.reduceat(self.counts, first, dtype=np.uint32) if len(first) else self.counts
        return _LevelCounts(cardinality, sums, parents[first])

    def rows(self, parents: list[int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return where the cells within each parent begin and end; a parent below 0 has none."""
        low = np.array(parents, np.int64) * self.cardinality
        high = low + self.cardinality
        if min(parents, default=0) < 0:
            low, high = np.maximum(low, 0), np.maximum(high, 0)
        if self.keys is None:
            return low, high
        return (
            np.searchsorted(self.keys, low.astype(np.uint64)),
            np.searchsorted(self.keys, high.astype(np.uint64)),
        )

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


# A node whose children are to be filled in, its cell, and what is selected within it.
_Parent = tuple[FacetNode, int, _Chosen | None]


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
    counts = _count_levels(levels, docs_by_segment)
    if request.value_search:
        counts[0] = _searched(counts[0], levels[0], request.value_search.casefold())
    root = FacetNode(None, 0)
    parents: list[_Parent] = [(root, 0, _chosen(request))]
    for level, level_counts in zip(levels, counts, strict=True):
        innermost = level is levels[-1]
        parents = _fill(level, level_counts, parents, request.top, innermost=innermost)
    return FacetResult(request.attributes, root.children, root.distinct, root.remainder)


def _count_levels(levels: list[Level], docs_by_segment: Sequence[Docs]) -> list[_LevelCounts]:
    innermost = _count(levels, docs_by_segment)
    found = [innermost]
    for depth in range(len(levels) - 1, 0, -1):
        if levels[depth].is_list:
            found.append(_count(levels[:depth], docs_by_segment))
        else:
            found.append(found[-1].outer(len(levels[depth - 1].labels)))
    return found[::-1]


def _count(levels: list[Level], docs_by_segment: Sequence[Docs]) -> _LevelCounts:
    sizes = [len(level.labels) for level in levels]
    cells, documents = math.prod(sizes), sum(map(len, docs_by_segment))
    if cells <= max(_SMALL_TABLE, min(_LARGE_TABLE, _CELLS_PER_DOCUMENT * documents)):
        counts = np.zeros(cells, np.uint32)
        for number, docs in enumerate(docs_by_segment):
            _count_dense(docs, [level.columns[number] for level in levels], sizes, counts)
        return _LevelCounts(sizes[-1], counts)
    keys = [
        _keys(docs, [level.columns[number] for level in levels], sizes)
        for number, docs in enumerate(docs_by_segment)
    ]
    different, different_counts = kernels.count_sparse(frozen(np.concatenate(keys)))
    order = np.argsort(different)
    return _LevelCounts(sizes[-1], different_counts[order], different[order])


def _count_dense(
    docs: Docs, columns: list[StringColumn | ListColumn], sizes: list[int], counts: Counts
) -> None:
    match columns:
        case [StringColumn(codes)]:
            kernels.count_codes(docs, codes, counts)
        case [StringColumn(outer), StringColumn(inner)]:
            kernels.count_pairs(docs, outer, inner, sizes[1], counts)
        case _:
            kernels.count_keys(_keys(docs, columns, sizes), counts)


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
    return _LevelCounts(
        counts.cardinality, counts.counts * matching[codes].astype(np.uint32), counts.keys
    )


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


def _fill(
    level: Level, counts: _LevelCounts, parents: list[_Parent], top: int | None, *, innermost: bool
) -> list[_Parent]:
    # Gives the parents their children, and returns these unless they have none themselves.
    numbers, summary = _top(level, counts, parents, top)
    label_of, width, place = level.labels.__getitem__, counts.cardinality, 0
    filled: list[_Parent] = []
    for (parent, cell, chosen), shown, distinct, total, missing in zip(
        parents, summary[::4], summary[1::4], summary[2::4], summary[3::4], strict=True
    ):
        end = place + 2 * shown
        codes, sizes = numbers[place:end:2], numbers[place + 1 : end : 2]
        place = end
        rest = total - sum(sizes)
        if missing:
            codes.append(0)
            sizes.append(missing)
        nodes = list(map(_node, map(label_of, codes), sizes))
        if chosen is not None or not innermost:
            base = cell * width
            below: list[_Parent] = [
                (node, base + code, None) for node, code in zip(nodes, codes, strict=True)
            ]
            if chosen is not None:
                below = _with_chosen(level, counts, cell, below, chosen)
                nodes = [entry[0] for entry in below]
                rest = total - sum(node.count for node in nodes if node.value is not None)
            filled += below
        fields = parent.__dict__
        if parent.selection is Selection.ALL:
            for node in nodes:
                node.__dict__["selection"] = Selection.ALL
        fields["children"], fields["distinct"], fields["remainder"] = tuple(nodes), distinct, rest
    return filled


def _node(value: str | None, count: int) -> FacetNode:
    # A frozen dataclass sets each field through a call, five times as slow as its dictionary.
    node = object.__new__(FacetNode)
    fields = node.__dict__
    fields["value"] = value
    fields["count"] = count
    return node


def _top(
    level: Level, counts: _LevelCounts, parents: list[_Parent], top: int | None
) -> tuple[list[int], list[int]]:
    # Codes and counts of the values to show, parent by parent, and four numbers a parent.
    starts, ends = counts.rows([cell for _, cell, _ in parents])
    room = top if top is not None else len(level.labels)
    codes = _NO_CODES
    if counts.keys is not None:
        codes = frozen(counts.keys % np.uint64(counts.cardinality), np.uint32)
    tops = np.empty(2 * min(len(parents) * room, int((ends - starts).sum())), np.int64)
    summaries = np.empty(4 * len(parents), np.int64)
    kernels.top_of_rows(
        codes,
        sealed(counts.counts),
        sealed(starts),
        sealed(ends),
        level.ranks,
        level.by_rank,
        room,
        tops,
        summaries,
    )
    return tops.tolist(), summaries.tolist()


def _with_chosen(
    level: Level, counts: _LevelCounts, parent: int, shown: list[_Parent], chosen: _Chosen
) -> list[_Parent]:
    # Selected values are shown even outside the top, and with no documents at all.
    found = {entry[0].value: entry for entry in shown}
    for label, below in chosen.below.items():
        if label in found:
            node, cell, _ = found[label]
        else:
            code = 0 if label is None else level.code_of.get(label, -1)
            known = parent >= 0 and code >= 0
            cell = parent * counts.cardinality + code if known else -1
            node = _node(label, counts.count(cell) if known else 0)
        node.__dict__["selection"] = below.selection()
        found[label] = (node, cell, below)
    return sorted(found.values(), key=lambda entry: _order(level, entry[0]))


def _order(level: Level, node: FacetNode) -> tuple[bool, int, int, str]:
    code = level.code_of.get(node.value, 0) if node.value is not None else 0
    rank = int(level.ranks[code]) if code else len(level.labels)
    return node.value is None, -node.count, rank, node.value or ""
