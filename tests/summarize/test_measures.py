from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.summarize.extractive import ExtractiveSummarizer
from lib.summarize.measures import (
    COMPRESSION,
    COVERAGE,
    MEASURES,
    SOURCE_READING_TIME,
    SUMMARY_READING_TIME,
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


@given(prose, st.integers(1, 4))
def test_measures_stay_within_their_ranges(text: str, amount: int) -> None:
    request = SummaryRequest(text, Length(LengthUnit.SENTENCES, amount))
    summary = ExtractiveSummarizer().summarize(request)
    assert 0 < COMPRESSION.of(text, summary) <= 100
    assert 0 <= COVERAGE.of(text, summary) <= 100 + 1e-9


def test_every_measure_says_how_it_is_computed() -> None:
    for measure in MEASURES:
        assert measure.name
        assert measure.unit
        assert "/" in measure.formula
        assert measure.explanation.endswith(".")
