"""Which measures drive which: over intervals by Granger tests, within one by partial correlation.

The first stage tests lags (`granger`), one p-value a series, combined by a rule that holds though
series depend. What business measures do to each other mostly happens within one interval and leaves
no lag, so the second stage looks at what the lags do not explain: two measures are joined where no
small set of others explains their correlation (the skeleton of the PC algorithm, Spirtes and
Glymour 1991), and the way is the user's order, a definition, or the non-Gaussianity of the shocks
(the likelihood ratio of Hyvaerinen and Smith, JMLR 2013) where nearly all series agree and no
measure is a rare count, whose shape says nothing; else it is open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np

from lib.causes.aggregation import RULES, benjamini_hochberg, fisher
from lib.causes.granger import Fit, fit, fit_given, lag_order
from lib.causes.model import CausesError, Edge, Graph, Knowledge, Matrix, Observations, Origin
from lib.causes.preparation import Prepared, is_drifting, prepare, winsorised

SIGNIFICANT = 0.05
ADAPTIVE = "adaptive"
MAX_GIVEN = 2  # measures that may explain a correlation away
SOME_SERIES = 50  # that tell whether measures wander, or move as one
MAX_SERIES_FOR_ORDER = 10  # by which the number of lags is chosen
LEAST_STRENGTH = 0.05  # partial correlation below which an edge is no finding,
LEAST_LAGGED = 0.02  # and strength over intervals
COPY = 0.999  # correlation of shocks from which measures move as one
CLEAR_WAY = 4.0  # standard errors of the mean direction over series
ROBUST_SERIES = 0.85  # share of the series that must point the same way
LEAST_COUNT = 50.0  # median of counts whose shocks are even enough to tell a way


@dataclass(frozen=True, eq=False)
class Found:
    """A graph with what was prepared and fitted to find it, for attribution to go on from."""

    graph: Graph
    prepared: Prepared


def discover(
    observations: Observations, knowledge: Knowledge | None = None, rule: str = ADAPTIVE
) -> Found:
    """Return the graph of the measures; raises `CausesError` where the data cannot tell.

    `rule` combines the p-values of series: see `aggregation.RULES`.
    """
    knowledge = knowledge or Knowledge()
    _check(knowledge, observations.measures)
    prepared, copies = _without_copies(prepare(observations), observations.measures)
    names = [observations.measures[at] for at in prepared.kept]
    shocks = winsorised(prepared.shocks[:, :, prepared.kept])
    notes = [*prepared.notes, *copies]
    drifting = is_drifting(shocks[:SOME_SERIES])
    if drifting.any():
        wandering = ", ".join(np.array(names)[drifting])
        notes.append(f"{wandering} wander, so changes from interval to interval are compared.")
        shocks = np.diff(shocks, axis=1)
    lags = lag_order(shocks[:MAX_SERIES_FOR_ORDER])
    tested = fit(shocks, lags)
    combined = RULES[rule](tested.p_values)
    np.fill_diagonal(combined, np.nan)
    if np.isnan(combined).all():
        raise CausesError(
            "No series can be tested: its measures are copies of each other, or it is too short."
        )
    if rule != ADAPTIVE:
        combined = benjamini_hochberg(combined)
    naive = fisher(tested.p_values)
    np.fill_diagonal(naive, np.nan)
    telling = _telling(observations.values[:, :, prepared.kept])
    now = [*_same_interval_edges(names, (tested.residuals, telling), knowledge, rule)]
    lagged = [*_lagged_edges(names, tested, combined)]
    edges = [*_directly(lagged, now, names, shocks, lags, rule), *now]
    edges = _with_knowledge(edges, knowledge, names)
    edges, broken = _without_cycles(edges)
    notes += broken
    graph = Graph(
        tuple(names),
        tuple(edges),
        lags,
        rule,
        int((naive < SIGNIFICANT).sum()),
        tuple(notes),
    )
    return Found(graph, prepared)


def definitions_of(text: str, measures: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return measures that are made of others, from lines such as "revenue = orders * price".

    Raises `CausesError` with the line where a name is no measure or nothing is defined.
    """
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, _, formula = (part.strip() for part in line.partition("="))
        parts = [part for part in measures if part != name and _names(formula, part)]
        if name not in measures or not parts:
            raise CausesError(
                f"Line {number} defines no measure by others: write revenue = orders * price, "
                f"with {', '.join(measures)}."
            )
        found[name] = tuple(parts)
    return found


