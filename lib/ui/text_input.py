"""Three ways to bring a text: a sample, the clipboard, a file."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from lib.settings import settings
from lib.summarize.files import SUFFIXES, read_text
from lib.summarize.model import TextError
from lib.summarize.samples import SAMPLES
from lib.ui.markdown import escape

WAYS = ("Sample", "Paste", "Upload")
UPLOADED = "summarize.uploaded"  # the text of the last upload; the uploader forgets on page change


@dataclass(frozen=True)
class SourceText:
    """A text to work on, and the name to call it by; both empty until the user brings one."""

    name: str
    text: str


def choose_text() -> SourceText:
    """Draw the ways to bring a text, and return the text that the user chose."""
    way = st.radio(
        "Text",
        WAYS,
        horizontal=True,
        key="summarize_way",
        bind="query-params",
        persist_state="session",
    )
    return {"Sample": _sample, "Paste": _pasted, "Upload": _uploaded}[way]()


def _sample() -> SourceText:
    titles = {sample.title: sample for sample in SAMPLES}
    title = st.selectbox(
        "Sample",
        list(titles),
        key="summarize_sample",
        bind="query-params",
        persist_state="session",
        help="Written for Sightline; companies and events in them are made up.",
    )
    return SourceText(title, titles[title].text)


def _pasted() -> SourceText:
    with st.form("summarize_paste", border=False):
        text = st.text_area(
            "Your text",
            height=280,
            key="summarize_text",
            persist_state="session",
            placeholder="Paste an article, a call, a report …",
            help="Stays in this browser session: never stored, never logged.",
        )
        st.form_submit_button(
            "Summarize", type="primary", shortcut="Ctrl+Enter", key="summarize_submit"
        )
    return SourceText("Pasted text", text or "")


def _uploaded() -> SourceText:
    limit = settings().max_upload_mb
    file = st.file_uploader(
        f"A file up to {limit} MB",
        type=list(SUFFIXES),
        max_upload_size=limit,
        key="summarize_file",
        help="Text, Markdown, PDF, Word or HTML. It is read in memory and not kept.",
    )
    if file is not None:
        try:
            text = read_text(file.name, file.getvalue(), limit_mb=limit)
        except TextError as error:
            st.error(escape(str(error)), icon=":material/error:")
        else:
            st.session_state[UPLOADED] = SourceText(file.name, text)
    kept: SourceText = st.session_state.get(UPLOADED, SourceText("", ""))
    if kept.text:
        st.caption(f"Read: {escape(kept.name)}, {len(kept.text):,} characters")
    return kept
