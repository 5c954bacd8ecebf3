"""The leaderboard: its bootstrap against loops and against every resample there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.summarize import leaderboard as module
from lib.summarize.comparison import CONTENT, ROUGE_1, SECONDS, WORDS
from lib.summarize.leaderboard import (
    LEAST_TEXTS,
    RESAMPLES,
    SEED,
    Verdict,
    finding,
    intervals,
    leaderboard,
    rankable,
    resampled_means,
)

numbers = st.floats(-100, 100).map(lambda number: round(number, 3))


def rows(*columns: list[float], key: str = "rouge1") -> list[list[dict[str, float]]]:
    """Return a row of scores for each text, one column a candidate."""
    return [[{key: value} for value in row] for row in zip(*columns, strict=True)]


@given(
    st.integers(1, 3).flatmap(
        lambda width: st.lists(
            st.lists(numbers, min_size=width, max_size=width), min_size=1, max_size=9
        )
    ),
    st.integers(1, 40),
    st.integers(0, 1000),
)
def test_resamples_are_those_of_a_loop(values: list[list[float]], count: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    expected = []
    for _ in range(count):
        drawn = [values[at] for at in generator.integers(len(values), size=len(values))]
        expected.append([sum(column) / len(values) for column in zip(*drawn, strict=True)])
    assert resampled_means(np.array(values), count, seed) == pytest.approx(np.array(expected))


def test_drawing_in_steps_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).normal(size=(7, 2))
    at_once = resampled_means(values, 500, SEED)
    monkeypatch.setattr(module, "_CELLS", 30)
    assert resampled_means(values, 500, SEED) == pytest.approx(at_once)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=5))
def test_an_interval_cuts_off_its_share_of_all_resamples_there_are(values: list[int]) -> None:
    [found] = intervals(np.array(values, dtype=float)[:, None])
    every = np.array([sum(drawn) / len(values) for drawn in product(values, repeat=len(values))])
    share = 0.025
    error = 5 * np.sqrt(share * (1 - share) / RESAMPLES)
    tiny = 1e-9
    assert np.mean(every < found.low - tiny) <= share + error
    assert np.mean(every <= found.low + tiny) >= share - error
    assert np.mean(every > found.high + tiny) <= share + error
    assert np.mean(every >= found.high - tiny) >= share - error
    assert found.low - tiny <= found.mean <= found.high + tiny


def test_a_constant_advantage_is_significant_however_texts_differ() -> None:
    hard = [float(value) for value in range(0, 100, 5)]
    board = leaderboard(rows(hard, [value + 0.5 for value in hard]), ROUGE_1)
    best, other = board.standings
    assert (best.candidate, best.verdict) == (1, Verdict.BEST)
    assert other.verdict is Verdict.WORSE
    assert other.difference.low == pytest.approx(-0.5)
    # Unpaired, the intervals overlap almost wholly.
    assert other.means["rouge1"].high > best.means["rouge1"].low


def test_a_difference_within_chance_is_said_to_be_none() -> None:
    one = [10.0, 30.0] * 10
    other = [30.0, 10.5] * 10
    board = leaderboard(rows(one, other), ROUGE_1)
    assert [each.verdict for each in board.standings] == [Verdict.BEST, Verdict.SAME]
    assert "A is not significantly different" in finding(board, ["A", "B"])


def test_the_same_scores_twice_are_no_difference() -> None:
    same = [1.1, 2.2, 3.3, 4.4] * 5
    board = leaderboard(rows(same, same), ROUGE_1)
    assert board.standings[1].verdict is Verdict.SAME
    assert board.standings[1].difference.low == board.standings[1].difference.high == 0


def test_less_time_is_better() -> None:
    board = leaderboard(rows([2.0] * 12, [1.0] * 12, key="seconds"), SECONDS)
    assert [each.candidate for each in board.standings] == [1, 0]
    assert board.standings[1].verdict is Verdict.WORSE


def test_few_texts_get_no_verdict() -> None:
    few = LEAST_TEXTS - 1
    board = leaderboard(rows([1.0] * few, [2.0] * few), ROUGE_1)
    assert board.standings[1].verdict is Verdict.TOO_FEW
    assert "too few" in finding(board, ["A", "B"])


def test_only_texts_that_all_have_count() -> None:
    scores = rows([1.0, 100.0, 1.0], [2.0, 2.0, 2.0])
    scores[1][1] = {}
    board = leaderboard(scores, ROUGE_1)
    assert board.texts == 2
    assert [each.candidate for each in board.standings] == [1, 0]
    scores[0][0]["coverage"] = scores[0][1]["coverage"] = 5.0
    assert set(rankable(scores)) == {ROUGE_1, CONTENT}
    assert leaderboard(scores, ROUGE_1).standings[0].means["coverage"].mean == 5


def test_without_values_there_is_no_leaderboard() -> None:
    with pytest.raises(ValueError, match="No text has ROUGE-1"):
        leaderboard([[{}, {}]], ROUGE_1)
    with pytest.raises(ValueError, match="neither better"):
        leaderboard(rows([1.0], key="words"), WORDS)


def test_who_runs_alone_is_told_so() -> None:
    assert "alone" in finding(leaderboard(rows([1.0] * 20), ROUGE_1), ["A"])
