"""A detector's alerts: what each tells, what can be done with it, and who changed it when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pandas as pd
import streamlit as st

from lib.alerts.channels import channel_words
from lib.alerts.lookout import export_alerts, import_alerts
from lib.alerts.matching import sentence
from lib.alerts.model import Alert, AlertRule
from lib.alerts.outbox import unread
from lib.alerts.rules import (
    alerts,
    create_alert,
    delete_alert,
    differences,
    edit_alert,
    history,
    matched_since,
    undelete_alert,
)
from lib.identity import Role, User
from lib.metrics.model import Detector, MetricsError
from lib.store import utc_now
from lib.ui import resources
from lib.ui.alert_draft import edit_draft, new_draft
from lib.ui.anomaly_view import moment
from lib.ui.detector_choice import choose_detector
from lib.ui.guard import acting_user
from lib.ui.markdown import escape

DETECTOR, VIEW, ALERT = "alerts_detector", "alerts_view", "alerts_alert"
GO = "alerts.go"  # the view to open on the next run
DELETED = "alerts.deleted"  # the alert that was deleted last
REFUSED = "alerts.refused"
SNOOZES = {"1 hour": timedelta(hours=1), "1 day": timedelta(days=1), "1 week": timedelta(weeks=1)}


def choose() -> Detector | None:
    """Draw the choice of a detector and what is unread; None where there is no detector."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        detector = choose_detector(DETECTOR)
        waiting = unread(resources.store())
        if waiting:
            st.badge(f"{waiting:,} unread", color="blue", icon=":material/inbox:")
    return detector


def open_asked_for() -> None:
    """Open the view that a button asked for, before its widget is drawn."""
    if view := st.session_state.pop(GO, ""):
        st.session_state[VIEW] = view


def show_alerts(detector: Detector, user: User) -> None:
    """Draw the detector's alerts, and the chosen one in detail."""
    may = user.role.allows(Role.ANALYST)
    known = alerts(resources.store(), detector.id)
    if refused := st.session_state.pop(REFUSED, ""):
        st.error(escape(refused), icon=":material/error:")
    _show_undo()
    with st.container(horizontal=True, gap="small"):
        st.button(
            "New alert", type="primary", icon=":material/add:", key="alerts_new",
            disabled=not may, on_click=_start_new,
        )  # fmt: skip
        _show_exchange(detector, known, may=may)
    if not known:
        with st.container(border=True):
            st.markdown("**No alert yet**")
            st.caption("An alert tells you of the anomalies that fit its criteria, and no others.")
        return
    _show_table(detector, known)
    names = {one.rule.name: one for one in known}
    if st.session_state.get(ALERT) not in names:
        st.session_state[ALERT] = known[0].rule.name
    chosen = st.selectbox("Alert", list(names), key=ALERT, bind="query-params", width=420)
    _show_alert(detector, names[chosen], may=may)


def _show_table(detector: Detector, known: Sequence[Alert]) -> None:
    recent = matched_since(resources.store(), utc_now() - timedelta(days=7))
    zone = detector.dataset.zone
    st.dataframe(
        pd.DataFrame(
            {
                "Alert": [one.rule.name for one in known],
                "State": [_state(one) for one in known],
                "Severity": [
                    "any" if one.rule.severity is None else f"{one.rule.severity:g}"
                    for one in known
                ],
                "Tells": [channel_words(one.rule.channel) for one in known],
                "Last sent": [
                    moment(one.last_sent_at, zone) if one.last_sent_at else "never" for one in known
                ],
                "In 7 days": [recent.get(one.id, 0) for one in known],
            }
        ),
        hide_index=True,
        alt=f"Alerts of {detector.name}",
        column_config={"Alert": st.column_config.TextColumn(width=330)},
    )


def _state(alert: Alert) -> str:
    until = alert.rule.snoozed_until
    if not alert.rule.active:
        return "paused"
    return "snoozed" if until is not None and until > utc_now() else "active"


def _show_alert(detector: Detector, alert: Alert, *, may: bool) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{escape(alert.rule.name)}**", width="content")
            color = {"active": "green", "paused": "gray", "snoozed": "orange"}[_state(alert)]
            st.badge(_state(alert), color=color)  # type: ignore[arg-type]  # Streamlit's colours
        if alert.rule.description:
            st.caption(escape(alert.rule.description))
        st.markdown(escape(sentence(alert.rule)))
        _show_actions(detector, alert, may=may)
        with st.expander("History", key="alerts_history", on_change="rerun") as box:
            if box.open:
                _show_history(detector, alert, may=may)


