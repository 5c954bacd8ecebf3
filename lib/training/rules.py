"""The rules of SageMaker Debugger's profiler, with both sets of thresholds that AWS has published.

What the service ran had faults that are not repeated: here rules look at each node by itself, count
seconds and not samples, lose no sample above 98 percent, and compare all pairs of devices. Each
rule says in which windows of time it fired. Thresholds: "docs" are those of the documentation,
"as run" those that real reports print.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lib.training.model import Profile, Series
from lib.training.steps import outliers, steps_of

WINDOW_S = 60.0  # that is judged as one where a rule looks at a moment
BINS = np.linspace(0.0, 100.0, 51)  # the last one includes 100


@dataclass(frozen=True)
class Preset:
    """The thresholds of the rules; percent, seconds, points and shares as the names say."""

    name: str
    batch_cpu: float = 70.0
    batch_gpu: float = 70.0
    batch_memory: float = 70.0
    bottleneck_share: float = 50.0
    cpu_high: float = 90.0
    cpu_gpu_low: float = 10.0
    io_high: float = 50.0
    io_gpu_low: float = 70.0
    loaders_least: float = 70.0
    loaders_most: float = 200.0
    memory_increase: float = 10.0
    balance: float = 0.5
    low_gpu: float = 70.0
    fluctuating: float = 10.0
    start_minutes: float = 20.0
    outlier_deviations: float = 5.0


DOCS = Preset("AWS documentation")
AS_RUN = Preset("As AWS ran them", io_gpu_low=10.0, memory_increase=5.0, balance=0.2,
                outlier_deviations=3.0)  # fmt: skip
PRESETS = (DOCS, AS_RUN)


@dataclass(frozen=True)
class RuleResult:
    """What a rule found: whether it fired, in words, and the windows in UTC microseconds."""

    rule: str
    fired: bool
    words: str
    windows: tuple[tuple[int, int], ...] = ()
    advice: str = ""


@dataclass(frozen=True, eq=False)
class _Node:
    """One node on a grid of windows: means of its cores, waits and devices."""

    name: str
    starts: NDArray[np.int64]
    width: int
    cpu: NDArray[np.float64]
    wait: NDArray[np.float64]
    gpu: NDArray[np.float64]


def apply_rules(profile: Profile, preset: Preset) -> tuple[RuleResult, ...]:
    """Return what each rule says of a profile; a rule without its measure says so."""
    rules: tuple[Callable[[Profile, Preset], RuleResult], ...] = (
        _batch_size, _cpu_bottleneck, _io_bottleneck, _dataloader, _memory_increase, _balance,
        _low_gpu, _start_up, _overall, _step_outlier,
    )  # fmt: skip
    return tuple(rule(profile, preset) for rule in rules)


def _batch_size(profile: Profile, preset: Preset) -> RuleResult:
    small = []
    for node in profile.nodes:
        gpu = profile.of("gpu", "GPUUtilization", node)
        memory = profile.of("gpu", "GPUMemoryUtilization", node)
        cpu = profile.of("cpu", "CPUUtilization", node)
        if not (gpu and memory and cpu):
            continue
        limits = (
            (_p95(cpu), preset.batch_cpu),
            (_p95(gpu), preset.batch_gpu),
            (_p95(memory), preset.batch_memory),
        )
        if all(value < limit for value, limit in limits):
            small.append(f"{node}: p95 of CPU {limits[0][0]:.0f} %, GPU {limits[1][0]:.0f} %, "
                         f"memory {limits[2][0]:.0f} %")  # fmt: skip
    return _result(
        "BatchSize", profile, small, "A larger batch or a smaller instance would do.", needs="gpu"
    )


def _cpu_bottleneck(profile: Profile, preset: Preset) -> RuleResult:
    return _bottleneck(
        "CPUBottleneck", profile, preset,
        lambda node: (node.cpu > preset.cpu_high) & (node.gpu < preset.cpu_gpu_low),
        "More loader processes, or less work for each sample on the CPU.",
    )  # fmt: skip


def _io_bottleneck(profile: Profile, preset: Preset) -> RuleResult:
    return _bottleneck(
        "IOBottleneck", profile, preset,
        lambda node: (node.wait > preset.io_high) & (node.gpu < preset.io_gpu_low),
        "Fetch ahead, use fewer and larger files, or a faster disk.",
    )  # fmt: skip


def _bottleneck(
    rule: str,
    profile: Profile,
    preset: Preset,
    is_bound: Callable[[_Node], NDArray[np.bool_]],
    advice: str,
) -> RuleResult:
    told, windows = [], []
    for node in _nodes(profile):
        bound = is_bound(node)
        share = 100 * float(bound.mean()) if len(bound) else 0.0
        if share > preset.bottleneck_share:
            told.append(f"{node.name}: {share:.0f} % of the time")
        windows += _runs(node, bound)
    found = _result(rule, profile, told, advice, needs="gpu")
    return RuleResult(found.rule, found.fired, found.words, tuple(windows), found.advice)


def _dataloader(profile: Profile, preset: Preset) -> RuleResult:
    loaders = profile.configuration.get("loader_workers")
    cores = len({one.channel.name for one in profile.of("cpu", "CPUUtilization")})
    if loaders is None or not cores:
        return RuleResult("Dataloader", fired=False, words="The run does not say its loaders.")
    share = 100 * float(loaders) / cores
    words = f"{loaders} loader processes on {cores} cores, {share:.0f} %."
    fired = share < preset.loaders_least or share > preset.loaders_most
    return RuleResult("Dataloader", fired, words, advice="Change the number of loader processes.")


def _memory_increase(profile: Profile, preset: Preset) -> RuleResult:
    told, windows = [], []
    for one in profile.of("gpu", "GPUMemoryUtilization"):
        starts, means = _window_means(one)
        rises = np.diff(means)
        windows += [
            (int(starts[at]), int(starts[at + 1] + WINDOW_S * 1e6))
            for at in np.flatnonzero(rises > preset.memory_increase)
        ]
        if (rises > preset.memory_increase).any():
            told.append(f"{one.channel.label}: up to {rises.max():.0f} points a minute")
    found = _result(
        "GPUMemoryIncrease", profile, told, "Look for tensors that are kept.", needs="gpu"
    )
    return RuleResult(found.rule, found.fired, found.words, tuple(windows), found.advice)


def _balance(profile: Profile, preset: Preset) -> RuleResult:
    told = []
    for node in profile.nodes:
        devices = profile.of("gpu", "GPUUtilization", node)
        for one, other in combinations(devices, 2):
            distance = _distance(one.values, other.values)
            if distance > preset.balance:
                told.append(
                    f"{node}: {one.channel.name} and {other.channel.name} differ by {distance:.2f}"
                )
    return _result(
        "LoadBalancing", profile, told, "Another distribution strategy, or equal shards.",
        needs="gpu",
    )  # fmt: skip


def _low_gpu(profile: Profile, preset: Preset) -> RuleResult:
    told = []
    for one in profile.of("gpu", "GPUUtilization"):
        high, low = np.percentile(one.values, [95, 5])
        if high < preset.low_gpu:
            told.append(f"{one.channel.label}: p95 {high:.0f} %")
        elif low < preset.fluctuating:
            told.append(f"{one.channel.label}: between {low:.0f} and {high:.0f} %")
    return _result(
        "LowGPUUtilization", profile, told, "Look for calls that block, or a smaller instance.",
        needs="gpu",
    )  # fmt: skip


def _start_up(profile: Profile, preset: Preset) -> RuleResult:
    steps = steps_of(profile)
    if not len(steps.workers) or not profile.system:
        return RuleResult("MaxInitializationTime", fired=False, words="No step was recorded.")
    first = int(np.nanmin(steps.start))
    minutes = (first - profile.start) / 6e7
    words = f"The first step began after {minutes:.1f} minutes."
    fired = minutes > preset.start_minutes
    return RuleResult(
        "MaxInitializationTime", fired, words, ((profile.start, first),) if fired else (),
        "A smaller image, or data that need no unpacking.",
    )  # fmt: skip


def _overall(profile: Profile, _preset: Preset) -> RuleResult:
    told = []
    for kind, dimension, word in (
        ("cpu", "CPUUtilization", "CPU"),
        ("gpu", "GPUUtilization", "GPU"),
        ("memory", None, "memory"),
    ):
        found = profile.of(kind, dimension)
        if found:
            values = np.concatenate([one.values for one in found])
            middle, high = np.percentile(values, [50, 99])
            told.append(f"{word} median {middle:.0f} %, p99 {high:.0f} %")
    return RuleResult(
        "OverallSystemUsage", fired=False, words="; ".join(told) or "Nothing measured."
    )


def _step_outlier(profile: Profile, preset: Preset) -> RuleResult:
    steps = steps_of(profile)
    found = [
        one for one in outliers(steps, profile.spans)
        if one.seconds > one.usual * (1 + 0.1 * preset.outlier_deviations)
    ]  # fmt: skip
    windows = tuple((one.start, one.start + int(1e6 * one.seconds)) for one in found)
    words = f"{len(found)} of {steps.count} steps stand out." if steps.count else "No step."
    return RuleResult("StepOutlier", bool(found), words, windows, "See which phase grew.")


def _result(rule: str, profile: Profile, told: list[str], advice: str, *, needs: str) -> RuleResult:
    if not profile.of(needs):
        return RuleResult(rule, fired=False, words="No accelerator was measured.")
    if not told:
        return RuleResult(rule, fired=False, words="Nothing found.")
    return RuleResult(rule, fired=True, words="; ".join(told) + ".", advice=advice)


def _p95(series: list[Series]) -> float:
    return float(np.percentile(np.concatenate([one.values for one in series]), 95))


def _distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the square root of the Jensen-Shannon divergence of two histograms, in base 2."""
    from scipy.spatial.distance import jensenshannon

    first, second = (np.histogram(np.clip(v, 0, 100), BINS)[0] for v in (one, other))
    return float(jensenshannon(first, second, 2))


