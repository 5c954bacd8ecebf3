from __future__ import annotations

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.search.analysis import (
    MAX_WORD_CHARACTERS,
    Vocabulary,
    form_of,
    stem,
    words_of,
)
from lib.search.blobs import blob_of

LETTERS = st.sampled_from(
    "aB_9 '-.\u00e9\u00c9e\u0301\ufb01\u0130\u00dfñя日語データ한국ไทยทำค์"
    "\u00ad\uff76\uff9eＡ𝒳😀\n\ud800"
)
TEXTS = st.text(LETTERS, max_size=80) | st.text(max_size=40)


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("", []),
        ("  ...  ", []),
        ("How to Encrypt DATA?", ["how", "to", "encrypt", "data"]),
        ("don't O\u2019Brien's", ["don", "t", "o", "brien", "s"]),
        ("snake_case 3.14 x2", ["snake_case", "3", "14", "x2"]),
        ("ＡＷＳ ﬁne ½", ["aws", "fine", "1\u20442"]),
        ("Cafe\u0301 café", ["café", "café"]),
        ("日本語のデータ", ["日", "本", "語", "の", "デ", "ー", "タ"]),
        ("AWS日本x", ["aws", "日", "本", "x"]),
        ("ｶﾞ", ["ガ"]),
        ("한국어 문서", ["한국어", "문서"]),
        ("ทำ ที่", ["ท", "\u0e4dา", "ที่"]),
        ("हिन्दी", ["हिन्दी"]),
        ("infor\u00admation", ["information"]),
        ("naïve Straße ΟΔΟΣ", ["naïve", "straße", "οδος"]),
        ("a\ud800b \x00c", ["a", "b", "c"]),
    ],
)
def test_words(text: str, forms: list[str]) -> None:
    assert [form for form, _start, _end in words_of(text)] == forms


@given(TEXTS)
def test_spans_are_in_characters_and_hold_the_word(text: str) -> None:
    end_before = 0
    for form, start, end in words_of(text):
        assert end_before <= start < end <= len(text)
        assert form == form_of(text[start : min(end, start + MAX_WORD_CHARACTERS)])
        end_before = end


@given(st.text(st.characters(categories=["L", "N", "P", "Z", "S"]), max_size=60))
def test_spaced_scripts_agree_with_the_regular_expression(text: str) -> None:
    spaced = "".join(c for c in text if not _written_without_spaces(c))
    wanted = [
        unicodedata.normalize("NFKC", word).lower()[:MAX_WORD_CHARACTERS]
        for word in re.findall(r"\w+", spaced)
    ]
    assert [form for form, _start, _end in words_of(spaced)] == wanted


@given(st.lists(TEXTS, max_size=8), st.lists(TEXTS, max_size=8))
def test_bulk_and_single_analysis_are_the_same(first: list[str], second: list[str]) -> None:
    vocabulary = Vocabulary()
    for texts in (first, second):
        tokens = vocabulary.analyse(blob_of(texts))
        for i, text in enumerate(texts):
            numbers = tokens.forms[tokens.offsets[i] : tokens.offsets[i + 1]]
            forms = [vocabulary.forms.texts.text(number) for number in numbers]
            assert forms == [form for form, _start, _end in words_of(text)]
            stems = [vocabulary.stems.texts.text(n) for n in vocabulary.stem_of[numbers].tolist()]
            assert stems == [stem(form) for form in forms]


def test_a_vocabulary_grows_beyond_its_first_room() -> None:
    vocabulary = Vocabulary()
    texts = [f"word{i} long{'x' * (i % 70)}{i}" for i in range(40_000)]
    tokens = vocabulary.analyse(blob_of(texts))
    assert len(tokens.forms) == 2 * len(texts)
    for i in (0, 17, 39_999):
        first, second = tokens.forms[2 * i : 2 * i + 2]
        assert vocabulary.forms.texts.text(first) == f"word{i}"
        assert vocabulary.forms.texts.text(second) == words_of(texts[i])[1][0]
    again = vocabulary.analyse(blob_of(texts))
    assert np.array_equal(again.forms, tokens.forms)


def test_long_words_that_differ_late_are_different_up_to_the_limit() -> None:
    vocabulary = Vocabulary()
    stub = "a" * (MAX_WORD_CHARACTERS - 1)
    vocabulary.analyse(blob_of([f"{stub}b {stub}c {stub}cd {stub}bb"]))
    forms = vocabulary.forms.texts
    assert [forms.text(i) for i in range(len(forms))] == [f"{stub}b", f"{stub}c"]


def test_forms_and_stems_are_sorted_by_their_bytes() -> None:
    vocabulary = Vocabulary()
    for text in ("zebra running 日 apple", "éclair runs 𝒳 banana ﬀ"):
        vocabulary.analyse(blob_of([text]))
        for lexicon in (vocabulary.forms, vocabulary.stems):
            encoded = [lexicon.texts.text(number).encode() for number in lexicon.order.tolist()]
            assert encoded == sorted(encoded)
            assert len(set(encoded)) == len(lexicon) == len(lexicon.texts)


def _written_without_spaces(character: str) -> bool:
    name = unicodedata.name(character, "")
    scripts = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "MYANMAR", "KHMER", "HENTAIGANA")
    return any(script in name for script in scripts) or unicodedata.category(character) == "Lo"
