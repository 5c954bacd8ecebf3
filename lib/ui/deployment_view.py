"""What the Models view draws of SageMaker: endpoints, and a deployment told before it starts."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lib.identity import Role, User
from lib.jobs import JobState
from lib.prices import prices
from lib.settings import settings
from lib.summarize.deployment import (
    Deployment,
    DeploymentError,
    HubModel,
    LocalModel,
    Plan,
    Source,
    StoredModel,
    plan,
    runs_container,
)
from lib.summarize.models import installed, models_folder
from lib.summarize.sagemaker_hosting import deploy, remove, start_deployment, start_removal
from lib.ui import resources
from lib.ui.guard import acting_user
from lib.ui.job_view import last_job, show_job
from lib.ui.markdown import escape

WAYS = ("Hugging Face hub", "Archive on S3", "Model on this machine")
DEFAULT_MODEL = "sshleifer/distilbart-cnn-12-6"
DEFAULT_INSTANCE = "ml.m5.xlarge"


def show_sagemaker(user: User) -> None:
    """Draw the endpoints in service, the last job, and for administrators a new deployment."""
    region = resources.aws().region
    if not resources.aws().configured or region is None:
        with st.container(border=True):
            st.markdown("**AWS is not connected**")
            st.caption(
                "With a region and credentials, models can be deployed to SageMaker from here, and "
                "the endpoints of the account can be chosen as engines."
            )
    else:
        _show_endpoints(user, region)
    job = last_job(deploy, remove)
    if job is not None:
        st.caption(escape(job.title))
        show_job(job, may_cancel=user.role.allows(Role.ADMIN))
        if job.state is JobState.DONE and job.function == deploy.name:
            st.text(f"Test summary: {(job.result or {}).get('summary', '')}")
    if user.role.allows(Role.ADMIN):
        _deploy(region or "us-east-1")
    else:
        st.caption("Administrators deploy models: endpoints cost money.")


def _show_endpoints(user: User, region: str) -> None:
    endpoints, unknown = resources.endpoints()
    if unknown:
        st.warning(escape(unknown), icon=":material/warning:")
        return
    if not endpoints:
        st.caption(f"No endpoint is in service in {region}.")
    for engine in endpoints:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.text(engine.name, width="stretch")
            name = engine.id.partition(":")[2]
            if user.role.allows(Role.ADMIN):
                st.button(
                    "Delete",
                    icon=":material/delete:",
                    key=f"deployment_delete_{name}",
                    help="Deletes endpoint, configuration and model, if they were deployed here.",
                    on_click=_remove,
                    args=(name, region),
                )


def _remove(name: str, region: str) -> None:
    user = acting_user(Role.ADMIN)
    start_removal(resources.jobs(), resources.identity(), user, name, region)
    resources.endpoints.clear()


def _deploy(region: str) -> None:
    st.markdown("**Deploy a model**")
    try:
        wanted = _choose_deployment(region)
    except DeploymentError as error:
        st.error(escape(str(error)), icon=":material/error:")
        return
    if wanted is None:
        st.caption("Give the execution role: then what will be called and what it costs is shown.")
        return
    _show_plan(plan(wanted, prices(settings())))
    connected = resources.aws().configured
    st.button(
        "Deploy",
        type="primary",
        icon=":material/cloud_upload:",
        disabled=not connected,
        help=None if connected else "AWS is not connected.",
        key="deployment_start",
        on_click=_start,
        args=(wanted,),
    )


def _start(wanted: Deployment) -> None:
    user = acting_user(Role.ADMIN)
    start_deployment(resources.jobs(), resources.identity(), user, wanted)
    resources.endpoints.clear()


def _choose_deployment(region: str) -> Deployment | None:
    """Draw the form and return the deployment, None while the role is missing."""
    name = st.text_input("Name", value="sightline-distilbart", key="deployment_name")
    way = st.radio("The model comes from", WAYS, horizontal=True, key="deployment_way")
    draw = {WAYS[0]: _from_hub, WAYS[1]: _from_s3, WAYS[2]: _from_here}[way]
    source = draw()
    role = st.text_input(
        "Execution role",
        placeholder="arn:aws:iam::123456789012:role/sagemaker",
        key="deployment_role",
        help="The role that SageMaker takes on to read the model and write its log.",
    )
    known = [name for name in prices(settings()) if runs_container(name)]
    instance_type = st.selectbox(
        "Instance",
        known,
        index=known.index(DEFAULT_INSTANCE),
        key="deployment_instance",
        accept_new_options=True,
    )
    count = st.number_input("Instances", min_value=1, value=1, key="deployment_count")
    if not role.strip() or source is None:
        return None
    return Deployment(name.strip(), source, role.strip(), region, instance_type, int(count))


def _from_hub() -> Source | None:
    model_id = st.text_input("Hugging Face id", value=DEFAULT_MODEL, key="deployment_hub")
    return HubModel(model_id.strip())


def _from_s3() -> Source | None:
    uri = st.text_input("Archive", placeholder="s3://bucket/model.tar.gz", key="deployment_s3")
    return StoredModel(uri.strip()) if uri else None


def _from_here() -> Source | None:
    found = {model.id: model.title for model in installed(settings())}
    if not found:
        st.caption("There is no model on this machine: bring one in first.")
        return None
    model_id = st.selectbox(
        "Model", list(found), format_func=lambda each: found[each], key="deployment_model"
    )
    bucket = st.text_input("Bucket to upload to", key="deployment_bucket")
    if not bucket:
        return None
    return LocalModel(str(models_folder(settings()) / model_id / "model"), bucket.strip())


def _show_plan(planned: Plan) -> None:
    st.warning(escape(planned.cost), icon=":material/payments:")
    with st.expander("What will be called, and with which permissions"):
        st.dataframe(
            pd.DataFrame(
                [
                    (
                        f"{call.service} {call.operation}",
                        call.purpose,
                        call.permission,
                        "only to undo" if call.undoing else "",
                    )
                    for call in planned.calls
                ],
                columns=["call", "purpose", "permission", "when"],
            ),
            hide_index=True,
            column_config={
                "call": st.column_config.TextColumn("Call", pinned=True),
                "purpose": st.column_config.TextColumn("To"),
                "permission": st.column_config.TextColumn("Permission"),
                "when": st.column_config.TextColumn("When"),
            },
            key="deployment_calls",
            alt="The calls to AWS that the deployment makes",
        )
        st.caption("Policy for who deploys:")
        st.code(planned.policy, language="json")
        st.caption(f"The execution role needs {escape(', '.join(planned.role_permissions))}.")
