from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lib.training.model import Phase, Profile, Series
from lib.training.rules import AS_RUN, DOCS, Preset, apply_rules
from tests.training.profiles import START, program, system


def fired(profile: Profile, preset: Preset = DOCS) -> set[str]:
    return {one.rule for one in apply_rules(profile, preset) if one.fired}


def made(*levels: float, seconds: int = 120) -> Profile:
    gpu, memory, cpu, wait = levels
    return system((gpu, memory, cpu, wait), np.random.default_rng(3), seconds=seconds)


def changed(profile: Profile, name: str, dimension: str, values: np.ndarray) -> Profile:
    series = tuple(
        Series(one.channel, one.times, values.astype(float))
        if (one.channel.name, one.channel.dimension) == (name, dimension)
        else one
        for one in profile.system
    )
    return replace(profile, system=series)


@pytest.mark.parametrize(
    ("levels", "rules"),
    [
        ((90, 80, 30, 2), set()),
        ((30, 30, 30, 2), {"BatchSize", "LowGPUUtilization"}),
        ((5, 80, 95, 2), {"CPUBottleneck", "LowGPUUtilization"}),
        ((30, 80, 30, 60), {"IOBottleneck", "LowGPUUtilization"}),
    ],
)
def test_rules_fire_by_what_was_measured(levels: tuple[float, ...], rules: set[str]) -> None:
    assert fired(made(*levels)) == rules


def test_presets_differ_where_aws_did() -> None:
    waiting = made(30, 80, 30, 60)
    assert "IOBottleneck" in fired(waiting, DOCS)
    assert "IOBottleneck" not in fired(waiting, AS_RUN)


def test_windows_are_those_in_which_it_happened() -> None:
    profile = made(90, 80, 30, 2)
    gpu = np.where(np.arange(240) < 150, 5.0, 90.0)
    low = changed(changed(profile, "gpu0", "GPUUtilization", gpu), "gpu1", "GPUUtilization", gpu)
    for at in range(4):
        low = changed(low, f"cpu{at}", "CPUUtilization", np.full(240, 95.0))
    [found] = [one for one in apply_rules(low, DOCS) if one.rule == "CPUBottleneck"]
    assert found.fired
    assert found.windows == ((START, START + 75_000_000),)


def test_samples_above_98_percent_count_when_devices_are_compared() -> None:
    profile = made(90, 80, 30, 2)
    full, none = np.full(240, 100.0), np.full(240, 1.0)
    apart = changed(
        changed(profile, "gpu0", "GPUUtilization", full), "gpu1", "GPUUtilization", none
    )
    [found] = [one for one in apply_rules(apart, DOCS) if one.rule == "LoadBalancing"]
    assert found.fired
    assert "gpu0 and gpu1 differ by 1.00" in found.words
    same = changed(apart, "gpu1", "GPUUtilization", full)
    assert "LoadBalancing" not in fired(same)


def test_growing_memory_a_late_start_and_outliers() -> None:
    profile = made(90, 80, 30, 2, seconds=240)
    grown = changed(profile, "gpu0", "GPUMemoryUtilization", np.linspace(0, 96, 480))
    assert "GPUMemoryIncrease" in fired(grown)
    steps = {Phase.FORWARD: [0.1] * 60, Phase.BACKWARD: [0.2] * 60}
    steps[Phase.BACKWARD][30] = 2.0
    late = program([steps], start=START + 25 * 60_000_000)
    assert {"MaxInitializationTime", "StepOutlier"} <= fired(replace(profile, spans=late))


def test_a_rule_without_its_measure_says_so() -> None:
    profile = made(90, 80, 30, 2)
    cores = replace(
        profile, system=tuple(one for one in profile.system if one.channel.kind == "cpu")
    )
    found = {one.rule: one for one in apply_rules(cores, DOCS)}
    assert found["BatchSize"].words == "No accelerator was measured."
    assert found["Dataloader"].words == "The run does not say its loaders."
    loaders = replace(cores, configuration={"loader_workers": "1"})
    assert "Dataloader" in fired(loaders)
    assert apply_rules(replace(cores, system=()), DOCS)[8].words == "Nothing measured."
