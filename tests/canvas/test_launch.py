from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lib.aws import AccessDenied, open_aws
from lib.canvas.launch import LAUNCHED, REFUSED, launch
from lib.canvas.model import CanvasError, Landing, LaunchPlan, plan_of, with_redirect
from lib.canvas.studio import Studio
from lib.identity import Identity, PermissionRefused, Role, SignInMethod, User, open_identity
from lib.settings import Settings
from lib.store import open_store
from tests.aws.double import AwsDouble, Params, WireError
from tests.aws.fixtures import ACCESS_KEY, aws_double, aws_settings, no_aws

__all__ = ["aws_double", "aws_settings", "no_aws"]

DOMAIN = "d-abc123xyz"
URL = "https://d-abc123xyz.studio.us-east-1.sagemaker.aws/auth?token=eyJhbGciOiJIUzI1NiJ9"
ACCOUNT = "123456789012"
ANN_ARN = f"arn:aws-cn:sagemaker:cn-north-1:{ACCOUNT}:user-profile/{DOMAIN}/ann-smith"
PROFILE_ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:user-profile/{DOMAIN}/cat"
ANN = User("ann.smith", "Ann", "ann@example.com", Role.ANALYST, SignInMethod.PASSWORD)


@dataclass
class House:
    """Settings, AWS and the log of one installation."""

    settings: Settings
    identity: Identity
    folder: Path

    def launch(self, user: User = ANN, **more: Any) -> Any:
        now = self.settings.model_copy(update=more)
        return launch(now, open_aws(now), self.identity, user)


@pytest.fixture
def house(aws_settings: Settings, tmp_path: Path) -> Iterator[House]:
    now = aws_settings.model_copy(update={"canvas_domain": DOMAIN, "data_dir": tmp_path})
    with closing(open_store(f"sqlite:///{tmp_path / 's.db'}")) as store:
        yield House(now, open_identity(now, store), tmp_path)


def answering(double: AwsDouble, *, auth: str = "IAM", **profile: Any) -> None:
    double.on(
        "sagemaker", "DescribeDomain",
        {"DomainId": DOMAIN, "DomainName": "main", "Status": "InService", "AuthMode": auth},
    )  # fmt: skip
    told = {
        "DomainId": DOMAIN, "UserProfileName": "ann-smith", "Status": "InService",
        "UserProfileArn": ANN_ARN, **profile,
    }  # fmt: skip
    double.on("sagemaker", "DescribeUserProfile", told)
    double.on("sagemaker", "CreatePresignedDomainUrl", {"AuthorizedUrl": URL})


