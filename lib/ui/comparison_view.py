"""What the Compare view draws: candidates, their scores, their texts and where these differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any
from zlib import crc32

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from lib.summarize.comparison import (
    METRICS,
    Candidate,
    Failure,
    Metric,
    Piece,
    Result,
    agreement,
    check_reference,
    compare,
    finding,
    own_pieces,
)
from lib.summarize.model import TextError
from lib.ui import resources
from lib.ui.background import Progress, follow
from lib.ui.engine_choice import FAILURES, LETTERS, choose_candidates, labels_of, may_send
from lib.ui.markdown import escape
from lib.ui.packaged import component
from lib.ui.summary_view import show_empty
from lib.ui.tables import show_table
from lib.ui.text_input import choose_text

Made = tuple[Result | Failure, ...]
MOST_MARKS_LISTED = 12
LEGEND = "is what no other summary has: three words in a row, or a whole shorter sentence."


def show_comparison() -> None:
    """Draw the Compare view: inputs, and what the candidates make of the text."""
    inputs, results = st.columns([1, 3], gap="medium")
    with inputs:
        source = choose_text()
        reference = _choose_reference()
    with results:
        if not source.text:
            show_empty()
            return
        candidates = choose_candidates("compare", in_columns=True)
        made = _made(source.text, reference, tuple(candidates))
        if made is not None:
            _show(made, labels_of(candidates))


def _choose_reference() -> str:
    reference = st.text_area(
        "Reference summary (optional)",
        height=120,
        key="compare_reference",
        persist_state="session",
        placeholder="A summary somebody wrote: how near does each engine come?",
        help="Gives ROUGE-1, ROUGE-2 and ROUGE-L. Stays in this browser session.",
    )
    try:
        check_reference(reference)
    except TextError as error:
        st.error(escape(str(error)), icon=":material/error:")
        return ""
    return reference.strip()


def _made(text: str, reference: str, candidates: tuple[Candidate, ...]) -> Made | None:
    engines = resources.engines()

    def work(progress: Progress) -> Made:
        entries = []
        for candidate in candidates:
            progress.report(0.0, f"Opening {engines.find(candidate.engine).name}")
            entries.append((candidate, engines.open(candidate.engine, candidate.writing)))
        return compare(
            text,
            (reference,) if reference else (),
            entries,
            report=progress.report,
            cancelled=progress.cancelled,
        )

    try:
        chosen = [engines.find(candidate.engine) for candidate in candidates]
        if not may_send("compare", text, chosen):
            return None
        by_model = any(engine.abstractive for engine in chosen)
        return follow("comparison", (text, reference, candidates), work, by_model=by_model)
    except FAILURES as error:
        st.error(escape(str(error)), icon=":material/error:")
        return None


def _show(made: Made, labels: Sequence[str]) -> None:
    st.markdown(escape(finding(made, LETTERS[: len(made)])))
    if (agreed := agreement(made)) is not None:
        st.caption(f"The fast engine beside full precision: {escape(agreed.sentence)}")
    _show_scores(made, labels)
    _show_texts(made, labels)


def _show_scores(made: Made, labels: Sequence[str]) -> None:
    scored = [
        (label, each.scores)
        for label, each in zip(labels, made, strict=True)
        if isinstance(each, Result)
    ]
    if not scored:
        return
    shown = [metric for metric in METRICS if metric.key in scored[0][1]]
    frame = pd.DataFrame(
        [[label, *(scores[metric.key] for metric in shown)] for label, scores in scored],
        columns=["engine", *(metric.key for metric in shown)],
    )
    show_table(
        frame,
        columns={"engine": st.column_config.TextColumn("Summary", pinned=True)}
        | {metric.key: metric_column(metric) for metric in shown},
        name="comparison",
        alt="Scores of each summary",
    )


def metric_column(metric: Metric) -> ColumnConfig:
    """Return how a table shows a metric."""
    title = f"{metric.name} ({metric.unit})" if metric.unit else metric.name
    return st.column_config.NumberColumn(
        title, format=f"%.{metric.digits}f", help=escape(metric.explanation)
    )


def _show_texts(made: Made, labels: Sequence[str]) -> None:
    sentences = [
        [sentence.text for sentence in each.summary.sentences] if isinstance(each, Result) else []
        for each in made
    ]
    columns = [
        _column(label, each, cut)
        for each, label, cut in zip(made, labels, own_pieces(sentences), strict=True)
    ]
    # The browser draws anew only what is new.
    data = {"version": crc32(repr(columns).encode()), "legend": LEGEND, "summaries": columns}
    component("contrast")(key="compare_contrast", data=data)


def _column(label: str, made: Result | Failure, cut: Sequence[Sequence[Piece]]) -> dict[str, Any]:
    if isinstance(made, Failure):
        return {"label": label, "notes": [made.reason], "sentences": [], "remarks": []}
    return {
        "label": label,
        "notes": made.summary.notes,
        "sentences": [[asdict(piece) for piece in pieces] for pieces in cut],
        "remarks": list(_remarks(made, cut)),
    }


def _remarks(result: Result, cut: Sequence[Sequence[Piece]]) -> Iterator[str]:
    own = sum(len(piece.text.split()) for pieces in cut for piece in pieces if piece.own)
    yield f"{own:,} of {result.summary.words:,} words stand in no other summary."
    marked = [
        f"{sentence.text[mark.start : mark.end]} ({mark.kind})"
        for sentence, marks in zip(result.summary.sentences, result.marks, strict=True)
        for mark in marks
    ]
    if marked:
        more = len(marked) - MOST_MARKS_LISTED
        listed = ", ".join(marked[:MOST_MARKS_LISTED]) + (f" and {more:,} more" if more > 0 else "")
        yield f"Not in the text: {listed}. That is missing support, not proof of an error."
