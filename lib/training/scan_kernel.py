"""One pass over the bytes of a minute of system metrics, without building an object a line.

A line is `{"Type":..,"Name":..,"Dimension":..,"Value":V,"NodeId":N,"Timestamp":T}`. All before
the value and the node together name the channel; both are hashed, so that a channel is decoded
once. Lines of another form are left to the caller.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

QUOTE, COMMA, SPACE, DOT, MINUS, NEWLINE, CLOSE = 34, 44, 32, 46, 45, 10, 125
ZERO, NINE = 48, 57
VALUE = np.frombuffer(b'"Value":', dtype=np.uint8)
NODE = np.frombuffer(b'"NodeId":', dtype=np.uint8)
TIME = np.frombuffer(b'"Timestamp":', dtype=np.uint8)
FNV_OFFSET, FNV_PRIME = np.uint64(14695981039346656037), np.uint64(1099511628211)
MOST_DIGITS, MOST_POWER = 15, 22  # of which a double holds every number, and every power of ten
MICRO_DIGITS, MOST_SECOND_DIGITS = 6, 11
TABLE = 1 << 14  # places for hashes; half as many channels fit, more are read the slow way


@njit(nogil=True, cache=True)
def scan(  # noqa: PLR0913, PLR0917 - the columns that it fills
    data: NDArray[np.uint8],
    codes: NDArray[np.int32],
    firsts: NDArray[np.int64],
    micros: NDArray[np.int64],
    values: NDArray[np.float64],
    odd: NDArray[np.int64],
) -> tuple[int, int, int]:
    """Fill code, time and value of each line that has the form; return their number.

    A code numbers the channels of the file; `firsts` gets the offset of each one's first line, and
    their number comes last. `odd` gets the offsets of the other lines; their number comes second.
    """
    rows = others = channels = 0
    table_hash = np.zeros(TABLE, dtype=np.uint64)
    table_code = np.full(TABLE, -1, dtype=np.int32)
    begin = 0
    while begin < len(data):
        end = begin
        while end < len(data) and data[end] != NEWLINE:
            end += 1
        good, channel, time, value = _sample(data, begin, end)
        if good:
            place = _place(table_hash, table_code, channel)
            if table_code[place] < 0:
                good = channels < TABLE // 2
                if good:
                    table_hash[place], table_code[place] = channel, channels
                    firsts[channels] = begin
                    channels += 1
        if good:
            codes[rows], micros[rows], values[rows] = table_code[place], time, value
            rows += 1
        elif end > begin:
            odd[others] = begin
            others += 1
        begin = end + 1
    return rows, others, channels


@njit(nogil=True, cache=True)
def _sample(data: NDArray[np.uint8], at: int, end: int) -> tuple[bool, np.uint64, np.int64, float]:
    """Return whether a line has the form; hash of its channel, microseconds and value."""
    channel, time, value = FNV_OFFSET, np.int64(0), 0.0
    last = end - len(VALUE)
    # Compared by two bytes; where another name begins so, the line is read the slow way.
    while at < last and not (data[at] == QUOTE and data[at + 1] == VALUE[1]):
        channel = (channel ^ np.uint64(data[at])) * FNV_PRIME
        at += 1
    at = _after(data, at, end, VALUE)
    if at > 0:
        at, value = _number(data, at, end)
    if at > 0:
        at = _after(data, at, end, NODE)
    if at > 0:
        while at < end and data[at] != COMMA:
            if data[at] != SPACE:
                channel = (channel ^ np.uint64(data[at])) * FNV_PRIME
            at += 1
        at = _after(data, _skipped(data, at + 1, end), end, TIME)
    if at > 0:
        at, time = _stamp(data, at, end)
    return at > 0, channel, time, value


@njit(nogil=True, cache=True)
def _after(data: NDArray[np.uint8], at: int, end: int, word: NDArray[np.uint8]) -> int:
    """Return where the word and the blanks behind it end; -1 where it does not stand here."""
    if at < 0 or at + len(word) > end:
        return -1
    for step in range(len(word)):
        if data[at + step] != word[step]:
            return -1
    return _skipped(data, at + len(word), end)


@njit(nogil=True, cache=True)
def _skipped(data: NDArray[np.uint8], at: int, end: int) -> int:
    while at < end and data[at] == SPACE:
        at += 1
    return at


@njit(nogil=True, cache=True)
def _number(data: NDArray[np.uint8], at: int, end: int) -> tuple[int, float]:
    """Return where a number and the comma behind it end, and its value; -1 if not exact here."""
    sign = 1.0
    if at < end and data[at] == MINUS:
        sign = -1.0
        at += 1
    mantissa = np.int64(0)
    digits = after = read = 0  # digits that count, those behind the point, and all
    dot = False
    while at < end and digits <= MOST_DIGITS:
        if data[at] == DOT and not dot:
            dot = True
        elif ZERO <= data[at] <= NINE:
            mantissa = mantissa * 10 + (data[at] - ZERO)
            digits += 1 if mantissa > 0 else 0
            after += 1 if dot else 0
            read += 1
        else:
            break
        at += 1
    is_exact = read > 0 and digits <= MOST_DIGITS and after <= MOST_POWER
    if not is_exact or at >= end or data[at] != COMMA:
        return -1, 0.0
    return _skipped(data, at + 1, end), sign * mantissa / 10.0**after


@njit(nogil=True, cache=True)
def _stamp(data: NDArray[np.uint8], at: int, end: int) -> tuple[int, np.int64]:
    """Return where a time and the line end, and its microseconds; -1 where it is none."""
    seconds = fraction = np.int64(0)
    count = places = 0
    round_up = False
    while at < end and ZERO <= data[at] <= NINE and count <= MOST_SECOND_DIGITS:
        seconds = seconds * 10 + (data[at] - ZERO)
        count += 1
        at += 1
    if at < end and data[at] == DOT:
        at += 1
        while at < end and ZERO <= data[at] <= NINE:
            if places < MICRO_DIGITS:
                fraction = fraction * 10 + (data[at] - ZERO)
            elif places == MICRO_DIGITS:
                round_up = data[at] >= ZERO + 5
            places += 1
            at += 1
    for _ in range(places, MICRO_DIGITS):
        fraction *= 10
    if not 0 < count <= MOST_SECOND_DIGITS or at >= end or data[at] != CLOSE:
        return -1, np.int64(0)
    return at + 1, seconds * 1_000_000 + fraction + (1 if round_up else 0)


@njit(nogil=True, cache=True)
def _place(
    table_hash: NDArray[np.uint64], table_code: NDArray[np.int32], channel: np.uint64
) -> np.int64:
    """Return the channel's place in the table, or the free one that it would get."""
    place = np.int64(channel & np.uint64(TABLE - 1))
    while table_code[place] >= 0 and table_hash[place] != channel:
        place = np.int64((place + 1) & (TABLE - 1))
    return place


@njit(nogil=True, cache=True)
def grouped(codes: NDArray[np.int32], channels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows in order of their codes, those of one code as they were, and the bounds."""
    bounds = np.zeros(channels + 1, dtype=np.int64)
    for code in codes:
        bounds[code + 1] += 1
    for at in range(channels):
        bounds[at + 1] += bounds[at]
    free = bounds[:-1].copy()
    order = np.empty(len(codes), dtype=np.int64)
    for row in range(len(codes)):
        order[free[codes[row]]] = row
        free[codes[row]] += 1
    return order, bounds
