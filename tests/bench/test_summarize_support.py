from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import summarize_quality
from bench.summarize_support import (
    CORPORA,
    DEVELOPMENT_PARTS,
    SIGNALS,
    TEXTS,
    altered,
    auc,
    exact_interval,
    interval,
    is_development,
    pearson,
    precision,
    rewritten,
    run,
    written_numbers,
)

ARTICLE = (
    "The plant of Acme in Ohio made 1, 056 pumps in the year. The workers were happy about it."
)
TRUE = "The plant of Acme made 1,056 pumps in the year."
FALSE = "The plant of Acme made 2,056 pumps in the year."


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20))
def test_auc_is_the_share_of_pairs_in_order(pairs: list[tuple[int, bool]]) -> None:
    values = np.array([value for value, _ in pairs], dtype=float)
    positive = np.array([judged for _, judged in pairs], dtype=bool)
    wins = [
        (one > other) + 0.5 * (one == other)
        for one in values[positive]
        for other in values[~positive]
    ]
    expected = sum(wins) / len(wins) if wins else math.nan
    assert auc(values, positive) == pytest.approx(expected, nan_ok=True)


def test_precision_and_correlation_of_nothing_are_no_numbers() -> None:
    assert math.isnan(precision(np.array([False, False]), np.array([True, False])))
    assert math.isnan(pearson(np.ones(3), np.arange(3.0)))
    assert precision(np.array([True, True]), np.array([True, False])) == 0.5
    assert pearson(np.arange(3.0), -np.arange(3.0)) == pytest.approx(-1)


def test_one_of_one_is_no_certainty() -> None:
    # Clopper and Pearson: of n out of n the lower end is 0.025 to the power of 1 / n.
    for count, low in ((1, 0.025), (9, 0.025 ** (1 / 9)), (100, 0.025**0.01)):
        flagged = np.ones(count, bool)
        assert exact_interval(flagged, flagged) == f"[{low:.2f}, 1.00]"
    assert exact_interval(np.zeros(3, bool), np.ones(3, bool)) == "[no interval]"


def test_a_statistic_of_nothing_has_no_interval() -> None:
    assert interval(pearson, np.ones(9), np.arange(9.0), 50) == "[no interval]"


def test_the_interval_is_wider_for_fewer_pairs() -> None:
    random = np.random.default_rng(1)
    few, many = (
        interval(pearson, values, values + random.normal(size=len(values)), 500)
        for values in (random.normal(size=20), random.normal(size=2000))
    )

    def width(said: str) -> float:
        low, high = said.strip("[]").split(", ")
        return float(high) - float(low)

    assert width(few) > 3 * width(many)


def test_about_a_third_is_for_development() -> None:
    chosen = [is_development(f"article {number}") for number in range(900)]
    assert sum(chosen) == pytest.approx(900 / DEVELOPMENT_PARTS, rel=0.15)


def test_without_data_the_benchmark_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(summarize_quality, "DATA", tmp_path)
    assert run(quick=True) == []
    assert "Skipped" in capsys.readouterr().out


def test_both_parts_of_both_sets_are_reported_and_only_one_has_a_goal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(summarize_quality, "DATA", tmp_path)
    (tmp_path / "summarize").mkdir()
    documents = [
        {
            "article": f"{ARTICLE} Note {number}.",
            "sys_summary": FALSE if number % 2 else TRUE,
            "human_fact": 0.0 if number % 2 else 1.0,
        }
        for number in range(40)
    ]
    for file in CORPORA.values():
        (tmp_path / "summarize" / file).write_text("\n".join(map(json.dumps, documents)))
    for file in TEXTS.values():
        text = "Revenue rose 7 percent to $3.1 million. It sold 1,056 pumps and 9 plants."
        (tmp_path / "summarize" / file).write_text(json.dumps({"article": text}) + "\n")
    rows = run(quick=True)
    assert len(rows) == 2 * len(CORPORA) * (1 + 2 * len(SIGNALS)) + 2 * len(TEXTS)
    changed = {row.better: row for row in rows[-2:]}
    assert changed["higher"].ours == 1
    assert changed["lower"].ours == 0 < changed["lower"].peers["raw string match"]
    flags = [row for row in rows if row.metric.startswith("precision")]
    assert [row.met for row in flags] == [True, None, True, None]
    for row in flags:
        assert row.ours == 1
        # The raw match takes "1,056" for another number than "1, 056", so it flags all.
        raw = next(value for name, value in row.peers.items() if name.startswith("raw"))
        assert raw == row.peers["base rate"] < 1


@pytest.mark.parametrize(
    ("sentence", "other"),
    [
        ("It rose 7 percent.", "7%"),
        ("It rose 7%.", "7 percent"),
        ("It made $3.1 million.", "3.1m"),
        ("It made $3.1bn.", "3.1 billion"),
        ("It sold 1,056 pumps.", "1056"),
        ("It sold 9 pumps.", "nine"),
        ("It sold 13 pumps.", ""),
    ],
)
def test_a_number_is_written_in_another_way(sentence: str, other: str) -> None:
    [match] = written_numbers(sentence)
    assert rewritten(match, np.random.default_rng(1)) == other


def test_an_altered_number_has_as_many_digits_and_its_unit() -> None:
    [match] = written_numbers("It made $3,120.5 million.")
    new = altered(match, np.random.default_rng(1))
    assert new != match[0]
    assert new.endswith(" million")
    assert [c.isdigit() for c in new] == [c.isdigit() for c in match[0]]


@pytest.mark.parametrize("sentence", ["a 3-1 win", "at 9:30", "in B2B", "on 3/5/2024", "x 1.2.3"])
def test_parts_of_longer_things_are_left_alone(sentence: str) -> None:
    assert written_numbers(sentence) == []
