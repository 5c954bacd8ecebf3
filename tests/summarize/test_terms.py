from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.summarize.terms import (
    Language,
    count_words,
    detect_language,
    term_vectors,
    tokens_of,
    word_spans,
    words_of,
)
from tests.summarize.languages import SAMPLES, Sample

UNKNOWN = Language("und")
sentences = st.lists(
    st.lists(st.sampled_from(["ab", "cd", "ef", "gh", "ij"]), max_size=8), min_size=1
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("It's a well-known 4.5 % rise.", 6),
        ("收入增长了5%。", 6),
        ("iPhone 很好", 3),
        ("매출은 5% 증가했다", 3),
        ("हिन्दी में लिखा है।", 4),
        ("état naïve", 2),
    ],
)
def test_words_are_counted_as_word_processors_do(text: str, words: int) -> None:
    assert count_words(text) == words


def test_words_keep_combining_marks_and_drop_single_characters() -> None:
    assert words_of("हिन्दी में a 5 Cafe\u0301") == ["हिन्दी", "में", "cafe\u0301"]


def test_scripts_without_spaces_give_pairs() -> None:
    assert words_of("收入增 up 长") == ["收入", "入增", "up", "长"]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.code)
def test_the_language_is_found(sample: Sample) -> None:
    found = detect_language(words_of(sample.text)).code
    assert found == ("und" if sample.code in {"zh", "ja"} else sample.code)


def test_words_of_no_language_have_none() -> None:
    assert detect_language(["zzqx", "qqvv"]) == UNKNOWN
    assert detect_language([]) == UNKNOWN


def test_stop_words_go_and_forms_of_a_word_are_one_term() -> None:
    english = detect_language(words_of(SAMPLES[0].text))
    vectors = term_vectors([["the", "plants", "grew"], ["plant", "the"]], english)
    assert vectors.matrix.shape == (2, 2)
    assert sorted(vectors.counts) == [1, 2]


@given(sentences)
def test_vectors_equal_the_textbook(given_sentences: list[list[str]]) -> None:
    vectors = term_vectors(given_sentences, UNKNOWN)
    terms = list(dict.fromkeys(word for words in given_sentences for word in words))
    expected = np.zeros((len(given_sentences), len(terms)))
    for row, words in enumerate(given_sentences):
        for term, count in Counter(words).items():
            having = sum(term in each for each in given_sentences)
            idf = math.log((1 + len(given_sentences)) / (1 + having)) + 1
            expected[row, terms.index(term)] = (1 + math.log(count)) * idf
        length = np.linalg.norm(expected[row])
        expected[row] /= length or 1
    assert np.allclose(vectors.matrix.toarray(), expected)


@given(st.text())
def test_spans_of_words_are_the_words(text: str) -> None:
    spans = list(word_spans(text))
    assert [text[start:end].lower() for start, end in spans] == words_of(
        text
    ) or text != text.lower()
    assert all(start < end for start, end in spans)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I rose 4.5 %.", ["i", "rose", "4", "5"]),
        ("收入增 up", ["收", "入", "增", "up"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("", []),
    ],
)
def test_tokens_are_all_words(text: str, tokens: list[str]) -> None:
    assert tokens_of(text) == tokens
