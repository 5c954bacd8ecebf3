"""Histograms: documents by equal steps of a number or by calendar unit of a date, in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from lib.search import kernels
from lib.search.columns import Snapshot, frozen
from lib.search.filters import Docs, attribute_of
from lib.search.model import (
    UNITS,
    AttributeType,
    Bucket,
    HistogramRequest,
    HistogramResult,
    QueryError,
)

MAX_BUCKETS = 10_000

_DAY = 86_400_000_000
_QUARTER = 3
_EPOCH_MONDAY = -3  # 29 December 1969
_LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


def count_histogram(
    snapshot: Snapshot, request: HistogramRequest, docs_by_segment: Sequence[Docs]
) -> HistogramResult:
    """Return the buckets from the smallest to the largest value of the documents.

    Weeks begin on Monday. Raises `QueryError` for a wrong attribute, unit or step, and for more
    than 10,000 buckets.
    """
    kind = attribute_of(snapshot, request.attribute).type
    if kind is AttributeType.DATE and request.unit not in UNITS:
        raise QueryError(
            f"A histogram of the date “{request.attribute}” needs a unit: {', '.join(UNITS)}."
        )
    if kind is AttributeType.LONG and request.step < 1:
        raise QueryError(f"A histogram of the number “{request.attribute}” needs a step above 0.")
    if kind not in (AttributeType.DATE, AttributeType.LONG):
        raise QueryError(
            f"A histogram needs a number or a date, and “{request.attribute}” holds strings."
        )
    extremes = _extremes(snapshot, request.attribute, docs_by_segment)
    if extremes is None:
        return HistogramResult(request.attribute, ())
    step = _DAY if kind is AttributeType.DATE else request.step
    first, last = extremes[0] // step, extremes[1] // step
    if kind is AttributeType.DATE:
        bucket_of, bounds = _calendar(first, last, request.unit)
    else:
        _refuse_too_many(last - first + 1)
        bucket_of = np.arange(last - first + 1, dtype=np.uint32)
        bounds = [number * step for number in range(first, last + 2)]
    counts = np.zeros(len(bounds) - 1, np.uint32)
    for segment, docs in zip(snapshot.segments, docs_by_segment, strict=True):
        column = snapshot.numbers(segment, request.attribute)
        kernels.count_steps(
            docs, column.values, column.present, first, step, frozen(bucket_of), counts
        )
    buckets = zip(bounds, bounds[1:], counts.tolist(), strict=False)
    return HistogramResult(request.attribute, tuple(Bucket(*bucket) for bucket in buckets))


def _extremes(
    snapshot: Snapshot, name: str, docs_by_segment: Sequence[Docs]
) -> tuple[int, int] | None:
    found: list[int] = []
    out = np.empty(2, np.int64)
    for segment, docs in zip(snapshot.segments, docs_by_segment, strict=True):
        column = snapshot.numbers(segment, name)
        if kernels.extremes(docs, column.values, column.present, out):
            found += out.tolist()
    return (min(found), max(found)) if found else None


def _refuse_too_many(buckets: int) -> None:
    if buckets > MAX_BUCKETS:
        raise QueryError(
            f"The histogram would have {buckets:,} buckets; the limit is {MAX_BUCKETS:,}. "
            "Choose a larger step or unit."
        )


def _calendar(
    first: int, last: int, unit: str
) -> tuple[npt.NDArray[np.uint32], list[int | datetime]]:
    # The bucket of each day from the first to the last, and where the buckets begin and end.
    days = np.arange(first, last + 1)
    if unit in ("day", "week"):
        length, origin = (1, 0) if unit == "day" else (7, _EPOCH_MONDAY)
        numbers = (days - origin) // length
        starts = np.arange(numbers[0], numbers[-1] + 2) * length + origin
    else:
        months = days.astype("M8[D]").astype("M8[M]").astype(np.int64)
        length = {"month": 1, "quarter": _QUARTER, "year": 12}[unit]
        numbers = months // length
        of_months = np.arange(numbers[0], numbers[-1] + 2) * length
        starts = of_months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    _refuse_too_many(len(starts) - 1)
    return (numbers - numbers[0]).astype(np.uint32), [_moment(int(day)) for day in starts]


def _moment(day: int) -> datetime:
    try:
        return datetime.fromordinal(day + datetime(1970, 1, 1, tzinfo=UTC).toordinal()).replace(
            tzinfo=UTC
        )
    except (ValueError, OverflowError):  # a bucket that ends after the year 9999
        return _LAST_MOMENT
