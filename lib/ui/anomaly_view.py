"""The list of anomalies: a detector's groups by severity, with filters and a calendar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import streamlit as st

from lib.metrics.detectors import detector_folder
from lib.metrics.evaluation import last_evaluated, next_due, title_of
from lib.metrics.groups_store import GroupQuery, feedback_of, list_groups, severity_by_day
from lib.metrics.history import History, load_history
from lib.metrics.model import AnomalyGroup, Detector, DetectorState, GroupKind
from lib.metrics.severity import false_groups_per_week
from lib.settings import settings
from lib.ui import resources
from lib.ui.anomaly_charts import calendar_figure
from lib.ui.anomaly_words import amount, change, place, span
from lib.ui.charts import CONFIG
from lib.ui.job_view import show_job
from lib.ui.markdown import escape
from lib.ui.tables import csv_text

DETECTOR = "anomalies_detector"
SEVERITY = "anomalies_severity"
MEASURE = "anomalies_measure"
TEXT = "anomalies_text"
DAY = "anomalies_day"
GROUP = "anomalies_group"
ANY_MEASURE = "All measures"
MISSING = "No data"
STATES = {
    DetectorState.BACKTEST: ("looks back", "gray"),
    DetectorState.LEARNING: ("learning", "blue"),
    DetectorState.ACTIVE: ("active", "green"),
    DetectorState.PAUSED: ("paused", "gray"),
    DetectorState.FAILED: ("failed", "red"),
}
COURSE = 24  # intervals shown on each side of an event
CALENDAR_HEIGHT, CALENDAR_WIDTH = 180, 1_000  # pixels


def forget_choice() -> None:
    """Choose no group and no day any more."""
    st.session_state[GROUP] = ""
    st.session_state[DAY] = ""


def show_state(detector: Detector) -> None:
    """Draw where a detector stands: state, last and next interval, and its job."""
    label, color = STATES[detector.state]
    zone = detector.dataset.zone
    last = last_evaluated(resources.store(), detector)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
        st.badge(label, color=color)  # type: ignore[arg-type]  # one of Streamlit's colours
        if detector.dataset.source.get("kind") == "sample":
            st.badge("sample data", color="orange", icon=":material/science:")
        if last is not None:
            st.caption(f"Last interval: {escape(moment(last, zone))}", width="content")
        if detector.state in {DetectorState.ACTIVE, DetectorState.LEARNING}:
            due = next_due(resources.store(), detector)
            st.caption(f"Next due: {escape(moment(due, zone))}", width="content")


def kept_history(detector: Detector) -> History | None:
    """Return the series of a detector up to its last interval; None where there are none."""
    last = last_evaluated(resources.store(), detector)
    return _history(detector.id, str(last), detector) if last else None


@st.cache_resource(ttl=600, max_entries=8, show_spinner=False)
def _history(detector_id: str, last: str, _detector: Detector) -> History | None:  # noqa: ARG001 - keys
    # `last` names the interval up to which it goes, so that a new one is read again.
    return load_history(detector_folder(settings(), detector_id), _detector.dataset)


def show_progress(detector: Detector) -> None:
    """Draw why the last run failed, and how far one is that runs."""
    if detector.problem:
        st.error(escape(f"The last run failed: {detector.problem}"), icon=":material/error:")
    job = resources.jobs().latest(title_of(detector))
    if job is not None and not job.finished:
        show_job(job, may_cancel=True)


def moment(time: datetime, zone: str) -> str:
    """Return a time as people of a zone read it."""
    local = time.astimezone(ZoneInfo(zone))
    return f"{local.day} {local:%b %Y, %H:%M}"


def bind_choice() -> None:
    """Put the chosen day and group into the address, where a link finds them again."""
    with st.popover("Link", icon=":material/link:"):
        st.caption("The address of this page holds the whole view: copy it to share or keep it.")
        st.text_input("Anomaly", key=GROUP, bind="query-params")
        st.text_input("Day", key=DAY, bind="query-params", placeholder="2026-05-03")


def show_list(detector: Detector) -> AnomalyGroup | None:
    """Draw filters, calendar and list of a detector's groups, and return the chosen one."""
    query = _choose_filters(detector)
    groups = list_groups(resources.store(), query)
    _show_calendar(detector)
    if not groups:
        _show_nothing(detector, query)
        return None
    found = f"{len(groups):,} anomal{'y' if len(groups) == 1 else 'ies'}"
    by_chance = false_groups_per_week(query.least_severity)
    st.caption(
        f"**{found}** of severity {query.least_severity:.0f} or more. By chance alone there would "
        f"be about {by_chance:.2g} a week."
    )
    return _choose_group(detector, groups)


