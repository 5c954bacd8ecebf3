"""What a load test measured of one configuration, in the terms of SageMaker Inference Recommender.

The service's fields and units: `RecommendationMetrics` of
`DescribeInferenceRecommendationsJob`; invocations are per minute, latencies milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from math import isfinite

MINUTES = 60  # in an hour
SINGLE = 1e-6  # relative; the service computes in single precision


class Origin(StrEnum):
    """Where a row comes from; a local one never stands for an instance type."""

    AWS = "aws"
    IMPORTED = "imported"
    LOCAL = "local"


@dataclass(frozen=True)
class Interval:
    """A confidence interval; raise ValueError where it is none."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (isfinite(self.low) and isfinite(self.high) and self.low <= self.high):
            raise ValueError("An interval needs two finite bounds, the lower one first.")

    def overlaps(self, other: Interval) -> bool:
        """Return whether the two share a value."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class Percentile:
    """A percentile and its distribution-free confidence interval, in the unit of the samples.

    `low` and `high` are None where the samples are too few to bound it.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Metrics:
    """One row of the table; None is what was not measured. Raise ValueError on impossible values.

    `latency` is the interval of `model_latency`, where repeats gave one. `quality` is the share
    of answers equal to those of the reference, 0 to 1. `p50`, `p95` and `p99` are milliseconds from
    the intended time of a request to its answer, `cpu_milliseconds` is processor time for each
    inference, `peak_memory` megabytes, `price_date` the ISO date of the price behind the costs.
    """

    configuration: str
    origin: Origin
    cost_per_hour: float | None = None
    cost_per_inference: float | None = None
    max_invocations: float | None = None
    model_latency: float | None = None
    cpu_utilization: float | None = None
    memory_utilization: float | None = None
    model_setup_time: float | None = None
    latency: Interval | None = None
    quality: float | None = None
    p50: Percentile | None = None
    p95: Percentile | None = None
    p99: Percentile | None = None
    cpu_milliseconds: float | None = None
    peak_memory: float | None = None
    price_date: str = ""
    environment: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.configuration.strip():
            raise ValueError("A row needs an instance type or the name of a configuration.")
        for name in NUMBERS:
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and value >= 0):
                raise ValueError(f"{name} of {self.configuration} is {value}, not an amount.")
        if self.quality is not None and not 0 <= self.quality <= 1:
            raise ValueError(f"quality of {self.configuration} is not between 0 and 1.")
        if self.origin is Origin.LOCAL and self.configuration.startswith("ml."):
            raise ValueError("A local test does not measure an instance type.")


NUMBERS = (
    "cost_per_hour",
    "cost_per_inference",
    "max_invocations",
    "model_latency",
    "cpu_utilization",
    "memory_utilization",
    "model_setup_time",
    "cpu_milliseconds",
    "peak_memory",
)


def expected_cost(metrics: Metrics) -> float | None:
    """Return US dollars per inference at full load, price / (60 x rate); None where unknown."""
    if metrics.cost_per_hour is None or not metrics.max_invocations:
        return None
    return metrics.cost_per_hour / (MINUTES * metrics.max_invocations)


def identity_holds(metrics: Metrics) -> bool | None:
    """Return whether CostPerInference = CostPerHour / (60 x MaxInvocations) up to rounding.

    Rounding is half a unit of the last printed digit of the cost, and half an invocation. None
    where one of the three is unknown.
    """
    expected = expected_cost(metrics)
    if expected is None or metrics.cost_per_inference is None or not metrics.max_invocations:
        return None
    exponent = Decimal(repr(metrics.cost_per_inference)).as_tuple().exponent
    digit = 10.0**exponent if isinstance(exponent, int) else 0.0
    slack = digit / 2 + expected * (0.5 / metrics.max_invocations + SINGLE)
    return abs(metrics.cost_per_inference - expected) <= slack
