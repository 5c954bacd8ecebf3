"""Summarize: a text in, its key sentences out, every one linked to its source."""

import streamlit as st

from lib import ui
from lib.summarize.model import SummaryRequest, TextError
from lib.ui import resources
from lib.ui.session import remember
from lib.ui.summary_view import choose_length, show_empty, show_summary
from lib.ui.text_input import choose_text

visit = ui.guard(__file__)
summarizer = resources.summarizer()
ui.header(visit.page, ui.source(summarizer.name))

inputs, results = st.columns([1, 3], gap="medium")
with inputs:
    source = choose_text()
    length = choose_length()
with results:
    if not source.text:
        show_empty()
        st.stop()
    request = SummaryRequest(source.text, length)
    try:
        with st.spinner("Reading the text …", show_time=True):
            summary = remember("summary", request, lambda: summarizer.summarize(request))
    except TextError as error:
        st.error(ui.escape(str(error)), icon=":material/error:")
        st.stop()
    show_summary(summary, source)
