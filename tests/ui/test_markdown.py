"""Escaped text reads as it was written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lib.ui.markdown import escape


@given(st.text())
def test_markdown_shows_the_text_as_it_is(text: str) -> None:
    tokens = MarkdownIt("commonmark", {"html": True}).parseInline(escape(text))
    kinds = {child.type for token in tokens for child in token.children or []}
    assert kinds <= {"text", "text_special", "entity"}


def test_an_image_becomes_words() -> None:
    assert escape("![x](http://a/b)") == r"\!\[x\]\(http\:\/\/a\/b\)"


def test_lines_and_indents_cannot_start_a_block() -> None:
    assert escape("    code\n\n# head") == r"code \# head"