def _names(formula: str, measure: str) -> bool:
    return re.search(rf"(?<![\w]){re.escape(measure)}(?![\w])", formula) is not None


def parents(graph: Graph, measure: str) -> tuple[Edge, ...]:
    """Return the directed edges that end in a measure."""
    return tuple(one for one in graph.edges if one.effect == measure and one.directed)


def descendants(graph: Graph, measure: str) -> dict[str, int]:
    """Return the measures that a measure drives, directly or not, and after how many intervals."""
    reached = {measure: 0}
    waiting = [measure]
    while waiting:
        now = waiting.pop(0)
        for one in graph.edges:
            if one.cause == now and one.directed:
                lag = reached[now] + one.lag
                if one.effect not in reached or lag < reached[one.effect]:
                    reached[one.effect] = lag
                    waiting.append(one.effect)
    return {name: lag for name, lag in reached.items() if name != measure}


def _check(knowledge: Knowledge, measures: tuple[str, ...]) -> None:
    named = {name for edge in (*knowledge.forced, *knowledge.forbidden) for name in edge}
    named |= {*knowledge.order, *knowledge.derived}
    named |= {name for parts in knowledge.derived.values() for name in parts}
    unknown = sorted(named - set(measures))
    if unknown:
        raise CausesError(f"{unknown[0]!r} is no measure; there are {', '.join(measures)}.")
    both = sorted(knowledge.forced & knowledge.forbidden)
    if both:
        raise CausesError(f"{' → '.join(both[0])} is both forced and forbidden; choose one.")
    if _cycle([*knowledge.forced, *_definitions(knowledge)]):
        around = " → ".join(_cycle([*knowledge.forced, *_definitions(knowledge)]))
        raise CausesError(f"The edges you set go in a circle: {around}. Take one of them out.")


def _definitions(knowledge: Knowledge) -> Iterator[tuple[str, str]]:
    for measure, parts in knowledge.derived.items():
        for part in parts:
            yield part, measure


def _lagged_edges(names: list[str], tested: Fit, combined: Matrix) -> Iterator[Edge]:
    with np.errstate(all="ignore"):
        strength = np.nanmedian(tested.strengths, axis=0)
        share = np.nanmean(tested.p_values < SIGNIFICANT, axis=0)
        lag = np.nanmedian(tested.best_lags, axis=0)
    clear = (combined < SIGNIFICANT) & (np.abs(strength) >= LEAST_LAGGED)
    for cause, effect in zip(*np.nonzero(clear), strict=True):
        yield Edge(
            names[cause],
            names[effect],
            int(lag[cause, effect]),
            float(strength[cause, effect]),
            float(combined[cause, effect]),
            float(share[cause, effect]),
        )


def _directly(  # noqa: PLR0913, PLR0917 - both stages meet here
    lagged: list[Edge], now: list[Edge], names: list[str], shocks: Matrix, lags: int, rule: str
) -> Iterator[Edge]:
    """Yield the edges over intervals that stay when causes of the same interval are in the fit."""
    for effect, name in enumerate(names):
        mine = [one for one in lagged if one.effect == name]
        near = [
            names.index(other)
            for one in now
            for other in (one.cause, one.effect)
            if name in {one.cause, one.effect}
            and other != name
            and (one.effect == name or not one.directed)
        ]
        if not near or not mine:
            yield from mine
            continue
        p_values, strengths = fit_given(shocks, lags, effect, near)
        combined = RULES[rule](p_values)
        for one in mine:
            cause = names.index(one.cause)
            with np.errstate(all="ignore"):
                strength = float(np.nanmedian(strengths[:, cause]))
                share = float(np.nanmean(p_values[:, cause] < SIGNIFICANT))
            if combined[cause] < SIGNIFICANT and abs(strength) >= LEAST_LAGGED:
                yield replace(one, p_value=float(combined[cause]), strength=strength, share=share)


