"""Did you mean: words of the index in place of mistyped ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from lib.search.analysis import words_of
from lib.search.columns import SegmentView, Vocabulary

if TYPE_CHECKING:
    from symspellpy import SymSpell

MAX_WORDS = 50_000

_MAX_EDITS = 2
_SHORTEST = 3
_PREFIX_LENGTH = 7


class Speller:
    """The most frequent words of an index, looked up by what was typed."""

    def __init__(self, segments: Iterable[SegmentView]) -> None:
        frequencies: Counter[str] = Counter()
        for segment in segments:
            frequencies.update(frequent_forms(segment.forms, MAX_WORDS))
        self._symspell = _symspell()
        for form, documents in frequencies.most_common(MAX_WORDS):
            if len(form) >= _SHORTEST and form.isalpha():
                self._symspell.create_dictionary_entry(form, documents)

    def correct(self, query: str, unknown: frozenset[str]) -> str:
        """Return the query with the unknown forms replaced by the nearest known ones."""
        from symspellpy import Verbosity

        pieces, place = [], 0
        for form, start, end in words_of(query):
            if form not in unknown or len(form) < _SHORTEST:
                continue
            edits = 1 if len(form) <= _SHORTEST else _MAX_EDITS
            nearest = self._symspell.lookup(form, Verbosity.TOP, edits)
            if nearest:
                pieces += [query[place:start], nearest[0].term]
                place = end
        return "".join([*pieces, query[place:]])


def frequent_forms(vocabulary: Vocabulary, limit: int) -> dict[str, int]:
    """Return the forms in the most documents, with their numbers of documents."""
    documents = np.diff(vocabulary.offsets.astype(np.int64))
    numbers = np.arange(len(documents))
    if len(documents) > limit:
        numbers = np.argpartition(-documents, limit)[:limit]
    return {vocabulary.texts.text(n): int(documents[n]) for n in numbers.tolist()}


def _symspell() -> SymSpell:
    from symspellpy import SymSpell

    return SymSpell(_MAX_EDITS, _PREFIX_LENGTH)
