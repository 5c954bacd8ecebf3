"""What a detector watches, and what it finds. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

MAX_NAME_CHARACTERS = 63  # of detectors and alerts, as in Lookout for Metrics
MAX_DESCRIPTION_CHARACTERS = 256
MAX_COUNT = 1_000  # of units in an interval
LEAST_LEARNT, MOST_LEARNT = 0.1, 0.95
MAX_SERIES_KEPT = 1_000  # with a group; `series_count` counts all

Floats = NDArray[np.float32]
SeriesKey = tuple[str | None, ...]  # a value for each dimension; None stands for all its values


class MetricsError(ValueError):
    """A dataset, detector or alert that cannot be; the message says why and what to do."""


class Unit(StrEnum):
    """The unit of a frequency, by its letter in ISO 8601 (minutes are "TM", as months are "M")."""

    SECOND = "TS"
    MINUTE = "TM"
    HOUR = "TH"
    DAY = "D"
    WEEK = "W"
    MONTH = "M"


@dataclass(frozen=True)
class Frequency:
    """How long an interval is: "PT5M", "PT1H", "P1D", "P1W". From days on by the local calendar."""

    count: int
    unit: Unit

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_COUNT:
            raise MetricsError(f"An interval is between 1 and {MAX_COUNT:,} of its unit.")

    @property
    def iso(self) -> str:
        """Return the frequency as an ISO 8601 duration."""
        return f"P{self.unit[:-1]}{self.count}{self.unit[-1]}"

    @property
    def is_calendar(self) -> bool:
        """Tell whether intervals begin at local midnight, so that some are longer than others."""
        return self.unit in {Unit.DAY, Unit.WEEK, Unit.MONTH}

    @property
    def seconds(self) -> int:
        """Return the length of an interval; for months that of 30 days."""
        lengths = {
            Unit.SECOND: 1,
            Unit.MINUTE: 60,
            Unit.HOUR: 3_600,
            Unit.DAY: 86_400,
            Unit.WEEK: 7 * 86_400,
            Unit.MONTH: 30 * 86_400,
        }
        return self.count * lengths[self.unit]


class Aggregation(StrEnum):
    """How the rows of one series and interval become one value."""

    SUM = "SUM"
    AVG = "AVG"
    COUNT = "COUNT"
    MIN = "MIN"
    MAX = "MAX"
    PERCENTILE = "PERCENTILE"


class Missing(StrEnum):
    """What an interval in which a series has no row means, where other series have some."""

    ZERO = "zero"  # nothing was sold
    GAP = "gap"  # nothing is known


@dataclass(frozen=True)
class Measure:
    """One number to watch: a column, and how it is aggregated over an interval."""

    name: str
    column: str  # empty for COUNT of rows
    aggregation: Aggregation = Aggregation.SUM
    percentile: float = 50.0  # for PERCENTILE, over 0 and under 100
    missing: Missing = Missing.ZERO

    @property
    def is_additive(self) -> bool:
        """Tell whether the values of several series add up to that of all of them."""
        return self.aggregation in {Aggregation.SUM, Aggregation.COUNT}


class SourceKind(StrEnum):
    """Where rows come from."""

    UPLOAD = "upload"
    FOLDER = "folder"
    BUCKET = "s3"
    SQL = "sql"
    SAMPLE = "sample"


@dataclass(frozen=True)
class Dataset:
    """Rows to watch: where they are, what their columns mean, and how they become series.

    `source` holds its "kind" and what that kind needs, for example {"kind": "folder", "path": ...}.
    """

    source: Mapping[str, str]
    timestamp: str  # the column
    measures: tuple[Measure, ...]
    dimensions: tuple[str, ...] = ()
    frequency: Frequency = Frequency(1, Unit.HOUR)
    timestamp_format: str = ""  # strptime's; empty means ISO 8601; "s" and "ms" since 1970
    zone: str = "UTC"  # IANA; of timestamps without one, and of the calendar
    offset_s: int = 0  # how long to wait for late rows after an interval has ended
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # values kept, by column
    holidays: str = ""  # ISO 3166 country whose public holidays are no usual days; empty: none
    learnt_share: float = 0.7  # of the history, before the first interval that is looked at

    def __post_init__(self) -> None:
        if not LEAST_LEARNT <= self.learnt_share <= MOST_LEARNT:
            raise MetricsError(
                f"Between {LEAST_LEARNT:.0%} and {MOST_LEARNT:.0%} of the history can be learnt "
                "from before the rest is looked at."
            )


@dataclass(frozen=True)
class DataQuality:
    """What was odd about the rows that were read; nothing is dropped without being counted."""

    rows: int = 0
    used: int = 0
    findings: tuple[Finding, ...] = ()
    missing_intervals: tuple[datetime, ...] = ()  # starts of intervals without any row


@dataclass(frozen=True)
class Finding:
    """One kind of oddity: how many rows, what was done about them, and an example."""

    kind: str  # "unreadable timestamp", "not a number", "infinite", "duplicate", ...
    rows: int
    treatment: str  # a sentence: what became of them
    example: str = ""


@dataclass(frozen=True, eq=False)
class Panel:
    """Series over the same intervals, time-major: row t of a matrix holds all series at t.

    `amounts` holds for each measure a matrix [intervals, series] in the measure's unit; NaN where
    nothing is known. `rows` counts the rows behind each cell. Intervals have no gaps.
    """

    dimensions: tuple[str, ...]
    series: tuple[SeriesKey, ...]
    starts: NDArray[np.int64]  # UTC, seconds since 1970
    amounts: Mapping[str, Floats]
    rows: NDArray[np.int32]
    frequency: Frequency
    zone: str = "UTC"
    quality: DataQuality = DataQuality()
    holidays: str = ""  # country, as in the dataset


@dataclass(frozen=True, eq=False)
class Scores:
    """What was expected of each series and how far off it was, [intervals, series], time-major.

    `z` is signed and in robust standard deviations of the series' own one-step errors, in the
    scale in which the band was learnt; NaN where nothing was observed or expected. `lower` and
    `upper` hold what lies within three of them, in the measure's unit.
    """

    expected: Floats
    lower: Floats
    upper: Floats
    z: Floats


class Direction(StrEnum):
    """Which way the values went."""

    SPIKE = "spike"
    DIP = "dip"
    BOTH = "both"


class GroupKind(StrEnum):
    """What kind of event a group is."""

    ANOMALY = "anomaly"
    MISSING_DATA = "missing data"


@dataclass(frozen=True)
class AffectedSeries:
    """One series of an anomaly group, in the group's worst interval; amounts in its unit."""

    key: SeriesKey
    observed: float
    expected: float
    lower: float
    upper: float
    z: float
    p_value: float


