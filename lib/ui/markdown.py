"""Text from people and documents, made safe for labels that Streamlit reads as Markdown."""

from __future__ import annotations

import re

PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")  # every ASCII mark that CommonMark lets us escape


def escape(text: str) -> str:
    """Return the text so that Markdown shows it as it is, on one line."""
    return PUNCTUATION.sub(r"\\\1", " ".join(text.split()))
