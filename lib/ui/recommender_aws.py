"""Inference Recommender on AWS: jobs of the account, a job in detail, and the way to a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from lib.aws import AwsError
from lib.identity import Role, User
from lib.jobs import JobState
from lib.prices import Price, prices
from lib.recommender.aws_job import (
    JobPlanError,
    JobType,
    RecommendationJob,
    Traffic,
    cost_words,
    model_key,
)
from lib.recommender.inference_recommender import (
    InferenceRecommender,
    JobDetail,
    JobSummary,
    KnownModel,
    recommend,
    start_job,
    stop_job,
)
from lib.recommender.kept import keep_table
from lib.recommender.payload import PayloadError, samples_of_lines, samples_of_texts
from lib.settings import settings
from lib.ui import resources
from lib.ui.guard import acting_user
from lib.ui.job_view import last_job, show_job
from lib.ui.markdown import escape
from lib.ui.recommender_rows import TABLES
from lib.ui.tables import show_table

KEY = "recommender_aws_"
INSTANCES = (  # of the post
    "ml.t2.xlarge",
    "ml.c5.xlarge",
    "ml.m5.xlarge",
    "ml.m5d.xlarge",
    "ml.r5.xlarge",
    "ml.inf1.xlarge",
)
REFUSED = "recommender.aws.refused"


def show_aws(user: User) -> None:
    """Draw the jobs of the account, the chosen one, and for administrators a new one."""
    if not resources.aws().configured:
        with st.container(border=True):
            st.markdown("**AWS is not connected**")
            st.caption(
                "With a region and credentials, Inference Recommender tests a model on instance "
                "types of your choice from here, and its jobs are listed, stopped and compared. "
                "The plan of a job and its cost can be looked at without."
            )
    else:
        _show_jobs(user)
    if refused := st.session_state.pop(REFUSED, ""):
        st.error(escape(refused), icon=":material/error:")
    job = last_job(recommend)
    if job is not None:
        st.caption(escape(job.title))
        show_job(job, may_cancel=user.role.allows(Role.ADMIN))
        if job.state is JobState.DONE:
            st.caption("It runs on AWS now: follow it in the list of jobs.")
    if user.role.allows(Role.ADMIN):
        _new_job()
    else:
        st.caption("Administrators start jobs: they cost money.")


@st.cache_data(ttl=30, max_entries=4, show_spinner="Asking AWS for jobs …")
def _jobs(region: str) -> tuple[JobSummary, ...]:
    return InferenceRecommender(resources.aws(), region).jobs()


@st.cache_data(ttl=30, max_entries=32, show_spinner="Asking AWS for the job …")
def _detail(region: str, name: str) -> tuple[JobDetail, tuple[tuple[str, str, str], ...]]:
    service = InferenceRecommender(resources.aws(), region)
    return service.describe(name), service.steps(name)


@st.cache_data(ttl=3_600, max_entries=8, show_spinner="Asking AWS which models it knows …")
def _known_models(region: str, domain: str, framework: str) -> tuple[KnownModel, ...]:
    service = InferenceRecommender(resources.aws(), region)
    return service.known_models({"Domain": domain, "Framework": framework})


def _show_jobs(user: User) -> None:
    region = resources.aws().region or ""
    try:
        found = _jobs(region)
    except AwsError as error:
        st.warning(escape(error.sentence), icon=":material/warning:")
        return
    if not found:
        st.caption(f"No job of Inference Recommender in {escape(region)} yet.")
        return
    show_table(
        pd.DataFrame(
            [(one.name, one.kind, one.status, one.created, one.reason) for one in found],
            columns=["name", "kind", "status", "created", "reason"],
        ),
        columns={
            "name": st.column_config.TextColumn("Job", width="medium"),
            "kind": st.column_config.TextColumn("Type"),
            "status": st.column_config.TextColumn("Status"),
            "created": st.column_config.DatetimeColumn("Created", format="YYYY-MM-DD HH:mm"),
            "reason": st.column_config.TextColumn("Why it failed", width="medium"),
        },
        name="jobs",
        alt="Jobs of Inference Recommender",
    )
    chosen = st.selectbox("Job", [one.name for one in found], key=f"{KEY}job", width=480)
    try:
        detail, steps = _detail(region, chosen)
    except AwsError as error:
        st.warning(escape(error.sentence), icon=":material/warning:")
        return
    _show_detail(detail, steps, user)


def _show_detail(detail: JobDetail, steps: Sequence[tuple[str, str, str]], user: User) -> None:
    for note in detail.notes:
        st.caption(escape(note))
    failed = [f"{name}: {reason}" for name, _, reason in steps if reason]
    for one in failed:
        st.caption(escape(one))
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Keep and compare", icon=":material/save:", key=f"{KEY}keep",
            disabled=not (detail.rows and user.role.allows(Role.ANALYST)),
            on_click=_keep, args=(detail,),
        )  # fmt: skip
        st.button(
            "Stop", icon=":material/stop_circle:", key=f"{KEY}stop",
            disabled=not (detail.is_under_way and user.role.allows(Role.ADMIN)),
            on_click=_stop, args=(detail.name,),
        )  # fmt: skip
    if detail.ids and not detail.is_under_way:
        _show_scaling(detail)


def _show_scaling(detail: JobDetail) -> None:
    with st.expander("Scaling policy", key=f"{KEY}scaling"):
        names = [row.configuration for row in detail.rows]
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            at = st.selectbox(
                "For", range(len(names)), key=f"{KEY}row", format_func=names.__getitem__, width=200
            )
            least = st.number_input("Least a minute", 1, 10**7, 100, key=f"{KEY}least", width=150)
            most = st.number_input("Most a minute", 1, 10**7, 1_000, key=f"{KEY}most", width=150)
            cpu = st.number_input("CPU a core, percent", 1, 100, 50, key=f"{KEY}cpu", width=170)
        if not st.button("Ask AWS", key=f"{KEY}ask", icon=":material/cloud:"):
            return
        try:
            found = InferenceRecommender(resources.aws()).scaling(
                detail.name, detail.ids[at], (int(least), int(most)), int(cpu)
            )
        except AwsError as error:
            st.warning(escape(error.sentence), icon=":material/warning:")
            return
        aims = ", ".join(f"{name} {value:g}" for name, value in found.targets) or "none"
        st.markdown(
            escape(
                f"{found.least} to {found.most} instances; target: {aims}; each bears "
                f"{found.invocations} invocations a minute."
            )
        )


def _keep(detail: JobDetail) -> None:
    user = acting_user(Role.ANALYST)
    kept = keep_table(settings(), detail.name, user.username, detail.rows, notes=detail.notes)
    st.session_state[TABLES] = [kept.id]


def _stop(name: str) -> None:
    user = acting_user(Role.ADMIN)
    try:
        stop_job(resources.aws(), resources.identity(), user, name)
    except AwsError as error:
        st.session_state[REFUSED] = error.sentence
    _jobs.clear()
    _detail.clear()


def _new_job() -> None:
    st.markdown("**A new job**")
    known = prices(settings())
    try:
        samples = _enter_samples()
        wanted, model = _enter_job(known)
    except (JobPlanError, PayloadError) as error:
        st.warning(escape(str(error)), icon=":material/warning:")
        return
    if wanted is None:
        st.caption("Give role, bucket, model and image: then the cost and the start are shown.")
        return
    st.markdown(escape(cost_words(wanted, known)))
    st.caption(
        escape(
            f"The payload goes to {wanted.payload_uri}; a model package group and version named "
            f"{wanted.name} are made. Permissions: s3:PutObject, "
            "sagemaker:CreateModelPackageGroup, "
            "sagemaker:CreateModelPackage, sagemaker:CreateInferenceRecommendationsJob, "
            "iam:PassRole."
        )
    )
    connected = resources.aws().configured
    st.button(
        "Start on AWS", type="primary", icon=":material/cloud_upload:", key=f"{KEY}start",
        disabled=not connected, help=None if connected else "AWS is not connected.",
        on_click=_start, args=(wanted, samples, model),
    )  # fmt: skip


def _start(wanted: RecommendationJob, samples: tuple[bytes, ...], model: bytes) -> None:
    user = acting_user(Role.ADMIN)
    try:
        start_job(
            resources.jobs(), resources.identity(), resources.aws(), user, wanted, samples, model
        )
    except AwsError as error:
        st.session_state[REFUSED] = error.sentence
    _jobs.clear()


def _enter_samples() -> tuple[bytes, ...]:
    with st.expander("1 · Payload samples", key=f"{KEY}payload", expanded=True):
        kind = st.radio(
            "Each line is", ["a text", "a request as JSON"], key=f"{KEY}kind", horizontal=True
        )
        text = st.text_area(
            "Samples, one a line", "The board confirmed its forecast for the year.",
            key=f"{KEY}samples", height=110,
        )  # fmt: skip
        if kind == "a request as JSON":
            found = samples_of_lines(text)
        else:
            more = st.text_input(
                "Parameters", key=f"{KEY}parameters", placeholder='{"max_length": 60}'
            )
            found = samples_of_texts(text.splitlines(), more)
        first = escape(found[0].decode()[:120])
        st.caption(f"Samples: {len(found):,}; the first: {first}")
    return found


def _enter_job(known: Mapping[str, Price]) -> tuple[RecommendationJob | None, bytes]:
    """Draw model and job, and return them with the model's archive, where it is uploaded."""
    with st.expander("2 · Model", key=f"{KEY}model", expanded=True):
        nearest = _enter_nearest()
        model = st.text_input("Model", key=f"{KEY}uri", placeholder="s3://bucket/model.tar.gz")
        archive = st.file_uploader(
            "or its archive, which is uploaded to the bucket below", type=["gz"],
            key=f"{KEY}archive", max_upload_size=settings().max_upload_mb,
        )  # fmt: skip
        image = st.text_input(
            "Container image", key=f"{KEY}image",
            placeholder="763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-"
            "inference:2.6.0-transformers4.51.3-cpu-py312-ubuntu22.04",
        )  # fmt: skip
    with st.expander("3 · Job", key=f"{KEY}where", expanded=True):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            name = st.text_input("Name", "summarization", key=f"{KEY}name", width=260)
            bucket = st.text_input("Bucket", key=f"{KEY}bucket", width=260)
            role = st.text_input(
                "Execution role", key=f"{KEY}role", width=420,
                placeholder="arn:aws:iam::123456789012:role/sagemaker",
            )  # fmt: skip
        instances = st.multiselect(
            "Instance types", sorted({*known, *INSTANCES}), list(INSTANCES),
            key=f"{KEY}instances", accept_new_options=True,
        )  # fmt: skip
        kind = st.radio(
            "Type", list(JobType), key=f"{KEY}type", horizontal=True,
            captions=["recommended load, 45 minutes at most", "your own load and limits"],
        )  # fmt: skip
        advanced: dict[str, Any] = _enter_advanced() if kind == JobType.ADVANCED else {}
    content = archive.getvalue() if archive is not None else b""
    if content:
        model = f"s3://{bucket.strip()}/{model_key(name.strip())}"
    if not all(one.strip() for one in (name, bucket, role, model, image)):
        return None, content
    job = RecommendationJob(
        name=name.strip(), role_arn=role.strip(), bucket=bucket.strip(), model_uri=model.strip(),
        image=image.strip(), domain=nearest.domain, task=nearest.task,
        framework=nearest.framework, framework_version=nearest.framework_version,
        nearest_model=nearest.model, instances=tuple(instances),
        kind=kind or JobType.DEFAULT, **advanced,
    )  # fmt: skip
    return job, content


