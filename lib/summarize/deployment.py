"""A summarization model on SageMaker: what is deployed, and what that takes and costs.

"Text summarization with Amazon SageMaker and Hugging Face" (AWS Machine Learning Blog) has three
ways to a summary:

1. the summarization pipeline in the notebook: the abstractive models on this machine,
   without anything here;
2. an endpoint with a pre-trained model of the Hugging Face hub: `HubModel`;
3. an endpoint with a trained model: `StoredModel` for a model.tar.gz that is on S3 already,
   `LocalModel` for a folder or archive of this machine, which is packed and uploaded first.

`plan` tells all of it before anything is done; `lib.summarize.sagemaker_hosting` does it.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from lib.aws import check_shape, iam_action
from lib.prices import REGION, Price

ARCHIVE = "model.tar.gz"
TASK = {"HF_TASK": "summarization"}
TAG = "sightline-deployment"  # on all that a deployment makes, so that nothing else is deleted
VARIANT = "AllTraffic"

_HUB_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"(?:[\w.!*'()-]+/)*[\w.!*'()-]+", re.ASCII)
_ARCHIVE_URI = re.compile(r"s3://([^/]+)/(\S+\.tar\.gz)")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+){1,3}-\d")
_OTHER_CHIPS = re.compile(r"ml\.(?:[a-z]+\d+g[a-z]*|inf\d+|trn\d+[a-z]*|dl\d+)\.")


class DeploymentError(ValueError):
    """A deployment that cannot work or did not; the message says why and what to do."""


@dataclass(frozen=True)
class HubModel:
    """A model that the container downloads from the Hugging Face hub when it starts."""

    model_id: str

    def __post_init__(self) -> None:
        """Refuse what is no id of the hub."""
        if not _HUB_ID.fullmatch(self.model_id) or re.search(r"\.\.|--", self.model_id):
            raise DeploymentError(
                "A Hugging Face id looks like sshleifer/distilbart-cnn-12-6: letters, digits, "
                "'-', '_' and '.', with one '/'."
            )


@dataclass(frozen=True)
class StoredModel:
    """A model.tar.gz on S3."""

    uri: str

    def __post_init__(self) -> None:
        """Refuse what is no archive on S3."""
        found = _ARCHIVE_URI.fullmatch(self.uri)
        if found is None or not _BUCKET.fullmatch(found[1]):
            raise DeploymentError(
                "The model on S3 is named like s3://my-bucket/models/model.tar.gz; "
                "correct the bucket or the ending."
            )


@dataclass(frozen=True)
class LocalModel:
    """A folder or tar.gz of this machine, and the bucket and prefix it is uploaded to."""

    path: str
    bucket: str
    prefix: str = "models"

    def __post_init__(self) -> None:
        """Refuse relative paths and impossible places on S3."""
        if not Path(self.path).is_absolute():
            raise DeploymentError("The model's folder or archive needs its whole path, from /.")
        if not _BUCKET.fullmatch(self.bucket):
            raise DeploymentError(
                "An S3 bucket's name has 3 to 63 lower-case letters, digits, '.' and '-'."
            )
        if not _PREFIX.fullmatch(self.prefix):
            raise DeploymentError("The prefix on S3 looks like models/bart, without spaces.")


Source = HubModel | StoredModel | LocalModel
SOURCES: dict[str, type[HubModel | StoredModel | LocalModel]] = {
    kind.__name__: kind for kind in (HubModel, StoredModel, LocalModel)
}


@dataclass(frozen=True)
class Deployment:
    """A model and the instances it is to run on; model, configuration and endpoint share a name.

    `id` marks what this deployment makes, so that a second attempt finds it again.
    """

    name: str
    source: Source
    role_arn: str
    region: str
    instance_type: str = "ml.m5.xlarge"
    instance_count: int = 1
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        """Refuse what AWS would refuse, by the limits in its own model of the service."""
        broken = tuple(self._broken())
        if broken:
            raise DeploymentError(" ".join(broken))

    @property
    def model_uri(self) -> str | None:
        """Return where the model lies on S3; None where the container takes it from the hub."""
        match self.source:
            case StoredModel(uri):
                return uri
            case LocalModel(bucket=bucket):
                return f"s3://{bucket}/{self.upload_key}"
        return None

    @property
    def upload_key(self) -> str:
        """Return the key of the uploaded archive, which no other deployment has."""
        prefix = self.source.prefix if isinstance(self.source, LocalModel) else ""
        return f"{prefix}/{self.name}-{self.id}/{ARCHIVE}"

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of the container."""
        if isinstance(self.source, HubModel):
            return TASK | {"HF_MODEL_ID": self.source.model_id}
        return TASK

    def to_json(self) -> dict[str, Any]:
        """Return the deployment as a job takes it."""
        source = {"kind": type(self.source).__name__, **asdict(self.source)}
        return asdict(self) | {"source": source}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return the deployment that `to_json` wrote."""
        source = dict(values["source"])
        return cls(**values | {"source": SOURCES[source.pop("kind")](**source)})

    def _broken(self) -> Iterator[str]:
        yield from check_shape("sagemaker", "CreateEndpoint", {"EndpointName": self.name})
        container = {"Environment": self.environment, "ModelDataUrl": self.model_uri}
        model = {"ExecutionRoleArn": self.role_arn, "PrimaryContainer": container}
        yield from check_shape("sagemaker", "CreateModel", model)
        variant = {"InstanceType": self.instance_type, "InitialInstanceCount": self.instance_count}
        variants = {"ProductionVariants": [variant]}
        yield from check_shape("sagemaker", "CreateEndpointConfig", variants)
        if not runs_container(self.instance_type):
            yield (
                f"Hugging Face's container does not run on {self.instance_type} (Graviton, "
                "Inferentia, Trainium or Gaudi): choose one like ml.m5.xlarge or ml.g5.xlarge."
            )
        if not _REGION.fullmatch(self.region):
            yield "A region looks like us-east-1."


def runs_container(instance_type: str) -> bool:
    """Tell whether Hugging Face's container runs on the chips of an instance type."""
    return not _OTHER_CHIPS.match(instance_type)


