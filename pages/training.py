"""Training: where the time and the money of a training job go."""

import streamlit as st

from lib import ui
from lib.ui import training_compare, training_runs, training_view

visit = ui.guard(__file__)
ui.header(visit.page, ui.source("profiles of training runs"))
verdict, timeline, rules, compared, runs = st.tabs(
    ("Verdict", "Timeline", "Rules", "Compare", "Runs"),
    key="training_view",
    bind="query-params",
    on_change="rerun",
)
if verdict.open:
    with verdict:
        training_view.show_verdict(training_view.choose_run())
if timeline.open:
    with timeline:
        training_view.show_timeline(training_view.choose_run())
if rules.open:
    with rules:
        training_view.show_rules(training_view.choose_run())
if compared.open:
    with compared:
        training_compare.show_compare()
if runs.open:
    with runs:
        training_runs.show_runs(visit.user)
