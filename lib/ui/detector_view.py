"""All detectors with their state, and what can be done with them."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import streamlit as st

from lib.identity import Role, User
from lib.metrics.detectors import delete_detector, detector_folder, detectors, set_state
from lib.metrics.evaluation import last_evaluated, start_evaluation, title_of
from lib.metrics.groups_store import counts_since
from lib.metrics.history import load_history
from lib.metrics.model import DataQuality, Detector, DetectorState
from lib.settings import settings
from lib.store import utc_now
from lib.ui import resources
from lib.ui.anomaly_view import DETECTOR, STATES, forget_choice, moment
from lib.ui.anomaly_words import period
from lib.ui.detector_backtest import show_backtest
from lib.ui.detector_exchange import show_export, show_import
from lib.ui.guard import acting_user
from lib.ui.job_view import show_job
from lib.ui.markdown import escape

CLEAR = 70  # severity of what counts in the list
VIEW = "anomalies_view"
CONFIRM = "anomalies.delete"  # the id of the detector whose deletion was asked for


def show_detectors(user: User) -> None:
    """Draw a card for each detector."""
    found = detectors(resources.store())
    counts = counts_since(resources.store(), utc_now() - timedelta(days=7), CLEAR)
    show_import(may=user.role.allows(Role.ANALYST))
    if not found:
        with st.container(border=True):
            st.markdown("**No detector yet**")
            st.caption("Set one up under New detector: a file with a timestamp is enough.")
    for detector in found:
        with st.container(border=True):
            _show_card(detector, counts.get(detector.id, 0), user)


def _show_card(detector: Detector, recent: int, user: User) -> None:
    label, color = STATES[detector.state]
    dataset = detector.dataset
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{escape(detector.name)}**", width="content")
        st.badge(label, color=color)  # type: ignore[arg-type]  # one of Streamlit's colours
        if dataset.source.get("kind") == "sample":
            st.badge("sample data", color="orange", icon=":material/science:")
    if detector.description:
        st.caption(escape(detector.description))
    measures = ", ".join(measure.name for measure in dataset.measures)
    by = f" by {', '.join(dataset.dimensions)}" if dataset.dimensions else ""
    st.markdown(escape(f"{measures}{by}, every {period(dataset.frequency)} ({dataset.zone})"))
    last = last_evaluated(resources.store(), detector)
    seen = f"last interval {moment(last, dataset.zone)}" if last else "not looked at yet"
    st.caption(escape(f"{recent:,} anomalies of severity {CLEAR} or more in 7 days; {seen}."))
    if detector.problem:
        st.error(escape(detector.problem), icon=":material/error:")
    job = resources.jobs().latest(title_of(detector))
    if job is not None and not job.finished:
        show_job(job, may_cancel=job.owner == user.username or user.role.allows(Role.ADMIN))
    _show_actions(detector, user)
    _show_quality(detector)
    show_backtest(detector)


def _show_actions(detector: Detector, user: User) -> None:
    may = user.role.allows(Role.ANALYST)
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Open", key=f"anomalies_open_{detector.id}", icon=":material/open_in_full:",
            on_click=_open, args=(detector.name,),
        )  # fmt: skip
        st.button(
            "Run now", key=f"anomalies_run_{detector.id}", icon=":material/play_arrow:",
            disabled=not may, on_click=_run, args=(detector,),
        )  # fmt: skip
        if detector.state is DetectorState.BACKTEST:
            st.button(
                "Watch from now on", key=f"anomalies_watch_{detector.id}",
                icon=":material/autorenew:", disabled=not may,
                on_click=_change, args=(detector, DetectorState.LEARNING),
                help="Each interval is looked at as its data arrive.",
            )  # fmt: skip
        elif detector.state is DetectorState.PAUSED:
            st.button(
                "Resume", key=f"anomalies_resume_{detector.id}", icon=":material/play_circle:",
                disabled=not may, on_click=_change, args=(detector, DetectorState.LEARNING),
            )  # fmt: skip
        else:
            st.button(
                "Pause", key=f"anomalies_pause_{detector.id}", icon=":material/pause:",
                disabled=not may, on_click=_change, args=(detector, DetectorState.PAUSED),
            )  # fmt: skip
        show_export(detector)
        _show_delete(detector, may=may)


def _show_delete(detector: Detector, *, may: bool) -> None:
    if st.session_state.get(CONFIRM) != detector.id:
        st.button(
            "Delete", key=f"anomalies_delete_{detector.id}", icon=":material/delete:",
            disabled=not may, on_click=st.session_state.update, args=({CONFIRM: detector.id},),
        )  # fmt: skip
        return
    st.button(
        "Delete it with all its anomalies and alerts", type="primary",
        key=f"anomalies_delete_yes_{detector.id}", on_click=_delete, args=(detector,),
    )  # fmt: skip
    st.button(
        "Keep it", key=f"anomalies_delete_no_{detector.id}",
        on_click=st.session_state.update, args=({CONFIRM: ""},),
    )  # fmt: skip


def _show_quality(detector: Detector) -> None:
    with st.expander(
        "Data quality", key=f"anomalies_quality_{detector.id}", on_change="rerun"
    ) as box:
        if not box.open:
            return
        history = load_history(detector_folder(settings(), detector.id), detector.dataset)
        if history is None:
            st.caption("Known after the first run.")
            return
        show_quality(history.panel.quality, len(history.panel.series), len(history.panel.starts))


def show_quality(quality: DataQuality, series: int, intervals: int) -> None:
    """Draw what was odd about the rows of a dataset."""
    st.caption(
        f"{quality.rows:,} rows, {quality.used:,} of them used, make {series:,} series over "
        f"{intervals:,} intervals."
    )
    missing = quality.missing_intervals
    if missing:
        st.caption(
            f"{len(missing):,} intervals without any row, the last at "
            f"{moment(missing[-1], 'UTC')} UTC."
        )
    if not quality.findings:
        st.caption("Nothing else was odd.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "What": [one.kind for one in quality.findings],
                "Rows": [one.rows for one in quality.findings],
                "What became of them": [one.treatment for one in quality.findings],
                "Example": [one.example for one in quality.findings],
            }
        ),
        hide_index=True,
        alt="What was odd about the rows",
    )


def _open(name: str) -> None:
    forget_choice()
    st.session_state[DETECTOR] = name
    st.session_state[VIEW] = "Anomalies"


def _run(detector: Detector) -> None:
    user = acting_user(Role.ANALYST)
    if detector.state is DetectorState.FAILED:
        set_state(resources.store(), detector.id, DetectorState.LEARNING)
    start_evaluation(resources.jobs(), detector, user.username)


def _change(detector: Detector, state: DetectorState) -> None:
    user = acting_user(Role.ANALYST)
    set_state(resources.store(), detector.id, state)
    resources.identity().record(user.username, f"detector {state}", detector.name)
    if state is not DetectorState.PAUSED:
        start_evaluation(resources.jobs(), detector, user.username)


def _delete(detector: Detector) -> None:
    user = acting_user(Role.ANALYST)
    delete_detector(resources.store(), settings(), detector.id)
    resources.identity().record(user.username, "detector deleted", detector.name)
    st.session_state[CONFIRM] = ""
    forget_choice()
