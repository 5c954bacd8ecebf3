"""Models that come from folders, archives, S3 and the hub; each way in leaves nothing half done."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from moto import mock_aws

from lib.aws import open_aws
from lib.identity import Identity, PermissionRefused, Role, SignInMethod, User, open_identity
from lib.jobs import Cancelled, JobError, Jobs, JobState, open_jobs
from lib.jobs.worker import Worker
from lib.settings import settings
from lib.store import open_store
from lib.summarize import models
from lib.summarize.deployment import DeploymentError
from lib.summarize.model import Generation
from lib.summarize.model_folder import ModelError
from lib.summarize.models import (
    FolderSource,
    HubSource,
    Runtime,
    S3Source,
    UploadSource,
    convert_model,
    delete,
    find,
    import_model,
    installed,
    models_folder,
    open_generator,
    start_conversion,
    start_import,
    store_upload,
)
from lib.summarize.packing import pack
from tests.aws.fixtures import REGION
from tests.summarize.tiny_models import TEXT

pytestmark = pytest.mark.usefixtures("one_thread")

Tiny = Callable[[str], Path]
GREEDY = Generation(max_new_tokens=12, min_new_tokens=5, num_beams=1)


class Reports:
    """What a job reports; cancels at the step that the test names."""

    def __init__(self, cancel_at: str = "nowhere") -> None:
        self.steps: list[str] = []
        self.fractions: list[float] = []
        self._cancel_at = cancel_at

    def __call__(self, fraction: float, step: str) -> None:
        self.fractions.append(fraction)
        if step not in self.steps:
            self.steps.append(step)
        if step.startswith(self._cancel_at):
            raise Cancelled


def silent(fraction: float, step: str) -> None:
    assert 0 <= fraction <= 1, step


@pytest.fixture
def root(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models that may be imported, with a BART in it."""
    root = tmp_path / "roots"
    shutil.copytree(tiny("bart"), root / "bart")
    monkeypatch.setenv("SIGHTLINE_MODEL_ROOTS", json.dumps([str(root)]))
    monkeypatch.setenv("AWS_REGION", REGION)
    settings.cache_clear()
    return root


def arguments(source: models.Source) -> dict[str, Any]:
    return {"kind": type(source).__name__, **vars(source)}


def bring(source: models.Source, report: Any = silent) -> str:
    model_id: str = import_model(report, source=arguments(source))["model"]
    return model_id


def left_behind() -> list[str]:
    folder = models_folder(settings())
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []
    return [path.name for path in files]


def archive_of(folder: Path) -> bytes:
    sink = io.BytesIO()
    pack(folder, sink, lambda _: None)
    return sink.getvalue()


# ------------------------------------------------------------------------------------ a folder


def test_a_folder_is_imported_listed_used_and_deleted(root: Path) -> None:
    (root / "bart" / "README.md").write_text("not needed")
    reports = Reports()
    model_id = bring(FolderSource(str(root / "bart")), reports)
    assert reports.steps == [
        "Copying the model",
        "Checking the model",
        "Computing its checksum",
        "Done",
    ]
    assert reports.fractions == sorted(reports.fractions)
    (model,) = installed(settings())
    assert model == find(settings(), model_id)
    assert (model.title, model.origin) == ("bart", str(root / "bart"))
    assert model.architecture == "BartForConditionalGeneration"
    assert 10_000 < model.parameters < 30_000
    assert model.runtimes == (Runtime.TORCH,)
    files = models_folder(settings()) / model_id / "model"
    assert model.size_bytes == sum(file.stat().st_size for file in files.iterdir())
    assert not (files / "README.md").exists()
    written = open_generator(settings(), model_id, Runtime.TORCH).generate(
        TEXT, GREEDY, lambda: False
    )
    assert written.text
    identity = open_identity(settings(), open_store(settings().store_url))
    delete(settings(), identity, user(Role.ADMIN), model_id)
    assert installed(settings()) == ()
    assert left_behind() == []
    with pytest.raises(ModelError, match="not on this machine any more"):
        find(settings(), model_id)


