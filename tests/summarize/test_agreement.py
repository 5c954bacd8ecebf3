"""How far two engines agree, against the package that the literature uses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from lib.summarize.agreement import Agreement, rouge_l
from lib.summarize.model import Draft

words = st.lists(st.sampled_from(["revenue", "rose", "costs", "fell"]), max_size=12)


@given(words, words)
def test_rouge_l_is_that_of_the_package(one: list[str], other: list[str]) -> None:
    if one and other:
        score = RougeScorer(["rougeL"]).score(" ".join(one), " ".join(other))["rougeL"].fmeasure
        assert rouge_l(one, other) == pytest.approx(score)
    else:
        assert rouge_l(one, other) == float(one == other)


def drafts(one: str, other: str) -> Agreement:
    return Agreement(Draft(one, 9, 5, 1.0), Draft(other, 9, 5, 0.5))


def test_the_same_text_agrees_fully_and_promises_nothing() -> None:
    same = drafts("Revenue rose.", "Revenue rose.")
    assert same.rouge_l == same.identical == 1.0
    assert "On another text they may not" in same.sentence


def test_a_word_more_moves_all_that_follow() -> None:
    moved = drafts("revenue rose in asia", "the revenue rose in asia")
    assert moved.rouge_l == pytest.approx(8 / 9)
    assert moved.identical == 0
    assert "the quality with eight-bit weights is not a given" in moved.sentence


def test_one_other_word_is_one_other_word() -> None:
    assert drafts("revenue rose in asia", "revenue fell in asia").identical == 0.75
