from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lib.aws import AwsError, QuotaReached, open_aws
from lib.identity import PermissionRefused, Role, SignInMethod, User, open_identity
from lib.jobs import JobError, open_jobs
from lib.prices import TABLE, Price, read_prices
from lib.recommender.aws_job import (
    JobPlanError,
    JobType,
    RecommendationJob,
    Traffic,
    cost_words,
    job_request,
)
from lib.recommender.inference_recommender import (
    InferenceRecommender,
    recommend,
    start_job,
    stop_job,
)
from lib.recommender.model import Origin, identity_holds
from lib.settings import Settings
from lib.store import open_store
from tests.aws.double import AwsDouble, Params, WireError
from tests.aws.fixtures import aws_double, aws_settings, no_aws

__all__ = ["aws_double", "aws_settings", "no_aws"]

PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/summarization/1"
JOB = "arn:aws:sagemaker:us-east-1:123456789012:inference-recommendations-job/summarization"
ROLE = "arn:aws:iam::123456789012:role/sagemaker"
ADMIN = User("ann", "Ann", "", Role.ADMIN, SignInMethod.PASSWORD)
CREATED = datetime(2026, 11, 1, tzinfo=UTC)
WANTED = RecommendationJob(
    name="summarization",
    role_arn=ROLE,
    bucket="my-bucket",
    model_uri="s3://my-bucket/models/model.tar.gz",
    image="123456789012.dkr.ecr.us-east-1.amazonaws.com/pytorch:1",
    domain="NATURAL_LANGUAGE_PROCESSING",
    task="FILL_MASK",
    framework="PYTORCH",
    framework_version="1.6.0",
    nearest_model="bert-base-cased",
    instances=("ml.c5.xlarge", "ml.m5.xlarge"),
)
METRICS = {
    "CostPerHour": 0.204,
    "CostPerInference": 4.4854e-06,
    "MaxInvocations": 758,
    "ModelLatency": 628,
    "CpuUtilization": "NaN",
    "MemoryUtilization": "NaN",
}


def described(status: str = "COMPLETED", **more: Any) -> dict[str, Any]:
    one = {
        "RecommendationId": "summarization/1",
        "Metrics": {**METRICS, "CpuUtilization": float("nan"), "MemoryUtilization": float("nan")},
        "EndpointConfiguration": {
            "EndpointName": "sm-epc-1", "VariantName": "sm-epc-1", "InstanceType": "ml.c5.xlarge",
            "InitialInstanceCount": 1,
        },
        "ModelConfiguration": {
            "EnvironmentParameters": [{"Key": "OMP", "ValueType": "string", "Value": "1"}]
        },
    }  # fmt: skip
    return {
        "JobName": "summarization", "JobType": "Default", "JobArn": JOB, "RoleArn": ROLE,
        "Status": status, "CreationTime": CREATED, "LastModifiedTime": CREATED,
        "InputConfig": {"ModelPackageVersionArn": PACKAGE},
        "InferenceRecommendations": [one], **more,
    }  # fmt: skip


@pytest.fixture
def service(aws_double: AwsDouble, aws_settings: Settings) -> InferenceRecommender:
    assert aws_double.calls == []
    return InferenceRecommender(open_aws(aws_settings))


def test_jobs_are_listed_over_pages(aws_double: AwsDouble, service: InferenceRecommender) -> None:
    def answer(params: Params) -> dict[str, Any]:
        name = "second" if "NextToken" in params else "first"
        job = {
            "JobName": name, "JobDescription": "", "JobType": "Default", "JobArn": JOB,
            "Status": "COMPLETED", "CreationTime": CREATED, "RoleArn": ROLE,
            "LastModifiedTime": CREATED,
        }  # fmt: skip
        more = {} if "NextToken" in params else {"NextToken": "more"}
        return {"InferenceRecommendationsJobs": [job], **more}

    aws_double.on("sagemaker", "ListInferenceRecommendationsJobs", answer)
    assert [one.name for one in service.jobs()] == ["first", "second"]


