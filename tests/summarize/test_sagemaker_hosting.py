"""Deploying and deleting, over real boto3: a small SageMaker in the double, S3 in moto."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from lib.aws import open_aws
from lib.identity import PermissionRefused, Role, SignInMethod, User, open_identity
from lib.jobs import Cancelled, JobError, JobState, TakenOver, open_jobs
from lib.jobs.worker import Worker
from lib.prices import TABLE, read_prices
from lib.settings import Settings
from lib.store import open_store
from lib.summarize import sagemaker_hosting
from lib.summarize.deployment import (
    Deployment,
    DeploymentError,
    HubModel,
    LocalModel,
    StoredModel,
    plan,
)
from lib.summarize.sagemaker_hosting import (
    Hosting,
    MultipartUpload,
    container_image,
    deploy,
    remove,
    start_deployment,
    start_removal,
)
from tests.aws.double import AwsDouble, WireError
from tests.aws.fixtures import REGION, aws_double, aws_settings, no_aws
from tests.aws.hosting import SmallHosting

__all__ = ["aws_double", "aws_settings", "no_aws"]

PRICES = read_prices(TABLE)
ROLE = "arn:aws:iam::111122223333:role/sightline-endpoint"
HUB = Deployment("bart", HubModel("sshleifer/distilbart-cnn-12-6"), ROLE, REGION)
STORED = replace(HUB, source=StoredModel("s3://my-models/bart/model.tar.gz"))
NOTHING: dict[str, list[str]] = {}
MADE = {"Model": ["bart"], "EndpointConfig": ["bart"], "Endpoint": ["bart"]}
FIVE_MB = 5 << 20  # the least that S3 takes as a part that is not the last


class Reports:
    """What a job reports; raises where the test says so."""

    def __init__(self, stop_at: str = "", error: type[BaseException] = Cancelled) -> None:
        self.steps: list[str] = []
        self.fractions: list[float] = []
        self._stop_at = stop_at
        self._error = error

    def __call__(self, fraction: float, step: str) -> None:
        self.fractions.append(fraction)
        if step not in self.steps:
            self.steps.append(step)
        if self._stop_at and step.startswith(self._stop_at):
            raise self._error


def silent(fraction: float, step: str) -> None:
    assert 0 <= fraction <= 1, step


@pytest.fixture
def hosting(
    aws_settings: Settings, aws_double: AwsDouble, monkeypatch: pytest.MonkeyPatch
) -> SmallHosting:
    assert aws_settings.aws_region == REGION
    monkeypatch.setattr(sagemaker_hosting, "POLL_S", 0)
    small = SmallHosting()
    small.on(aws_double)
    return small


@pytest.fixture
def s3(aws_settings: Settings) -> Iterator[Any]:
    with mock_aws():
        client = open_aws(aws_settings).client("s3")
        client.create_bucket(Bucket="my-models")
        yield client


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A deployment of a model folder that is uploaded in three parts."""
    monkeypatch.setattr(sagemaker_hosting, "PART_BYTES", FIVE_MB)
    folder = tmp_path / "bart"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bart"}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(random.Random(7).randbytes(2 * FIVE_MB + 1))  # noqa: S311 - bytes that do not shrink
    return replace(HUB, source=LocalModel(str(folder), "my-models"))


def objects(s3: Any) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket="my-models").get("Contents", ())]


def unfinished(s3: Any) -> list[Any]:
    return list(s3.list_multipart_uploads(Bucket="my-models").get("Uploads", []))


# ---------------------------------------------------------------------------------- it goes well


