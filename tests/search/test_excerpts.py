from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib.search.columns import SegmentView
from lib.search.excerpts import EXCERPT_CHARACTERS, Highlighter
from lib.search.model import Document, Span
from lib.search.parse import parse_query
from tests.search.segments_for_tests import index_of

FILLER = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. " * 20


def highlighter(query: str, *texts: str) -> Highlighter:
    documents = [Document(str(n), "", text) for n, text in enumerate(texts)]
    return Highlighter(SegmentView(index_of(documents).segments[0]), parse_query(query).clauses)


def marked(text: str, spans: tuple[Span, ...]) -> list[str]:
    return [text[span.start : span.end] for span in spans]


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        (
            "encrypt",
            "Encrypted, encrypting: encrypt! Encryptor's",
            ["Encrypted", "encrypting", "encrypt"],
        ),
        ("key", "key keyring monkey KEY _key key_ key", ["key", "KEY", "key"]),
        ("encr*", "Encrypt the encryption", ["Encrypt", "encryption"]),
        ("clustre~", "a cluster of clusters", ["cluster"]),
        ('"access key"', "access, key; access the key", ["access, key"]),
        ('key "access key"', "access key, key", ["access key", "key"]),
        ("café", "Un café, CAFÉ", ["café", "CAFÉ"]),
        ("漢字", "これは漢字です", ["漢", "字"]),
        ("absent", "nothing here", []),
    ],
)
def test_highlights_what_matched(query: str, text: str, expected: list[str]) -> None:
    spans = highlighter(query, text).highlights(text)
    assert marked(text, spans) == expected


@settings(max_examples=150, deadline=None)
@given(
    st.text(alphabet="ab _.-'", max_size=40),
    st.lists(st.sampled_from(["a", "b", "ab", "a*", "ab~", '"a b"', '"b a b"']), max_size=3),
)
@example("a.b_a b", ['"a b"'])
def test_searching_a_text_finds_what_reading_it_finds(text: str, words: list[str]) -> None:
    found = highlighter(" ".join(words), text)
    assert {m[:2] for m in found._scan(text.lower())} == {m[:2] for m in found._read(text)}


def test_a_short_text_is_its_own_excerpt() -> None:
    text = "One line\nabout keys."
    excerpt, spans = highlighter("key", text).excerpt(text)
    assert excerpt == "One line about keys."
    assert marked(excerpt, spans) == ["keys"]


@pytest.mark.parametrize("letter", ["", "é"])
def test_the_excerpt_shows_most_of_the_query_in_whole_words(letter: str) -> None:
    text = f"{letter}key {FILLER} The bucket key opens data buckets. {FILLER}"
    excerpt, spans = highlighter("key bucket", text).excerpt(text)
    assert marked(excerpt, spans) == ["bucket", "key", "buckets"]
    assert excerpt[0] == excerpt[-1] == "…"
    assert EXCERPT_CHARACTERS - 50 < len(excerpt) <= EXCERPT_CHARACTERS + 2
    assert f" {excerpt[1:-1].strip()} " in text
    middle = (spans[0].start + spans[-1].end) / 2
    assert abs(middle - EXCERPT_CHARACTERS / 2) < 40


def test_a_phrase_is_shown_rather_than_its_words() -> None:
    text = f"key access {FILLER} the access key {FILLER} key access"
    excerpt, spans = highlighter('"access key"', text).excerpt(text)
    assert marked(excerpt, spans) == ["access key"]


def test_of_equal_passages_the_first_is_shown() -> None:
    text = f"{FILLER} first key {FILLER} second key {FILLER}"
    excerpt, _ = highlighter("key", text).excerpt(text)
    assert "first key" in excerpt


def test_without_a_match_the_text_begins() -> None:
    excerpt, spans = highlighter("absent", FILLER).excerpt(FILLER)
    assert FILLER.startswith(excerpt[:-1])
    assert excerpt.endswith("…")
    assert spans == ()


def test_matches_beyond_the_first_hundreds_do_not_matter() -> None:
    text = "key " * 100_000
    _, spans = highlighter("key", text).excerpt(text)
    assert len(spans) == EXCERPT_CHARACTERS // 4


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=600), st.sampled_from(["a", "İ", "é*", '"a b"']))
def test_excerpts_are_passages_whatever_the_text(text: str, query: str) -> None:
    excerpt, spans = highlighter(query, text).excerpt(text)
    assert len(excerpt) <= EXCERPT_CHARACTERS + 2
    assert all(0 <= span.start < span.end <= len(excerpt) for span in spans)
