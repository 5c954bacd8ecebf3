"""The button into Canvas: a link is made on the click, opened in a new tab, and gone."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import streamlit as st

from lib.aws import AccessDenied, AwsError
from lib.canvas.launch import LAUNCHED, REFUSED, launch, rule_of
from lib.canvas.mapping import profile_of, read_table
from lib.canvas.model import CanvasError, Launch, LaunchPlan, plan_of
from lib.identity import Role, User
from lib.settings import settings
from lib.ui import resources
from lib.ui.guard import acting_user
from lib.ui.markdown import escape
from lib.ui.packaged import component
from lib.ui.sources import Source
from lib.ui.sources import source as ui_source

SHOWN = 5  # last launches


def source() -> Source:
    """Return where Canvas is: on AWS where it is connected, else here, as a rehearsal."""
    aws = resources.aws()
    if settings().canvas_domain and aws.configured:
        return Source(f"AWS {aws.region}", "SageMaker Canvas", "Links are made by your account.")
    return ui_source("a rehearsal of Canvas")


def show_launch(user: User) -> None:
    """Draw whose Canvas is opened and how, the button, and the user's last launches."""
    try:
        plan = plan_of(settings())
        profile = profile_of(user, rule_of(settings()), read_table(settings()))
    except CanvasError as error:
        st.warning(escape(str(error)), icon=":material/warning:")
        return
    if plan is None or not resources.aws().configured:
        _show_missing(plan, profile)
        return
    with st.container(border=True):
        st.markdown(f"**Canvas of {escape(profile)}**")
        st.caption(
            escape(
                f"Domain {plan.domain}; a session of {plan.session / 3_600:g} hours. The link is "
                f"good for {plan.expires} seconds and for you alone."
            )
        )
        if user.role.allows(Role.ANALYST):
            st.fragment(_button)()
        else:
            st.caption("Analysts launch Canvas; you may look.")
    _show_last(user)


def _button() -> None:
    if not st.button(
        "Open Canvas", type="primary", icon=":material/open_in_new:", key="canvas_open"
    ):
        return
    user = acting_user(Role.ANALYST)
    try:
        with st.spinner("Asking AWS for a link"):
            made = launch(settings(), resources.aws(), resources.identity(), user)
    except CanvasError as error:
        st.error(escape(str(error)), icon=":material/error:")
        if error.statement:
            st.code(error.statement, language="json")
    except AccessDenied as error:
        st.error(escape(error.sentence), icon=":material/error:")
        st.code(error.policy_statement, language="json")
    except AwsError as error:
        st.error(escape(error.sentence), icon=":material/error:")
    else:
        hand_over(made)


def hand_over(made: Launch) -> None:
    """Give the URL to the browser: as data of this one run, kept in no state and no cache."""
    seconds = (made.expires_at - datetime.now(UTC)).total_seconds()
    component("canvas_launch")(
        key="canvas_launch",
        data={
            "version": secrets.token_hex(8),
            "url": made.url,
            "seconds": max(0.0, seconds),
            "profile": made.profile,
        },
    )


def _show_missing(plan: LaunchPlan | None, profile: str) -> None:
    with st.container(border=True):
        st.markdown("**One click into SageMaker Canvas, once it is connected**")
        st.markdown(
            escape(
                f"You would land in Canvas as {profile}, in a new tab, by a link that is made on "
                "the click, is good for a minute and for one use, and is kept nowhere."
            )
        )
        if plan is None:
            st.caption("SIGHTLINE_CANVAS_DOMAIN names the domain, such as d-abc123xyz.")
        if not resources.aws().configured:
            st.caption(escape(resources.aws().to_set))
        st.caption(
            "Meanwhile: Profiles checks who would get which profile, Single sign-on tells what to "
            "enter for IAM Identity Center, and Function holds the template of the post's way."
        )


def _show_last(user: User) -> None:
    identity = resources.identity()
    events = [
        one
        for action in (LAUNCHED, REFUSED)
        for one in identity.audit_log(SHOWN, who=user.username, action=action)
    ]
    for one in sorted(events, key=lambda event: event.at, reverse=True)[:SHOWN]:
        st.caption(escape(f"{one.at:%Y-%m-%d %H:%M} UTC: {one.action} as {one.target}."))