def _nodes(profile: Profile) -> Iterator[_Node]:
    """Yield each node that has an accelerator, on one grid of the median interval."""
    for node in profile.nodes:
        gpu = profile.of("gpu", "GPUUtilization", node)
        cpu = profile.of("cpu", "CPUUtilization", node)
        if not gpu or not cpu:
            continue
        times = gpu[0].times
        width = int(np.median(np.diff(times))) if len(times) > 1 else 1
        starts = np.arange(times[0], times[-1] + width, max(width, 1))
        wait = profile.of("cpu", "I/OWaitPercentage", node)
        yield _Node(
            node, starts, width, _on_grid(cpu, starts), _on_grid(wait, starts),
            _on_grid(gpu, starts),
        )  # fmt: skip


def _on_grid(series: list[Series], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean over some series in each window of a grid; NaN where nothing was sampled."""
    sums, counts = np.zeros(len(starts)), np.zeros(len(starts))
    for one in series:
        at = np.searchsorted(starts, one.times, side="right") - 1
        inside = at >= 0
        sums += np.bincount(at[inside], weights=one.values[inside], minlength=len(starts))
        counts += np.bincount(at[inside], minlength=len(starts))
    means: NDArray[np.float64] = np.full(len(starts), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def _runs(node: _Node, bound: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.diff(np.concatenate([[0], bound.astype(np.int8), [0]]))
    return [
        (int(node.starts[first]), int(node.starts[last - 1]) + node.width)
        for first, last in zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0), strict=True)
    ]


def _window_means(one: Series) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    width = int(WINDOW_S * 1e6)
    at = (one.times - one.times[0]) // width
    counts = np.bincount(at)
    means = np.bincount(at, weights=one.values) / np.maximum(counts, 1)
    known = np.flatnonzero(counts)
    return one.times[0] + known * width, means[known]
