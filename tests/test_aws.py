from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from urllib3.exceptions import ProtocolError

from lib import aws as aws_module
from lib.aws import (
    AccessDenied,
    Aws,
    AwsError,
    Expired,
    Invalid,
    NotConfigured,
    NotFound,
    QuotaReached,
    Throttled,
    Unreachable,
    aws_errors,
    check_shape,
    checked_url,
    iam_action,
    open_aws,
    redact,
    version,
)
from lib.settings import ROOT, Settings
from tests.aws.double import AwsDouble, UnexpectedCallError, WireError

pytest_plugins = ["tests.aws.fixtures"]

ROLE = "arn:aws:iam::111122223333:role/sightline"
INDEX = "0123456789abcdef0123456789abcdef0123"
TOKEN = "FwoGZXIvYXdzEXAMPLETOKEN"
ALICE = {
    "UserId": "AIDAEXAMPLE",
    "Account": "111122223333",
    "Arn": "arn:aws:iam::111122223333:user/alice",
}


def query(aws: Aws, **params: Any) -> Any:
    with aws_errors("kendra", "Query"):
        return aws.client("kendra").query(IndexId=INDEX, **params)


# ------------------------------------------------------------------------------------- opening


def test_importing_the_library_does_not_import_boto3() -> None:
    code = "import sys, lib.aws; print({'boto3', 'botocore'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_a_client_is_made_once_per_service_and_region(aws_settings: Settings) -> None:
    aws = open_aws(aws_settings)
    first = aws.client("kendra")
    assert aws.client("kendra") is first
    elsewhere = aws.client("kendra", region="eu-west-1")
    assert elsewhere is not first
    assert (first.meta.region_name, elsewhere.meta.region_name) == ("us-east-1", "eu-west-1")


def test_threads_that_ask_at_once_get_the_same_client(aws_settings: Settings) -> None:
    aws, start = open_aws(aws_settings), threading.Barrier(8)

    def ask(_: int) -> Any:
        start.wait()
        return aws.client("kendra")

    with ThreadPoolExecutor(8) as pool:
        assert len({id(client) for client in pool.map(ask, range(8))}) == 1


def test_timeouts_and_attempts_come_from_the_settings(aws_settings: Settings) -> None:
    settings = aws_settings.model_copy(
        update={"aws_connect_timeout": 4, "aws_read_timeout": 33, "aws_max_attempts": 7}
    )
    config = open_aws(settings).client("kendra").meta.config
    assert (config.connect_timeout, config.read_timeout) == (4, 33)
    assert config.retries == {"mode": "standard", "total_max_attempts": 7}


def test_sts_is_never_waited_for_long(aws_settings: Settings) -> None:
    config = open_aws(aws_settings).client("sts").meta.config
    assert (config.connect_timeout, config.read_timeout) == (2, 5)
    assert config.retries["total_max_attempts"] == 2


def test_instance_metadata_is_asked_once_for_one_second(aws_settings: Settings) -> None:
    core = open_aws(aws_settings)._session._session
    assert core.get_config_variable("metadata_service_timeout") == 1
    assert core.get_config_variable("metadata_service_num_attempts") == 1


