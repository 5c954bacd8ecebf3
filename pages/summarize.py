"""Summarize: a text in, a summary out, linked to its source; engines compared on one or many."""

import streamlit as st

from lib import ui
from lib.ui import batch_view, comparison_view, models_view, summary_view

visit = ui.guard(__file__)
ui.header(visit.page)
one, compare, batch, models = st.tabs(
    ("One summary", "Compare", "Batch", "Models"),
    key="summarize_view",
    bind="query-params",
    on_change="rerun",
)
if one.open:
    with one:
        summary_view.show_one_summary()
if compare.open:
    with compare:
        comparison_view.show_comparison()
if batch.open:
    with batch:
        batch_view.show_batches(visit.user)
if models.open:
    with models:
        models_view.show_models(visit.user)
