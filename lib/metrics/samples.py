"""A made-up shop as sample data: five measures of a funnel, five dimensions, documented incidents.

Every hour is a pure function of its time and the seed, so the shop goes on for as long as somebody
looks, and two machines see the same. Nothing in it was measured anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lib.metrics.model import Aggregation, Dataset, Frequency, Measure, MetricsError, Unit

if TYPE_CHECKING:
    import pyarrow as pa

SHOP = "shop"
SEED = 20_220_525
HISTORY_DAYS = 90
HOUR = 3_600
INCIDENT_EVERY_DAYS = 3
MAX_HOURS = 24 * 400

VALUES: Mapping[str, Mapping[str, float]] = {  # each with its share of the visits
    "marketplace": {"US": 0.34, "UK": 0.18, "DE": 0.16, "JP": 0.14, "CA": 0.1, "MX": 0.08},
    "category": {"fashion": 0.45, "electronics": 0.35, "jewellery": 0.2},
    "seller": {"self": 0.6, "thirdParty": 0.4},
    "tier": {"regular": 0.7, "premium": 0.3},
    "shipping": {"priority": 0.65, "overnight": 0.35},
}
MEASURES = ("visits", "clicks", "orders", "revenue", "returns")
VISITS_PER_HOUR = 60_000
CLOCK = {"US": -5, "UK": 0, "DE": 1, "JP": 9, "CA": -5, "MX": -6}  # hours from UTC
PRICES = {"fashion": 45.0, "electronics": 210.0, "jewellery": 130.0}
CLICK_RATE, ORDER_RATE, RETURN_RATE = 0.32, 0.07, 0.06
PRICE_SHAPE = 2.5  # of the gamma distribution of one order's price
SHARED_NOISE = 0.02  # of all series of a marketplace, so that series depend on each other

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Incident:
    """Something that went wrong in the shop: where, for how long, and by what factor."""

    sentence: str
    step: str  # of the funnel, whose rate is multiplied; empty: no data arrive
    factor: float
    where: Mapping[str, str]
    hours: int
    measures: tuple[str, ...]  # that move with it, the first of them most directly


CATALOGUE = (
    Incident(
        "The checkout for electronics in the US refuses most cards.",
        "orders", 0.3, {"marketplace": "US", "category": "electronics"}, 5,
        ("orders", "revenue", "returns"),
    ),
    Incident(
        "The advertising in Germany is paused by mistake.",
        "visits", 0.45, {"marketplace": "DE"}, 8,
        ("visits", "clicks", "orders", "revenue", "returns"),
    ),
    Incident(
        "Jewellery in Japan is priced at a tenth.",
        "revenue", 0.1, {"marketplace": "JP", "category": "jewellery"}, 6, ("revenue",),
    ),
    Incident("No data arrive from the shop.", "", 0.0, {}, 3, ()),
    Incident(
        "A bot clicks through the offers of third-party sellers in Mexico.",
        "clicks", 2.6, {"marketplace": "MX", "seller": "thirdParty"}, 4, ("clicks",),
    ),
    Incident(
        "Overnight shipments in Canada arrive broken and come back.",
        "returns", 7.0, {"marketplace": "CA", "shipping": "overnight"}, 10, ("returns",),
    ),
    Incident(
        "A television programme in the UK sends visitors to fashion.",
        "visits", 2.2, {"marketplace": "UK", "category": "fashion"}, 3,
        ("visits", "clicks", "orders", "revenue", "returns"),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Occurrence:
    """An incident at its time, `end` exclusive, UTC."""

    incident: Incident
    start: datetime
    end: datetime


def shop_dataset() -> Dataset:
    """Return the shop as a dataset: hourly sums by all five dimensions."""
    return Dataset(
        source={"kind": "sample", "name": SHOP},
        timestamp="time",
        measures=tuple(Measure(name, name, Aggregation.SUM) for name in MEASURES),
        dimensions=tuple(VALUES),
        frequency=Frequency(1, Unit.HOUR),
    )


def occurrences(start: datetime, end: datetime) -> tuple[Occurrence, ...]:
    """Return the incidents that touch a span of time, in order: the labels of the sample."""
    found = []
    first = int(start.timestamp()) // 86_400 - 1
    for day in range(first, int(end.timestamp()) // 86_400 + 1):
        if day % INCIDENT_EVERY_DAYS:
            continue
        number = day // INCIDENT_EVERY_DAYS
        incident = CATALOGUE[number % len(CATALOGUE)]
        begin = datetime.fromtimestamp(day * 86_400, UTC) + timedelta(hours=number * 7 % 24)
        finish = begin + timedelta(hours=incident.hours)
        if begin < end and finish > start:
            found.append(Occurrence(incident, begin, finish))
    return tuple(found)


def shop_rows(start: datetime, end: datetime, seed: int = SEED) -> pa.Table:
    """Return the shop's rows of the hours from `start` to `end`, exclusive.

    Columns: time, the five dimensions, the five measures. Raises `MetricsError` over 400 days.
    """
    import pyarrow as pa

    first, last = (int(time.timestamp()) // HOUR for time in (start, end))
    if last - first > MAX_HOURS:
        raise MetricsError(f"The sample has at most {MAX_HOURS // 24} days at a time.")
    keys = list(product(*VALUES.values()))
    happened = occurrences(start, end)
    hours = [hour for hour in range(first, last) if not _silent(happened, hour)]
    amounts = [_hour(hour, keys, happened, seed) for hour in hours]
    columns: dict[str, object] = {
        "time": np.repeat(np.array(hours, dtype=np.int64) * HOUR, len(keys)).astype("datetime64[s]")
    }
    for place, name in enumerate(VALUES):
        columns[name] = [key[place] for key in keys] * len(hours)
    for place, name in enumerate(MEASURES):
        columns[name] = np.concatenate([one[place] for one in amounts]) if amounts else np.zeros(0)
    return pa.table(columns)


def _hour(
    hour: int, keys: list[tuple[str, ...]], happened: tuple[Occurrence, ...], seed: int
) -> tuple[Counts, ...]:
    random = np.random.default_rng((seed, hour))
    shares, prices, market, clock = _constants()
    factors = _factors(hour, keys, happened)
    shared = random.lognormal(0.0, SHARED_NOISE, len(CLOCK))[market]
    season = _season(hour + clock) * shared
    visits = random.poisson(VISITS_PER_HOUR * shares * season * factors["visits"])
    clicks = random.binomial(visits, np.minimum(CLICK_RATE * factors["clicks"], 1.0))
    orders = random.binomial(clicks, np.minimum(ORDER_RATE * factors["orders"], 1.0))
    scale = prices * factors["revenue"] / PRICE_SHAPE
    revenue = np.round(random.gamma(orders * PRICE_SHAPE + 1e-9, scale), 2)
    returns = random.binomial(orders, np.minimum(RETURN_RATE * factors["returns"], 1.0))
    return tuple(amount.astype(np.float64) for amount in (visits, clicks, orders, revenue, returns))


@cache
def _constants() -> tuple[Counts, Counts, NDArray[np.int64], NDArray[np.int64]]:
    # For each series its share of the visits, price, place of its marketplace and local time.
    keys = list(product(*VALUES.values()))
    shares = [
        np.prod([VALUES[name][value] for name, value in zip(VALUES, key, strict=True)])
        for key in keys
    ]
    prices = [PRICES[key[1]] for key in keys]
    market = [list(CLOCK).index(key[0]) for key in keys]
    clock = [CLOCK[key[0]] for key in keys]
    return np.array(shares), np.array(prices), np.array(market), np.array(clock)


def _season(local: NDArray[np.int64]) -> Counts:
    hour, turn = local % 24, 2 * np.pi
    day = 1.0 + 0.65 * np.sin((hour - 9) / 24 * turn) + 0.15 * np.sin((hour - 3) / 12 * turn)
    weekday = (local // 24 + 3) % 7  # 1970-01-01 was a Thursday
    week = np.array([1.0, 0.97, 0.98, 1.0, 1.06, 1.22, 1.18])[weekday]
    year = 1.0 + 0.1 * np.sin(local / (24 * 365) * turn)
    season: Counts = day * week * year
    return season


def _factors(
    hour: int, keys: list[tuple[str, ...]], happened: tuple[Occurrence, ...]
) -> dict[str, Counts]:
    factors = {name: np.ones(len(keys)) for name in MEASURES}
    names = list(VALUES)
    for one in happened:
        if one.incident.step and _touches(one, hour):
            hit = [
                all(key[names.index(name)] == value for name, value in one.incident.where.items())
                for key in keys
            ]
            factors[one.incident.step][hit] *= one.incident.factor
    return factors


def _silent(happened: tuple[Occurrence, ...], hour: int) -> bool:
    return any(not one.incident.step and _touches(one, hour) for one in happened)


def _touches(one: Occurrence, hour: int) -> bool:
    return one.start.timestamp() <= hour * HOUR < one.end.timestamp()
