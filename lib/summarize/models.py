"""The models on this machine: brought in by jobs, stored by their content, listed and deleted.

A model is `models/<hash>/` in the data folder: its files in `model/`, what is known of it in
`about.json`, and, once converted for the fast engine, `int8/`. The hash is that of the files, so
the same model is never stored twice, and what was converted from it stays right.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from lib.aws import AwsError, aws_errors, open_aws
from lib.identity import Identity, Role, User, require
from lib.jobs import Job, JobError, Jobs, Report, job
from lib.settings import Settings, settings
from lib.summarize import packing
from lib.summarize.abstractive import TorchModel
from lib.summarize.ctranslate2_model import CONVERTED_TYPES, WEIGHTS, CTranslate2Model, convert
from lib.summarize.deployment import DeploymentError, HubModel, StoredModel
from lib.summarize.model import Generator
from lib.summarize.model_folder import (
    CONFIG,
    ModelError,
    architecture_of,
    is_kept,
    is_pickled,
    pickled,
    read_json,
    read_model_folder,
)

CHUNK_BYTES = 4 << 20
ABANDONED_S = 86_400.0  # what a killed import left behind is removed after a day
HUB_TIMEOUT_S = 10.0
FETCHED = 0.8  # of an import's progress, when all files are here
IMPORTED, CONVERTED, DELETED = "imported a model", "converted a model", "deleted a model"
INSTEAD = (
    "Download the model on a machine that reaches it, and import it here as a model.tar.gz, from "
    "S3, or from a folder named in SIGHTLINE_MODEL_ROOTS."
)

_ID = re.compile(r"[0-9a-f]{64}")
_UPLOAD = re.compile(r"[0-9a-f]{32}")


class Runtime(StrEnum):
    """What a model runs in."""

    TORCH = "torch"
    CTRANSLATE2 = "ctranslate2"


@dataclass(frozen=True)
class FolderSource:
    """A model folder of this machine, under one of the settings' `model_roots`."""

    path: str


@dataclass(frozen=True)
class UploadSource:
    """A model.tar.gz that somebody uploaded, and the name it had; see `store_upload`."""

    upload: str
    name: str

    def __post_init__(self) -> None:
        """Refuse what is no upload's id."""
        if not _UPLOAD.fullmatch(self.upload):
            raise ModelError("There is no such upload.")


@dataclass(frozen=True)
class S3Source:
    """A model.tar.gz on S3."""

    uri: str

    def __post_init__(self) -> None:
        """Refuse what is no archive on S3."""
        StoredModel(self.uri)


@dataclass(frozen=True)
class HubSource:
    """A model of the Hugging Face hub, at a revision: a branch, a tag or a commit."""

    model_id: str
    revision: str = "main"

    def __post_init__(self) -> None:
        """Refuse what is no id or revision of the hub."""
        HubModel(self.model_id)
        if not re.fullmatch(r"[\w./-]{1,100}", self.revision, re.ASCII):
            raise DeploymentError("A revision is a branch, a tag or a commit, such as main.")


Source = FolderSource | UploadSource | S3Source | HubSource
SOURCES: dict[str, type[FolderSource | UploadSource | S3Source | HubSource]] = {
    kind.__name__: kind for kind in (FolderSource, UploadSource, S3Source, HubSource)
}


@dataclass(frozen=True)
class InstalledModel:
    """A model on this machine."""

    id: str  # SHA-256 of its files
    title: str
    origin: str  # where it came from, with the commit of a hub's model
    architecture: str
    model_type: str
    parameters: int
    size_bytes: int  # without what was converted
    imported_at: datetime
    converted: bool

    @property
    def convertible(self) -> bool:
        """Tell whether the fast engine can take it."""
        return self.model_type in CONVERTED_TYPES

    @property
    def runtimes(self) -> tuple[Runtime, ...]:
        """Return what it can run in now."""
        return (Runtime.CTRANSLATE2, Runtime.TORCH) if self.converted else (Runtime.TORCH,)


# --------------------------------------------------------------------------------- what is there


def installed(settings: Settings) -> tuple[InstalledModel, ...]:
    """Return the models on this machine, the newest first."""
    folder = models_folder(settings)
    found = [_installed(each) for each in folder.glob("*/about.json")] if folder.is_dir() else []
    return tuple(sorted(found, key=lambda model: (model.imported_at, model.id), reverse=True))