def _choose_filters(detector: Detector) -> GroupQuery:
    measures = [ANY_MEASURE, *(measure.name for measure in detector.dataset.measures), MISSING]
    if st.session_state.get(MEASURE, ANY_MEASURE) not in measures:
        st.session_state[MEASURE] = ANY_MEASURE
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        least = st.number_input(
            "Severity from",
            0,
            100,
            50,
            step=5,
            key=SEVERITY,
            bind="query-params",
            width=150,
            help="50 is expected by chance about once a day, 70 once in two weeks, 90 once in "
            "a few years, over all measures and series together.",
        )
        measure = st.selectbox("Measure", measures, key=MEASURE, bind="query-params", width=180)
        text = st.text_input(
            "Find",
            key=TEXT,
            bind="query-params",
            placeholder="A value, such as US",
            icon=":material/search:",
            width=220,
        )
        day = _day()
        if day is not None:
            st.button(
                f"{day.day} {day:%b %Y}",
                icon=":material/close:",
                key="anomalies_day_off",
                help="Show all days",
                on_click=forget_choice,
            )
    here = ZoneInfo(detector.dataset.zone)
    start = None if day is None else datetime(day.year, day.month, day.day, tzinfo=here)
    return GroupQuery(
        detector.id,
        float(least),
        "" if measure in {ANY_MEASURE, MISSING} else measure,
        GroupKind.MISSING_DATA if measure == MISSING else text,
        start,
        None if start is None else start + timedelta(days=1),
    )


def _day() -> date | None:
    try:
        return date.fromisoformat(st.session_state.get(DAY, ""))
    except ValueError:
        return None


def _show_calendar(detector: Detector) -> None:
    severities = severity_by_day(resources.store(), detector.id, detector.dataset.zone)
    last = last_evaluated(resources.store(), detector)
    if last is None:
        return
    here = ZoneInfo(detector.dataset.zone)
    final = last.astimezone(here).date()
    first = min(severities, default=final)

    def on_select() -> None:
        points = st.session_state.anomalies_calendar.selection.points
        chosen = str(points[0].get("customdata", "")) if points else ""
        st.session_state[DAY] = chosen
        st.session_state[GROUP] = ""

    worst = max(severities, key=lambda day: severities[day], default=None)
    finding = "" if worst is None else f"; the worst was {worst} with {severities[worst]:.0f}"
    figure = calendar_figure(severities, first, final)
    figure.update_layout(height=CALENDAR_HEIGHT, margin={"l": 0, "r": 0, "t": 4, "b": 0})
    weeks = (final - first).days // 7 + 2
    with st.container(width=min(CALENDAR_WIDTH, 190 + 30 * weeks)):
        st.plotly_chart(
            figure,
            theme="streamlit",
            config=CONFIG | {"displayModeBar": False},
            key="anomalies_calendar",
            on_select=on_select,
            selection_mode="points",
            alt=f"Highest severity of each day{finding}",
        )