def test_the_user_agent_on_the_wire_names_the_product(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.on("sts", "GetCallerIdentity", ALICE)
    open_aws(aws_settings).status()
    agent = aws_double.calls[0].headers["User-Agent"]
    assert f"sightline/{version()}" in agent.split()


# ------------------------------------------------------------------------------------ endpoints


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "https://gateway.example.com/aws",
        "https://10.0.0.7:8443",
        "http://127.0.0.1:5000",
        "http://localhost:5000",
        "http://[::1]:5000",
    ],
)
def test_these_endpoints_are_taken(url: str | None) -> None:
    assert checked_url(url, "SIGHTLINE_AWS_ENDPOINT_URL") == (url or None)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://169.254.169.254/latest", "metadata"),
        ("https://169.254.169.254", "metadata"),
        ("https://169.254.1.1", "metadata"),
        ("https://2852039166", "metadata"),
        ("https://0xa9fea9fe", "metadata"),
        ("https://[::ffff:169.254.169.254]", "metadata"),
        ("https://[fd00:ec2::254]", "metadata"),
        ("https://[fe80::1]", "metadata"),
        ("http://gateway.example.com", "plain http"),
        ("http://10.0.0.7", "plain http"),
        ("ftp://127.0.0.1", "not an http"),
        ("file:///etc/passwd", "not an http"),
        ("gateway.example.com", "not an http"),
        ("https://", "not an http"),
        ("https://me:secret@gateway.example.com", "not an http"),
    ],
)
def test_these_endpoints_are_refused_with_a_sentence(url: str, reason: str) -> None:
    with pytest.raises(NotConfigured, match=reason) as refused:
        checked_url(url, "SIGHTLINE_AWS_ENDPOINT_URL")
    assert "SIGHTLINE_AWS_ENDPOINT_URL" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_refused_endpoint_is_the_status(aws_settings: Settings, aws_double: AwsDouble) -> None:
    settings = aws_settings.model_copy(update={"aws_endpoint_url": "http://169.254.169.254"})
    status = open_aws(settings).status()
    assert not status.usable
    assert "metadata" in status.sentence
    assert aws_double.calls == []


