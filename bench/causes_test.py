"""Size, power and discovery of the tests for causes, and the funnel that acts within an interval.

Size and power: two measures of N series over T intervals, autoregressive with coefficients of 0.3
to 0.7, whose errors share a factor (rho of their variance). The figures beside ours are those of
1,000 replications with the same designs and rules written apart from this code; within three
binomial standard errors is met. Funnels: visits, clicks, orders and revenue of 60 series over 14
days at 5 minutes, as counts, and a measure that has nothing to do with them; three edges are true.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from bench.result import Row
from lib.causes.aggregation import RULES, fisher
from lib.causes.discovery import discover
from lib.causes.granger import fit
from lib.causes.model import Knowledge, Matrix
from tests.causes.funnels import counted

SEED = 3
LEVEL = 0.05
REPLICATIONS, QUICK_REPLICATIONS = 1_000, 150
SIZES = {  # N, T, rho: how often each rule reports an edge where there is none
    (10, 200, 0.0): {"adaptive": 0.015, "simes": 0.055, "cauchy": 0.049},
    (10, 200, 0.6): {"adaptive": 0.010, "simes": 0.053, "cauchy": 0.065},
    (50, 200, 0.6): {"adaptive": 0.001, "simes": 0.044, "cauchy": 0.065},
    (50, 200, 0.9): {"adaptive": 0.003, "simes": 0.023, "cauchy": 0.062},
}
POWERS = {  # N, T, beta, share of the series with the effect, at rho 0.6
    (50, 200, 0.2, 1.0): {"adaptive": 0.982, "simes": 0.996, "cauchy": 0.999},
    (50, 200, 0.2, 0.2): {"adaptive": 0.710, "simes": 0.964, "cauchy": 0.981},
}
DAY = 288
FUNNEL = ("visits", "clicks", "orders", "revenue")
TRUE = {("visits", "clicks"), ("clicks", "orders"), ("orders", "revenue")}
MOST_FALSE = 1


def run(quick: bool) -> list[Row]:  # noqa: FBT001  # what bench.__main__ calls
    """Return rates of rejection against the table, and edges of funnels."""
    count = QUICK_REPLICATIONS if quick else REPLICATIONS
    random = np.random.default_rng(SEED)
    rows = []
    for (series, intervals, rho), wanted in SIZES.items():
        case = f"size, {series} series of {intervals}, rho {rho}"
        rows += _rate_rows(case, (series, intervals, rho, 0.0, 0.0), wanted, (random, count))
    for (series, intervals, beta, share), wanted in POWERS.items():
        case = f"power, {series} series of {intervals}, {beta} in {share:.0%}"
        rows += _rate_rows(case, (series, intervals, 0.6, beta, share), wanted, (random, count))
    for persistence in (0.0, 0.3, 0.8):
        rows += _funnel_rows(persistence, series=15 if quick else 60)
    return rows


def _rate_rows(
    case: str,
    design: tuple[int, int, float, float, float],
    wanted: dict[str, float],
    draws: tuple[np.random.Generator, int],
) -> list[Row]:
    random, count = draws
    hits = dict.fromkeys(wanted, 0)
    blind = 0
    for _ in range(count):
        p_values = fit(_panel(random, design), 1).p_values[:, 0, 1]
        for rule in wanted:
            hits[rule] += bool(RULES[rule](p_values[:, None])[0] < LEVEL)
        blind += bool(fisher(p_values[:, None])[0] < LEVEL)
    rows = []
    for rule, rate in wanted.items():
        found = hits[rule] / count
        error = sqrt(max(rate * (1 - rate), 1e-3) * (1 / count + 1 / REPLICATIONS))
        peers = {"table": rate, "Fisher": blind / count}
        met = abs(found - rate) <= 3 * error
        rows.append(Row(case, rule, "0 to 1", "lower", found, peers, "table +- 3 errors", met))
    return rows


def _panel(random: np.random.Generator, design: tuple[int, int, float, float, float]) -> Matrix:
    series, intervals, rho, beta, share = design
    slopes = random.uniform(0.3, 0.7, (series, 2))
    hit = np.arange(series) < round(share * series)
    shared = random.normal(size=(1, intervals + 50, 2))
    own = random.normal(size=(series, intervals + 50, 2))
    errors = np.sqrt(rho) * shared + np.sqrt(1 - rho) * own
    values = np.zeros_like(errors)
    for at in range(1, intervals + 50):
        values[:, at] = slopes * values[:, at - 1] + errors[:, at]
        values[:, at, 1] += beta * hit * values[:, at - 1, 0]
    panel: Matrix = values[:, 50:]
    return panel


def _funnel_rows(persistence: float, series: int) -> list[Row]:
    observations = counted(persistence, series=series, days=14, seed=SEED)
    rows = []
    for name, knowledge in (
        ("alone", Knowledge()),
        ("with their order known", Knowledge(order=FUNNEL)),
    ):
        graph = discover(observations, knowledge).graph
        found = {(one.cause, one.effect) for one in graph.edges}
        either = {frozenset(pair) for pair in TRUE}
        right = len({frozenset(pair) for pair in found} & either)
        wrong = len(
            {
                (one.cause, one.effect)
                for one in graph.edges
                if frozenset((one.cause, one.effect)) not in either
                or (one.directed and (one.cause, one.effect) not in TRUE)
            }
        )
        case = f"funnel {name}, shocks that stay {persistence}"
        rows += [
            Row(case, "true edges of 3", "edges", "higher", right, {}, "3", right == len(TRUE)),
            Row(case, "false edges", "edges", "lower", wrong,
                {"blind to dependence, over intervals": graph.naive_edges},
                f"<= {MOST_FALSE}", wrong <= MOST_FALSE),
        ]  # fmt: skip
    return rows