# ------------------------------------------------------------------------------------- the wire


def model_request(deployment: Deployment, image: str) -> dict[str, Any]:
    """Return the parameters of CreateModel."""
    container = {"Image": image, "Environment": deployment.environment}
    if deployment.model_uri is not None:
        container["ModelDataUrl"] = deployment.model_uri
    return {
        "ModelName": deployment.name,
        "PrimaryContainer": container,
        "ExecutionRoleArn": deployment.role_arn,
        "Tags": tags(deployment),
    }


def configuration_request(deployment: Deployment) -> dict[str, Any]:
    """Return the parameters of CreateEndpointConfig."""
    variant = {
        "VariantName": VARIANT,
        "ModelName": deployment.name,
        "InstanceType": deployment.instance_type,
        "InitialInstanceCount": deployment.instance_count,
    }
    return {
        "EndpointConfigName": deployment.name,
        "ProductionVariants": [variant],
        "Tags": tags(deployment),
    }


def endpoint_request(deployment: Deployment) -> dict[str, Any]:
    """Return the parameters of CreateEndpoint."""
    return {
        "EndpointName": deployment.name,
        "EndpointConfigName": deployment.name,
        "Tags": tags(deployment),
    }


def tags(deployment: Deployment) -> list[dict[str, str]]:
    """Return the tags of all that the deployment makes."""
    return [{"Key": TAG, "Value": deployment.id}]


# ------------------------------------------------------------------------------------- the plan


@dataclass(frozen=True)
class PlannedCall:
    """A call that will be made, or, where `undoing`, made only after a failure or a cancel."""

    service: str
    operation: str
    purpose: str
    undoing: bool = False

    @property
    def permission(self) -> str:
        """Return the IAM action that the call needs."""
        return iam_action(self.service, self.operation)


