"""What a deployment is told to be and to cost, before anything is done."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lib.prices import TABLE, read_prices
from lib.summarize.deployment import (
    Deployment,
    DeploymentError,
    HubModel,
    LocalModel,
    StoredModel,
    model_request,
    plan,
)

PRICES = read_prices(TABLE)
ROLE = "arn:aws:iam::111122223333:role/service-role/sightline-endpoint"
HUB = HubModel("sshleifer/distilbart-cnn-12-6")
STORED = StoredModel("s3://my-models/bart/model.tar.gz")
LOCAL = LocalModel("/srv/bart", "my-models", "sightline/models")
WANTED = Deployment("bart", HUB, ROLE, "us-east-1")


def test_each_source_gives_the_container_what_it_needs() -> None:
    hub = model_request(WANTED, "image")["PrimaryContainer"]
    assert hub["Environment"] == {
        "HF_TASK": "summarization",
        "HF_MODEL_ID": "sshleifer/distilbart-cnn-12-6",
    }
    assert "ModelDataUrl" not in hub
    stored = model_request(replace(WANTED, source=STORED), "image")["PrimaryContainer"]
    assert stored["ModelDataUrl"] == "s3://my-models/bart/model.tar.gz"
    assert stored["Environment"] == {"HF_TASK": "summarization"}
    uploaded = replace(WANTED, source=LOCAL)
    local = model_request(uploaded, "image")["PrimaryContainer"]
    assert local["ModelDataUrl"] == (
        f"s3://my-models/sightline/models/bart-{uploaded.id}/model.tar.gz"
    )


@pytest.mark.parametrize("source", [HUB, STORED, LOCAL])
def test_a_deployment_goes_through_json(source: HubModel | StoredModel | LocalModel) -> None:
    wanted = replace(WANTED, source=source)
    assert Deployment.from_json(json.loads(json.dumps(wanted.to_json()))) == wanted


def test_no_two_deployments_share_their_mark() -> None:
    assert Deployment("bart", HUB, ROLE, "us-east-1").id != WANTED.id


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "-bart"}, "EndpointName does not fit"),
        ({"name": "b" * 64}, "EndpointName has 64 characters"),
        ({"name": ""}, "EndpointName"),
        ({"role_arn": "arn:aws:iam::1111:role/x"}, "ExecutionRoleArn does not fit"),
        ({"role_arn": "sightline"}, "ExecutionRoleArn"),
        ({"instance_type": "ml.m99.xlarge"}, "InstanceType is none of what AWS takes"),
        ({"instance_count": 0}, "InitialInstanceCount is 0; AWS takes at least 1"),
        ({"instance_type": "ml.c7g.xlarge"}, r"does not run on ml\.c7g\.xlarge"),
        ({"instance_type": "ml.inf2.xlarge"}, r"does not run on ml\.inf2\.xlarge"),
        ({"region": "us_east_1"}, "A region looks like us-east-1"),
    ],
)
def test_what_aws_would_refuse_is_refused_before(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DeploymentError, match=sentence):
        replace(WANTED, **change)


@pytest.mark.parametrize(
    "instance", ["ml.m5.xlarge", "ml.g4dn.xlarge", "ml.g5.2xlarge", "ml.c6i.large"]
)
def test_ordinary_and_gpu_instances_are_taken(instance: str) -> None:
    assert replace(WANTED, instance_type=instance).instance_type == instance


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(DeploymentError) as refused:
        Deployment("-", HUB, "role", "here", "ml.none", 0)
    assert str(refused.value).count(".") >= 5


@pytest.mark.parametrize("model_id", ["", "a/b/c", "../x", "a b", "a/../b", "https://x/y", "a--b"])
def test_what_is_no_hub_id_is_refused(model_id: str) -> None:
    with pytest.raises(DeploymentError, match="A Hugging Face id looks like"):
        HubModel(model_id)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "s3://b/model.tar.gz",
        "s3://my-models/model.zip",
        "https://x/model.tar.gz",
        "s3://My/a.tar.gz",
    ],
)
def test_what_is_no_archive_on_s3_is_refused(uri: str) -> None:
    with pytest.raises(DeploymentError, match=r"named like s3://my-bucket/models/model\.tar\.gz"):
        StoredModel(uri)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (("model", "my-models"), "whole path"),
        (("/srv/bart", "My_Models"), "bucket's name"),
        (("/srv/bart", "my-models", "/a"), "prefix"),
        (("/srv/bart", "my-models", ""), "prefix"),
    ],
)
def test_impossible_uploads_are_refused(values: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(DeploymentError, match=sentence):
        LocalModel(*values)


# ------------------------------------------------------------------------------------- the plan


def test_the_cost_is_told_with_date_place_and_source() -> None:
    cost = plan(replace(WANTED, instance_count=2), PRICES).cost
    assert "About $0.46 per hour for 2 × ml.m5.xlarge, used or not" in cost
    assert "list price of September 2026 in us-east-1; source: AWS Price List" in cost
    assert cost.endswith("Check yours.")


def test_another_region_is_not_given_its_price() -> None:
    assert "other than in eu-central-1" in plan(replace(WANTED, region="eu-central-1"), PRICES).cost


def test_an_unknown_price_is_not_invented() -> None:
    unknown = plan(replace(WANTED, instance_type="ml.c5.large"), PRICES)
    assert unknown.usd_per_hour is None
    assert "The price of ml.c5.large is not known here" in unknown.cost


def test_the_policy_allows_what_the_plan_calls_and_no_more() -> None:
    hub = plan(WANTED, PRICES)
    assert not any(action.startswith("s3:") for action in hub.permissions)
    assert {"sagemaker:CreateEndpoint", "sagemaker:InvokeEndpoint", "iam:PassRole"} <= set(
        hub.permissions
    )
    local = plan(replace(WANTED, source=LOCAL), PRICES)
    statements = json.loads(local.policy)["Statement"]
    assert {action for s in statements for action in [s["Action"]] if isinstance(action, str)} == {
        "iam:PassRole"
    }
    assert statements[1]["Resource"] == ROLE
    assert statements[2]["Action"] == [
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:PutObject",
    ]
    assert statements[2]["Resource"] == "arn:aws:s3:::my-models/sightline/models/*"


def test_the_role_reads_the_model_only_where_there_is_one_on_s3() -> None:
    assert "s3:GetObject" not in plan(WANTED, PRICES).role_permissions
    assert "s3:GetObject" in plan(replace(WANTED, source=STORED), PRICES).role_permissions