def find(settings: Settings, model_id: str) -> InstalledModel:
    """Return a model by its id; raises `ModelError` where it is not there (any more)."""
    about = models_folder(settings) / model_id / "about.json"
    if not _ID.fullmatch(model_id) or not about.is_file():
        raise ModelError("This model is not on this machine any more: choose or import another.")
    return _installed(about)


def open_generator(settings: Settings, model_id: str, runtime: Runtime) -> Generator:
    """Load a model into memory; raises `ModelError`, or `GenerationError` for too little memory."""
    model = find(settings, model_id)
    folder = models_folder(settings) / model.id
    if runtime is Runtime.TORCH:
        return TorchModel(folder / "model", model.title)
    return CTranslate2Model(folder / "model", folder / "int8", model.title)


def delete(settings: Settings, identity: Identity, user: User, model_id: str) -> None:
    """Remove a model and what was converted from it; raises `ModelError`, `PermissionRefused`."""
    require(user, Role.ADMIN)
    model = find(settings, model_id)
    gone = models_folder(settings) / f".deleted-{uuid.uuid4().hex}"
    (models_folder(settings) / model.id).rename(gone)  # at once, whatever happens to the files
    shutil.rmtree(gone)
    identity.record(user.username, DELETED, model.title, model.id)


def models_folder(settings: Settings) -> Path:
    """Return the folder of all models."""
    return settings.data_dir / "models"


def _installed(about: Path) -> InstalledModel:
    stored = json.loads(about.read_text())
    return InstalledModel(
        id=about.parent.name,
        title=stored["title"],
        origin=stored["origin"],
        architecture=stored["architecture"],
        model_type=stored["model_type"],
        parameters=stored["parameters"],
        size_bytes=stored["size_bytes"],
        imported_at=datetime.fromisoformat(stored["imported_at"]),
        converted=(about.parent / "int8" / WEIGHTS).is_file(),
    )


# --------------------------------------------------------------------------- bringing models in


def start_import(jobs: Jobs, identity: Identity, user: User, source: Source) -> Job:
    """Return the job that brings a model in; raises `PermissionRefused` for all but admins."""
    require(user, Role.ADMIN)
    title, origin = _named(source)
    identity.record(user.username, IMPORTED, title, origin)
    arguments = {"kind": type(source).__name__, **asdict(source)}
    return jobs.submit(
        import_model, title=f"Import the model {title}", owner=user.username, source=arguments
    )


def start_conversion(jobs: Jobs, identity: Identity, user: User, model: InstalledModel) -> Job:
    """Return the job that converts a model for the fast engine; for analysts and admins."""
    require(user, Role.ANALYST)
    identity.record(user.username, CONVERTED, model.title, model.id)
    title = f"Convert {model.title} for the fast engine"
    return jobs.submit(convert_model, title=title, owner=user.username, model_id=model.id)


def store_upload(settings: Settings, name: str, data: BinaryIO) -> UploadSource:
    """Keep an uploaded archive until its import has ended, and return it as a source."""
    upload = uuid.uuid4().hex
    path = _upload_path(settings, upload)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        shutil.copyfileobj(data, file, CHUNK_BYTES)
    return UploadSource(upload, name)


@job()
def import_model(report: Report, source: dict[str, Any]) -> dict[str, Any]:
    """Bring a model in and return its id; what is no summarization model leaves nothing behind."""
    values = dict(source)
    wanted = SOURCES[values.pop("kind")](**values)
    try:
        with _incoming(settings()) as folder:
            model = _import(settings(), wanted, folder, report)
    except (ModelError, packing.PackingError, AwsError) as error:
        raise JobError(str(error)) from error
    except OSError as error:
        raise JobError(
            f"The model could not be stored ({error.strerror or error}). Check the space and the "
            "rights of the data folder."
        ) from error
    finally:
        if isinstance(wanted, UploadSource):
            _upload_path(settings(), wanted.upload).unlink(missing_ok=True)
    report(1.0, "Done")
    return {"model": model.id, "title": model.title}


