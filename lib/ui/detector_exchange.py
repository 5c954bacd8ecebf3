"""Detectors of Lookout for Metrics: read from its files, and ours written as it would."""

from __future__ import annotations

import streamlit as st

from lib.identity import Role
from lib.metrics.detectors import create_detector
from lib.metrics.lookout import Described, export_detector, import_detector
from lib.metrics.model import Detector, MetricsError
from lib.ui import resources
from lib.ui.guard import acting_user
from lib.ui.markdown import escape

SAID, REFUSED = "anomalies.imported", "anomalies.import_refused"


def show_import(*, may: bool) -> None:
    """Draw where a detector of the service is brought in."""
    with st.popover("Import from Lookout for Metrics", icon=":material/upload:"):
        st.caption(
            "JSON of DescribeAnomalyDetector and DescribeMetricSet, or a CloudFormation template."
        )
        file = st.file_uploader(
            "Detector", type=["json", "yaml", "yml", "template"], key="anomalies_import_file"
        )
        st.button(
            "Import", key="anomalies_import", disabled=not may or file is None,
            on_click=_import, args=(b"" if file is None else file.getvalue(),),
        )  # fmt: skip
    if refused := st.session_state.pop(REFUSED, ""):
        st.error(escape(refused), icon=":material/error:")
    if said := st.session_state.pop(SAID, ""):
        st.success(escape(said), icon=":material/check:")


def show_export(detector: Detector) -> None:
    """Draw the button that writes a detector as the service describes its own."""
    st.download_button(
        "Export",
        lambda: export_detector(detector),
        file_name=f"{detector.name}.json",
        mime="application/json",
        key=f"anomalies_export_{detector.id}",
        on_click="ignore",
        icon=":material/download:",
        help="As Lookout for Metrics describes a detector and its dataset",
    )


def _with_place(found: Described) -> Described:
    if not found.dataset.source:
        raise MetricsError(
            "The file names no place in S3 to read from; set it up under New detector."
        )
    return found


def _import(data: bytes) -> None:
    user = acting_user(Role.ANALYST)
    try:
        found = _with_place(import_detector(data))
        made = create_detector(
            resources.store(), found.name, found.dataset,
            continuous=False, created_by=user.username, description=found.description,
        )  # fmt: skip
    except MetricsError as error:
        st.session_state[REFUSED] = str(error)
        return
    resources.identity().record(user.username, "detector imported", made.name)
    st.session_state[SAID] = f"{made.name} is imported. Run it once to look back at its history."
