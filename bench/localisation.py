"""Where a deviation sits: exact combinations of values, against Adtributor and RiskLoc.

Real: RobustSpot's incidents of a content delivery network; failures against what their rate in the
minutes before makes expected. Generated: cubes of 48,000 series after the description of RiskLoc's
set S. All methods get the same observed and expected amounts. A combination counts only where it is
exactly one of the true ones; F1 is over all combinations of all cases. The peers are written here
after their papers, with the published parameters: Bhagwan et al., NSDI 2014 (Adtributor), and
Kalander, arXiv 2205.10004 (RiskLoc).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from math import prod
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.detect_quality import DATA
from bench.result import Row
from lib.metrics.localise import Cube, cube_of, localise

Place = frozenset[tuple[str, str]]
Amounts = NDArray[np.float64]
SIZES = {"a": 10, "b": 12, "c": 10, "d": 8, "e": 5}
CASES, QUICK_CASES = 20, 5
RATE_PRIOR = 100.0  # requests that the rate of all series weighs in that of one


@dataclass(frozen=True, eq=False)
class Case:
    """Amounts of each series, and the combinations that were made or found to be anomalous."""

    cube: Cube
    observed: Amounts
    expected: Amounts
    true: frozenset[Place]


def run(quick: bool) -> list[Row]:  # noqa: FBT001  # what bench.__main__ calls
    """Return F1 and time a case on real and generated cubes."""
    found: list[Row] = []
    folder = DATA / "metrics" / "robustspot"
    if folder.is_dir():
        real = list(real_cases(folder))[: QUICK_CASES if quick else None]
        found += _scored(f"RobustSpot, {len(real)} incidents", real)
    made = [generated(seed) for seed in range(QUICK_CASES if quick else CASES)]
    return [*found, *_scored(f"{len(made)} generated cubes", made)]


def real_cases(folder: Path) -> Iterator[Case]:
    """Yield RobustSpot's incidents whose files are there."""
    import yaml

    for entry in yaml.safe_load((folder / "anomaly.yaml").read_text()):
        path = folder / f"{entry['data']}.csv"
        if not path.is_file():
            continue
        frame = pd.read_csv(path, dtype=str).astype({"min": int, "value": float, "cnt": float})
        names = [name for name in frame.columns if name not in {"min", "value", "cnt"}]
        before = frame[frame["min"] < entry["timestamp"]]
        past = before.groupby(names, as_index=False)[["value", "cnt"]].sum()
        now = frame[frame["min"] == entry["timestamp"]]
        both = now.merge(past, on=names, how="left", suffixes=("", "_past")).fillna(0.0)
        usual = before["value"].sum() / before["cnt"].sum()
        rate = (both["value_past"] + RATE_PRIOR * usual) / (both["cnt_past"] + RATE_PRIOR)
        causes = entry["cause"] if isinstance(entry["cause"], list) else [entry["cause"]]
        yield Case(
            cube_of(names, both[names].to_numpy().tolist()),
            both["value"].to_numpy(),
            (both["cnt"] * rate).to_numpy(),
            frozenset(frozenset((key, str(value)) for key, value in one.items()) for one in causes),
        )


def generated(seed: int) -> Case:
    """Return a cube with one to three kinds of anomalies of one to three combinations each."""
    random = np.random.default_rng(seed)
    names, sizes = list(SIZES), list(SIZES.values())
    axes = np.meshgrid(*[np.arange(size) for size in sizes], indexing="ij")
    codes = np.stack(axes, axis=-1).reshape(-1, len(sizes))
    noise = random.uniform(0, 0.25)
    observed = 100 * random.weibull(random.uniform(0.5, 1), prod(sizes))
    observed[random.random(len(observed)) < random.uniform(0, 0.25)] = 0
    expected = np.maximum(observed * (1 - random.normal(0, noise, len(observed))), 0)
    true: set[Place] = set()
    used: set[tuple[int, ...]] = set()
    for _ in range(random.integers(1, 4)):
        count = int(random.integers(1, len(sizes) + 1))
        layers = tuple(sorted(random.choice(len(sizes), count, replace=False)))
        severity, spread = random.uniform(0.2, 1) + noise, random.uniform(0, 0.1)
        for _ in range(0 if layers in used else random.integers(1, 4)):
            code = [int(random.integers(0, sizes[layer])) for layer in layers]
            inside = (codes[:, list(layers)] == code).all(axis=1)
            if observed[inside].any():
                drop = np.clip(random.normal(severity, spread, inside.sum()), 0, 1)
                observed[inside] = expected[inside] * (1 - drop)
                places = zip(layers, code, strict=True)
                true.add(frozenset((names[layer], str(value)) for layer, value in places))
        used.add(layers)
    there = (observed > 0) | (expected > 0)
    values = [[str(value) for value in range(size)] for size in sizes]
    return Case(
        Cube(names, codes[there], values), observed[there], expected[there], frozenset(true)
    )


def ours(case: Case) -> set[Place]:
    """Return what `lib.metrics.localise` finds."""
    found = localise(case.cube, case.observed, case.expected)
    return {frozenset(one.values.items()) for one in found}


