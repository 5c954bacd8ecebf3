from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from lib.training.charts_data import MOST_POINTS, band, heat, thinned
from lib.training.compare import compare
from lib.training.exports import as_parquet, as_report, as_trace
from lib.training.model import Channel, Phase, Profile, Series, TrainingError
from lib.training.money import money_of
from lib.training.rules import DOCS, apply_rules
from lib.training.verdict import judge
from tests.training.profiles import START, program, system


def run(name: str, data: float, *, seed: int = 0) -> Profile:
    random = np.random.default_rng(seed)
    noise = 1 + 0.05 * random.random(60)
    parts = {Phase.DATA: list(data * noise), Phase.FORWARD: list(0.1 * noise),
             Phase.BACKWARD: list(0.2 * noise)}  # fmt: skip
    return Profile(name, (), program([parts]), configuration={"loader": name, "batch": "8"})


def test_a_faster_candidate_is_told_with_interval_part_and_cost() -> None:
    found = compare(run("slow", 0.3), run("fast", 0.01), 1_000, (3.6, 3.6))
    assert found.change == pytest.approx(0.31 / 0.6 - 1, abs=0.02)
    assert found.low < found.change < found.high < 0
    assert found.finding.startswith("A step of fast takes 48% less")
    assert "most of all in data" in found.finding
    assert found.tokens_per_second is not None
    assert found.tokens_per_second[1] == pytest.approx(1_000 / 0.318, rel=0.02)
    assert found.cost is not None
    assert found.cost[0] == pytest.approx(0.001 * 0.615 / 1_000 * 1e6, rel=0.02)
    assert found.differences == (("loader", "slow", "fast"),)


def test_a_difference_within_its_error_is_called_none() -> None:
    found = compare(run("one", 0.1), run("two", 0.1, seed=1))
    assert "neither faster nor slower" in found.finding
    assert found.cost is None


def test_runs_without_steps_are_not_compared() -> None:
    empty = replace(run("x", 0.1), spans=program([{Phase.FORWARD: [0.1] * 3}]))
    with pytest.raises(TrainingError, match="x has 2 steps"):
        compare(empty, run("y", 0.1))


def test_money_is_hours_of_accelerators_and_what_a_fix_would_save() -> None:
    profile = system((2, 20, 4, 1), np.random.default_rng(0), seconds=3_600)
    found = money_of(profile, judge(profile), 4.0)
    assert (found.devices, found.device) == (2, "accelerator")
    assert found.paid_hours == pytest.approx(2, rel=1e-3)
    assert found.idle_hours == pytest.approx(2, rel=0.02)
    assert found.paid == pytest.approx(4, rel=1e-3)
    assert found.saved == pytest.approx(4, rel=0.02)
    unknown = money_of(profile, judge(profile), None)
    assert unknown.paid is None
    cores = run("slow", 0.3)
    by_steps = money_of(cores, judge(cores), 1.0)
    assert by_steps.device == "node"
    assert by_steps.busy_hours / by_steps.paid_hours == pytest.approx(0.5, abs=0.02)


def test_parquet_trace_and_report_hold_the_run() -> None:
    import pyarrow.parquet as pq

    spans = program([{Phase.FORWARD: [0.1] * 20, Phase.BACKWARD: [0.2] * 20}])
    profile = system((50, 40, 30, 2), np.random.default_rng(0), spans=spans)
    named = replace(profile, name="<b>run</b>")
    table = pq.read_table(io.BytesIO(as_parquet(profile)))
    assert table.num_rows == sum(len(one.times) for one in profile.system)
    assert set(table.column("kind").to_pylist()) == {"cpu", "gpu"}
    trace = json.loads(as_trace(profile))["traceEvents"]
    assert sum(one["ph"] == "X" for one in trace) == 60
    assert min(one["ts"] for one in trace if one["ph"] == "X") == 0
    verdict = judge(named)
    money = money_of(named, verdict, 1.0)
    report = as_report(named, verdict, money, apply_rules(named, DOCS))
    assert "<b>run</b>" not in report
    assert "&lt;b&gt;run" in report
    assert "LowGPUUtilization" in report


def test_charts_get_few_points_and_keep_every_peak() -> None:
    times = START + 1_000 * np.arange(200_000, dtype=np.int64)
    values = np.zeros(200_000)
    values[[77_777, 123_456]] = (50, -20)
    series = Series(Channel("n", "cpu", "cpu0", "CPUUtilization"), times, values)
    shown, kept = thinned(series)
    assert len(shown) <= MOST_POINTS
    assert (kept.max(), kept.min()) == (50, -20)
    few, _ = thinned(series, (int(times[10]), int(times[20])))
    assert len(few) == 10
    window = (int(times[0]), int(times[-1]))
    found = band([series, replace_values(series, values + 10)], window, 50)
    assert (found.least <= found.mean).all()
    assert (found.mean <= found.most).all()
    starts, grid = heat([series], window, 50)
    assert grid.shape == (1, 50)
    assert len(starts) == 50


def replace_values(series: Series, values: np.ndarray) -> Series:
    return Series(series.channel, series.times, values)