def _same_interval_edges(
    names: list[str], left: tuple[Matrix, list[bool]], knowledge: Knowledge, rule: str
) -> Iterator[Edge]:
    residuals, telling = left
    correlations, counts = _correlations(residuals)
    if not len(correlations):
        return
    count = len(names)
    joined = {pair: _partial(correlations, pair, ()) for pair in combinations(range(count), 2)}
    p_values = {pair: _pair_p(partial, counts, 0, rule) for pair, partial in joined.items()}
    near = {pair for pair, p_value in p_values.items() if p_value < SIGNIFICANT}
    for given in range(1, MAX_GIVEN + 1):
        for pair in sorted(near):
            others = [at for at in range(count) if at not in pair and _touches(near, pair, at)]
            for some in combinations(others, given):
                partial = _partial(correlations, pair, some)
                p_value = _pair_p(partial, counts, given, rule)
                weak = abs(float(np.median(partial))) < LEAST_STRENGTH
                if p_value >= SIGNIFICANT or weak:
                    near = near - {pair}
                    break
                if p_value > p_values[pair]:
                    p_values[pair], joined[pair] = p_value, partial
    for pair in sorted(near):
        partial = joined[pair]
        strength = float(np.median(partial))
        if abs(strength) < LEAST_STRENGTH:
            continue
        share = float((_fisher_p(partial, counts, 0) < SIGNIFICANT).mean())
        first, second = _way(pair, names, (residuals, telling), knowledge)
        way = pair if first is None or second is None else (first, second)
        yield Edge(
            names[way[0]], names[way[1]], 0, strength, p_values[pair], share,
            directed=first is not None,
        )  # fmt: skip


def _touches(near: set[tuple[int, int]], pair: tuple[int, int], other: int) -> bool:
    return any(tuple(sorted((end, other))) in near for end in pair)


def _correlations(residuals: Matrix) -> tuple[Matrix, Matrix]:
    """Return correlations of each series [S, M, M] and its rows; too short ones are left out."""
    known = np.isfinite(residuals.sum(axis=2))
    rows = known.sum(axis=1)
    usable = rows > residuals.shape[2] + 10
    filled = np.where(known[:, :, None], residuals, 0.0)[usable]
    mean = filled.sum(axis=1, keepdims=True) / rows[usable, None, None]
    centred = np.where(known[usable][:, :, None], filled - mean, 0.0)
    covariance = np.matmul(centred.transpose(0, 2, 1), centred)
    scale = np.sqrt(np.einsum("smm->sm", covariance))
    scale[scale == 0] = np.inf
    return covariance / (scale[:, :, None] * scale[:, None, :]), rows[usable].astype(np.float64)


def _partial(correlations: Matrix, pair: tuple[int, int], given: tuple[int, ...]) -> Matrix:
    """Return the partial correlation of a pair in each series, given some others."""
    chosen = np.array([*pair, *given])
    block = correlations[:, chosen[:, None], chosen]
    if not given:
        return np.clip(block[:, 0, 1], -1.0, 1.0)
    inverse = np.linalg.pinv(block, hermitian=True)
    below = np.sqrt(np.maximum(inverse[:, 0, 0] * inverse[:, 1, 1], 1e-300))
    partial: Matrix = np.clip(-inverse[:, 0, 1] / below, -1.0, 1.0)
    return partial


def _fisher_p(partial: Matrix, counts: Matrix, given: int) -> Matrix:
    from scipy.special import ndtr

    z = np.arctanh(np.clip(partial, -0.999999, 0.999999))
    p_values: Matrix = 2 * ndtr(-np.abs(z) * np.sqrt(np.maximum(counts - given - 3, 1)))
    return p_values


def _pair_p(partial: Matrix, counts: Matrix, given: int, rule: str) -> float:
    return float(RULES[rule](_fisher_p(partial, counts, given)[:, None])[0])


def _way(
    pair: tuple[int, int],
    names: list[str],
    left: tuple[Matrix, list[bool]],
    knowledge: Knowledge,
) -> tuple[int | None, int | None]:
    """Return cause and effect of a pair, None where nothing tells."""
    one, other = (names[at] for at in pair)
    definitions = set(_definitions(knowledge))
    for cause, effect in ((one, other), (other, one)):
        told = (cause, effect) in knowledge.forced | definitions
        if told or (effect, cause) in knowledge.forbidden:
            return names.index(cause), names.index(effect)
    order = knowledge.order
    if one in order and other in order:
        return (pair[0], pair[1]) if order.index(one) < order.index(other) else (pair[1], pair[0])
    residuals, telling = left
    if not all(telling[at] for at in pair):
        return None, None
    lean = _leans(residuals[:, :, pair[0]], residuals[:, :, pair[1]])
    lean = lean[np.isfinite(lean)]
    if len(lean) < 2:  # noqa: PLR2004 - series that can agree
        return None, None
    mean, error = lean.mean(), lean.std(ddof=1) / np.sqrt(len(lean))
    agree = max((lean > 0).mean(), (lean < 0).mean())
    if abs(mean) < CLEAR_WAY * error or agree < ROBUST_SERIES:
        return None, None
    return (pair[0], pair[1]) if mean > 0 else (pair[1], pair[0])


