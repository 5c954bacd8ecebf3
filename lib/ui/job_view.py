"""A background job as a page shows it: step, progress, cancel, and how it ended."""

from __future__ import annotations

import streamlit as st

from lib.jobs import Job, JobFunction, JobState
from lib.ui import resources
from lib.ui.markdown import escape
from lib.ui.sign_in import live_user

POLL_SECONDS = 1.0
JOBS_LOOKED_AT = 50


def last_job(*functions: JobFunction[...]) -> Job | None:
    """Return the newest job that runs one of these functions, among the latest of all."""
    names = {function.name for function in functions}
    recent = resources.jobs().recent(limit=JOBS_LOOKED_AT)
    return next((job for job in recent if job.function in names), None)


def show_job(job: Job, *, may_cancel: bool) -> None:
    """Draw the job's state; while it runs, look again every second and then rerun the page."""
    if job.finished:
        _show_end(job)
    else:
        st.fragment(_follow, run_every=POLL_SECONDS)(job.id, may_cancel=may_cancel)


def _follow(job_id: str, *, may_cancel: bool) -> None:
    job = resources.jobs().find(job_id)
    if job is None or job.finished:
        st.rerun()
    waiting = "Waiting for a worker" if job.state is JobState.QUEUED else job.step or "Starting"
    st.progress(job.progress, text=escape(waiting))
    if job.cancel_requested:
        st.caption("Cancelling …")
    elif may_cancel and st.button("Cancel", key=f"cancel_{job_id}", icon=":material/close:"):
        if live_user(resources.identity()) is None:
            st.rerun()  # as a whole, so that the guard sees it
        resources.jobs().cancel(job_id)
        st.rerun(scope="fragment")


def _show_end(job: Job) -> None:
    if job.state is JobState.FAILED:
        st.error(escape(job.error), icon=":material/error:")
    elif job.state is JobState.CANCELLED:
        st.info("Cancelled before it ended.", icon=":material/info:")
