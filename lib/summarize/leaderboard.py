"""Which candidate is best over many texts, and which differences are larger than chance.

Intervals are percentile bootstrap intervals (Efron 1979; Koehn 2004 for texts): the texts are drawn
again with replacement, all candidates on the same draw, so that differences are paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

import numpy as np

from lib.summarize.comparison import METRICS, Better, Metric, Scores

RESAMPLES = 10_000
SEED = 20_260_101
CONFIDENCE = 0.95
LEAST_TEXTS = 10  # below it, draws of so few texts look surer than they are
_CELLS = 4_000_000  # drawn at once: 32 MB


class Verdict(StrEnum):
    """What the paired interval says of a candidate beside the best one."""

    BEST = "Best"
    SAME = "Not significantly different"
    WORSE = "Significantly worse"
    TOO_FEW = "Too few texts to tell"


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Standing:
    """Where a candidate, by its number, stands: its means, and its difference from the best."""

    candidate: int
    means: dict[str, Interval]  # by the key of a metric
    difference: Interval
    verdict: Verdict


@dataclass(frozen=True)
class Leaderboard:
    """The candidates, best first by one metric, over the texts that all of them have it for."""

    metric: Metric
    texts: int
    standings: tuple[Standing, ...]


def leaderboard(rows: Sequence[Sequence[Scores]], metric: Metric) -> Leaderboard:
    """Return the standings by a metric; a row holds a text's scores by candidate, {} for a failure.

    Only texts for which every candidate has the value count. Raises `ValueError` where there is
    none, or where the metric has no better end.
    """
    if metric.better is Better.NEITHER:
        raise ValueError(f"{metric.name} is neither better high nor low.")
    means = _means(rows)
    if metric.key not in means:
        raise ValueError(f"No text has {metric.name} for every candidate.")
    values = _complete(rows, metric.key)
    sign = 1 if metric.better is Better.HIGHER else -1
    order = sorted(range(values.shape[1]), key=lambda at: -sign * means[metric.key][at].mean)
    best = order[0]
    differences = intervals(values - values[:, [best]])
    return Leaderboard(
        metric,
        len(values),
        tuple(
            Standing(
                at,
                {key: each[at] for key, each in means.items()},
                differences[at],
                Verdict.BEST if at == best else _verdict(differences[at], len(values)),
            )
            for at in order
        ),
    )


def rankable(rows: Sequence[Sequence[Scores]]) -> tuple[Metric, ...]:
    """Return the metrics that candidates can be ranked by: some text has them for everyone."""
    return tuple(
        metric
        for metric in METRICS
        if metric.better is not Better.NEITHER and len(_complete(rows, metric.key))
    )


def finding(board: Leaderboard, labels: Sequence[str]) -> str:
    """Return what the leaderboard says, in a sentence; labels name the candidates by number."""
    best, *others = board.standings
    name = labels[best.candidate]
    by = f"by {board.metric.name} over {board.texts:,} text{'' if board.texts == 1 else 's'}"
    if not others:
        return f"{name} ran alone, {by}: there is nothing to compare it with."
    if board.texts < LEAST_TEXTS:
        return f"{name} is first {by}, which is too few to tell: bring {LEAST_TEXTS} or more."
    same = [labels[each.candidate] for each in others if each.verdict is Verdict.SAME]
    if not same:
        return f"{name} is significantly better than all others {by}."
    verb = "is" if len(same) == 1 else "are"
    return f"{name} is first {by}; {_listed(same)} {verb} not significantly different."


def intervals(values: np.ndarray, resamples: int = RESAMPLES, seed: int = SEED) -> list[Interval]:
    """Return mean and percentile bootstrap interval of each column; rows are drawn together."""
    drawn = resampled_means(values, resamples, seed)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    return [
        Interval(*map(float, each)) for each in zip(values.mean(axis=0), low, high, strict=True)
    ]


def resampled_means(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Return the means of the columns (n, m) in each resample of the rows, as (resamples, m)."""
    count = len(values)
    generator = np.random.default_rng(seed)
    step = max(1, _CELLS // count)
    parts = []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = generator.integers(count, size=(size, count))
        drawn += count * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        parts.append(times @ values / count)
    return np.concatenate(parts)


def _complete(rows: Sequence[Sequence[Scores]], key: str) -> np.ndarray:
    """Return the values of a metric as (texts, candidates), of the texts where none is missing."""
    kept = [[scores[key] for scores in row] for row in rows if all(key in each for each in row)]
    return np.array(kept, dtype=float).reshape(len(kept), len(rows[0]) if rows else 0)


def _means(rows: Sequence[Sequence[Scores]]) -> dict[str, list[Interval]]:
    """Return the interval of each candidate by metric, over the texts that all have it for."""
    values = {metric.key: _complete(rows, metric.key) for metric in METRICS}
    by_texts: dict[int, list[str]] = {}  # drawn together: drawing is what takes time
    for key, found in values.items():
        if len(found):
            by_texts.setdefault(len(found), []).append(key)
    means = {}
    for keys in by_texts.values():
        together = iter(intervals(np.hstack([values[key] for key in keys])))
        for key in keys:
            means[key] = list(islice(together, values[key].shape[1]))
    return means


def _verdict(difference: Interval, texts: int) -> Verdict:
    if texts < LEAST_TEXTS:
        return Verdict.TOO_FEW
    return Verdict.SAME if difference.low <= 0 <= difference.high else Verdict.WORSE


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