def test_the_click_mints_for_who_clicks_and_logs_no_url(
    aws_double: AwsDouble, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    answering(aws_double)
    caplog.set_level("DEBUG", logger="lib")
    begun = datetime.now(UTC)
    made = house.launch()
    assert made.url == URL
    assert timedelta(0) < made.expires_at - begun <= timedelta(seconds=61)
    [asked] = aws_double.called("sagemaker", "CreatePresignedDomainUrl")
    assert asked == {
        "DomainId": DOMAIN, "UserProfileName": "ann-smith", "ExpiresInSeconds": 60,
        "SessionExpirationDurationInSeconds": 28_800, "LandingUri": "app:Canvas:",
    }  # fmt: skip
    [event] = house.identity.audit_log(action=LAUNCHED)
    assert (event.who, event.target, event.detail) == ("ann.smith", "ann-smith", DOMAIN)
    assert "token" not in repr(made)
    assert "eyJ" not in caplog.text
    for file in house.folder.rglob("*"):
        assert not file.is_file() or b"eyJhbGci" not in file.read_bytes()


def test_the_redirect_of_the_post_is_a_parameter_of_its_own(
    aws_double: AwsDouble, house: House
) -> None:
    answering(aws_double)
    made = house.launch(canvas_landing="redirect")
    assert made.url == f"{URL}&redirect=Canvas"
    [asked] = aws_double.called("sagemaker", "CreatePresignedDomainUrl")
    assert "LandingUri" not in asked
    assert with_redirect("https://x.sagemaker.aws/auth") == (
        "https://x.sagemaker.aws/auth?redirect=Canvas"
    )


def test_a_role_is_assumed_and_narrowed_to_the_one_profile(
    aws_double: AwsDouble, house: House
) -> None:
    answering(aws_double)
    credentials = {
        "AccessKeyId": ACCESS_KEY, "SecretAccessKey": "x", "SessionToken": "x",
        "Expiration": datetime.now(UTC) + timedelta(hours=1),
    }  # fmt: skip
    aws_double.on("sts", "AssumeRole", {"Credentials": credentials})
    house.launch(canvas_role_arn=f"arn:aws:iam::{ACCOUNT}:role/canvas")
    [asked] = aws_double.called("sts", "AssumeRole")
    [statement] = json.loads(asked["Policy"])["Statement"]
    assert statement["Action"] == "sagemaker:CreatePresignedDomainUrl"
    assert statement["Resource"] == ANN_ARN  # as AWS wrote it, in whatever partition


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"auth": "SSO"}, "signs in by IAM Identity Center"),
        ({"Status": "Pending"}, "The profile ann-smith is Pending"),
        (
            {"UserSettings": {"StudioWebPortalSettings": {"HiddenAppTypes": ["Canvas"]}}},
            "Canvas is hidden for the profile",
        ),
    ],
)
def test_what_cannot_launch_is_said_before_a_link_is_made(
    aws_double: AwsDouble, house: House, more: dict[str, Any], said: str
) -> None:
    answering(aws_double, **more)
    with pytest.raises(CanvasError, match=said):
        house.launch()
    assert aws_double.called("sagemaker", "CreatePresignedDomainUrl") == []
    [event] = house.identity.audit_log(action=REFUSED)
    assert event.target == "ann-smith"


def test_a_profile_that_is_not_there_and_a_missing_permission_say_what_to_do(
    aws_double: AwsDouble, house: House
) -> None:
    answering(aws_double)
    gone = WireError("ResourceNotFound", "UserProfile ann-smith does not exist")
    aws_double.fail("sagemaker", "DescribeUserProfile", gone)
    with pytest.raises(CanvasError, match="There is no profile ann-smith"):
        house.launch()
    denied = WireError("AccessDeniedException", "User is not authorized to perform: "
                       "sagemaker:CreatePresignedDomainUrl")  # fmt: skip
    aws_double.fail("sagemaker", "CreatePresignedDomainUrl", denied)
    with pytest.raises(CanvasError) as raised:
        house.launch()
    statement = json.loads(raised.value.statement)
    assert statement["Action"] == "sagemaker:CreatePresignedDomainUrl"
    assert statement["Resource"].endswith("/ann-smith")
    aws_double.fail("sagemaker", "DescribeDomain", WireError("AccessDeniedException", "no"))
    with pytest.raises(AccessDenied, match="sagemaker:DescribeDomain"):
        house.launch()


def test_launches_are_limited_and_for_analysts(aws_double: AwsDouble, house: House) -> None:
    answering(aws_double)
    for _ in range(3):
        house.launch()
    with pytest.raises(CanvasError, match="3 times within a minute"):
        house.launch()
    bob = User("bob", "Bob", "", Role.ANALYST, SignInMethod.PASSWORD)
    house.launch(bob)
    viewer = User("eve", "Eve", "", Role.VIEWER, SignInMethod.PASSWORD)
    with pytest.raises(PermissionRefused):
        house.launch(viewer)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"canvas_domain": ""}, "No domain is set"),
        ({"canvas_domain": "abc"}, "looks like d-abc123xyz"),
        ({"canvas_expires": 301}, "5 to 300"),
        ({"canvas_session": 60}, "1,800 to 43,200"),
        ({"canvas_landing": "elsewhere"}, "landing-uri or redirect"),
        ({"canvas_role_arn": "role"}, "no ARN of a role"),
        ({"canvas_profile_rule": "guess"}, "same-name, email, table"),
    ],
)
def test_settings_that_cannot_be_are_named(house: House, change: dict[str, Any], said: str) -> None:
    with pytest.raises(CanvasError, match=said):
        house.launch(**change)


