from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench import summarize_quality
from bench.summarize_quality import (
    CORPORA,
    METHODS,
    METRICS,
    Interval,
    greedy_oracle,
    lead,
    paired_bootstrap,
    run,
)

SENTENCES = [
    "Good morning and welcome to everybody.",
    "Revenue rose nine percent to four hundred million dollars.",
    "The plant in Ohio was closed.",
    "Guidance for the year was raised to two billion dollars.",
    "The weather in Ohio was mild in the quarter.",
]
REFERENCE = "Revenue rose nine percent. Guidance was raised to two billion dollars."


def test_the_interval_of_a_constant_difference_is_that_difference() -> None:
    assert paired_bootstrap(np.full(30, 2.0)) == Interval(2.0, 2.0, 2.0)


def test_the_interval_is_that_of_the_normal_approximation() -> None:
    differences = np.random.default_rng(1).normal(1, 4, 400)
    interval = paired_bootstrap(differences)
    margin = 1.96 * differences.std() / np.sqrt(400)
    assert interval.mean == pytest.approx(differences.mean())
    assert interval.low == pytest.approx(interval.mean - margin, abs=0.05)
    assert interval.high == pytest.approx(interval.mean + margin, abs=0.05)
    assert interval.excludes_zero
    assert paired_bootstrap(differences) == interval


def test_only_an_interval_without_zero_is_significant() -> None:
    assert "no significant" in str(Interval(0.5, -0.1, 1.1))
    assert "no significant" not in str(Interval(-0.5, -0.9, -0.1))


def test_the_oracle_knows_the_reference() -> None:
    assert sorted(greedy_oracle(REFERENCE, SENTENCES, 2)) == [1, 3]
    assert lead("", SENTENCES, 2) == [0, 1]


@pytest.mark.parametrize("name", [name for name in METHODS if name != "oracle"])
def test_every_method_picks_as_many_sentences_as_asked(name: str) -> None:
    picked = METHODS[name](" ".join(SENTENCES), SENTENCES, 2)
    assert len(set(picked)) == 2
    assert set(picked) <= set(range(5))


def test_without_data_the_benchmark_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(summarize_quality, "DATA", tmp_path)
    assert run(quick=True) == []
    assert "Skipped" in capsys.readouterr().out


def test_every_corpus_gives_scores_differences_and_one_goal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(summarize_quality, "DATA", tmp_path)
    document = {"article": " ".join(SENTENCES), "summary": REFERENCE, "refs": [REFERENCE]}
    (tmp_path / "summarize").mkdir()
    for corpus in CORPORA:
        (tmp_path / "summarize" / corpus.file).write_text(json.dumps(document) + "\n")
    rows = run(quick=True)
    assert len(rows) == len(CORPORA) * (len(METRICS) + len(METHODS) - 2)
    assert sum(row.met is not None for row in rows) == len(CORPORA)
    assert all(0 <= row.ours <= row.peers["oracle"] for row in rows if "oracle" in row.peers)
