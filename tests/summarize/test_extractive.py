from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import sparse

from lib.settings import Settings
from lib.summarize import open_summarizer
from lib.summarize.extractive import (
    LEAST_TERMS,
    REDUNDANCY_WEIGHT,
    ExtractiveSummarizer,
    centrality,
    marginal_relevance,
)
from lib.summarize.model import (
    MAX_CHARACTERS,
    Length,
    LengthUnit,
    Summarizer,
    Summary,
    SummaryRequest,
    TextError,
)
from lib.summarize.sentences import sentence_text, split
from lib.summarize.support import MOST_SUPPORT, SUPPORT_THRESHOLD
from lib.summarize.terms import count_words, words_of
from tests.summarize.languages import SAMPLES, Sample
from tests.summarize.strategies import prose

REPORT = (
    "Acme Pumps reported third quarter revenue of $412 million, up 9 percent from a year before. "
    "Good morning everyone. "
    "Orders for water pumps grew in Europe while orders for oil pumps fell in North America. "
    "The weather in Ohio was mild. "
    "Management raised its revenue guidance for the year to between $1.6 and $1.7 billion. "
    "Thank you. "
    "Orders for water pumps grew in Europe while orders for oil pumps fell in North America. "
    "Operating margin widened to 14 percent because steel cost less than in the spring. "
    "The company will close its plant in Ohio and move the work on oil pumps to Mexico. "
    "Analysts asked about the plant in Ohio and about the weather."
)


def summarize(text: str, unit: str, amount: int) -> Summary:
    return ExtractiveSummarizer().summarize(SummaryRequest(text, Length(LengthUnit(unit), amount)))


def different(text: str) -> int:
    texts = [sentence_text(text, each) for each in split(text)]
    return len({tuple(words_of(each)) or (each,) for each in texts})


def unit_rows(rows: list[list[int]]) -> sparse.csr_array:
    dense = np.array(rows, dtype=float)
    lengths = np.linalg.norm(dense, axis=1, keepdims=True)
    return sparse.csr_array(dense / np.where(lengths, lengths, 1))


matrices = st.integers(1, 6).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(0, 3), min_size=width, max_size=width), min_size=1, max_size=12
    )
)


def test_the_settings_open_a_summarizer() -> None:
    summarizer: Summarizer = open_summarizer(Settings())
    assert summarizer.name == "Key sentences"


@given(matrices)
def test_centrality_is_the_mean_cosine_to_the_others(rows: list[list[int]]) -> None:
    vectors = unit_rows(rows)
    cosines = vectors.toarray() @ vectors.toarray().T
    np.fill_diagonal(cosines, 0)
    expected = cosines.sum(axis=1) / max(1, len(rows) - 1)
    assert np.allclose(centrality(vectors), expected)


@given(matrices, st.randoms(use_true_random=False))
def test_picks_are_those_of_the_slow_definition(rows: list[list[int]], random: object) -> None:
    vectors = unit_rows(rows)
    seed = random.randrange(1000)  # type: ignore[attr-defined]  # Hypothesis types it as object
    relevance = np.random.default_rng(seed).random(len(rows))
    cosines = vectors.toarray() @ vectors.toarray().T
    expected: list[int] = []
    while len(expected) < len(rows):
        gains = {
            row: relevance[row] - REDUNDANCY_WEIGHT * max([0.0, *cosines[row, expected]])
            for row in range(len(rows))
            if row not in expected
        }
        expected.append(max(gains, key=lambda row: gains[row]))
    assert list(marginal_relevance(relevance, vectors, np.ones(len(rows), bool))) == expected


@given(prose, st.integers(1, 30))
def test_a_length_in_sentences_is_met_exactly(text: str, amount: int) -> None:
    summary = summarize(text, "sentences", amount)
    count = len(summary.source)
    asked = min(amount, different(text)) if amount < count and count > 1 else count
    assert len(summary.sentences) == asked
    assert bool(summary.notes) == (asked < amount or asked == count)


@given(prose, st.sampled_from([("words", 5), ("words", 20), ("words", 60), ("percent", 30)]))
def test_a_budget_of_words_is_kept_and_used(text: str, length: tuple[str, int]) -> None:
    unit, amount = length
    source = split(text)
    total = sum(each.words for each in source)
    budget = amount if unit == "words" else round(amount * total / 100)
    assume(len(source) > 1 and min(each.words for each in source) <= budget)
    summary = summarize(text, unit, amount)
    assert summary.words <= budget
    assert summary.words == sum(count_words(each.text) for each in summary.sentences)
    chosen = {tuple(words_of(each.text)) for each in summary.sentences}
    for each in source:
        words = words_of(sentence_text(text, each))
        telling = len(set(words) - {"the", "of"}) >= 2 * LEAST_TERMS
        if telling and tuple(words) not in chosen:
            assert summary.words + each.words > budget


