"""The runs of this installation: made now, uploaded, fetched from AWS, recorded elsewhere."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lib.aws import AwsError
from lib.identity import Role, User
from lib.jobs import JobState
from lib.settings import settings
from lib.training.model import TrainingError
from lib.training.runs import delete_run, keep_upload, runs
from lib.training.sagemaker_jobs import (
    INTERVALS,
    ProfiledJob,
    TrainingJobs,
    fetch_profile,
    profiler_configuration,
    start_fetch,
    switch_profiler,
)
from lib.training.workload import start_workload, train_both
from lib.ui import resources
from lib.ui.guard import acting_user
from lib.ui.job_view import last_job, show_job
from lib.ui.markdown import escape
from lib.ui.training_compare import BASE, CANDIDATE
from lib.ui.training_view import RUN

KEPT, DELETED = "kept a profile", "deleted a profile"
REFUSED = "training.refused"
SNIPPET = """from lib.training.recorder import Recorder

with Recorder("runs/first") as recorder:
    for batch in recorder.steps(loader):
        ..."""


def show_runs(user: User) -> None:
    """Draw the ways to a run, and the runs that are kept."""
    if refused := st.session_state.pop(REFUSED, ""):
        st.error(escape(refused), icon=":material/error:")
    may = user.role.allows(Role.ANALYST)
    _show_workload(may=may)
    _show_upload(may=may)
    _show_recording()
    _show_aws(user)
    _show_kept(may=may)


def _show_workload(*, may: bool) -> None:
    st.markdown("**Run one now**: a tiny GPT, with a starved and with a good loader, 30 seconds")
    job = last_job(train_both)
    if job is not None and not job.finished:
        show_job(job, may_cancel=may)
        return
    if job is not None and job.state is JobState.FAILED:
        show_job(job, may_cancel=may)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Train now", type="primary", icon=":material/play_arrow:", key="training_now",
            disabled=not may, on_click=_start,
        )  # fmt: skip
        made = (job.result or {}).get("runs") if job is not None else None
        if made:
            st.button(
                "Compare the two", icon=":material/compare_arrows:", key="training_look",
                on_click=_look, args=(made["slow"], made["fast"]),
            )  # fmt: skip


def _start() -> None:
    user = acting_user(Role.ANALYST)
    start_workload(resources.jobs(), user.username)


def _look(slow: str, fast: str) -> None:
    st.session_state["training_view"] = "Compare"
    st.session_state[BASE] = slow
    st.session_state[CANDIDATE] = fast


def _show_upload(*, may: bool) -> None:
    st.markdown("**Bring one in**")
    file = st.file_uploader(
        "profiler-output of SageMaker Debugger as a zip, or a PyTorch trace (.json, .json.gz)",
        type=["zip", "json", "gz"], key="training_upload", disabled=not may,
        max_upload_size=settings().max_upload_mb,
    )  # fmt: skip
    if file is not None:
        st.button(
            f"Keep {escape(file.name)}", icon=":material/save:", key="training_keep",
            on_click=_keep, args=(file.name, file.getvalue()),
        )  # fmt: skip


def _keep(name: str, content: bytes) -> None:
    user = acting_user(Role.ANALYST)
    try:
        run = keep_upload(settings(), name, content)
    except TrainingError as error:
        st.session_state[REFUSED] = str(error)
        return
    resources.identity().record(user.username, KEPT, name, f"{len(content):,} bytes")
    st.session_state[RUN] = run.id
    st.session_state["training_view"] = "Verdict"


def _show_recording() -> None:
    with st.expander("Record your own training", key="training_recording"):
        st.caption(
            "Two lines in any PyTorch loop. It samples the machine every half second, writes the "
            "format of SageMaker Debugger, and takes under 1 % of a core."
        )
        st.code(SNIPPET, language="python")


def _show_aws(user: User) -> None:
    with st.expander("Training jobs on AWS", key="training_aws"):
        if not resources.aws().configured:
            st.caption("AWS is not connected: set a region and credentials.")
        else:
            _show_jobs(user)
        st.caption("A new job is profiled where its request holds:")
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            output = st.text_input(
                "Output", "s3://my-bucket/profiler", key="training_output", width=320
            )
            interval = st.selectbox(
                "Every, ms", INTERVALS, INTERVALS.index(500), key="training_interval", width=120
            )
        st.code(profiler_configuration(output, interval), language="json")


def _show_jobs(user: User) -> None:
    service = TrainingJobs(resources.aws())
    try:
        found = service.jobs()
        if not found:
            st.caption("No training job in this region yet.")
            return
        name = st.selectbox("Job", [one.name for one in found], key="training_job", width=420)
        detail = service.describe(name)
    except AwsError as error:
        st.warning(escape(error.sentence), icon=":material/warning:")
        return
    st.markdown(
        escape(
            f"{detail.status}, {detail.instances} × {detail.instance}; profiler "
            f"{detail.profiling or 'not said'}."
        )
    )
    if detail.rules:
        st.dataframe(
            pd.DataFrame(detail.rules, columns=["Rule", "Status", "Details"]), hide_index=True,
            alt="Rules of the job",
        )  # fmt: skip
    _show_job_actions(detail, user)


def _show_job_actions(detail: ProfiledJob, user: User) -> None:
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Copy its profile", icon=":material/cloud_download:", key="training_fetch",
            disabled=not (detail.output and user.role.allows(Role.ANALYST)),
            on_click=_fetch, args=(detail.output, detail.name),
        )  # fmt: skip
        on = detail.profiling == "Enabled"
        st.button(
            "Switch the profiler off" if on else "Switch the profiler on",
            icon=":material/toggle_off:" if on else ":material/toggle_on:", key="training_switch",
            disabled=detail.status != "InProgress" or not user.role.allows(Role.ADMIN),
            on_click=_switch, args=(detail.name, not on),
        )  # fmt: skip
    job = last_job(fetch_profile)
    if job is not None:
        show_job(job, may_cancel=user.role.allows(Role.ANALYST))


def _fetch(uri: str, name: str) -> None:
    user = acting_user(Role.ANALYST)
    start_fetch(resources.jobs(), user.username, uri, name)


def _switch(name: str, on: bool) -> None:  # noqa: FBT001 - the argument of a button
    user = acting_user(Role.ADMIN)
    try:
        switch_profiler(resources.aws(), resources.identity(), user, name, on=on)
    except AwsError as error:
        st.session_state[REFUSED] = error.sentence


def _show_kept(*, may: bool) -> None:
    own = [one for one in runs(settings()) if one.is_kept]
    if not own:
        return
    st.markdown("**Kept runs**")
    for run in own:
        with st.container(
            horizontal=True, vertical_alignment="center", border=True, key=f"training_{run.id}"
        ):
            st.text(run.title, width="stretch")
            st.button(
                "Delete", icon=":material/delete:", key=f"training_delete_{run.id}",
                disabled=not may, on_click=_delete, args=(run.id,),
            )  # fmt: skip


def _delete(run_id: str) -> None:
    user = acting_user(Role.ANALYST)
    delete_run(settings(), run_id)
    resources.identity().record(user.username, DELETED, run_id, "")
