"""Deploying to SageMaker and deleting again, as jobs whose steps can be cancelled.

Everything that is made carries the deployment's id as a tag. A second attempt thereby finds what
the first has made, and only what carries it is deleted. A name that is taken is left alone.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lib.aws import (
    AccessDenied,
    Aws,
    AwsError,
    Invalid,
    NotFound,
    Throttled,
    Unreachable,
    aws_errors,
    open_aws,
)
from lib.identity import Identity, Role, User, require
from lib.jobs import Cancelled, Job, JobError, Jobs, Report, TakenOver, job
from lib.settings import settings
from lib.summarize import packing
from lib.summarize.deployment import (
    TAG,
    Deployment,
    DeploymentError,
    LocalModel,
    configuration_request,
    endpoint_request,
    model_request,
)
from lib.summarize.model import Draft, Generation, GenerationError
from lib.summarize.sagemaker_endpoint import IN_SERVICE, SageMakerEndpoint

TRANSFORMERS = "4.51.3"  # the last container with a summarization pipeline; 5 needs inference.py
PYTORCH = "pytorch2.6.0"
PYTHON = "py312"
PART_BYTES = 16 << 20  # of an upload; S3 takes 10,000 parts, 160 GB
POLL_S = 5.0
STARTS_WITHIN_S = 3600.0
USUAL_START_S = 420.0  # for the progress alone
NO_ANSWER = "no answer from AWS"
STARTING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", NO_ANSWER})
DEPLOYED, REMOVED = "started a SageMaker deployment", "started deleting from SageMaker"

TEST_TEXT = (
    "The company reported revenue of 1.2 billion dollars for the third quarter, 8 percent more "
    "than a year before. Demand in Europe made up for weaker sales in Asia. The board confirmed "
    "its forecast for the year and will pay a dividend of 40 cents per share in December."
)
TEST_PARAMETERS = Generation(max_new_tokens=40, min_new_tokens=5, num_beams=1)

_IN_PROGRESS = re.compile(r"in[- ]progress")


class Kind(StrEnum):
    """What a deployment makes on SageMaker, in the order in which it is deleted."""

    ENDPOINT = "endpoint"
    CONFIGURATION = "endpoint_config"
    MODEL = "model"

    @property
    def api(self) -> str:
        """Return the kind's name in the API, such as EndpointConfig."""
        return "".join(word.title() for word in self.split("_"))

    @property
    def label(self) -> str:
        """Return the kind's name for people."""
        return self.replace("_config", " configuration")