@dataclass(frozen=True)
class DimensionContribution:
    """How the deviation is shared among the values of a dimension: percents that sum to 100."""

    dimension: str
    values: tuple[tuple[str, float], ...]  # the largest first


@dataclass(frozen=True)
class Localisation:
    """A combination of dimension values that explains a share (0 to 1) of the deviation."""

    values: Mapping[str, str]
    share: float


@dataclass(frozen=True)
class AnomalyGroup:
    """One event: a measure that behaves unlike what was expected, over all affected series."""

    id: str
    detector: str  # its id
    measure: str
    start: datetime  # of the first interval, UTC
    end: datetime  # of the last interval, exclusive
    severity: float  # 0 to 100
    direction: Direction
    observed: float  # over all series for additive measures, else their mean; worst interval
    expected: float
    series: tuple[AffectedSeries, ...]  # the most deviating first; at most `MAX_SERIES_KEPT`
    series_count: int
    contributions: tuple[DimensionContribution, ...] = ()
    causes: tuple[Localisation, ...] = ()
    kind: GroupKind = GroupKind.ANOMALY
    worst: datetime | None = None  # start of the interval that `series` describes


class DetectorState(StrEnum):
    """Where a detector stands."""

    BACKTEST = "backtest"  # looks back only
    LEARNING = "learning"  # continuous; not enough history yet
    ACTIVE = "active"
    PAUSED = "paused"
    FAILED = "failed"


@dataclass(frozen=True)
class Detector:
    """A dataset that is watched. Its id is never used again; its name is unique."""

    id: str
    name: str
    dataset: Dataset
    state: DetectorState
    description: str = ""
    created_by: str = ""
    created_at: datetime | None = None
    problem: str = ""  # a sentence on why the last run failed