def _show_actions(detector: Detector, alert: Alert, *, may: bool) -> None:
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Edit", icon=":material/edit:", key="alerts_edit", disabled=not may,
            on_click=_start_edit, args=(alert,),
        )  # fmt: skip
        st.button(
            "Duplicate", icon=":material/content_copy:", key="alerts_copy", disabled=not may,
            on_click=_start_copy, args=(alert.rule,),
        )  # fmt: skip
        paused = not alert.rule.active
        st.button(
            "Resume" if paused else "Pause", key="alerts_pause", disabled=not may,
            icon=":material/play_circle:" if paused else ":material/pause:",
            on_click=_change, args=(detector, alert, replace(alert.rule, active=paused)),
        )  # fmt: skip
        if _state(alert) == "snoozed":
            st.button(
                "Wake up", icon=":material/notifications:", key="alerts_wake", disabled=not may,
                on_click=_change, args=(detector, alert, replace(alert.rule, snoozed_until=None)),
            )  # fmt: skip
        else:
            with st.popover("Snooze", icon=":material/snooze:", disabled=not may):
                for name in SNOOZES:
                    st.button(
                        f"For {name}", key=f"alerts_snooze_{name}",
                        on_click=_snooze, args=(detector, alert, name),
                    )  # fmt: skip
        st.button(
            "Delete", icon=":material/delete:", key="alerts_delete", disabled=not may,
            on_click=_delete, args=(alert,),
        )  # fmt: skip


def _show_history(detector: Detector, alert: Alert, *, may: bool) -> None:
    versions = history(resources.store(), alert.id)
    for at, one in enumerate(versions):
        before = versions[at + 1] if at + 1 < len(versions) else None
        when = moment(one.at, detector.dataset.zone)
        changed = differences(before.rule, one.rule) if before else {}
        words = "; ".join(f"{name}: {old} → {new}" for name, (old, new) in changed.items())
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(
                escape(f"{one.version}. {one.change} by {one.who}, {when}") +
                (f"  \n{escape(words)}" if words else ""),
                width="stretch",
            )  # fmt: skip
            if one.rule != alert.rule:
                st.button(
                    "Restore", icon=":material/history:", key=f"alerts_restore_{one.version}",
                    disabled=not may, on_click=_change, args=(detector, alert, one.rule),
                )  # fmt: skip


def _show_exchange(detector: Detector, known: Sequence[Alert], *, may: bool) -> None:
    with st.popover("Import and export", icon=":material/swap_horiz:"):
        st.download_button(
            "Export as Lookout for Metrics JSON",
            lambda: export_alerts(detector, known),
            file_name=f"alerts-{detector.name}.json",
            mime="application/json",
            key="alerts_export",
            on_click="ignore",
            disabled=not known,
            icon=":material/download:",
        )
        file = st.file_uploader(
            "Import DescribeAlert or ListAlerts JSON, or a CloudFormation template",
            type=["json", "yaml", "yml", "template"],
            key="alerts_import_file",
        )
        st.button(
            "Import", key="alerts_import", disabled=not may or file is None,
            on_click=_import, args=(detector, b"" if file is None else file.getvalue()),
        )  # fmt: skip


def _show_undo() -> None:
    gone = st.session_state.get(DELETED)
    if gone is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(escape(f"Deleted: {gone.rule.name}"), width="content")
        st.button("Undo", icon=":material/undo:", key="alerts_undo", on_click=_undo, args=(gone,))


def _start_new() -> None:
    new_draft()
    st.session_state[GO] = "Editor"


def _start_edit(alert: Alert) -> None:
    edit_draft(alert.rule, alert)
    st.session_state[GO] = "Editor"


def _start_copy(rule: AlertRule) -> None:
    edit_draft(replace(rule, name=""), None)
    st.session_state[GO] = "Editor"


def _change(detector: Detector, alert: Alert, rule: AlertRule) -> None:
    user = acting_user(Role.ANALYST)
    try:
        edit_alert(resources.store(), alert, rule, detector.dataset, user.username)
    except MetricsError as error:
        st.session_state[REFUSED] = str(error)
        return
    resources.identity().record(user.username, "alert edited", alert.rule.name)


def _snooze(detector: Detector, alert: Alert, name: str) -> None:
    until = (utc_now() + SNOOZES[name]).replace(second=0, microsecond=0)
    _change(detector, alert, replace(alert.rule, snoozed_until=until))


def _delete(alert: Alert) -> None:
    user = acting_user(Role.ANALYST)
    delete_alert(resources.store(), alert.id, user.username)
    resources.identity().record(user.username, "alert deleted", alert.rule.name)
    st.session_state[DELETED] = alert
    st.session_state[ALERT] = ""


def _undo(alert: Alert) -> None:
    user = acting_user(Role.ANALYST)
    try:
        undelete_alert(resources.store(), alert.id, user.username)
    except MetricsError as error:
        st.session_state[REFUSED] = str(error)
        return
    resources.identity().record(user.username, "alert restored", alert.rule.name)
    st.session_state[DELETED] = None
    st.session_state[ALERT] = alert.rule.name


def _import(detector: Detector, data: bytes) -> None:
    user = acting_user(Role.ANALYST)
    try:
        for rule in import_alerts(data, detector.dataset):
            create_alert(resources.store(), detector, rule, user.username)
            resources.identity().record(user.username, "alert imported", rule.name)
    except MetricsError as error:
        st.session_state[REFUSED] = str(error)
