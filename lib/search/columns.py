"""An index as the compiled loops read it: plain arrays, and each attribute as a facet level."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from lib.search import blobs, kernels
from lib.search.model import Access, Attribute, AttributeType, Principals
from lib.search.segment import (
    EPOCH,
    Blob,
    Column,
    Dictionary,
    ListColumn,
    NumberColumn,
    Postings,
    Segment,
    StringColumn,
)

_CACHED_READERS = 32
_CACHED_HIERARCHIES = 8
_MOST_COMBINED = 1 << 16  # cells: two bytes a document
_ABOVE_ALL = b"\xff"  # no UTF-8 text has this byte

_T = TypeVar("_T", bound=np.generic)
_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Index(Protocol):
    """What the engine reads of an index: one commit of it."""

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Return the segments."""
        ...

    @property
    def dictionaries(self) -> Mapping[str, Dictionary]:
        """Return the values of each string and string list attribute."""
        ...

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """Return the attributes."""
        ...

    @property
    def access_lists(self) -> tuple[Access, ...]:
        """Return the access lists; a segment's access code k stands for number k - 1."""
        ...

    @property
    def version(self) -> int:
        """Return the number of the commit."""
        ...

    def refresh(self) -> Index:
        """Return the newer commit if there is one, else this one itself."""
        ...


class Recent(Generic[_K, _V]):
    """A small cache of the most recently used values, safe for several threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[_K, _V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _K, make: Callable[[], _V]) -> _V:
        """Return the key's value, made if there is none; two threads may make it twice."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        return value


