"""From several segments to one, without the dead documents and without analysing text again.

Documents keep their order, segment after segment, and are numbered anew. Everything is streamed
to the file in chunks, so memory stays bounded by the vocabulary and a few numbers a document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.search.builder import Schema
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
    WU64,
    kernel,
)
from lib.search.files import Array, ArrayFile
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
_CHUNK_POSTINGS = 1 << 22
_CHUNK_BYTES = 1 << 26
_TEXTS = ("ids", "titles", "texts", "uris")


@dataclass(frozen=True)
class Source:
    """A segment to merge, and the hash of the id of each of its documents."""

    segment: Segment
    hashes: U64

    @property
    def live(self) -> npt.NDArray[np.bool_]:
        """Return which documents are kept."""
        return self.segment.live.astype(np.bool_)


@dataclass(frozen=True)
class _Merged:
    """A merged vocabulary: its texts, the new number of each source's words, and how much each has.

    Word w has `postings[w]` live documents and `positions[w]` positions in them.
    """

    words: Blob
    targets: list[U32]
    postings: I64
    positions: I64


def merge_segments(sources: Sequence[Source], schema: Schema, path: Path) -> int:
    """Write the file of one segment and return its size in bytes; raises `OSError`."""
    renumbered = _renumber(sources)
    words = [source.segment.words for source in sources]
    form_postings = [each.form_postings for each in words]
    stem_postings = [each.stem_postings for each in words]
    forms = _merge_words([each.forms for each in words], form_postings, renumbered)
    stems = _merge_words([each.stems for each in words], stem_postings, renumbered)
    small = {
        **_word_arrays(forms, stems, [each.stem_of for each in words]),
        **_document_arrays(sources, schema),
    }
    layout: dict[str, tuple[npt.DTypeLike, int]]
    layout = {name: (array.dtype, len(array)) for name, array in small.items()}
    for name, merged in (("form_postings", forms), ("stem_postings", stems)):
        layout |= _posting_layout(name, merged, with_positions=merged is forms)
    texts = {name: [getattr(source.segment, name) for source in sources] for name in _TEXTS}
    for name in _TEXTS:
        layout[f"{name}.bytes"] = (np.uint8, int(small[f"{name}.offsets"][-1]))
    with ArrayFile(path, layout) as file:
        for name, array in small.items():
            file.append(name, array)
        _write_postings(file, "form_postings", forms, form_postings, renumbered)
        _write_postings(file, "stem_postings", stems, stem_postings, renumbered)
        for name, blobs in texts.items():
            for blob, source in zip(blobs, sources, strict=True):
                for chunk in _kept_bytes(blob, np.flatnonzero(source.live)):
                    file.append(f"{name}.bytes", chunk)
        return file.close()


def _renumber(sources: Sequence[Source]) -> list[U32]:
    renumbered = []
    base = 0
    for source in sources:
        live = source.live
        numbers = np.cumsum(live, dtype=np.int64) + (base - 1)
        renumbered.append(np.where(live, numbers, _NONE).astype(np.uint32))
        base += int(live.sum())
    return renumbered


def _merge_words(
    blobs: Sequence[Blob], postings: Sequence[Postings], renumbered: Sequence[U32]
) -> _Merged:
    # One array of all words, because compiled code takes no list of arrays.
    sizes = [0, *(len(blob.bytes) for blob in blobs)]
    shifts = np.cumsum(sizes, dtype=np.uint64)
    offsets = np.concatenate(
        [blob.offsets[:-1] + shift for blob, shift in zip(blobs, shifts, strict=False)]
        + [shifts[-1:]]
    )
    texts = np.concatenate([blob.bytes for blob in blobs])
    bounds = np.cumsum([0, *map(len, blobs)])
    targets = np.empty(bounds[-1], np.uint32)
    firsts = np.empty(bounds[-1], np.int64)  # a source's word for each merged word
    heads = bounds[:-1].copy()
    count = _merge_sorted(offsets, texts, heads, bounds[1:].copy(), targets, firsts)
    counts, positions = np.zeros(count, np.int64), np.zeros(count, np.int64)
    parts = [targets[start:end] for start, end in pairwise(bounds)]
    for each, target, numbers in zip(postings, parts, renumbered, strict=True):
        _count_live(
            each.offsets,
            each.documents,
            each.position_offsets,
            numbers,
            target,
            counts,
            positions,
        )
    kept = counts > 0
    new = np.where(kept, np.cumsum(kept) - 1, _NONE).astype(np.uint32)
    chosen = firsts[:count][kept]
    lengths = np.diff(offsets)[chosen]
    out_offsets = np.zeros(len(chosen) + 1, np.uint64)
    np.cumsum(lengths, out=out_offsets[1:])
    out = np.empty(int(out_offsets[-1]), np.uint8)
    _copy_texts(offsets, texts, chosen, out)
    return _Merged(
        Blob(out_offsets, out), [new[part] for part in parts], counts[kept], positions[kept]
    )


def _word_arrays(forms: _Merged, stems: _Merged, stem_of: Sequence[U32]) -> dict[str, Array]:
    merged_stem_of = np.empty(len(forms.words), np.uint32)
    for form_target, stem_target, old in zip(forms.targets, stems.targets, stem_of, strict=True):
        kept = form_target != _NONE
        merged_stem_of[form_target[kept]] = stem_target[old[kept]]
    return {
        "forms.offsets": forms.words.offsets,
        "forms.bytes": forms.words.bytes,
        "stems.offsets": stems.words.offsets,
        "stems.bytes": stems.words.bytes,
        "stem_of": merged_stem_of,
        "form_postings.offsets": _offsets(forms.postings),
        "stem_postings.offsets": _offsets(stems.postings),
    }


def _document_arrays(sources: Sequence[Source], schema: Schema) -> dict[str, Array]:
    hashes = np.concatenate([source.hashes[source.live] for source in sources])
    order = np.argsort(hashes, kind="stable")
    access = [source.segment.access[source.live] for source in sources]
    arrays: dict[str, Array] = {
        "lengths": np.concatenate([source.segment.lengths[source.live] for source in sources]),
        "live": np.ones(len(hashes), np.uint8),
        "access": np.concatenate(access).astype(schema.access_type()),
        "id_hashes": hashes[order],
        "id_documents": order.astype(np.uint32),
    }
    for name in dict.fromkeys(name for source in sources for name in source.segment.columns):
        columns = [source.segment.columns.get(name) for source in sources]
        arrays |= _merge_columns(name, columns, [source.live for source in sources], schema)
    for name in _TEXTS:
        arrays[f"{name}.offsets"] = _offsets(
            np.concatenate(
                [np.diff(getattr(source.segment, name).offsets)[source.live] for source in sources]
            )
        )
    return arrays


def _merge_columns(
    name: str,
    columns: Sequence[Column | None],
    lives: Sequence[npt.NDArray[np.bool_]],
    schema: Schema,
) -> dict[str, Array]:
    kind = schema.types[name]
    if kind is AttributeType.STRING:
        codes = [
            column.codes[live] if isinstance(column, StringColumn) else _zeros(live)
            for column, live in zip(columns, lives, strict=True)
        ]
        return {f"codes:{name}": np.concatenate(codes).astype(schema.code_type(name))}
    if kind is AttributeType.STRING_LIST:
        lengths, elements = [], []
        for column, live in zip(columns, lives, strict=True):
            if isinstance(column, ListColumn):
                every = np.diff(column.offsets)
                lengths.append(every[live])
                elements.append(column.codes[np.repeat(live, every.astype(np.int64))])
            else:
                lengths.append(_zeros(live).astype(np.uint64))
        return {
            f"list_offsets:{name}": _offsets(np.concatenate(lengths)),
            f"list_codes:{name}": np.concatenate(elements).astype(schema.code_type(name)),
        }
    numbers, present = [], []
    for column, live in zip(columns, lives, strict=True):
        if isinstance(column, NumberColumn):
            numbers.append(column.values[live])
            present.append(column.present[live])
        else:
            numbers.append(_zeros(live).astype(np.int64))
            present.append(_zeros(live))
    return {f"numbers:{name}": np.concatenate(numbers), f"present:{name}": np.concatenate(present)}


def _zeros(live: npt.NDArray[np.bool_]) -> U8:
    return np.zeros(int(live.sum()), np.uint8)


def _offsets(counts: npt.NDArray[Any]) -> U64:
    offsets = np.zeros(len(counts) + 1, np.uint64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def _posting_layout(
    name: str, merged: _Merged, *, with_positions: bool
) -> dict[str, tuple[npt.DTypeLike, int]]:
    postings, positions = int(merged.postings.sum()), int(merged.positions.sum())
    return {
        f"{name}.documents": (np.uint32, postings),
        f"{name}.frequencies": (np.uint8, postings),
        f"{name}.position_offsets": (np.uint64, postings + 1 if with_positions else 0),
        f"{name}.positions": (np.uint32, positions),
    }


def _write_postings(
    file: ArrayFile,
    name: str,
    merged: _Merged,
    postings: Sequence[Postings],
    renumbered: Sequence[U32],
) -> None:
    with_positions = any(len(each.position_offsets) for each in postings)
    first_posting, first_position = _offsets(merged.postings), _offsets(merged.positions)
    kept = [np.flatnonzero(target != _NONE) for target in merged.targets]
    targets = [target[words] for target, words in zip(merged.targets, kept, strict=True)]
    for start, end in _chunks(merged.postings, _CHUNK_POSTINGS):
        base, position_base = int(first_posting[start]), int(first_position[start])
        cursors = (first_posting[start:end] - first_posting[start]).astype(np.int64)
        places = (first_position[start:end] - first_position[start]).astype(np.int64)
        documents = np.empty(int(first_posting[end]) - base, np.uint32)
        frequencies = np.empty(len(documents), np.uint8)
        position_offsets = np.empty(len(documents) if with_positions else 0, np.uint64)
        positions = np.empty(int(first_position[end]) - position_base, np.uint32)
        for each, words, target, numbers in zip(postings, kept, targets, renumbered, strict=True):
            low, high = np.searchsorted(target, [start, end])
            _copy_postings(
                words[low:high],
                target[low:high] - np.uint32(start),
                each.offsets,
                each.documents,
                each.frequencies,
                each.position_offsets,
                each.positions,
                numbers,
                cursors,
                places,
                documents,
                frequencies,
                position_offsets,
                positions,
            )
        file.append(f"{name}.documents", documents)
        file.append(f"{name}.frequencies", frequencies)
        file.append(f"{name}.position_offsets", position_offsets + np.uint64(position_base))
        file.append(f"{name}.positions", positions)
    if with_positions:
        file.append(f"{name}.position_offsets", first_position[-1:])


def _chunks(sizes: npt.NDArray[Any], limit: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of items whose sizes sum up to at most `limit`, or of one larger item."""
    sums = _offsets(sizes)
    start = 0
    while start < len(sizes):
        end = int(np.searchsorted(sums, sums[start] + np.uint64(limit), "right")) - 1
        end = max(end, start + 1)
        yield start, end
        start = end