@pytest.mark.parametrize("wanted", [HUB, STORED], ids=["hub", "stored"])
def test_a_model_is_deployed_and_tried(
    hosting: SmallHosting, aws_double: AwsDouble, wanted: Deployment
) -> None:
    reports = Reports()
    result = deploy(reports, deployment=wanted.to_json())
    assert (result["endpoint"], result["region"]) == ("bart", REGION)
    assert result["summary"].startswith("The company reported revenue of 1.2 billion dollars")
    assert hosting.names() == MADE
    assert reports.steps == [
        "Choosing the container image",
        "Creating the model",
        "Creating the endpoint configuration",
        "Creating the endpoint",
        "Waiting until the endpoint is in service (Creating)",
        "Summarizing a short text as a test",
        "Done",
    ]
    assert reports.fractions == sorted(reports.fractions)
    (model,) = aws_double.called("sagemaker", "CreateModel")
    assert model["PrimaryContainer"]["Image"] == (
        "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-inference:"
        "2.6.0-transformers4.51.3-cpu-py312-ubuntu22.04"
    )
    (configuration,) = aws_double.called("sagemaker", "CreateEndpointConfig")
    assert configuration["ProductionVariants"] == [
        {
            "VariantName": "AllTraffic",
            "ModelName": "bart",
            "InstanceType": "ml.m5.xlarge",
            "InitialInstanceCount": 1,
        }
    ]


def test_the_plan_tells_the_calls_that_are_made_in_their_order(
    hosting: SmallHosting, aws_double: AwsDouble
) -> None:
    deploy(silent, deployment=HUB.to_json())
    made = list(dict.fromkeys((call.service, call.operation) for call in aws_double.calls))
    told = [(call.service, call.operation) for call in plan(HUB, PRICES).calls if not call.undoing]
    assert made == told
    assert hosting.names() == MADE


def test_a_folder_is_packed_and_uploaded_first(
    hosting: SmallHosting, s3: Any, local: Deployment, aws_double: AwsDouble
) -> None:
    reports = Reports()
    deploy(reports, deployment=local.to_json())
    assert reports.steps[0] == "Packing and uploading the model"
    assert reports.fractions == sorted(reports.fractions)
    assert objects(s3) == [local.upload_key]
    stored = s3.get_object(Bucket="my-models", Key=local.upload_key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(stored), mode="r:gz") as archive:
        assert archive.getnames() == ["config.json", "model.safetensors", "tokenizer.json"]
    assert len(stored) > 2 * FIVE_MB
    (model,) = aws_double.called("sagemaker", "CreateModel")
    assert model["PrimaryContainer"]["ModelDataUrl"] == local.model_uri
    assert hosting.names() == MADE


def test_an_archive_is_uploaded_as_it_is(hosting: SmallHosting, s3: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("config.json"))
    wanted = replace(HUB, source=LocalModel(str(path), "my-models"))
    deploy(silent, deployment=wanted.to_json())
    stored = s3.get_object(Bucket="my-models", Key=wanted.upload_key)["Body"].read()
    assert stored == path.read_bytes()
    assert hosting.names() == MADE


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_the_container_is_of_the_region_and_the_instance(region: str) -> None:
    assert f".{region}." in container_image(region, "ml.m5.xlarge")
    assert "-cpu-" in container_image(region, "ml.m5.xlarge")
    assert "-gpu-" in container_image(region, "ml.g5.xlarge")


def test_a_region_without_a_container_is_told(hosting: SmallHosting) -> None:
    with pytest.raises(JobError, match=r"no Hugging Face container .* in xx-nowhere-1"):
        deploy(silent, deployment=replace(HUB, region="xx-nowhere-1").to_json())
    assert hosting.names() == NOTHING


@pytest.mark.parametrize(
    "failure",
    [
        WireError("ThrottlingException", "Rate exceeded"),
        EndpointConnectionError(endpoint_url="https://api.sagemaker.us-east-1.amazonaws.com/"),
    ],
)
def test_a_break_of_the_network_does_not_end_the_waiting(
    hosting: SmallHosting, aws_double: AwsDouble, failure: Exception
) -> None:
    aws_double.fail("sagemaker", "DescribeEndpoint", failure, times=3)
    reports = Reports()
    deploy(reports, deployment=HUB.to_json())
    assert "Waiting until the endpoint is in service (no answer from AWS)" in reports.steps
    assert hosting.names() == MADE


# ------------------------------------------------------------------------------- a second attempt


