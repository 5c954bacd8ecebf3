"""Compiled loops over a segment's columns; every one releases the GIL.

Inputs are read-only arrays and outputs writable ones: the signatures are fixed so that everything
is compiled when this module is first imported and loaded from the cache afterwards, and nothing is
compiled in a query. `docs` are document numbers, each once; where they have to ascend it says so.
"""
# ruff: noqa: C901, PLR0912, PLR0913, PLR0917 - compiled code knows no objects and no closures

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.cpython.unsafe.numbers import trailing_zeros
from numba.extending import intrinsic

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
from lib.search.segment import Codes

F64 = npt.NDArray[np.float64]

RU16 = types.Array(types.uint16, 1, "C", readonly=True)
RF64 = types.Array(types.float64, 1, "C", readonly=True)
WF64 = types.float64[::1]
WI64_2 = types.int64[:, ::1]
BYTES = types.Bytes(types.uint8, 1, "C", readonly=True)
REAL = types.float64

_CODES = (RU8, RU16, RU32)
EXTRACT_SLACK = 4

_COUNT_LANES = 4
_SMALL_TABLE = 1 << 12
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_HASH = np.uint64(0x9E3779B97F4A7C15)
_ONE_EDIT_LETTERS = 2
_CONTINUATION = 0x80
_CONTINUATION_MASK = 0xC0
_FREQUENCY_CAP = 255


# ---------------------------------------------------------------------------- machine words


