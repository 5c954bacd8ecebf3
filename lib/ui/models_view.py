"""What the Models view draws: the models on this machine, and the ways to bring one in."""

from __future__ import annotations

import streamlit as st

from lib.identity import Role, User
from lib.jobs import JobState
from lib.settings import settings
from lib.summarize.deployment import DeploymentError
from lib.summarize.model_folder import ModelError
from lib.summarize.models import (
    FolderSource,
    HubSource,
    InstalledModel,
    S3Source,
    Source,
    convert_model,
    delete,
    import_model,
    installed,
    start_conversion,
    start_import,
    store_upload,
)
from lib.ui import resources
from lib.ui.deployment_view import DEFAULT_MODEL, show_sagemaker
from lib.ui.guard import acting_user
from lib.ui.job_view import last_job, show_job
from lib.ui.markdown import escape

WAYS = ("Upload", "Folder", "S3", "Hugging Face hub")


def show_models(user: User) -> None:
    """Draw the models of this machine beside those on SageMaker."""
    here, there = st.columns(2, gap="large")
    with here:
        st.header("On this machine", anchor=False)
        _show_installed(user)
        _bring_in(user)
    with there:
        st.header("On SageMaker", anchor=False)
        show_sagemaker(user)


def _show_installed(user: User) -> None:
    found = installed(settings())
    if not found:
        with st.container(border=True):
            st.markdown("**No model yet**")
            st.caption(
                "Key sentences need none. A sequence-to-sequence model (DistilBART, BART, PEGASUS, "
                "T5) writes summaries in words of its own: bring one in below."
            )
    for model in found:
        with st.container(border=True):
            _show_model(user, model)
    job = last_job(import_model, convert_model)
    if job is not None and job.state is not JobState.DONE:
        st.caption(escape(job.title))
        show_job(job, may_cancel=job.owner == user.username or user.role.allows(Role.ADMIN))


def _show_model(user: User, model: InstalledModel) -> None:
    st.markdown(f"**{escape(model.title)}**")
    st.caption(
        f"{escape(model.architecture)}, {model.parameters / 1e6:,.1f} million parameters, "
        f"{model.size_bytes / (1 << 20):,.1f} MB, from {escape(model.origin)}"
    )
    with st.container(horizontal=True):
        if model.converted:
            st.badge("fast engine ready", icon=":material/bolt:", color="gray")
        elif model.convertible:
            st.button(
                "Convert for the fast engine",
                icon=":material/bolt:",
                disabled=not user.role.allows(Role.ANALYST),
                help="Weights of eight bits: a third of the time and memory. Compare both on your "
                "own text; the quality is not a given.",
                key=f"models_convert_{model.id}",
                on_click=_convert,
                args=(model,),
            )
        if user.role.allows(Role.ADMIN):
            st.button(
                "Delete",
                icon=":material/delete:",
                key=f"models_delete_{model.id}",
                on_click=_delete,
                args=(model,),
            )


def _convert(model: InstalledModel) -> None:
    user = acting_user(Role.ANALYST)
    start_conversion(resources.jobs(), resources.identity(), user, model)


def _delete(model: InstalledModel) -> None:
    user = acting_user(Role.ADMIN)
    resources.engines().forget(model.id)
    delete(settings(), resources.identity(), user, model.id)


def _bring_in(user: User) -> None:
    if not user.role.allows(Role.ADMIN):
        st.caption("Administrators bring models in.")
        return
    way = st.radio("Bring a model in from", WAYS, horizontal=True, key="models_way")
    draw = {"Upload": _upload, "Folder": _folder, "S3": _s3, "Hugging Face hub": _hub}[way]
    try:
        source = draw()
        if source is not None:
            start_import(resources.jobs(), resources.identity(), user, source)
            st.rerun()
    except (ModelError, DeploymentError) as error:
        st.error(escape(str(error)), icon=":material/error:")


def _upload() -> Source | None:
    limit = settings().max_upload_mb
    file = st.file_uploader(
        f"model.tar.gz, up to {limit:,} MB",
        type=["gz"],
        max_upload_size=limit,
        key="models_file",
        help="The files of a saved model at the root of the archive: config.json, tokenizer, "
        "model.safetensors. Larger ones come in from a folder or S3, or after an operator has "
        "raised SIGHTLINE_MAX_UPLOAD_MB.",
    )
    clicked = st.button("Import", disabled=file is None, key="models_import_upload")
    if not clicked or file is None:
        return None
    return store_upload(settings(), file.name, file)


def _folder() -> Source | None:
    path = st.text_input(
        "Folder",
        placeholder="/srv/models/distilbart-cnn-12-6",
        key="models_folder",
        help="A folder of the server that SIGHTLINE_MODEL_ROOTS opens for models.",
    )
    clicked = st.button("Import", disabled=not path, key="models_import_folder")
    return FolderSource(path.strip()) if clicked else None


def _s3() -> Source | None:
    uri = st.text_input(
        "Archive on S3", placeholder="s3://my-bucket/models/model.tar.gz", key="models_s3"
    )
    clicked = st.button("Import", disabled=not uri, key="models_import_s3")
    return S3Source(uri.strip()) if clicked else None


def _hub() -> Source | None:
    model_id = st.text_input(
        "Hugging Face id",
        value=DEFAULT_MODEL,
        key="models_hub",
        help="Downloads the weights from huggingface.co; no code of the model is run.",
    )
    clicked = st.button("Import", disabled=not model_id, key="models_import_hub")
    return HubSource(model_id.strip()) if clicked else None
