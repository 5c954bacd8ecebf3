"""The benchmark of models, on one so small that its processes take most of the time."""

from __future__ import annotations

import pytest

from bench import abstractive_speed
from bench.abstractive_speed import OURS, PEER, Cost, Shape, run

TINY = Shape("tiny", 64, 1, 1, 5_000, 1, 1, has_goals=False)


def test_engines_are_timed_in_processes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abstractive_speed, "SMALL", TINY)
    monkeypatch.setattr(abstractive_speed, "QUICK_BEAMS", {"greedy": 1})
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    seconds, ratio, memory = run(quick=True)
    assert seconds.case == "tiny, 512 tokens in, 60 out, greedy"
    assert seconds.ours > 0
    assert ratio.ours > 0  # under load the median of ratios is far from the ratio of medians
    assert memory.ours < memory.peers[PEER]  # ours imports neither torch nor transformers
    assert ratio.met is None


def test_goals_are_judged_at_the_full_size_alone() -> None:
    full = Shape("full", 64, 1, 1, 5_000, 1, 1, has_goals=True)
    good = abstractive_speed._rows(full, "greedy", {OURS: Cost(1, 49), PEER: Cost(3, 100)})
    assert [row.met for row in good] == [None, True, True]
    bad = abstractive_speed._rows(full, "greedy", {OURS: Cost(1, 51), PEER: Cost(2.9, 100)})
    assert [row.met for row in bad] == [None, False, False]
