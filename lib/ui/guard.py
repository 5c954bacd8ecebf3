"""The guard: the first call of every page file, because a deep link may skip `Home.py`."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from lib.identity import User
from lib.settings import settings
from lib.ui import resources
from lib.ui.frame import draw_sidebar
from lib.ui.pages import Page, page_of
from lib.ui.sign_in import current_user


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
