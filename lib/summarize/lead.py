"""The baseline of every comparison: the first sentences of a text, as they are."""

from __future__ import annotations

from itertools import accumulate
from time import perf_counter

from lib.summarize.extractive import check_text, why_whole
from lib.summarize.model import (
    Length,
    LengthUnit,
    SourceSentence,
    Summary,
    SummaryRequest,
    SummarySentence,
    Support,
    TextError,
    Timings,
)
from lib.summarize.sentences import sentence_text, split


class LeadSummarizer:
    """Takes the first sentences: the literature's Lead-k, hard to beat on news."""

    name = "First sentences"

    def summarize(self, request: SummaryRequest) -> Summary:
        """Return the first sentences that fit the length; raise `TextError` as key sentences do."""
        started = perf_counter()
        check_text(request.text)
        source = split(request.text)
        note = why_whole(source, request.length)
        split_at = perf_counter()
        count = len(source) if note else _fitting(source, request.length)
        sentences = tuple(
            SummarySentence(sentence_text(request.text, sentence), sentence.words, (Support(i, 1),))
            for i, sentence in enumerate(source[:count])
        )
        timings = Timings(split_at - started, perf_counter() - split_at, 0.0)
        return Summary(self.name, sentences, source, timings, (note,) if note else ())


def _fitting(source: tuple[SourceSentence, ...], length: Length) -> int:
    """Return how many sentences from the first one on the length holds."""
    if length.unit is LengthUnit.SENTENCES:
        return length.amount
    totals = list(accumulate(sentence.words for sentence in source))
    in_words = length.unit is LengthUnit.WORDS
    budget = length.amount if in_words else round(length.amount * totals[-1] / 100)
    count = sum(total <= budget for total in totals)
    if not count:
        raise TextError(
            f"The first sentence of this text has {totals[0]:,} words, more than the {budget:,} "
            f"asked for. Ask for {totals[0]:,} words or more."
        )
    return count