@given(prose, st.integers(1, 8))
def test_the_summary_is_verbatim_in_order_and_supported(text: str, amount: int) -> None:
    summary = summarize(text, "sentences", amount)
    places = [each.support[0].sentence for each in summary.sentences]
    assert places == sorted(set(places))
    for sentence in summary.sentences:
        itself, *others = sentence.support
        assert sentence.text == sentence_text(text, summary.source[itself.sentence])
        assert itself.similarity == 1.0
        assert len(others) < MOST_SUPPORT
        for other in others:
            assert 0 <= other.sentence < len(summary.source)
            assert other.sentence != itself.sentence
            assert SUPPORT_THRESHOLD <= other.similarity <= 1


def test_the_report_is_told_by_its_figures() -> None:
    summary = summarize(REPORT, "sentences", 3)
    assert summary.text.startswith("Acme Pumps reported third quarter revenue of $412 million")
    assert "guidance" in summary.text
    assert summary.engine == "Key sentences"
    assert summary.notes == ()
    assert summary.timings.total > 0


def test_a_repeated_sentence_is_told_once_and_the_shortage_said() -> None:
    summary = summarize(REPORT, "sentences", 9)
    assert len(summary.sentences) == 9
    assert summary.text.count("Orders for water pumps grew") == 1
    repeated = summarize("Sales rose again. " * 4 + "Costs fell.", "sentences", 3)
    assert repeated.text == "Sales rose again. Costs fell."
    assert repeated.notes == ("The text has only 2 different sentences.",)


def test_courtesies_do_not_fill_a_budget() -> None:
    for budget in range(20, 80):
        summary = summarize(REPORT, "words", budget)
        assert summary.words <= budget
        assert "Thank you" not in summary.text
        assert "Good morning" not in summary.text


def test_a_line_break_inside_a_sentence_becomes_a_space() -> None:
    text = "Revenue of the company grew faster than in any of the years that came\nbefore it. Yes."
    assert "came before it." in summarize(text, "sentences", 1).text


def test_a_short_text_comes_back_as_it_is() -> None:
    text = "Sales rose. Costs fell."
    for unit, amount in (("sentences", 2), ("sentences", 5), ("words", 4)):
        summary = summarize(text, unit, amount)
        assert summary.text == text
        assert "returned as it is" in summary.notes[0]


def test_one_endless_sentence_comes_back_as_it_is() -> None:
    text = "and then revenue rose " * 5_000
    summary = summarize(text, "words", 10)
    assert summary.words == 20_000
    assert "one sentence of 20,000 words" in summary.notes[0]


def test_a_budget_below_every_sentence_names_the_least() -> None:
    with pytest.raises(TextError, match=r"fits 2 words; the shortest has 3\. Ask for 3 words"):
        summarize("Sales rose again. Costs fell a little.", "words", 2)
    with pytest.raises(TextError, match=r"1 words? \(10 % of the text\)"):
        summarize("Sales rose again in May. Costs fell a little bit.", "percent", 10)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.code)
def test_every_language_is_summarized(sample: Sample) -> None:
    summary = summarize(sample.text, "sentences", 2)
    assert len(summary.sentences) == 2
    assert all(each.text in sample.sentences for each in summary.sentences)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no text"),
        (" \n\t ", "no text"),
        ("word", "one word"),
        ("word.", "one word"),
        ("🎉🎉 😀", "no words"),
        ("123 456. 7", "no words"),
        ("!!! ... ???", "no words"),
        ("text\0with a NUL", "binary"),
        ("\x01\x02\x03 abc def", "binary"),
    ],
)
def test_what_is_not_a_text_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(TextError, match=said) as refused:
        summarize(text, "sentences", 3)
    assert str(refused.value).endswith(".")


def test_too_long_a_text_is_refused() -> None:
    with pytest.raises(TextError, match="5,000,001 characters"):
        summarize("a " * (MAX_CHARACTERS // 2) + "b", "sentences", 3)


@given(st.text(max_size=200))
def test_any_text_is_summarized_or_refused(text: str) -> None:
    try:
        said = summarize(text, "sentences", 2).text
    except TextError as refused:
        said = str(refused)
    assert said.strip()


def test_lengths_outside_their_limits_are_refused() -> None:
    for unit, amount in (("sentences", 0), ("sentences", 101), ("percent", 91), ("words", 10_001)):
        with pytest.raises(ValueError, match="must be between"):
            Length(LengthUnit(unit), amount)


def test_sentences_that_differ_in_one_figure_are_different() -> None:
    text = "Sales rose 5 percent. Sales rose 7 percent. Sales rose 7 percent. The plant is old."
    found = ExtractiveSummarizer().summarize(SummaryRequest(text, Length(LengthUnit.SENTENCES, 3)))
    assert [sentence.text for sentence in found.sentences] == [
        "Sales rose 5 percent.",
        "Sales rose 7 percent.",
        "The plant is old.",
    ]