def test_a_model_is_converted_once_and_both_engines_count_alike(root: Path) -> None:
    model_id = bring(FolderSource(str(root / "bart")))
    with pytest.raises(ModelError, match="has not been converted"):
        open_generator(settings(), model_id, Runtime.CTRANSLATE2)
    reports = Reports()
    assert convert_model(reports, model_id=model_id) == {"model": model_id, "title": "bart"}
    assert reports.steps == ["Converting to eight-bit weights", "Done"]
    assert find(settings(), model_id).runtimes == (Runtime.CTRANSLATE2, Runtime.TORCH)
    converted = models_folder(settings()) / model_id / "int8" / "model.bin"
    before = converted.stat().st_mtime_ns
    convert_model(silent, model_id=model_id)
    assert converted.stat().st_mtime_ns == before
    fast = open_generator(settings(), model_id, Runtime.CTRANSLATE2)
    reference = open_generator(settings(), model_id, Runtime.TORCH)
    assert fast.count(TEXT) == reference.count(TEXT)
    assert fast.generate(TEXT, GREEDY, lambda: False).text


def test_a_cancelled_conversion_leaves_the_model_as_it_was(root: Path) -> None:
    model_id = bring(FolderSource(str(root / "bart")))
    before = left_behind()
    with pytest.raises(Cancelled):
        convert_model(Reports("Converting"), model_id=model_id)
    assert left_behind() == before


def test_the_same_model_is_stored_once(root: Path) -> None:
    shutil.copytree(root / "bart", root / "copy")
    assert bring(FolderSource(str(root / "bart"))) == bring(FolderSource(str(root / "copy")))
    assert [model.title for model in installed(settings())] == ["bart"]
    config = json.loads((root / "copy" / "config.json").read_text())
    (root / "copy" / "config.json").write_text(json.dumps(config | {"dropout": 0.3}))
    bring(FolderSource(str(root / "copy")))
    assert [model.title for model in installed(settings())] == ["copy", "bart"]


def test_only_folders_under_the_roots_are_read(
    tiny: Tiny, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = Path(shutil.copytree(tiny("bart"), tmp_path / "outside"))
    (root / "link").symlink_to(outside)
    for path in (outside, root / "link", root / ".." / "outside"):
        with pytest.raises(JobError, match="not in a folder that models may be imported from"):
            bring(FolderSource(str(path)))
    (root / "bart" / "config.json").unlink()
    (root / "bart" / "config.json").symlink_to(outside / "config.json")
    with pytest.raises(JobError, match="not in a folder that models may be imported from"):
        bring(FolderSource(str(root / "bart")))
    monkeypatch.delenv("SIGHTLINE_MODEL_ROOTS")
    settings.cache_clear()
    with pytest.raises(JobError, match="SIGHTLINE_MODEL_ROOTS"):
        bring(FolderSource(str(root / "bart")))
    assert left_behind() == []


def test_links_within_the_roots_are_followed_as_in_the_hubs_cache(root: Path) -> None:
    (root / "blobs").mkdir()
    for file in (root / "bart").iterdir():
        blob = root / "blobs" / f"blob-{file.name}"
        file.rename(blob)
        file.symlink_to(blob)
    assert bring(FolderSource(str(root / "bart")))
    assert not any(path.is_symlink() for path in models_folder(settings()).rglob("*"))


def test_a_folder_that_is_no_model_or_another_kind_leaves_nothing(root: Path) -> None:
    (root / "empty").mkdir()
    with pytest.raises(JobError, match="no saved model"):
        bring(FolderSource(str(root / "empty")))
    (root / "bart" / "config.json").write_text(
        json.dumps({"architectures": ["BertForMaskedLM"], "model_type": "bert"})
    )
    with pytest.raises(JobError, match="fills gaps in a text and does not summarize"):
        bring(FolderSource(str(root / "bart")))
    assert left_behind() == []


@pytest.mark.parametrize("step", ["Copying", "Checking", "Computing"])
def test_a_cancelled_import_leaves_nothing(root: Path, step: str) -> None:
    with pytest.raises(Cancelled):
        bring(FolderSource(str(root / "bart")), Reports(step))
    assert left_behind() == []


@pytest.mark.parametrize("model_id", ["", "..", "../x", "0" * 63, "g" * 64])
def test_an_id_is_never_a_path(model_id: str) -> None:
    with pytest.raises(ModelError, match="not on this machine"):
        find(settings(), model_id)


# ------------------------------------------------------------------------------------ archives


def test_an_uploaded_archive_is_imported_and_gone(root: Path) -> None:
    content = io.BytesIO(archive_of(root / "bart"))
    source = store_upload(settings(), "C:\\me\\nice bart.tar.gz", content)
    model_id = bring(source)
    (model,) = installed(settings())
    assert (model.id, model.title, model.origin) == (model_id, "nice bart", "upload")
    assert not any(name.endswith(".tar.gz") for name in left_behind())
    with pytest.raises(JobError, match="upload it again"):
        bring(source)
    with pytest.raises(ModelError, match="no such upload"):
        UploadSource("../../secret", "x")


def test_an_archive_and_a_folder_of_the_same_model_are_one(root: Path) -> None:
    folder = bring(FolderSource(str(root / "bart")))
    upload = store_upload(settings(), "bart.tar.gz", io.BytesIO(archive_of(root / "bart")))
    assert bring(upload) == folder


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"no archive", "no complete"), (b"", "no complete")],
)
def test_an_upload_that_is_no_archive_is_told_and_gone(content: bytes, sentence: str) -> None:
    source = store_upload(settings(), "x.tar.gz", io.BytesIO(content))
    with pytest.raises(JobError, match=sentence):
        bring(source)
    assert left_behind() == []