@dataclass(frozen=True)
class Removal:
    """What was deleted, and what could not be, with the reason."""

    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Return it as a sentence; "" where there was nothing to delete."""
        removed = f"Deleted again: {', '.join(self.removed)}." if self.removed else ""
        left = (
            f"Could not delete, and may cost: {'; '.join(self.left)} Delete it on the SageMaker "
            "console."
            if self.left
            else ""
        )
        return f"{removed} {left}".strip()


def start_deployment(jobs: Jobs, identity: Identity, user: User, wanted: Deployment) -> Job:
    """Return the job that deploys a model; raises `PermissionRefused` unless the user is admin."""
    require(user, Role.ADMIN)
    detail = f"{wanted.instance_count} x {wanted.instance_type} in {wanted.region}"
    identity.record(user.username, DEPLOYED, wanted.name, detail)
    return jobs.submit(
        deploy,
        title=f"Deploy {wanted.name} to SageMaker",
        owner=user.username,
        deployment=wanted.to_json(),
    )


def start_removal(jobs: Jobs, identity: Identity, user: User, name: str, region: str) -> Job:
    """Return the job that deletes a deployment; raises `PermissionRefused` for all but admins."""
    require(user, Role.ADMIN)
    identity.record(user.username, REMOVED, name, region)
    title = f"Delete {name} from SageMaker"
    return jobs.submit(remove, title=title, owner=user.username, name=name, region=region)


@job(max_attempts=3)
def deploy(report: Report, deployment: dict[str, Any]) -> dict[str, Any]:
    """Deploy a model and return endpoint, region, and the summary of a test call.

    A failure or a cancel deletes what this deployment made; the error says what could not be.
    """
    wanted = Deployment.from_json(deployment)
    hosting = Hosting(open_aws(settings()), wanted.region)
    try:
        draft = _carry_out(hosting, wanted, report)
    except TakenOver:
        raise  # what was made is for the attempt that goes on
    except Cancelled:
        removal = _undo(hosting, wanted)
        if removal.left:
            raise JobError(f"The deployment was cancelled. {removal.sentence}") from None
        raise
    except (AwsError, DeploymentError, packing.PackingError, GenerationError) as error:
        raise JobError(f"{error} {_undo(hosting, wanted).sentence}".strip()) from error
    return {
        "endpoint": wanted.name,
        "region": wanted.region,
        "summary": draft.text,
        "seconds": draft.seconds,
    }


@job(max_attempts=3)
def remove(report: Report, name: str, region: str) -> dict[str, Any]:
    """Delete an endpoint that was deployed here, its configuration and its model."""
    report(0.1, "Deleting endpoint, configuration and model")
    removal = Hosting(open_aws(settings()), region).remove(name)
    if removal.left:
        raise JobError(removal.sentence)
    if not removal.removed:
        raise JobError(
            f"Nothing named {name} in {region} was deployed from here. What others made is deleted "
            "on the SageMaker console."
        )
    return {"deleted": list(removal.removed), "kept": "An uploaded model.tar.gz stays on S3."}


def container_image(region: str, instance_type: str) -> str:
    """Return the URI of Hugging Face's inference container; raises `DeploymentError`."""
    from sagemaker.core import image_uris

    try:
        image: str = image_uris.retrieve(
            "huggingface",
            region,
            version=TRANSFORMERS,
            base_framework_version=PYTORCH,
            py_version=PYTHON,
            instance_type=instance_type,
            image_scope="inference",
        )
    except ValueError as error:
        reason = str(error).partition(". ")[0]
        raise DeploymentError(
            f"AWS has no Hugging Face container for {instance_type} in {region} ({reason})."
        ) from None
    return image


def _carry_out(hosting: Hosting, wanted: Deployment, report: Report) -> Draft:
    if isinstance(wanted.source, LocalModel):
        _upload(hosting, wanted, wanted.source, report)
    report(0.35, "Choosing the container image")
    image = container_image(wanted.region, wanted.instance_type)
    report(0.4, "Creating the model")
    hosting.create(Kind.MODEL, model_request(wanted, image), wanted)
    report(0.42, "Creating the endpoint configuration")
    hosting.create(Kind.CONFIGURATION, configuration_request(wanted), wanted)
    report(0.44, "Creating the endpoint")
    hosting.create(Kind.ENDPOINT, endpoint_request(wanted), wanted)
    _wait_until_in_service(hosting, wanted.name, report)
    return _test(hosting, wanted.name, report)


def _upload(hosting: Hosting, wanted: Deployment, source: LocalModel, report: Report) -> None:
    path = Path(source.path)
    try:
        if path.is_dir():
            packing.model_files(path)  # before the first byte is sent
            write: Callable[[Path, packing.Sink, packing.Progress], None] = packing.pack
            step, begins = "Packing and uploading the model", 0.0
        else:
            packing.check_archive(path, lambda done: report(0.1 * done, "Checking the archive"))
            write, step, begins = packing.copy, "Uploading the model", 0.1
        with hosting.upload(source.bucket, wanted.upload_key) as sink:
            write(path, sink, lambda done: report(begins + (0.35 - begins) * done, step))
    except OSError as error:
        raise DeploymentError(f"{path} could not be read ({error.strerror or error}).") from error


