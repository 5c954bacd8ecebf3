"""SageMaker Inference Recommender: jobs of the account, their rows, and the way to a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from lib.aws import Aws, AwsError, Invalid, aws_errors, open_aws
from lib.identity import Identity, Role, User, require
from lib.jobs import Job, JobError, Jobs, Report, job
from lib.recommender.aws_job import (
    RecommendationJob,
    group_request,
    job_request,
    model_key,
    package_request,
)
from lib.recommender.model import Metrics, Origin
from lib.recommender.payload import pack
from lib.recommender.tables import FIELDS, MICROSECONDS_FROM, environment_of, name_of
from lib.settings import settings

SERVICE = "sagemaker"
MOST_JOBS = 100
STARTED, STOPPED = "started an Inference Recommender job", "stopped an Inference Recommender job"
UNDER_WAY = frozenset({"PENDING", "IN_PROGRESS", "STOPPING"})
TAKEN = ("already exists", "already existing")


@dataclass(frozen=True)
class JobSummary:
    """A job of the account."""

    name: str
    kind: str
    status: str
    created: datetime
    reason: str = ""


@dataclass(frozen=True)
class JobDetail:
    """A job with its rows, and sentences on what was not measured or failed."""

    name: str
    status: str
    rows: tuple[Metrics, ...]
    ids: tuple[str, ...]  # of the recommendations, in the order of the rows
    notes: tuple[str, ...]

    @property
    def is_under_way(self) -> bool:
        """Tell whether more may come."""
        return self.status in UNDER_WAY


@dataclass(frozen=True)
class KnownModel:
    """A model that the service knows, by which it chooses instances."""

    domain: str
    framework: str
    task: str
    model: str
    framework_version: str


@dataclass(frozen=True)
class ScalingPolicy:
    """What the service recommends for scaling: instances, and the metrics that it aims at."""

    least: int | None
    most: int | None
    invocations: int | None  # an instance and minute
    latency: int | None  # as the service gives it
    targets: tuple[tuple[str, float], ...]


class InferenceRecommender:
    """The service in one region. Every method raises `AwsError`."""

    def __init__(self, aws: Aws, region: str | None = None) -> None:
        self._aws = aws
        self._region = region

    def jobs(self) -> tuple[JobSummary, ...]:
        """Return the newest jobs of the account."""
        operation = "ListInferenceRecommendationsJobs"
        with aws_errors(SERVICE, operation):
            pages = self._client.get_paginator("list_inference_recommendations_jobs").paginate(
                SortBy="CreationTime",
                SortOrder="Descending",
                PaginationConfig={"MaxItems": MOST_JOBS},
            )
            found = [one for page in pages for one in page["InferenceRecommendationsJobs"]]
        return tuple(
            JobSummary(
                one["JobName"],
                one["JobType"],
                one["Status"],
                one["CreationTime"],
                one.get("FailureReason", ""),
            )
            for one in found
        )

    def describe(self, name: str) -> JobDetail:
        """Return a job with its rows; what failed or is not measured is in the notes."""
        with aws_errors(SERVICE, "DescribeInferenceRecommendationsJob"):
            found = self._client.describe_inference_recommendations_job(JobName=name)
        notes = []
        status = found["Status"]
        if status in UNDER_WAY:
            notes.append(f"The job is {status}: more rows may follow.")
        if status == "FAILED":
            notes.append(f"The job failed: {found.get('FailureReason', 'AWS gives no reason.')}")
        rows, ids = [], []
        for one in found.get("InferenceRecommendations", ()):
            row, more = _row(one, found["CreationTime"].date().isoformat())
            rows.append(row)
            ids.append(str(one.get("RecommendationId", "")))
            notes += more
        return JobDetail(name, status, tuple(rows), tuple(ids), tuple(notes))

    def steps(self, name: str) -> tuple[tuple[str, str, str], ...]:
        """Return the job's benchmarks: instance, status, and why it failed."""
        operation = "ListInferenceRecommendationsJobSteps"
        with aws_errors(SERVICE, operation):
            pages = self._client.get_paginator("list_inference_recommendations_job_steps").paginate(
                JobName=name
            )
            found = [one for page in pages for one in page["Steps"]]
        return tuple(
            (
                name_of(one.get("InferenceBenchmark", {}).get("EndpointConfiguration", {})),
                str(one["Status"]),
                str(one.get("InferenceBenchmark", {}).get("FailureReason", "")),
            )
            for one in found
        )

    def stop(self, name: str) -> None:
        """Stop a job."""
        with aws_errors(SERVICE, "StopInferenceRecommendationsJob"):
            self._client.stop_inference_recommendations_job(JobName=name)

    def known_models(self, filters: Mapping[str, str] | None = None) -> tuple[KnownModel, ...]:
        """Return the models that the service knows; `filters` by Domain, Framework, Task or so."""
        given = [{"Name": key, "Value": value} for key, value in (filters or {}).items() if value]
        search = {"SearchExpression": {"Filters": given}} if given else {}
        with aws_errors(SERVICE, "ListModelMetadata"):
            pages = self._client.get_paginator("list_model_metadata").paginate(**search)
            found = [one for page in pages for one in page["ModelMetadataSummaries"]]
        return tuple(
            KnownModel(
                one["Domain"], one["Framework"], one["Task"], one["Model"], one["FrameworkVersion"]
            )
            for one in found
        )

    def scaling(
        self, name: str, recommendation: str, rate: tuple[int, int], cpu: int = 50
    ) -> ScalingPolicy:
        """Return the scaling policy for a row, from least and most invocations a minute.

        `cpu` is the utilisation aimed at for each core, 1 to 100 percent.
        """
        with aws_errors(SERVICE, "GetScalingConfigurationRecommendation"):
            found = self._client.get_scaling_configuration_recommendation(
                InferenceRecommendationsJobName=name,
                RecommendationId=recommendation,
                TargetCpuUtilizationPerCore=cpu,
                ScalingPolicyObjective={
                    "MinInvocationsPerMinute": rate[0],
                    "MaxInvocationsPerMinute": rate[1],
                },
            )
        metric, dynamic = found.get("Metric", {}), found.get("DynamicScalingConfiguration", {})
        return ScalingPolicy(
            dynamic.get("MinCapacity"),
            dynamic.get("MaxCapacity"),
            metric.get("InvocationsPerInstance"),
            metric.get("ModelLatency"),
            tuple(_targets(dynamic.get("ScalingPolicies", ()))),
        )

    def upload(self, bucket: str, key: str, content: bytes) -> None:
        """Put an object on S3."""
        with aws_errors("s3", "PutObject"):
            client = self._aws.client("s3", region=self._region)
            client.put_object(Bucket=bucket, Key=key, Body=content)

    def create_group(self, wanted: RecommendationJob) -> None:
        """Create the model package group, unless an earlier attempt has."""
        try:
            with aws_errors(SERVICE, "CreateModelPackageGroup"):
                self._client.create_model_package_group(**group_request(wanted))
        except Invalid as error:
            if not any(word in error.message for word in TAKEN):
                raise

    def create_package(self, wanted: RecommendationJob) -> str:
        """Create a version of the model package, and return its ARN."""
        with aws_errors(SERVICE, "CreateModelPackage"):
            made = self._client.create_model_package(**package_request(wanted))
        return str(made["ModelPackageArn"])

    def create_job(self, wanted: RecommendationJob, package_arn: str) -> str:
        """Create the job, and return its ARN."""
        with aws_errors(SERVICE, "CreateInferenceRecommendationsJob"):
            made = self._client.create_inference_recommendations_job(
                **job_request(wanted, package_arn)
            )
        return str(made["JobArn"])

    @property
    def _client(self) -> Any:
        return self._aws.client(SERVICE, region=self._region)