def test_an_archive_with_pickled_weights_or_a_folder_around_is_told(root: Path) -> None:
    (root / "bart" / "model.safetensors").rename(root / "bart" / "pytorch_model.bin")
    source = store_upload(settings(), "x.tar.gz", io.BytesIO(archive_of(root / "bart")))
    with pytest.raises(JobError, match="can run code when it is loaded"):
        bring(source)
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as packed:
        packed.add(root / "bart", "bart")
    with pytest.raises(JobError, match="not the folder around them"):
        bring(store_upload(settings(), "x.tar.gz", io.BytesIO(sink.getvalue())))
    assert left_behind() == []


# ------------------------------------------------------------------------------------------ S3


@pytest.fixture
def s3(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        client = open_aws(settings()).client("s3")
        client.create_bucket(Bucket="my-models")
        client.put_object(Bucket="my-models", Key="a/bart.tar.gz", Body=archive_of(root / "bart"))
        yield client


def test_an_archive_on_s3_is_imported(s3: Any) -> None:
    reports = Reports()
    bring(S3Source("s3://my-models/a/bart.tar.gz"), reports)
    (model,) = installed(settings())
    assert (model.title, model.origin) == ("bart", "s3://my-models/a/bart.tar.gz")
    assert reports.steps[:2] == ["Downloading from S3", "Unpacking the model"]
    assert reports.fractions == sorted(reports.fractions)
    assert "model.tar.gz" not in left_behind()
    assert s3


def test_what_s3_refuses_is_a_sentence(s3: Any) -> None:
    with pytest.raises(JobError):
        bring(S3Source("s3://my-models/a/none.tar.gz"))
    with pytest.raises(Cancelled):
        bring(S3Source("s3://my-models/a/bart.tar.gz"), Reports("Downloading"))
    assert left_behind() == []
    assert s3
    with pytest.raises(DeploymentError, match="named like"):
        S3Source("https://example.com/model.tar.gz")


# ----------------------------------------------------------------------------------------- hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A hub on loopback with one model, as the hub's client asks for it."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                hub.answer(self, with_body=False)

            def do_GET(self) -> None:
                hub.answer(self, with_body=True)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, to: BaseHTTPRequestHandler, *, with_body: bool) -> None:
        self.asked.append(to.path)
        body, status, headers = self._found(to.path.partition("?")[0])
        to.send_response(status)
        for name, value in headers.items():
            to.send_header(name, value)
        to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        if with_body:
            to.wfile.write(body)

    def _found(self, path: str) -> tuple[bytes, int, dict[str, str]]:
        if path in {"/api/models/me/bart/revision/main", f"/api/models/me/bart/revision/{COMMIT}"}:
            siblings = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
            body = {"id": "me/bart", "sha": COMMIT, "siblings": siblings}
            return json.dumps(body).encode(), 200, {"Content-Type": "application/json"}
        place = f"/me/bart/resolve/{COMMIT}/"
        if path.startswith(place) and path.removeprefix(place) in self.files:
            data = self.files[path.removeprefix(place)]
            return data, 200, {"X-Repo-Commit": COMMIT, "ETag": f'"{hash(data)}"'}
        code = {"x": "RevisionNotFound"} if "/me/bart/" in path else {"x": "RepoNotFound"}
        return b"{}", 404, {"X-Error-Code": code["x"]}