def _wait_until_in_service(hosting: Hosting, name: str, report: Report) -> None:
    pause, started = threading.Event(), time.monotonic()
    while True:
        try:
            found = hosting.describe(Kind.ENDPOINT, name)
        except (Throttled, Unreachable):
            found = {"EndpointStatus": NO_ANSWER}  # says nothing about the endpoint
        status, seconds = found["EndpointStatus"], time.monotonic() - started
        if status == IN_SERVICE:
            return
        if status not in STARTING:
            reason = found.get("FailureReason", "SageMaker gives no reason.")
            raise DeploymentError(f"The endpoint {name} did not start ({status}): {reason}")
        if seconds > STARTS_WITHIN_S:
            raise DeploymentError(
                f"The endpoint {name} has not started within {STARTS_WITHIN_S / 60:.0f} minutes: "
                f"its log is in CloudWatch, under /aws/sagemaker/Endpoints/{name}."
            )
        fraction = 0.45 + 0.45 * min(1.0, seconds / USUAL_START_S)
        report(fraction, f"Waiting until the endpoint is in service ({status})")
        pause.wait(POLL_S)


def _test(hosting: Hosting, name: str, report: Report) -> Draft:
    step = "Summarizing a short text as a test"
    report(0.95, step)

    def cancelled() -> bool:
        report(0.95, step)  # raises where it was
        return False

    endpoint = SageMakerEndpoint(hosting.aws, name, region=hosting.region)
    draft = endpoint.generate(TEST_TEXT, TEST_PARAMETERS, cancelled)
    report(1.0, "Done")
    return draft


def _undo(hosting: Hosting, wanted: Deployment) -> Removal:
    """Delete what a deployment made, at this attempt or an earlier one."""
    removal = hosting.remove(wanted.name, only=wanted.id)
    if not isinstance(wanted.source, LocalModel):
        return removal
    place = str(wanted.model_uri)
    try:
        hosting.delete_object(wanted.source.bucket, wanted.upload_key)
    except AwsError as error:
        if not hosting.uploaded:
            return removal  # a refused upload leaves nothing
        return Removal(removal.removed, (*removal.left, f"{place} ({error.sentence})"))
    return Removal((*removal.removed, place), removal.left) if hosting.uploaded else removal


@dataclass
class Hosting:
    """SageMaker's hosting in one region, and what was begun there by way of this object."""

    aws: Aws
    region: str
    begun: set[Kind] = field(default_factory=set)
    uploaded: bool = False

    def create(self, kind: Kind, request: Mapping[str, Any], wanted: Deployment) -> None:
        """Create something; what an earlier attempt at the same deployment made is as good.

        Raises `DeploymentError` where the name is taken by another, else `AwsError`.
        """
        self.begun.add(kind)
        try:
            self._call("create", kind, **request)
        except Invalid as error:
            if "already existing" not in error.message:
                raise
            if self.mark(kind, wanted.name) != wanted.id:
                raise DeploymentError(
                    f"There is another {kind.label} named {wanted.name} in {self.region}: "
                    "choose another name."
                ) from None

    def describe(self, kind: Kind, name: str) -> dict[str, Any]:
        """Return AWS's description; raises `NotFound` and other `AwsError`."""
        found: dict[str, Any] = self._call("describe", kind, **{f"{kind.api}Name": name})
        return found

    def mark(self, kind: Kind, name: str) -> str:
        """Return the id of the deployment that made it, "" where none of ours did."""
        arn = self.describe(kind, name)[f"{kind.api}Arn"]
        with aws_errors("sagemaker", "ListTags"):
            pages = self._client.get_paginator("list_tags").paginate(ResourceArn=arn)
            tags = {tag["Key"]: str(tag["Value"]) for page in pages for tag in page["Tags"]}
        return tags.get(TAG, "")

    def remove(self, name: str, only: str = "") -> Removal:
        """Delete endpoint, configuration and model of a name, where a deployment made them.

        With `only` it has to be that deployment. Waits for an endpoint that is being created,
        which SageMaker does not delete before it has ended.
        """
        removed, left = [], []
        for kind in Kind:
            try:
                mark = self.mark(kind, name)
                if mark and only in {"", mark}:
                    self._delete(kind, name)
                    removed.append(f"{kind.label} {name}")
            except NotFound:
                continue
            except AwsError as error:
                if only and kind not in self.begun and isinstance(error, AccessDenied):
                    continue  # this deployment never came so far
                left.append(f"{kind.label} {name} ({error.sentence})")
                if kind is Kind.ENDPOINT:
                    break  # what it runs on has to stay as long as it does
        return Removal(tuple(removed), tuple(left))

    @contextmanager
    def upload(self, bucket: str, key: str) -> Iterator[MultipartUpload]:
        """Give an object of S3 to write to, which is there when the context ends well."""
        with MultipartUpload(self.aws.client("s3", region=self.region), bucket, key) as upload:
            yield upload
        self.uploaded = True

    def delete_object(self, bucket: str, key: str) -> None:
        """Delete an object of S3, if it is there."""
        with aws_errors("s3", "DeleteObject"):
            self.aws.client("s3", region=self.region).delete_object(Bucket=bucket, Key=key)

    @property
    def _client(self) -> Any:
        return self.aws.client("sagemaker", region=self.region)

    def _call(self, verb: str, kind: Kind, **params: Any) -> Any:
        with aws_errors("sagemaker", f"{verb.title()}{kind.api}"):
            return getattr(self._client, f"{verb}_{kind}")(**params)

    def _delete(self, kind: Kind, name: str) -> None:
        pause, started = threading.Event(), time.monotonic()
        while True:
            try:
                self._call("delete", kind, **{f"{kind.api}Name": name})
            except Invalid as error:
                in_time = time.monotonic() - started < STARTS_WITHIN_S
                if not (_IN_PROGRESS.search(error.message) and in_time):
                    raise
                pause.wait(POLL_S)
            else:
                return


