"""Recommender, Training and Canvas with AWS connected: the double answers what their pages ask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws
from streamlit.testing.v1 import AppTest

from lib.canvas.launch import LAUNCHED
from lib.recommender.inference_recommender import recommend
from lib.recommender.kept import kept_tables
from lib.settings import settings
from lib.training.sagemaker_jobs import fetch_profile
from lib.ui import resources
from lib.ui.pages import CANVAS, RECOMMENDER, TRAINING
from tests.aws.double import AwsDouble, WireError
from tests.aws.fixtures import aws_double, aws_settings, no_aws
from tests.canvas.test_launch import ANN_ARN, DOMAIN, URL, answering
from tests.pages.conftest import visit
from tests.recommender.test_inference_recommender import JOB, ROLE, described
from tests.training.test_sagemaker_jobs import ARN
from tests.training.test_sagemaker_jobs import described as trained

__all__ = ["aws_double", "aws_settings", "no_aws"]

NOW = datetime(2026, 11, 1, tzinfo=UTC)
IDENTITY = {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/x", "UserId": "x"}


@pytest.fixture
def connected(aws_double: AwsDouble, aws_settings: object) -> AwsDouble:
    """Return the double behind the pages, with what several of them ask."""
    assert aws_settings is not None
    settings.cache_clear()
    aws_double.on("sts", "GetCallerIdentity", IDENTITY)
    aws_double.on("sagemaker", "ListEndpoints", {"Endpoints": []})
    return aws_double


def words(app: AppTest) -> str:
    shown = [*(one.value for one in app.markdown), *(one.value for one in app.caption)]
    return "\n".join(shown).replace("\\", "")


@pytest.fixture
def recommending(connected: AwsDouble) -> AwsDouble:
    job = {
        "JobName": "summarization", "JobDescription": "", "JobType": "Default", "JobArn": JOB,
        "Status": "COMPLETED", "CreationTime": NOW, "LastModifiedTime": NOW, "RoleArn": ROLE,
    }  # fmt: skip
    connected.on(
        "sagemaker", "ListInferenceRecommendationsJobs", {"InferenceRecommendationsJobs": [job]}
    )
    connected.on("sagemaker", "DescribeInferenceRecommendationsJob", described())
    connected.on("sagemaker", "ListInferenceRecommendationsJobSteps", {"Steps": []})
    model = {
        "Domain": "NATURAL_LANGUAGE_PROCESSING", "Framework": "PYTORCH", "Task": "FILL_MASK",
        "Model": "bert-base-cased", "FrameworkVersion": "1.6.0",
    }  # fmt: skip
    connected.on("sagemaker", "ListModelMetadata", {"ModelMetadataSummaries": [model]})
    return connected


def test_a_job_of_the_account_is_kept_and_compared(recommending: AwsDouble) -> None:
    app = visit(RECOMMENDER, recommender_view="AWS")
    assert not app.exception
    assert "CpuUtilization, MemoryUtilization not measured" in words(app)
    app.button(key="recommender_aws_keep").click().run()
    [kept] = kept_tables(settings())
    assert kept.rows[0].price_date == "2026-11-01"
    scaling = {
        "Metric": {"InvocationsPerInstance": 400, "ModelLatency": 600},
        "DynamicScalingConfiguration": {"MinCapacity": 1, "MaxCapacity": 3},
    }
    recommending.on("sagemaker", "GetScalingConfigurationRecommendation", scaling)
    app.button(key="recommender_aws_ask").click().run()
    assert "1 to 3 instances; target: none" in words(app)
    assert not app.exception


def test_a_job_is_planned_by_the_nearest_model_and_started(recommending: AwsDouble) -> None:
    assert recommending is not None
    app = visit(RECOMMENDER, recommender_view="AWS")
    app.text_input(key="recommender_aws_uri").set_value("s3://my-bucket/model.tar.gz")
    app.text_input(key="recommender_aws_image").set_value("1.dkr.ecr.us-east-1.amazonaws.com/x:1")
    app.text_input(key="recommender_aws_bucket").set_value("my-bucket")
    app.text_input(key="recommender_aws_role").set_value(ROLE).run()
    assert not app.button(key="recommender_aws_start").disabled
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="my-bucket")
        app.button(key="recommender_aws_start").click().run()
        keys = [one["Key"] for one in s3.list_objects_v2(Bucket="my-bucket")["Contents"]]
    assert keys == ["sagemaker/inference-recommender/summarization/payload.tar.gz"]
    assert any(one.function == recommend.name for one in resources.jobs().recent())
    assert not app.exception


def test_what_aws_refuses_is_said_on_the_page(connected: AwsDouble) -> None:
    denied = WireError("AccessDeniedException", "no", 400)
    connected.on("sagemaker", "ListModelMetadata", {"ModelMetadataSummaries": []})
    connected.fail("sagemaker", "ListInferenceRecommendationsJobs", denied, times=5)
    app = visit(RECOMMENDER, recommender_view="AWS")
    assert "sagemaker:ListInferenceRecommendationsJobs" in app.warning[0].value.replace("\\", "")
    assert not app.exception


@pytest.fixture
def training(connected: AwsDouble) -> AwsDouble:
    summary = {"TrainingJobName": "bert", "TrainingJobArn": ARN, "CreationTime": NOW,
               "TrainingJobStatus": "InProgress"}  # fmt: skip
    connected.on("sagemaker", "ListTrainingJobs", {"TrainingJobSummaries": [summary]})
    connected.on("sagemaker", "DescribeTrainingJob", trained())
    connected.on("sagemaker", "UpdateTrainingJob", {"TrainingJobArn": ARN})
    return connected


def test_a_training_job_is_told_switched_and_its_profile_copied(training: AwsDouble) -> None:
    app = visit(TRAINING, training_view="Runs")
    assert not app.exception
    assert "InProgress, 2 × ml.p3.2xlarge; profiler Enabled." in words(app)
    app.button(key="training_switch").click().run()
    [asked] = training.called("sagemaker", "UpdateTrainingJob")
    assert asked["ProfilerConfig"] == {"DisableProfiler": True}
    app.button(key="training_fetch").click().run()
    job = next(one for one in resources.jobs().recent() if one.function == fetch_profile.name)
    assert job.title == "Copy the profile bert"
    assert not app.exception


def profiles(*names: str) -> dict[str, Any]:
    return {"UserProfiles": [{"UserProfileName": one, "Status": "InService"} for one in names]}


@pytest.fixture
def canvas(connected: AwsDouble, no_aws: pytest.MonkeyPatch) -> AwsDouble:
    no_aws.setenv("SIGHTLINE_CANVAS_DOMAIN", DOMAIN)
    settings.cache_clear()
    answering(connected)
    connected.on("sagemaker", "ListDomains", {"Domains": [{"DomainId": DOMAIN}]})
    connected.on("sagemaker", "ListUserProfiles", profiles("ann-smith"))
    return connected


def test_the_link_is_in_one_run_and_in_no_state(canvas: AwsDouble) -> None:
    app = visit(CANVAS)
    assert "AWS us-east-1" in words(app)
    app.button(key="canvas_open").click().run()
    assert not app.exception
    assert len(canvas.called("sagemaker", "CreatePresignedDomainUrl")) == 1
    [event] = resources.identity().audit_log(action=LAUNCHED)
    assert event.target == "this-machine"
    assert "token=" not in repr(app.session_state._state.filtered_state)
    assert URL in repr([one.proto for one in app.get("bidi_component")])
    app.run()
    assert URL not in repr([one.proto for one in app.get("bidi_component")])
    assert len(canvas.called("sagemaker", "CreatePresignedDomainUrl")) == 1


def test_a_missing_permission_is_shown_with_the_statement_to_add(canvas: AwsDouble) -> None:
    denied = WireError("AccessDeniedException", "no", 400)
    canvas.fail("sagemaker", "CreatePresignedDomainUrl", denied)
    app = visit(CANVAS)
    app.button(key="canvas_open").click().run()
    assert "sagemaker:CreatePresignedDomainUrl" in app.error[0].value.replace("\\", "")
    assert ANN_ARN in app.code[0].value
    assert not app.exception


def test_missing_profiles_are_created_and_domains_listed(canvas: AwsDouble) -> None:
    made = "arn:aws:sagemaker:us-east-1:123456789012:user-profile/d-abc123xyz/bob"
    canvas.on("sagemaker", "CreateUserProfile", {"UserProfileArn": made})
    app = visit(CANVAS, canvas_view="Profiles")
    assert not app.exception
    app.button(key="canvas_create").click().run()
    [asked] = canvas.called("sagemaker", "CreateUserProfile")
    assert asked["UserProfileName"] == "bob"
    domains = next(one.value for one in app.dataframe if "Signs in by" in one.value)
    assert [*domains["Domain"]] == [DOMAIN]
    assert not app.exception
