"""Training jobs of the account: their profiler's state, its rules, its output, and its switch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lib.aws import Aws, AwsError, aws_errors, open_aws
from lib.identity import Identity, Role, User, require
from lib.jobs import Job, JobError, Jobs, Report, job
from lib.settings import settings
from lib.training.model import TrainingError
from lib.training.runs import runs_folder

SERVICE = "sagemaker"
MOST_JOBS = 50
INTERVALS = (100, 200, 500, 1_000, 5_000, 60_000)  # milliseconds that the service samples at
SWITCHED = "switched the profiler of a training job"
_URI = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/?(.*)")


@dataclass(frozen=True)
class TrainingJob:
    """A training job as it is listed."""

    name: str
    status: str
    created: datetime


@dataclass(frozen=True)
class ProfiledJob:
    """A training job with its profiler: on or off, where it writes, and what its rules say."""

    name: str
    status: str
    instance: str
    instances: int
    profiling: str  # Enabled, Disabled, or empty where the service says nothing
    output: str  # s3:// of profiler-output; empty without one
    rules: tuple[tuple[str, str, str], ...]  # rule, status, details


class TrainingJobs:
    """The service. Every method raises `AwsError`."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def jobs(self) -> tuple[TrainingJob, ...]:
        """Return the newest training jobs."""
        with aws_errors(SERVICE, "ListTrainingJobs"):
            pages = self._client.get_paginator("list_training_jobs").paginate(
                SortBy="CreationTime",
                SortOrder="Descending",
                PaginationConfig={"MaxItems": MOST_JOBS},
            )
            found = [one for page in pages for one in page["TrainingJobSummaries"]]
        return tuple(
            TrainingJob(one["TrainingJobName"], one["TrainingJobStatus"], one["CreationTime"])
            for one in found
        )

    def describe(self, name: str) -> ProfiledJob:
        """Return a job with its profiler."""
        with aws_errors(SERVICE, "DescribeTrainingJob"):
            found = self._client.describe_training_job(TrainingJobName=name)
        config = found.get("ProfilerConfig", {})
        output = config.get("S3OutputPath", "")
        resources = found.get("ResourceConfig", {})
        rules = tuple(
            (
                one["RuleConfigurationName"],
                one.get("RuleEvaluationStatus", ""),
                one.get("StatusDetails", ""),
            )
            for one in found.get("ProfilerRuleEvaluationStatuses", ())
        )
        return ProfiledJob(
            name,
            found["TrainingJobStatus"],
            resources.get("InstanceType", ""),
            resources.get("InstanceCount", 1),
            found.get("ProfilingStatus", ""),
            f"{output.rstrip('/')}/{name}/profiler-output" if output else "",
            rules,
        )

    def switch(self, name: str, *, on: bool, output: str = "", interval: int = 500) -> None:
        """Switch the profiler of a running job on or off."""
        config: dict[str, Any] = {"DisableProfiler": not on}
        if on:
            config["ProfilingIntervalInMilliseconds"] = interval
            if output:
                config["S3OutputPath"] = output
        with aws_errors(SERVICE, "UpdateTrainingJob"):
            self._client.update_training_job(TrainingJobName=name, ProfilerConfig=config)

    def fetch(self, uri: str, folder: Path, report: Callable[[float, str], None]) -> int:
        """Copy the files of profiler-output that are new, and return how many there are.

        What is there with the same size is not copied again, so that a running job is followed.
        Raises `TrainingError` where the address is none of S3 or holds nothing.
        """
        found = _URI.fullmatch(uri.rstrip("/"))
        if found is None:
            raise TrainingError("The place on S3 looks like s3://bucket/job/profiler-output.")
        bucket, prefix = found[1], found[2].rstrip("/") + "/"
        client = self._aws.client("s3")
        with aws_errors("s3", "ListObjectsV2"):
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            objects = [one for page in pages for one in page.get("Contents", ())]
        if not objects:
            raise TrainingError(f"There is nothing at {uri}. The profiler writes once a minute.")
        for number, one in enumerate(objects):
            report(number / len(objects), f"Copying {number + 1} of {len(objects)} files")
            path = (folder / one["Key"].removeprefix(prefix)).resolve()
            if not path.is_relative_to(folder.resolve()):
                continue  # a key such as ../x
            if path.is_file() and path.stat().st_size == one["Size"]:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with aws_errors("s3", "GetObject"):
                client.download_file(bucket, one["Key"], str(path))
        return len(objects)

    @property
    def _client(self) -> Any:
        return self._aws.client(SERVICE)


def profiler_configuration(output: str, interval: int = 500) -> str:
    """Return the part of CreateTrainingJob that switches the profiler on, as JSON."""
    return json.dumps(
        {"ProfilerConfig": {"S3OutputPath": output, "ProfilingIntervalInMilliseconds": interval}},
        indent=2,
    )


def switch_profiler(  # noqa: PLR0913 - who switches what
    aws: Aws, identity: Identity, user: User, name: str, *, on: bool, output: str = ""
) -> None:
    """Switch the profiler of a job; raises `PermissionRefused` unless the user is admin."""
    require(user, Role.ADMIN)
    TrainingJobs(aws).switch(name, on=on, output=output)
    identity.record(user.username, SWITCHED, name, "on" if on else "off")


def start_fetch(jobs: Jobs, owner: str, uri: str, name: str) -> Job:
    """Return the job that copies a profile from S3, under a name of its own."""
    return jobs.submit(
        fetch_profile, title=f"Copy the profile {name}", owner=owner, uri=uri, name=name
    )


@job(max_attempts=3)
def fetch_profile(report: Report, uri: str, name: str) -> dict[str, Any]:
    """Copy profiler output from S3 among the runs, and return its name and number of files."""
    try:
        files = TrainingJobs(open_aws(settings())).fetch(
            uri, runs_folder(settings()) / name / "profiler-output", report
        )
    except (AwsError, TrainingError) as error:
        raise JobError(str(error)) from error
    return {"run": name, "files": files}