def _choose_group(detector: Detector, groups: Sequence[AnomalyGroup]) -> AnomalyGroup | None:
    frame = _frame(detector, groups)
    chosen = next((one for one in groups if one.id == st.session_state.get(GROUP)), None)

    def on_select() -> None:
        rows = st.session_state[table].selection.rows
        st.session_state[GROUP] = groups[rows[0]].id if rows and rows[0] < len(groups) else ""

    # Another list is another table, so that a selection never means another row.
    table = f"anomalies_table_{hash(tuple(one.id for one in groups))}"
    st.dataframe(
        frame,
        hide_index=True,
        key=table,
        on_select=on_select,
        selection_mode="single-row",
        height=min(320, 38 + 35 * len(groups)),
        alt=f"Anomalies of {detector.name}, the most severe first",
        column_config={
            "severity": st.column_config.ProgressColumn(
                "Severity", min_value=0, max_value=100, format="%.0f", width=90
            ),
            "what": st.column_config.TextColumn("Measure", width=80),
            "change": st.column_config.TextColumn("Against expected", width=125),
            "where": st.column_config.TextColumn("Where", width=175),
            "course": st.column_config.LineChartColumn(
                "Course", width=105, help="The most unusual series, the event in the middle"
            ),
            "when": st.column_config.TextColumn("When", width=275),
            "series": st.column_config.NumberColumn("Series", format="localized", width=60),
            "feedback": st.column_config.TextColumn("Feedback", width=80),
        },
    )
    st.download_button(
        "Download CSV",
        lambda: csv_text(_export(groups)),
        file_name=f"anomalies-{detector.name}.csv",
        mime="text/csv",
        key="anomalies_csv",
        on_click="ignore",
        icon=":material/download:",
    )
    return chosen or (groups[0] if not st.session_state.get(GROUP) else None)


def _frame(detector: Detector, groups: Sequence[AnomalyGroup]) -> pd.DataFrame:
    said = feedback_of(resources.store(), [one.id for one in groups])
    words = {True: "real", False: "not real", None: ""}
    return pd.DataFrame(
        {
            "severity": [one.severity for one in groups],
            "what": [one.measure or "no data" for one in groups],
            "change": [_change(one) for one in groups],
            "where": [place(one) for one in groups],
            "course": _courses(detector, groups),
            "when": [span(one.start, one.end, detector.dataset.zone) for one in groups],
            "series": [one.series_count for one in groups],
            "feedback": [words[said.get(one.id)] for one in groups],
        }
    )


def _courses(detector: Detector, groups: Sequence[AnomalyGroup]) -> list[list[float] | None]:
    """Return amounts of each group's most unusual series around it; None where none are kept."""
    history = kept_history(detector)
    if history is None:
        return [None] * len(groups)
    panel = history.panel
    places = {key: at for at, key in enumerate(panel.series)}
    courses: list[list[float] | None] = []
    for group in groups:
        place = places.get(group.series[0].key) if group.series else None
        if place is None or group.measure not in panel.amounts:
            courses.append(None)
            continue
        worst = (group.worst or group.start).timestamp()
        middle = int(np.searchsorted(panel.starts, worst))
        rows = slice(max(0, middle - COURSE), middle + COURSE)
        values = panel.amounts[group.measure][rows, place]
        courses.append([float(value) for value in values[np.isfinite(values)]])
    return courses


def _change(group: AnomalyGroup) -> str:
    if group.kind is GroupKind.MISSING_DATA:
        return "nothing arrived"
    first = group.series[0] if group.series else None
    return "" if first is None else change(first.observed, first.expected)


def _export(groups: Sequence[AnomalyGroup]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [one.id for one in groups],
            "measure": [one.measure for one in groups],
            "kind": [str(one.kind) for one in groups],
            "severity": [round(one.severity, 2) for one in groups],
            "start": [one.start.isoformat() for one in groups],
            "end": [one.end.isoformat() for one in groups],
            "direction": [str(one.direction) for one in groups],
            "observed": [one.observed for one in groups],
            "expected": [one.expected for one in groups],
            "series": [one.series_count for one in groups],
            "where": [place(one) for one in groups],
        }
    )


def _show_nothing(detector: Detector, query: GroupQuery) -> None:
    with st.container(border=True):
        if last_evaluated(resources.store(), detector) is None:
            st.markdown("**Nothing was looked at yet**")
            st.caption("The first run learns what is usual; its anomalies appear here.")
        else:
            st.markdown("**No anomaly matches**")
            st.caption(
                f"None has a severity of {amount(query.least_severity)} or more with these "
                "filters. Lower the severity, or show all measures and days."
            )
