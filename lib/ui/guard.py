"""The guard: the first call of every page file, because a deep link may skip `Home.py`."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from lib.identity import PermissionRefused, Role, User, require
from lib.settings import settings
from lib.ui import resources
from lib.ui.frame import draw_sidebar
from lib.ui.pages import Page, page_of
from lib.ui.sign_in import current_user, live_user


@dataclass(frozen=True)
class Visit:
    """One run of a page by a user who may see it."""

    page: Page
    user: User


def guard(file: str) -> Visit:
    """Return the visit of a page file; without the right user draw why not, and stop the page."""
    page = page_of(file)
    user = current_user(resources.identity(), settings())
    draw_sidebar(user)
    if not user.role.allows(page.role):
        st.title(page.title)
        st.warning(
            f"This page needs the role {page.role}; you are signed in as {user.role}. "
            "Ask an administrator of this Sightline for it.",
            icon=":material/lock:",
        )
        st.stop()
    return Visit(page, user)


def still_signed_in(user: User) -> User | None:
    """Return the user of an earlier run with today's role, None where the session has ended.

    For callbacks and fragments: Streamlit runs them without the page's guard.
    """
    now = live_user(resources.identity())
    return now if now is not None and now.username == user.username else None


def acting_user(role: Role) -> User:
    """Return who clicks; without the role draw why not, and stop the page.

    For callbacks: they run before the guard, on a button that an earlier run drew, and whoever was
    signed in then may have signed out or lost the role since.
    """
    user = current_user(resources.identity(), settings())
    try:
        require(user, role)
    except PermissionRefused as error:
        st.warning(str(error), icon=":material/lock:")
        st.stop()
    return user
