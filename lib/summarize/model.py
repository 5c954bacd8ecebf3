"""What a summary is asked for with, and what comes back. No I/O."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
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


class MarkKind(StrEnum):
    """What a marked part of a summary is."""

    NUMBER = "number"
    DATE = "date"
    NAME = "name"
    WORD = "word"


@dataclass(frozen=True)
class Mark:
    """Characters `[start, end)` of a summary sentence that the source does not support, and why."""

    start: int
    end: int
    kind: MarkKind
    reason: str


@dataclass(frozen=True)
class Timings:
    """Seconds spent in each step."""

    split: float
    rank: float
    align: float
    write: float = 0.0

    @property
    def total(self) -> float:
        """Return the seconds of all steps."""
        return self.split + self.rank + self.align + self.write


@dataclass(frozen=True)
class Summary:
    """A summary, every sentence of it with its sources."""

    engine: str
    sentences: tuple[SummarySentence, ...]
    source: tuple[SourceSentence, ...]
    timings: Timings
    notes: tuple[str, ...] = ()
    unread: tuple[int, ...] = ()  # places of the source sentences that the engine did not see

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

    @property
    def words_read(self) -> int:
        """Return the words of the source sentences that the engine saw."""
        return self.source_words - sum(self.source[place].words for place in self.unread)


class Summarizer(Protocol):
    """An engine that summarizes a text."""

    name: str

    def summarize(self, request: SummaryRequest) -> Summary:
        """Return the summary; raise `TextError` with a sentence for a text it cannot use."""
        ...


MOST_NEW_TOKENS = 4096
MOST_BEAMS = 16


@dataclass(frozen=True)
class Generation:
    """How a sequence-to-sequence model writes; the defaults are DistilBART-CNN-12-6's own.

    Names and meaning are those of Hugging Face's `GenerationConfig`. One beam is greedy search.
    """

    max_new_tokens: int = 142
    min_new_tokens: int = 56
    num_beams: int = 4
    length_penalty: float = 2.0
    no_repeat_ngram_size: int = 3

    def __post_init__(self) -> None:
        """Refuse what no model could follow."""
        for name, low, high in (
            ("max_new_tokens", 1, MOST_NEW_TOKENS),
            ("min_new_tokens", 0, self.max_new_tokens),
            ("num_beams", 1, MOST_BEAMS),
            ("length_penalty", -10, 10),
            ("no_repeat_ngram_size", 0, 20),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"{name} must be between {low} and {high}; it is {value}.")


@dataclass(frozen=True)
class Draft:
    """What a model wrote; tokens as its `count` counts them."""

    text: str
    source_tokens: int
    new_tokens: int
    seconds: float


class Generator(Protocol):
    """An abstractive model: it writes a summary in words of its own.

    It reads all of the text it is given; the caller fits the text into `window` first.
    """

    name: str

    def window(self) -> int:
        """Return how many tokens of source the model can read."""
        ...

    def count(self, text: str) -> int:
        """Return the tokens of a text, those that the model adds around it included."""
        ...

    def generate(self, text: str, parameters: Generation, cancelled: Callable[[], bool]) -> Draft:
        """Return the summary of a text.

        `cancelled` is asked while the model works. Raises `TextError` where the text does not fit,
        `StoppedError` where `cancelled` said so, else `GenerationError`.
        """
        ...

    def stream(
        self, text: str, parameters: Generation, cancelled: Callable[[], bool]
    ) -> Iterator[str]:
        """Yield the summary piece by piece; raises what `generate` raises.

        Raises `CannotStreamError` before the first piece where only `generate` can do it.
        """
        ...


class GenerationError(Exception):
    """A model wrote no summary; the message says why and what to do."""


class StoppedError(GenerationError):
    """The summary was stopped before it was written."""


class CannotStreamError(GenerationError):
    """The model writes no summary piece by piece with these parameters; `generate` can."""


class TextError(ValueError):
    """A text or file that cannot be summarized; the message says why and what to do."""


def looks_binary(text: str) -> bool:
    """Tell whether the text is binary data: it holds a NUL, or over 1 % control characters."""
    return "\0" in text or len(_CONTROLS.findall(text)) > len(text) / 100
