"""How documents spread over a number or a date: a histogram whose step suits what is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from lib.search.model import (
    UNITS,
    Attribute,
    AttributeType,
    HistogramRequest,
    HistogramResult,
    SearchEngine,
    SearchRequest,
)

MOST_BUCKETS = 40
LONGEST = dict(zip(UNITS, (366, 92, 31, 7, 1), strict=True))  # days that a unit has at most

_COARSEST = 10**18  # makes fewer than 20 buckets of any numbers
_NICE = (1, 2, 5)
_ORDER = ("", *UNITS)


def distribution(
    engine: SearchEngine, request: SearchRequest, attribute: Attribute, unit: str = ""
) -> HistogramResult:
    """Return the histogram of an attribute over what a request finds, without its hits and facets.

    Without a unit, that of dates is the finest with about 40 buckets, and the step of numbers is
    1, 2 or 5 times a power of ten with as many. Raises `QueryError` where there would be too many
    buckets, and for an attribute that holds strings.
    """
    counting = replace(
        request,
        facets=tuple(facet for facet in request.facets if facet.selected),
        page_size=0,
        sort=(),
        suggest_spelling=False,
    )

    def counted(histogram: HistogramRequest) -> HistogramResult:
        found = engine.query(replace(counting, histograms=(histogram,))).histograms
        return found[0] if found else HistogramResult(attribute.name, ())

    if attribute.type is AttributeType.DATE:
        if unit:
            return counted(HistogramRequest(attribute.name, unit=unit))
        return _refined(counted, HistogramRequest(attribute.name, unit="year"))
    return _refined(counted, HistogramRequest(attribute.name, step=_COARSEST))


def _refined(
    counted: Callable[[HistogramRequest], HistogramResult], asked: HistogramRequest
) -> HistogramResult:
    # The finer the buckets, the better they show where the values begin and end.
    found = counted(asked)
    while found.buckets:
        finer = _suitable(asked, found)
        # Steps do not all divide one another, so a finer one may call for the one before it again.
        if finer.step >= asked.step and _ORDER.index(finer.unit) <= _ORDER.index(asked.unit):
            break
        asked, found = finer, counted(finer)
    return found


def _suitable(asked: HistogramRequest, found: HistogramResult) -> HistogramRequest:
    low, high = found.buckets[0].low, found.buckets[-1].high
    if isinstance(low, datetime) and isinstance(high, datetime):
        fitting = [
            name for name, days in LONGEST.items() if (high - low).days <= MOST_BUCKETS * days
        ]
        return replace(asked, unit=fitting[-1] if fitting else "year")
    return replace(asked, step=_nice_step(int(high) - int(low)))  # type: ignore[arg-type]  # numbers


def _nice_step(spread: int) -> int:
    power = 1
    while True:
        for nice in _NICE:
            if nice * power * MOST_BUCKETS >= spread:
                return nice * power
        power *= 10
