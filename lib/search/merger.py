"""From several segments to one, without the dead documents and without analysing text again.

Documents keep their order, segment after segment, and are numbered anew. Everything is streamed
to the file in chunks, so memory stays bounded by the vocabulary and a few numbers a document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.search.blobs import chosen_texts, compare_texts, offsets_of
from lib.search.builder import Schema, segment_of
from lib.search.compiled import (
    I64,
    INT,
    RI64,
    RU8,
    RU32,
    RU64,
    U8,
    U32,
    U64,
    VOID,
    WI64,
    WU8,
    WU32,
    kernel,
)
from lib.search.files import Array, ArrayFile, MappedArrays
from lib.search.model import AttributeType
from lib.search.segment import (
    Blob,
    Column,
    ListColumn,
    NumberColumn,
    Postings,
    Segment,
    StringColumn,
)

_NONE = np.uint32(0xFFFFFFFF)  # the new number of what is dropped
_CHUNK_POSTINGS = 1 << 20
_CHUNK_BYTES = 1 << 23
_TEXTS = ("ids", "titles", "texts", "uris")
_Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Source:
    """A segment to merge: its file, and which of its documents are kept."""

    arrays: MappedArrays
    kept: _Flags

    @cached_property
    def segment(self) -> Segment:
        """Return the segment."""
        return segment_of(self.arrays)


@dataclass(frozen=True)
class _Input:
    """The words of a source, the new numbers of its documents, and the file to release."""

    words: Blob
    postings: Postings
    renumbered: U32
    file: MappedArrays


@dataclass(frozen=True)
class _Merged:
    """A merged vocabulary: its texts, the new number of each input's words, and how much each has.

    Word w has `postings[w]` kept documents and takes `positions[w]` numbers of `positions`.
    """

    words: Blob
    targets: list[U32]
    postings: I64
    positions: I64


def merge_segments(sources: Sequence[Source], schema: Schema, path: Path) -> int:
    """Write the file of one segment and return its size in bytes; raises `OSError`.

    A second thread merges the postings of forms, which are about half of the work.
    """
    renumbered = _renumber(sources)
    segments = [source.segment for source in sources]
    files = [source.arrays for source in sources]
    words = [segment.words for segment in segments]
    form_inputs = [
        _Input(each.forms, each.form_postings, numbers, file)
        for each, numbers, file in zip(words, renumbered, files, strict=True)
    ]
    stem_inputs = [
        _Input(each.stems, each.stem_postings, numbers, file)
        for each, numbers, file in zip(words, renumbered, files, strict=True)
    ]
    with ArrayFile(path) as file, ThreadPoolExecutor(1, "search-forms") as second:
        merging = second.submit(_merge_words, file, "form", form_inputs)
        for name, array in _document_arrays(sources, schema):
            file.write(name, array)
            for source in sources:
                source.arrays.release()
        for name in _TEXTS:
            _write_texts(file, name, sources)
        forms = merging.result()  # one vocabulary is enough to hold at a time
        stems = _merge_words(file, "stem", stem_inputs)
        file.write("stem_of", _stem_of(forms, stems, [each.stem_of for each in words]))
        return file.close()


def _renumber(sources: Sequence[Source]) -> list[U32]:
    renumbered = []
    base = 0
    for source in sources:
        numbers = np.cumsum(source.kept, dtype=np.int64) + (base - 1)
        renumbered.append(np.where(source.kept, numbers, _NONE).astype(np.uint32))
        base += int(source.kept.sum())
    return renumbered


def _merge_words(file: ArrayFile, name: str, inputs: Sequence[_Input]) -> _Merged:
    """Write words and their postings, and return the words."""
    merged = _merged(inputs)
    file.write(f"{name}s.offsets", merged.words.offsets)
    file.write(f"{name}s.bytes", merged.words.bytes)
    _write_postings(file, f"{name}_postings", merged, inputs)
    return merged


def _merged(inputs: Sequence[_Input]) -> _Merged:
    # One array of all words, because compiled code takes no list of arrays.
    blobs = [each.words for each in inputs]
    shifts = np.cumsum([0, *(len(blob.bytes) for blob in blobs)], dtype=np.uint64)
    offsets = np.concatenate(
        [blob.offsets[:-1] + shift for blob, shift in zip(blobs, shifts, strict=False)]
        + [shifts[-1:]]
    )
    texts = np.concatenate([blob.bytes for blob in blobs])
    bounds = np.cumsum([0, *map(len, blobs)])
    targets = np.empty(bounds[-1], np.uint32)
    firsts = np.empty(bounds[-1], np.uint32)  # an input's word for each merged word
    heads = bounds[:-1].copy()
    count = _merge_sorted(offsets, texts, heads, bounds[1:].copy(), targets, firsts)
    counts, positions = np.zeros(count, np.int64), np.zeros(count, np.int64)
    parts = [targets[start:end] for start, end in pairwise(bounds)]
    for each, target in zip(inputs, parts, strict=True):
        _count_kept(*_numbers(each), target, counts, positions)
        each.file.release()
    kept = counts > 0
    new = np.where(kept, np.cumsum(kept) - 1, _NONE).astype(np.uint32)
    for part in parts:
        part[:] = new[part]
    words = chosen_texts(Blob(offsets, texts), firsts[:count][kept])
    return _Merged(words, parts, counts[kept], positions[kept])


def _numbers(each: _Input) -> tuple[U64, U32, U8, U32, U32, U32]:
    postings = each.postings
    return (
        postings.offsets,
        postings.documents,
        postings.frequencies,
        postings.places,
        postings.positions,
        each.renumbered,
    )


def _stem_of(forms: _Merged, stems: _Merged, stem_of: Sequence[U32]) -> U32:
    merged = np.empty(len(forms.words), np.uint32)
    for form, stem, old in zip(forms.targets, stems.targets, stem_of, strict=True):
        kept = form != _NONE
        merged[form[kept]] = stem[old[kept]]
    return merged


def _document_arrays(sources: Sequence[Source], schema: Schema) -> Iterator[tuple[str, Array]]:
    segments = [source.segment for source in sources]
    kept = [source.kept for source in sources]
    lengths = [segment.lengths for segment in segments]
    yield "lengths", _joined(lengths, kept)
    yield "live", np.ones(sum(int(flags.sum()) for flags in kept), np.uint8)
    yield "access", _joined([each.access for each in segments], kept).astype(schema.access_type())
    hashes = np.concatenate([_hashes(source) for source in sources])
    order = np.argsort(hashes, kind="stable")
    yield "id_hashes", hashes[order]
    yield "id_documents", order.astype(np.uint32)
    del hashes, order
    for name in dict.fromkeys(name for segment in segments for name in segment.columns):
        columns = [segment.columns.get(name) for segment in segments]
        yield from _merge_columns(name, columns, kept, schema).items()


def _joined(arrays: Sequence[Array], kept: Sequence[_Flags]) -> Array:
    return np.concatenate([array[flags] for array, flags in zip(arrays, kept, strict=True)])


def _hashes(source: Source) -> U64:
    hashes = np.empty(len(source.kept), np.uint64)
    hashes[source.arrays["id_documents"]] = source.arrays["id_hashes"]
    return hashes[source.kept]


def _merge_columns(
    name: str,
    columns: Sequence[Column | None],
    kept: Sequence[_Flags],
    schema: Schema,
) -> dict[str, Array]:
    kind = schema.types[name]
    if kind is AttributeType.STRING:
        codes = [
            column.codes[live] if isinstance(column, StringColumn) else _zeros(live)
            for column, live in zip(columns, kept, strict=True)
        ]
        return {f"codes:{name}": np.concatenate(codes).astype(schema.code_type(name))}
    if kind is AttributeType.STRING_LIST:
        lengths, elements = [], []
        for column, live in zip(columns, kept, strict=True):
            if isinstance(column, ListColumn):
                every = np.diff(column.offsets)
                lengths.append(every[live])
                elements.append(column.codes[np.repeat(live, every.astype(np.int64))])
            else:
                lengths.append(_zeros(live).astype(np.uint64))
        return {
            f"list_offsets:{name}": offsets_of(np.concatenate(lengths)),
            f"list_codes:{name}": np.concatenate(elements).astype(schema.code_type(name)),
        }
    numbers, present = [], []
    for column, live in zip(columns, kept, strict=True):
        if isinstance(column, NumberColumn):
            numbers.append(column.values[live])
            present.append(column.present[live])
        else:
            numbers.append(_zeros(live).astype(np.int64))
            present.append(_zeros(live))
    return {f"numbers:{name}": np.concatenate(numbers), f"present:{name}": np.concatenate(present)}


def _zeros(live: npt.NDArray[np.bool_]) -> U8:
    return np.zeros(int(live.sum()), np.uint8)


def _write_postings(file: ArrayFile, name: str, merged: _Merged, inputs: Sequence[_Input]) -> None:
    with_positions = any(len(each.postings.places) for each in inputs)
    first_posting, first_position = offsets_of(merged.postings), offsets_of(merged.positions)
    count = int(first_posting[-1])
    file.write(f"{name}.offsets", first_posting)
    file.reserve(f"{name}.documents", np.uint32, count)
    file.reserve(f"{name}.frequencies", np.uint8, count)
    file.reserve(f"{name}.places", np.uint32, count if with_positions else 0)
    file.reserve(f"{name}.positions", np.uint32, int(first_position[-1]))
    heads = [0 for _ in inputs]  # the next word of each
    for start, end in _chunks(merged.postings, _CHUNK_POSTINGS):
        base, position_base = int(first_posting[start]), int(first_position[start])
        cursors = (first_posting[start:end] - first_posting[start]).astype(np.int64)
        rooms = (first_position[start:end] - first_position[start]).astype(np.int64)
        documents = np.empty(int(first_posting[end]) - base, np.uint32)
        frequencies = np.empty(len(documents), np.uint8)
        places = np.empty(len(documents) if with_positions else 0, np.uint32)
        positions = np.empty(int(first_position[end]) - position_base, np.uint32)
        for i, (each, targets) in enumerate(zip(inputs, merged.targets, strict=True)):
            heads[i] = _copy_postings(
                heads[i],
                start,
                end,
                targets,
                *_numbers(each),
                cursors,
                rooms,
                position_base,
                documents,
                frequencies,
                places,
                positions,
            )
            each.file.release()
        file.append(f"{name}.documents", documents)
        file.append(f"{name}.frequencies", frequencies)
        file.append(f"{name}.places", places)
        file.append(f"{name}.positions", positions)


def _chunks(sizes: npt.NDArray[Any], limit: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of items whose sizes sum up to at most `limit`, or of one larger item."""
    sums = offsets_of(sizes)
    start = 0
    while start < len(sizes):
        end = int(np.searchsorted(sums, sums[start] + np.uint64(limit), "right")) - 1
        end = max(end, start + 1)
        yield start, end
        start = end


