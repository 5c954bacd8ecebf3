"""Escaped text reads as it was written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lib.ui.markdown import WORD_JOINER, escape


@given(st.text())
def test_markdown_shows_the_text_as_it_is(text: str) -> None:
    tokens = MarkdownIt("commonmark", {"html": True}).parseInline(escape(text))
    kinds = {child.type for token in tokens for child in token.children or []}
    assert kinds <= {"text", "text_special", "entity"}


def test_an_image_becomes_words() -> None:
    assert escape("![x](http://a/b)").replace(WORD_JOINER, "") == r"\!\[x\]\(http\:\/\/a\/b\)"


# As mdast-util-gfm-autolink-literal looks for them in text whose escapes are gone already.
LINKS = re.compile(r"(?:https?://|www(?=\.))[-.\w]+|[-.\w+]+@[-\w]+(?:\.[-\w]+)+", re.IGNORECASE)
ADDRESSES = ["http://", "https://", "HTTPS://", "www.", "WWW.", "a.example", "/x", "ana", "@", " "]


@given(st.lists(st.sampled_from(ADDRESSES)).map("".join))
def test_no_address_becomes_a_link(text: str) -> None:
    shown = MarkdownIt("commonmark").parseInline(escape(text))[0].children or []
    assert not LINKS.search("".join(token.content for token in shown))


@pytest.mark.parametrize("text", ["->", "<-", "<->", "--", ">=", "<=", "~=", ":streamlit:"])
def test_signs_and_logo_stay_as_they_were_written(text: str) -> None:
    shown = MarkdownIt("commonmark").parseInline(escape(text))[0].children or []
    read = "".join(token.content for token in shown)
    assert text not in read  # or Streamlit would draw something else
    assert read.replace(WORD_JOINER, "") == text


def test_lines_and_indents_cannot_start_a_block() -> None:
    assert escape("    code\n\n# head") == r"code \# head"