class MultipartUpload:
    """An object of S3 in the making: written in parts, there when the context ends well.

    Otherwise its parts are dropped; they would cost without being seen.
    """

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client = client
        self._object = {"Bucket": bucket, "Key": key}
        self._upload: dict[str, str] = {}
        self._parts: list[dict[str, Any]] = []
        self._waiting = bytearray()

    def write(self, data: bytes, /) -> int:
        """Take some bytes; a part that is full is sent."""
        self._waiting += data
        while len(self._waiting) >= PART_BYTES:
            self._send(bytes(self._waiting[:PART_BYTES]))
            del self._waiting[:PART_BYTES]
        return len(data)

    def flush(self) -> None:
        """Do nothing: parts are sent when they are full."""

    def __enter__(self) -> Self:
        with aws_errors("s3", "CreateMultipartUpload"):
            begun = self._client.create_multipart_upload(
                **self._object, ContentType="application/gzip", ChecksumAlgorithm="CRC32"
            )
        self._upload = self._object | {"UploadId": begun["UploadId"]}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._abort()
            return
        try:
            self._complete()
        except AwsError:
            self._abort()
            raise

    def _send(self, part: bytes) -> None:
        number = len(self._parts) + 1
        with aws_errors("s3", "UploadPart"):
            sent = self._client.upload_part(
                **self._upload, PartNumber=number, Body=part, ChecksumAlgorithm="CRC32"
            )
        checksums = {"ETag": sent["ETag"], "ChecksumCRC32": sent["ChecksumCRC32"]}
        self._parts.append({"PartNumber": number, **checksums})

    def _complete(self) -> None:
        if self._waiting or not self._parts:
            self._send(bytes(self._waiting))
        with aws_errors("s3", "CompleteMultipartUpload"):
            self._client.complete_multipart_upload(
                **self._upload, MultipartUpload={"Parts": self._parts}
            )

    def _abort(self) -> None:
        try:
            with aws_errors("s3", "AbortMultipartUpload"):
                self._client.abort_multipart_upload(**self._upload)
        except NotFound:
            return
        except AwsError as error:
            where = f"s3://{self._object['Bucket']}/{self._object['Key']}"
            raise DeploymentError(
                f"The upload to {where} stopped, and its parts could not be dropped "
                f"({error.sentence}) Abort it with `aws s3api abort-multipart-upload`, or give the "
                "bucket a rule that ends incomplete uploads."
            ) from error
