"""Searches kept under a name: save, open, delete, and take the deletion back."""

from __future__ import annotations

import streamlit as st

from lib.identity import User
from lib.search.saved import MAX_NAME_CHARACTERS, delete_search, save_search, saved_searches
from lib.ui import resources
from lib.ui import search_state as state
from lib.ui.guard import still_signed_in
from lib.ui.markdown import escape

NAME = "search_save_name"
DELETED = "search.deleted"  # the saved search that was deleted last: its name and view
REFUSED = "search.save_refused"


def show_saved_searches(user: User) -> None:
    """Draw the user's saved searches, and the field to save this one."""
    with st.popover("Saved", icon=":material/bookmark:"):
        with st.form("search_save", border=False):
            st.text_input("Save this search as", key=NAME, max_chars=MAX_NAME_CHARACTERS)
            st.form_submit_button("Save", on_click=_save, args=(user,), key="search_save_submit")
        refused = st.session_state.pop(REFUSED, "")
        if refused:
            st.error(escape(refused), icon=":material/error:")
        kept = saved_searches(resources.store(), user.username)
        for number, saved in enumerate(kept):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.button(
                    escape(saved.name),
                    key=f"search_saved_{number}",
                    type="tertiary",
                    on_click=state.show_saved,
                    args=(saved.view,),
                    width="stretch",
                )
                st.button(
                    "Delete",
                    icon=":material/delete:",
                    key=f"search_saved_delete_{number}",
                    on_click=_delete,
                    args=(user, saved.name, dict(saved.view)),
                )
        if not kept:
            st.caption("Nothing saved yet.")
        _show_undo(user)


def _show_undo(user: User) -> None:
    deleted = st.session_state.get(DELETED)
    if deleted is None:
        return
    name, view = deleted
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"Deleted: {escape(name)}", width="stretch")
        st.button(
            "Undo",
            icon=":material/undo:",
            key="search_saved_undo",
            on_click=_restore,
            args=(user, name, view),
        )


def _save(user: User) -> None:
    if still_signed_in(user) is None:
        return
    try:
        saved = save_search(
            resources.store(), user.username, st.session_state[NAME] or "", state.saved_view()
        )
    except ValueError as error:
        st.session_state[REFUSED] = str(error)
        return
    resources.identity().record(user.username, "saved a search", saved.name)
    st.session_state[NAME] = ""


def _delete(user: User, name: str, view: dict[str, str]) -> None:
    if still_signed_in(user) is None:
        return
    delete_search(resources.store(), user.username, name)
    resources.identity().record(user.username, "deleted a saved search", name)
    st.session_state[DELETED] = (name, view)


def _restore(user: User, name: str, view: dict[str, str]) -> None:
    if still_signed_in(user) is None:
        return
    save_search(resources.store(), user.username, name, view)
    resources.identity().record(user.username, "saved a search", name)
    st.session_state.pop(DELETED, None)
