"""A job of SageMaker Inference Recommender as it is planned: what is called, and what it costs.

The way of "Text summarization with Amazon SageMaker and Hugging Face" (AWS Machine Learning Blog):
payload and model on S3, a model package group, a version of it, a Default or Advanced job. Limits
are those of botocore's model of the service and of its documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from math import prod
from typing import Any, Self

from lib.aws import check_shape
from lib.prices import Price

DEFAULT_MINUTES, ADVANCED_MINUTES = 45, 120  # that jobs take, by the documentation
MOST_SECONDS = 18_000  # of an Advanced job
MOST_TESTS = 10  # of an Advanced job, by the documentation, as the limits below
MOST_INVOCATIONS = 30_000  # a minute
PERCENTILES = ("P95", "P99")
TRAFFIC_KINDS = ("PHASES", "STAIRS")
_URI = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/\S+\.tar\.gz")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class JobPlanError(ValueError):
    """A job that AWS would refuse; the message says why and what to do."""


class JobType(StrEnum):
    """Default: recommended instances within 45 minutes. Advanced: your own load on your own set."""

    DEFAULT = "Default"
    ADVANCED = "Advanced"


@dataclass(frozen=True)
class Traffic:
    """The load of an Advanced job: phases of users that come, or stairs.

    A user sends one request after the other. `spawn` is users a minute in phases.
    """

    kind: str = "PHASES"
    seconds: int = 120
    users: int = 1
    spawn: int = 1
    steps: int = 3

    def __post_init__(self) -> None:
        if self.kind not in TRAFFIC_KINDS:
            raise JobPlanError(f"A load is {' or '.join(TRAFFIC_KINDS)}, not {self.kind!r}.")
        if not (1 <= self.users <= 3 and 0 <= self.spawn <= 3):  # noqa: PLR2004 - AWS's limits
            raise JobPlanError("A load begins with 1 to 3 users, and up to 3 come a minute.")
        if not 120 <= self.seconds <= 3_600:  # noqa: PLR2004 - AWS's limits
            raise JobPlanError("A step of the load takes 120 to 3,600 seconds.")

    def request(self) -> dict[str, Any]:
        """Return the TrafficPattern."""
        if self.kind == "STAIRS":
            stairs = {
                "DurationInSeconds": self.seconds,
                "NumberOfSteps": self.steps,
                "UsersPerStep": self.users,
            }
            return {"TrafficType": "STAIRS", "Stairs": stairs}
        phase = {
            "InitialNumberOfUsers": self.users,
            "SpawnRate": self.spawn,
            "DurationInSeconds": self.seconds,
        }
        return {"TrafficType": "PHASES", "Phases": [phase]}


@dataclass(frozen=True)
class RecommendationJob:
    """A job and the model package that it tests; raises `JobPlanError` where AWS would refuse it.

    `ranges` are values of environment variables that an Advanced job tries.
    """

    name: str
    role_arn: str
    bucket: str
    model_uri: str
    image: str
    domain: str
    task: str
    framework: str
    framework_version: str
    nearest_model: str
    instances: tuple[str, ...]
    kind: JobType = JobType.DEFAULT
    traffic: Traffic = field(default_factory=Traffic)
    seconds: int = 7_200
    most_tests: int = 10
    most_parallel: int = 3
    most_invocations: int = 30_000
    latency_ms: int = 500
    percentile: str = "P95"
    stop_when_flat: bool = True
    ranges: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __post_init__(self) -> None:
        broken = tuple(self._broken())
        if broken:
            raise JobPlanError(" ".join(broken))

    @property
    def payload_key(self) -> str:
        """Return the key of the payload on S3."""
        return f"sagemaker/inference-recommender/{self.name}/payload.tar.gz"

    @property
    def payload_uri(self) -> str:
        """Return where the payload lies on S3."""
        return f"s3://{self.bucket}/{self.payload_key}"

    def to_json(self) -> dict[str, Any]:
        """Return the job as a background job takes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the job that `to_json` wrote."""
        return cls(
            **{
                **values,
                "kind": JobType(values["kind"]),
                "traffic": Traffic(**values["traffic"]),
                "instances": tuple(values["instances"]),
                "ranges": tuple((name, tuple(some)) for name, some in values["ranges"]),
            }
        )

    def _broken(self) -> Iterator[str]:
        if not _URI.fullmatch(self.model_uri):
            yield "The model is named like s3://my-bucket/models/model.tar.gz."
        if not _BUCKET.fullmatch(self.bucket):
            yield "An S3 bucket's name has 3 to 63 lower-case letters, digits, '.' and '-'."
        if not self.instances:
            yield "Choose at least one instance type."
        if self.kind is JobType.ADVANCED and len(self.instances) > 10:  # noqa: PLR2004 - AWS's limit
            yield f"An Advanced job takes 10 instance types; {len(self.instances)} are chosen."
        if self.kind is JobType.ADVANCED and self.seconds > MOST_SECONDS:
            yield f"An Advanced job lasts {MOST_SECONDS:,} seconds at most."
        if self.most_parallel > self.most_tests:
            yield "No more tests can run at once than there are tests."
        if not 1 <= self.most_tests <= MOST_TESTS:
            yield f"An Advanced job runs 1 to {MOST_TESTS} tests, not {self.most_tests}."
        if not 1 <= self.most_invocations <= MOST_INVOCATIONS:
            yield f"A job stops at 1 to {MOST_INVOCATIONS:,} invocations a minute."
        if self.percentile not in PERCENTILES or self.latency_ms < 1:
            yield f"A job stops at {' or '.join(PERCENTILES)} of 1 ms or more."
        yield from check_shape("sagemaker", "CreateModelPackageGroup", group_request(self))
        yield from check_shape("sagemaker", "CreateModelPackage", package_request(self))
        request = job_request(self, "arn:aws:sagemaker:us-east-1:123456789012:model-package/m/1")
        yield from check_shape("sagemaker", "CreateInferenceRecommendationsJob", request)


def model_key(name: str) -> str:
    """Return the key on S3 of an uploaded model archive."""
    return f"sagemaker/inference-recommender/{name}/model.tar.gz"


def group_request(wanted: RecommendationJob) -> dict[str, Any]:
    """Return the parameters of CreateModelPackageGroup."""
    return {
        "ModelPackageGroupName": wanted.name,
        "ModelPackageGroupDescription": "Made by Sightline for Inference Recommender",
    }


def package_request(wanted: RecommendationJob) -> dict[str, Any]:
    """Return the parameters of CreateModelPackage."""
    container = {
        "Image": wanted.image,
        "ModelDataUrl": wanted.model_uri,
        "Framework": wanted.framework,
        "FrameworkVersion": wanted.framework_version,
        "NearestModelName": wanted.nearest_model,
    }
    return {
        "ModelPackageGroupName": wanted.name,
        "ModelPackageDescription": "Made by Sightline for Inference Recommender",
        "Domain": wanted.domain,
        "Task": wanted.task,
        "SamplePayloadUrl": wanted.payload_uri,
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedRealtimeInferenceInstanceTypes": list(wanted.instances),
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    }


def job_request(wanted: RecommendationJob, package_arn: str) -> dict[str, Any]:
    """Return the parameters of CreateInferenceRecommendationsJob."""
    request: dict[str, Any] = {
        "JobName": wanted.name,
        "JobDescription": "Made by Sightline",
        "JobType": str(wanted.kind),
        "RoleArn": wanted.role_arn,
        "InputConfig": {"ModelPackageVersionArn": package_arn},
    }
    if wanted.kind is JobType.DEFAULT:
        return request
    ranges = [{"Name": name, "Value": list(values)} for name, values in wanted.ranges]
    endpoints: list[dict[str, Any]] = [{"InstanceType": name} for name in wanted.instances]
    if ranges:
        for one in endpoints:
            one["EnvironmentParameterRanges"] = {"CategoricalParameterRanges": ranges}
    request["InputConfig"] |= {
        "JobDurationInSeconds": wanted.seconds,
        "TrafficPattern": wanted.traffic.request(),
        "ResourceLimit": {
            "MaxNumberOfTests": wanted.most_tests,
            "MaxParallelOfTests": wanted.most_parallel,
        },
        "EndpointConfigurations": endpoints,
    }
    threshold = {"Percentile": wanted.percentile, "ValueInMilliseconds": wanted.latency_ms}
    request["StoppingConditions"] = {
        "MaxInvocations": wanted.most_invocations,
        "ModelLatencyThresholds": [threshold],
        "FlatInvocations": "Stop" if wanted.stop_when_flat else "Continue",
    }
    return request


def cost_words(wanted: RecommendationJob, known: Mapping[str, Price]) -> str:
    """Return what a job costs, in a sentence with the date of the prices.

    Each combination of the environment is a test with an instance of its own, so an Advanced job
    may run a type several times at once, up to `most_parallel` instances in all: that is a bound. A
    Default job leaves to AWS what runs at once, so for it there is an estimate only.
    """
    minutes = DEFAULT_MINUTES if wanted.kind is JobType.DEFAULT else wanted.seconds / 60
    unknown = [name for name in wanted.instances if name not in known]
    priced = _at_once(wanted, [known[name] for name in wanted.instances if name in known])
    ends = "The job ends its instances itself."
    if not priced:
        return (
            f"What it costs is not known: there is no price of {', '.join(unknown)} here. Enter "
            f"one under Prices. {ends}"
        )
    most = sum(price.usd_per_hour for price in priced) * minutes / 60
    count = f"{len(priced)} instance{'s' if len(priced) > 1 else ''} at once"
    text = f"{count} for up to {minutes:.0f} minutes (list prices of {_dates(priced)})"
    if not unknown:
        bound = "About" if wanted.kind is JobType.DEFAULT else "At most about"
        return f"{bound} ${most:,.2f}: {text}. {ends}"
    return (
        f"About ${most:,.2f} and more: {text}; the price of {', '.join(unknown)} is not known "
        f"here and comes on top. {ends}"
    )


def _at_once(wanted: RecommendationJob, found: Sequence[Price]) -> tuple[Price, ...]:
    """Return the prices of the dearest instances that can run at the same time."""
    if wanted.kind is JobType.DEFAULT:
        return tuple(found)
    combinations = prod(len(values) for _, values in wanted.ranges)
    dearest = sorted(found, key=lambda one: one.usd_per_hour, reverse=True)
    copies = [one for one in dearest for _ in range(combinations)]
    return tuple(copies[: min(wanted.most_parallel, wanted.most_tests)])


def _dates(found: Sequence[Price]) -> str:
    return ", ".join(sorted({one.as_of for one in found}))
