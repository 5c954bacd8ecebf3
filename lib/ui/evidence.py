"""A summary beside its source: a chosen sentence lights up the sentences it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from zlib import crc32

from lib.summarize.model import Mark, MarkKind, Summary, SummarySentence
from lib.summarize.support import has_capitals
from lib.ui.packaged import component

Marks = Sequence[Sequence[Mark]]


def show_evidence(summary: Summary, text: str, *, key: str, marks: Marks | None = None) -> None:
    """Draw the summary and the text it was made from, linked sentence by sentence.

    `marks`, one sequence a summary sentence as `lib.summarize.support.marks_of` returns them, are
    drawn in the summary with a legend; without them the summary is drawn as unchecked.
    """
    component("evidence")(key=key, data=evidence_data(summary, text, marks))


def evidence_data(summary: Summary, text: str, marks: Marks | None = None) -> dict[str, Any]:
    """Return what the browser needs: text in pieces, because it counts characters differently."""
    edges = [0, *(edge for span in summary.source for edge in (span.start, span.end)), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    used = {sentence.support[0].sentence for sentence in summary.sentences if sentence.support}
    by_sentence = [()] * len(summary.sentences) if marks is None else marks
    return {
        "version": crc32(f"{summary.text}\0{text}\0{marks}".encode()),
        "text": summary.text,
        "gaps": pieces[0::2],
        "sentences": pieces[1::2],
        "usage": f"{len(used):,} of {len(summary.source):,} sentences used",
        "summary": [
            _sentence_data(sentence, found, summary, max(1, len(text)))
            for sentence, found in zip(summary.sentences, by_sentence, strict=True)
        ],
        "legend": None if marks is None else _legend(marks, summary.text),
    }


def _sentence_data(
    sentence: SummarySentence, marks: Sequence[Mark], summary: Summary, characters: int
) -> dict[str, Any]:
    best = summary.source[sentence.support[0].sentence] if sentence.support else None
    return {
        "parts": _parts(sentence.text, marks),
        "where": _where(sentence, summary),
        "support": [{"sentence": support.sentence} for support in sentence.support],
        "from": best.start / characters if best else 0,
        "to": best.end / characters if best else 0,
    }


def _parts(text: str, marks: Sequence[Mark]) -> list[dict[str, str]]:
    """Return the text cut at its marks, those with kind and reason."""
    parts = []
    end = 0
    for mark in marks:
        parts.append({"text": text[end : mark.start]})
        part = {"text": text[mark.start : mark.end], "kind": mark.kind.value, "title": mark.reason}
        parts.append(part)
        end = mark.end
    return [*parts, {"text": text[end:]}]


def _where(sentence: SummarySentence, summary: Summary) -> str:
    if not sentence.support:
        return "No sentence of the source is close to this one"
    numbers = ", ".join(f"{support.sentence + 1:,}" for support in sentence.support)
    return f"Source: sentence {numbers} of {len(summary.source):,}"


def _legend(marks: Marks, summary: str) -> dict[str, Any]:
    """Return how many marks of each kind there are, and what they tell and do not tell."""
    counts = Counter(mark.kind for found in marks for mark in found)
    checked = (
        "Numbers, dates, names and words"
        if has_capitals(summary)
        else ("Names cannot be told in a script without capitals. Numbers, dates and words")
    )
    note = f"{checked} were looked up in the source. That is support, not proof."
    return {
        "kinds": [
            {
                "kind": kind.value,
                "label": f"{counts[kind]:,} {kind}{'' if counts[kind] == 1 else 's'}",
            }
            for kind in MarkKind
            if counts[kind]
        ],
        "note": note,
    }
