"""The frame around a page: routing, sidebar, and the head with title and source."""

from __future__ import annotations

import streamlit as st

from lib.identity import Role, SignInMethod, User
from lib.settings import ROOT
from lib.ui.markdown import escape
from lib.ui.pages import PAGES, Page
from lib.ui.sign_in import sign_out
from lib.ui.sources import Source

FAVICON = ROOT / "static" / "favicon.png"
LOGO = ROOT / "static" / "logo.png"
ROLE_KEY = "frame.role"  # what the navigation may show; the guard decides what a page may do


def navigate() -> None:
    """Route to the page of the address bar and run it."""
    # Set before routing: a page's Material icon as favicon would be fetched from a font host.
    st.set_page_config(page_title="Sightline", page_icon=str(FAVICON), layout="wide")
    st.logo(str(LOGO), size="medium", icon_image=str(FAVICON))
    role: Role = st.session_state.get(ROLE_KEY, Role.ADMIN)
    st.navigation(
        [
            st.Page(
                page.path,
                title=page.title,
                icon=page.icon,
                url_path=page.url_path,
                default=page.url_path == "",
                visibility="visible" if role.allows(page.role) else "hidden",
            )
            for page in PAGES
        ]
    ).run()


def draw_sidebar(user: User) -> None:
    """Draw who is signed in, and the way out."""
    if st.session_state.get(ROLE_KEY, Role.ADMIN) is not user.role:
        st.session_state[ROLE_KEY] = user.role
        st.rerun()
    with st.sidebar:
        if user.method is SignInMethod.SINGLE_USER:
            st.caption(
                "Single-user mode: no sign-in, and only this machine can reach Sightline.",
            )
            return
        st.caption(f"Signed in as {escape(user.name)} ({user.role})")
        if st.button("Sign out", icon=":material/logout:", key="frame.sign_out"):
            sign_out()


def header(page: Page, source: Source | None = None) -> None:
    """Draw the head of a page: title, the question it answers, and where answers come from."""
    with st.container(gap="xsmall"):
        st.title(page.title, anchor=False)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(page.line, width="content")
            if source is not None:
                show_source(source)


def show_source(source: Source) -> None:
    """Draw where answers come from as a badge."""
    st.badge(escape(source.label), icon=source.icon, color="gray", help=escape(source.detail))