def adtributor(case: Case, least: float = 0.1, enough: float = 0.1, most: int = 3) -> set[Place]:
    """Return Adtributor's values of single dimensions, those of the most surprising ones."""
    expected, observed = case.expected.sum(), case.observed.sum()
    candidates = []
    for layer, dimension in enumerate(case.cube.dimensions):
        codes = case.cube.codes[:, layer]
        held, seen = np.bincount(codes, case.expected), np.bincount(codes, case.observed)
        power = (seen - held) / (observed - expected)
        before, after = held / expected, seen / observed
        with np.errstate(divide="ignore", invalid="ignore"):
            surprise = 0.5 * (
                np.nan_to_num(before * np.log(2 * before / (before + after)))
                + np.nan_to_num(after * np.log(2 * after / (before + after)))
            )
        taken: list[int] = []
        explained = 0.0
        for at in np.argsort(-surprise):
            if power[at] > least and explained <= enough:
                taken.append(int(at))
                explained += power[at]
        if explained > enough:
            places = {frozenset({(dimension, case.cube.names[layer][at])}) for at in taken}
            candidates.append((float(surprise[taken].sum()), places))
    candidates.sort(key=lambda one: -one[0])
    return set().union(*(places for _, places in candidates[:most]))


def riskloc(case: Case, risk: float = 0.5, power: float = 0.02, outliers: int = 5) -> set[Place]:
    """Return RiskLoc's combinations: layer by layer, those whose series are mostly abnormal."""
    names = list(case.cube.dimensions)
    both = case.observed + case.expected
    deviation = np.where(both > 0, 2 * (case.expected - case.observed) / np.maximum(both, 1e-12), 0)
    distinct = np.unique(deviation)
    ends = distinct[min(outliers, len(distinct) - 1)], distinct[-min(outliers + 1, len(distinct))]
    cutoff = -min(ends, key=abs)
    abnormal = deviation > cutoff if cutoff >= 0 else deviation < cutoff
    weight = np.minimum(np.where(abnormal, np.abs(deviation), np.abs(cutoff - deviation)), 1.0)
    ep = (case.observed - case.expected) / (case.observed.sum() - case.expected.sum())
    if ep[abnormal].sum() < 0:
        ep = -ep
    least = ep[abnormal].sum() * power
    left = np.ones(len(ep), dtype=bool)
    found: set[Place] = set()
    while ep[abnormal & left].sum() >= least > 0:
        best = _riskiest(case, left, (deviation, weight, ep, abnormal), (risk, least))
        if best is None:
            break
        layers, inside = best
        member = int(np.flatnonzero(inside)[0])
        code = case.cube.codes[member]
        found.add(frozenset((names[at], case.cube.names[at][code[at]]) for at in layers))
        left &= ~inside
    return found


def _riskiest(
    case: Case, left: NDArray[np.bool_], parts: tuple[Any, ...], limits: tuple[float, float]
) -> tuple[tuple[int, ...], NDArray[np.bool_]] | None:
    deviation, weight, ep, abnormal = parts
    risk, least = limits
    dimensions = len(case.cube.dimensions)
    for count in range(1, dimensions + 1):
        top: tuple[tuple[int, ...], NDArray[np.bool_]] | None = None
        most = least
        for layers in combinations(range(dimensions), count):
            keys = np.unique(case.cube.codes[:, layers], axis=0, return_inverse=True)[1].ravel()
            powers = np.bincount(keys, ep * left)
            bad = np.bincount(keys, abnormal * left)
            for at in np.argsort(-powers):
                if powers[at] <= most:
                    break
                inside = (keys == at) & left
                if bad[at] and _risk(case, inside, deviation, weight, abnormal) >= risk:
                    top, most = (layers, inside), float(powers[at])
                    break
        if top is not None:
            return top
    return None


def _risk(
    case: Case, inside: NDArray[np.bool_], deviation: Amounts, weight: Amounts, abnormal: Any
) -> float:
    high = weight[inside & abnormal].sum()
    risk = high / (high + weight[inside & ~abnormal].sum() + 1)
    both = inside & (case.observed != 0) & (case.expected != 0)
    if not both.any():
        return float(risk)
    seen, held = case.observed[both], case.expected[both]
    even = held * seen.sum() / held.sum()
    own = np.abs(deviation[both]).mean()
    low = np.abs(2 * (even - seen) / (even + seen)).mean() / own if own else 0.0
    return float(risk - low)


METHODS: dict[str, Callable[[Case], set[Place]]] = {
    "ours": ours,
    "Adtributor": adtributor,
    "RiskLoc": riskloc,
}


def _scored(name: str, cases: list[Case]) -> list[Row]:
    scores, times = {}, {}
    for method, find in METHODS.items():
        right = wrong = missed = 0
        taken = []
        for case in cases:
            begun = perf_counter()
            found = find(case)
            taken.append(1e3 * (perf_counter() - begun))
            right += len(found & case.true)
            wrong += len(found - case.true)
            missed += len(case.true - found)
        scores[method] = 2 * right / max(2 * right + wrong + missed, 1)
        times[method] = median(taken)
    f1, ms = scores.pop("ours"), times.pop("ours")
    best = max(scores.values())
    goal = "> each peer"
    return [
        Row(name, "F1 of combinations", "0 to 1", "higher", f1, scores, goal, f1 > best),
        Row(name, "a case", "ms", "lower", ms, times),
    ]
