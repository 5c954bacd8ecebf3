"""Texts one after another in UTF-8: made, compared, copied, and found again by their hashes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

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
    WU64,
    Int,
    inlined,
    kernel,
)
from lib.search.segment import Blob

_HASH_OFFSET = np.uint64(0xCBF29CE484222325)  # FNV-1a, then mixed
_HASH_PRIME = np.uint64(0x100000001B3)
_HASH_MIX = np.uint64(0x9E3779B97F4A7C15)


def encoded(text: str) -> bytes:
    """Return a text in UTF-8; half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace")


def blob_of(texts: Iterable[str]) -> Blob:
    """Return texts one after another in UTF-8."""
    return joined([encoded(text) for text in texts])


def joined(pieces: Sequence[bytes]) -> Blob:
    """Return texts that are in UTF-8 already one after another."""
    lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
    return Blob(offsets_of(lengths), np.frombuffer(b"".join(pieces), np.uint8))


def chosen_texts(blob: Blob, chosen: U32 | I64) -> Blob:
    """Return some of the texts, in the order in which they are chosen."""
    offsets = offsets_of(np.diff(blob.offsets)[chosen])
    out = np.empty(int(offsets[-1]), np.uint8)
    copy_texts(blob.offsets, blob.bytes, chosen.astype(np.int64), out)
    return Blob(offsets, out)


def offsets_of(lengths: I64 | U32 | U64) -> U64:
    """Return where each of so many neighbours begins, and where the last one ends."""
    offsets = np.zeros(len(lengths) + 1, np.uint64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def hash_ids(ids: Blob) -> tuple[U64, U32]:
    """Return the hashes of ids in ascending order, and the number of the document of each."""
    hashes = np.empty(len(ids), np.uint64)
    _hash_texts(ids.offsets, ids.bytes, hashes)
    order = np.argsort(hashes, kind="stable")
    return hashes[order], order.astype(np.uint32)


@kernel(VOID(RU64, RU8, RI64, WU8))
def copy_texts(offsets: U64, texts: U8, chosen: I64, out: U8) -> None:
    """Fill in the chosen texts one after another."""
    place = 0
    for index in chosen:
        for i in range(np.int64(offsets[index]), np.int64(offsets[index + 1])):
            out[place] = texts[i]
            place += 1


@inlined
def compare_texts(offsets: U64, texts: U8, left: Int, right: Int) -> Int:
    """Return a number below, equal to or above 0 as one text's bytes come before another's."""
    start, other = np.int64(offsets[left]), np.int64(offsets[right])
    size = np.int64(offsets[left + 1]) - start
    other_size = np.int64(offsets[right + 1]) - other
    for i in range(min(size, other_size)):
        if texts[start + i] != texts[other + i]:
            return np.int64(texts[start + i]) - np.int64(texts[other + i])
    return size - other_size


@kernel(VOID(RU64, RU8, RU32, RU32, WI64))
def find_places(offsets: U64, texts: U8, order: U32, wanted: U32, places: I64) -> None:
    """Fill in where each wanted text belongs among those that `order` has sorted."""
    for i in range(len(wanted)):
        low, high = 0, len(order)
        while low < high:
            middle = (low + high) >> 1
            if compare_texts(offsets, texts, order[middle], wanted[i]) < 0:
                low = middle + 1
            else:
                high = middle
        places[i] = low


@kernel(VOID(RU64, RU8, WU64))
def _hash_texts(offsets: U64, texts: U8, hashes: U64) -> None:
    for text in range(len(hashes)):
        spread = _HASH_OFFSET
        for i in range(np.int64(offsets[text]), np.int64(offsets[text + 1])):
            spread = (spread ^ np.uint64(texts[i])) * _HASH_PRIME
        hashes[text] = (spread ^ (spread >> np.uint64(32))) * _HASH_MIX


@kernel(INT(RU64, RU32, RU64, RU8, RU64, RU32, RU64, RU8, WU8))
def mark_dead(  # noqa: PLR0913, PLR0917 - compiled code knows no objects
    wanted_hashes: U64,
    wanted_documents: U32,
    wanted_offsets: U64,
    wanted_bytes: U8,
    hashes: U64,
    documents: U32,
    offsets: U64,
    texts: U8,
    live: U8,
) -> int:
    """Clear `live` of the documents with one of the wanted ids; return how many were live.

    Both sides are hashes in ascending order, the document of each, and the ids.
    """
    dead, low = 0, 0
    for i in range(len(wanted_hashes)):
        wanted = wanted_hashes[i]
        step = 1  # doubled, as the next one is near: both sides ascend
        while low + step < len(hashes) and hashes[low + step] < wanted:
            low += step
            step <<= 1
        high = min(low + step, len(hashes))
        while low < high:
            middle = (low + high) >> 1
            if hashes[middle] < wanted:
                low = middle + 1
            else:
                high = middle
        start = np.int64(wanted_offsets[wanted_documents[i]])
        size = np.int64(wanted_offsets[wanted_documents[i] + 1]) - start
        place = low
        while place < len(hashes) and hashes[place] == wanted:
            document = documents[place]
            begin = np.int64(offsets[document])
            same = np.int64(offsets[document + 1]) - begin == size
            letter = 0
            while same and letter < size:
                same = texts[begin + letter] == wanted_bytes[start + letter]
                letter += 1
            if same and live[document] != 0:
                live[document] = 0
                dead += 1
            place += 1
    return dead
