"""What the settings page draws: connections, self-check, users, audit log, configuration."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from pydantic import SecretStr

from lib import health
from lib.identity import SignInMethod, User, sign_in_method
from lib.jobs import Job
from lib.settings import Settings, settings
from lib.ui import resources
from lib.ui.job_view import show_job
from lib.ui.overview_view import show_health
from lib.ui.tables import show_table

SELF_CHECK = "Self-check"


def show_aws() -> None:
    """Draw whether AWS is usable and with which settings; test it on a click."""
    if st.button("Test the connection", icon=":material/refresh:", key="settings_test_aws"):
        resources.aws_health.clear()
    with st.container(border=True):
        show_health(resources.aws_health())
    st.caption(
        "Sightline works without AWS. To connect it, set a region and credentials in the usual "
        "way (environment, profile or instance role), then restart."
    )
    _show_fields(name="aws_settings", prefix="aws_")


def show_engines(user: User) -> None:
    """Draw the last self-check, which a worker runs through the queue, and start a new one."""
    last = _last_self_check()
    running = last is not None and not last.finished
    if st.button(
        "Check everything", icon=":material/fact_check:", disabled=running, key="settings_check"
    ):
        resources.jobs().submit(health.check_everything, title=SELF_CHECK, owner=user.username)
        resources.identity().record(user.username, "self-check started")
        st.rerun()
    if last is None:
        with st.container(border=True):
            st.markdown("**No self-check yet**")
            st.caption("It runs as a background job, so it also proves that the worker works.")
        return
    show_job(last, may_cancel=True)
    if last.result and last.finished_at:
        with st.container(border=True):
            for check in last.result["checks"]:
                show_health(health.Health(**{**check, "status": health.Status(check["status"])}))
        st.caption(f"Checked on {last.finished_at:%Y-%m-%d at %H:%M:%S} UTC")


def show_users(user: User) -> None:
    """Draw who may sign in and who is signed in; an administrator can end a sign-in."""
    identity = resources.identity()
    method = sign_in_method(settings())
    if method is SignInMethod.SINGLE_USER:
        with st.container(border=True):
            st.markdown("**Single-user mode**")
            st.caption(
                "No users are configured, so Sightline answers this machine only. For a team, "
                "copy .streamlit/users.yaml.example to users.yaml, or add an [auth] table to "
                ".streamlit/secrets.toml, and restart."
            )
        return
    if method is SignInMethod.PASSWORD:
        people = [(one.username, one.name, one.email, str(one.role)) for one in identity.users()]
        show_table(
            pd.DataFrame(people, columns=["username", "name", "email", "role"]),
            columns={
                "username": st.column_config.TextColumn("User", pinned=True),
                "name": st.column_config.TextColumn("Name"),
                "email": st.column_config.TextColumn("E-mail"),
                "role": st.column_config.TextColumn("Role"),
            },
            name="users",
            alt="Who may sign in, with role",
        )
    st.header("Signed in now", anchor=False)
    for session in identity.sessions():
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.text(
                f"{session.username}, since {session.since:%Y-%m-%d %H:%M} UTC, "
                f"last seen {session.seen_at:%H:%M} UTC",
                width="stretch",
            )
            if st.button("Sign out", key=f"settings_revoke_{session.id}"):
                identity.revoke_session(session.id, by=user.username)
                st.rerun()


def show_audit_log() -> None:
    """Draw the newest state changes: who, what, when."""
    events = resources.identity().audit_log(limit=500)
    if not events:
        with st.container(border=True):
            st.markdown("**The audit log is empty**")
            st.caption("Sign-ins, changes and started jobs are recorded here.")
        return
    show_table(
        pd.DataFrame(
            [(event.at, event.who, event.action, event.target, event.detail) for event in events],
            columns=["at", "who", "action", "target", "detail"],
        ),
        columns={
            "at": st.column_config.DatetimeColumn("When (UTC)", format="YYYY-MM-DD HH:mm:ss"),
            "who": st.column_config.TextColumn("Who"),
            "action": st.column_config.TextColumn("Action"),
            "target": st.column_config.TextColumn("Which"),
            "detail": st.column_config.TextColumn("Detail"),
        },
        name="audit_log",
        alt="State changes, newest first",
    )


def show_configuration() -> None:
    """Draw every setting with its value; secrets only as set or not set."""
    _show_fields(name="configuration", prefix="")


def _last_self_check() -> Job | None:
    jobs = resources.jobs().recent(limit=50)
    return next((job for job in jobs if job.title == SELF_CHECK), None)


def _show_fields(*, name: str, prefix: str) -> None:
    now = settings()
    rows = [
        (f"SIGHTLINE_{field.upper()}", _value(now, field), info.description)
        for field, info in Settings.model_fields.items()
        if field.startswith(prefix)
    ]
    show_table(
        pd.DataFrame(rows, columns=["setting", "value", "meaning"]),
        columns={
            "setting": st.column_config.TextColumn("Setting", pinned=True),
            "value": st.column_config.TextColumn("Value"),
            "meaning": st.column_config.TextColumn("Meaning", width="large"),
        },
        name=name,
        alt="Settings with their values",
    )


def _value(now: Settings, field: str) -> str:
    value = getattr(now, field)
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else "not set"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "not set"
    return "not set" if value in (None, "") else str(value)
