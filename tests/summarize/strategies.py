"""Texts as Hypothesis makes them: prose of few words, and anything at all."""

from __future__ import annotations

from hypothesis import strategies as st

PLAIN = ["revenue", "costs", "margin", "plant", "pump", "quarter", "the", "of", "rose", "customers"]
WORDS = [*PLAIN, "5", "$3", "42%", "Dr.", "e.g.", "“quoted”", "(aside)", "-", "🎉", "売上", "état"]

sentence = st.lists(st.sampled_from(WORDS), min_size=1, max_size=15).flatmap(
    lambda words: st.sampled_from([". ", "! ", "? ", ".\n", ".\n\n", "\n- ", "。"]).map(
        lambda stop: " ".join(words) + stop
    )
)
prose = st.lists(sentence, min_size=2, max_size=25).map(lambda parts: "Revenue " + "".join(parts))
anything = st.text(max_size=300)