def test_a_job_gives_rows_and_says_what_was_not_measured(
    aws_double: AwsDouble, service: InferenceRecommender
) -> None:
    aws_double.on("sagemaker", "DescribeInferenceRecommendationsJob", described())
    found = service.describe("summarization")
    [row] = found.rows
    assert (row.configuration, row.origin) == ("ml.c5.xlarge", Origin.AWS)
    assert (row.max_invocations, row.model_latency) == (758, 628)
    assert row.cpu_utilization is None
    assert row.environment == (("OMP", "1"),)
    assert identity_holds(row)
    assert found.notes == ("ml.c5.xlarge: CpuUtilization, MemoryUtilization not measured.",)
    assert not found.is_under_way


def test_an_old_job_counts_in_microseconds(
    aws_double: AwsDouble, service: InferenceRecommender
) -> None:
    answer = described()
    answer["InferenceRecommendations"][0]["Metrics"]["ModelLatency"] = 263_596
    aws_double.on("sagemaker", "DescribeInferenceRecommendationsJob", answer)
    found = service.describe("summarization")
    assert found.rows[0].model_latency == pytest.approx(263.596)
    assert "microseconds" in found.notes[1]


@pytest.mark.parametrize(
    ("status", "more", "said"),
    [
        ("FAILED", {"FailureReason": "The image has no server."}, "failed: The image has no"),
        ("IN_PROGRESS", {}, "IN_PROGRESS: more rows may follow"),
    ],
)
def test_a_job_that_failed_or_runs_says_so(
    aws_double: AwsDouble,
    service: InferenceRecommender,
    status: str,
    more: dict[str, str],
    said: str,
) -> None:
    answer = described(status, **more)
    del answer["InferenceRecommendations"]
    aws_double.on("sagemaker", "DescribeInferenceRecommendationsJob", answer)
    found = service.describe("summarization")
    assert found.rows == ()
    assert said in found.notes[0]


def test_steps_tell_which_benchmark_failed(
    aws_double: AwsDouble, service: InferenceRecommender
) -> None:
    benchmark = {
        "EndpointConfiguration": {
            "EndpointName": "e", "VariantName": "v", "InstanceType": "ml.inf1.xlarge"
        },
        "ModelConfiguration": {},
        "FailureReason": "No capacity.",
    }  # fmt: skip
    step = {"StepType": "BENCHMARK", "JobName": "j", "Status": "FAILED",
            "InferenceBenchmark": benchmark}  # fmt: skip
    aws_double.on("sagemaker", "ListInferenceRecommendationsJobSteps", {"Steps": [step]})
    assert service.steps("j") == (("ml.inf1.xlarge", "FAILED", "No capacity."),)


def test_known_models_are_filtered_on_aws(
    aws_double: AwsDouble, service: InferenceRecommender
) -> None:
    model = {
        "Domain": "NATURAL_LANGUAGE_PROCESSING", "Framework": "PYTORCH", "Task": "FILL_MASK",
        "Model": "bert-base-cased", "FrameworkVersion": "1.6.0",
    }  # fmt: skip
    aws_double.on("sagemaker", "ListModelMetadata", {"ModelMetadataSummaries": [model]})
    [found] = service.known_models({"Domain": "NATURAL_LANGUAGE_PROCESSING", "Framework": ""})
    assert found.model == "bert-base-cased"
    [asked] = aws_double.called("sagemaker", "ListModelMetadata")
    assert asked["SearchExpression"]["Filters"] == [
        {"Name": "Domain", "Value": "NATURAL_LANGUAGE_PROCESSING"}
    ]


def test_a_scaling_policy_is_asked_for_a_row(
    aws_double: AwsDouble, service: InferenceRecommender
) -> None:
    predefined = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    policy = {"TargetTracking": {"MetricSpecification": {"Predefined": predefined},
                                 "TargetValue": 400.0}}  # fmt: skip
    aws_double.on(
        "sagemaker",
        "GetScalingConfigurationRecommendation",
        {
            "Metric": {"InvocationsPerInstance": 400, "ModelLatency": 600},
            "DynamicScalingConfiguration": {
                "MinCapacity": 1, "MaxCapacity": 3, "ScalingPolicies": [policy]
            },
        },
    )  # fmt: skip
    found = service.scaling("summarization", "summarization/1", (100, 1_000))
    assert (found.least, found.most, found.invocations) == (1, 3, 400)
    assert found.targets == (("SageMakerVariantInvocationsPerInstance", 400.0),)


