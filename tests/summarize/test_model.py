"""The limits of what a model is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from lib.summarize.model import Generation


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_new_tokens": 0},
        {"max_new_tokens": 4097},
        {"min_new_tokens": -1},
        {"min_new_tokens": 143},
        {"num_beams": 0},
        {"num_beams": 17},
        {"length_penalty": 10.5},
        {"length_penalty": float("nan")},
        {"no_repeat_ngram_size": -1},
    ],
)
def test_parameters_that_no_model_could_follow_are_refused(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must be between"):
        Generation(**wrong)


def test_the_shortest_and_longest_are_allowed() -> None:
    assert Generation(max_new_tokens=1, min_new_tokens=1, num_beams=1).num_beams == 1
    assert Generation(max_new_tokens=4096, num_beams=16).max_new_tokens == 4096