@pytest.fixture
def hub(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {path.name: path.read_bytes() for path in (root / "bart").iterdir()}
    hub = Hub(files | {"pytorch_model.bin": b"pickle", "README.md": b"#", "own.py": b"x"})
    _point_at(hub.url, monkeypatch)
    yield hub
    hub.server.shutdown()


def _point_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants, file_download, hf_api

    for module in (constants, file_download, hf_api):
        if hasattr(module, "ENDPOINT"):
            monkeypatch.setattr(module, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)


def test_a_hubs_model_is_imported_at_its_commit_without_code_and_pickles(
    hub: Hub, root: Path
) -> None:
    reports = Reports()
    model_id = bring(HubSource("me/bart"), reports)
    (model,) = installed(settings())
    assert (model.title, model.origin) == ("me/bart", f"huggingface.co/me/bart at {COMMIT}")
    assert model_id == bring(FolderSource(str(root / "bart")))
    assert "Downloading model.safetensors" in reports.steps
    assert not any(name in path for path in hub.asked for name in (".bin", ".py", "README"))


def test_another_kind_is_refused_before_it_is_downloaded(hub: Hub) -> None:
    hub.files["config.json"] = b'{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}'
    with pytest.raises(JobError, match="continues a text"):
        bring(HubSource("me/bart"))
    assert not any("safetensors" in path for path in hub.asked)
    assert left_behind() == []


def test_a_hubs_pickle_is_refused_before_it_is_downloaded(hub: Hub) -> None:
    del hub.files["model.safetensors"]
    with pytest.raises(JobError, match="can run code when it is loaded"):
        bring(HubSource("me/bart"))
    assert left_behind() == []


def test_what_the_hub_lacks_is_a_sentence(hub: Hub) -> None:
    with pytest.raises(JobError, match="no public model you/none on the hub"):
        bring(HubSource("you/none"))
    with pytest.raises(JobError, match="has no revision v9"):
        bring(HubSource("me/bart", "v9"))
    with pytest.raises(DeploymentError, match="Hugging Face id"):
        HubSource("../x")
    with pytest.raises(DeploymentError, match="A revision is"):
        HubSource("me/bart", "a b")
    assert hub.asked


def test_a_cancelled_download_leaves_nothing(hub: Hub) -> None:
    with pytest.raises(Cancelled):
        bring(HubSource("me/bart"), Reports("Downloading model.safetensors"))
    assert hub.asked
    assert left_behind() == []


def test_a_hub_out_of_reach_says_what_to_do_instead(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _point_at("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(JobError, match=r"cannot be reached .* import it here as a model\.tar\.gz"):
        bring(HubSource("me/bart"))
    assert root.exists()


# ---------------------------------------------------------------------------------------- jobs


def user(role: Role) -> User:
    return User("ana", "Ana", "ana@example.org", role, SignInMethod.PASSWORD)


@pytest.fixture
def jobs() -> Jobs:
    return open_jobs(settings(), open_store(settings().store_url))


@pytest.fixture
def identity(jobs: Jobs) -> Identity:
    return open_identity(settings(), jobs.store)


def test_imports_are_jobs_of_admins_and_in_the_audit_log(
    root: Path, jobs: Jobs, identity: Identity
) -> None:
    source = FolderSource(str(root / "bart"))
    with pytest.raises(PermissionRefused):
        start_import(jobs, identity, user(Role.ANALYST), source)
    job = start_import(jobs, identity, user(Role.ADMIN), source)
    assert job.title == "Import the model bart"
    Worker(jobs).run(job.id)
    done = jobs.find(job.id)
    assert done is not None
    assert done.state is JobState.DONE, done.error
    (model,) = installed(settings())
    assert done.result == {"model": model.id, "title": "bart"}
    with pytest.raises(PermissionRefused):
        start_conversion(jobs, identity, user(Role.VIEWER), model)
    converting = start_conversion(jobs, identity, user(Role.ANALYST), model)
    assert converting.state is JobState.QUEUED
    with pytest.raises(PermissionRefused):
        delete(settings(), identity, user(Role.ANALYST), model.id)
    delete(settings(), identity, user(Role.ADMIN), model.id)
    assert [event.action for event in identity.audit_log()] == [
        "deleted a model",
        "converted a model",
        "imported a model",
    ]
