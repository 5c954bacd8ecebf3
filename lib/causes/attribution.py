"""How much of a deviation each measure's own disturbance explains, and what it will hit next.

Every measure follows its causes linearly in its shocks (logarithms where amounts are positive);
what its causes do not explain is its own disturbance. The disturbances of a window are followed
through the graph, one measure at a time, and the target's deviation in its own unit is divided
among them by Shapley's rule (Shapley 1953; Budhathoki et al., ICML 2022, for disturbances as
players): exactly to twelve measures, by permutations beyond. What pushed the other way is shown
apart; the rest is scaled to 100 %, the target's own disturbance being what no measure here
explains. Intervals come from fits to resampled blocks of the past.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import factorial

import numpy as np
from numpy.typing import NDArray

from lib.causes.discovery import Found, descendants, parents
from lib.causes.model import (
    Attribution,
    CausesError,
    Effect,
    Graph,
    Matrix,
    Observations,
    Share,
)
from lib.causes.preparation import winsorised
from lib.metrics.model import SeriesKey

EXACT_PLAYERS = 12
PERMUTATIONS = 200
BLOCKS, RESAMPLES = 20, 24
INTERVAL = (5.0, 95.0)  # percentiles of the resamples
RIDGE = 1e-3  # of the rows, added to the diagonal: shocks have a standard deviation of 1
LOOKBACK_LAGS = 12  # times the lags, before the window, from which disturbances are followed
CLEAR_Z = 3.0
MAX_WINDOW = 2_000  # intervals; beyond, an attribution would take minutes
MEMORY_BYTES = 200_000_000  # for following the shocks of some series at a time
MAX_EVEN = 50.0  # logarithm beyond which an amount means nothing
SEED = 7


@dataclass(frozen=True, eq=False)
class Mechanism:
    """How one measure follows others: columns of the design, and slopes [resample, series, column].

    A column is (measure, lag). The first resample is the whole past.
    """

    columns: tuple[tuple[int, int], ...]
    slopes: Matrix

    def of(self, series: slice) -> Mechanism:
        """Return the same of some series."""
        return Mechanism(self.columns, self.slopes[:, series])


def attribute(
    observations: Observations, found: Found, target: str, first: int, last: int
) -> Attribution:
    """Return what drove the target in the intervals from `first` to `last`, exclusive.

    Raises `CausesError` where the window or the target cannot be attributed.
    """
    graph = found.graph
    if target not in graph.measures:
        raise CausesError(
            f"{target!r} is not among the measures that vary: {', '.join(graph.measures)}."
        )
    lags = max([graph.lags, *(one.lag for one in graph.edges)])
    start = max(lags, first - LOOKBACK_LAGS * lags)
    if not start <= first < last <= observations.values.shape[1]:
        raise CausesError("The window lies outside the data, or too close to their beginning.")
    if last - first > MAX_WINDOW:
        raise CausesError(
            f"The window has {last - first:,} intervals; {MAX_WINDOW:,} are the most. Choose a "
            "shorter one."
        )
    names = graph.measures
    shocks = found.prepared.shocks[:, :, found.prepared.kept]
    order = _order(graph)
    mechanisms = [_mechanism(graph, at, shocks, lags, (first, last)) for at in range(len(names))]
    at = names.index(target)
    players = [one for one in order if one == at or _drives(graph, names[one], target)]
    amounts = _Amounts.of(observations, found, target, first, last)
    own, wide = np.zeros(len(players)), np.zeros((RESAMPLES, len(players)))
    for some in _chunks(shocks.shape[0], len(names), last - start + lags):
        followed = _followed(shocks[some], [one.of(some) for one in mechanisms], order,
                             (start, last), at)  # fmt: skip
        inside = followed[:, players, :, first - start :]
        fair = amounts.some(some).fair(inside[0])
        spread = np.array([amounts.some(some).quick(one) for one in inside])
        own += fair
        wide += fair + spread[1:] - spread[0]
    sign = np.sign(own.sum()) or 1.0
    shares, counter = _shares([names[one] for one in players], own, wide, sign)
    unexplained = next((one for one in shares if one.measure == target), Share(target, 0, 0, 0, 0))
    scores = _scores(shocks, first, last)
    ranking = _ranked({name: scores[one] for one, name in enumerate(names)})
    upstream = {names[one] for one in players}
    traversal = _ranked({name: _jump(graph, name, names, scores) for name in upstream})
    return Attribution(
        target,
        amounts.observed,
        amounts.expected,
        tuple(one for one in shares if one.measure != target),
        unexplained,
        counter,
        _by_value(observations, amounts, sign),
        _effects(graph, target, shocks, first, last),
        ranking,
        traversal,
        _agreement(shares, ranking, traversal, upstream),
        tuple(_notes(graph, target, players, scores[at])),
    )


def of_series(
    observations: Observations, found: Found, keys: Collection[SeriesKey]
) -> tuple[Observations, Found]:
    """Return the same of some series alone, of all where none of the keys is there.

    None in a key stands for any value of that dimension.
    """
    chosen = [
        at
        for at, key in enumerate(observations.series)
        if any(_belongs(key, wanted) for wanted in keys)
    ]
    if not chosen:
        return observations, found
    prepared = found.prepared
    some = replace(
        observations,
        series=tuple(observations.series[at] for at in chosen),
        values=observations.values[chosen],
    )
    parts = replace(
        prepared,
        shocks=prepared.shocks[chosen],
        scale=prepared.scale[chosen],
        usual=prepared.usual[chosen],
    )
    return some, replace(found, prepared=parts)


def _belongs(key: SeriesKey, wanted: SeriesKey) -> bool:
    return all(asked in {None, own} for own, asked in zip(key, wanted, strict=True))


def what_if(attribution: Attribution, normal: Mapping[str, float]) -> float:
    """Return the target's amount had a share (0 to 1) of some measures' disturbances not happened.

    Answers by the amounts that Shapley's rule gave each measure.
    """
    amounts = {one.measure: one.amount for one in (*attribution.shares, *attribution.counteracting)}
    taken = sum(amounts.get(name, 0.0) * part for name, part in normal.items())
    return attribution.observed - taken


@dataclass(frozen=True, eq=False)
class _Amounts:
    """The target in a window: what was usual of it in the even scale, and its amounts."""

    usual: Matrix  # [series, interval], even scale
    scale: Matrix  # [series, 1]
    is_log: bool
    seen: Matrix  # [series, interval], amounts; NaN where nothing is known

    @staticmethod
    def of(
        observations: Observations, found: Found, target: str, first: int, last: int
    ) -> _Amounts:
        """Return the amounts of a target."""
        at = observations.measures.index(target)
        prepared = found.prepared
        return _Amounts(
            prepared.usual[:, first:last, at],
            np.nan_to_num(prepared.scale[:, at : at + 1]),
            bool(prepared.logs[at]),
            observations.values[:, first:last, at],
        )

    def some(self, series: slice) -> _Amounts:
        """Return the same of some series."""
        return _Amounts(self.usual[series], self.scale[series], self.is_log, self.seen[series])

    @property
    def known(self) -> NDArray[np.bool_]:
        return np.isfinite(self.seen)

    @property
    def observed(self) -> float:
        return float(self.seen[self.known].sum())

    @property
    def expected(self) -> float:
        return float(self._amount(np.zeros_like(self.usual))[self.known].sum())

    def deviations(self) -> Matrix:
        """Return how far each series is off over the window."""
        away = self.seen - self._amount(np.zeros_like(self.usual))
        total: Matrix = np.where(self.known, away, 0.0).sum(axis=1)
        return total

    def _amount(self, shocks: Matrix) -> Matrix:
        even = self.usual + shocks * self.scale
        amounts: Matrix = np.expm1(np.minimum(even, MAX_EVEN)) if self.is_log else even
        return amounts

    def quick(self, parts: Matrix) -> Matrix:
        """Return each player's amount by the logarithmic mean, near Shapley's and at once."""
        parts = np.where(self.known, np.nan_to_num(parts), 0.0)
        whole = parts.sum(axis=0)
        away = self._amount(whole) - self._amount(np.zeros_like(whole))
        rate = np.where(np.abs(whole) > 1e-9, away / np.where(whole == 0, 1.0, whole), 0.0)  # noqa: PLR2004 - no shock
        amounts: Matrix = (parts * rate).sum(axis=(1, 2))
        return amounts

    def fair(self, parts: Matrix) -> Matrix:
        """Return each player's amount by Shapley's rule; `parts` is [player, series, interval]."""
        parts = np.where(self.known, np.nan_to_num(parts), 0.0)
        if not self.is_log:
            linear: Matrix = (parts * self.scale).sum(axis=(1, 2))
            return linear
        count = len(parts)
        return self._exact(parts) if count <= EXACT_PLAYERS else self._sampled(parts)

    def _value(self, chosen: Matrix) -> float:
        away = self._amount(chosen) - self._amount(np.zeros_like(chosen))
        return float(away[self.known].sum())

    def _exact(self, parts: Matrix) -> Matrix:
        count = len(parts)
        values = np.zeros(2**count)
        chosen = np.zeros_like(parts[0])
        for step in range(1, 2**count):
            mask = step ^ (step >> 1)  # Gray's code: one player comes or goes at each step
            player = (step & -step).bit_length() - 1
            chosen += parts[player] if mask >> player & 1 else -parts[player]
            values[mask] = self._value(chosen)
        fair = np.zeros(count)
        masks = np.arange(2**count)
        sizes = np.array([int(mask).bit_count() for mask in masks])
        weights = np.array(
            [
                factorial(size) * factorial(count - size - 1) / factorial(count)
                for size in range(count)
            ]
        )
        for player in range(count):
            without = masks[(masks >> player) & 1 == 0]
            gains = values[without | (1 << player)] - values[without]
            fair[player] = float((weights[sizes[without]] * gains).sum())
        return fair

    def _sampled(self, parts: Matrix) -> Matrix:
        random = np.random.default_rng(SEED)
        fair = np.zeros(len(parts))
        for _ in range(PERMUTATIONS):
            chosen, before = np.zeros_like(parts[0]), 0.0
            for player in random.permutation(len(parts)):
                chosen = chosen + parts[player]
                value = self._value(chosen)
                fair[player] += value - before
                before = value
        return fair / PERMUTATIONS


def _order(graph: Graph) -> list[int]:
    """Return the measures so that causes of the same interval come first."""
    left = list(range(len(graph.measures)))
    order: list[int] = []
    while left:
        ready = [
            at
            for at in left
            if not any(
                one.lag == 0 and graph.measures.index(one.cause) in left
                for one in parents(graph, graph.measures[at])
            )
        ]
        order += ready
        left = [at for at in left if at not in ready]
    return order


def _mechanism(
    graph: Graph, effect: int, shocks: Matrix, lags: int, window: tuple[int, int]
) -> Mechanism:
    names = graph.measures
    columns = [(effect, lag) for lag in range(1, graph.lags + 1)]
    for one in parents(graph, names[effect]):
        cause = names.index(one.cause)
        some = [0] if one.lag == 0 else range(1, max(graph.lags, one.lag) + 1)
        columns += [(cause, lag) for lag in some if (cause, lag) not in columns]
    series, intervals, _ = shocks.shape
    near = winsorised(shocks)
    design = np.stack(
        [near[:, lags - lag : intervals - lag, cause] for cause, lag in columns], axis=2
    )
    target = near[:, lags:, effect]
    known = np.isfinite(design.sum(axis=2) + target)
    known[:, max(window[0] - lags, 0) : window[1]] = False
    design = np.where(known[:, :, None], design, 0.0)
    target = np.where(known, target, 0.0)
    grams, sides = [], []
    for rows in np.array_split(np.arange(intervals - lags), BLOCKS):
        part = design[:, rows]
        grams.append(np.matmul(part.transpose(0, 2, 1), part))
        sides.append(np.einsum("stk,st->sk", part, target[:, rows]))
    random = np.random.default_rng(SEED)
    weights = np.vstack(
        [np.ones(BLOCKS), random.multinomial(BLOCKS, [1 / BLOCKS] * BLOCKS, RESAMPLES)]
    )
    gram = np.einsum("rb,bskl->rskl", weights, np.array(grams))
    side = np.einsum("rb,bsk->rsk", weights, np.array(sides))
    gram += RIDGE * intervals * np.eye(len(columns))
    slopes = np.linalg.solve(gram, side[..., None])[..., 0]
    return Mechanism(tuple(columns), slopes.reshape(len(weights), series, len(columns)))


def _chunks(series: int, measures: int, intervals: int) -> Iterator[slice]:
    """Yield some series at a time, so that following their shocks fits the memory."""
    of_one = 4 * (1 + RESAMPLES) * measures**2 * intervals
    size = max(1, MEMORY_BYTES // of_one)
    for low in range(0, series, size):
        yield slice(low, low + size)


def _followed(
    shocks: Matrix,
    mechanisms: Sequence[Mechanism],
    order: Sequence[int],
    span: tuple[int, int],
    target: int,
) -> Matrix:
    """Return what each measure's own disturbances since `span` make of the target's shocks.

    [resample, player, series, interval]; what the intervals before have left behind is counted to
    the target's own.
    """
    start, last = span
    series, _, measures = shocks.shape
    resamples = len(mechanisms[0].slopes)
    reach = max(lag for one in mechanisms for _, lag in one.columns)
    known = np.nan_to_num(shocks[:, start - reach : last])  # a gap is no shock
    length = last - start
    made = np.zeros((resamples, measures, series, reach + length, measures), dtype=np.float32)
    for step in range(reach, reach + length):
        for effect in order:
            mechanism = mechanisms[effect]
            own = np.broadcast_to(known[:, step, effect], (resamples, series)).copy()
            follows = np.zeros((resamples, measures, series))
            for column, (cause, lag) in enumerate(mechanism.columns):
                slope = mechanism.slopes[:, :, column]
                own -= slope * known[:, step - lag, cause]
                follows += slope[:, None] * made[:, :, :, step - lag, cause]
            made[:, :, :, step, effect] = follows
            made[:, effect, :, step, effect] += own
    parts = made[:, :, :, reach:, target].astype(np.float64)
    left = known[:, reach:, target] - parts.sum(axis=1)
    parts[:, target] += left
    return parts


def _drives(graph: Graph, cause: str, target: str) -> bool:
    return target in descendants(graph, cause)


def _shares(
    names: Sequence[str], own: Matrix, wide: Matrix, sign: float
) -> tuple[tuple[Share, ...], tuple[Share, ...]]:
    """Return shares that sum to 100 %, largest first, and what pushed the other way."""
    with_it = np.maximum(own * sign, 0.0)
    whole = with_it.sum()
    if whole <= 0:
        return (), ()
    each = np.maximum(wide * sign, 0.0)
    totals = np.maximum(each.sum(axis=1, keepdims=True), 1e-300)
    low, high = np.percentile(100 * each / totals, INTERVAL, axis=0)
    percent = 100 * with_it / whole
    shares = [
        Share(
            name,
            float(percent[at]),
            float(min(low[at], percent[at])),
            float(max(high[at], percent[at])),
            float(own[at]),
        )
        for at, name in enumerate(names)
        if with_it[at] > 0
    ]
    net = abs(own.sum())
    against = [
        Share(name, float(100 * -own[at] * sign / max(net, 1e-300)), 0.0, 0.0, float(own[at]))
        for at, name in enumerate(names)
        if own[at] * sign < 0
    ]
    return (
        tuple(sorted(shares, key=lambda one: -one.percent)),
        tuple(sorted(against, key=lambda one: -one.percent)),
    )


def _scores(shocks: Matrix, first: int, last: int) -> Matrix:
    """Return how unusual each measure's mean shock over series and window is, in deviations."""
    with np.errstate(all="ignore"):
        mean = np.nan_to_num(np.nanmean(shocks, axis=0))
    length = last - first
    sums = np.cumsum(np.vstack([np.zeros(mean.shape[1]), mean]), axis=0)
    windows = (sums[length:] - sums[:-length]) / length
    past = np.delete(windows, slice(max(first - length + 1, 0), last), axis=0)
    middle = np.median(past, axis=0)
    spread = 1.4826 * np.median(np.abs(past - middle), axis=0)
    scores: Matrix = np.abs(windows[first] - middle) / np.maximum(spread, 1e-9)
    return scores


