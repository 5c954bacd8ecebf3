from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lib.aws import AwsError, open_aws
from lib.identity import PermissionRefused, Role, SignInMethod, User, open_identity
from lib.jobs import JobError
from lib.settings import Settings
from lib.store import open_store
from lib.training.model import TrainingError
from lib.training.runs import runs_folder
from lib.training.sagemaker_jobs import (
    TrainingJobs,
    fetch_profile,
    profiler_configuration,
    switch_profiler,
)
from tests.aws.double import AwsDouble, WireError
from tests.aws.fixtures import aws_double, aws_settings, no_aws

__all__ = ["aws_double", "aws_settings", "no_aws"]

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/bert"


def described(**more: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": "bert", "TrainingJobArn": ARN, "TrainingJobStatus": "InProgress",
        "ModelArtifacts": {"S3ModelArtifacts": "s3://b/m"}, "SecondaryStatus": "Training",
        "AlgorithmSpecification": {"TrainingInputMode": "File"}, "CreationTime": NOW,
        "ResourceConfig": {"InstanceType": "ml.p3.2xlarge", "InstanceCount": 2,
                           "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "ProfilerConfig": {"S3OutputPath": "s3://my-bucket/profiler/"},
        "ProfilingStatus": "Enabled",
        "ProfilerRuleEvaluationStatuses": [
            {"RuleConfigurationName": "LowGPUUtilization", "RuleEvaluationStatus": "IssuesFound",
             "StatusDetails": "p95 under 70"}
        ],
        **more,
    }  # fmt: skip


def test_jobs_and_their_profilers_are_told(aws_double: AwsDouble, aws_settings: Settings) -> None:
    summary = {"TrainingJobName": "bert", "TrainingJobArn": ARN, "CreationTime": NOW,
               "TrainingJobStatus": "InProgress"}  # fmt: skip
    aws_double.on("sagemaker", "ListTrainingJobs", {"TrainingJobSummaries": [summary]})
    aws_double.on("sagemaker", "DescribeTrainingJob", described())
    service = TrainingJobs(open_aws(aws_settings))
    assert [one.name for one in service.jobs()] == ["bert"]
    found = service.describe("bert")
    assert found.output == "s3://my-bucket/profiler/bert/profiler-output"
    assert (found.instance, found.instances, found.profiling) == ("ml.p3.2xlarge", 2, "Enabled")
    assert found.rules == (("LowGPUUtilization", "IssuesFound", "p95 under 70"),)


def test_the_profiler_is_switched_by_administrators(
    aws_double: AwsDouble, aws_settings: Settings, tmp_path: Path
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    identity, aws = open_identity(aws_settings, store), open_aws(aws_settings)
    admin = User("ann", "Ann", "", Role.ADMIN, SignInMethod.PASSWORD)
    analyst = User("bob", "Bob", "", Role.ANALYST, SignInMethod.PASSWORD)
    aws_double.on("sagemaker", "UpdateTrainingJob", {"TrainingJobArn": ARN})
    switch_profiler(aws, identity, admin, "bert", on=False)
    switch_profiler(aws, identity, admin, "bert", on=True, output="s3://b/p")
    off, on = aws_double.called("sagemaker", "UpdateTrainingJob")
    assert off["ProfilerConfig"] == {"DisableProfiler": True}
    assert on["ProfilerConfig"]["ProfilingIntervalInMilliseconds"] == 500
    with pytest.raises(PermissionRefused):
        switch_profiler(aws, identity, analyst, "bert", on=False)
    denied = WireError("AccessDeniedException", "no", 400)
    aws_double.fail("sagemaker", "UpdateTrainingJob", denied)
    with pytest.raises(AwsError, match="sagemaker:UpdateTrainingJob"):
        switch_profiler(aws, identity, admin, "bert", on=False)
    store.close()


def test_a_profile_is_copied_from_s3_and_only_what_is_new(
    aws_settings: Settings, no_aws: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = aws_settings.model_copy(update={"data_dir": tmp_path})
    no_aws.setattr("lib.training.sagemaker_jobs.settings", lambda: now)
    uri = "s3://my-bucket/bert/profiler-output"
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="my-bucket")
        key = "bert/profiler-output/system/incremental/2020091312/1600000020.algo-1.json"
        s3.put_object(Bucket="my-bucket", Key=key, Body=b"{}")
        s3.put_object(Bucket="my-bucket", Key="bert/profiler-output/../../x", Body=b"out")
        done = fetch_profile(lambda *_: None, uri, "bert")
        assert done == {"run": "bert", "files": 2}
        place = runs_folder(now) / "bert" / "profiler-output"
        [file] = [one for one in place.rglob("*") if one.is_file()]
        assert file.name == "1600000020.algo-1.json"
        file.write_bytes(b"[]")  # of the same size: it is not copied again
        fetch_profile(lambda *_: None, uri, "bert")
        assert file.read_bytes() == b"[]"
        with pytest.raises(JobError, match="nothing at s3://my-bucket/none"):
            fetch_profile(lambda *_: None, "s3://my-bucket/none", "none")
        with pytest.raises(JobError, match="NoSuchBucket"):
            fetch_profile(lambda *_: None, "s3://other-bucket/x", "none")


def test_what_is_no_place_on_s3_is_refused(aws_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="looks like s3://"):
        TrainingJobs(open_aws(aws_settings)).fetch("bucket/x", tmp_path, lambda *_: None)


def test_the_configuration_of_a_new_job_fits_its_request() -> None:
    from lib.aws import check_shape

    request = json.loads(profiler_configuration("s3://b/p", 1_000))
    assert check_shape("sagemaker", "CreateTrainingJob", request) == ()
    assert request["ProfilerConfig"]["ProfilingIntervalInMilliseconds"] == 1_000
