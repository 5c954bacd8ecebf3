"""What an analyst wants to know of a summary, each with the formula that the page shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lib.summarize.model import READING_WORDS_PER_MINUTE, Summary
from lib.summarize.sentences import sentence_text
from lib.summarize.terms import detect_language, term_vectors, words_of


@dataclass(frozen=True)
class Measure:
    """A measure of a summary: what to call it, how it is computed, and what it tells."""

    name: str
    unit: str
    formula: str
    explanation: str
    compute: Callable[[str, Summary], float]

    def of(self, text: str, summary: Summary) -> float:
        """Return the measure of the summary of this text, in its unit."""
        return self.compute(text, summary)


def _compression(_text: str, summary: Summary) -> float:
    return 100 * summary.words / summary.source_words


def _coverage(text: str, summary: Summary) -> float:
    words = [words_of(sentence_text(text, sentence)) for sentence in summary.source]
    language = detect_language(word for sentence in words for word in sentence)
    vectors = term_vectors(words, language)
    weights = vectors.counts * vectors.idf
    used = [sentence.support[0].sentence for sentence in summary.sentences]
    covered = vectors.matrix[used].sum(axis=0) > 0
    return float(100 * weights[covered].sum() / weights.sum()) if weights.size else 0.0


def _source_reading_time(_text: str, summary: Summary) -> float:
    return 60 * summary.source_words / READING_WORDS_PER_MINUTE


def _summary_reading_time(_text: str, summary: Summary) -> float:
    return 60 * summary.words / READING_WORDS_PER_MINUTE


_READING = (
    f"People read English non-fiction silently at {READING_WORDS_PER_MINUTE} words per minute "
    "(Brysbaert 2019, mean of 190 studies); other languages differ."
)

COMPRESSION = Measure(
    "Length",
    "% of the words",
    "100 × words of the summary / words of the text",
    "How much of the text is left to read: the inverse of the compression ratio of Grusky et al. "
    "2018 (Newsroom).",
    _compression,
)
COVERAGE = Measure(
    "Content covered",
    "% of the term weight",
    "100 × Σ tf·idf of the terms in the summary / Σ tf·idf of all terms of the text",
    "How much of what the text talks about the summary mentions. Each term but the stop words "
    "weighs how often it occurs (tf) times ln((1 + n) / (1 + sentences with it)) + 1 (idf), with n "
    "sentences. Grusky's fragment coverage would be 100 % for every summary made of source "
    "sentences.",
    _coverage,
)
SOURCE_READING_TIME = Measure(
    "Reading time of the text",
    "s",
    f"60 × words of the text / {READING_WORDS_PER_MINUTE}",
    _READING,
    _source_reading_time,
)
SUMMARY_READING_TIME = Measure(
    "Reading time",
    "s",
    f"60 × words of the summary / {READING_WORDS_PER_MINUTE}",
    _READING,
    _summary_reading_time,
)
MEASURES = (COMPRESSION, COVERAGE, SUMMARY_READING_TIME, SOURCE_READING_TIME)