def start_job(  # noqa: PLR0913, PLR0917 - who starts what, and with what
    jobs: Jobs,
    identity: Identity,
    aws: Aws,
    user: User,
    wanted: RecommendationJob,
    samples: Sequence[bytes],
    model: bytes = b"",
) -> Job:
    """Return the background job that registers a model and starts a job on AWS.

    Payload and, where it is given, the model's archive are uploaded at once, as pasted texts must
    not lie in the store. Raises
    `PermissionRefused` unless the user is admin, and `AwsError`.
    """
    require(user, Role.ADMIN)
    service = InferenceRecommender(aws)
    if model:
        service.upload(wanted.bucket, model_key(wanted.name), model)
    service.upload(wanted.bucket, wanted.payload_key, pack(samples))
    identity.record(user.username, STARTED, wanted.name, f"{len(wanted.instances)} instance types")
    return jobs.submit(
        recommend,
        title=f"Start {wanted.name} on Inference Recommender",
        owner=user.username,
        wanted=wanted.to_json(),
    )


def stop_job(aws: Aws, identity: Identity, user: User, name: str) -> None:
    """Stop a job of the account; raises `PermissionRefused` unless the user is admin."""
    require(user, Role.ADMIN)
    InferenceRecommender(aws).stop(name)
    identity.record(user.username, STOPPED, name, "")


@job()
def recommend(report: Report, wanted: dict[str, Any]) -> dict[str, Any]:
    """Register the model, start the job, and return its name.

    Nothing is deleted after a failure: a group, a version and a payload cost nothing to speak of.
    """
    planned = RecommendationJob.from_json(wanted)
    service = InferenceRecommender(open_aws(settings()))
    try:
        report(0.2, "Registering the model")
        service.create_group(planned)
        package = service.create_package(planned)
        report(0.8, "Starting the job")
        service.create_job(planned, package)
    except AwsError as error:
        raise JobError(str(error)) from error
    return {"job": planned.name, "package": package}


def _row(found: Mapping[str, Any], price_date: str) -> tuple[Metrics, tuple[str, ...]]:
    metrics = found.get("Metrics", {})
    name = name_of(found.get("EndpointConfiguration", {})) or "unknown"
    values: dict[str, Any] = {}
    missing = []
    for theirs, ours in FIELDS.items():
        value = metrics.get(theirs)
        if value is None:
            continue
        if isfinite(value):
            values[ours] = float(value)
        else:
            missing.append(theirs)
    notes = [f"{name}: {', '.join(missing)} not measured."] if missing else []
    if values.get("model_latency", 0) > MICROSECONDS_FROM:
        values["model_latency"] /= 1000
        notes.append(f"{name}: ModelLatency was taken as microseconds, as until 2022.")
    variables = found.get("ModelConfiguration", {}).get("EnvironmentParameters", [])
    return Metrics(
        name, Origin.AWS, price_date=price_date, environment=environment_of(variables), **values
    ), tuple(notes)


def _targets(policies: Sequence[Mapping[str, Any]]) -> Sequence[tuple[str, float]]:
    found = []
    for policy in policies:
        target = policy.get("TargetTracking", {})
        specified = target.get("MetricSpecification", {})
        for kind in ("Predefined", "Customized"):
            one = specified.get(kind)
            if one:
                name = one.get("PredefinedMetricType") or one.get("MetricName", kind)
                found.append((str(name), float(target.get("TargetValue", 0.0))))
    return found