def _element(kind: Any) -> Callable[[int, int], int]:
    # Element of an array by the array's address: handing arrays from one compiled function to
    # another counts references, which takes longer than what the loops do.
    def typed(_context: Any, address: Any, place: Any) -> Any:  # noqa: ARG001 - numba calls it so
        return kind(types.int64, types.int64), load

    def load(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        start = builder.inttoptr(arguments[0], ir.IntType(kind.bitwidth).as_pointer())
        return builder.load(builder.gep(start, [arguments[1]]))

    return cast("Callable[[int, int], int]", intrinsic(typed))


def _population(_context: Any, word: Any) -> Any:  # noqa: ARG001 - numba calls it so
    def count(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), count


_document, _frequency = _element(types.uint32), _element(types.uint8)
_ones = cast("Callable[[Any], int]", intrinsic(_population))
_trailing_zeros = cast("Callable[[Any], int]", trailing_zeros)
_signed = cast("Callable[[Any], int]", np.int64)


# ---------------------------------------------------------------------------- vocabulary


@kernel(INT(RU64, RU8, INT, BYTES))
def _compare(offsets: U64, texts: U8, index: int, word: bytes) -> int:
    start, end = _signed(offsets[index]), _signed(offsets[index + 1])
    shared = min(end - start, len(word))
    for i in range(shared):
        if texts[start + i] != word[i]:
            return 1 if texts[start + i] > word[i] else -1
    return (end - start) - len(word)


@kernel(INT(RU64, RU8, BYTES))
def lower_bound(offsets: U64, texts: U8, word: bytes) -> int:
    """Return the number of the first text, in byte order, that is not below the word."""
    low, high = 0, len(offsets) - 1
    while low < high:
        middle = (low + high) >> 1
        if _compare(offsets, texts, middle, word) < 0:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(INT(RU64, RU8, BYTES))
def find_sorted(offsets: U64, texts: U8, word: bytes) -> int:
    """Return the number of the word in sorted texts, or -1."""
    found = lower_bound(offsets, texts, word)
    if found < len(offsets) - 1 and _compare(offsets, texts, found, word) == 0:
        return found
    return -1


@kernel(INT(RU8, INT, INT))
def _letters(texts: U8, start: int, end: int) -> int:
    letters = 0
    for i in range(start, end):
        if texts[i] & _CONTINUATION_MASK != _CONTINUATION:
            letters += 1
    return letters


@kernel(INT(RU64, RU8, RU8, WU32))
def nearly_equal(offsets: U64, texts: U8, word: U8, out: U32) -> int:
    """Fill in the texts that may be one edit away (a superset) and return how many."""
    found = 0
    for index in range(len(offsets) - 1):
        start, end = _signed(offsets[index]), _signed(offsets[index + 1])
        left, size = 0, len(word)
        while start + left < end and left < size and texts[start + left] == word[left]:
            left += 1
        while end > start + left and size > left and texts[end - 1] == word[size - 1]:
            end -= 1
            size -= 1
        if (
            _letters(texts, start + left, end) <= _ONE_EDIT_LETTERS
            and _letters(word, left, size) <= _ONE_EDIT_LETTERS
        ):
            out[found] = index
            found += 1
    return found


# ---------------------------------------------------------------------------- matching


@kernel(VOID(WU64, RU32))
def mark(bits: U64, docs: U32) -> None:
    """Set the bits of documents in any order."""
    for doc in docs:
        bits[doc >> 6] |= np.uint64(1) << np.uint64(doc & 63)


@kernel(VOID(WU64, RU32))
def unmark(bits: U64, docs: U32) -> None:
    """Clear the words of the bits of the documents."""
    for doc in docs:
        bits[doc >> 6] = np.uint64(0)


@kernel(INT(WU64, WU32))
def extract(bits: U64, out: U32) -> int:
    """Fill in the documents whose bits are set, clear the bits, and return how many.

    Writes four at a time whether there are as many or not, as branches on the number of bits in
    a word are guessed wrongly too often: `out` needs room for `EXTRACT_SLACK` more.
    """
    found = _signed(0)
    for word in range(len(bits)):
        rest = bits[word]
        if rest == 0:
            continue
        bits[word] = 0
        base = word << 6
        after = found + _signed(_ones(rest))
        while True:
            for i in range(EXTRACT_SLACK):
                out[found + i] = base + _signed(_trailing_zeros(rest))
                rest &= rest - np.uint64(1)
            found += EXTRACT_SLACK
            if found >= after:
                break
        found = after
    return found


@kernel(INT(WU64, RU32, WU32, INT))
def append_new(bits: U64, docs: U32, out: U32, found: int) -> int:
    """Append the documents whose bits are not set yet, set them, and return how many there are."""
    for doc in docs:
        word, bit = doc >> 6, np.uint64(1) << np.uint64(doc & 63)
        held = bits[word]
        out[found] = doc
        found += _signed(held & bit == 0)
        bits[word] = held | bit
    return found


@kernel(INT(WU64, RU32, WU32, INT))
def append_others(bits: U64, docs: U32, out: U32, found: int) -> int:
    """Append the documents whose bits are not set and return how many there are."""
    for doc in docs:
        out[found] = doc
        found += _signed(bits[doc >> 6] >> np.uint64(doc & 63) & np.uint64(1) == 0)
    return found


@kernel(INT(INT, INT, INT, INT))
def _gallop(docs_at: int, start: int, end: int, doc: int) -> int:
    # The first place in [start, end) whose document is not below `doc`.
    if start >= end or _document(docs_at, start) >= doc:
        return start
    step = 1
    while start + step < end and _document(docs_at, start + step) < doc:
        start += step
        step <<= 1
    low, high = start + 1, min(start + step, end)
    while low < high:
        middle = (low + high) >> 1
        if _document(docs_at, middle) < doc:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(INT(RU32, INT, INT, WU32))
def intersect(few: U32, many_at: int, size: int, out: U32) -> int:
    """Fill in the documents of both lists and return how many; quick if one is far shorter.

    The longer list is given by the address of its first element and its size.
    """
    found, place = 0, 0
    for doc in few:
        place = _gallop(many_at, place, size, doc)
        if place == size:
            break
        if _document(many_at, place) == doc:
            out[found] = doc
            found += 1
    return found


@kernel(INT(WU64, RU32, WU32))
def keep_marked(bits: U64, docs: U32, out: U32) -> int:
    """Fill in the documents whose bits are set and return how many."""
    found = 0
    for doc in docs:
        out[found] = doc
        found += (bits[doc >> 6] >> np.uint64(doc & 63)) & np.uint64(1)
    return found


@kernel(VOID(WU64, WU64, INT))
def add_to_counters(planes: U64, bits: U64, levels: int) -> None:
    """Add the bits to bit-sliced counters (plane after plane, lowest first); clear the bits."""
    size = len(bits)
    for word in range(size):
        carry = bits[word]
        bits[word] = 0
        for level in range(levels):
            if carry == 0:
                break
            place = level * size + word
            overflow = planes[place] & carry
            planes[place] ^= carry
            carry = overflow


@kernel(VOID(WU64, WU64, INT, INT))
def at_least(planes: U64, bits: U64, levels: int, least: int) -> None:
    """Set the bits where the counters reach `least`; clear the counters."""
    size = len(bits)
    for word in range(size):
        above, equal = np.uint64(0), ~np.uint64(0)
        for level in range(levels - 1, -1, -1):
            plane = planes[level * size + word]
            planes[level * size + word] = 0
            if (least >> level) & 1:
                equal &= plane
            else:
                above |= equal & plane
                equal &= ~plane
        bits[word] = above | equal


@kernel(INT(RU32, RU8, WU32))
def keep_flagged(docs: U32, flags: U8, out: U32) -> int:
    """Fill in the documents whose flag (0 or 1, one a document of the segment) is set."""
    found = 0
    for doc in docs:
        out[found] = doc
        found += flags[doc]
    return found


@kernel(INT(RU32, RU8, WU32))
def keep_masked(docs: U32, mask: U8, out: U32) -> int:
    """Fill in the documents whose mask (0 or 1, one an entry of `docs`) is set."""
    found = 0
    for i in range(len(docs)):
        out[found] = docs[i]
        found += mask[i]
    return found


@kernel(INT(INT, RU32, RU32, INT, INT))
def _stands_at(frequencies_at: int, places: U32, positions: U32, posting: int, wanted: int) -> int:
    # Whether the word of the posting stands at the position in its document.
    start = _signed(places[posting])
    if _frequency(frequencies_at, posting) == 1:
        return 1 if start == wanted else 0
    end = start + 1 + _signed(positions[start])
    start += 1
    while start < end:
        middle = (start + end) >> 1
        if positions[middle] < wanted:
            start = middle + 1
        elif positions[middle] > wanted:
            end = middle
        else:
            return 1
    return 0


@kernel(INT(INT, INT, RU32, RU32, RI64, RI64, INT, WI64, WU32, WU8))
def match_phrase(
    docs_at: int,
    frequencies_at: int,
    places: U32,
    positions: U32,
    starts: I64,
    ends: I64,
    rarest: int,
    heads: I64,
    out: U32,
    frequencies: U8,
) -> int:
    """Fill in the documents that hold the words one after another, and how often.

    Word i of the phrase owns the documents `[starts[i], ends[i])` at `docs_at`; `heads` is room
    for one number a word.
    """
    size = len(starts)
    found = 0
    for i in range(size):
        heads[i] = starts[i]
    for driver in range(starts[rarest], ends[rarest]):
        doc = _document(docs_at, driver)
        everywhere = True
        for i in range(size):
            head = _gallop(docs_at, heads[i], ends[i], doc)
            heads[i] = head
            if head == ends[i] or _document(docs_at, head) != doc:
                everywhere = False
                break
        if not everywhere:
            continue
        place = _signed(places[driver])
        stands_once = _frequency(frequencies_at, driver) == 1
        times = 0
        for p in range(1 if stands_once else _signed(positions[place])):
            position = place if stands_once else _signed(positions[place + 1 + p])
            together = 1
            for i in range(size):
                wanted = position - rarest + i
                together = _stands_at(frequencies_at, places, positions, heads[i], wanted)
                if together == 0:
                    break
            times += together
        if times > 0:
            out[found] = doc
            frequencies[found] = min(times, _FREQUENCY_CAP)
            found += 1
    return found


# ---------------------------------------------------------------------------- filters


@kernel([INT(RU32, codes, RU8, WU32) for codes in _CODES])
def keep_codes(docs: U32, codes: Codes, wanted: U8, out: U32) -> int:
    """Fill in the documents whose code is wanted (0 or 1, one a code) and return how many.

    `out` may be where the documents are.
    """
    found = 0
    for doc in docs:
        out[found] = doc
        found += wanted[codes[doc]]
    return found


@kernel([VOID(RU32, codes, RU8, WU8) for codes in _CODES])
def mask_codes(docs: U32, codes: Codes, wanted: U8, mask: U8) -> None:
    """Set the mask to `wanted[code]` of each document."""
    for i in range(len(docs)):
        mask[i] = wanted[codes[docs[i]]]


@kernel([VOID(RU32, RU64, codes, RU8, INT, WU8) for codes in _CODES])
def mask_lists(docs: U32, offsets: U64, codes: Codes, wanted: U8, least: int, mask: U8) -> None:
    """Set the mask where at least so many of the document's codes are wanted."""
    for i in range(len(docs)):
        doc = docs[i]
        held = 0
        for place in range(_signed(offsets[doc]), _signed(offsets[doc + 1])):
            held += wanted[codes[place]]
        mask[i] = held >= least


@kernel(VOID(RU32, RI64, RU8, INT, INT, WU8))
def mask_range(docs: U32, values: I64, present: U8, low: int, high: int, mask: U8) -> None:
    """Set the mask where the document has a value in `[low, high]`."""
    for i in range(len(docs)):
        value = values[docs[i]]
        mask[i] = (present[docs[i]] != 0) & (value >= low) & (value <= high)


@kernel(VOID(RU32, RI64, RU8, RI64, WU8))
def mask_values(docs: U32, values: I64, present: U8, wanted: I64, mask: U8) -> None:
    """Set the mask where the document has one of the wanted values, which are sorted."""
    for i in range(len(docs)):
        place = np.searchsorted(wanted, values[docs[i]])
        mask[i] = (
            (present[docs[i]] != 0) and place < len(wanted) and wanted[place] == values[docs[i]]
        )


# ---------------------------------------------------------------------------- scoring


@kernel(INT(WF64, WU32, INT, REAL, INT))
def _offer(scores: F64, docs: U32, size: int, score: float, doc: int) -> int:
    # Keeps the best of what is offered in a heap whose root is the worst: the lowest score, the
    # later document among equals. Returns the new size.
    room = len(scores)
    if size < room:
        place = size
        while place > 0:
            parent = (place - 1) >> 1
            if scores[parent] < score or (scores[parent] == score and docs[parent] > doc):
                break
            scores[place], docs[place] = scores[parent], docs[parent]
            place = parent
        scores[place], docs[place] = score, doc
        return size + 1
    if score < scores[0] or (score == scores[0] and doc > docs[0]):
        return size
    place = 0
    while True:
        child = 2 * place + 1
        if child >= room:
            break
        other = child + 1
        if other < room and (
            scores[other] < scores[child]
            or (scores[other] == scores[child] and docs[other] > docs[child])
        ):
            child = other
        if scores[child] > score or (scores[child] == score and docs[child] < doc):
            break
        scores[place], docs[place] = scores[child], docs[child]
        place = child
    scores[place], docs[place] = score, doc
    return size


# Of each list: addresses of its documents and frequencies, size, weight; and what it and all
# after it can score together.
_LISTS = (RI64, RI64, RI64, RF64, RF64)


@kernel(INT(RU32, *_LISTS, RU32, REAL, REAL, WI64, WF64, WU32))
def best_of(
    docs: U32,
    docs_at: I64,
    frequencies_at: I64,
    sizes: I64,
    weights: F64,
    bounds: F64,
    lengths: U32,
    constant: float,
    slope: float,
    places: I64,
    out_scores: F64,
    out_docs: U32,
) -> int:
    """Fill in the best-scored of a few ascending documents (a heap, unsorted); return how many.

    List i scores `weights[i] * f / (f + constant + slope * length)`: BM25 with the idf in the
    weight. `bounds[i]` is at least what lists i, i + 1, ... can give together; `places` is room
    for one number a list.
    """
    size = 0
    for i in range(len(sizes)):
        places[i] = 0
    for doc in docs:
        spread = constant + slope * lengths[doc]
        score = 0.0
        for i in range(len(sizes)):
            if size == len(out_docs) and score + bounds[i] < out_scores[0]:
                score = -1.0
                break
            place = _gallop(docs_at[i], places[i], sizes[i], doc)
            places[i] = place
            if place < sizes[i] and _document(docs_at[i], place) == doc:
                times = np.float64(_frequency(frequencies_at[i], place))
                score += weights[i] * times / (times + spread)
        if score >= 0.0:
            size = _offer(out_scores, out_docs, size, score, doc)
    return size


@kernel(INT(RU32, INT, *_LISTS, RU32, REAL, REAL, REAL, WI64, WF64, WU32))
def best_in_lists(
    docs: U32,
    restricted: int,
    docs_at: I64,
    frequencies_at: I64,
    sizes: I64,
    weights: F64,
    bounds: F64,
    lengths: U32,
    constant: float,
    slope: float,
    least_spread: float,
    places: I64,
    out_scores: F64,
    out_docs: U32,
) -> int:
    """Fill in the best-scored of many ascending documents (a heap, unsorted); return how many.

    As `best_of`, list by list: a document is scored at the first list that holds it, and lists
    and postings that cannot reach the heap any more are passed over (MaxScore, Turtle and Flood
    1995). `restricted` is 0 if `docs` are all documents of the lists; `least_spread` is the
    smallest `constant + slope * length` there is.
    """
    room, size = len(out_docs), 0
    for first in range(len(sizes)):
        if size == room and bounds[first] < out_scores[0]:
            break
        for i in range(len(sizes)):
            places[i] = 0
        member, least, worst, rest = 0, 0.0, -1.0, bounds[first + 1]
        own_docs, own_frequencies, weight = docs_at[first], frequencies_at[first], weights[first]
        for posting in range(sizes[first]):
            if size == room and out_scores[0] != worst:
                worst = out_scores[0]
                share = (worst - rest) / weight * (1.0 - 1e-9)
                least = 1e9 if share >= 1.0 else share * least_spread / (1.0 - share)
            times = np.float64(_frequency(own_frequencies, posting))
            if times < least:
                continue
            doc = _document(own_docs, posting)
            spread = constant + slope * lengths[doc]
            score = weight * times / (times + spread)
            if score + rest < worst:
                continue
            if restricted != 0:
                while member < len(docs) and docs[member] < doc:
                    member += 1
                if member == len(docs):
                    break
                if docs[member] != doc:
                    continue
            for i in range(len(sizes)):
                if i == first:
                    continue
                if i > first and score + bounds[i] < worst:
                    score = -1.0
                    break
                place = _gallop(docs_at[i], places[i], sizes[i], doc)
                places[i] = place
                if place < sizes[i] and _document(docs_at[i], place) == doc:
                    if i < first:
                        score = -1.0
                        break
                    times = np.float64(_frequency(frequencies_at[i], place))
                    score += weights[i] * times / (times + spread)
            if score >= 0.0:
                size = _offer(out_scores, out_docs, size, score, doc)
    return size


@kernel(INT(WU64, INT, INT, RI64, RF64, *_LISTS, RU32, REAL, REAL, WI64, WF64, WU32))
def best_in_groups(
    planes: U64,
    grouped: int,
    bounded: int,
    groups: I64,
    limits: F64,
    docs_at: I64,
    frequencies_at: I64,
    sizes: I64,
    weights: F64,
    bounds: F64,
    lengths: U32,
    constant: float,
    slope: float,
    places: I64,
    out_scores: F64,
    out_docs: U32,
) -> int:
    """Fill in the best-scored of many documents (a heap, unsorted) and return how many.

    As `best_of`, by groups: the documents that hold the same ones of the first `grouped` lists,
    whose bits are the planes. Group g holds list i if bit i of g is set; `groups` come in the
    order of `limits`, what a group can score at most, and the rest is left out once one cannot
    reach the heap any more. If `bounded`, the plane after those of the lists holds the documents
    to choose from.
    """
    room, size = len(out_docs), 0
    words = len(planes) // (grouped + bounded)
    for at in range(len(groups)):
        group = groups[at]
        if size == room and limits[at] < out_scores[0]:
            break
        for i in range(len(sizes)):
            places[i] = 0
        for word in range(words):
            rest = ~np.uint64(0)
            if bounded != 0:
                rest = planes[grouped * words + word]
            for i in range(grouped):
                plane = planes[i * words + word]
                rest &= plane if (group >> i) & 1 != 0 else ~plane
            while rest != 0:
                doc = (word << 6) + _signed(_trailing_zeros(rest))
                rest &= rest - np.uint64(1)
                spread = constant + slope * lengths[doc]
                score = 0.0
                for i in range(len(sizes)):
                    if i < grouped and (group >> i) & 1 == 0:
                        continue
                    if size == room and score + bounds[i] < out_scores[0]:
                        score = -1.0
                        break
                    place = _gallop(docs_at[i], places[i], sizes[i], doc)
                    places[i] = place
                    if place < sizes[i] and _document(docs_at[i], place) == doc:
                        times = np.float64(_frequency(frequencies_at[i], place))
                        score += weights[i] * times / (times + spread)
                if score >= 0.0:
                    size = _offer(out_scores, out_docs, size, score, doc)
    return size


# ---------------------------------------------------------------------------- counting


@kernel([VOID(RU32, codes, WU32) for codes in _CODES])
def count_codes(docs: U32, codes: Codes, counts: U32) -> None:
    """Add each document's code to the counts."""
    cells = len(counts)
    if cells > _SMALL_TABLE or len(docs) < cells:
        for doc in docs:
            counts[codes[doc]] += 1
        return
    lanes = np.zeros((_COUNT_LANES, cells), np.uint32)  # a lane never waits for the one before
    whole = len(docs) - len(docs) % _COUNT_LANES
    for i in range(0, whole, _COUNT_LANES):
        for lane in range(_COUNT_LANES):
            lanes[lane, codes[docs[i + lane]]] += 1
    for i in range(whole, len(docs)):
        lanes[0, codes[docs[i]]] += 1
    for cell in range(cells):
        counts[cell] += lanes[0, cell] + lanes[1, cell] + lanes[2, cell] + lanes[3, cell]


@kernel([VOID(RU32, outer, inner, INT, WU32) for outer in _CODES for inner in _CODES])
def count_pairs(docs: U32, outer: Codes, inner: Codes, base: int, counts: U32) -> None:
    """Add each document's cell `outer * base + inner` to the counts."""
    cells = len(counts)
    if cells > _SMALL_TABLE or len(docs) < cells:
        for doc in docs:
            counts[_signed(outer[doc]) * base + inner[doc]] += 1
        return
    lanes = np.zeros((_COUNT_LANES, cells), np.uint32)
    whole = len(docs) - len(docs) % _COUNT_LANES
    for i in range(0, whole, _COUNT_LANES):
        for lane in range(_COUNT_LANES):
            doc = docs[i + lane]
            lanes[lane, _signed(outer[doc]) * base + inner[doc]] += 1
    for i in range(whole, len(docs)):
        lanes[0, _signed(outer[docs[i]]) * base + inner[docs[i]]] += 1
    for cell in range(cells):
        counts[cell] += lanes[0, cell] + lanes[1, cell] + lanes[2, cell] + lanes[3, cell]


@kernel([VOID(RU32, RU64, codes, INT, WU64) for codes in _CODES])
def extend_keys(docs: U32, keys: U64, codes: Codes, base: int, out: U64) -> None:
    """Append each document's code to its key: `key * base + code`."""
    for i in range(len(docs)):
        out[i] = keys[i] * np.uint64(base) + codes[docs[i]]


@kernel(INT(WU64, types.uint64))
def _slot(table: U64, key: int) -> int:
    mask = np.uint64(len(table) - 1)
    place = (key * _HASH) >> np.uint64(32) & mask
    while table[place] != _EMPTY and table[place] != key:
        place = (place + np.uint64(1)) & mask
    return _signed(place)


@kernel(WU64(INT))
def _empty_table(room: int) -> U64:
    table = np.empty(room, np.uint64)
    for place in range(room):
        table[place] = _EMPTY
    return table


@kernel(INT(RU32, RU64))
def elements(docs: U32, offsets: U64) -> int:
    """Return how many list elements the documents have, an empty list counting as one."""
    total = 0
    for doc in docs:
        total += max(_signed(offsets[doc + 1] - offsets[doc]), 1)
    return total


@kernel([VOID(RU32, RU64, RU64, codes, INT, WU32, WU64) for codes in _CODES])
def expand_keys(
    docs: U32, keys: U64, offsets: U64, codes: Codes, base: int, out_docs: U32, out_keys: U64
) -> None:
    """Repeat each document for every element of its list, with the code appended to its key."""
    place = 0
    for i in range(len(docs)):
        doc, key = docs[i], keys[i] * np.uint64(base)
        start, end = _signed(offsets[doc]), _signed(offsets[doc + 1])
        if start == end:
            out_docs[place], out_keys[place] = doc, key
            place += 1
        for element in range(start, end):
            out_docs[place], out_keys[place] = doc, key + codes[element]
            place += 1


@kernel(VOID(RU64, WU32))
def count_keys(keys: U64, counts: U32) -> None:
    """Add each key to the counts."""
    for key in keys:
        counts[key] += 1


@kernel(types.Tuple((WU64, WU32))(RU64))  # type: ignore[no-untyped-call]  # numba's
def count_sparse(keys: U64) -> tuple[U64, U32]:
    """Return the different keys, unsorted, and how often each occurs (a hash table)."""
    room, used = 1 << 12, 0
    table, counts = _empty_table(room), np.zeros(room, np.uint32)
    for key in keys:
        if used * 2 >= room:
            wider, wider_counts = _empty_table(room * 4), np.zeros(room * 4, np.uint32)
            for old in range(room):
                if table[old] != _EMPTY:
                    place = _slot(wider, table[old])
                    wider[place], wider_counts[place] = table[old], counts[old]
            table, counts, room = wider, wider_counts, room * 4
        place = _slot(table, key)
        if table[place] == _EMPTY:
            table[place] = key
            used += 1
        counts[place] += 1
    found, found_counts, size = np.empty(used, np.uint64), np.empty(used, np.uint32), 0
    for place in range(room):
        if table[place] != _EMPTY:
            found[size], found_counts[size] = table[place], counts[place]
            size += 1
    return found, found_counts


# ---------------------------------------------------------------------------- top values


@kernel(VOID(RU32, INT, WU32))
def sum_rows(counts: U32, width: int, out: U32) -> None:
    """Fill in the sum of each row of `width` counts."""
    for row in range(len(out)):
        total = _signed(0)
        for cell in range(row * width, (row + 1) * width):
            total += counts[cell]
        out[row] = total


@kernel(INT(RU64, INT))
def _first_key(keys: U64, least: int) -> int:
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) >> 1
        if _signed(keys[middle]) < least:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(VOID(WI64, INT, INT))