def answer_creation(double: AwsDouble) -> None:
    group = PACKAGE.replace("model-package/summarization/1", "model-package-group/summarization")
    double.on("sagemaker", "CreateModelPackageGroup", {"ModelPackageGroupArn": group})
    double.on("sagemaker", "CreateModelPackage", {"ModelPackageArn": PACKAGE})
    double.on("sagemaker", "CreateInferenceRecommendationsJob", {"JobArn": JOB})


def test_the_way_of_the_post_from_payload_to_job(
    aws_double: AwsDouble, aws_settings: Settings, tmp_path: Path, no_aws: pytest.MonkeyPatch
) -> None:
    answer_creation(aws_double)
    now = aws_settings.model_copy(update={"data_dir": tmp_path})
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    identity, jobs = open_identity(now, store), open_jobs(now, store)
    no_aws.setattr("lib.recommender.inference_recommender.settings", lambda: now)
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="my-bucket")
        aws = open_aws(now)
        job = start_job(jobs, identity, aws, ADMIN, WANTED, (b'{"inputs": "secret words"}',))
        body = s3.get_object(Bucket="my-bucket", Key=WANTED.payload_key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert archive.getnames() == ["sample-0001.json"]
    assert "secret words" not in (tmp_path / "s.db").read_bytes().decode(errors="ignore")
    assert job.owner == "ann"
    done = recommend(lambda *_: None, WANTED.to_json())
    assert done == {"job": "summarization", "package": PACKAGE}
    [package] = aws_double.called("sagemaker", "CreateModelPackage")
    assert package["SamplePayloadUrl"] == WANTED.payload_uri
    [container] = package["InferenceSpecification"]["Containers"]
    assert container["NearestModelName"] == "bert-base-cased"
    [made] = aws_double.called("sagemaker", "CreateInferenceRecommendationsJob")
    assert made["JobType"] == "Default"
    with pytest.raises(PermissionRefused):
        start_job(jobs, identity, aws, replace(ADMIN, role=Role.ANALYST), WANTED, (b"1",))
    store.close()


def test_a_group_that_is_there_is_good_and_a_quota_is_told(
    aws_double: AwsDouble, aws_settings: Settings, no_aws: pytest.MonkeyPatch
) -> None:
    answer_creation(aws_double)
    no_aws.setattr("lib.recommender.inference_recommender.settings", lambda: aws_settings)
    exists = WireError("ValidationException", "Model Package Group already exists: x")
    aws_double.fail("sagemaker", "CreateModelPackageGroup", exists)
    assert recommend(lambda *_: None, WANTED.to_json())["job"] == "summarization"
    quota = WireError("ResourceLimitExceeded", "The limit 'ml.c5.xlarge for endpoint' is 0.")
    aws_double.fail("sagemaker", "CreateInferenceRecommendationsJob", quota)
    with pytest.raises(JobError, match=r"limit 'ml\.c5\.xlarge"):
        recommend(lambda *_: None, WANTED.to_json())
    aws_double.fail("sagemaker", "CreateInferenceRecommendationsJob", quota)
    with pytest.raises(QuotaReached):
        InferenceRecommender(open_aws(aws_settings)).create_job(WANTED, PACKAGE)


def test_a_job_is_stopped_by_administrators_and_a_missing_permission_is_named(
    aws_double: AwsDouble, aws_settings: Settings, tmp_path: Path
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    identity = open_identity(aws_settings, store)
    aws = open_aws(aws_settings)
    aws_double.on("sagemaker", "StopInferenceRecommendationsJob", {})
    stop_job(aws, identity, ADMIN, "summarization")
    assert identity.audit_log(limit=1)[0].target == "summarization"
    denied = WireError("AccessDeniedException", "no", 400)
    aws_double.fail("sagemaker", "StopInferenceRecommendationsJob", denied)
    with pytest.raises(AwsError, match="sagemaker:StopInferenceRecommendationsJob"):
        stop_job(aws, identity, ADMIN, "summarization")
    store.close()


def test_an_advanced_job_carries_load_limits_and_environment() -> None:
    wanted = replace(
        WANTED,
        kind=JobType.ADVANCED,
        traffic=Traffic("STAIRS", 180, 2, steps=4),
        ranges=(("OMP_NUM_THREADS", ("1", "2")),),
    )
    request = job_request(wanted, PACKAGE)
    config = request["InputConfig"]
    assert config["TrafficPattern"] == {
        "TrafficType": "STAIRS",
        "Stairs": {"DurationInSeconds": 180, "NumberOfSteps": 4, "UsersPerStep": 2},
    }
    assert [one["InstanceType"] for one in config["EndpointConfigurations"]] == [*WANTED.instances]
    assert request["StoppingConditions"]["FlatInvocations"] == "Stop"
    assert RecommendationJob.from_json(wanted.to_json()) == wanted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_uri": "model.tar.gz"}, "named like s3://"),
        ({"name": "-bad"}, "does not fit the pattern"),
        ({"instances": ()}, "at least one instance"),
        ({"instances": ("ml.abacus.large",)}, "none of what AWS takes"),
        ({"kind": JobType.ADVANCED, "most_tests": 2}, "No more tests can run at once"),
        ({"kind": JobType.ADVANCED, "most_tests": 11}, "1 to 10 tests"),
        ({"kind": JobType.ADVANCED, "most_invocations": 30_001}, "30,000 invocations"),
        ({"kind": JobType.ADVANCED, "percentile": "P50"}, "P95 or P99"),
        ({"kind": JobType.ADVANCED, "latency_ms": 0}, "1 ms or more"),
    ],
)
def test_what_aws_would_refuse_is_refused_here(change: dict[str, Any], said: str) -> None:
    with pytest.raises(JobPlanError, match=said):
        replace(WANTED, **change)