def _write_texts(file: ArrayFile, name: str, sources: Sequence[Source]) -> None:
    blobs = [getattr(source.segment, name) for source in sources]
    lengths = [np.diff(blob.offsets) for blob in blobs]
    offsets = offsets_of(_joined(lengths, [source.kept for source in sources]))
    file.write(f"{name}.offsets", offsets)
    file.reserve(f"{name}.bytes", np.uint8, int(offsets[-1]))
    for blob, source in zip(blobs, sources, strict=True):
        kept = np.flatnonzero(source.kept)
        for start, end in _chunks(np.diff(blob.offsets)[kept], _CHUNK_BYTES):
            file.append(f"{name}.bytes", chosen_texts(blob, kept[start:end]).bytes)
            source.arrays.release()


@kernel(INT(RU64, RU8, WI64, RI64, WU32, WU32))
def _merge_sorted(  # noqa: PLR0913, PLR0917 - compiled code knows no objects
    offsets: U64, texts: U8, heads: I64, ends: I64, targets: U32, firsts: U32
) -> int:
    """Give numbers to the different texts of sorted runs in order; return how many there are.

    Run i is what is left of texts `[heads[i], ends[i])`.
    """
    count = 0
    while True:
        least = np.int64(-1)
        for run in range(len(heads)):
            if heads[run] == ends[run]:
                continue
            if least < 0 or compare_texts(offsets, texts, heads[run], least) < 0:
                least = heads[run]
        if least < 0:
            return count
        firsts[count] = least
        for run in range(len(heads)):
            head = heads[run]
            if head < ends[run] and compare_texts(offsets, texts, head, least) == 0:
                targets[head] = count
                heads[run] = head + 1
        count += 1


