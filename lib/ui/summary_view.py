"""What the Summarize page draws of one text: inputs, and a summary with its measures."""

from __future__ import annotations

import json
from dataclasses import asdict

import streamlit as st

from lib.summarize.engines import Engine, Writing, run
from lib.summarize.measures import (
    COMPRESSION,
    COVERAGE,
    NOVELTY,
    SOURCE_READING_TIME,
    SUMMARY_READING_TIME,
    Measure,
)
from lib.summarize.model import Summary, SummaryRequest
from lib.summarize.support import marks_of
from lib.ui import resources
from lib.ui.background import Progress, follow
from lib.ui.engine_choice import (
    FAILURES,
    choose_engine,
    choose_length,
    choose_writing,
    engine_source,
    may_send,
)
from lib.ui.evidence import Marks, show_evidence
from lib.ui.frame import show_source
from lib.ui.markdown import escape
from lib.ui.session import remember
from lib.ui.text_input import SourceText, choose_text


def show_one_summary() -> None:
    """Draw the view of one summary: text, engine and length, and the summary beside its source."""
    inputs, results = st.columns([1, 3], gap="medium")
    with inputs:
        source = choose_text()
        engine = choose_engine("summarize", "Engine")
        writing = choose_writing("summarize") if engine.abstractive else None
        length = choose_length()
        show_source(engine_source(engine))
        _, unknown = resources.endpoints()
        if unknown:
            st.caption(f"Endpoints cannot be listed: {escape(unknown)}")
    with results:
        if not source.text:
            show_empty()
            return
        if not may_send("summarize", source.text, [engine]):
            return
        try:
            made = _made(engine, writing, SummaryRequest(source.text, length))
        except FAILURES as error:
            st.error(escape(str(error)), icon=":material/error:")
            return
        if made is not None:
            show_summary(*made, source)


def _made(
    engine: Engine, writing: Writing | None, request: SummaryRequest
) -> tuple[Summary, Marks | None] | None:
    """Return the summary and, of words that are not the source's, the marks; None until then."""
    engines = resources.engines()

    def work(progress: Progress) -> tuple[Summary, Marks | None]:
        progress.report(0.0, f"Opening {engine.name}")
        summarizer = engines.open(engine.id, writing)
        summary = run(summarizer, request, progress.tell, progress.cancelled)
        return summary, marks_of(request.text, summary) if engine.abstractive else None

    made_from = (engine.id, writing, request)
    return follow("summary", made_from, work, by_model=engine.abstractive)


def show_empty() -> None:
    """Draw what to do when there is no text yet."""
    with st.container(border=True):
        st.markdown("**No text yet**")
        st.caption(
            "Paste a text or upload a file on the left. Its key sentences appear here, and each "
            "of them points at the places it rests on."
        )


def show_summary(summary: Summary, marks: Marks | None, source: SourceText) -> None:
    """Draw measures, notes, the summary beside its source, and the downloads."""
    for note in summary.notes:
        st.info(escape(note), icon=":material/info:")
    _show_measures(summary, marks, source.text)
    show_evidence(summary, source.text, key="summarize_evidence", marks=marks)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Download text",
            summary.text,
            file_name="summary.txt",
            mime="text/plain",
            on_click="ignore",
            icon=":material/download:",
            key="summarize_download_text",
        )
        st.download_button(
            "Download JSON",
            lambda: summary_json(summary, source),
            file_name="summary.json",
            mime="application/json",
            on_click="ignore",
            icon=":material/download:",
            key="summarize_download_json",
        )
        st.caption(
            f"{summary.words_read:,} of {summary.source_words:,} words read, "
            f"in {duration(summary.timings.total)}",
            width="content",
        )


def summary_json(summary: Summary, source: SourceText) -> str:
    """Return the summary with the place of each source sentence, in characters of the text."""
    return json.dumps(
        {
            "source": source.name,
            "engine": summary.engine,
            "summary": summary.text,
            "sentences": [
                {
                    "text": sentence.text,
                    "words": sentence.words,
                    "support": [
                        {
                            "similarity": round(support.similarity, 4),
                            **asdict(summary.source[support.sentence]),
                        }
                        for support in sentence.support
                    ],
                }
                for sentence in summary.sentences
            ],
        },
        ensure_ascii=False,
        indent=2,
    )


def reading_time(seconds: float) -> str:
    """Return a time as minutes and seconds, from an hour on as hours and minutes."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 minutes of an hour
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60:,} h {minutes % 60} min"


def duration(seconds: float) -> str:
    """Return a time in milliseconds, from a second on in seconds."""
    return f"{seconds * 1000:,.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"


def percent(share: float) -> str:
    """Return a percentage without digits it does not have."""
    return f"{share:.0f} %" if share >= 1 or share == 0 else "< 1 %"


def _show_measures(summary: Summary, marks: Marks | None, text: str) -> None:
    shown = (COMPRESSION, COVERAGE, SUMMARY_READING_TIME, SOURCE_READING_TIME, NOVELTY[2])
    compression, coverage, reading, source_reading, novelty = remember(
        "summary_measures",
        (text, summary.text),
        lambda: tuple(measure.of(text, summary) for measure in shown),
    )
    sentences = len(summary.sentences)
    with st.grid(4, min_column_width=150):
        st.metric(
            "Summary",
            f"{summary.words:,} words",
            f"{sentences:,} sentence{'' if sentences == 1 else 's'}",
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
        _show_measure(COMPRESSION, percent(compression), f"of {summary.source_words:,} words")
        _show_measure(COVERAGE, percent(coverage), "of the term weight")
        if marks is None:  # sentences of the source have no new word
            _show_measure(
                SUMMARY_READING_TIME,
                reading_time(reading),
                f"instead of {reading_time(source_reading)}",
            )
        else:
            _show_measure(NOVELTY[2], percent(novelty), "worded anew")


def _show_measure(measure: Measure, value: str, beside: str) -> None:
    st.metric(
        measure.name,
        value,
        beside,
        delta_color="off",
        delta_arrow="off",
        border=True,
        help=f"{escape(measure.explanation)}\n\n`{measure.formula}`",
    )
