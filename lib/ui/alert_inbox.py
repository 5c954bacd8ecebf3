"""Messages to this Sightline's people, and what became of those that left it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lib.alerts.channels import channel_words
from lib.alerts.model import ChannelKind, Notification
from lib.alerts.outbox import DEAD, MUTED, SENT, mark_read, notifications, send_again
from lib.identity import Role, User
from lib.ui import resources
from lib.ui.anomaly_view import moment
from lib.ui.guard import acting_user
from lib.ui.markdown import escape

SHOWN = 50
STATES = {"waiting": "orange", "sent": "green", "dead": "red", "muted": "gray"}


def show_inbox() -> None:
    """Draw the messages in the inbox, newest first."""
    found = [
        one
        for one in notifications(resources.store(), channel=ChannelKind.INBOX, limit=SHOWN)
        if one.state == SENT
    ]
    if not found:
        with st.container(border=True):
            st.markdown("**Nothing here yet**")
            st.caption("Alerts that tell the inbox put their messages here.")
        return
    new = [one.id for one in found if one.read_at is None]
    st.button(
        "Mark all as read", icon=":material/done_all:", key="alerts_read_all", disabled=not new,
        on_click=_read, args=(new,),
    )  # fmt: skip
    for one in found:
        label = escape(f"{moment(one.created_at, 'UTC')} · {one.subject}")
        icon = ":material/mark_email_unread:" if one.read_at is None else ":material/drafts:"
        with st.expander(label, icon=icon, key=f"alerts_inbox_{one.id[:16]}"):
            st.code(one.body, language=None, wrap_lines=True)
            if one.read_at is None:
                st.button(
                    "Mark as read", icon=":material/done:", key=f"alerts_read_{one.id[:16]}",
                    on_click=_read, args=([one.id],),
                )  # fmt: skip


def show_deliveries(user: User) -> None:
    """Draw what was sent, waits, is dead or was held back, newest first."""
    found = notifications(resources.store())
    if not found:
        with st.container(border=True):
            st.markdown("**Nothing was sent yet**")
            st.caption("Each message of an alert appears here with how far it has come.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "When (UTC)": [moment(one.created_at, "UTC") for one in found],
                "State": [one.state for one in found],
                "Tells": [channel_words(one.channel) for one in found],
                "Message": [one.subject or "digest that is being filled" for one in found],
                "Attempts": [one.attempts for one in found],
                "Reason": [one.problem for one in found],
            }
        ),
        hide_index=True,
        alt="Messages and how far they have come",
        column_config={"Message": st.column_config.TextColumn(width=380)},
    )
    _show_stuck([one for one in found if one.state in {DEAD, MUTED}], user)


def _show_stuck(stuck: list[Notification], user: User) -> None:
    if not stuck:
        return
    st.markdown("**Not delivered**")
    for one in stuck[:SHOWN]:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(one.state, color=STATES[one.state])  # type: ignore[arg-type]  # a colour
            st.markdown(
                f"{escape(one.subject)}  \n{escape(one.problem)}", width="stretch"
            )  # fmt: skip
            st.button(
                "Send again", icon=":material/replay:", key=f"alerts_resend_{one.id[:16]}",
                disabled=not user.role.allows(Role.ANALYST), on_click=_again, args=(one.id,),
            )  # fmt: skip


def _read(ids: list[str]) -> None:
    acting_user(Role.VIEWER)
    mark_read(resources.store(), ids)


def _again(message_id: str) -> None:
    acting_user(Role.ANALYST)
    send_again(resources.store(), message_id)
