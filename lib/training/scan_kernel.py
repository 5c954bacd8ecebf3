"""One pass over the bytes of a minute of system metrics, without building an object a line.

A line is `{"Type":..,"Name":..,"Dimension":..,"Value":V,"NodeId":N,"Timestamp":T}`. All before
the value and the node together name the channel; both are hashed, so that a channel is decoded
once. Lines of another form are left to the caller.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

QUOTE, COLON, COMMA, SPACE, DOT, MINUS, NEWLINE, CLOSE = 34, 58, 44, 32, 46, 45, 10, 125
ZERO, NINE = 48, 57
VALUE = np.frombuffer(b'"Value":', dtype=np.uint8)
NODE = np.frombuffer(b'"NodeId":', dtype=np.uint8)
TIME = np.frombuffer(b'"Timestamp":', dtype=np.uint8)
FNV_OFFSET, FNV_PRIME = np.uint64(14695981039346656037), np.uint64(1099511628211)
MOST_DIGITS = 15  # that a double holds for certain
TABLE = 1 << 14  # places for hashes; half as many channels fit, more are read the slow way


@njit(nogil=True, cache=True)
def scan(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - one pass is the point
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
    size = len(data)
    rows = others = channels = 0
    table_hash = np.zeros(TABLE, dtype=np.uint64)
    table_code = np.full(TABLE, -1, dtype=np.int32)
    begin = 0
    while begin < size:
        end = begin
        while end < size and data[end] != NEWLINE:
            end += 1
        at = begin
        code = FNV_OFFSET
        good = False
        found = False
        while at + len(VALUE) < end:
            if data[at] == QUOTE and data[at + 1] == VALUE[1] and data[at + 6] == QUOTE:
                found = True
                for step in range(len(VALUE)):
                    if data[at + step] != VALUE[step]:
                        found = False
                        break
                if found:
                    break
            code = (code ^ np.uint64(data[at])) * FNV_PRIME
            at += 1
        if found:
            at += len(VALUE)
            while at < end and data[at] == SPACE:
                at += 1
            sign = 1.0
            if at < end and data[at] == MINUS:
                sign = -1.0
                at += 1
            mantissa = np.int64(0)
            digits = after = 0
            dot = False
            while at < end and (ZERO <= data[at] <= NINE or (data[at] == DOT and not dot)):
                if data[at] == DOT:
                    dot = True
                else:
                    mantissa = mantissa * 10 + (data[at] - ZERO)
                    if mantissa > 0:
                        digits += 1
                    if dot:
                        after += 1
                    if digits > MOST_DIGITS:
                        break
                at += 1
            if at < end and data[at] == COMMA and 0 < digits + after <= 22:  # noqa: PLR2004, SIM102 - exact powers
                if digits <= MOST_DIGITS:
                    number = sign * mantissa / 10.0**after
                    at += 1
                    while at < end and data[at] == SPACE:
                        at += 1
                    good = True
                    for step in range(len(NODE)):
                        if at + step >= end or data[at + step] != NODE[step]:
                            good = False
                            break
                    if good:
                        at += len(NODE)
                        while at < end and data[at] != COMMA:
                            if data[at] != SPACE:
                                code = (code ^ np.uint64(data[at])) * FNV_PRIME
                            at += 1
                        at += 1
                        while at < end and data[at] == SPACE:
                            at += 1
                        for step in range(len(TIME)):
                            if at + step >= end or data[at + step] != TIME[step]:
                                good = False
                                break
                    if good:
                        at += len(TIME)
                        while at < end and data[at] == SPACE:
                            at += 1
                        seconds = np.int64(0)
                        count = 0
                        while at < end and ZERO <= data[at] <= NINE:
                            seconds = seconds * 10 + (data[at] - ZERO)
                            count += 1
                            at += 1
                        fraction = np.int64(0)
                        places = 0
                        round_up = False
                        if at < end and data[at] == DOT:
                            at += 1
                            while at < end and ZERO <= data[at] <= NINE:
                                if places < 6:  # noqa: PLR2004 - microseconds
                                    fraction = fraction * 10 + (data[at] - ZERO)
                                elif places == 6:  # noqa: PLR2004 - the digit that rounds
                                    round_up = data[at] >= ZERO + 5
                                places += 1
                                at += 1
                        while places < 6:  # noqa: PLR2004 - microseconds
                            fraction *= 10
                            places += 1
                        good = 0 < count <= 11 and at < end and data[at] == CLOSE  # noqa: PLR2004 - years
                        if good:
                            place = np.int64(code & np.uint64(TABLE - 1))
                            while table_code[place] >= 0 and table_hash[place] != code:
                                place = (place + 1) & (TABLE - 1)
                            if table_code[place] < 0:
                                good = channels < TABLE // 2
                                if good:
                                    table_hash[place] = code
                                    table_code[place] = channels
                                    firsts[channels] = begin
                                    channels += 1
                        if good:
                            codes[rows] = table_code[place]
                            micros[rows] = seconds * 1_000_000 + fraction + (1 if round_up else 0)
                            values[rows] = number
                            rows += 1
        if not good and end > begin:
            odd[others] = begin
            others += 1
        begin = end + 1
    return rows, others, channels


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