@pytest.mark.parametrize(
    "stop_at",
    ["Creating the endpoint configuration", "Creating the endpoint", "Waiting", "Summarizing"],
)
def test_an_attempt_that_was_taken_over_is_gone_on_with(
    hosting: SmallHosting, aws_double: AwsDouble, stop_at: str
) -> None:
    with pytest.raises(TakenOver):
        deploy(Reports(stop_at, TakenOver), deployment=HUB.to_json())
    assert "Model" in hosting.names()
    deploy(silent, deployment=HUB.to_json())
    assert hosting.names() == MADE
    assert hosting.made["Endpoint"]["bart"]["Tags"][0]["Value"] == HUB.id
    assert aws_double.called("sagemaker", "DeleteEndpoint") == []


@pytest.mark.parametrize("kind", ["Model", "EndpointConfig", "Endpoint"])
@pytest.mark.parametrize("tags", [[], [{"Key": "sightline-deployment", "Value": "another"}]])
def test_a_name_that_is_taken_is_left_alone(
    hosting: SmallHosting, kind: str, tags: list[dict[str, str]]
) -> None:
    other = {
        "ModelName": "bart",
        "ExecutionRoleArn": ROLE,
        "EndpointConfigName": "bart",
        "ProductionVariants": [{"VariantName": "a", "ModelName": "x"}],
        "EndpointName": "bart",
        "Tags": tags,
    }
    known = {
        "Model": ("ModelName", "ExecutionRoleArn"),
        "EndpointConfig": ("EndpointConfigName", "ProductionVariants"),
        "Endpoint": ("EndpointName", "EndpointConfigName"),
    }[kind]
    hosting._create(kind, {name: other[name] for name in (*known, "Tags")})
    with pytest.raises(JobError, match=r"There is another .* named bart in us-east-1: choose"):
        deploy(silent, deployment=HUB.to_json())
    assert hosting.names() == {kind: ["bart"]}


# ------------------------------------------------------------------------------- it does not work


def test_a_failed_endpoint_tells_why_and_is_deleted(hosting: SmallHosting) -> None:
    hosting.statuses, hosting.failure = ("Creating", "Failed"), "Insufficient capacity."
    with pytest.raises(JobError) as failed:
        deploy(silent, deployment=HUB.to_json())
    assert str(failed.value) == (
        "The endpoint bart did not start (Failed): Insufficient capacity. Deleted again: "
        "endpoint bart, endpoint configuration bart, model bart."
    )
    assert hosting.names() == NOTHING


def test_a_quota_is_named_and_nothing_stays(hosting: SmallHosting, aws_double: AwsDouble) -> None:
    quota = WireError(
        "ResourceLimitExceeded",
        "The account-level service limit 'ml.m5.xlarge for endpoint usage' is 0 Instances, with "
        "current utilization of 0 Instances and a request delta of 1 Instances. Please use AWS "
        "Service Quotas to request an increase for this quota.",
    )
    aws_double.fail("sagemaker", "CreateEndpoint", quota)
    with pytest.raises(JobError, match=r"quota of the AWS account .*'ml\.m5\.xlarge for endpoint"):
        deploy(silent, deployment=HUB.to_json())
    assert hosting.names() == NOTHING


