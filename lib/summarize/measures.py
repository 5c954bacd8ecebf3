"""What an analyst wants to know of a summary, each with the formula that the page shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lib.summarize.model import READING_WORDS_PER_MINUTE, Summary
from lib.summarize.sentences import sentence_text
from lib.summarize.support import SUPPORT_THRESHOLD
from lib.summarize.terms import detect_language, term_vectors, tokens_of, words_of


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
    mentioned = [word for sentence in summary.sentences for word in words_of(sentence.text)]
    # Columns are numbered by first use, so the terms of the text keep theirs.
    columns = term_vectors([*words, mentioned], language).matrix[[-1]].indices
    covered = columns[columns < weights.size]
    return float(100 * weights[covered].sum() / weights.sum()) if weights.size else 0.0


def _source_reading_time(_text: str, summary: Summary) -> float:
    return 60 * summary.source_words / READING_WORDS_PER_MINUTE


def _summary_reading_time(_text: str, summary: Summary) -> float:
    return 60 * summary.words / READING_WORDS_PER_MINUTE


def _closeness(_text: str, summary: Summary) -> float:
    closest = [
        max((each.similarity for each in sentence.support), default=0.0)
        for sentence in summary.sentences
    ]
    return 100 * sum(closest) / max(1, len(closest))


def _novelty(size: int) -> Callable[[str, Summary], float]:
    def novelty(text: str, summary: Summary) -> float:
        in_text = set(_ngrams(_tokens(text, summary), size))
        ngrams = [
            ngram
            for sentence in summary.sentences
            for ngram in _ngrams(tokens_of(sentence.text), size)
        ]
        return 100 * sum(ngram not in in_text for ngram in ngrams) / max(1, len(ngrams))

    return novelty


def _ngrams(tokens: list[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(tokens[start:] for start in range(size)), strict=False)


def _tokens(text: str, summary: Summary) -> list[str]:
    return [
        token for sentence in summary.source for token in tokens_of(sentence_text(text, sentence))
    ]


def _extractive_coverage(text: str, summary: Summary) -> float:
    fragments, tokens = _fragments(text, summary)
    return 100 * sum(fragments) / max(1, tokens)


def _density(text: str, summary: Summary) -> float:
    fragments, tokens = _fragments(text, summary)
    return sum(size**2 for size in fragments) / max(1, tokens)


def _fragments(text: str, summary: Summary) -> tuple[list[int], int]:
    """Return the tokens in each fragment of the summary that stands in the text, and in all."""
    source = _tokens(text, summary)
    tokens = [token for sentence in summary.sentences for token in tokens_of(sentence.text)]
    return list(extractive_fragments(source, tokens)), len(tokens)


def extractive_fragments(source: Sequence[str], summary: Sequence[str]) -> Iterator[int]:
    """Yield the lengths of the fragments that the summary shares with the source, in tokens.

    Greedy, as in figure 3 of Grusky et al. 2018: from the left, the longest run of tokens that
    stands anywhere in the source, then on behind it.
    """
    places: dict[str, list[int]] = {}
    for place, token in enumerate(source):
        places.setdefault(token, []).append(place)
    at = 0
    while at < len(summary):
        longest = 0
        ends = places.get(summary[at], [])
        while ends:
            longest += 1
            following = summary[at + longest] if at + longest < len(summary) else None
            ends = [
                end + 1 for end in ends if end + 1 < len(source) and source[end + 1] == following
            ]
        if longest:
            yield longest
        at += max(1, longest)


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
CLOSENESS = Measure(
    "Closeness to the text",
    "% of a cosine of 1",
    "100 × Σ highest TF-IDF cosine to a sentence of the text / sentences of the summary",
    f"How near each sentence of the summary is to the sentence of the text it rests on most; below "
    f"{SUPPORT_THRESHOLD} it counts as zero. It tells copying from rewriting, not true from false.",
    _closeness,
)
NOVELTY = {
    size: Measure(
        f"Novel {name}",
        f"% of the {name}",
        f"100 × {name} of the summary that the text lacks / {name} of the summary",
        f"How much of the summary is worded anew: 0 % for a copy (See et al. 2017, figure 6). "
        f"Counted within sentences of the summary, in lower case: {said}.",
        _novelty(size),
    )
    for size, name, said in (
        (1, "words", "single words"),
        (2, "word pairs", "two words in a row"),
        (3, "3-grams", "three words in a row"),
        (4, "4-grams", "four words in a row"),
    )
}
EXTRACTIVE_COVERAGE = Measure(
    "Copied words",
    "% of the words",
    "100 × Σ |f| / |S|",
    "How many words of the summary S stand in fragments f shared with the text: the extractive "
    "fragment coverage of Grusky et al. 2018 (Newsroom).",
    _extractive_coverage,
)
DENSITY = Measure(
    "Fragment density",
    "words",
    "Σ |f|² / |S|",
    "The mean length of the fragment f that a word of the summary S was copied with: the density "
    "of Grusky et al. 2018 (Newsroom). 1 is single words, 20 whole sentences.",
    _density,
)
MEASURES = (
    COMPRESSION,
    COVERAGE,
    SUMMARY_READING_TIME,
    SOURCE_READING_TIME,
    CLOSENESS,
    *NOVELTY.values(),
    EXTRACTIVE_COVERAGE,
    DENSITY,
)
