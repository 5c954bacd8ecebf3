from __future__ import annotations

import pytest

from bench import abstractive_speed, summarize_speed
from bench.summarize_speed import Size, generated_text, run
from lib.summarize.sentences import split


def test_the_text_has_the_words_and_is_the_same_every_time() -> None:
    text = generated_text(1_000)
    assert len(text.split()) == 1_000
    assert text == generated_text(1_000)
    assert 40 <= len(split(text)) <= 70


def test_sizes_give_requests_and_rates_with_goals(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = (Size(200, 1, 1, limit_ms=1e9), Size(300, 1, 0))
    monkeypatch.setattr(summarize_speed, "QUICK_SIZES", sizes)
    monkeypatch.setattr(abstractive_speed, "run", lambda _: [])
    small, small_rate, large, large_rate = run(quick=True)
    assert small.met
    assert set(small.peers) == {"sumy TextRank", "sumy LexRank", "sumy Luhn"}
    assert small_rate.ours == pytest.approx(small.ours / 0.2, rel=0.05)
    assert small_rate.goal == "faster than sumy TextRank"
    assert large.peers == {}
    assert large.met is None
    assert large_rate.met is None
