"""The index behind the search page: built on the first visit, followed, mended when damaged."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from lib.identity import Role, User
from lib.jobs import Job, JobState
from lib.search.collections import AWS_DOCUMENTATION, Collection
from lib.search.files import IndexDamaged
from lib.search.model import SearchEngine
from lib.store import utc_now
from lib.ui import resources
from lib.ui.job_view import show_job
from lib.ui.markdown import escape

LOOK_SECONDS = 1.0
JUST_NOW = timedelta(seconds=5)  # engines look for newer commits by themselves every second


def open_engine(collection: Collection) -> SearchEngine:
    """Return the engine of a collection, which knows what a job that just ended has indexed.

    Raises as `resources.search`.
    """
    if not collection.is_indexed:
        return resources.search(collection)
    engine = resources.embedded_search(collection.id)
    job = last_job(collection)
    if job is not None and job.finished_at and utc_now() - job.finished_at < JUST_NOW:
        engine.refresh()
    return engine


def follow_indexing(collection: Collection, engine: SearchEngine, user: User) -> None:
    """Draw how indexing goes, started on the first visit; stop the page while nothing is found."""
    if not collection.is_indexed:
        return
    job = last_job(collection)
    is_empty = not engine.attributes()
    if job is None and is_empty:
        job = start_indexing(collection, user)
    if is_empty:
        _show_empty(collection, job, user)
        st.stop()
    if job is None:
        return
    if not job.finished:
        st.caption("Documents are being indexed. What is indexed already can be searched.")
        show_job(job, may_cancel=may_manage(collection, user) or job.owner == user.username)
    elif job.state in {JobState.FAILED, JobState.CANCELLED}:
        show_job(job, may_cancel=False)
        st.caption("The index is incomplete: only what was indexed before is found.")
        _offer_again(collection, user)


def start_indexing(collection: Collection, user: User) -> Job:
    """Return the job that brings a collection's index up to date: a running one, or a new one."""
    from lib.search.indexing import index_collection

    job = last_job(collection)
    if job is not None and not job.finished:
        return job
    resources.identity().record(user.username, "started indexing", collection.name)
    return resources.jobs().submit(
        index_collection,
        title=job_title(collection),
        owner=user.username,
        collection=collection.id,
    )


def last_job(collection: Collection) -> Job | None:
    """Return the newest job that indexed a collection, None where there was none."""
    job = resources.jobs().latest(job_title(collection))
    if job is None or collection.added_at is None or job.created_at >= collection.added_at:
        return job
    return None  # it was for an earlier collection of this name


def job_title(collection: Collection) -> str:
    """Return what the jobs of a collection are called."""
    return f"Index {collection.name}"


def may_manage(collection: Collection, user: User) -> bool:
    """Tell whether a user may index, change and remove a collection: who added it, and admins."""
    is_own = collection.added_by == user.username and user.role.allows(Role.ANALYST)
    return is_own or user.role.allows(Role.ADMIN)


def show_damaged(collection: Collection, error: IndexDamaged, user: User) -> None:
    """Draw that the index cannot be read, and how it is built anew."""
    with st.container(border=True):
        st.markdown("**The search index is damaged**")
        st.caption(escape(str(error)))
        job = last_job(collection)
        if job is not None and not job.finished:
            show_job(job, may_cancel=may_manage(collection, user))
        elif may_manage(collection, user):
            if st.button("Build it anew", icon=":material/build:", key="search_rebuild"):
                start_indexing(collection, user)
                st.rerun()
        else:
            st.caption("Ask an administrator of this Sightline to build it anew.")


def show_unread(job: Job) -> None:
    """Draw which files a job could not read and why, and what it left out."""
    result = job.result or {}
    reasons, notes = result.get("reasons", ()), result.get("notes", ())
    if reasons:
        st.markdown(f"**{result['skipped']:,} files could not be read**")
        with st.container(height=180 if len(reasons) > 3 else "content", border=True):  # noqa: PLR2004 - rows
            for reason in reasons:
                st.text(f"{reason['name']}: {reason['reason']}")
        if result["skipped"] > len(reasons):
            st.caption(f"The first {len(reasons):,} are listed.")
    if notes:
        st.markdown("**Left out**")
        with st.container(height=120, border=True):
            for note in notes:
                st.text(note)


def _show_empty(collection: Collection, job: Job | None, user: User) -> None:
    with st.container(border=True):
        st.markdown("**No documents yet**")
        if job is not None and job.state is JobState.DONE:
            st.caption(escape(f"{collection.place}: nothing there could be indexed."))
            if may_manage(collection, user):
                show_unread(job)
            _offer_again(collection, user)
            return
        if collection == AWS_DOCUMENTATION:
            st.caption(
                "On the first visit Sightline indexes what the installed AWS SDK says about every "
                "service and operation. It takes about a minute; the first documents are found "
                "after seconds."
            )
        else:
            st.caption(escape(f"{collection.place}: the documents are being indexed."))
        if job is None:
            return
        show_job(job, may_cancel=may_manage(collection, user) or job.owner == user.username)
        if job.finished:
            _offer_again(collection, user)
        else:
            st.fragment(_wait_for_documents, run_every=LOOK_SECONDS)(collection)


def _wait_for_documents(collection: Collection) -> None:
    if resources.search(collection).attributes():
        st.rerun()


def _offer_again(collection: Collection, user: User) -> None:
    if collection != AWS_DOCUMENTATION and not may_manage(collection, user):
        st.caption("Ask who added it, or an administrator, to index it again.")
    elif st.button("Start again", icon=":material/replay:", key="search_index_again"):
        start_indexing(collection, user)
        st.rerun()
