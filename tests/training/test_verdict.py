from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lib.training.folder import open_profile
from lib.training.model import Channel, Phase, Profile, Series
from lib.training.runs import SAMPLES
from lib.training.steps import PARTS, outliers, steps_of
from lib.training.verdict import Bound, judge
from tests.training.profiles import START, program, system

EVEN = {Phase.DATA: [0.01] * 40, Phase.FORWARD: [0.1] * 40, Phase.BACKWARD: [0.2] * 40}


def of(*workers: dict[Phase, list[float]]) -> Profile:
    return Profile("made", (), program(workers))


@pytest.mark.parametrize(
    ("run", "bound"),
    [
        ("single", Bound.COMPUTE),
        ("single_slow", Bound.DATA),
        ("single_slow_w2", Bound.COMPUTE),
        ("ddp", Bound.COMPUTE),
        ("ddp_slow", Bound.DATA),
        ("ddp_straggler", Bound.COMMUNICATION),
        ("fsdp", Bound.COMPUTE),
        ("pp", Bound.UNKNOWN),
    ],
)
def test_recorded_runs_are_judged_by_what_was_made_of_them(run: str, bound: Bound) -> None:
    found = judge(open_profile(SAMPLES / f"{run}.zip"))
    assert found.bound is bound
    assert found.next_step
    assert bool(found.culprit) == (run == "ddp_straggler")


def test_steps_are_cut_into_their_parts() -> None:
    steps = steps_of(of(EVEN))
    assert steps.duration.shape == (1, 40)
    assert steps.warm == 2
    shares = dict(zip(PARTS, steps.shares(), strict=True))
    assert shares[Phase.DATA] == pytest.approx(0.01 / 0.31)
    assert shares[Phase.BACKWARD] == pytest.approx(0.2 / 0.31)
    assert judge(of(EVEN)).bound is Bound.COMPUTE


def test_communication_is_found_and_a_straggler_by_who_waits_least() -> None:
    talk = EVEN | {Phase.COMMUNICATION: [0.3] * 40}
    assert judge(of(talk)).bound is Bound.COMMUNICATION
    quick = {Phase.FORWARD: [0.1] * 40, Phase.BACKWARD: [0.4] * 40}
    late = {Phase.FORWARD: [0.3] * 40, Phase.BACKWARD: [0.2] * 40}
    found = judge(of(quick, late))
    assert (found.bound, found.culprit) == (Bound.COMMUNICATION, "rank 1")
    assert found.share == pytest.approx(0.4)
    assert judge(of(quick, quick)).culprit == ""


def test_few_steps_or_steps_without_parts_cannot_tell() -> None:
    few = {part: lasts[:8] for part, lasts in EVEN.items()}
    found = judge(of(few))
    assert found.bound is Bound.UNKNOWN
    assert "There are 7 steps after the warm-up; 10 are needed." in found.evidence[0]
    bare = replace(of({Phase.OTHER: [0.3] * 40}))
    assert judge(bare).bound is Bound.UNKNOWN


def test_a_long_start_comes_first() -> None:
    random = np.random.default_rng(0)
    late = program([EVEN], start=START + 100_000_000)
    found = judge(system((80, 40, 20, 1), random, seconds=115, spans=late))
    assert found.bound is Bound.START_UP
    assert found.share == pytest.approx(100 / 115, abs=0.03)


@pytest.mark.parametrize(
    ("levels", "bound"),
    [
        ((15, 40, 20, 45), Bound.DATA),
        ((20, 40, 92, 2), Bound.CPU),
        ((88, 60, 30, 2), Bound.COMPUTE),
        ((85, 97, 30, 2), Bound.MEMORY),
        ((2, 20, 4, 1), Bound.IDLE),
        ((45, 40, 45, 5), Bound.UNKNOWN),
    ],
)
def test_machines_alone_tell_what_they_can(
    levels: tuple[float, float, float, float], bound: Bound
) -> None:
    found = judge(system(levels, np.random.default_rng(1)))
    assert found.bound is bound
    if bound is Bound.DATA:
        assert "rule of high I/O wait" in found.evidence[0]


def test_what_the_steps_say_comes_before_the_machines() -> None:
    starved = {Phase.DATA: [0.3] * 40, Phase.FORWARD: [0.1] * 40, Phase.BACKWARD: [0.1] * 40}
    busy = system((95, 40, 20, 0), np.random.default_rng(2), seconds=20, spans=program([starved]))
    assert judge(busy).bound is Bound.DATA


def test_a_step_that_stands_out_names_the_part_that_grew() -> None:
    slow = {part: list(lasts) for part, lasts in EVEN.items()}
    slow[Phase.DATA][20] = 1.0
    slow[Phase.DATA][0] = 9.0  # the warm-up does not count
    profile = of(slow)
    [found] = outliers(steps_of(profile), profile.spans)
    assert (found.step, found.part, found.worker) == (20, "data", "rank 0")
    assert found.seconds == pytest.approx(1.3)
    assert found.usual == pytest.approx(0.31)


def test_pressure_is_asked_before_io_wait_which_a_busy_machine_hides() -> None:
    profile = system((15, 40, 70, 1), np.random.default_rng(1))
    assert judge(profile).bound is Bound.UNKNOWN
    times = profile.system[0].times
    channel = Channel("algo-1", "pressure", "io_some", "Percent")
    stalled = Series(channel, times, np.full(len(times), 35.0))
    found = judge(replace(profile, system=(*profile.system, stalled)))
    assert found.bound is Bound.DATA
    assert "Tasks waited for I/O 35 % of the time" in found.evidence[0]
