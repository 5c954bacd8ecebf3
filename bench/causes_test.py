"""Size, power and discovery of the tests for causes, and the funnel that acts within an interval.

Size and power: two measures of N series over T intervals, autoregressive with coefficients of 0.3
to 0.7, whose errors share a factor (rho of their variance). The figures beside ours are those of
1,000 replications with the same designs and rules written apart from this code; within three
binomial standard errors is met. Discovery: random graphs of eight measures whose edges act one
interval later. Funnels: visits, clicks, orders and revenue of 60 series over 14
days at 5 minutes, as counts, and a measure that has nothing to do with them; three edges are true.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.result import Row
from lib.causes.aggregation import RULES, fisher
from lib.causes.discovery import discover
from lib.causes.granger import fit
from lib.causes.model import Knowledge, Matrix
from tests.causes.funnels import counted

Cell = tuple[str, int, int, float, float, float]

SEED = 3
LEVEL = 0.05
REPLICATIONS, QUICK_REPLICATIONS = 1_000, 150
TABLE = Path(__file__).with_name("granger_size_power.csv")
QUICK_CELLS = {  # kind, series, intervals, beta, rho, share
    ("size", 10, 200, 0.0, 0.0, 1.0),
    ("size", 10, 200, 0.0, 0.6, 1.0),
    ("size", 50, 200, 0.0, 0.6, 1.0),
    ("size", 50, 200, 0.0, 0.9, 1.0),
    ("power", 50, 200, 0.2, 0.6, 1.0),
    ("power", 50, 200, 0.2, 0.6, 0.2),
}
GRAPHS, QUICK_GRAPHS = 100, 20
GRAPH_MEASURES, EDGE_CHANCE, EFFECT = 8, 0.15, 0.25
DESIGNS = ((30, 150, 0.0), (30, 150, 0.6), (30, 600, 0.6), (100, 600, 0.9))  # N, T, rho
MOST_FDR, LEAST_TPR = 0.06, 0.94
DAY = 288
FUNNEL = ("visits", "clicks", "orders", "revenue")
TRUE = {("visits", "clicks"), ("clicks", "orders"), ("orders", "revenue")}
MOST_FALSE = 1


def run(quick: bool) -> list[Row]:  # noqa: FBT001  # what bench.__main__ calls
    """Return rates of rejection against the table, and edges of funnels."""
    count = QUICK_REPLICATIONS if quick else REPLICATIONS
    random = np.random.default_rng(SEED)
    rows = []
    for cell, wanted in _table():
        if quick and cell not in QUICK_CELLS:
            continue
        kind, series, intervals, beta, rho, share = cell
        case = f"{kind}, {series} series of {intervals}, rho {rho:g}"
        if kind == "power":
            case += f", {beta:g} in {share:.0%}"
        rows += _rate_rows(case, (series, intervals, rho, beta, share), wanted, (random, count))
    for design in DESIGNS[: 2 if quick else None]:
        rows += _graph_rows(design, random, QUICK_GRAPHS if quick else GRAPHS)
    for persistence in (0.0, 0.3, 0.8):
        rows += _funnel_rows(persistence, series=15 if quick else 60)
    return rows


def _table() -> Iterator[tuple[Cell, dict[str, float]]]:
    """Yield each cell of the independent table: its design, and the rate of each rule."""
    with TABLE.open(newline="") as file:
        for line in csv.DictReader(file):
            beta, rho, share = (float(line[name]) for name in ("beta", "rho", "share"))
            cell = (line["kind"], int(line["series"]), int(line["intervals"]), beta, rho, share)
            yield cell, {name: float(line[name]) for name in ("adaptive", "simes", "cauchy")}


def _graph_rows(
    design: tuple[int, int, float], random: np.random.Generator, count: int
) -> list[Row]:
    """Return false discoveries and found edges over random graphs, ours and Fisher's."""
    series, intervals, rho = design
    rates = {"adaptive": [0, 0], "Fisher": [0, 0]}  # false, right
    edges = 0
    for _ in range(count):
        true, values = _random_graph(random, design)
        edges += int(true.sum())
        p_values = fit(values, 1).p_values
        for name, rule in (("adaptive", RULES["adaptive"]), ("Fisher", fisher)):
            found = rule(p_values) < LEVEL
            np.fill_diagonal(found, val=False)
            rates[name][0] += int((found & ~true).sum())
            rates[name][1] += int((found & true).sum())
    case = f"{count} graphs of {GRAPH_MEASURES}, {series} series of {intervals}, rho {rho:g}"
    fdr = {name: wrong / max(wrong + right, 1) for name, (wrong, right) in rates.items()}
    tpr = {name: right / edges for name, (_, right) in rates.items()}
    return [
        Row(case, "false of the found edges", "share", "lower", fdr["adaptive"],
            {"Fisher": fdr["Fisher"]}, f"<= {MOST_FDR}", fdr["adaptive"] <= MOST_FDR),
        Row(case, "true edges found", "share", "higher", tpr["adaptive"],
            {"Fisher": tpr["Fisher"]}, f">= {LEAST_TPR}", tpr["adaptive"] >= LEAST_TPR),
    ]  # fmt: skip


def _random_graph(
    random: np.random.Generator, design: tuple[int, int, float]
) -> tuple[NDArray[np.bool_], Matrix]:
    """Return true edges [cause, effect] one interval apart, and series that follow them."""
    series, intervals, rho = design
    count = GRAPH_MEASURES
    true = np.triu(random.random((count, count)) < EDGE_CHANCE * 2, 1)
    order = random.permutation(count)
    true = true[np.ix_(order, order)]
    own = random.uniform(0.3, 0.7, (series, count))
    errors = np.sqrt(rho) * random.normal(size=(1, intervals + 50, count))
    errors = errors + np.sqrt(1 - rho) * random.normal(size=(series, intervals + 50, count))
    values = np.zeros_like(errors)
    for at in range(1, intervals + 50):
        values[:, at] = own * values[:, at - 1] + errors[:, at]
        values[:, at] += EFFECT * (values[:, at - 1] @ true)
    followed: Matrix = values[:, 50:]
    return true, followed


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
