"""What the Summarize page draws: the length to choose, and a summary with its measures."""

from __future__ import annotations

import json
from dataclasses import asdict

import streamlit as st

from lib.summarize.measures import (
    COMPRESSION,
    COVERAGE,
    SOURCE_READING_TIME,
    SUMMARY_READING_TIME,
    Measure,
)
from lib.summarize.model import MOST, Length, LengthUnit, Summary
from lib.ui.evidence import show_evidence
from lib.ui.markdown import escape
from lib.ui.session import remember
from lib.ui.text_input import SourceText

DEFAULTS = {LengthUnit.SENTENCES: 5, LengthUnit.WORDS: 120, LengthUnit.PERCENT: 20}


def choose_length() -> Length:
    """Draw the unit and the amount, and return the length that the user chose."""
    chosen = st.radio(
        "Length in",
        [unit.value for unit in LengthUnit],
        format_func=str.capitalize,
        horizontal=True,
        key="summarize_unit",
        bind="query-params",
        persist_state="session",
    )
    unit = LengthUnit(chosen)
    amount = st.number_input(
        unit.value.capitalize(),
        min_value=1,
        max_value=MOST[unit],
        value=DEFAULTS[unit],
        key=f"summarize_{unit.value}",
        bind="query-params",
        persist_state="session",
    )
    return Length(unit, int(amount))


def show_empty() -> None:
    """Draw what to do when there is no text yet."""
    with st.container(border=True):
        st.markdown("**No text yet**")
        st.caption(
            "Paste a text or upload a file on the left. Its key sentences appear here, and each "
            "of them points at the places it rests on."
        )


def show_summary(summary: Summary, source: SourceText) -> None:
    """Draw measures, notes, the summary beside its source, and the downloads."""
    for note in summary.notes:
        st.info(escape(note), icon=":material/info:")
    _show_measures(summary, source.text)
    show_evidence(summary, source.text, key="summarize_evidence")
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
            f"{summary.source_words:,} words read in {summary.timings.total * 1000:,.0f} ms",
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


def percent(share: float) -> str:
    """Return a percentage without digits it does not have."""
    return f"{share:.0f} %" if share >= 1 or share == 0 else "< 1 %"


def _show_measures(summary: Summary, text: str) -> None:
    shown = (COMPRESSION, COVERAGE, SUMMARY_READING_TIME, SOURCE_READING_TIME)
    compression, coverage, reading, source_reading = remember(
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
        _show_measure(
            SUMMARY_READING_TIME,
            reading_time(reading),
            f"instead of {reading_time(source_reading)}",
        )


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