@job()
def convert_model(report: Report, model_id: str) -> dict[str, Any]:
    """Convert a model for the fast engine, unless that has been done, and return its id."""
    try:
        model = find(settings(), model_id)
        folder = models_folder(settings()) / model.id
        report(0.0, "Converting to eight-bit weights")
        if not model.converted:
            convert(
                folder / "model",
                folder / "int8",
                lambda done: report(done, "Converting to eight-bit weights"),
            )
    except ModelError as error:
        raise JobError(str(error)) from error
    except OSError as error:
        raise JobError(
            f"The converted model could not be stored ({error.strerror or error})."
        ) from error
    report(1.0, "Done")
    return {"model": model.id, "title": model.title}


def _named(source: Source) -> tuple[str, str]:
    """Return what to call a model, and where it comes from."""
    match source:
        case FolderSource(path):
            return Path(path).name, path
        case UploadSource(name=name):
            title = re.split(r"[/\\]", name)[-1].removesuffix(".tar.gz")[:80]
            return title or "model", "upload"
        case S3Source(uri):
            return uri.removesuffix(".tar.gz").rpartition("/")[2], uri
        case HubSource(model_id):
            return model_id, f"huggingface.co/{model_id}"


@contextmanager
def _incoming(settings: Settings) -> Iterator[Path]:
    """Give an empty folder that is gone afterwards."""
    models = models_folder(settings)
    models.mkdir(parents=True, exist_ok=True)
    for left in (*models.glob(".incoming-*"), *models.glob(".deleted-*")):
        if time.time() - left.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)
    folder = models / f".incoming-{uuid.uuid4().hex}"
    (folder / "model").mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _import(settings: Settings, source: Source, folder: Path, report: Report) -> InstalledModel:
    files = folder / "model"
    title, origin = _named(source)
    match source:
        case FolderSource(path):
            _copy_folder(_allowed(settings, Path(path)), files, settings, report)
        case UploadSource(upload):
            _unpack(_upload_path(settings, upload), files, title, report)
        case S3Source(uri):
            archive = folder / "model.tar.gz"
            _download(settings, uri, archive, report)
            _unpack(archive, files, title, report, begins=FETCHED / 2)
            archive.unlink()
        case HubSource():
            origin = f"{origin} at {_download_from_hub(source, files, report)}"
    report(FETCHED, "Checking the model")
    about = read_model_folder(files)
    model_id, size = _digest(
        files, lambda done: report(FETCHED + (1 - FETCHED) * done, "Computing its checksum")
    )
    stored = {
        "title": title,
        "origin": origin,
        "architecture": about.architecture,
        "model_type": about.model_type,
        "parameters": about.parameters,
        "size_bytes": size,
        "imported_at": datetime.now(UTC).isoformat(),
    }
    (folder / "about.json").write_text(json.dumps(stored))
    try:
        folder.rename(models_folder(settings) / model_id)
    except OSError:
        if not (models_folder(settings) / model_id).is_dir():  # else it has been here before
            raise
    return find(settings, model_id)


def _allowed(settings: Settings, path: Path) -> Path:
    """Return the real path; raises `ModelError` outside the roots for models."""
    if not settings.model_roots:
        raise ModelError(
            "No folder of this machine is open for models. Name the folders that may be read in "
            """SIGHTLINE_MODEL_ROOTS, such as '["/srv/models"]', or upload a model.tar.gz."""
        )
    real = path.resolve()
    if not any(real.is_relative_to(root.resolve()) for root in settings.model_roots):
        roots = ", ".join(map(str, settings.model_roots))
        raise ModelError(f"{path} is not in a folder that models may be imported from: {roots}.")
    return real


def _copy_folder(folder: Path, target: Path, settings: Settings, report: Report) -> None:
    """Copy what a model needs; links, as in the hub's own cache, may lead about in the roots."""
    read_model_folder(folder)  # before gigabytes are copied
    kept = sorted(each for each in folder.iterdir() if is_kept(each.name))
    files = {each.name: _allowed(settings, each) for each in kept}
    total, done = sum(file.stat().st_size for file in files.values()) or 1, 0
    for name, file in files.items():
        with file.open("rb") as content, (target / name).open("xb") as copy:
            while chunk := content.read(CHUNK_BYTES):
                copy.write(chunk)
                done += len(chunk)
                report(FETCHED * done / total, "Copying the model")


