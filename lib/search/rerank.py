"""Re-ranking: the first results ordered by their words and their meaning together.

What is mixed are two scores of each of the first results: BM25 of its words, and the cosine between
the query's embedding and that of the passage nearest to it. It changes an order and nothing else.
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt

from lib.search.columns import Recent
from lib.search.embedding import Embedder, EmbeddingError, Vector, open_embedder
from lib.search.excerpts import Match

# Fitted on cranfield, cisi and cacm: see `python -m bench search-quality`.
RERANKED = 50  # results
MEANING = 0.6  # of the mix; the rest is words
PASSAGES = 3  # of a document, of 100 words each

LOADING = (
    "The model that compares meanings is being loaded: these results are in order of relevance."
)

_CACHED_PASSAGES = 8_192  # 20 MB
_PASSAGE = re.compile(r"(?:\S{1,80}\s*){1,100}")  # scripts without spaces have long words
_OPERATORS = str.maketrans('"“”*~', " " * 5)  # of the query's syntax

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """One of the first results: its score by words, and the texts that may say what it is about."""

    score: float
    passages: tuple[str, ...]


class Reranker:
    """Orders results by words and meaning, once its model is loaded. Safe for several threads."""

    def __init__(self, opened: Callable[[], Embedder] = open_embedder) -> None:
        self.problem = LOADING  # why there is no model; empty where there is one
        self._opened = opened
        self._embedder: Embedder | None = None
        self._loading = Lock()
        self._vectors: Recent[str, Vector] = Recent(_CACHED_PASSAGES)

    def load(self) -> None:
        """Load the model if it is not loaded; what went wrong is then the `problem`."""
        with self._loading:
            if self._embedder is not None:
                return
            try:
                self._embedder = self._opened()
                self.problem = ""
            except EmbeddingError as error:
                self.problem = f"{error} Until then results are in order of relevance."

    def order(self, query: str, candidates: Sequence[Candidate]) -> list[int]:
        """Return the candidates' numbers, the best first; as they are while there is no model."""
        embedder = self._embedder
        if embedder is None or not candidates:
            return list(range(len(candidates)))
        asked = self._vector(embedder, query.translate(_OPERATORS))
        nearness = [
            max(float(self._vector(embedder, text) @ asked) for text in one.passages)
            for one in candidates
        ]
        words = np.array([one.score for one in candidates])
        best: list[int] = np.argsort(-mixed(words, np.array(nearness)), kind="stable").tolist()
        return best

    def embed_ahead(self, query: str, candidates: Sequence[Candidate]) -> Iterator[float]:
        """Embed what `order` will compare, one text a step, yielding which part of it is done."""
        if self._embedder is not None:
            texts = [query.translate(_OPERATORS), *(t for one in candidates for t in one.passages)]
            for number, text in enumerate(texts, 1):
                self._vector(self._embedder, text)
                yield number / len(texts)

    def _vector(self, embedder: Embedder, text: str) -> Vector:
        return self._vectors.get(text, lambda: embedder.embed(text))


def mixed(words: Scores, nearness: Scores) -> Scores:
    """Return the weighted mean of two scores of the same results, each stretched to 0 to 1."""
    return (1 - MEANING) * _stretched(words) + MEANING * _stretched(nearness)


def _stretched(scores: Scores) -> Scores:
    spread = np.ptp(scores)
    return (scores - scores.min()) / spread if spread else np.zeros(len(scores))


def passages(title: str, text: str, matches: Sequence[Match]) -> tuple[str, ...]:
    """Return up to three passages of a text, each below its title.

    They are those with the most different clauses of the query, then the first. `matches` are in
    order, as `Highlighter.matches` returns them.
    """
    windows = [found.span() for found in _PASSAGE.finditer(text)] or [(0, 0)]
    starts = [start for start, _, _ in matches]

    def clauses(window: tuple[int, int]) -> int:
        inside = matches[bisect_left(starts, window[0]) : bisect_left(starts, window[1])]
        return len({number for _, _, number in inside})

    chosen = heapq.nlargest(PASSAGES, windows, key=lambda window: (clauses(window), -window[0]))
    return tuple(f"{title}\n{text[start:end]}" for start, end in chosen)