@dataclass(frozen=True)
class Plan:
    """What a deployment will do and cost, to be read before it starts."""

    deployment: Deployment
    calls: tuple[PlannedCall, ...]
    price: Price | None

    @property
    def usd_per_hour(self) -> float | None:
        """Return the list price of all instances; None where it is not known."""
        price, count = self.price, self.deployment.instance_count
        return None if price is None else price.usd_per_hour * count

    @property
    def cost(self) -> str:
        """Return the cost as a sentence."""
        wanted = self.deployment
        instances = f"{wanted.instance_count} × {wanted.instance_type}"
        if self.price is None or self.usd_per_hour is None:
            return (
                f"The price of {wanted.instance_type} is not known here: look it up on "
                f"aws.amazon.com/sagemaker/pricing. {instances} cost by the hour from creation to "
                "deletion, used or not."
            )
        elsewhere = "" if wanted.region == REGION else f", other than in {wanted.region}"
        return (
            f"About ${self.usd_per_hour:.2f} per hour for {instances}, used or not, until the "
            f"endpoint is deleted (list price of {self.price.as_of} in {REGION}"
            f"{elsewhere}; source: {self.price.source}). Check yours."
        )

    @property
    def permissions(self) -> tuple[str, ...]:
        """Return the IAM actions that the signed-in AWS identity needs."""
        actions = {call.permission for call in self.calls}
        return tuple(sorted(actions | {"sagemaker:AddTags", "iam:PassRole"}))

    @property
    def policy(self) -> str:
        """Return an IAM policy with these permissions, as JSON."""
        wanted = self.deployment
        actions = set(self.permissions)
        on_s3 = sorted(action for action in actions if action.startswith("s3:"))
        statements: list[dict[str, Any]] = [
            {
                "Effect": "Allow",
                "Action": sorted(a for a in actions if a.startswith("sagemaker:")),
                "Resource": "*",
            },
            {"Effect": "Allow", "Action": "iam:PassRole", "Resource": wanted.role_arn},
        ]
        if on_s3 and isinstance(wanted.source, LocalModel):
            partition = wanted.role_arn.split(":")[1]
            there = f"arn:{partition}:s3:::{wanted.source.bucket}/{wanted.source.prefix}/*"
            statements.append({"Effect": "Allow", "Action": on_s3, "Resource": there})
        return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)

    @property
    def role_permissions(self) -> tuple[str, ...]:
        """Return the IAM actions that the execution role needs: image, logs, and the model."""
        return (
            "ecr:GetAuthorizationToken",
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            *(("s3:GetObject",) if self.deployment.model_uri else ()),
        )


def plan(deployment: Deployment, known: Mapping[str, Price]) -> Plan:
    """Return what a deployment will do and cost, by the prices known; makes no call."""
    return Plan(deployment, tuple(_calls(deployment)), known.get(deployment.instance_type))


def _calls(wanted: Deployment) -> Iterator[PlannedCall]:
    uploads = isinstance(wanted.source, LocalModel)
    instances = f"{wanted.instance_count} × {wanted.instance_type}"
    if uploads:
        yield PlannedCall("s3", "CreateMultipartUpload", f"begin the upload to {wanted.model_uri}")
        yield PlannedCall("s3", "UploadPart", "send the packed model, part by part")
        yield PlannedCall("s3", "CompleteMultipartUpload", "put the parts together")
    yield PlannedCall("sagemaker", "CreateModel", f"name container, model and role {wanted.name}")
    yield PlannedCall("sagemaker", "CreateEndpointConfig", f"ask for {instances}")
    yield PlannedCall("sagemaker", "CreateEndpoint", "start them: from here on it costs")
    yield PlannedCall("sagemaker", "DescribeEndpoint", "wait until the endpoint is in service")
    yield PlannedCall("sagemaker-runtime", "InvokeEndpoint", "summarize a short text as a test")
    for operation in ("DescribeEndpointConfig", "DescribeModel", "ListTags"):
        purpose = "make sure that only what this deployment made is deleted"
        yield PlannedCall("sagemaker", operation, purpose, undoing=True)
    for operation in ("DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"):
        purpose = "clean up after a failure or a cancel"
        yield PlannedCall("sagemaker", operation, purpose, undoing=True)
    if uploads:
        yield PlannedCall("s3", "AbortMultipartUpload", "drop an unfinished upload", undoing=True)
        yield PlannedCall("s3", "DeleteObject", "delete the uploaded model", undoing=True)