def test_a_load_has_the_limits_of_the_service() -> None:
    with pytest.raises(JobPlanError, match="1 to 3 users"):
        Traffic(users=9)
    with pytest.raises(JobPlanError, match="120 to 3,600"):
        Traffic(seconds=60)
    with pytest.raises(JobPlanError, match="PHASES or STAIRS"):
        Traffic("WAVES")


def test_the_cost_is_stated_with_the_date_of_its_prices() -> None:
    words = cost_words(
        replace(WANTED, instances=("ml.c5.xlarge", "ml.t2.xlarge")), read_prices(TABLE)
    )
    assert "$0.15 and more: 1 instance at once for up to 45 minutes" in words
    assert "At most" not in words
    assert "April 2025" in words
    assert "ml.t2.xlarge is not known here" in words


def test_an_advanced_job_may_run_one_type_several_times_at_once() -> None:
    known = {"ml.c5.xlarge": Price(1.0, "2026", "x"), "ml.m5.xlarge": Price(2.0, "2026", "x")}
    job = replace(WANTED, kind=JobType.ADVANCED, seconds=3_600, most_parallel=3)
    assert "At most about $3.00: 2 instances at once" in cost_words(job, known)
    tried = replace(job, ranges=(("A", ("1", "2")), ("B", ("1", "2"))))
    assert "At most about $6.00: 3 instances at once" in cost_words(tried, known)
    assert "$2.00: 1 instance at once" in cost_words(replace(job, most_parallel=1), known)


def test_a_default_job_has_an_estimate_and_no_bound() -> None:
    known = {"ml.c5.xlarge": Price(1.0, "2026", "x"), "ml.m5.xlarge": Price(2.0, "2026", "x")}
    assert cost_words(WANTED, known).startswith("About $2.25: 2 instances at once for up to 45")


def test_a_cost_without_any_price_is_no_amount() -> None:
    words = cost_words(WANTED, {})
    assert "not known: there is no price of ml.c5.xlarge, ml.m5.xlarge" in words
    assert "$" not in words
