"""Observations of measures, the graph between them, and the shares of an anomaly. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from lib.metrics.model import SeriesKey

Matrix = NDArray[np.float64]


class CausesError(ValueError):
    """What the data cannot tell; the message says why and what to do."""


@dataclass(frozen=True, eq=False)
class Observations:
    """Measures of several series over the same intervals: `values` is [series, interval, measure].

    NaN where nothing is known. `starts` are UTC seconds; `slots` hold for each interval its place
    in the season (time of the week by local time), by which the season is taken out.
    """

    measures: tuple[str, ...]
    series: tuple[SeriesKey, ...]
    starts: NDArray[np.int64]
    slots: NDArray[np.int64]
    values: Matrix
    dimensions: tuple[str, ...] = ()  # of the series' keys


class Origin(StrEnum):
    """Where an edge or its direction comes from."""

    FOUND = "found"  # by the tests
    USER = "yours"  # forced or directed by the user
    DERIVED = "by definition"  # of a derived measure


@dataclass(frozen=True)
class Edge:
    """One measure that drives another, `lag` intervals later; 0 is within the same interval."""

    cause: str
    effect: str
    lag: int
    strength: float  # standard deviations of the effect for one of the cause, median over series
    p_value: float  # over all series
    share: float  # of the series (0 to 1) that show it at 5 %
    directed: bool = True  # False: the data cannot tell which way
    origin: Origin = Origin.FOUND
    note: str = ""  # such as "mutual: the weaker way was dropped"


@dataclass(frozen=True)
class Knowledge:
    """What the user knows: edges as (cause, effect), an order, and measures made of others."""

    forced: frozenset[tuple[str, str]] = frozenset()
    forbidden: frozenset[tuple[str, str]] = frozenset()
    order: tuple[str, ...] = ()  # earlier ones are never effects of later ones in the same interval
    derived: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # revenue: orders, price


@dataclass(frozen=True)
class Graph:
    """Which measures drive which, and how it was found."""

    measures: tuple[str, ...]
    edges: tuple[Edge, ...]
    lags: int  # tested, by BIC
    method: str
    naive_edges: int  # that tests blind to dependence between series would have reported
    notes: tuple[str, ...] = ()  # sentences: what was dropped, differenced, broken or not testable


@dataclass(frozen=True)
class Share:
    """How much of the anomaly one measure's own disturbance explains."""

    measure: str
    percent: float  # 0 to 100; all shares and the unexplained one sum to 100
    low: float  # of the interval, percent
    high: float
    amount: float  # in the target's unit, signed


@dataclass(frozen=True)
class Effect:
    """A measure downstream of the target, and whether it is off already."""

    measure: str
    lag: int
    z: float  # of its own deviation in the window
    anomalous: bool


@dataclass(frozen=True)
class Attribution:
    """What drove a deviation of the target in a window of intervals."""

    target: str
    observed: float
    expected: float
    shares: tuple[Share, ...]  # of causes, the largest first; the target's own is `unexplained`
    unexplained: Share  # the target's own disturbance: non-configured measures
    counteracting: tuple[Share, ...]  # what pushed the other way; percents of the deviation
    by_value: Mapping[str, tuple[tuple[str, float], ...]]  # by dimension: percents of its values
    effects: tuple[Effect, ...]
    ranking: tuple[tuple[str, float], ...]  # root causes by scores that need no graph
    traversal: tuple[tuple[str, float], ...]  # root causes by scores that need only the graph
    agreement: float  # 0 to 1: how far shares, ranking and traversal name the same measures
    notes: tuple[str, ...] = ()
