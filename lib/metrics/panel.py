"""From rows to series: aggregated where the rows lie, with a count of everything that was odd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lib.aws import Aws
from lib.metrics.model import (
    Aggregation,
    DataQuality,
    Dataset,
    Finding,
    Floats,
    Measure,
    MetricsError,
    Missing,
    Panel,
    SeriesKey,
)
from lib.metrics.tables import Rows, open_rows
from lib.metrics.timeline import Seconds, as_datetime, interval_starts
from lib.settings import Settings

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa

MAX_SERIES = 200_000
MAX_CELLS = 2_000_000_000  # of all measures: 8 GB
MAX_VALUES = 100_000  # of one dimension
LARGEST = 1.7e308  # beyond it, infinite
BUCKET_S = 900  # all time zones differ by multiples of it
EPOCH_FORMATS = {"s": 1, "ms": 1_000, "us": 1_000_000}
AT, ROW_COUNT, BUCKET, START = "at__", "rows__", "bucket__", "start__"
MAX_LISTED = 1_000  # of missing intervals


def read_panel(
    dataset: Dataset,
    settings: Settings,
    aws: Aws,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Panel:
    """Return the series of a dataset over the intervals that begin from `start` until `end`.

    Raises `MetricsError` where a column is missing, nothing is left, or it is too much, `AwsError`
    where AWS refuses.
    """
    with open_rows(dataset.source, settings, aws, since=start) as rows:
        return panel_of(rows, dataset, start, end)


def panel_of(
    rows: Rows, dataset: Dataset, start: datetime | None = None, end: datetime | None = None
) -> Panel:
    """Return the series of open rows; see `read_panel`."""
    import duckdb
    from ibis.common.exceptions import IbisError

    try:
        typed = _understood(rows, dataset)
        counted = _counts(typed, dataset)
        if not counted.used:
            raise MetricsError(_nothing(counted, dataset))
        window = _window(typed, start, end)
        first, last = (window[AT].min(), window[AT].max())
        span = window.aggregate(first=_seconds(first), last=_seconds(last))
        bounds = span.to_pyarrow().to_pylist()[0]
        if bounds["first"] is None:
            return _empty(dataset, counted)
        starts = interval_starts(
            dataset.frequency, dataset.zone, int(bounds["first"]), int(bounds["last"])
        )
        cells = _aggregated(window, dataset, starts)
    except (duckdb.Error, IbisError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise MetricsError(f"The rows could not be read to their end: {reason}") from error
    return _panel(cells, dataset, starts, counted)


@dataclass(frozen=True, eq=False)
class _Typed:
    """Rows with a UTC timestamp, numbers and texts; NULL where a cell is not what it should be."""

    table: ibis.Table
    raw: ibis.Table


def _understood(rows: Rows, dataset: Dataset) -> _Typed:
    table = rows.table
    wanted = {dataset.timestamp, *dataset.dimensions, *dataset.filters}
    wanted |= {measure.column for measure in dataset.measures if measure.column}
    missing = sorted(wanted - set(table.columns))
    if missing:
        raise MetricsError(
            f"The column {missing[0]} is not there; there are {', '.join(table.columns)}."
        )
    for column, values in dataset.filters.items():
        table = table.filter(table[column].cast("string").isin(values))
    columns: dict[str, Any] = {AT: _time(table[dataset.timestamp], dataset)}
    for place, measure in enumerate(dataset.measures):
        if measure.column:
            columns[f"m{place}"] = _number(table[measure.column])
    for place, name in enumerate(dataset.dimensions):
        columns[f"d{place}"] = table[name].cast("string").fill_null("").strip()
    return _Typed(table.select(**columns), table)


def _time(column: ibis.Column, dataset: Dataset) -> ibis.Column:
    """Return the column in UTC without a zone; NULL where it is no time."""
    import ibis

    kind = column.type()
    if dataset.timestamp_format in EPOCH_FORMATS:
        number = _number(column) / EPOCH_FORMATS[dataset.timestamp_format]
        inside = number.between(-2_208_988_800, 32_503_680_000)  # the years 1900 to 3000
        return ibis.cases((inside, number.cast("int64").as_timestamp("s")))
    if kind.is_timestamp() or kind.is_date():
        naive = column.cast("timestamp")
        return naive if kind.is_timestamp() and kind.timezone else _zoned(naive, dataset.zone)
    if dataset.timestamp_format:
        parsed = _try_strptime(column, dataset.timestamp_format)
        if "%z" in dataset.timestamp_format:
            return parsed
        return _zoned(parsed, dataset.zone)
    text = column.strip()
    has_zone = text.re_search(r"\d{2}:\d{2}.*(Z|[+-]\d{2}:?\d{2})$")
    zoned = text.try_cast(ibis.dtype("timestamp('UTC')")).cast("timestamp")
    return ibis.ifelse(has_zone, zoned, _zoned(text.try_cast("timestamp"), dataset.zone))


def _zoned(naive: ibis.Column, zone: str) -> ibis.Column:
    import ibis

    if zone == "UTC":
        return naive

    in_zone = ibis.udf.scalar.builtin(
        _timezone, name="timezone", signature=(("string", "timestamp"), "timestamp('UTC')")
    )
    return in_zone(zone, naive).cast("timestamp")


def _timezone(zone: str, time: Any) -> Any:
    """Return a local time as an instant: a function of DuckDB and PostgreSQL."""


def _try_strptime(column: ibis.Column, pattern: str) -> ibis.Column:
    import ibis

    parse = ibis.udf.scalar.builtin(
        _parsed, name="try_strptime", signature=(("string", "string"), "timestamp")
    )
    return parse(column, pattern)


def _parsed(text: str, pattern: str) -> Any:
    """Return the time in a text, NULL where there is none: a function of DuckDB."""


def _seconds(time: ibis.Value) -> ibis.Value:
    return time.epoch_seconds().cast("int64")  # which ibis takes for 32 bits


def _number(column: ibis.Column) -> ibis.Column:
    kind = column.type()
    return column.strip().try_cast("float64") if kind.is_string() else column.cast("float64")


def _finite(number: ibis.Value) -> ibis.Value:
    # By comparison, which every database knows; NaN is greater than all numbers or none.
    return number.between(-LARGEST, LARGEST)


@dataclass(frozen=True)
class _Counts:
    rows: int
    used: int
    findings: tuple[Finding, ...]


def _counts(typed: _Typed, dataset: Dataset) -> _Counts:
    table, raw = typed.table, typed.raw
    bad_time = table[AT].isnull()
    sums: dict[str, Any] = {"rows": table.count(), "bad_time": bad_time.sum()}
    for place, measure in enumerate(dataset.measures):
        if measure.column:
            number = table[f"m{place}"]
            sums[f"gone{place}"] = number.isnull().sum()
            sums[f"infinite{place}"] = (~_finite(number)).sum()
            sums[f"negative{place}"] = (number < 0).sum()
    for place in range(len(dataset.dimensions)):
        sums[f"empty{place}"] = (table[f"d{place}"] == "").sum()
    counted = {
        name: int(value or 0)
        for name, value in table.aggregate(**sums).to_pyarrow().to_pylist()[0].items()
    }
    rows = counted["rows"]
    distinct = int(raw.distinct().count().to_pyarrow().as_py())
    found = [
        ("unreadable timestamp", counted["bad_time"], "left out: they belong to no interval"),
        ("duplicate", rows - distinct, "kept: several sales may look alike"),
    ]
    for place, measure in enumerate(dataset.measures):
        if measure.column:
            name = measure.column
            found += [
                (f"{name} is not a number", counted[f"gone{place}"], "left out of this measure"),
                (
                    f"{name} is infinite or NaN",
                    counted[f"infinite{place}"],
                    "left out of this measure",
                ),
                (f"{name} is negative", counted[f"negative{place}"], "kept as they are"),
            ]
    for place, name in enumerate(dataset.dimensions):
        found.append((f"{name} is empty", counted[f"empty{place}"], "kept as a value of its own"))
    example = ""
    if counted["bad_time"]:
        wrong = raw.filter(_time(raw[dataset.timestamp], dataset).isnull())
        cell = wrong[dataset.timestamp].cast("string").first()
        example = str(wrong.aggregate(example=cell).to_pyarrow()["example"][0].as_py())[:80]
    findings = tuple(
        Finding(kind, count, treatment, example if kind == "unreadable timestamp" else "")
        for kind, count, treatment in found
        if count
    )
    return _Counts(rows, rows - counted["bad_time"], findings)


def _nothing(counted: _Counts, dataset: Dataset) -> str:
    if not counted.rows:
        return "There is no row to read."
    example = next((one.example for one in counted.findings if one.example), "")
    wanted = dataset.timestamp_format or "ISO 8601"
    return f"No {dataset.timestamp} could be read as {wanted}, for example {example!r}."


def _window(typed: _Typed, start: datetime | None, end: datetime | None) -> ibis.Table:
    import ibis

    table = typed.table.filter(typed.table[AT].notnull())
    if start is not None:
        table = table.filter(table[AT] >= ibis.literal(start.replace(tzinfo=None), "timestamp"))
    if end is not None:
        table = table.filter(table[AT] < ibis.literal(end.replace(tzinfo=None), "timestamp"))
    return table


def _aggregated(table: ibis.Table, dataset: Dataset, starts: Seconds) -> pa.Table:
    frequency = dataset.frequency
    dimensions = [f"d{place}" for place in range(len(dataset.dimensions))]
    _check_size(table, dataset, dimensions, len(starts))
    seconds = _seconds(table[AT])
    if frequency.is_calendar:
        table = _with_calendar(table, seconds, starts)
    else:
        step = frequency.seconds
        table = table.mutate(**{START: (seconds // step) * step})
    sums: dict[str, Any] = {ROW_COUNT: table.count()}
    for place, measure in enumerate(dataset.measures):
        sums[f"m{place}"] = _aggregate(table, place, measure)
    return table.group_by([START, *dimensions]).aggregate(**sums).to_pyarrow()


def _check_size(
    table: ibis.Table, dataset: Dataset, dimensions: Sequence[str], intervals: int
) -> None:
    if not dimensions:
        return
    counts = table.aggregate(**{name: table[name].nunique() for name in dimensions})
    for name, count in counts.to_pyarrow().to_pylist()[0].items():
        if count > MAX_VALUES:
            dimension = dataset.dimensions[int(name[1:])]
            raise MetricsError(
                f"The dimension {dimension} has {count:,} values; {MAX_VALUES:,} are the most. "
                "Leave it out, or group its values."
            )
    series = int(table.select(*dimensions).distinct().count().to_pyarrow().as_py())
    cells = series * intervals * len(dataset.measures)
    if series > MAX_SERIES or cells > MAX_CELLS:
        raise MetricsError(
            f"That makes {series:,} series over {intervals:,} intervals; {MAX_SERIES:,} series and "
            f"{MAX_CELLS:,} numbers are the most. Leave out a dimension, or choose longer "
            "intervals."
        )


def _with_calendar(table: ibis.Table, seconds: ibis.Column, starts: Seconds) -> ibis.Table:
    import ibis
    import pyarrow as pa

    last = int(starts[-1]) + 32 * 86_400
    buckets = np.arange(int(starts[0]) // BUCKET_S, last // BUCKET_S, dtype=np.int64)
    places = np.searchsorted(starts, buckets * BUCKET_S, side="right") - 1
    calendar = ibis.memtable(pa.table({BUCKET: buckets, START: starts[places]}))
    return table.mutate(**{BUCKET: seconds // BUCKET_S}).inner_join(calendar, BUCKET)


def _aggregate(table: ibis.Table, place: int, measure: Measure) -> Any:
    if not measure.column:
        return table.count().cast("float64")
    number = table[f"m{place}"]
    known = _finite(number)
    aggregate: Callable[[], Any] = {
        Aggregation.SUM: lambda: number.sum(where=known),
        Aggregation.AVG: lambda: number.mean(where=known),
        Aggregation.COUNT: lambda: known.sum().cast("float64"),
        Aggregation.MIN: lambda: number.min(where=known),
        Aggregation.MAX: lambda: number.max(where=known),
        Aggregation.PERCENTILE: lambda: number.quantile(measure.percentile / 100, where=known),
    }[measure.aggregation]
    return aggregate()


def _panel(cells: pa.Table, dataset: Dataset, starts: Seconds, counted: _Counts) -> Panel:
    rows_at = np.searchsorted(starts, cells[START].to_numpy())
    series, places = _series(cells, len(dataset.dimensions))
    shape = (len(starts), len(series))
    counts: NDArray[np.int32] = np.zeros(shape, dtype=np.int32)
    counts[rows_at, places] = cells[ROW_COUNT].to_numpy()
    silent = counts.sum(axis=1) == 0
    values: dict[str, Floats] = {}
    for place, measure in enumerate(dataset.measures):
        matrix: Floats = np.full(shape, np.nan, dtype=np.float32)
        matrix[rows_at, places] = cells[f"m{place}"].to_numpy(zero_copy_only=False)
        if measure.missing is Missing.ZERO and measure.is_additive:
            matrix[(counts == 0) & ~silent[:, None]] = 0.0
        values[measure.name] = matrix
    gaps = tuple(as_datetime(start) for start in starts[silent][:MAX_LISTED])
    quality = DataQuality(counted.rows, counted.used, counted.findings, gaps)
    return Panel(
        dataset.dimensions,
        series,
        starts,
        values,
        counts,
        dataset.frequency,
        dataset.zone,
        quality,
        dataset.holidays,
    )


def _series(cells: pa.Table, dimensions: int) -> tuple[tuple[SeriesKey, ...], NDArray[np.int64]]:
    """Return the combinations of values in their order, and the place of each row's among them."""
    if not dimensions:
        return ((),), np.zeros(cells.num_rows, dtype=np.int64)
    codes = np.zeros(cells.num_rows, dtype=np.int64)
    names: list[list[str]] = []
    for place in range(dimensions):
        encoded = cells[f"d{place}"].combine_chunks().dictionary_encode()
        words = encoded.dictionary.to_pylist()
        order = np.argsort(np.array(words, dtype=object), kind="stable")
        rank = np.empty(len(words), dtype=np.int64)
        rank[order] = np.arange(len(words))
        codes = codes * len(words) + rank[encoded.indices.to_numpy()]
        names.append([words[at] for at in order])
    found, places = np.unique(codes, return_inverse=True)
    keys = []
    for code in found.tolist():
        key: list[str] = []
        for words in reversed(names):
            code, at = divmod(code, len(words))  # noqa: PLW2901 - digit by digit
            key.append(words[at])
        keys.append(tuple(reversed(key)))
    return tuple(keys), places.astype(np.int64)


def _empty(dataset: Dataset, counted: _Counts) -> Panel:
    none: Floats = np.zeros((0, 0), dtype=np.float32)
    return Panel(
        dataset.dimensions,
        (),
        np.zeros(0, dtype=np.int64),
        {measure.name: none for measure in dataset.measures},
        np.zeros((0, 0), dtype=np.int32),
        dataset.frequency,
        dataset.zone,
        DataQuality(counted.rows, counted.used, counted.findings),
        dataset.holidays,
    )
