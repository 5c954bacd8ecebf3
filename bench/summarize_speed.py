"""Milliseconds from text to summary at three lengths, against sumy's engines.

The text is generated: words of a seeded vocabulary by Zipf's law, sentences of 4 to 40 words. Our
time runs from the text to the finished summary with its sources. sumy gets the sentences ready
made and only ranks them, which flatters it; at 200,000 words it is not run, since its graphs grow
with the square of the sentences. Models are measured by `bench.abstractive_speed`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np

from bench import abstractive_speed
from bench.result import Row
from bench.summarize_quality import sumy_document, sumy_engine
from lib.summarize.extractive import ExtractiveSummarizer
from lib.summarize.model import Length, LengthUnit, SummaryRequest
from lib.summarize.sentences import sentence_text, split

SEED = 7
VOCABULARY = 20_000
PEERS = ("TextRank", "LexRank", "Luhn")
SENTENCES = 5
FUNCTION_WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "a",
    "is",
    "that",
    "for",
    "it",
    "was",
    "on",
    "are",
]


@dataclass(frozen=True)
class Size:
    """A length of text, how often each engine is timed on it, and the time ours may take."""

    words: int
    repeats: int
    peer_repeats: int
    limit_ms: float | None = None


SIZES = (
    Size(3_000, repeats=9, peer_repeats=3, limit_ms=50),
    Size(20_000, repeats=5, peer_repeats=1),
    Size(200_000, repeats=3, peer_repeats=0, limit_ms=10_000),
)
QUICK_SIZES = (
    Size(3_000, repeats=9, peer_repeats=1, limit_ms=50),
    Size(20_000, repeats=3, peer_repeats=0),
    Size(200_000, repeats=1, peer_repeats=0, limit_ms=10_000),
)


def run(quick: bool) -> list[Row]:  # noqa: FBT001  # the interface of every benchmark
    """Return the time of whole requests and per 1,000 words, median of the repeats, and models'."""
    rows = [row for size in (QUICK_SIZES if quick else SIZES) for row in _rows(size)]
    return rows + abstractive_speed.run(quick)


def _rows(size: Size) -> list[Row]:
    text = generated_text(size.words)
    request = SummaryRequest(text, Length(LengthUnit.SENTENCES, SENTENCES))
    summarizer = ExtractiveSummarizer()
    ours = _milliseconds(lambda: summarizer.summarize(request), size.repeats)
    sentences = [sentence_text(text, each) for each in split(text)]
    names = PEERS if size.peer_repeats else ()
    peers = {f"sumy {name}": _sumy_ms(name, sentences, size.peer_repeats) for name in names}
    case = f"{size.words:,} words, {len(sentences):,} sentences"
    return [_request(case, size.limit_ms, ours, peers), _per_thousand(case, size, ours, peers)]


def _request(case: str, limit_ms: float | None, ours: float, peers: dict[str, float]) -> Row:
    rounded = {name: round(time, 1) for name, time in peers.items()}
    goal = "" if limit_ms is None else f"under {limit_ms:,.0f} ms"
    met = None if limit_ms is None else ours < limit_ms
    return Row(case, "request", "ms", "lower", round(ours, 1), rounded, goal, met)


def _per_thousand(case: str, size: Size, ours: float, peers: dict[str, float]) -> Row:
    thousands = size.words / 1000
    rounded = {name: round(time / thousands, 2) for name, time in peers.items()}
    goal = "faster than sumy TextRank" if peers else ""
    met = ours < peers["sumy TextRank"] if peers else None
    figure = round(ours / thousands, 2)
    return Row(case, "per 1,000 words", "ms", "lower", figure, rounded, goal, met)


def _sumy_ms(engine: str, sentences: list[str], repeats: int) -> float:
    def rank() -> None:
        sumy_engine(engine)(sumy_document(sentences), SENTENCES)

    return _milliseconds(rank, repeats)


def _milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Return the median time of the runs, the first apart where there are several."""
    if repeats > 1:
        work()
    times = []
    for _ in range(repeats):
        started = perf_counter()
        work()
        times.append(1000 * (perf_counter() - started))
    return median(times)


def generated_text(words: int) -> str:
    """Return English-looking text of exactly so many words, the same at every call."""
    random = np.random.default_rng(SEED)
    vocabulary = FUNCTION_WORDS + _invented(random, VOCABULARY - len(FUNCTION_WORDS))
    weights = 1 / np.arange(1, VOCABULARY + 1)
    drawn = random.choice(VOCABULARY, size=words, p=weights / weights.sum())
    sentences = []
    at = 0
    while at < words:
        length = int(np.clip(random.normal(20, 8), 4, 40))
        chosen = [vocabulary[number] for number in drawn[at : at + length]]
        sentences.append(" ".join(chosen).capitalize() + ".")
        at += length
    return " ".join(sentences)


def _invented(random: np.random.Generator, count: int) -> list[str]:
    """Return pronounceable words of two to four syllables."""
    syllables = [consonant + vowel for consonant in "bcdfghklmnprstvw" for vowel in "aeiou"]
    drawn = random.integers(len(syllables), size=(count, 4))
    lengths = random.integers(2, 5, size=count)
    return [
        "".join(syllables[number] for number in row[:length])
        for row, length in zip(drawn.tolist(), lengths.tolist(), strict=True)
    ]