def _enter_nearest() -> KnownModel:
    """Draw the choice of the nearest model that the service knows, asked of AWS or typed."""
    domains = ["NATURAL_LANGUAGE_PROCESSING", "COMPUTER_VISION", "MACHINE_LEARNING"]
    frameworks = ["PYTORCH", "TENSORFLOW", "XGBOOST", "SAGEMAKER-SCIKIT-LEARN"]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        domain = st.selectbox("Domain", domains, key=f"{KEY}domain", width=300)
        framework = st.selectbox("Framework", frameworks, key=f"{KEY}framework", width=240)
    if resources.aws().configured:
        try:
            found = _known_models(resources.aws().region or "", domain, framework)
        except AwsError as error:
            st.warning(escape(error.sentence), icon=":material/warning:")
            found = ()
        if found:
            at = st.selectbox(
                "Nearest model", range(len(found)), key=f"{KEY}nearest", width=560,
                format_func=lambda one: f"{found[one].model} · {found[one].task} · "
                f"{found[one].framework} {found[one].framework_version}",
            )  # fmt: skip
            return found[at]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        task = st.text_input("Task", "FILL_MASK", key=f"{KEY}task", width=240)
        model = st.text_input("Nearest model", "bert-base-cased", key=f"{KEY}typed", width=240)
        version = st.text_input("Framework version", "1.6.0", key=f"{KEY}version", width=160)
    return KnownModel(domain, framework, task.strip(), model.strip(), version.strip())