def _telling(values: Matrix) -> list[bool]:
    """Return which measures have shocks whose shape may tell a way: not rare counts."""
    told = []
    for at in range(values.shape[2]):
        known = values[:, :, at][np.isfinite(values[:, :, at])]
        counts = bool((known == np.round(known)).all())
        told.append(not counts or float(np.median(known)) >= LEAST_COUNT)
    return told


def _leans(one: Matrix, other: Matrix) -> Matrix:
    """Return for each series how much likelier the first drives the second than the reverse.

    The approximation by tanh for shocks with heavy tails, R = rho E[x tanh(y) - tanh(x) y], with
    the sign turned so that a positive figure means that x is the cause.
    """
    with np.errstate(all="ignore"):
        x = (one - np.nanmean(one, axis=1, keepdims=True)) / np.nanstd(one, axis=1, keepdims=True)
        y = (other - np.nanmean(other, axis=1, keepdims=True)) / np.nanstd(
            other, axis=1, keepdims=True
        )
        rho = np.nanmean(x * y, axis=1)
        lean: Matrix = rho * np.nanmean(x * np.tanh(y) - np.tanh(x) * y, axis=1)
    return lean


def _with_knowledge(edges: list[Edge], knowledge: Knowledge, names: list[str]) -> list[Edge]:
    """Return the edges after what the user knows: some dropped, some turned, some added."""
    kept = [one for one in edges if (one.cause, one.effect) not in knowledge.forbidden]
    for kind, wanted in (
        (Origin.USER, sorted(knowledge.forced)),
        (Origin.DERIVED, sorted(_definitions(knowledge))),
    ):
        for cause, effect in wanted:
            if cause not in names or effect not in names:
                continue
            own = [one for one in kept if {one.cause, one.effect} == {cause, effect}]
            same = [one for one in own if one.cause == cause]
            turned = [one for one in own if one.cause != cause and one.lag == 0]
            kept = [one for one in kept if one not in turned]
            if same:
                kept = [replace(one, origin=kind) if one in same else one for one in kept]
            else:
                strength = turned[0].strength if turned else 0.0
                kept.append(Edge(cause, effect, 0, strength, np.nan, np.nan, origin=kind))
    return kept


def _without_cycles(edges: list[Edge]) -> tuple[list[Edge], list[str]]:
    """Return the edges without circles within one interval: the weakest of each is left open."""
    notes = []
    while around := _cycle(
        [(one.cause, one.effect) for one in edges if one.lag == 0 and one.directed]
    ):
        pairs = set(pairwise(around))
        ring = [one for one in edges if one.lag == 0 and (one.cause, one.effect) in pairs]
        found = [one for one in ring if one.origin is Origin.FOUND] or ring
        weakest = min(found, key=lambda one: abs(one.strength))
        edges = [replace(one, directed=False) if one is weakest else one for one in edges]
        notes.append(
            f"{' → '.join(around)} goes in a circle; the way of {weakest.cause} and "
            f"{weakest.effect}, the weakest, is left open."
        )
    return edges, notes


def _cycle(pairs: list[tuple[str, str]]) -> list[str]:
    """Return the measures around a circle, the first again at the end; empty without one."""
    after: dict[str, list[str]] = {}
    for cause, effect in pairs:
        after.setdefault(cause, []).append(effect)

    def walk(path: list[str]) -> list[str]:
        for effect in after.get(path[-1], ()):
            if effect in path:
                return [*path[path.index(effect) :], effect]
            if around := walk([*path, effect]):
                return around
        return []

    return next((around for start in after if (around := walk([start]))), [])


def _without_copies(prepared: Prepared, measures: tuple[str, ...]) -> tuple[Prepared, list[str]]:
    """Return what is left when of measures that move as one only the first is kept."""
    correlations, _ = _correlations(prepared.shocks[:SOME_SERIES, :, prepared.kept])
    if not len(correlations):
        return prepared, []
    same = np.abs(np.median(correlations, axis=0)) > COPY
    left, notes = list(range(len(prepared.kept))), []
    for one, other in combinations(range(len(prepared.kept)), 2):
        if same[one, other] and one in left and other in left:
            left.remove(other)
            first, second = (measures[prepared.kept[at]] for at in (one, other))
            notes.append(f"{second} is nearly a copy of {first} and left out.")
    return replace(prepared, kept=prepared.kept[left]), notes