def _jump(graph: Graph, name: str, names: Sequence[str], scores: Matrix) -> float:
    """Return how much more unusual a measure is than the most unusual of its causes."""
    causes = [scores[names.index(one.cause)] for one in parents(graph, name)]
    return float(scores[names.index(name)] - max(causes, default=0.0))


def _ranked(scores: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(((n, float(s)) for n, s in scores.items()), key=lambda one: -one[1]))


def _agreement(
    shares: Sequence[Share],
    ranking: Sequence[tuple[str, float]],
    traversal: Sequence[tuple[str, float]],
    upstream: set[str],
) -> float:
    if not shares:
        return 0.0
    top = shares[0].measure
    others = [
        next((name for name, _ in each if name in upstream), "") for each in (ranking, traversal)
    ]
    return sum(name == top for name in others) / len(others)


def _by_value(
    observations: Observations, amounts: _Amounts, sign: float
) -> Mapping[str, tuple[tuple[str, float], ...]]:
    away = np.maximum(amounts.deviations() * sign, 0.0)
    whole = away.sum()
    if whole <= 0 or not observations.series or not observations.series[0]:
        return {}
    found = {}
    for at, dimension in enumerate(observations.dimensions):
        names, codes = np.unique(
            [key[at] or "" for key in observations.series], return_inverse=True
        )
        percents = 100 * np.bincount(codes, away) / whole
        order = np.argsort(-percents, kind="stable")
        found[dimension] = tuple((str(names[one]), float(percents[one])) for one in order)
    return found


def _effects(
    graph: Graph, target: str, shocks: Matrix, first: int, last: int
) -> tuple[Effect, ...]:
    found = []
    for name, lag in descendants(graph, target).items():
        reach = min(last + lag, shocks.shape[1])
        scores = _scores(shocks, first, max(reach, first + 1))
        z = float(scores[graph.measures.index(name)])
        found.append(Effect(name, lag, z, anomalous=z >= CLEAR_Z))
    return tuple(sorted(found, key=lambda one: one.lag))


def _notes(graph: Graph, target: str, players: Sequence[int], score: float) -> list[str]:
    notes = list(graph.notes)
    if score < CLEAR_Z:
        notes.append(
            f"{target} is hardly off in this window ({score:.1f} standard deviations), so shares "
            "of so small a deviation say little."
        )
    if len(players) == 1:
        notes.append(
            f"No measure here is found to drive {target}; what happened to it comes from elsewhere."
        )
    open_ways = [
        one for one in graph.edges if not one.directed and target in {one.cause, one.effect}
    ]
    for one in open_ways:
        other = one.cause if one.effect == target else one.effect
        notes.append(
            f"{other} and {target} move together within an interval, and the data cannot tell "
            "which drives which: say it, and it counts."
        )
    return notes