def test_domains_and_profiles_are_listed_and_created(
    aws_double: AwsDouble, aws_settings: Settings
) -> None:
    answering(aws_double)
    aws_double.on("sagemaker", "ListDomains", {"Domains": [{"DomainId": DOMAIN}]})

    def profiles(params: Params) -> dict[str, Any]:
        name = "bob" if "NextToken" in params else "ann"
        more = {} if "NextToken" in params else {"NextToken": "more"}
        return {"UserProfiles": [{"UserProfileName": name, "Status": "InService"}], **more}

    aws_double.on("sagemaker", "ListUserProfiles", profiles)
    aws_double.on("sagemaker", "CreateUserProfile", {"UserProfileArn": PROFILE_ARN})
    studio = Studio(open_aws(aws_settings))
    assert [(one.id, one.auth_mode) for one in studio.domains()] == [(DOMAIN, "IAM")]
    assert [one.name for one in studio.profiles(DOMAIN)] == ["ann", "bob"]
    studio.create_profile(DOMAIN, "cat")
    [asked] = aws_double.called("sagemaker", "CreateUserProfile")
    assert asked == {"DomainId": DOMAIN, "UserProfileName": "cat"}


@dataclass
class Function:
    """A server that answers as the Lambda function would, and remembers what it was asked."""

    url: str
    answer: tuple[int, bytes] = (200, json.dumps({"url": URL}).encode())
    asked: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def function() -> Iterator[Function]:
    kept = Function("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server calls
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.asked.append((dict(self.headers), body))
            status, content = kept.answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kept.url = f"http://127.0.0.1:{server.server_port}/"
    yield kept
    server.shutdown()
    server.server_close()


def test_the_function_is_called_signed_and_names_the_profile(
    house: House, function: Function
) -> None:
    made = house.launch(canvas_function_url=function.url)
    assert made.url == URL
    [(headers, body)] = function.asked
    assert json.loads(body) == {
        "user_profile_name": "ann-smith", "expires": 60, "session": 28_800,
        "landing": "landing-uri",
    }  # fmt: skip
    again = AWSRequest("POST", function.url, data=body, headers={
        "Content-Type": headers["Content-Type"], "X-Amz-Date": headers["X-Amz-Date"]
    })  # fmt: skip
    signer = SigV4Auth(Credentials(ACCESS_KEY, "a-secret-only-for-tests"), "lambda", "us-east-1")
    again.context["timestamp"] = headers["X-Amz-Date"]
    signed = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    assert headers["Authorization"].endswith(f"Signature={signed}")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((403, b'{"Message":"Forbidden"}'), "lambda:InvokeFunctionUrl"),
        ((502, b'{"error":"AccessDeniedException"}'), "AccessDeniedException"),
        ((200, b"hello"), "answered no JSON"),
        ((200, b'{"url":"https://evil.example/auth?token=x"}'), "does not lead to SageMaker"),
        ((200, b'{"url":"http://x.sagemaker.aws/auth"}'), "does not lead to SageMaker"),
    ],
)
def test_what_the_function_answers_is_checked(
    house: House, function: Function, answer: tuple[int, bytes], said: str
) -> None:
    function.answer = answer
    with pytest.raises(CanvasError, match=said) as raised:
        house.launch(canvas_function_url=function.url)
    assert "token" not in str(raised.value)


def test_a_plan_is_of_the_settings() -> None:
    assert plan_of(Settings()) is None
    assert plan_of(Settings(canvas_domain=DOMAIN)) == LaunchPlan(
        DOMAIN, 60, 28_800, Landing.LANDING_URI
    )