@kernel(VOID(RU64, RU32, RU8, RU32, RU32, RU32, RU32, WI64, WI64))
def _count_kept(  # noqa: PLR0913, PLR0917 - compiled code knows no objects
    offsets: U64,
    documents: U32,
    frequencies: U8,
    places: U32,
    positions: U32,
    renumbered: U32,
    targets: U32,
    postings: I64,
    sizes: I64,
) -> None:
    """Add to each target how many kept postings it has and how many numbers in `positions`."""
    with_positions = len(places) > 0
    for word in range(len(targets)):
        target = targets[word]
        for posting in range(np.int64(offsets[word]), np.int64(offsets[word + 1])):
            if renumbered[documents[posting]] != _NONE:
                postings[target] += 1
                if with_positions and frequencies[posting] > 1:
                    sizes[target] += 1 + np.int64(positions[places[posting]])


_SOURCE = (RU64, RU32, RU8, RU32, RU32, RU32)


@kernel(INT(INT, INT, INT, RU32, *_SOURCE, WI64, WI64, INT, WU32, WU8, WU32, WU32))
def _copy_postings(  # noqa: PLR0913, PLR0917 - compiled code knows no objects
    word: int,
    start: int,
    end: int,
    targets: U32,
    offsets: U64,
    documents: U32,
    frequencies: U8,
    places: U32,
    positions: U32,
    renumbered: U32,
    cursors: I64,
    rooms: I64,
    position_base: int,
    out_documents: U32,
    out_frequencies: U8,
    out_places: U32,
    out_positions: U32,
) -> int:
    """Append an input's kept postings behind those of the inputs before it; return the next word.

    Copies words from `word` on whose targets lie in `[start, end)`. `out_positions` are those from
    number `position_base` on.
    """
    with_positions = len(places) > 0
    while word < len(targets) and (targets[word] < end or targets[word] == _NONE):
        if targets[word] == _NONE:
            word += 1
            continue
        target = targets[word] - start
        cursor, room = cursors[target], rooms[target]
        for posting in range(np.int64(offsets[word]), np.int64(offsets[word + 1])):
            document = renumbered[documents[posting]]
            if document == _NONE:
                continue
            out_documents[cursor] = document
            out_frequencies[cursor] = frequencies[posting]
            if with_positions:
                place = np.int64(places[posting])
                out_places[cursor] = place
                if frequencies[posting] > 1:
                    out_places[cursor] = room + position_base
                    for number in range(place, place + 1 + np.int64(positions[place])):
                        out_positions[room] = positions[number]
                        room += 1
            cursor += 1
        cursors[target], rooms[target] = cursor, room
        word += 1
    return word
