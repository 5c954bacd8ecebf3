from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from moto import mock_aws
from pydantic import SecretStr

from lib.alerts import channels
from lib.alerts.channels import DeliveryError, send
from lib.alerts.model import Channel, ChannelKind, Format, Notification
from lib.alerts.outbox import trial_message
from lib.aws import open_aws
from lib.settings import Settings
from tests.aws.double import AwsDouble, WireError
from tests.aws.fixtures import aws_double, aws_settings, no_aws

__all__ = ["aws_double", "aws_settings", "no_aws"]

KEY = "a signing key"
TOPIC = "arn:aws:sns:us-west-2:123456789012:filterAlertsDemoTopic"


@dataclass
class Receiver:
    """A web server on the loopback that answers as told and remembers what it was sent."""

    url: str
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    hang: threading.Event | None = None


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server calls
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.requests.append((dict(self.headers), body))
            if kept.hang is not None:
                kept.hang.wait(20)
            status, headers = kept.answers.pop(0) if kept.answers else (200, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kept.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield kept
    if kept.hang is not None:
        kept.hang.set()
    server.shutdown()
    server.server_close()


def settings_for(receiver: Receiver, *, allowed: bool = True) -> Settings:
    return Settings(
        alert_channels={"ops": SecretStr(receiver.url)},
        alert_signing_key=SecretStr(KEY),
        alert_private_hosts=("127.0.0.1",) if allowed else (),
    )


def message(kind: Format = Format.LONG_TEXT, channel: Channel | None = None) -> Notification:
    return trial_message(channel or Channel(ChannelKind.NAMED, "ops"), kind, "ann")


def test_a_webhook_gets_a_signed_message_with_its_key(receiver: Receiver) -> None:
    now = settings_for(receiver)
    one = message()
    send(one, now, open_aws(now))
    [(headers, body)] = receiver.requests
    assert json.loads(body) == {"subject": one.subject, "text": one.body}
    assert headers["Idempotency-Key"] == one.id
    signed = headers["X-Sightline-Timestamp"].encode() + b"." + body
    digest = hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-Sightline-Signature"] == f"sha256={digest}"
    assert headers["Host"] == receiver.url.split("/")[2]


def test_a_payload_in_json_is_sent_as_it_is(receiver: Receiver) -> None:
    now = settings_for(receiver)
    send(message(Format.JSON), now, open_aws(now))
    assert json.loads(receiver.requests[0][1])["test"] is True


@pytest.mark.parametrize(
    ("status", "headers", "says", "permanent"),
    [
        (500, {}, "ops answered 500", False),
        (429, {}, "ops answered 429", False),
        (404, {}, "ops refused the message with 404", True),
        (302, {"Location": "http://10.0.0.1/"}, "ops redirects to 10.0.0.1", True),
    ],
)
def test_what_a_webhook_answers_decides_whether_to_try_again(
    receiver: Receiver, status: int, headers: dict[str, str], says: str, *, permanent: bool
) -> None:
    receiver.answers.append((status, headers))
    now = settings_for(receiver)
    with pytest.raises(DeliveryError, match=says) as raised:
        send(message(), now, open_aws(now))
    assert raised.value.permanent is permanent
    assert len(receiver.requests) == 1  # a redirect is not followed


def test_a_private_address_is_refused_unless_allowed(receiver: Receiver) -> None:
    now = settings_for(receiver, allowed=False)
    with pytest.raises(DeliveryError, match="private network") as raised:
        send(message(), now, open_aws(now))
    assert raised.value.permanent
    assert receiver.requests == []


def test_a_webhook_that_hangs_is_left(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver.hang = threading.Event()
    monkeypatch.setattr(channels, "TIMEOUT_S", 0.2)
    now = settings_for(receiver)
    with pytest.raises(DeliveryError, match=r"did not answer within 0\.2 s"):
        send(message(), now, open_aws(now))


def test_an_address_never_shows(receiver: Receiver) -> None:
    receiver.url = "http://127.0.0.1:9/secret-token"
    now = settings_for(receiver)
    with pytest.raises(DeliveryError) as raised:
        send(message(), now, open_aws(now))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://[broken/x", "https://host:port/x", "http:///x"])
def test_an_address_that_is_none_is_dead_at_once(receiver: Receiver, url: str) -> None:
    receiver.url = url
    now = settings_for(receiver)
    with pytest.raises(DeliveryError, match="address of ops is none") as raised:
        send(message(), now, open_aws(now))
    assert raised.value.permanent


def test_a_name_that_is_no_longer_set_is_said() -> None:
    now = Settings(alert_channels={"other": SecretStr("https://example.com")})
    with pytest.raises(DeliveryError, match=r"'ops' is no longer set.*other"):
        send(message(), now, open_aws(now))


def test_other_services_are_told_through_apprise(receiver: Receiver) -> None:
    receiver.url = receiver.url.replace("http://", "json://")
    now = settings_for(receiver)
    one = message()
    send(one, now, open_aws(now))
    sent = json.loads(receiver.requests[0][1])
    assert (sent["title"], sent["message"]) == (one.subject, one.body)
    receiver.answers.append((500, {}))
    with pytest.raises(DeliveryError, match="ops did not take the message"):
        send(one, now, open_aws(now))


@contextmanager
def topic() -> Iterator[Any]:
    import boto3

    with mock_aws():
        sns = boto3.client("sns", region_name="us-west-2")
        sns.create_topic(Name="filterAlertsDemoTopic")
        sqs = boto3.client("sqs", region_name="us-west-2")
        queue = sqs.create_queue(QueueName="q")["QueueUrl"]
        arn = "arn:aws:sqs:us-west-2:123456789012:q"
        sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=arn)
        yield lambda: sqs.receive_message(QueueUrl=queue).get("Messages", [])


def test_a_topic_of_another_region_is_published_to(aws_settings: Settings) -> None:
    one = message(channel=Channel(ChannelKind.SNS, TOPIC))
    with topic() as received:
        send(one, aws_settings, open_aws(aws_settings))
        [got] = received()
    told = json.loads(got["Body"])
    assert told["TopicArn"] == TOPIC
    assert (told["Subject"], told["Message"]) == (one.subject, one.body)
    assert told["MessageAttributes"]["idempotencyKey"]["Value"] == one.id


def test_a_topic_that_is_gone_is_dead_at_once(aws_settings: Settings) -> None:
    gone = Channel(ChannelKind.SNS, f"{TOPIC}2")
    with topic(), pytest.raises(DeliveryError) as raised:
        send(message(channel=gone), aws_settings, open_aws(aws_settings))
    assert raised.value.permanent


def test_without_credentials_a_topic_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    now = Settings(aws_region=None)
    with pytest.raises(DeliveryError) as raised:
        send(replace(message(), channel=Channel(ChannelKind.SNS, TOPIC)), now, open_aws(now))
    assert not raised.value.permanent


FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:onAnomaly"


def test_a_function_is_called_in_its_region_with_the_payload(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.on("lambda", "Invoke", {"StatusCode": 202, "Payload": b""})
    one = message(Format.JSON, Channel(ChannelKind.LAMBDA, FUNCTION))
    send(one, aws_settings, open_aws(aws_settings))
    [call] = aws_double.calls
    assert "eu-central-1" in call.url
    assert call.params["FunctionName"] == FUNCTION
    assert call.params["InvocationType"] == "Event"
    assert json.loads(call.params["Payload"])["test"] is True


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (WireError("ExpiredTokenException", "The security token has expired", 403), False),
        (WireError("ResourceNotFoundException", "Function not found", 404), True),
        (WireError("AccessDeniedException", "No", 403), True),
        (WireError("ServiceException", "Try again", 500), False),
    ],
)
def test_credentials_that_expire_are_waited_for_and_what_is_refused_is_not(
    aws_settings: Settings, aws_double: AwsDouble, error: WireError, *, permanent: bool
) -> None:
    aws_double.fail("lambda", "Invoke", error, times=5)
    with pytest.raises(DeliveryError) as raised:
        send(
            message(channel=Channel(ChannelKind.LAMBDA, FUNCTION)),
            aws_settings,
            open_aws(aws_settings),
        )
    assert raised.value.permanent is permanent
