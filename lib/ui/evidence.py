"""A summary beside its source: a chosen sentence lights up the sentences it rests on."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from zlib import crc32

from lib.summarize.model import Summary, SummarySentence
from lib.ui.packaged import component


def show_evidence(summary: Summary, text: str, *, key: str) -> None:
    """Draw the summary and the text it was made from, linked sentence by sentence."""
    component("evidence")(key=key, data=evidence_data(summary, text))


def evidence_data(summary: Summary, text: str) -> dict[str, Any]:
    """Return what the browser needs: text in pieces, because it counts characters differently."""
    edges = [0, *(edge for span in summary.source for edge in (span.start, span.end)), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    used = {sentence.support[0].sentence for sentence in summary.sentences if sentence.support}
    return {
        "version": crc32(f"{summary.text}\0{text}".encode()),
        "text": summary.text,
        "gaps": pieces[0::2],
        "sentences": pieces[1::2],
        "usage": f"{len(used):,} of {len(summary.source):,} sentences used",
        "summary": [
            _sentence_data(sentence, summary, max(1, len(text))) for sentence in summary.sentences
        ],
    }


def _sentence_data(sentence: SummarySentence, summary: Summary, characters: int) -> dict[str, Any]:
    numbers = ", ".join(f"{support.sentence + 1:,}" for support in sentence.support)
    best = summary.source[sentence.support[0].sentence] if sentence.support else None
    return {
        "text": sentence.text,
        "where": f"Source: sentence {numbers} of {len(summary.source):,}",
        "support": [{"sentence": support.sentence} for support in sentence.support],
        "from": best.start / characters if best else 0,
        "to": best.end / characters if best else 0,
    }
