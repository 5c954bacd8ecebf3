"""What the columns of some rows mean: timestamp, measures, dimensions and how often rows come.

A guess from the first rows, with a confidence and a reason for each; the user has the last word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from math import isfinite

from lib.metrics.model import Dataset, Frequency, Measure, MetricsError, Unit
from lib.metrics.tables import Rows

LOOKED_AT = 20_000  # rows
TRIED = 300  # cells of a column that are parsed
PREVIEW = 50  # rows
MOST = 0.95  # share of cells that have to fit
MAX_DIMENSION_SHARE = 0.5  # of distinct cells; with more a column tells rows apart, not groups
FEW_CODES = 50  # distinct whole numbers that may be codes
CERTAIN, LIKELY, GUESS = 0.95, 0.75, 0.5
MAX_MEASURES = 10
EPOCH = (9e8, 1.95e9)  # seconds since 1970, from 1998 to 2031: later, it may be 2032010100

FORMATS = (
    "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M",
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y",
    "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%d-%m-%Y %H:%M", "%d-%m-%Y",
    "%d %b %Y %H:%M", "%d %b %Y", "%b %d, %Y", "%Y%m%d%H%M", "%Y%m%d%H", "%Y%m%d",
    "%d/%b/%Y:%H:%M:%S %z",
)  # fmt: skip
FREQUENCIES = (
    Frequency(1, Unit.MINUTE), Frequency(5, Unit.MINUTE), Frequency(10, Unit.MINUTE),
    Frequency(15, Unit.MINUTE), Frequency(30, Unit.MINUTE), Frequency(1, Unit.HOUR),
    Frequency(2, Unit.HOUR), Frequency(6, Unit.HOUR), Frequency(12, Unit.HOUR),
    Frequency(1, Unit.DAY), Frequency(1, Unit.WEEK), Frequency(1, Unit.MONTH),
)  # fmt: skip
_TIME_NAMES = re.compile(r"time|date|day|hour|stamp|^ts$|^at$|_at$|period", re.IGNORECASE)
_CODE_NAMES = re.compile(r"(^|_)(id|code|zip|number|no|store|year|month)$", re.IGNORECASE)


class Role(StrEnum):
    """What a column is."""

    TIMESTAMP = "timestamp"
    MEASURE = "measure"
    DIMENSION = "dimension"
    IGNORED = "ignored"


@dataclass(frozen=True)
class Column:
    """One column: what it seems to be, how sure that is (0 to 1), and why."""

    name: str
    role: Role
    confidence: float
    reason: str
    example: str
    distinct: int
    format: str = ""  # of a timestamp


@dataclass(frozen=True)
class Recognition:
    """What rows seem to hold."""

    columns: tuple[Column, ...]
    frequency: Frequency
    frequency_confidence: float
    frequency_reason: str
    preview: tuple[Mapping[str, str], ...]
    rows: int  # looked at

    def dataset(self, source: Mapping[str, str]) -> Dataset:
        """Return the dataset that this guess makes; raises `MetricsError` without a timestamp."""
        times = [column for column in self.columns if column.role is Role.TIMESTAMP]
        measures = [column for column in self.columns if column.role is Role.MEASURE]
        if not times:
            raise MetricsError("No column looks like a timestamp: choose it, and its format.")
        return Dataset(
            source=dict(source),
            timestamp=times[0].name,
            timestamp_format=times[0].format,
            measures=tuple(Measure(one.name, one.name) for one in measures[:MAX_MEASURES]),
            dimensions=tuple(
                column.name for column in self.columns if column.role is Role.DIMENSION
            ),
            frequency=self.frequency,
        )


def recognise(rows: Rows) -> Recognition:
    """Return what open rows seem to hold; raises `MetricsError` where there are none."""
    table = rows.table
    texts = table.limit(LOOKED_AT).select(
        **{name: table[name].cast("string") for name in table.columns}
    )
    cells = texts.to_pyarrow().to_pydict()
    count = len(next(iter(cells.values()), []))
    if not count:
        raise MetricsError("There is no row to look at.")
    known = {
        name: [cell.strip() for cell in column if cell is not None and cell.strip()]
        for name, column in cells.items()
    }
    times = {name: _time(name, column) for name, column in known.items()}
    best = max(times, key=lambda name: times[name][1])
    columns = tuple(
        _column(name, known[name], times[name] if name == best else ("", 0.0, "")) for name in cells
    )
    parsed = _parsed(known[best], times[best][0]) if times[best][1] else []
    frequency, sure, reason = _frequency(parsed)
    preview = tuple(
        {name: str(column[at] or "") for name, column in cells.items()}
        for at in range(min(count, PREVIEW))
    )
    return Recognition(columns, frequency, sure, reason, preview, count)


def _column(name: str, cells: Sequence[str], time: tuple[str, float, str]) -> Column:
    pattern, sure, reason = time
    distinct = len(set(cells))
    example = cells[0][:80] if cells else ""
    if sure:
        return Column(name, Role.TIMESTAMP, sure, reason, example, distinct, pattern)
    role, sure, reason = _role(name, cells, distinct)
    return Column(name, role, sure, reason, example, distinct)


def _role(name: str, cells: Sequence[str], distinct: int) -> tuple[Role, float, str]:
    if not cells:
        return Role.IGNORED, CERTAIN, "every cell is empty"
    numbers = [number for cell in cells if (number := _number(cell)) is not None]
    if len(numbers) >= MOST * len(cells):
        return _number_role(name, cells, numbers, distinct)
    if len(numbers) > GUESS * len(cells):
        return Role.DIMENSION, GUESS, f"turns from numbers to text, for example {_odd(cells)!r}"
    if distinct > MAX_DIMENSION_SHARE * len(cells) and distinct > FEW_CODES:
        return Role.IGNORED, LIKELY, f"{distinct:,} different texts in {len(cells):,} rows"
    return Role.DIMENSION, LIKELY, f"{distinct:,} different texts"


def _number_role(
    name: str, cells: Sequence[str], numbers: Sequence[float], distinct: int
) -> tuple[Role, float, str]:
    if distinct == 1:
        return Role.IGNORED, LIKELY, "always the same number"
    whole = all(number == int(number) for number in numbers)
    if whole and _CODE_NAMES.search(name) and distinct <= max(FEW_CODES, len(cells) // 20):
        return Role.DIMENSION, LIKELY, f"{distinct:,} whole numbers under the name of a code"
    odd = len(cells) - len(numbers)
    if odd:
        return Role.MEASURE, LIKELY, f"numbers, but for {odd:,} cells such as {_odd(cells)!r}"
    return Role.MEASURE, CERTAIN, "numbers"


def _odd(cells: Sequence[str]) -> str:
    return next(cell for cell in cells if _number(cell) is None)[:40]


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _time(name: str, cells: Sequence[str]) -> tuple[str, float, str]:
    """Return the format of timestamps, how sure it is, and why; 0.0 where these are none."""
    tried = cells[:TRIED]
    if not tried:
        return "", 0.0, ""
    named = 0.04 if _TIME_NAMES.search(name) else 0.0
    for pattern, scale in (("s", 1), ("ms", 1_000)):
        numbers = [number for cell in tried if (number := _number(cell)) is not None]
        if len(numbers) == len(tried) and all(EPOCH[0] < one / scale < EPOCH[1] for one in numbers):
            return pattern, LIKELY + named, f"numbers that fit as {pattern} since 1970"
    if _fits(tried, ""):
        return "", CERTAIN + named, "ISO 8601"
    fitting = [pattern for pattern in FORMATS if _fits(tried, pattern)]
    if not fitting:
        return "", 0.0, ""
    if len(fitting) > 1:
        best = min(fitting, key=lambda pattern: _unevenness(_parsed(tried, pattern)))
        return best, GUESS + named, f"{best}, though {', '.join(set(fitting) - {best})} fits, too"
    return fitting[0], CERTAIN + named, fitting[0]


def _fits(cells: Sequence[str], pattern: str) -> bool:
    return len(_parsed(cells, pattern)) >= MOST * len(cells)


def _parsed(cells: Sequence[str], pattern: str) -> list[float]:
    """Return the times in seconds, without those that are none."""
    found = []
    for cell in cells:
        try:
            if pattern in {"s", "ms"}:
                found.append(float(cell) / (1 if pattern == "s" else 1_000))
                continue
            if not pattern and not re.match(r"\d{4}-\d", cell):
                continue
            time = datetime.fromisoformat(cell) if not pattern else datetime.strptime(cell, pattern)  # noqa: DTZ007 - only differences count
            found.append((time.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001 - the same
        except ValueError:
            continue
    return found


def _unevenness(times: Sequence[float]) -> float:
    steps = [abs(later - earlier) for earlier, later in pairwise(times)]
    return max(steps, default=0.0)


def _frequency(times: Sequence[float]) -> tuple[Frequency, float, str]:
    ordered = sorted(set(times))
    steps = [round(later - earlier) for earlier, later in pairwise(ordered)]
    if not steps:
        return Frequency(1, Unit.DAY), GUESS / 2, "too few different times to tell"
    usual, often = Counter(steps).most_common(1)[0]
    if 28 * 86_400 <= usual <= 31 * 86_400:
        return Frequency(1, Unit.MONTH), LIKELY, "times are a month apart"
    fitting = [one for one in FREQUENCIES if one.seconds <= max(usual, 60)]
    best = fitting[-1] if fitting else Frequency(1, Unit.MINUTE)
    share = often / len(steps)
    if usual != best.seconds:
        # Events at any time: hours hold enough of them to see a season.
        hourly = Frequency(1, Unit.HOUR)
        chosen = hourly if usual < hourly.seconds else best
        return chosen, GUESS, "times are at no fixed distance"
    return (
        best,
        CERTAIN if share > GUESS else LIKELY,
        f"{share:.0%} of the times are that far apart",
    )
