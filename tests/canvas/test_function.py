from __future__ import annotations

import json
from typing import Any

import pytest

from lib.aws import open_aws
from lib.canvas.function import handler
from lib.canvas.templates import FUNCTION, function_template
from lib.settings import Settings
from tests.aws.double import AwsDouble, WireError
from tests.aws.fixtures import aws_double, aws_settings, no_aws
from tests.canvas.linting import linted

__all__ = ["aws_double", "aws_settings", "no_aws"]

URL = "https://d-abc.studio.us-east-1.sagemaker.aws/auth?token=secret"


def called(body: Any, client: object = None) -> dict[str, Any]:
    answer = handler({"body": body if isinstance(body, str) else json.dumps(body)}, None, client)
    assert answer["headers"]["Cache-Control"] == "no-store"
    return {"status": answer["statusCode"], **json.loads(answer["body"])}


@pytest.fixture(autouse=True)
def domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOMAIN_ID", "d-abc")


def test_a_link_is_made_for_a_profile_of_the_functions_domain(
    aws_double: AwsDouble, aws_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    aws_double.on("sagemaker", "CreatePresignedDomainUrl", {"AuthorizedUrl": URL})
    client = open_aws(aws_settings).client("sagemaker")
    asked = {"user_profile_name": "ann", "domain_id": "d-other", "expires": 30, "session": 3_600}
    assert called(asked, client) == {"status": 200, "url": URL}
    [request] = aws_double.called("sagemaker", "CreatePresignedDomainUrl")
    assert request == {
        "DomainId": "d-abc", "UserProfileName": "ann", "ExpiresInSeconds": 30,
        "SessionExpirationDurationInSeconds": 3_600, "LandingUri": "app:Canvas:",
    }  # fmt: skip
    called(asked | {"landing": "redirect"}, client)
    assert "LandingUri" not in aws_double.called("sagemaker", "CreatePresignedDomainUrl")[1]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("no json", "no request"),
        ({}, "no request"),
        ({"user_profile_name": "../x"}, "no name"),
        ({"user_profile_name": "ann", "expires": 3_000}, "outside"),
        ({"user_profile_name": "ann", "session": 60}, "outside"),
    ],
)
def test_what_is_no_request_is_refused(body: Any, said: str) -> None:
    found = called(body)
    assert found["status"] == 400
    assert said in found["error"]


def test_a_failure_is_told_by_its_code_alone(
    aws_double: AwsDouble, aws_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = WireError("AccessDeniedException", "arn:aws:iam::123456789012:role/secret")
    aws_double.fail("sagemaker", "CreatePresignedDomainUrl", denied)
    aws_double.on("sagemaker", "CreatePresignedDomainUrl", {"AuthorizedUrl": URL})
    client = open_aws(aws_settings).client("sagemaker")
    found = called({"user_profile_name": "ann"}, client)
    assert found == {"status": 502, "error": "AccessDeniedException"}
    assert capsys.readouterr().out == '{"error": "AccessDeniedException"}\n'


def test_the_template_carries_the_function_and_is_clean() -> None:
    import yaml

    template = function_template()
    assert (
        FUNCTION.read_text()
        in yaml.safe_load(template)["Resources"]["Function"]["Properties"]["Code"]["ZipFile"]
    )
    assert linted(template) == []
    resources = yaml.safe_load(template)["Resources"]
    assert resources["Url"]["Properties"]["AuthType"] == "AWS_IAM"
    [policy] = resources["Role"]["Properties"]["Policies"]
    mint, _logs = policy["PolicyDocument"]["Statement"]
    assert mint["Action"] == "sagemaker:CreatePresignedDomainUrl"
    assert mint["Resource"]["Fn::Sub"].endswith("user-profile/${DomainId}/*")
