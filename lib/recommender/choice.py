"""The choice among measured configurations: constraints, Pareto front, cost at own traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, inf, isfinite

from lib.recommender.model import Metrics, expected_cost

HOURS = 730  # in a month, as AWS counts
AVERAGE = "average"
LATENCIES = (AVERAGE, "p50", "p95", "p99")


@dataclass(frozen=True)
class Needs:
    """What is asked for; raise ValueError on impossible values.

    `rate` is in invocations per minute, `headroom` the share of capacity kept free, `latency`
    milliseconds at the percentile `at` or on average, `budget` US dollars a month, `quality` the
    least agreement, 0 to 1.
    """

    rate: float
    headroom: float = 0.3
    at: str = AVERAGE
    latency: float | None = None
    budget: float | None = None
    quality: float | None = None

    def __post_init__(self) -> None:
        if not (isfinite(self.rate) and self.rate > 0):
            raise ValueError("The rate must be above 0 invocations per minute.")
        if self.at not in LATENCIES:
            raise ValueError(f"A latency is one of {', '.join(LATENCIES)}.")
        if not 0 <= self.headroom < 1:
            raise ValueError("The headroom must be at least 0 and below 1.")


@dataclass(frozen=True)
class Offer:
    """A configuration at the asked traffic: instances, US dollars a month, and what it misses."""

    metrics: Metrics
    instances: int | None
    monthly: float | None
    misses: tuple[str, ...]


@dataclass(frozen=True)
class Recommendation:
    """The cheapest offer that meets all needs, if any, and the reason in a sentence."""

    offer: Offer | None
    reason: str


def with_price(row: Metrics, usd_per_hour: float) -> Metrics:
    """Return a row that knows no price with this one; others as they are."""
    if row.cost_per_hour is not None or usd_per_hour <= 0:
        return row
    priced = replace(row, cost_per_hour=usd_per_hour)
    return replace(priced, cost_per_inference=expected_cost(priced))


def best_cost(row: Metrics) -> float | None:
    """Return US dollars per inference, computed where it can be, as tables print few digits."""
    cost = expected_cost(row)
    return row.cost_per_inference if cost is None else cost


def latency_at(metrics: Metrics, at: str) -> float | None:
    """Return the latency in milliseconds on average or at a percentile; None where unknown."""
    if at == AVERAGE:
        return metrics.model_latency
    found = {"p50": metrics.p50, "p95": metrics.p95, "p99": metrics.p99}[at]
    return None if found is None else found.value


def offer(metrics: Metrics, needs: Needs) -> Offer:
    """Return what a configuration costs at the needs' traffic; an unknown metric is a miss."""
    instances = monthly = None
    misses = []
    if metrics.max_invocations:
        usable = metrics.max_invocations * (1 - needs.headroom)
        instances = ceil(needs.rate / usable)
        if metrics.cost_per_hour is not None:
            monthly = instances * metrics.cost_per_hour * HOURS
    else:
        misses.append("throughput unknown")
    if monthly is None:
        misses.append("cost unknown")
    limits = (
        ("latency", latency_at(metrics, needs.at), needs.latency, 1),
        ("budget", monthly, needs.budget, 1),
        ("quality", metrics.quality, needs.quality, -1),
    )
    for name, value, limit, sign in limits:
        if limit is None or (name == "budget" and value is None):
            continue
        if value is None:
            misses.append(f"{name} unknown")
        elif sign * value > sign * limit:
            misses.append(name)
    return Offer(metrics, instances, monthly, tuple(misses))


def pareto(rows: Sequence[Metrics]) -> tuple[bool, ...]:
    """Return for each row whether no other is as good in all and better in one respect.

    Respects are cost per inference, latency (lower) and throughput (higher), less what no row
    knows. A row without one that others know is never on the front.
    """
    all_points = [_point(row) for row in rows]
    told = [any(map(isfinite, column)) for column in zip(*all_points, strict=True)]
    points = [tuple(v for v, is_told in zip(p, told, strict=True) if is_told) for p in all_points]
    return tuple(
        bool(mine)
        and all(map(isfinite, mine))
        and not any(_dominates(other, mine) for other in points)
        for mine in points
    )


def _point(row: Metrics) -> tuple[float, float, float]:
    cost, latency, rate = best_cost(row), row.model_latency, row.max_invocations
    return (
        inf if cost is None else cost,
        inf if latency is None else latency,
        inf if rate is None else -rate,
    )


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def latency_differs(one: Metrics, other: Metrics) -> bool | None:
    """Return whether the intervals of latency lie apart; None where one has no interval."""
    if one.latency is None or other.latency is None:
        return None
    return not one.latency.overlaps(other.latency)


def recommend(rows: Sequence[Metrics], needs: Needs) -> Recommendation:
    """Return the cheapest offer that meets all needs; of equal cost, the one of least latency."""
    offers = [offer(row, needs) for row in rows]
    fit = sorted((one for one in offers if not one.misses), key=_rank)
    if not fit:
        missed = sorted({miss for one in offers for miss in one.misses})
        why = f" Missed: {', '.join(missed)}." if missed else ""
        return Recommendation(None, f"None of {len(offers)} configurations meets all needs.{why}")
    best = fit[0]
    count, verb = f"{best.instances} instances", "carry"
    if best.instances == 1:
        count, verb = "1 instance", "carries"
    reason = (
        f"{best.metrics.configuration}: {count} for ${best.monthly:,.0f} a month {verb} "
        f"{needs.rate:,g} invocations a minute with {needs.headroom:.0%} headroom, the cheapest "
        f"of {len(fit)} that meet all needs."
    )
    if len(fit) > 1 and latency_differs(best.metrics, fit[1].metrics) is False:
        reason += f" No significant difference in latency from {fit[1].metrics.configuration}."
    return Recommendation(best, reason)


def price_margin(rows: Sequence[Metrics], needs: Needs) -> tuple[float, str] | None:
    """Return by which share the recommended one's price may rise before another is cheaper.

    With the other's name; None where no two offers meet all needs.
    """
    fit = sorted((one for one in (offer(row, needs) for row in rows) if not one.misses), key=_rank)
    if len(fit) < 2 or not fit[0].monthly or fit[1].monthly is None:  # noqa: PLR2004 - this and another
        return None
    return fit[1].monthly / fit[0].monthly - 1, fit[1].metrics.configuration


def _rank(one: Offer) -> tuple[float, float]:
    latency = one.metrics.model_latency
    return (inf if one.monthly is None else one.monthly, inf if latency is None else latency)