def test_calls_go_to_the_endpoint_of_the_settings(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.on("kendra", "Query", {})
    query(open_aws(aws_settings.model_copy(update={"aws_endpoint_url": "http://localhost:99"})))
    assert aws_double.calls[0].url == "http://localhost:99/"


# --------------------------------------------------------------------------------------- status


def test_status_says_who_and_where(aws_settings: Settings, aws_double: AwsDouble) -> None:
    aws_double.on("sts", "GetCallerIdentity", ALICE)
    before = datetime.now(UTC)
    status = open_aws(aws_settings).status()
    assert status.usable
    assert status.sentence == "AWS account 111122223333 in us-east-1, as user/alice."
    assert (status.account, status.arn) == (ALICE["Account"], ALICE["Arn"])
    assert status.region == "us-east-1"
    assert before <= status.checked_at <= datetime.now(UTC)


def test_status_without_a_region_asks_nobody(
    no_aws: pytest.MonkeyPatch, aws_double: AwsDouble
) -> None:
    no_aws.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    no_aws.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    status = open_aws(Settings()).status()
    assert (status.usable, status.region) == (False, None)
    assert "SIGHTLINE_AWS_REGION" in status.sentence
    assert aws_double.calls == []


def test_status_without_credentials_asks_nobody(
    no_aws: pytest.MonkeyPatch, aws_double: AwsDouble
) -> None:
    no_aws.setenv("AWS_REGION", "us-east-1")
    aws = open_aws(Settings())
    assert "No AWS credentials were found" in aws.status().sentence
    with pytest.raises(NotConfigured):
        aws.client("kendra")
    assert aws_double.calls == []


def test_status_names_a_profile_that_does_not_exist(
    no_aws: pytest.MonkeyPatch, aws_double: AwsDouble
) -> None:
    no_aws.setenv("AWS_PROFILE", "research")
    status = open_aws(Settings()).status()
    assert not status.usable
    assert "(research)" in status.sentence
    assert "SIGHTLINE_AWS_PROFILE" in status.sentence
    assert aws_double.calls == []


def test_a_profile_gives_region_and_credentials(
    no_aws: pytest.MonkeyPatch, aws_double: AwsDouble
) -> None:
    aws_double.on("sts", "GetCallerIdentity", ALICE)
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(
        "[profile research]\nregion = eu-central-1\n"
        "aws_access_key_id = AKIAIOSFODNN7PROFILE\naws_secret_access_key = secret\n"
    )
    no_aws.setenv("SIGHTLINE_AWS_PROFILE", "research")
    aws = open_aws(Settings())
    assert aws.configured
    assert aws.status().region == "eu-central-1"
    assert "AKIAIOSFODNN7PROFILE" in aws_double.calls[0].headers["Authorization"]


@pytest.mark.parametrize(
    ("failure", "word"),
    [
        (WireError("ExpiredToken", "The security token is expired", 403), "expired"),
        (WireError("InvalidClientTokenId", "The token is invalid.", 403), "does not accept"),
        (
            WireError(
                "SignatureDoesNotMatch",
                "Signature expired: 20260101T000000Z is now earlier than 20260101T003000Z",
                403,
            ),
            "clock",
        ),
        (WireError("AccessDenied", "Access denied", 403), "sts:GetCallerIdentity"),
        (EndpointConnectionError(endpoint_url="https://sts"), "cannot be reached"),
        (ConnectTimeoutError(endpoint_url="https://sts"), "cannot be reached"),
        (ReadTimeoutError(endpoint_url="https://sts"), "did not answer"),
        (ProxyConnectionError(proxy_url="http://proxy"), "HTTPS_PROXY"),
        (SSLError(endpoint_url="https://sts", error=ValueError("self-signed")), "AWS_CA_BUNDLE"),
        (WireError("InternalFailure", "Oops", 500), "InternalFailure"),
    ],
)
def test_status_says_why_not(
    aws_settings: Settings, aws_double: AwsDouble, failure: Exception, word: str
) -> None:
    aws_double.fail("sts", "GetCallerIdentity", failure, times=2)
    status = open_aws(aws_settings).status()
    assert (status.usable, status.account, status.arn) == (False, None, None)
    assert word in status.sentence


def test_status_survives_a_broken_credential_process(aws_double: AwsDouble) -> None:
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(
        "[default]\nregion = us-east-1\ncredential_process = /no/such/program\n"
    )
    status = open_aws(Settings()).status()
    assert not status.usable
    assert "(FileNotFoundError)" in status.sentence
    assert aws_double.calls == []


def test_status_gives_up_on_an_aws_that_hangs(
    aws_settings: Settings, aws_double: AwsDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, over = threading.Event(), threading.Event()

    def hang(_: dict[str, Any]) -> dict[str, Any]:
        asked.set()
        over.wait(10)
        return ALICE

    aws_double.on("sts", "GetCallerIdentity", hang)
    monkeypatch.setattr(aws_module, "STATUS_DEADLINE_S", 0.05)
    status = open_aws(aws_settings).status()
    assert asked.wait(10)
    over.set()
    assert "did not answer within 0.05 seconds" in status.sentence


# ----------------------------------------------------------------------------------- configured


def test_nothing_is_configured_where_nothing_is_set(no_aws: pytest.MonkeyPatch) -> None:
    assert not open_aws(Settings()).configured
    no_aws.setenv("AWS_REGION", "us-east-1")
    assert not open_aws(Settings()).configured


@pytest.mark.parametrize(
    "name",
    [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    ],
)
def test_a_region_and_a_sign_of_credentials_are_configured(
    no_aws: pytest.MonkeyPatch, name: str
) -> None:
    no_aws.setenv(name, "something")
    assert not open_aws(Settings()).configured
    no_aws.setenv("AWS_REGION", "us-east-1")
    assert open_aws(Settings()).configured


def test_an_instance_of_amazons_has_credentials(no_aws: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_aws.setenv("AWS_REGION", "us-east-1")
    vendor = tmp_path / "sys_vendor"
    no_aws.setattr(aws_module, "MACHINE_VENDOR", vendor)
    vendor.write_text("QEMU\n")
    assert not open_aws(Settings()).configured
    vendor.write_text("Amazon EC2\n")
    assert open_aws(Settings()).configured


def test_an_unknown_profile_is_not_configured(no_aws: pytest.MonkeyPatch) -> None:
    no_aws.setenv("AWS_PROFILE", "research")
    assert not open_aws(Settings()).configured


# --------------------------------------------------------------------------------- assumed role


def credentials(key: str, lifetime: timedelta) -> dict[str, Any]:
    return {
        "Credentials": {
            "AccessKeyId": key,
            "SecretAccessKey": "assumed-secret",
            "SessionToken": TOKEN,
            "Expiration": datetime.now(UTC) + lifetime,
        }
    }


@pytest.fixture
def role_settings(aws_settings: Settings) -> Settings:
    return aws_settings.model_copy(update={"aws_role_arn": ROLE})


def test_calls_are_signed_by_the_assumed_role(
    role_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.on("sts", "AssumeRole", credentials("ASIAIOSFODNN7ASSUMED", timedelta(hours=1)))
    aws_double.on("kendra", "Query", {})
    aws = open_aws(role_settings)
    query(aws)
    query(aws)
    assert [call.operation for call in aws_double.calls] == ["AssumeRole", "Query", "Query"]
    assume, first, _ = aws_double.calls
    assert assume.params == {"RoleArn": ROLE, "RoleSessionName": "sightline"}
    assert "AKIAIOSFODNN7EXAMPLE" in assume.headers["Authorization"]
    assert "ASIAIOSFODNN7ASSUMED" in first.headers["Authorization"]
    assert first.headers["X-Amz-Security-Token"] == TOKEN


def test_the_role_is_assumed_again_before_its_credentials_expire(
    role_settings: Settings, aws_double: AwsDouble
) -> None:
    lifetimes = iter([timedelta(minutes=5), timedelta(hours=1)])
    keys = iter(["ASIAIOSFODNN7OLD0000", "ASIAIOSFODNN7NEW0000"])
    aws_double.on("sts", "AssumeRole", lambda _: credentials(next(keys), next(lifetimes)))
    aws_double.on("kendra", "Query", {})
    aws = open_aws(role_settings)
    query(aws)
    query(aws)
    query(aws)
    signed = [call.headers["Authorization"] for call in aws_double.calls]
    assert len(aws_double.called("sts", "AssumeRole")) == 2
    assert "ASIAIOSFODNN7NEW0000" in signed[-1]


def test_a_role_that_may_not_be_assumed_is_named(
    role_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.on("sts", "GetCallerIdentity", ALICE)
    aws_double.on("kendra", "Query", {})
    denied = WireError(
        "AccessDenied",
        f"User: {ALICE['Arn']} is not authorized to perform: sts:AssumeRole on resource: {ROLE}",
        403,
    )
    aws_double.fail("sts", "AssumeRole", denied, times=2)
    aws = open_aws(role_settings)
    sentence = aws.status().sentence
    assert f"lacks sts:AssumeRole on {ROLE}" in sentence
    assert "trust policy" in sentence
    with pytest.raises(AccessDenied) as refused:
        query(aws)
    assert (refused.value.service, refused.value.permission) == ("sts", "sts:AssumeRole")


def test_credentials_that_come_expired_are_no_crash(
    role_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.on("sts", "AssumeRole", credentials("ASIAIOSFODNN7OLD0000", -timedelta(hours=1)))
    status = open_aws(role_settings).status()
    assert not status.usable
    assert "could not be fetched" in status.sentence


def test_a_scoped_role_carries_its_session_policy(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.on("sts", "AssumeRole", credentials("ASIAIOSFODNN7SCOPED0", timedelta(hours=1)))
    aws_double.on("kendra", "Query", {})
    policy = {"Version": "2012-10-17", "Statement": []}
    query(open_aws(aws_settings).assumed(ROLE, session_name="alice", policy=policy))
    (asked,) = aws_double.called("sts", "AssumeRole")
    assert asked["RoleSessionName"] == "alice"
    assert json.loads(asked["Policy"]) == policy


# --------------------------------------------------------------------------------------- errors


def test_a_throttled_call_is_repeated_as_often_as_the_settings_say(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.on("kendra", "Query", {"TotalNumberOfResults": 4})
    aws_double.throttle("kendra", "Query", times=2)
    assert query(open_aws(aws_settings))["TotalNumberOfResults"] == 4
    assert len(aws_double.calls) == 3


def test_throttling_without_end_is_an_error_after_the_last_attempt(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.throttle("kendra", "Query", times=9)
    with pytest.raises(Throttled, match="kendra:Query"):
        query(open_aws(aws_settings.model_copy(update={"aws_max_attempts": 4})))
    assert len(aws_double.calls) == 4


@pytest.mark.parametrize(
    ("call", "permission"),
    [
        (("kendra", "Query", {"IndexId": INDEX}), "kendra:Query"),
        (("sagemaker", "ListDomains", {}), "sagemaker:ListDomains"),
        (
            ("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "bart", "Body": b"{}"}),
            "sagemaker:InvokeEndpoint",
        ),
        (("sts", "GetCallerIdentity", {}), "sts:GetCallerIdentity"),
        (("lambda", "Invoke", {"FunctionName": "f"}), "lambda:InvokeFunction"),
        (("cloudwatch", "ListMetrics", {}), "cloudwatch:ListMetrics"),
        (("logs", "DescribeLogGroups", {}), "logs:DescribeLogGroups"),
    ],
)
def test_a_refusal_names_the_permission_that_lacks(
    aws_settings: Settings,
    aws_double: AwsDouble,
    call: tuple[str, str, dict[str, Any]],
    permission: str,
) -> None:
    service, operation, params = call
    aws_double.fail(service, operation, WireError("AccessDeniedException", "No.", 403))
    client = open_aws(aws_settings).client(service)
    with pytest.raises(AccessDenied) as refused, aws_errors(service, operation):
        client._make_api_call(operation, params)
    assert refused.value.permission == permission
    assert permission in refused.value.sentence
    assert json.loads(refused.value.policy_statement) == {
        "Effect": "Allow",
        "Action": permission,
        "Resource": "*",
    }
    assert refused.value.request_id == "the-double"
    assert refused.value.__cause__ is not None


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("s3", "ListObjectsV2", "s3:ListBucket"),
        ("s3", "HeadObject", "s3:GetObject"),
        ("sns", "Publish", "sns:Publish"),
        ("no-such-service", "Do", "no-such-service:Do"),
    ],
)
def test_iam_has_its_own_names_for_some_actions(service: str, operation: str, action: str) -> None:
    assert iam_action(service, operation) == action


def test_a_refusal_takes_permission_and_resource_from_the_message(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    resource = f"arn:aws:kendra:us-east-1:111122223333:index/{INDEX}"
    message = (
        f"User: {ALICE['Arn']} is not authorized to perform: kendra:Query on resource: {resource} "
        "because no identity-based policy allows the kendra:Query action"
    )
    aws_double.fail("kendra", "Query", WireError("AccessDeniedException", message))
    with pytest.raises(AccessDenied) as refused:
        query(open_aws(aws_settings))
    assert json.loads(refused.value.policy_statement)["Resource"] == resource
    assert f"lacks kendra:Query on {resource}: allow it" in str(refused.value)


def test_an_explicit_denial_is_not_answered_with_a_permission(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    message = (
        "User: x is not authorized to perform: kendra:Query on resource: * "
        "with an explicit deny in a service control policy"
    )
    aws_double.fail("kendra", "Query", WireError("AccessDeniedException", message))
    with pytest.raises(AccessDenied, match="denies kendra:Query explicitly"):
        query(open_aws(aws_settings))


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("ResourceNotFoundException", "No index", NotFound),
        ("ValidationException", 'Could not find endpoint "bart".', NotFound),
        ("ValidationException", "Bad page", Invalid),
        ("ExpiredTokenException", "Expired", Expired),
        ("UnrecognizedClientException", "Who?", NotConfigured),
        ("RequestTimeTooSkewed", "Skewed", NotConfigured),
        ("TooManyRequestsException", "Slow", Throttled),
        ("ResourceLimitExceeded", "The limit 'ml.m5.xlarge for endpoint usage' is 0", QuotaReached),
        ("ConflictException", "Busy", AwsError),
    ],
)
def test_codes_of_aws_become_kinds_of_errors(
    aws_settings: Settings, aws_double: AwsDouble, code: str, message: str, kind: type[AwsError]
) -> None:
    aws_double.fail("kendra", "Query", WireError(code, message), times=3)
    with pytest.raises(AwsError) as failed:
        query(open_aws(aws_settings))
    assert type(failed.value) is kind
    assert (failed.value.code, failed.value.operation) == (code, "Query")
    assert failed.value.sentence.count("{") == 0


def test_wrong_parameters_are_told_without_their_values(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.on("kendra", "Query", {})
    with pytest.raises(Invalid, match="QueryText") as failed:
        query(open_aws(aws_settings), QueryText=["a private, pasted text"])
    assert "private" not in str(failed.value)
    assert aws_double.calls == []


def test_an_event_stream_that_breaks_off_is_told() -> None:
    with pytest.raises(Unreachable, match="answer of AWS to x:Y broke off"), aws_errors("x", "Y"):
        raise ProtocolError


def test_aws_own_words_are_kept_beside_the_sentence(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.fail("kendra", "Query", WireError("ValidationException", "key AKIAIOSFODNN7EXAMPLE"))
    with pytest.raises(Invalid) as failed:
        query(open_aws(aws_settings))
    assert failed.value.message == "key AKIA..."


def test_an_unreachable_aws_is_tried_again_and_then_told(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    down = EndpointConnectionError(endpoint_url="https://kendra.us-east-1.amazonaws.com/")
    aws_double.fail("kendra", "Query", down, times=3)
    with pytest.raises(Unreachable, match="check the network"):
        query(open_aws(aws_settings))
    assert len(aws_double.calls) == 3


@pytest.mark.parametrize(
    "secret",
    [
        "https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20260101&a=1",
        "https://b.s3.amazonaws.com/k?X-Amz-Signature=fe5f80f77d5fa3beca038a248ff027&a=1",
        f"https://b.s3.amazonaws.com/k?X-Amz-Security-Token={TOKEN}&a=1",
        f"The canonical string should have been 'x-amz-security-token:{TOKEN}\n'",
        f"https://d-1.studio.us-east-1.sagemaker.aws/auth?token={TOKEN}",
        "key AKIAIOSFODNN7EXAMPLE is inactive",
        "key ASIAIOSFODNN7EXAMPLE is inactive",
        f"Value '{TOKEN}' at 'queryText' failed to satisfy constraint",
        f"Invalid type for parameter QueryText, value: {TOKEN}, type: <class 'x'>, valid types: y",
    ],
)
def test_secrets_do_not_reach_a_message(
    aws_settings: Settings, aws_double: AwsDouble, secret: str
) -> None:
    hidden = (TOKEN, "IOSFODNN7EXAMPLE", "fe5f80f77d5fa3beca038a248ff027")
    assert any(part in secret for part in hidden)
    assert not any(part in redact(secret) for part in hidden)
    aws_double.fail("kendra", "Query", WireError("ValidationException", secret))
    with pytest.raises(Invalid) as failed:
        query(open_aws(aws_settings))
    assert not any(part in str(failed.value) for part in hidden)


def test_redaction_leaves_ordinary_messages_alone() -> None:
    message = f"User: {ALICE['Arn']} is not authorized to perform: kendra:Query"
    assert redact(message) == message


# --------------------------------------------------------------------------------------- limits


def presigned(**params: Any) -> tuple[str, ...]:
    known = {"DomainId": "d-abc", "UserProfileName": "alice"}
    return check_shape("sagemaker", "CreatePresignedDomainUrl", known | params)


@given(st.integers(-10, 100_000))
def test_numbers_are_held_to_the_range_of_the_api(seconds: int) -> None:
    broken = presigned(SessionExpirationDurationInSeconds=seconds)
    assert (broken == ()) == (1800 <= seconds <= 43200)


@given(st.text("abc-", max_size=80))
def test_names_are_held_to_length_and_pattern_of_the_api(name: str) -> None:
    allowed = 1 <= len(name) <= 63 and name[0] != "-" and name[-1] != "-"
    assert len(presigned(UserProfileName=name)) == (0 if allowed else 1)


def test_a_text_that_is_too_long_is_only_that() -> None:
    (sentence,) = presigned(UserProfileName="-" * 64)
    assert "UserProfileName has 64 characters" in sentence


@given(st.lists(st.integers(0, 12), max_size=6))
def test_nested_values_are_checked_and_named(importances: list[int]) -> None:
    overrides = [{"Name": "year", "Relevance": {"Importance": i}} for i in importances]
    broken = check_shape(
        "kendra",
        "Query",
        {"IndexId": INDEX, "DocumentRelevanceOverrideConfigurations": overrides},
    )
    assert set(broken) == {
        f"DocumentRelevanceOverrideConfigurations[{at}].Relevance.Importance is {i}; "
        "AWS takes 1 to 10."
        for at, i in enumerate(importances)
        if not 1 <= i <= 10
    }


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"IndexId": "short"}, "IndexId has 5 characters; AWS takes 36 to 36."),
        (
            {"Facets": [{"Facets": [{"DocumentAttributeKey": "-x"}]}]},
            "Facets[0].Facets[0].DocumentAttributeKey does not fit",
        ),
        (
            {"SortingConfiguration": {"DocumentAttributeKey": "x", "SortOrder": "UP"}},
            "SortingConfiguration.SortOrder is none of what AWS takes: DESC, ASC.",
        ),
        ({"RequestedDocumentAttributes": ["a"] * 101}, "has 101 items; AWS takes 1 to 100."),
    ],
)
def test_a_broken_limit_is_one_sentence(params: dict[str, Any], sentence: str) -> None:
    broken = check_shape("kendra", "Query", {"IndexId": INDEX} | params)
    assert any(sentence in text for text in broken)


def test_maps_blobs_and_long_lists_of_values_have_limits_too() -> None:
    job = {"ProfilerConfig": {"ProfilingParameters": {str(n): "" for n in range(21)}}}
    assert any(
        "ProfilingParameters has 21 entries; AWS takes 0 to 20." in text
        for text in check_shape("sagemaker", "CreateTrainingJob", job)
    )
    job = {"ProfilerConfig": {"ProfilingParameters": {"rules": "x" * 257}}}
    assert check_shape("sagemaker", "CreateTrainingJob", job) == (
        "ProfilerConfig.ProfilingParameters.rules has 257 characters; AWS takes 0 to 256.",
    )
    body = {"EndpointName": "e", "Body": b"x" * 6_291_457}
    assert check_shape("sagemaker-runtime", "InvokeEndpoint", body) == (
        "Body has 6,291,457 bytes; AWS takes at most 6,291,456.",
    )
    (values,) = check_shape(
        "sagemaker",
        "CreateEndpointConfig",
        {"ProductionVariants": [{"InstanceType": "ml.huge"}]},
    )
    assert values.endswith("values.")


def test_values_of_a_wrong_type_are_left_to_botocore() -> None:
    assert check_shape("kendra", "Query", {"IndexId": 7, "Facets": "x", "PageSize": None}) == ()


# ----------------------------------------------------------------------------------- the double


def test_the_double_speaks_rest_json_with_blobs_and_headers(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    def invoke(params: dict[str, Any]) -> dict[str, Any]:
        return {"Body": params["Body"][::-1], "InvokedProductionVariant": "AllTraffic"}

    aws_double.on("sagemaker-runtime", "InvokeEndpoint", invoke)
    client = open_aws(aws_settings).client("sagemaker-runtime")
    answer = client.invoke_endpoint(EndpointName="bart", Body=b"\x00abc", Accept="text/plain")
    assert answer["Body"].read() == b"cba\x00"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    asked = aws_double.called("sagemaker-runtime", "InvokeEndpoint")
    assert asked == [{"EndpointName": "bart", "Body": b"\x00abc", "Accept": "text/plain"}]


def test_the_double_streams_events(aws_settings: Settings, aws_double: AwsDouble) -> None:
    parts = [{"PayloadPart": {"Bytes": text}} for text in (b"one ", b"two")]
    aws_double.on("sagemaker-runtime", "InvokeEndpointWithResponseStream", {"Body": parts})
    client = open_aws(aws_settings).client("sagemaker-runtime")
    answer = client.invoke_endpoint_with_response_stream(EndpointName="bart", Body=b"{}")
    assert [event["PayloadPart"]["Bytes"] for event in answer["Body"]] == [b"one ", b"two"]


def test_the_double_reads_query_strings_and_paths(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.on("lambda", "GetFunctionConfiguration", {"FunctionName": "f", "Timeout": 3})
    client = open_aws(aws_settings).client("lambda")
    answer = client.get_function_configuration(FunctionName="f", Qualifier="$LATEST")
    assert answer["Timeout"] == 3
    assert aws_double.calls[0].params == {"FunctionName": "f", "Qualifier": "$LATEST"}


def test_the_double_carries_times_and_nested_values(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    created = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    domain = {"DomainId": "d-abc", "Status": "InService", "CreationTime": created}
    aws_double.on("sagemaker", "ListDomains", {"Domains": [domain]})
    assert open_aws(aws_settings).client("sagemaker").list_domains()["Domains"] == [domain]


def test_the_double_raises_the_services_typed_errors(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    client = open_aws(aws_settings).client("sagemaker-runtime")
    failed = WireError("ModelError", "Out of memory", 424, OriginalStatusCode=500)
    aws_double.fail("sagemaker-runtime", "InvokeEndpoint", failed)
    with pytest.raises(client.exceptions.ModelError) as caught:
        client.invoke_endpoint(EndpointName="bart", Body=b"{}")
    assert caught.value.response["OriginalStatusCode"] == 500


def test_the_double_refuses_what_aws_would_refuse(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.on("kendra", "Query", {})
    with pytest.raises(Invalid, match="RequestedDocumentAttributes has 101 items"):
        query(open_aws(aws_settings), RequestedDocumentAttributes=["a"] * 101)


@pytest.fixture
def strict_double(aws_settings: Settings) -> Iterator[tuple[AwsDouble, Aws]]:
    """Return a double whose complaints are the test's own business, and an AWS on it."""
    with AwsDouble() as double:
        yield double, open_aws(aws_settings)
        double.unexpected.clear()


@pytest.mark.parametrize(
    "nonsense",
    [
        {"TotalNumberOfResults": "many"},
        {"NoSuchMember": 1},
        {"ResultItems": [{"ScoreAttributes": {"ScoreConfidence": "SUPERB"}}]},
        {"FacetResults": [{"DocumentAttributeKey": "-"}]},
    ],
)
def test_the_double_does_not_answer_nonsense(
    strict_double: tuple[AwsDouble, Aws], nonsense: dict[str, Any]
) -> None:
    double, aws = strict_double
    double.on("kendra", "Query", nonsense)
    with pytest.raises(UnexpectedCallError, match="cannot answer kendra:Query"):
        query(aws)


def test_the_double_knows_the_names_of_services_and_operations(aws_double: AwsDouble) -> None:
    from botocore.exceptions import UnknownServiceError
    from botocore.model import OperationNotFoundError

    with pytest.raises(OperationNotFoundError):
        aws_double.on("kendra", "Ask", {})
    with pytest.raises(UnknownServiceError):
        aws_double.on("kendar", "Query", {})


def test_an_unexpected_call_fails_where_it_is_made(strict_double: tuple[AwsDouble, Aws]) -> None:
    double, aws = strict_double
    with pytest.raises(UnexpectedCallError, match="kendra:Query"):
        query(aws)
    double.on("kendra", "Retrieve", {})
    with pytest.raises(UnexpectedCallError, match="nothing answers it"):
        query(aws)


def test_an_unexpected_call_that_was_swallowed_fails_at_the_end(aws_settings: Settings) -> None:
    aws = open_aws(aws_settings)

    def swallow() -> None:
        with AwsDouble(), pytest.raises(UnexpectedCallError):
            query(aws)

    with pytest.raises(UnexpectedCallError, match="kendra:Query"):
        swallow()


def test_moto_answers_for_s3_and_sns_beside_the_double(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.on("kendra", "Query", {"TotalNumberOfResults": 1})
    aws_double.on("sagemaker", "ListModelMetadata", {"ModelMetadataSummaries": []})
    aws = open_aws(aws_settings)
    with mock_aws():
        aws.client("s3").create_bucket(Bucket="reports")
        aws.client("s3").put_object(Bucket="reports", Key="a/b.txt", Body=b"text")
        topic = aws.client("sns").create_topic(Name="alerts")["TopicArn"]
        assert aws.client("sns").publish(TopicArn=topic, Message="hello")["MessageId"]
        stored = aws.client("s3").get_object(Bucket="reports", Key="a/b.txt")["Body"].read()
        assert stored == b"text"
        assert query(aws)["TotalNumberOfResults"] == 1
        assert aws.client("sagemaker").list_model_metadata()["ModelMetadataSummaries"] == []
    assert {call.service for call in aws_double.calls} == {"kendra", "sagemaker"}


def test_s3_without_moto_is_unexpected(strict_double: tuple[AwsDouble, Aws]) -> None:
    _, aws = strict_double
    with pytest.raises(UnexpectedCallError, match="s3:ListBuckets"):
        aws.client("s3").list_buckets()
