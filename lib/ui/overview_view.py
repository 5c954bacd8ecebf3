"""What the overview draws: a card a page, the state of every part, and the last activity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd
import streamlit as st

from lib.health import Health, Status
from lib.identity import AuditEvent
from lib.jobs import Job
from lib.ui.markdown import escape
from lib.ui.pages import Page
from lib.ui.sources import Source
from lib.ui.tables import show_table

STATUS_LOOK: dict[Status, tuple[str, Literal["green", "gray", "red"]]] = {
    Status.READY: (":material/check_circle:", "green"),
    Status.OFF: (":material/link_off:", "gray"),
    Status.FAILING: (":material/error:", "red"),
}


def show_page_card(page: Page, source: Source, health: Health) -> None:
    """Draw what a page answers, where its answers come from, and whether it works."""
    with st.container(border=True, height="stretch"):
        st.page_link(page.path, label=f"**{page.title}**", icon=page.icon)
        st.write(page.line)
        with st.container(horizontal=True, gap="small"):
            st.badge(source.label, icon=source.icon, color="gray", help=source.detail)
            show_status(health)


def show_status(health: Health) -> None:
    """Draw a part's status as a badge: colour, icon and word say the same."""
    icon, color = STATUS_LOOK[health.status]
    st.badge(health.status.value, icon=icon, color=color, help=escape(health.sentence))


def show_health(part: Health) -> None:
    """Draw one line: status, name and the sentence of the part's check."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        show_status(part)
        st.markdown(f"**{part.part}** · {escape(part.sentence)}", width="stretch")


def show_activity(events: Sequence[AuditEvent], jobs: Sequence[Job]) -> None:
    """Draw the last state changes and jobs as one table, newest first."""
    rows = [(event.at, event.who, event.action, event.target) for event in events]
    rows += [(job.created_at, job.owner, f"job {job.state}", job.title) for job in jobs]
    if not rows:
        with st.container(border=True):
            st.markdown("**Nothing happened yet**")
            st.caption("Jobs, sign-ins and changes of settings will be listed here.")
        return
    frame = pd.DataFrame(rows, columns=["at", "who", "what", "which"])
    show_table(
        frame.sort_values("at", ascending=False),
        columns={
            "at": st.column_config.DatetimeColumn("When", format="YYYY-MM-DD HH:mm:ss"),
            "who": st.column_config.TextColumn("Who"),
            "what": st.column_config.TextColumn("What"),
            "which": st.column_config.TextColumn("Which"),
        },
        name="activity",
        alt="The last jobs, sign-ins and changes, newest first",
    )
