"""Who gets which profile: checked in bulk, created where missing; domains and last launches."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from lib.aws import AwsError
from lib.canvas.launch import LAUNCHED, REFUSED, rule_of
from lib.canvas.mapping import Rule, check, missing, parse_users, read_table, write_table
from lib.canvas.model import CanvasError, plan_of
from lib.canvas.studio import Domain, Profile, Studio
from lib.identity import Role, User
from lib.settings import settings
from lib.ui import resources
from lib.ui.guard import acting_user
from lib.ui.markdown import escape
from lib.ui.tables import show_table

CREATED, TABLE_KEPT = "created a Canvas profile", "kept the table of Canvas profiles"
SAID = "canvas.said"
EXAMPLE = "ann.smith, ann.smith@example.com\nbob, bob@example.com"
SHOWN = 50


def show_profiles(user: User) -> None:
    """Draw the bulk check, for administrators the domains, the table and all launches."""
    if said := st.session_state.pop(SAID, ""):
        st.info(escape(said), icon=":material/info:")
    try:
        rule, table = rule_of(settings()), read_table(settings())
        plan = plan_of(settings())
    except CanvasError as error:
        st.warning(escape(str(error)), icon=":material/warning:")
        return
    connected = plan is not None and resources.aws().configured
    existing = _existing(plan.domain) if plan is not None and connected else {}
    st.markdown("**Does everybody have a profile?**")
    st.caption(
        escape(f"Rule: {rule}. ")
        + ("" if connected else "AWS is not connected, so only the names are checked.")
    )
    text = st.text_area(
        "Users, one a line, with an e-mail address where the rule needs it", EXAMPLE,
        key="canvas_users", height=120,
    )  # fmt: skip
    found = check(parse_users(text), rule, table, existing or _all_there(text, rule, table))
    if found:
        show_table(
            pd.DataFrame(
                {
                    "user": [one.user for one in found],
                    "profile": [one.profile for one in found],
                    "problem": [one.problem for one in found],
                }
            ),
            columns={
                "user": st.column_config.TextColumn("User"),
                "profile": st.column_config.TextColumn("Profile"),
                "problem": st.column_config.TextColumn("What is missing", width="large"),
            },
            name="profiles",
            alt="Users and the profiles that belong to them",
        )
    wanted = missing(found, existing) if connected else ()
    if wanted and plan is not None:
        st.button(
            f"Create {len(wanted)} missing", icon=":material/person_add:", key="canvas_create",
            disabled=not user.role.allows(Role.ADMIN), on_click=_create,
            args=(plan.domain, wanted),
        )  # fmt: skip
    if user.role.allows(Role.ADMIN):
        _show_table_upload(table)
        if connected:
            _show_domains(existing)
        _show_launches()


def _all_there(text: str, rule: Rule, table: Mapping[str, str]) -> dict[str, str]:
    """Return every profile as if it were there, to check names without AWS."""
    named = check(parse_users(text), rule, table, {})
    return {one.profile: "InService" for one in named if one.profile}


def _existing(domain: str) -> dict[str, str]:
    try:
        return {one.name: one.status for one in _profiles(resources.aws().region or "", domain)}
    except AwsError as error:
        st.warning(escape(error.sentence), icon=":material/warning:")
        return {}


@st.cache_data(ttl=60, max_entries=4, show_spinner="Asking AWS for profiles …")
def _profiles(region: str, domain: str) -> tuple[Profile, ...]:
    del region  # names the answer
    return Studio(resources.aws()).profiles(domain)


@st.cache_data(ttl=60, max_entries=2, show_spinner="Asking AWS for domains …")
def _domains(region: str) -> tuple[Domain, ...]:
    del region  # names the answer
    return Studio(resources.aws()).domains()


def _create(domain: str, names: tuple[str, ...]) -> None:
    user = acting_user(Role.ADMIN)
    studio = Studio(resources.aws())
    for name in names:
        try:
            studio.create_profile(domain, name)
        except AwsError as error:
            st.session_state[SAID] = error.sentence
            break
        resources.identity().record(user.username, CREATED, name, domain)
    _profiles.clear()


def _show_table_upload(table: Mapping[str, str]) -> None:
    with st.expander(f"Table of users and profiles ({len(table)} rows)", key="canvas_table"):
        file = st.file_uploader("CSV: user,profile", type=["csv"], key="canvas_csv")
        if file is not None:
            st.button(
                "Keep this table", key="canvas_csv_keep", icon=":material/save:",
                on_click=_keep_table, args=(file.getvalue(),),
            )  # fmt: skip


def _keep_table(content: bytes) -> None:
    user = acting_user(Role.ADMIN)
    try:
        count = write_table(settings(), content.decode("utf-8-sig"))
    except (CanvasError, UnicodeDecodeError) as error:
        st.session_state[SAID] = f"The table was not kept. {error}"
        return
    resources.identity().record(user.username, TABLE_KEPT, "canvas_profiles.csv", f"{count} rows")
    st.session_state[SAID] = f"The table is kept: {count} rows."


def _show_domains(existing: Mapping[str, str]) -> None:
    st.markdown("**Domains**")
    try:
        found = _domains(resources.aws().region or "")
    except AwsError as error:
        st.warning(escape(error.sentence), icon=":material/warning:")
        return
    st.dataframe(
        pd.DataFrame(
            [(one.id, one.name, one.status, one.auth_mode) for one in found],
            columns=["Domain", "Name", "Status", "Signs in by"],
        ),
        hide_index=True,
        alt="Domains of the account",
    )
    busy = sum(status != "InService" for status in existing.values())
    st.caption(f"{len(existing)} profiles in the domain of the settings, {busy} not in service.")


def _show_launches() -> None:
    identity = resources.identity()
    events = [
        one for action in (LAUNCHED, REFUSED) for one in identity.audit_log(SHOWN, action=action)
    ]
    if not events:
        return
    st.markdown("**Last launches**")
    events.sort(key=lambda event: event.at, reverse=True)
    show_table(
        pd.DataFrame(
            [(one.at, one.who, one.action, one.target, one.detail) for one in events[:SHOWN]],
            columns=["at", "who", "what", "profile", "how"],
        ),
        columns={
            "at": st.column_config.DatetimeColumn("When", format="YYYY-MM-DD HH:mm:ss"),
            "who": st.column_config.TextColumn("Who"),
            "what": st.column_config.TextColumn("What"),
            "profile": st.column_config.TextColumn("Profile"),
            "how": st.column_config.TextColumn("Domain, or why not"),
        },
        name="launches",
        alt="Who launched Canvas, when and as which profile",
    )
