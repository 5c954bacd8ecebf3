"""The engine of this machine: it picks the sentences that say most, and changes none.

Relevance of sentence i, of `words_i` words, and the choice among them:

    relevance_i = ((1 - W) centrality_i + W exp(-i / 5) + N (0.6 money_i + 0.4 digits_i))
                  min(1, words_i / M)
    next sentence = argmax of relevance - L (highest cosine to a sentence picked before)

Centrality is the mean TF-IDF cosine to the other sentences (LexRank's degree centrality without a
threshold: Erkan and Radev 2004), scaled to 0-1; the choice is maximal marginal relevance
(Carbonell and Goldstein 1998).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from scipy import sparse

from lib.summarize.model import (
    MAX_CHARACTERS,
    Length,
    LengthUnit,
    SourceSentence,
    Summary,
    SummaryRequest,
    SummarySentence,
    Support,
    TextError,
    Timings,
    looks_binary,
)
from lib.summarize.sentences import sentence_text, split
from lib.summarize.support import MOST_SUPPORT, best_support
from lib.summarize.terms import detect_language, term_vectors, tokens_of, words_of

POSITION_WEIGHT = 0.45  # W
NUMBER_WEIGHT = 0.3  # N
SHORT_WORDS = 12  # M: shorter sentences lose relevance in proportion
REDUNDANCY_WEIGHT = 0.4  # L
POSITION_DECAY = 5  # sentences until the lead of a text counts 1/e
MOST_COUNTED = 3  # money words or numbers of one sentence that count
LEAST_TERMS = 3  # a summary in words is not filled up with "Thank you all."

_MONEY = re.compile(
    r"[$€£¥₹₩₽%％億万円元]|\b(?:per ?cent|(?:m|b|tr)illions?|quarter\w*|revenues?|guidance"
    r"|prozent|mio|mrd|mill?iarden|millionen|quartal\w*|umsatz\w*"
    r"|pour cent|milliards?|trimestres?|chiffre d.affaires|por ciento|mill[oó]n(?:es)?|ingresos)\b"
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class _Ranking:
    """The different sentences of a source: where each first stands, and what ranks it."""

    numbers: np.ndarray  # place of each in the source
    words: np.ndarray
    terms: np.ndarray  # different terms in each
    vectors: sparse.csr_array
    relevance: np.ndarray


class ExtractiveSummarizer:
    """Picks key sentences by centrality, position and numbers, without repeating itself."""

    name = "Key sentences"

    def summarize(self, request: SummaryRequest) -> Summary:
        """Return the key sentences in the order of the source; raise `TextError` for no text.

        A length in sentences is met exactly, as far as the text has that many different ones. A
        length in words or percent is never exceeded, and no further sentence of three terms or
        more would fit; when not even one sentence fits, `TextError` names the least length.
        """
        started = perf_counter()
        check_text(request.text)
        source = split(request.text)
        texts = [sentence_text(request.text, sentence) for sentence in source]
        split_at = perf_counter()
        ranking = _rank(source, texts)
        picked, notes = _choose(source, ranking, request.length)
        ranked_at = perf_counter()
        support = _support(ranking, picked)
        sentences = tuple(
            SummarySentence(texts[number], source[number].words, sources)
            for number, sources in zip(picked, support, strict=True)
        )
        timings = Timings(split_at - started, ranked_at - split_at, perf_counter() - ranked_at)
        return Summary(self.name, sentences, source, timings, notes)


def centrality(vectors: sparse.csr_array) -> np.ndarray:
    """Return the mean cosine of each unit row to the other rows, in time linear in the terms."""
    total = np.asarray(vectors.sum(axis=0)).ravel()
    itself = np.diff(vectors.indptr) > 0
    return (vectors @ total - itself) / max(1, vectors.shape[0] - 1)


def marginal_relevance(
    relevance: np.ndarray, vectors: sparse.csr_array, allowed: np.ndarray
) -> Iterator[int]:
    """Yield rows by maximal marginal relevance; `allowed` may lose rows between two of them."""
    left = allowed
    by_term = vectors.tocsc()
    closest = np.zeros(len(relevance))
    while left.any():
        row = int(np.argmax(np.where(left, relevance - REDUNDANCY_WEIGHT * closest, -np.inf)))
        left[row] = False
        yield row
        closest = np.maximum(closest, _cosines(vectors, by_term, row))


def content_of(sentence: str) -> tuple[str, ...]:
    """Return what sentences that say the same have in common: their words, figures included."""
    return tuple(tokens_of(sentence)) or (sentence,)


def ranked_sentences(source: tuple[SourceSentence, ...], texts: list[str]) -> Iterator[int]:
    """Yield the places of the different sentences of a source, by what they say most."""
    ranking = _rank(source, texts)
    allowed = np.ones(len(ranking.words), dtype=bool)
    for row in marginal_relevance(ranking.relevance, ranking.vectors, allowed):
        yield int(ranking.numbers[row])


def _cosines(rows: sparse.csr_array, by_term: sparse.csc_array, row: int) -> np.ndarray:
    """Return the cosines of one row to all rows."""
    entries = slice(rows.indptr[row], rows.indptr[row + 1])
    cosines = np.zeros(rows.shape[0])
    for term, weight in zip(rows.indices[entries], rows.data[entries], strict=True):
        postings = slice(by_term.indptr[term], by_term.indptr[term + 1])
        cosines[by_term.indices[postings]] += weight * by_term.data[postings]
    return cosines


def check_text(text: str) -> None:
    """Raise `TextError` for what is not a text, or too long a one."""
    if not text.strip():
        raise TextError("There is no text to summarize. Paste one or open a file.")
    if len(text) > MAX_CHARACTERS:
        raise TextError(
            f"The text has {len(text):,} characters; at most {MAX_CHARACTERS:,} can be summarized. "
            "Summarize it in parts."
        )
    if looks_binary(text):
        raise TextError("This is not text but binary data. Open the file it comes from instead.")
    if not re.search(r"[^\W\d_]", text):
        raise TextError("The text has no words, only digits or symbols. Paste a text of sentences.")
    if len(text.split()) == 1 and len(words_of(text)) <= 1:
        raise TextError("The text is one word. Paste at least a sentence.")


def why_whole(source: tuple[SourceSentence, ...], length: Length) -> str:
    """Return the note for a text that no summary can shorten, empty for all others."""
    words = sum(sentence.words for sentence in source)
    if len(source) == 1:
        return f"The text is one sentence of {words:,} words, so it is returned as it is."
    size = {LengthUnit.SENTENCES: len(source), LengthUnit.WORDS: words}.get(length.unit)
    if size is None or size > length.amount:
        return ""
    return (
        f"The text has {size:,} {length.unit}, no more than the {length.amount:,} asked for, "
        "so it is returned as it is."
    )


def _rank(source: tuple[SourceSentence, ...], texts: list[str]) -> _Ranking:
    words_by_sentence = [words_of(text) for text in texts]
    first_places: dict[tuple[str, ...], int] = {}
    for number in range(len(texts)):
        first_places.setdefault(content_of(texts[number]), number)
    numbers = np.fromiter(first_places.values(), np.int64)
    different = [words_by_sentence[number] for number in numbers]
    language = detect_language(word for words in different for word in words)
    vectors = term_vectors(different, language).matrix
    lengths = np.array([source[number].words for number in numbers])
    relevance = _relevance(vectors, numbers, lengths, [texts[number] for number in numbers])
    return _Ranking(numbers, lengths, np.diff(vectors.indptr), vectors, relevance)


def _relevance(
    vectors: sparse.csr_array, numbers: np.ndarray, words: np.ndarray, texts: list[str]
) -> np.ndarray:
    position = np.exp(-numbers / POSITION_DECAY)
    money = np.array([min(len(_MONEY.findall(text.lower())), MOST_COUNTED) for text in texts])
    digits = np.array([min(len(_NUMBER.findall(text)), MOST_COUNTED) for text in texts])
    figures = (0.6 * money + 0.4 * digits) / MOST_COUNTED
    weighted = (1 - POSITION_WEIGHT) * _scaled(centrality(vectors)) + POSITION_WEIGHT * position
    relevance: np.ndarray = (weighted + NUMBER_WEIGHT * figures) * np.minimum(
        1, words / SHORT_WORDS
    )
    return relevance


def _scaled(values: np.ndarray) -> np.ndarray:
    """Return the values moved and stretched to 0-1; zeros where all are the same."""
    lowest, span = values.min(), np.ptp(values)
    return (values - lowest) / span if span > 0 else np.zeros_like(values)


def _choose(
    source: tuple[SourceSentence, ...], ranking: _Ranking, length: Length
) -> tuple[list[int], tuple[str, ...]]:
    """Return the places of the chosen sentences, in order, and what there is to say about them."""
    if note := why_whole(source, length):
        return list(range(len(source))), (note,)
    rows = _pick(ranking, length, sum(sentence.words for sentence in source))
    picked = sorted(int(ranking.numbers[row]) for row in rows)
    if length.unit is LengthUnit.SENTENCES and len(picked) < length.amount:
        return picked, (f"The text has only {len(picked):,} different sentences.",)
    return picked, ()


def _pick(ranking: _Ranking, length: Length, source_words: int) -> list[int]:
    if length.unit is LengthUnit.SENTENCES:
        allowed = np.ones(len(ranking.words), dtype=bool)
        ranked = marginal_relevance(ranking.relevance, ranking.vectors, allowed)
        return [row for row, _ in zip(ranked, range(length.amount), strict=False)]
    if length.unit is LengthUnit.WORDS:
        return _fill(ranking, length.amount, f"{length.amount:,} words")
    budget = round(length.amount * source_words / 100)
    return _fill(ranking, budget, f"{budget:,} words ({length.amount} % of the text)")


def _fill(ranking: _Ranking, budget: int, asked: str) -> list[int]:
    """Return rows, best first, until no further one of enough terms fits the budget of words."""
    fits = ranking.words <= budget
    if not fits.any():
        least = int(ranking.words.min())
        raise TextError(
            f"No sentence of this text fits {asked}; the shortest has {least:,}. "
            f"Ask for {least:,} words or more."
        )
    telling = fits & (ranking.terms >= LEAST_TERMS)
    allowed = telling if telling.any() else fits
    picked = []
    for row in marginal_relevance(ranking.relevance, ranking.vectors, allowed):
        picked.append(row)
        budget -= int(ranking.words[row])
        allowed &= ranking.words <= budget
    return picked


def _support(ranking: _Ranking, picked: list[int]) -> list[tuple[Support, ...]]:
    """Return for each picked sentence itself and the sources most like it, best first."""
    row_of = {int(number): row for row, number in enumerate(ranking.numbers)}
    by_term = ranking.vectors.tocsc()
    found = []
    for number in picked:
        others: list[Support] = []
        if (row := row_of.get(number)) is not None:
            cosines = _cosines(ranking.vectors, by_term, row)
            cosines[row] = 0
            others = [
                Support(int(ranking.numbers[other.sentence]), other.similarity)
                for other in best_support(cosines, MOST_SUPPORT - 1)
            ]
        found.append((Support(number, 1.0), *others))
    return found
