"""One anomaly in detail: its course, where it sits, the series it touches, and what people say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd
import streamlit as st

from lib.identity import Role, User
from lib.metrics.evaluation import series_scores
from lib.metrics.feedback import Feedback, feedback_on, give_feedback, undo_feedback
from lib.metrics.groups_store import related_groups
from lib.metrics.history import History
from lib.metrics.model import AnomalyGroup, Detector, GroupKind, MetricsError, SeriesKey
from lib.metrics.timeline import as_datetime
from lib.ui import resources
from lib.ui.anomaly_charts import BARS_SHOWN, SeriesView, band_figure, contribution_figure
from lib.ui.anomaly_view import GROUP, kept_history, moment
from lib.ui.anomaly_words import (
    ALL,
    EMPTY,
    EVERYTHING,
    amount,
    change,
    headline,
    series_name,
)
from lib.ui.charts import show_chart
from lib.ui.guard import acting_user
from lib.ui.markdown import escape
from lib.ui.pages import ALERTS, CAUSES
from lib.ui.tables import show_table

SERIES = "anomalies_series"
CLEAR = 50  # severity of other events that are named
BEFORE, AFTER = 96, 48  # intervals shown around an event
BAR_FRAME, BAR_HEIGHT = 44, 30  # pixels


def show_group(detector: Detector, group: AnomalyGroup, user: User) -> None:
    """Draw a group with everything that is known of it."""
    zone = detector.dataset.zone
    st.subheader(escape(headline(group, zone)), anchor=False)
    with st.container(horizontal=True, gap="medium"):
        st.metric("Severity", f"{group.severity:.0f} of 100", width="content")
        if group.kind is GroupKind.ANOMALY and group.series:
            first = group.series[0]
            st.metric(
                "Most unusual series", amount(first.observed),
                f"{change(first.observed, first.expected)} {amount(first.expected)}",
                delta_color="off", delta_arrow="off", width="content",
            )  # fmt: skip
            st.metric("Series affected", f"{group.series_count:,}", width="content")
    if group.kind is GroupKind.MISSING_DATA:
        st.caption(
            f"Usually {group.expected:,.0f} rows arrive in each interval. Nothing can be said of "
            "the measures in this time."
        )
    else:
        _show_course(detector, group)
        _show_contributions(group)
        _show_causes(group)
        _show_series(group, detector.dataset.dimensions)
    _show_related(detector, group)
    _show_feedback(group, user)
    with st.container(horizontal=True, gap="medium"):
        st.page_link(str(CAUSES.path), label="What drove it?", icon=CAUSES.icon)
        st.page_link(str(ALERTS.path), label="Tell me about such events", icon=ALERTS.icon)


def _show_course(detector: Detector, group: AnomalyGroup) -> None:
    history = kept_history(detector)
    if history is None:
        st.info("The series are being learnt again; the chart appears after the next run.")
        return
    names = {series_name(one.key): one.key for one in group.series}
    whole: SeriesKey = (None,) * len(detector.dataset.dimensions)
    if whole in history.panel.series:
        names.setdefault(EVERYTHING, whole)
    if st.session_state.get(SERIES) not in names:
        st.session_state[SERIES] = next(iter(names))
    chosen = st.selectbox(
        "Series", list(names), key=SERIES, help="The most unusual first", width=420
    )
    view = _view(history, group, names[chosen])
    if view is None:
        st.caption("The history no longer reaches back to this event.")
        return
    inside = [at for at, start in enumerate(view.starts) if group.start <= start < group.end]
    off = sum(not view.lower[at] <= view.observed[at] <= view.upper[at] for at in inside)
    st.caption(
        escape(f"{chosen}: {off} of {len(inside)} intervals of the event lie outside the band "
               "of three standard deviations.")
    )  # fmt: skip
    show_chart(
        band_figure(view, group.start, group.end, measure=group.measure),
        key="anomalies_course",
        alt=f"{group.measure} of {chosen} against what was expected; the event is shaded",
        height=320,
    )


def _view(history: History, group: AnomalyGroup, key: SeriesKey) -> SeriesView | None:
    starts = history.panel.starts
    if key not in history.panel.series:
        return None
    first, last = np.searchsorted(starts, [group.start.timestamp(), group.end.timestamp()])
    low, high = max(0, int(first) - BEFORE), min(len(starts), int(last) + AFTER)
    if low >= high:
        return None
    amounts, scores = series_scores(history.panel, group.measure, [key])
    rows = slice(low, high)
    return SeriesView(
        [as_datetime(int(start)) for start in starts[rows]],
        amounts[rows, 0],
        scores.expected[rows, 0],
        scores.lower[rows, 0],
        scores.upper[rows, 0],
    )


def _show_contributions(group: AnomalyGroup) -> None:
    shown = [one for one in group.contributions if one.values]
    if not shown:
        return
    st.markdown("**Which values it comes from**")
    for column, one in zip(st.columns(min(len(shown), 3) or 1) * len(shown), shown, strict=False):
        with column:
            top, share = one.values[0]
            st.caption(escape(f"{one.dimension}: {top or EMPTY} {share:.0f} %"))
            show_chart(
                contribution_figure(one),
                key=f"anomalies_share_{one.dimension}",
                alt=f"Shares of {one.dimension}; {top or EMPTY} has {share:.0f} %",
                height=BAR_FRAME + BAR_HEIGHT * min(len(one.values), BARS_SHOWN + 1),
            )


def _show_causes(group: AnomalyGroup) -> None:
    if not group.causes:
        return
    st.markdown("**The fewest values that explain it**")
    for cause in group.causes:
        values = ", ".join(f"{name} = {value or EMPTY}" for name, value in cause.values.items())
        st.markdown(f"- {escape(values)}: {100 * cause.share:.0f} % of the deviation")


def _show_series(group: AnomalyGroup, dimensions: Sequence[str]) -> None:
    frame = pd.DataFrame(
        [
            {
                **{
                    name: ALL if value is None else value or EMPTY
                    for name, value in zip(dimensions, one.key, strict=True)
                },
                "observed": one.observed,
                "expected": one.expected,
                "lower": one.lower,
                "upper": one.upper,
                "deviations": one.z,
                "chance": one.p_value,
            }
            for one in group.series
        ]
    )
    with st.expander(f"Affected series ({group.series_count:,})"):
        if group.series_count > len(group.series):
            st.caption(f"The {len(group.series):,} most unusual ones.")
        number = st.column_config.NumberColumn
        show_table(
            frame,
            columns={
                "observed": number("Observed", format="localized"),
                "expected": number("Expected", format="localized"),
                "lower": number("Band from", format="localized"),
                "upper": number("Band to", format="localized"),
                "deviations": number(
                    "Deviations", format="%.1f", help="From expected, in standard deviations"
                ),
                "chance": number(
                    "By chance", format="scientific", help="How often so far off in quiet times"
                ),
            },
            name="affected-series",
            alt=f"Series affected by the anomaly in {group.measure}",
        )


def _show_related(detector: Detector, group: AnomalyGroup) -> None:
    slack = timedelta(seconds=2 * detector.dataset.frequency.seconds)
    related = [
        one for one in related_groups(resources.store(), group, slack) if one.severity >= CLEAR
    ]
    if not related:
        return
    st.markdown("**At the same time**")
    for one in related[:8]:
        st.button(
            escape(f"{one.severity:.0f} · {headline(one, detector.dataset.zone)}"),
            key=f"anomalies_related_{one.id}",
            type="tertiary",
            on_click=_go_to,
            args=(one.id,),
        )


def _go_to(group_id: str) -> None:
    st.session_state[GROUP] = group_id
    st.session_state.pop(SERIES, None)


def _show_feedback(group: AnomalyGroup, user: User) -> None:
    if group.kind is GroupKind.MISSING_DATA:
        return
    st.markdown("**Is it real?**")
    may = user.role.allows(Role.ANALYST)
    with st.container(horizontal=True, gap="small"):
        for is_anomaly, label, icon in (
            (True, "Yes, an anomaly", ":material/thumb_up:"),
            (False, "No, as usual", ":material/thumb_down:"),
        ):
            st.button(
                label,
                icon=icon,
                key=f"anomalies_feedback_{is_anomaly}",
                disabled=not may,
                on_click=_say,
                args=(group.id,),
                kwargs={"is_anomaly": is_anomaly},
                help="Later deviations of these series weigh less after a No, and again as at "
                "first after a Yes.",
            )
    for one in feedback_on(resources.store(), group.id):
        _show_said(one, may=may)


def _show_said(one: Feedback, *, may: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        said = "an anomaly" if one.is_anomaly else "as usual"
        undone = f", taken back by {one.undone_by}" if one.undone_by else ""
        st.caption(
            escape(f"{one.who}, {moment(one.at, 'UTC')} UTC: {said}{undone}"), width="content"
        )
        if may and not one.undone_by:
            st.button(
                "Undo",
                icon=":material/undo:",
                key=f"anomalies_undo_{one.id}",
                type="tertiary",
                on_click=_undo,
                args=(one.id,),
            )


def _say(group_id: str, *, is_anomaly: bool) -> None:
    user = acting_user(Role.ANALYST)
    try:
        give_feedback(resources.store(), group_id, is_anomaly=is_anomaly, who=user.username)
    except MetricsError as error:
        st.warning(escape(str(error)), icon=":material/warning:")
        return
    word = "real" if is_anomaly else "as usual"
    resources.identity().record(user.username, "anomaly feedback", group_id, word)


def _undo(feedback_id: int) -> None:
    user = acting_user(Role.ANALYST)
    undo_feedback(resources.store(), feedback_id, user.username)
    resources.identity().record(user.username, "anomaly feedback undone", str(feedback_id))