def _kept_bytes(blob: Blob, documents: npt.NDArray[np.int64]) -> Iterator[U8]:
    if len(documents) == len(blob):
        yield blob.bytes
        return
    lengths = np.diff(blob.offsets)[documents]
    for start, end in _chunks(lengths, _CHUNK_BYTES):
        out = np.empty(int(lengths[start:end].sum()), np.uint8)
        _copy_texts(blob.offsets, blob.bytes, documents[start:end], out)
        yield out


@kernel(INT(RU64, RU8, INT, INT))
def _compare(offsets: U64, texts: U8, left: np.int64, right: np.int64) -> np.int64:
    start, other = np.int64(offsets[left]), np.int64(offsets[right])
    size = np.int64(offsets[left + 1]) - start
    other_size = np.int64(offsets[right + 1]) - other
    for i in range(min(size, other_size)):
        if texts[start + i] != texts[other + i]:
            return np.int64(texts[start + i]) - np.int64(texts[other + i])
    return size - other_size


@kernel(INT(RU64, RU8, WI64, RI64, WU32, WI64))
def _merge_sorted(  # noqa: PLR0913, PLR0917 - compiled code knows no objects
    offsets: U64, texts: U8, heads: I64, ends: I64, targets: U32, firsts: I64
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
            if least < 0 or _compare(offsets, texts, heads[run], least) < 0:
                least = heads[run]
        if least < 0:
            return count
        firsts[count] = least
        for run in range(len(heads)):
            head = heads[run]
            if head < ends[run] and _compare(offsets, texts, head, least) == 0:
                targets[head] = count
                heads[run] = head + 1
        count += 1


@kernel(VOID(RU64, RU32, RU64, RU32, RU32, WI64, WI64))
def _count_live(  # noqa: PLR0913, PLR0917 - compiled code knows no objects
    offsets: U64,
    documents: U32,
    position_offsets: U64,
    renumbered: U32,
    targets: U32,
    postings: I64,
    positions: I64,
) -> None:
    with_positions = len(position_offsets) > 0
    for word in range(len(targets)):
        target = targets[word]
        for posting in range(np.int64(offsets[word]), np.int64(offsets[word + 1])):
            if renumbered[documents[posting]] != _NONE:
                postings[target] += 1
                if with_positions:
                    positions[target] += np.int64(
                        position_offsets[posting + 1] - position_offsets[posting]
                    )


_SOURCE = (RU64, RU32, RU8, RU64, RU32, RU32)


@kernel(VOID(RI64, RU32, *_SOURCE, WI64, WI64, WU32, WU8, WU64, WU32))
def _copy_postings(  # noqa: PLR0913, PLR0917 - compiled code knows no objects
    words: I64,
    targets: U32,
    offsets: U64,
    documents: U32,
    frequencies: U8,
    position_offsets: U64,
    positions: U32,
    renumbered: U32,
    cursors: I64,
    places: I64,
    out_documents: U32,
    out_frequencies: U8,
    out_position_offsets: U64,
    out_positions: U32,
) -> None:
    """Append a source's live postings of some words behind those of the sources before it."""
    with_positions = len(position_offsets) > 0
    for i in range(len(words)):
        word, target = words[i], targets[i]
        cursor, place = cursors[target], places[target]
        for posting in range(np.int64(offsets[word]), np.int64(offsets[word + 1])):
            document = renumbered[documents[posting]]
            if document == _NONE:
                continue
            out_documents[cursor] = document
            out_frequencies[cursor] = frequencies[posting]
            if with_positions:
                out_position_offsets[cursor] = place
                start = np.int64(position_offsets[posting])
                for position in range(start, np.int64(position_offsets[posting + 1])):
                    out_positions[place] = positions[position]
                    place += 1
            cursor += 1
        cursors[target], places[target] = cursor, place


@kernel(VOID(RU64, RU8, RI64, WU8))
def _copy_texts(offsets: U64, texts: U8, chosen: I64, out: U8) -> None:
    place = 0
    for index in chosen:
        for i in range(np.int64(offsets[index]), np.int64(offsets[index + 1])):
            out[place] = texts[i]
            place += 1