def _sink(entries: I64, size: int, entry: int) -> None:
    # Replaces the smallest entry of a heap.
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and entries[child + 1] < entries[child]:
            child += 1
        if entries[child] >= entry:
            break
        entries[place] = entries[child]
        place = child
    entries[place] = entry


@kernel(VOID(WI64, INT, INT))
def _rise(entries: I64, size: int, entry: int) -> None:
    # Adds an entry to a heap whose root is the smallest.
    place = size
    while place > 0 and entries[(place - 1) >> 1] > entry:
        entries[place] = entries[(place - 1) >> 1]
        place = (place - 1) >> 1
    entries[place] = entry


@kernel(INT(RU64, RU32, RI64, INT, RU32, RU32, INT, WI64_2, WI64_2))
def top_of_rows(
    keys: U64,
    counts: U32,
    parents: I64,
    width: int,
    ranks: U32,
    by_rank: U32,
    room: int,
    tops: I64,
    summaries: I64,
) -> int:
    """Fill in the largest `room` counts among the `width` cells of each parent, ties by rank.

    A cell is `parent * width + code`; `counts` holds those of all cells, or of the ascending
    `keys` where there are any. A parent below 0 has no cells. `tops` takes codes, counts and
    cells, a row each, of one parent after another; the missing value, code 0, comes last of its
    parent beyond the room. `summaries` takes a row each of how many were filled in, how many
    different values there are, and the sum of the counts left out; missing values are not in
    these two. Returns how many were filled in.
    """
    entries = np.empty(min(room, width), np.int64)  # count above turned rank: unique, ordered
    filled = 0
    for row in range(len(parents)):
        missing, distinct, total, size, first = 0, 0, 0, 0, filled
        low = max(parents[row] * width, 0)
        place, end = low, min(low + width, len(counts))
        if parents[row] < 0:
            end = place
        elif len(keys) > 0:
            place, end = _first_key(keys, low), _first_key(keys, low + width)
        for at in range(place, end):
            count = _signed(counts[at])
            if count == 0:
                continue
            code = (_signed(keys[at]) if len(keys) > 0 else at) - low
            if code == 0:
                missing = count
                continue
            distinct += 1
            total += count
            entry = (count << 32) | (0xFFFFFFFF - _signed(ranks[code]))
            if size < room:
                _rise(entries, size, entry)
                size += 1
            elif entry > entries[0]:
                _sink(entries, size, entry)
        filled += size
        for i in range(size - 1, -1, -1):
            code, count = by_rank[0xFFFFFFFF - (entries[0] & 0xFFFFFFFF)], entries[0] >> 32
            tops[0, first + i], tops[1, first + i], tops[2, first + i] = code, count, low + code
            total -= count
            _sink(entries, i, entries[i])
        if missing > 0:
            tops[0, filled], tops[1, filled], tops[2, filled] = 0, missing, low
            filled += 1
        summaries[0, row], summaries[1, row] = filled - first, distinct
        summaries[2, row] = total
    return filled


# ---------------------------------------------------------------------------- histograms


@kernel(INT(RU32, RI64, RU8, WI64))
def extremes(docs: U32, values: I64, present: U8, out: I64) -> int:
    """Set `out` to the smallest and largest value and return how many documents have one."""
    found = 0
    for doc in docs:
        if present[doc] == 0:
            continue
        value = values[doc]
        if found == 0 or value < out[0]:
            out[0] = value
        if found == 0 or value > out[1]:
            out[1] = value
        found += 1
    return found


@kernel(VOID(RU32, RI64, RU8, INT, INT, RU32, WU32))
def count_steps(
    docs: U32, values: I64, present: U8, first: int, step: int, buckets: U32, counts: U32
) -> None:
    """Add each value to `buckets[value // step - first]`, which exists for all of them."""
    for doc in docs:
        if present[doc] != 0:
            counts[buckets[values[doc] // step - first]] += 1
