"""What a collection is: where from, its last run, unread files; and to change or remove it."""

from __future__ import annotations

import streamlit as st

from lib.identity import User
from lib.jobs import Job, JobState
from lib.search.collections import (
    AWS_DOCUMENTATION,
    Collection,
    Kind,
    remove_collection,
    upload_folder,
)
from lib.search.sources import SourceError
from lib.search.sources.uploads import Uploads
from lib.settings import settings
from lib.ui import resources
from lib.ui import search_state as state
from lib.ui.guard import still_signed_in
from lib.ui.markdown import escape
from lib.ui.search_add import FORM_WIDTH, KENDRA_LIMITS
from lib.ui.search_index import last_job, may_manage, show_unread, start_indexing
from lib.ui.search_uploads import choose_files, clear, contents

DETAILS = "search_details"
REMOVING = "search.removing"  # the id of the collection whose removal waits for a second click
REFUSED = "search.change_refused"
TAKE_OUT = "search_take_out"
MORE_FILES = "search_more_files"


def show_details(collection: Collection, user: User) -> None:
    """Draw the button that opens what a collection is and what can be done with it."""
    job = last_job(collection) if collection.is_indexed else None
    skipped = 0
    if job is not None and may_manage(collection, user):
        skipped = (job.result or {}).get("skipped", 0)
    with st.popover(
        f"{skipped:,} not read" if skipped else "Details",
        icon=":material/warning:" if skipped else ":material/info:",
        key=DETAILS,
        on_change="rerun",
    ) as details:
        if details.open:
            with st.container(width=FORM_WIDTH):
                _show_upkeep(collection, job, user)


def _show_upkeep(collection: Collection, job: Job | None, user: User) -> None:
    st.markdown(f"**{escape(collection.name)}**")
    st.caption(escape(f"{collection.place}.{_added(collection, user)}"))
    if collection.kind is Kind.KENDRA:
        st.caption(KENDRA_LIMITS)
    if job is not None:
        st.caption(escape(_last_run(job)))
    if refused := st.session_state.pop(REFUSED, ""):
        st.error(escape(refused), icon=":material/error:")
    if not may_manage(collection, user):
        return
    is_running = job is not None and not job.finished
    if job is not None:
        show_unread(job)
    if collection.kind is Kind.UPLOADS:
        _show_files(collection, user, is_running=is_running)
    with st.container(horizontal=True, gap="small"):
        if collection.is_indexed:
            st.button(
                "Re-index now",
                icon=":material/refresh:",
                key="search_reindex",
                disabled=is_running,
                on_click=_reindex,
                args=(collection, user),
            )
        if collection != AWS_DOCUMENTATION:
            _offer_removal(collection, user)


def _added(collection: Collection, user: User) -> str:
    if collection.added_at is None:
        return ""
    who = "you" if collection.added_by == user.username else collection.added_by
    return f" Added by {who} on {collection.added_at:%Y-%m-%d}."


def _last_run(job: Job) -> str:
    if not job.finished or job.finished_at is None:
        return f"Being indexed: {job.step or 'waiting for a worker'}."
    when = f"{job.finished_at:%Y-%m-%d at %H:%M} UTC"
    if job.state is not JobState.DONE or job.result is None:
        how = "failed" if job.state is JobState.FAILED else "was cancelled"
        return f"The last run {how} on {when}. {job.error}"
    counts = ", ".join(f"{job.result[name]:,} {name}" for name in ("added", "changed", "removed"))
    return f"Indexed on {when} in {job.result['seconds']:,} s: {counts}."


def _show_files(collection: Collection, user: User, *, is_running: bool) -> None:
    names = Uploads(upload_folder(settings(), collection.id)).names()
    with st.form("search_files", border=False):
        choose_files("More files, or newer ones of the same names", MORE_FILES)
        st.multiselect(
            "Files to take out",
            names,
            key=TAKE_OUT,
            placeholder=f"None of {len(names):,}",
        )
        st.form_submit_button(
            "Change files",
            key="search_files_submit",
            disabled=is_running,
            help="Files can be changed once indexing has ended." if is_running else None,
            on_click=_change_files,
            args=(collection, user),
        )


def _offer_removal(collection: Collection, user: User) -> None:
    if st.session_state.get(REMOVING) != collection.id:
        st.button(
            "Remove …",
            icon=":material/delete:",
            key="search_remove",
            on_click=lambda: st.session_state.update({REMOVING: collection.id}),
        )
        return
    st.button(
        "Remove for good",
        icon=":material/delete_forever:",
        type="primary",
        key="search_remove_for_good",
        on_click=_remove,
        args=(collection, user),
        help=_loss(collection),
    )
    st.button("Keep it", key="search_keep", on_click=lambda: st.session_state.pop(REMOVING, None))
    st.caption(_loss(collection))


def _loss(collection: Collection) -> str:
    if collection.kind is Kind.UPLOADS:
        return "The uploaded files and their index are deleted. This cannot be undone."
    if collection.is_indexed:
        return "The index is deleted; the documents stay where they are."
    return "It goes from this list; the index stays where it is."


def _may_still_manage(collection: Collection, user: User) -> bool:
    now = still_signed_in(user)
    if now is not None and may_manage(collection, now):
        return True
    st.session_state[REFUSED] = "Only who added a collection and administrators may change it."
    return False


def _reindex(collection: Collection, user: User) -> None:
    if not _may_still_manage(collection, user):
        return
    start_indexing(collection, user)
    st.session_state[DETAILS] = False


def _change_files(collection: Collection, user: User) -> None:
    if not _may_still_manage(collection, user):
        return
    job = last_job(collection)
    if job is not None and not job.finished:
        st.session_state[REFUSED] = "These documents are being indexed. Change them once it ended."
        return
    uploads = Uploads(upload_folder(settings(), collection.id))
    try:
        files = contents(MORE_FILES)
        if files:
            uploads.keep(files, settings().max_upload_mb)
    except SourceError as error:
        st.session_state[REFUSED] = str(error)
        return
    taken_out = [name for name in st.session_state[TAKE_OUT] if name not in files]
    uploads.remove(taken_out)
    if files or taken_out:
        resources.identity().record(user.username, "changed documents", collection.name)
        start_indexing(collection, user)
        clear(MORE_FILES)
        st.session_state[TAKE_OUT] = []
        st.session_state[DETAILS] = False


def _remove(collection: Collection, user: User) -> None:
    if not _may_still_manage(collection, user):
        return
    job = last_job(collection)
    if job is not None and not job.finished:
        resources.jobs().cancel(job.id)
    remove_collection(resources.store(), settings(), collection)
    resources.identity().record(user.username, "removed documents", collection.name)
    resources.embedded_search.clear(collection.id)
    st.session_state.pop(REMOVING, None)
    st.session_state[DETAILS] = False
    state.choose_documents(AWS_DOCUMENTATION.name)