def frozen(array: npt.NDArray[Any], dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
    """Return the array as the kernels take their input: plain, contiguous and read-only."""
    plain = np.require(array, dtype, ["C", "A"]).view(np.ndarray)
    plain.flags.writeable = False
    return plain


def sealed(array: npt.NDArray[_T]) -> npt.NDArray[_T]:
    """Return a new array of the right type as the kernels take their input: read-only."""
    array.flags.writeable = False
    return array


def address(array: npt.NDArray[Any]) -> int:
    """Return where the array's elements lie in memory."""
    found: int = array.__array_interface__["data"][0]
    return found


def encoded(text: str) -> npt.NDArray[np.uint8]:
    """Return the text's bytes as the kernels take them."""
    return np.frombuffer(blobs.encoded(text), np.uint8)


def moment_of(value: int) -> datetime:
    """Return the moment of microseconds since 1970 in UTC."""
    return EPOCH + timedelta(microseconds=value)


@dataclass(frozen=True)
class Vocabulary:
    """Sorted texts and their postings as plain arrays."""

    texts: Blob
    offsets: npt.NDArray[np.uint64]
    documents: npt.NDArray[np.uint32]
    frequencies: npt.NDArray[np.uint8]
    places: npt.NDArray[np.uint32]
    positions: npt.NDArray[np.uint32]
    documents_at: int
    frequencies_at: int

    def find(self, text: str) -> int:
        """Return the number of the text, or -1."""
        return kernels.find_sorted(self.texts.offsets, self.texts.bytes, blobs.encoded(text))

    def with_prefix(self, prefix: str) -> tuple[int, int]:
        """Return the first and the one after the last text with the prefix."""
        start, blob = blobs.encoded(prefix), self.texts
        return (
            kernels.lower_bound(blob.offsets, blob.bytes, start),
            kernels.lower_bound(blob.offsets, blob.bytes, start + _ABOVE_ALL),
        )

    def extent(self, low: int, high: int) -> tuple[int, int]:
        """Return the postings `[start, end)` of the texts `[low, high)`."""
        return int(self.offsets[low]), int(self.offsets[high])


def _blob(blob: Blob) -> Blob:
    return Blob(frozen(blob.offsets, np.uint64), frozen(blob.bytes, np.uint8))


def _vocabulary(texts: Blob, postings: Postings) -> Vocabulary:
    documents = frozen(postings.documents, np.uint32)
    frequencies = frozen(postings.frequencies, np.uint8)
    return Vocabulary(
        _blob(texts),
        frozen(postings.offsets, np.uint64),
        documents,
        frequencies,
        frozen(postings.places, np.uint32),
        frozen(postings.positions, np.uint32),
        address(documents),
        address(frequencies),
    )


def _column(column: Column) -> Column:
    match column:
        case StringColumn(codes):
            return StringColumn(frozen(codes))
        case ListColumn(offsets, codes):
            return ListColumn(frozen(offsets, np.uint64), frozen(codes))
        case NumberColumn(values, present):
            return NumberColumn(frozen(values, np.int64), frozen(present, np.uint8))


class SegmentView:
    """One segment as plain arrays, with what is worth computing once."""

    def __init__(self, segment: Segment) -> None:
        self.source = segment
        self.count = segment.count
        self.forms = _vocabulary(segment.words.forms, segment.words.form_postings)
        self.stems = _vocabulary(segment.words.stems, segment.words.stem_postings)
        self.stem_of = frozen(segment.words.stem_of, np.uint32)
        self.lengths = frozen(segment.lengths, np.uint32)
        self.live = frozen(segment.live, np.uint8)
        self.access = frozen(segment.access)
        self.columns = {name: _column(column) for name, column in segment.columns.items()}
        self.ids, self.titles = _blob(segment.ids), _blob(segment.titles)
        self.texts, self.uris = _blob(segment.texts), _blob(segment.uris)
        self.total_length = int(self.lengths.sum(dtype=np.int64))
        self.least_length = int(self.lengths.min()) if self.count else 0
        self.deleted = self.count - int(np.count_nonzero(self.live))
        self._scratch = threading.local()

    @cached_property
    def everything(self) -> npt.NDArray[np.uint32]:
        """Return the numbers of all live documents."""
        return frozen(np.flatnonzero(self.live), np.uint32)

    @cached_property
    def forms_by_stem(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the forms in the order of their stems, and where each stem's forms begin."""
        order = np.argsort(self.stem_of, kind="stable")
        sizes = np.bincount(self.stem_of, minlength=len(self.stems.texts))
        return order, np.concatenate(([0], np.cumsum(sizes)))

    def forms_of(self, stem: int) -> list[int]:
        """Return the forms that have the stem."""
        order, starts = self.forms_by_stem
        found: list[int] = order[starts[stem] : starts[stem + 1]].tolist()
        return found

    def find(self, identifier: str) -> int:
        """Return the number of the live document with the id, or -1."""
        source = self.source
        wanted = blobs.hash_ids(blobs.blob_of([identifier]))[0][0]
        low = np.searchsorted(source.id_hashes, wanted)
        high = np.searchsorted(source.id_hashes, wanted, "right")
        text = blobs.encoded(identifier).decode()
        alike: list[int] = source.id_documents[low:high].tolist()
        return next((doc for doc in alike if self.live[doc] and self.ids.text(doc) == text), -1)

    def is_only_form(self, form: int) -> bool:
        """Return whether no other form of the segment has the form's stem."""
        starts = self.forms_by_stem[1]
        stem = self.stem_of[form]
        return bool(starts[stem + 1] - starts[stem] == 1)

    def bits(self) -> npt.NDArray[np.uint64]:
        """Return this thread's bits, one a document, all clear; leave them clear."""
        try:
            found: npt.NDArray[np.uint64] = self._scratch.bits
        except AttributeError:
            found = self._scratch.bits = np.zeros((self.count >> 6) + 1, np.uint64)
        return found

    def room(self, purpose: str, size: int) -> npt.NDArray[np.uint32]:
        """Return room for so many documents, which this thread's next call for it reuses.

        New memory costs more at its first touch than all that is then done with it.
        """
        held: npt.NDArray[np.uint32] | None = getattr(self._scratch, purpose, None)
        if held is None or len(held) < size:
            held = np.empty(1 << max(size, 1).bit_length(), np.uint32)
            setattr(self._scratch, purpose, held)
        return held[:size]


@dataclass(frozen=True)
class Level:
    """An attribute as a level of facets: its labels by code, and a column of codes a segment.

    Whole numbers are labelled by their value and dates by their year. `ranks` orders the labels
    by letters, case ignored; code 0 is a missing value.
    """

    labels: tuple[str | None, ...]
    ranks: npt.NDArray[np.uint32]
    by_rank: npt.NDArray[np.uint32]
    columns: tuple[StringColumn | ListColumn, ...]
    code_of: Mapping[str, int]

    @property
    def is_list(self) -> bool:
        """Return whether documents may have several values."""
        return any(isinstance(column, ListColumn) for column in self.columns)


def narrowest(cardinality: int) -> npt.DTypeLike:
    """Return the narrowest type of codes for so many values and the missing one."""
    return np.min_scalar_type(cardinality)


def _level(labels: list[str], columns: list[StringColumn | ListColumn]) -> Level:
    order = sorted(range(len(labels)), key=lambda i: (labels[i].casefold(), labels[i]))
    by_rank = np.array([0, *(i + 1 for i in order)], np.uint32)
    ranks = np.empty(len(labels) + 1, np.uint32)
    ranks[by_rank] = np.arange(len(by_rank), dtype=np.uint32)
    return Level(
        (None, *labels),
        frozen(ranks),
        frozen(by_rank),
        tuple(columns),
        {label: code for code, label in enumerate(labels, 1)},
    )


class Snapshot:
    """One commit of an index, ready for queries. Everything in it may be used by many threads.

    Segments that the previous snapshot holds too are taken over from it.
    """

    def __init__(self, index: Index, previous: Snapshot | None = None) -> None:
        self.version = index.version
        self.dictionaries = index.dictionaries
        self.attributes = {attribute.name: attribute for attribute in index.attributes}
        self.access_lists = index.access_lists
        views = previous.segments if previous else ()
        known = {id(view.source): view for view in views}
        self.segments: tuple[SegmentView, ...] = tuple(
            known.get(id(segment)) or SegmentView(segment) for segment in index.segments
        )
        self.count = sum(segment.count for segment in self.segments)
        lengths = sum(segment.total_length for segment in self.segments)
        self.average_length = max(lengths / self.count, 1.0) if self.count else 1.0
        self._levels: dict[str, Level] = {}
        self._combined: Recent[tuple[str, ...], tuple[StringColumn, ...] | None]
        self._combined = Recent(_CACHED_HIERARCHIES)
        self._visible: Recent[Principals | None, tuple[npt.NDArray[np.uint8] | None, ...]] = Recent(
            _CACHED_READERS
        )

    def level(self, name: str) -> Level:
        """Return an attribute as a facet level; two threads may make it twice at first."""
        found = self._levels.get(name)
        if found is None:
            found = self._levels[name] = self._make_level(name)
        return found

    def combined(self, names: tuple[str, ...]) -> tuple[StringColumn, ...] | None:
        """Return for each segment the cell of each document in a hierarchy of facets.

        A cell is the codes of the levels one after another, as digits. None where a level is a
        list or there are too many cells. One such column is read in half the time of two, whose
        lines of memory each document needs, too.
        """
        return self._combined.get(names, lambda: self._combine(names))

    def _combine(self, names: tuple[str, ...]) -> tuple[StringColumn, ...] | None:
        levels = [self.level(name) for name in names]
        cells = math.prod(len(level.labels) for level in levels)
        if cells > _MOST_COMBINED or any(level.is_list for level in levels):
            return None
        if len(levels) == 1:
            return levels[0].columns  # type: ignore[return-value]  # none is a list
        dtype = narrowest(cells - 1)
        combined = []
        for number in range(len(self.segments)):
            codes = levels[0].columns[number].codes.astype(dtype)
            for level in levels[1:]:
                codes *= np.asarray(len(level.labels), dtype)
                codes += level.columns[number].codes.astype(dtype)
            combined.append(StringColumn(frozen(codes)))
        return tuple(combined)

    def _make_level(self, name: str) -> Level:
        kind = self.attributes[name].type
        if kind is AttributeType.STRING:
            columns = [
                column
                if isinstance(column := segment.columns.get(name), StringColumn)
                else StringColumn(frozen(np.zeros(segment.count, np.uint8)))
                for segment in self.segments
            ]
            return _level(list(self.dictionaries[name].values), list(columns))
        if kind is AttributeType.STRING_LIST:
            lists = [
                column
                if isinstance(column := segment.columns.get(name), ListColumn)
                else ListColumn(
                    frozen(np.zeros(segment.count + 1, np.uint64)), frozen(np.zeros(0, np.uint8))
                )
                for segment in self.segments
            ]
            return _level(list(self.dictionaries[name].values), list(lists))
        return self._number_level(name, years=kind is AttributeType.DATE)

    def numbers(self, segment: SegmentView, name: str) -> NumberColumn:
        """Return a number or date attribute's column in a segment, empty if it has none."""
        column = segment.columns.get(name)
        if isinstance(column, NumberColumn):
            return column
        return NumberColumn(
            frozen(np.zeros(segment.count, np.int64)), frozen(np.zeros(segment.count, np.uint8))
        )

    def _number_level(self, name: str, *, years: bool) -> Level:
        columns = [self.numbers(segment, name) for segment in self.segments]
        values = [_years(column.values) if years else column.values for column in columns]
        different = np.unique(
            np.concatenate(
                [
                    np.zeros(0, np.int64),
                    *(
                        np.unique(value[column.present != 0])
                        for value, column in zip(values, columns, strict=True)
                    ),
                ]
            )
        )
        dtype = narrowest(len(different))
        codes = [
            np.where(column.present != 0, np.searchsorted(different, value) + 1, 0).astype(dtype)
            for value, column in zip(values, columns, strict=True)
        ]
        labels = [str(value) for value in different.tolist()]
        ranks = frozen(np.arange(len(labels) + 1, dtype=np.uint32))
        return Level(
            (None, *labels),
            ranks,
            ranks,
            tuple(StringColumn(frozen(code)) for code in codes),
            {label: code for code, label in enumerate(labels, 1)},
        )

    def visible(self, user: Principals | None) -> tuple[npt.NDArray[np.uint8] | None, ...]:
        """Return for each segment a flag a document that the user may find; None if all are.

        A denial wins over a permission. Without a user only documents that name nobody are found.
        """
        return self._visible.get(user, lambda: self._flags(user))

    def _flags(self, user: Principals | None) -> tuple[npt.NDArray[np.uint8] | None, ...]:
        allowed = np.array([1, *(may_find(user, access) for access in self.access_lists)], np.uint8)
        flags: list[npt.NDArray[np.uint8] | None] = []
        for segment in self.segments:
            flag = allowed[segment.access] & (segment.live != 0)
            flags.append(None if flag.all() else frozen(flag, np.uint8))
        return tuple(flags)


def may_find(user: Principals | None, access: Access) -> bool:
    """Return whether the user may find documents with the access list."""
    nobody = Principals()
    if user is None:
        return access.allowed == nobody and access.denied == nobody
    if user.users & access.denied.users or user.groups & access.denied.groups:
        return False
    if access.allowed == nobody:
        return True
    return bool(user.users & access.allowed.users or user.groups & access.allowed.groups)


def _years(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return values.astype("M8[us]").astype("M8[Y]").astype(np.int64) + 1970
