"""What a summary is asked for with, and what comes back. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MAX_CHARACTERS = 5_000_000  # about 800,000 words; longer texts are refused with a sentence
READING_WORDS_PER_MINUTE = (
    238  # silent reading of English non-fiction: Brysbaert 2019, meta-analysis
)

_CONTROLS = re.compile(r"[\x01-\x08\x0e-\x1b\x7f]")


class LengthUnit(StrEnum):
    """How the length of a summary is counted."""

    SENTENCES = "sentences"
    WORDS = "words"
    PERCENT = "percent"


MOST = {LengthUnit.SENTENCES: 100, LengthUnit.WORDS: 10_000, LengthUnit.PERCENT: 90}


@dataclass(frozen=True)
class Length:
    """How long a summary may be: so many sentences, so many words, or percent of the words."""

    unit: LengthUnit
    amount: int

    def __post_init__(self) -> None:
        """Refuse an amount outside the limits of its unit."""
        if not 1 <= self.amount <= MOST[self.unit]:
            raise ValueError(
                f"The length must be between 1 and {MOST[self.unit]:,} {self.unit}; "
                f"it is {self.amount:,}."
            )


@dataclass(frozen=True)
class SummaryRequest:
    """A text and the length its summary may have."""

    text: str
    length: Length


@dataclass(frozen=True)
class SourceSentence:
    """One sentence of the source: characters `[start, end)` of the text, and its words."""

    start: int
    end: int
    words: int


@dataclass(frozen=True)
class Support:
    """A source sentence that a summary sentence rests on, with their TF-IDF cosine, 0 to 1."""

    sentence: int
    similarity: float


@dataclass(frozen=True)
class SummarySentence:
    """One sentence of the summary and up to three source sentences it rests on, best first."""

    text: str
    words: int
    support: tuple[Support, ...]


@dataclass(frozen=True)
class Timings:
    """Seconds spent in each step."""

    split: float
    rank: float
    align: float

    @property
    def total(self) -> float:
        """Return the seconds of all steps."""
        return self.split + self.rank + self.align


@dataclass(frozen=True)
class Summary:
    """A summary, every sentence of it with its sources."""

    engine: str
    sentences: tuple[SummarySentence, ...]
    source: tuple[SourceSentence, ...]
    timings: Timings
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return the summary as one text."""
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def words(self) -> int:
        """Return the words of the summary."""
        return sum(sentence.words for sentence in self.sentences)

    @property
    def source_words(self) -> int:
        """Return the words of the source."""
        return sum(sentence.words for sentence in self.source)


class Summarizer(Protocol):
    """An engine that summarizes a text."""

    name: str

    def summarize(self, request: SummaryRequest) -> Summary:
        """Return the summary; raise `TextError` with a sentence for a text it cannot use."""
        ...


class TextError(ValueError):
    """A text or file that cannot be summarized; the message says why and what to do."""


def looks_binary(text: str) -> bool:
    """Tell whether the text is binary data: it holds a NUL, or over 1 % control characters."""
    return "\0" in text or len(_CONTROLS.findall(text)) > len(text) / 100