def _unpack(archive: Path, target: Path, title: str, report: Report, begins: float = 0.0) -> None:
    if not archive.is_file():
        raise ModelError("The uploaded archive is not there any more: upload it again.")
    names = packing.unpack(
        archive,
        target,
        is_kept,
        lambda done: report(begins + (FETCHED - begins) * min(1.0, done), "Unpacking the model"),
    )
    if CONFIG not in names:
        raise ModelError(
            f"The archive has no {CONFIG} at its root, so it is no saved model. "
            "Pack the files themselves, not the folder around them."
        )
    if any(map(is_pickled, names)) and not any(target.glob("*.safetensors")):
        raise ModelError(pickled(title))


def _download(settings: Settings, uri: str, target: Path, report: Report) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    with aws_errors("s3", "GetObject"), target.open("xb") as file:
        answer = open_aws(settings).client("s3").get_object(Bucket=bucket, Key=key)
        total, done = answer["ContentLength"] or 1, 0
        if total > packing.MOST_UNPACKED_BYTES:
            raise ModelError(f"{uri} has {total / (1 << 30):,.0f} GB: that is no summarizer.")
        while chunk := answer["Body"].read(CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            report(FETCHED / 2 * done / total, "Downloading from S3")


def _digest(folder: Path, progress: Callable[[float], None]) -> tuple[str, int]:
    """Return the hash of a folder's files with their names, and their size in bytes."""
    files = sorted(each for each in folder.iterdir() if is_kept(each.name))
    total = sum(file.stat().st_size for file in files)
    digest, done = hashlib.sha256(), 0
    for file in files:
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as content:
            while chunk := content.read(CHUNK_BYTES):
                digest.update(chunk)
                done += len(chunk)
                progress(done / (total or 1))
    return digest.hexdigest(), total


def _upload_path(settings: Settings, upload: str) -> Path:
    return models_folder(settings) / ".uploads" / f"{upload}.tar.gz"


# ---------------------------------------------------------------------------- the hub's own files


def _download_from_hub(source: HubSource, target: Path, report: Report) -> str:
    """Download what a model needs, no code and no pickle; return the commit it was taken from."""
    from huggingface_hub import HfApi, hf_hub_download

    report(0.0, "Asking the Hugging Face hub")
    with _hub_errors(source):
        info = HfApi().model_info(
            source.model_id, revision=source.revision, timeout=HUB_TIMEOUT_S, files_metadata=True
        )
        sizes = {each.rfilename: each.size or 0 for each in info.siblings or ()}
        commit = str(info.sha)
        fetch = partial(
            hf_hub_download,
            source.model_id,
            revision=commit,
            local_dir=target,
            etag_timeout=HUB_TIMEOUT_S,
        )
        if CONFIG not in sizes:
            raise ModelError(f"{source.model_id} has no {CONFIG}: it is no transformers model.")
        fetch(CONFIG)
        architecture_of(read_json(target / CONFIG))  # before gigabytes are downloaded
        kept = [name for name in sizes if is_kept(name)]
        if not any(name.endswith(".safetensors") for name in kept):
            raise ModelError(pickled(source.model_id))
        total, done = sum(sizes[name] for name in kept) or 1, 0
        if total > packing.MOST_UNPACKED_BYTES:
            raise ModelError(
                f"{source.model_id} has {total / (1 << 30):,.0f} GB: that is too much."
            )
        for name in kept:
            report(FETCHED * done / total, f"Downloading {name}")
            fetch(name)
            done += sizes[name]
    shutil.rmtree(target / ".cache", ignore_errors=True)
    return commit


@contextmanager
def _hub_errors(source: HubSource) -> Iterator[None]:
    """Raise `ModelError` with a sentence for what the hub refuses, and where it is out of reach."""
    from httpx2 import HTTPError
    from huggingface_hub import errors

    name = source.model_id
    try:
        yield
    except errors.GatedRepoError:
        raise ModelError(f"{name} needs its owner's permission on the hub. {INSTEAD}") from None
    except errors.RevisionNotFoundError:
        raise ModelError(f"{name} has no revision {source.revision} on the hub.") from None
    except errors.RepositoryNotFoundError:
        raise ModelError(f"There is no public model {name} on the hub: check the name.") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        raise ModelError(f"The hub refused {name} (HTTP {status}). {INSTEAD}") from None
    except (HTTPError, ConnectionError, errors.LocalEntryNotFoundError, TimeoutError) as error:
        raise ModelError(
            f"The Hugging Face hub cannot be reached from this machine ({type(error).__name__}). "
            f"{INSTEAD}"
        ) from error