def _enter_advanced() -> dict[str, Any]:
    """Draw the load and the limits of an Advanced job, and return them as its fields."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        pattern = st.selectbox("Traffic", ["PHASES", "STAIRS"], key=f"{KEY}traffic", width=140)
        users = st.number_input("Users", 1, 3, 1, key=f"{KEY}users", width=110)
        last = st.number_input("Seconds a step", 120, 3_600, 120, key=f"{KEY}step", width=150)
        if pattern == "PHASES":
            spawn, steps = st.number_input("New users a minute", 0, 3, 1, key=f"{KEY}spawn",
                                           width=170), 3  # fmt: skip
        else:
            spawn, steps = 1, st.number_input("Steps", 1, 10, 3, key=f"{KEY}steps", width=110)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        seconds = st.number_input(
            "Lasts, seconds", 600, 18_000, 7_200, key=f"{KEY}lasts", width=150
        )
        tests = st.number_input("Tests", 1, 10, 10, key=f"{KEY}tests", width=110)
        parallel = st.number_input("At once", 1, 10, 3, key=f"{KEY}parallel", width=110)
        percentile = st.selectbox("Stop at", ["P95", "P99"], key=f"{KEY}percentile", width=110)
        latency = st.number_input("above, ms", 1, 60_000, 500, key=f"{KEY}latency", width=130)
        flat = st.checkbox("Stop when the rate is flat", value=True, key=f"{KEY}flat")
    given = st.text_input(
        "Environment to try", key=f"{KEY}ranges", placeholder="OMP_NUM_THREADS=1,2,4; WORKERS=1,2"
    )
    return {
        "traffic": Traffic(str(pattern), int(last), int(users), int(spawn), int(steps)),
        "seconds": int(seconds),
        "most_tests": int(tests),
        "most_parallel": int(parallel),
        "percentile": percentile,
        "latency_ms": int(latency),
        "stop_when_flat": flat,
        "ranges": _ranges(given),
    }


def _ranges(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return variables and their values; raise `JobPlanError` where a part is none."""
    found = []
    for part in text.split(";"):
        if not part.strip():
            continue
        name, equals, values = part.partition("=")
        some = tuple(one.strip() for one in values.split(",") if one.strip())
        if not equals or not some:
            raise JobPlanError(f"{part.strip()!r} is no variable: write NAME=1,2 and so on.")
        found.append((name.strip(), some))
    return tuple(found)