@pytest.mark.parametrize("operation", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
def test_a_missing_permission_is_named(
    hosting: SmallHosting, aws_double: AwsDouble, operation: str
) -> None:
    aws_double.fail("sagemaker", operation, WireError("AccessDeniedException", "No"))
    with pytest.raises(JobError, match=f"lacks sagemaker:{operation}: allow it in its IAM policy"):
        deploy(silent, deployment=HUB.to_json())
    assert hosting.names() == NOTHING


def test_permissions_that_were_never_needed_are_not_missed(
    hosting: SmallHosting, aws_double: AwsDouble
) -> None:
    for operation in ("CreateModel", "DescribeEndpoint", "DescribeEndpointConfig"):
        aws_double.fail("sagemaker", operation, WireError("AccessDeniedException", "No"))
    with pytest.raises(JobError) as failed:
        deploy(silent, deployment=HUB.to_json())
    assert str(failed.value) == (
        "The AWS identity lacks sagemaker:CreateModel: allow it in its IAM policy."
    )
    assert hosting.names() == NOTHING


def test_what_could_not_be_deleted_is_told(hosting: SmallHosting, aws_double: AwsDouble) -> None:
    hosting.statuses = ("Failed",)
    denied = WireError("AccessDeniedException", "No")
    aws_double.fail("sagemaker", "DeleteModel", denied)
    with pytest.raises(JobError) as failed:
        deploy(silent, deployment=HUB.to_json())
    assert "Deleted again: endpoint bart, endpoint configuration bart." in str(failed.value)
    assert "Could not delete, and may cost: model bart" in str(failed.value)
    assert "lacks sagemaker:DeleteModel" in str(failed.value)
    assert hosting.names() == {"Model": ["bart"]}


def test_an_endpoint_that_stays_keeps_what_it_runs_on(
    hosting: SmallHosting, aws_double: AwsDouble
) -> None:
    hosting.statuses = ("Failed",)
    aws_double.fail("sagemaker", "DeleteEndpoint", WireError("AccessDeniedException", "No"))
    with pytest.raises(JobError, match="Could not delete, and may cost: endpoint bart"):
        deploy(silent, deployment=HUB.to_json())
    assert hosting.names() == MADE


def test_an_endpoint_that_never_starts_is_given_up(
    hosting: SmallHosting, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosting.statuses = ("Creating",) * 3
    monkeypatch.setattr(sagemaker_hosting, "STARTS_WITHIN_S", -1)
    with pytest.raises(JobError, match=r"has not started within .* CloudWatch"):
        deploy(silent, deployment=HUB.to_json())


def test_a_model_that_fails_the_test_call_is_deleted(
    hosting: SmallHosting, aws_double: AwsDouble
) -> None:
    broken = WireError("ModelError", "Unknown task summarization", 424)
    aws_double.fail("sagemaker-runtime", "InvokeEndpoint", broken)
    with pytest.raises(JobError, match="failed: Unknown task summarization"):
        deploy(silent, deployment=HUB.to_json())
    assert hosting.names() == NOTHING


# -------------------------------------------------------------------------------------- cancelled


@pytest.mark.parametrize(
    "stop_at", ["Choosing", "Creating the model", "Creating the endpoint", "Waiting", "Summarizing"]
)
def test_a_cancelled_deployment_leaves_nothing(hosting: SmallHosting, stop_at: str) -> None:
    with pytest.raises(Cancelled):
        deploy(Reports(stop_at), deployment=HUB.to_json())
    assert hosting.names() == NOTHING


def test_a_cancel_waits_for_an_endpoint_that_is_being_created(
    hosting: SmallHosting, aws_double: AwsDouble
) -> None:
    hosting.statuses = ("Creating",) * 4 + ("InService",)
    with pytest.raises(Cancelled):
        deploy(Reports("Waiting"), deployment=HUB.to_json())
    assert len(aws_double.called("sagemaker", "DeleteEndpoint")) > 1
    assert hosting.names() == NOTHING


def test_a_cancel_that_leaves_something_says_so(
    hosting: SmallHosting, aws_double: AwsDouble
) -> None:
    aws_double.fail("sagemaker", "DeleteEndpoint", WireError("AccessDeniedException", "No"))
    with pytest.raises(JobError, match=r"was cancelled\. Could not delete, .*: endpoint bart"):
        deploy(Reports("Waiting"), deployment=HUB.to_json())
    assert hosting.names() == MADE


def test_a_cancelled_upload_is_aborted(hosting: SmallHosting, s3: Any, local: Deployment) -> None:
    reports = Reports()

    def cancel_late(fraction: float, step: str) -> None:
        reports(fraction, step)
        if fraction > 0.3:
            assert unfinished(s3)
            raise Cancelled

    with pytest.raises(Cancelled):
        deploy(cancel_late, deployment=local.to_json())
    assert reports.steps == ["Packing and uploading the model"]
    assert (unfinished(s3), objects(s3), hosting.names()) == ([], [], NOTHING)


def test_a_deployment_cancelled_after_its_upload_deletes_it(
    hosting: SmallHosting, s3: Any, local: Deployment
) -> None:
    with pytest.raises(Cancelled):
        deploy(Reports("Creating the endpoint"), deployment=local.to_json())
    assert (unfinished(s3), objects(s3), hosting.names()) == ([], [], NOTHING)


# ----------------------------------------------------------------------------------- uploads fail


def test_a_bucket_that_is_not_there_is_told(
    hosting: SmallHosting, s3: Any, local: Deployment
) -> None:
    assert isinstance(local.source, LocalModel)
    wanted = replace(local, source=replace(local.source, bucket="no-such-bucket"))
    with pytest.raises(JobError, match="does not find what s3:CreateMultipartUpload names"):
        deploy(silent, deployment=wanted.to_json())
    assert objects(s3) == []
    assert hosting.names() == NOTHING


def test_a_folder_that_is_no_model_is_told_before_the_upload(
    hosting: SmallHosting, s3: Any, tmp_path: Path
) -> None:
    wanted = replace(HUB, source=LocalModel(str(tmp_path), "my-models"))
    with pytest.raises(JobError, match=r"lacks config\.json"):
        deploy(silent, deployment=wanted.to_json())
    assert (objects(s3), hosting.names()) == ([], NOTHING)


def test_a_file_that_cannot_be_read_ends_the_upload(
    hosting: SmallHosting, s3: Any, local: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = Path.open

    def fail(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == "model.safetensors":
            raise PermissionError(13, "Permission denied")
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(JobError, match=r"could not be read \(Permission denied\)"):
        deploy(silent, deployment=local.to_json())
    assert (unfinished(s3), objects(s3), hosting.names()) == ([], [], NOTHING)


@pytest.mark.parametrize("size", [0, 1, FIVE_MB - 1, FIVE_MB, FIVE_MB + 1, 2 * FIVE_MB])
def test_parts_add_up_to_what_was_written(
    s3: Any, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sagemaker_hosting, "PART_BYTES", FIVE_MB)
    content = bytes(size // 2) + b"x" * (size - size // 2)
    with MultipartUpload(s3, "my-models", "a") as upload:
        for start in range(0, size, 999_983):
            upload.write(content[start : start + 999_983])
    assert s3.get_object(Bucket="my-models", Key="a")["Body"].read() == content


def test_parts_that_cannot_be_dropped_are_told(s3: Any, aws_settings: Settings) -> None:
    hosting = Hosting(open_aws(aws_settings), REGION)

    def deny(**_: Any) -> None:
        answer = {"Error": {"Code": "AccessDenied", "Message": "No"}}
        raise ClientError(answer, "AbortMultipartUpload")  # type: ignore[arg-type]  # enough of it

    hosting.aws.client("s3", region=REGION).meta.events.register(
        "before-call.s3.AbortMultipartUpload", deny
    )

    def upload() -> None:
        with hosting.upload("my-models", "a/model.tar.gz") as sink:
            sink.write(b"x")
            raise Cancelled

    told = r"s3://my-models/a/model\.tar\.gz stopped.*lacks s3:AbortMultipartUpload"
    with pytest.raises(DeploymentError, match=told):
        upload()
    assert len(unfinished(s3)) == 1
    assert not hosting.uploaded


def test_an_upload_that_is_gone_leaves_nothing_to_drop(s3: Any) -> None:
    def upload() -> None:
        with MultipartUpload(s3, "my-models", "a") as sink:
            (gone,) = unfinished(s3)
            s3.abort_multipart_upload(Bucket="my-models", Key="a", UploadId=gone["UploadId"])
            sink.write(b"x")
            raise Cancelled

    with pytest.raises(Cancelled):
        upload()
    assert objects(s3) == []


# ----------------------------------------------------------------------------------------- delete


def test_a_deployment_is_deleted_with_all_that_belongs_to_it(hosting: SmallHosting) -> None:
    deploy(silent, deployment=HUB.to_json())
    result = remove(silent, name="bart", region=REGION)
    assert result["deleted"] == ["endpoint bart", "endpoint configuration bart", "model bart"]
    assert hosting.names() == NOTHING


def test_what_is_left_of_a_deployment_is_deleted_too(hosting: SmallHosting) -> None:
    deploy(silent, deployment=HUB.to_json())
    del hosting.made["Endpoint"]["bart"]
    remove(silent, name="bart", region=REGION)
    assert hosting.names() == NOTHING


def test_what_others_made_is_not_deleted(hosting: SmallHosting) -> None:
    theirs = {"EndpointName": "bart", "EndpointConfigName": "bart"}
    hosting._create("Endpoint", theirs)
    with pytest.raises(JobError, match="Nothing named bart in us-east-1 was deployed from here"):
        remove(silent, name="bart", region=REGION)
    assert hosting.names() == {"Endpoint": ["bart"]}


def test_a_deletion_that_is_denied_names_the_permission(
    hosting: SmallHosting, aws_double: AwsDouble
) -> None:
    deploy(silent, deployment=HUB.to_json())
    aws_double.fail("sagemaker", "ListTags", WireError("AccessDeniedException", "No"))
    with pytest.raises(JobError, match=r"endpoint bart .*lacks sagemaker:ListTags"):
        remove(silent, name="bart", region=REGION)
    assert hosting.names() == MADE


# ------------------------------------------------------------------------------------------- jobs


def user(role: Role) -> User:
    return User("ana", "Ana", "ana@example.org", role, SignInMethod.PASSWORD)


Start = Callable[[Any, Any, User], Any]
STARTS: dict[str, Start] = {
    "deploy": lambda jobs, identity, who: start_deployment(jobs, identity, who, HUB),
    "remove": lambda jobs, identity, who: start_removal(jobs, identity, who, "bart", REGION),
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST])
def test_only_an_admin_may_spend_or_delete(
    aws_settings: Settings, start: Start, role: Role
) -> None:
    store = open_store(aws_settings.store_url)
    jobs, identity = open_jobs(aws_settings, store), open_identity(aws_settings, store)
    with pytest.raises(PermissionRefused, match="needs the role admin"):
        start(jobs, identity, user(role))
    assert jobs.recent() == ()
    assert identity.audit_log() == ()


def test_a_worker_deploys_what_an_admin_starts_and_the_log_tells(
    hosting: SmallHosting, aws_settings: Settings
) -> None:
    store = open_store(aws_settings.store_url)
    jobs, identity = open_jobs(aws_settings, store), open_identity(aws_settings, store)
    started = start_deployment(jobs, identity, user(Role.ADMIN), HUB)
    Worker(jobs).run(started.id)
    done = jobs.find(started.id)
    assert done is not None
    assert (done.state, done.error) == (JobState.DONE, "")
    assert done.result is not None
    assert done.result["endpoint"] == "bart"
    assert hosting.names() == MADE
    (event,) = identity.audit_log()
    assert (event.who, event.target) == ("ana", "bart")
    assert event.detail == "1 x ml.m5.xlarge in us-east-1"


def test_a_job_that_fails_keeps_its_sentence(hosting: SmallHosting, aws_settings: Settings) -> None:
    hosting.statuses, hosting.failure = ("Failed",), "No capacity."
    store = open_store(aws_settings.store_url)
    jobs, identity = open_jobs(aws_settings, store), open_identity(aws_settings, store)
    started = start_deployment(jobs, identity, user(Role.ADMIN), HUB)
    Worker(jobs).run(started.id)
    failed = jobs.find(started.id)
    assert failed is not None
    assert failed.state is JobState.FAILED
    assert "No capacity. Deleted again: endpoint bart" in failed.error
