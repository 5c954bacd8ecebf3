"""Alerts: people are told what matters to them, and nothing else."""

import streamlit as st

from lib import ui
from lib.ui import alert_editor, alert_inbox, alert_list, anomaly_view, resources

visit = ui.guard(__file__)
ui.header(visit.page, ui.source("rules and an inbox"))
resources.ensure_sample_detector()
detector = alert_list.choose()
if detector is None:
    st.info("Alerts belong to a detector: set one up under Anomalies.", icon=":material/info:")
    st.stop()
alert_list.open_asked_for()
listed, editor, inbox, deliveries = st.tabs(
    ("Alerts", "Editor", "Inbox", "Deliveries"),
    key=alert_list.VIEW,
    bind="query-params",
    on_change="rerun",
)
if listed.open:
    with listed:
        alert_list.show_alerts(detector, visit.user)
if editor.open:
    with editor:
        alert_editor.show_editor(detector, anomaly_view.kept_history(detector), visit.user)
if inbox.open:
    with inbox:
        alert_inbox.show_inbox()
if deliveries.open:
    with deliveries:
        alert_inbox.show_deliveries(visit.user)
