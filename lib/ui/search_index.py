"""The index behind the search page: built on the first visit, followed, mended when damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from lib.identity import Role, User
from lib.jobs import Job, JobState
from lib.search import DEFAULT_SOURCE, index_folder
from lib.search.files import IndexDamaged
from lib.settings import settings
from lib.ui import resources
from lib.ui.job_view import show_job
from lib.ui.markdown import escape

if TYPE_CHECKING:
    from lib.search.engine import EmbeddedSearch

TITLE = "Index the AWS documentation"
LOOK_SECONDS = 1.0
JOBS_LOOKED_AT = 50


def follow_indexing(engine: EmbeddedSearch, user: User) -> None:
    """Draw how indexing goes, started on the first visit; stop the page while nothing is found."""
    job = _last_job()
    is_empty = not engine.attributes()
    if job is None and is_empty:
        job = start_indexing(user)
    if is_empty:
        _show_empty(job, user)
        st.stop()
    if job is None:
        return
    if not job.finished:
        st.caption("Documents are being indexed. What is indexed already can be searched.")
        show_job(job, may_cancel=_may_cancel(job, user))
    elif job.state in {JobState.FAILED, JobState.CANCELLED}:
        show_job(job, may_cancel=False)
        st.caption("The index is incomplete: only what was indexed before is found.")
        _offer_again(job)
    else:
        _show_skipped(job)


def start_indexing(user: User) -> Job:
    """Return the job that indexes the default corpus, just submitted."""
    from lib.search.indexing import index_corpus

    folder = str(index_folder(settings()))
    resources.identity().record(user.username, "started indexing", "AWS documentation")
    return resources.jobs().submit(
        index_corpus, title=TITLE, owner=user.username, folder=folder, source=DEFAULT_SOURCE
    )


def show_damaged(error: IndexDamaged, user: User) -> None:
    """Draw that the index cannot be read, and how it is built anew."""
    with st.container(border=True):
        st.markdown("**The search index is damaged**")
        st.caption(escape(str(error)))
        job = _last_job()
        if job is not None and not job.finished:
            show_job(job, may_cancel=_may_cancel(job, user))
        elif user.role.allows(Role.ADMIN):
            if st.button("Build it anew", icon=":material/build:", key="search_rebuild"):
                start_indexing(user)
                st.rerun()
        else:
            st.caption("Ask an administrator of this Sightline to build it anew.")


def _show_empty(job: Job | None, user: User) -> None:
    with st.container(border=True):
        st.markdown("**No documents yet**")
        st.caption(
            "On the first visit Sightline indexes what the installed AWS SDK says about every "
            "service and operation. It takes about a minute; the first documents are found "
            "after seconds."
        )
        if job is None:
            return
        show_job(job, may_cancel=_may_cancel(job, user))
        if job.finished:
            _offer_again(job)
        else:
            st.fragment(_wait_for_documents, run_every=LOOK_SECONDS)()


def _wait_for_documents() -> None:
    if resources.search().attributes():
        st.rerun()


def _offer_again(job: Job) -> None:
    if st.button("Start again", icon=":material/replay:", key="search_index_again"):
        resources.jobs().retry(job.id)
        st.rerun()


def _show_skipped(job: Job) -> None:
    skipped = (job.result or {}).get("skipped", 0)
    if skipped:
        with st.expander(f"{skipped:,} files could not be read", icon=":material/warning:"):
            for reason in (job.result or {}).get("reasons", ()):
                st.text(f"{reason['name']}: {reason['reason']}")


def _may_cancel(job: Job, user: User) -> bool:
    return job.owner == user.username or user.role.allows(Role.ADMIN)


def _last_job() -> Job | None:
    recent = resources.jobs().recent(limit=JOBS_LOOKED_AT)
    return next((job for job in recent if job.title == TITLE), None)
