"""Anomalies: the few events that matter in measures over time, and where they sit."""

import streamlit as st

from lib import ui
from lib.ui import anomaly_view, detector_setup, detector_view, resources
from lib.ui.anomaly_detail import show_group
from lib.ui.detector_choice import choose_detector

visit = ui.guard(__file__)
ui.header(visit.page, ui.source("seasonal bands"))
resources.ensure_sample_detector()
detector_setup.open_created()
anomalies, detectors, setup = st.tabs(
    ("Anomalies", "Detectors", "New detector"),
    key=detector_view.VIEW,
    bind="query-params",
    on_change="rerun",
)
if anomalies.open:
    with anomalies:
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            detector = choose_detector(anomaly_view.DETECTOR, anomaly_view.forget_choice)
            if detector is None:
                st.info("No detector yet: set one up under New detector.", icon=":material/info:")
                st.stop()
            anomaly_view.bind_choice()
            anomaly_view.show_state(detector)
        anomaly_view.show_progress(detector)
        group = anomaly_view.show_list(detector)
        if group is not None:
            show_group(detector, group, visit.user)
if detectors.open:
    with detectors:
        detector_view.show_detectors(visit.user)
if setup.open:
    with setup:
        detector_setup.show_setup(visit.user)
