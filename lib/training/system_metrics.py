"""System metrics of SageMaker Debugger's profiler: JSON lines, a file a node and minute.

Format: `system/incremental/<YYYYMMDDHH>/<epoch second>.<node>.json`. What is odd is kept where it
can be, and counted: truncated lines, twice the same stamp, shares below 0 or above 100 percent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.training.model import Channel, Micros, Oddity, Series, Values

THREADS = 2
MOST_MICROS = 1 << 62  # that fit the column of times
MOST_CHANNELS = 100_000  # whose names are remembered
PERCENTS = {"CPUUtilization", "I/OWaitPercentage", "GPUUtilization", "GPUMemoryUtilization"}
PERCENT_KINDS = {"memory"}
TOO_MUCH = 100.5  # percent; agents round
EARLIEST, LATEST = 946_684_800, 4_102_444_800  # years 2000 to 2100


@dataclass(frozen=True, eq=False)
class Parsed:
    """The rows of one file: places in `channels`, times, values, and what was odd."""

    channels: tuple[Channel, ...]
    code: NDArray[np.int32]
    times: Micros
    values: Values
    broken: int  # lines that are no sample


def parse(content: bytes) -> Parsed:
    """Return the samples of a file's content."""
    from lib.training.scan_kernel import TABLE, scan

    data = np.frombuffer(content, dtype=np.uint8)
    rows = len(data) // 2 + 2  # a line has a byte and its end; what is not touched takes no memory
    code = np.empty(rows, dtype=np.int32)
    first = np.empty(TABLE, dtype=np.int64)
    micros, odd = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
    values = np.empty(rows, dtype=np.float64)
    count, others, different = scan(data, code, first, micros, values, odd)
    code = code[:count]
    channels = [_channel(_line(content, int(at))) for at in first[:different]]
    known = np.array([one is not None for one in channels], dtype=bool)
    keep = known[code] if different else np.zeros(0, dtype=bool)
    slow = [_sample(_line(content, int(at))) for at in odd[:others]]
    good = [one for one in slow if one is not None]
    names: dict[Channel, int] = {}
    table = np.array(
        [names.setdefault(one, len(names)) if one is not None else -1 for one in channels],
        dtype=np.int32,
    )
    more = np.array([names.setdefault(one, len(names)) for one, _, _ in good], dtype=np.int32)
    fast = table[code[keep]] if len(table) else np.zeros(0, dtype=np.int32)
    return Parsed(
        tuple(names),
        np.concatenate([fast, more]),
        np.concatenate([micros[:count][keep], np.array([at for _, at, _ in good], dtype=np.int64)]),
        np.concatenate([values[:count][keep], np.array([v for _, _, v in good], dtype=np.float64)]),
        len(slow) - len(good) + int((~keep).sum()),
    )


def read_all(
    contents: Sequence[Callable[[], bytes]], seen: Callable[[int], None] = lambda _: None
) -> tuple[tuple[Series, ...], tuple[Oddity, ...]]:
    """Return the series of all files, and what was odd; `seen` is told how many files are done."""
    times: dict[Channel, list[Micros]] = {}
    values: dict[Channel, list[Values]] = {}
    broken = 0
    with ThreadPoolExecutor(THREADS) as threads:
        parsed = threads.map(lambda read: _by_channel(parse(read())), contents)
        for done, (one, bounds) in enumerate(parsed, start=1):
            broken += one.broken
            for at, channel in enumerate(one.channels):
                rows = slice(bounds[at], bounds[at + 1])
                times.setdefault(channel, []).append(one.times[rows])
                values.setdefault(channel, []).append(one.values[rows])
            seen(done)
    counts: Counter[str] = Counter(broken=broken)
    series = tuple(
        _cleaned(
            channel, np.concatenate(times.pop(channel)), np.concatenate(values[channel]), counts
        )
        for channel in sorted(values)
    )
    return tuple(one for one in series if len(one.times)), oddities_of(counts)


def _by_channel(one: Parsed) -> tuple[Parsed, list[int]]:
    """Return the samples of a file in order of their channels, and where each begins."""
    from lib.training.scan_kernel import grouped

    order, bounds = grouped(one.code, len(one.channels))
    ordered = Parsed(one.channels, one.code[order], one.times[order], one.values[order], one.broken)
    return ordered, bounds.tolist()


def oddities_of(counts: Mapping[str, int]) -> tuple[Oddity, ...]:
    """Return what was odd, in words."""
    words = {
        "broken": "lines are cut off or no sample, and were left out",
        "twice": "samples have the same stamp as another of their channel; the first was kept",
        "unordered": "samples came out of order: a clock jumped or files overlap; they were sorted",
        "outside": "samples are below 0 or above 100 percent; they were kept and cut to that",
        "time": "samples lie outside the years 2000 to 2100, and were left out",
    }
    return tuple(
        Oddity(kind, counts[kind], text) for kind, text in words.items() if counts.get(kind)
    )


def _cleaned(channel: Channel, times: Micros, values: Values, counts: Counter[str]) -> Series:
    sane = (times >= EARLIEST * 1_000_000) & (times < LATEST * 1_000_000)
    if not sane.all():
        counts["time"] += int((~sane).sum())
        times, values = times[sane], values[sane]
    steps = np.diff(times)
    if (steps < 0).any():
        counts["unordered"] += int((steps < 0).sum())
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
        steps = np.diff(times)
    if (steps == 0).any():
        counts["twice"] += int((steps == 0).sum())
        keep = np.concatenate([[True], steps != 0])
        times, values = times[keep], values[keep]
    if channel.dimension in PERCENTS or channel.kind in PERCENT_KINDS:
        outside = (values < 0) | (values > TOO_MUCH)
        if outside.any():
            counts["outside"] += int(outside.sum())
            values = np.clip(values, 0.0, 100.0)
    return Series(channel, times, values)


def _line(content: bytes, begin: int) -> bytes:
    end = content.find(b"\n", begin)
    return content[begin : end if end >= 0 else len(content)]


def _channel(line: bytes) -> Channel | None:
    """Return the channel of a line of the known form; None where it is no sample."""
    value, node, time = (line.find(key) for key in (b'"Value"', b'"NodeId"', b'"Timestamp"'))
    return _decoded(line[:value] + line[node:time])


@lru_cache(maxsize=MOST_CHANNELS)
def _decoded(head: bytes) -> Channel | None:
    # Every file of a job names the same channels; decoding them was half of reading it.
    found = _sample(head + b'"Value":0,"Timestamp":0}')
    return None if found is None else found[0]


def _sample(line: bytes) -> tuple[Channel, int, float] | None:
    """Return channel, time and value of a line by the json module; None where it is no sample."""
    try:
        row: Any = json.loads(line, parse_float=Decimal)
        time = Decimal(row["Timestamp"])
        channel = Channel(
            str(row.get("NodeId", "")), str(row["Type"]), str(row.get("Name", "")),
            str(row.get("Dimension", "")),
        )  # fmt: skip
        value = float(row["Value"])
        micros = int((time * 1_000_000).to_integral_value(rounding="ROUND_HALF_UP"))
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return None
    is_sane = np.isfinite(value) and abs(micros) < MOST_MICROS
    return (channel, micros, value) if is_sane else None
