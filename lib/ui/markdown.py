"""Text from people and documents, made safe for labels that Streamlit reads as Markdown."""

from __future__ import annotations

import re

PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")  # every ASCII mark that CommonMark lets us escape
# What Streamlit rewrites, escaped or not: addresses to links, arrows and signs, its logo.
REWRITTEN = re.compile(
    r"(?<=http)(?=s?://)|(?<=www)(?=\.)|(?<=@)|(?<=[-<>~])(?=[-=>])|(?<=:streamlit)(?=:)",
    re.IGNORECASE,
)
WORD_JOINER = "\u2060"  # without width, and no place to break a line


def escape(text: str) -> str:
    """Return the text so that Markdown shows it as it is, on one line and without any link."""
    apart = REWRITTEN.sub(WORD_JOINER, " ".join(text.split()))
    return PUNCTUATION.sub(r"\\\1", apart)
