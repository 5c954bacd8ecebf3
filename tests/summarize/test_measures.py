from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lib.summarize.extractive import ExtractiveSummarizer
from lib.summarize.measures import (
    CLOSENESS,
    COMPRESSION,
    COVERAGE,
    DENSITY,
    EXTRACTIVE_COVERAGE,
    MEASURES,
    NOVELTY,
    SOURCE_READING_TIME,
    SUMMARY_READING_TIME,
    extractive_fragments,
)
from lib.summarize.model import (
    READING_WORDS_PER_MINUTE,
    Length,
    LengthUnit,
    SourceSentence,
    Summary,
    SummaryRequest,
    SummarySentence,
    Support,
    Timings,
)
from lib.summarize.support import supported_summary
from lib.summarize.terms import tokens_of
from tests.summarize.strategies import prose

TEXT = "qaaaa qbbb qcccc. qaaaa qdddd. qeeeeee qfff qgg qhhhh."


def summary_of(*places: int) -> Summary:
    source = (SourceSentence(0, 17, 3), SourceSentence(18, 30, 2), SourceSentence(31, 54, 4))
    sentences = tuple(
        SummarySentence(
            TEXT[source[place].start : source[place].end],
            source[place].words,
            (Support(place, 1.0),),
        )
        for place in places
    )
    return Summary("test", sentences, source, Timings(0, 0, 0))


def test_compression_is_the_share_of_the_words_left() -> None:
    assert COMPRESSION.of(TEXT, summary_of(0)) == pytest.approx(100 * 3 / 9)


def test_reading_times_are_in_seconds() -> None:
    assert SOURCE_READING_TIME.of(TEXT, summary_of(0)) == pytest.approx(
        9 * 60 / READING_WORDS_PER_MINUTE
    )
    assert SUMMARY_READING_TIME.of(TEXT, summary_of(0)) == pytest.approx(
        3 * 60 / READING_WORDS_PER_MINUTE
    )


def test_coverage_weighs_terms_by_tf_idf() -> None:
    # n = 3: a term of one sentence weighs ln(4/2) + 1, the first (in two) twice ln(4/3) + 1.
    rare, first = 1.6931471805599454, 2 * 1.2876820724517808
    expected = 100 * (first + rare) / (first + 7 * rare)
    assert COVERAGE.of(TEXT, summary_of(1)) == pytest.approx(expected)
    assert COVERAGE.of(TEXT, summary_of(0, 1, 2)) == pytest.approx(100)


def test_coverage_counts_the_words_of_the_summary_and_not_of_its_sources() -> None:
    copied = supported_summary("test", TEXT, TEXT[18:30], Timings(0, 0, 0))
    assert COVERAGE.of(TEXT, copied) == pytest.approx(COVERAGE.of(TEXT, summary_of(1)))
    foreign = supported_summary("test", TEXT, "Zebras vanish.", Timings(0, 0, 0))
    assert COVERAGE.of(TEXT, foreign) == 0


@given(prose, st.integers(1, 4))
def test_measures_stay_within_their_ranges(text: str, amount: int) -> None:
    request = SummaryRequest(text, Length(LengthUnit.SENTENCES, amount))
    summary = ExtractiveSummarizer().summarize(request)
    assert 0 < COMPRESSION.of(text, summary) <= 100
    assert 0 <= COVERAGE.of(text, summary) <= 100 + 1e-9


def test_fragments_run_across_sentences_of_the_summary_as_in_the_paper() -> None:
    text = "Revenue revenue. margin. revenue costs. revenue revenue revenue. "
    copied = "margin. revenue revenue revenue."
    summary = supported_summary("test", text, copied, Timings(0, 0, 0))
    # "margin revenue", then "revenue revenue": more than 1 word by word, less than 1 and 3.
    assert DENSITY.of(text, summary) == pytest.approx((2**2 + 2**2) / 4)


@given(prose, st.integers(1, 4))
@example("Revenue revenue. margin. revenue costs. revenue revenue revenue. ", 2)
def test_a_summary_of_source_sentences_is_a_copy(text: str, amount: int) -> None:
    request = SummaryRequest(text, Length(LengthUnit.SENTENCES, amount))
    summary = ExtractiveSummarizer().summarize(request)
    assert CLOSENESS.of(text, summary) == pytest.approx(100)
    assert [measure.of(text, summary) for measure in NOVELTY.values()] == [0, 0, 0, 0]
    tokens = [tokens_of(sentence.text) for sentence in summary.sentences]
    if any(tokens):
        assert EXTRACTIVE_COVERAGE.of(text, summary) == pytest.approx(100)
        assert 1 <= DENSITY.of(text, summary) <= sum(map(len, tokens))


def test_novelty_coverage_and_density_are_those_of_the_papers() -> None:
    text = "The cat sat on the mat. A dog ran."
    summary = supported_summary("test", text, "A cat sat on a sofa. The dog.", Timings(0, 0, 0))
    # Tokens: a | cat sat on | a | sofa ; the | dog. Fragments of 1, 3, 1, 1, 1; "sofa" is new.
    assert EXTRACTIVE_COVERAGE.of(text, summary) == pytest.approx(100 * 7 / 8)
    assert DENSITY.of(text, summary) == pytest.approx((1 + 9 + 1 + 1 + 1) / 8)
    assert NOVELTY[1].of(text, summary) == pytest.approx(100 * 1 / 8)
    # Pairs: a cat, cat sat, sat on, on a, a sofa; the dog.
    assert NOVELTY[2].of(text, summary) == pytest.approx(100 * 4 / 6)
    assert NOVELTY[3].of(text, summary) == pytest.approx(100 * 3 / 4)
    assert NOVELTY[4].of(text, summary) == pytest.approx(100)


def longest_first(source: list[str], summary: list[str]) -> list[int]:
    """Return the fragments as figure 3 of Grusky et al. 2018 finds them, in slow words."""
    found, i = [], 0
    while i < len(summary):
        best = 0
        for j in range(len(source)):
            size = 0
            while (
                i + size < len(summary)
                and j + size < len(source)
                and summary[i + size] == source[j + size]
            ):
                size += 1
            best = max(best, size)
        if best:
            found.append(best)
        i += max(1, best)
    return found


letters = st.lists(st.sampled_from("abc"), max_size=12)


@given(letters, letters)
def test_fragments_are_those_of_the_slow_definition(source: list[str], summary: list[str]) -> None:
    assert list(extractive_fragments(source, summary)) == longest_first(source, summary)


def test_an_empty_summary_has_measures_too() -> None:
    empty = supported_summary("test", TEXT, "", Timings(0, 0, 0))
    for measure in (CLOSENESS, EXTRACTIVE_COVERAGE, DENSITY, *NOVELTY.values()):
        assert measure.of(TEXT, empty) == 0


def test_every_measure_says_how_it_is_computed() -> None:
    for measure in MEASURES:
        assert measure.name
        assert measure.unit
        assert "/" in measure.formula
        assert measure.explanation.endswith(".")
