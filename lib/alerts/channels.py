"""How a notification leaves: SNS and Lambda by boto3, webhooks by HTTP, the rest by apprise."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx

from lib.alerts.model import Channel, ChannelKind, Format, Notification
from lib.aws import Aws, AwsError, aws_errors
from lib.settings import Settings

TIMEOUT_S = 10.0  # of the whole answer, too
MAX_ANSWER_BYTES = 65_536
WEBHOOK_SCHEMES = ("http", "https")
REDIRECTS, CLIENT_ERRORS, TRY_LATER = range(300, 400), range(400, 500), {408, 425, 429}
SNS_LIMIT_BYTES = 262_144
PERMANENT_CODES = ("NotFound", "NotFoundException", "InvalidParameter", "InvalidParameterException",
                   "ResourceNotFoundException", "AuthorizationError", "AccessDenied",
                   "AccessDeniedException")  # fmt: skip


class DeliveryError(Exception):
    """A notification that did not arrive; the sentence names no secret."""

    def __init__(self, sentence: str, *, permanent: bool = False) -> None:
        super().__init__(sentence)
        self.permanent = permanent  # trying again would not help


def send(message: Notification, settings: Settings, aws: Aws) -> None:
    """Send a notification by its channel; raises `DeliveryError`."""
    kind = message.channel.kind
    if kind is ChannelKind.INBOX:
        return
    if kind is ChannelKind.NAMED:
        _send_named(message, settings)
        return
    try:
        (_publish if kind is ChannelKind.SNS else _invoke)(message, aws)
    except AwsError as error:
        permanent = error.code in PERMANENT_CODES
        raise DeliveryError(str(error), permanent=permanent) from error


def named_channels(settings: Settings) -> tuple[str, ...]:
    """Return the names of the addresses that the operator has set."""
    return tuple(sorted(settings.alert_channels))


def channel_words(channel: Channel) -> str:
    """Return a channel for people."""
    last = channel.target.rpartition(":")[2]
    return {
        ChannelKind.INBOX: "Inbox",
        ChannelKind.SNS: f"SNS topic {last}",
        ChannelKind.LAMBDA: f"Function {last}",
        ChannelKind.NAMED: channel.target,
    }[channel.kind]


def _publish(message: Notification, aws: Aws) -> None:
    topic = message.channel.target
    body = message.body.encode()[: SNS_LIMIT_BYTES // 2].decode(errors="ignore")
    request = {
        "TopicArn": topic,
        "Subject": message.subject.encode("ascii", "replace").decode(),
        "Message": body,
        "MessageAttributes": {
            "idempotencyKey": {"DataType": "String", "StringValue": message.id},
        },
    }
    if topic.endswith(".fifo"):
        request |= {"MessageGroupId": message.alert, "MessageDeduplicationId": message.id}
    with aws_errors("sns", "Publish"):
        aws.client("sns", region=message.channel.region).publish(**request)


def _invoke(message: Notification, aws: Aws) -> None:
    payload = {"text": message.body}
    event = json.loads(message.body) if message.format is Format.JSON else payload
    with aws_errors("lambda", "Invoke"):
        aws.client("lambda", region=message.channel.region).invoke(
            FunctionName=message.channel.target,
            InvocationType="Event",
            Payload=json.dumps(event).encode(),
        )


def _send_named(message: Notification, settings: Settings) -> None:
    address = settings.alert_channels.get(message.channel.target)
    if address is None:
        raise DeliveryError(
            f"{message.channel.target!r} is no longer set: SIGHTLINE_ALERT_CHANNELS names "
            f"{', '.join(named_channels(settings)) or 'none'}.",
            permanent=True,
        )
    url = address.get_secret_value()
    if url.partition(":")[0] in WEBHOOK_SCHEMES:
        _post(message, url, settings)
        return
    from apprise import Apprise

    sender = Apprise()
    if not sender.add(url):
        raise DeliveryError(
            f"The address of {message.channel.target!r} is none that apprise knows.", permanent=True
        )
    if not sender.notify(title=message.subject, body=message.body):
        raise DeliveryError(f"{message.channel.target} did not take the message.")


def _post(message: Notification, url: str, settings: Settings) -> None:
    """Post to a webhook; signed over time and body, as Stripe and Slack do, where a key is set."""
    if message.format is Format.JSON:
        body = message.body.encode()
    else:
        body = json.dumps({"subject": message.subject, "text": message.body}).encode()
    now = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": message.id,
        "X-Sightline-Timestamp": now,
        "User-Agent": "Sightline",
    }
    key = settings.alert_signing_key.get_secret_value()
    if key:
        digest = hmac.new(key.encode(), now.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers["X-Sightline-Signature"] = f"sha256={digest}"
    name = message.channel.target
    with _answer(url, body, headers, settings, name) as (status, location):
        if status in REDIRECTS:
            host = urlsplit(location).hostname or "another address"
            raise DeliveryError(
                f"{name} redirects to {host}; set that address itself.", permanent=True
            )
        if status in CLIENT_ERRORS and status not in TRY_LATER:
            raise DeliveryError(f"{name} refused the message with {status}.", permanent=True)
        if status >= httpx.codes.BAD_REQUEST:
            raise DeliveryError(f"{name} answered {status}.")


@contextmanager
def _answer(
    url: str, body: bytes, headers: dict[str, str], settings: Settings, name: str
) -> Iterator[tuple[int, str]]:
    """Yield status and redirect of a webhook's answer; its host is looked up once, and checked."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        asked = httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        host = ""
    if not host:
        raise DeliveryError(f"The address of {name} is none: look at it again.", permanent=True)
    place = _checked_address(host, port, settings, name)
    pinned = asked.copy_with(host=place)
    headers = headers | {"Host": parts.netloc.rpartition("@")[2]}
    deadline = time.monotonic() + TIMEOUT_S
    try:
        with (
            httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
            client.stream(
                "POST", pinned, content=body, headers=headers, extensions={"sni_hostname": host}
            ) as answer,
        ):
            read = 0
            for chunk in answer.iter_raw():
                read += len(chunk)
                if read > MAX_ANSWER_BYTES:
                    break
                if time.monotonic() > deadline:
                    raise DeliveryError(f"{name} did not finish its answer in {TIMEOUT_S:g} s.")
            yield answer.status_code, answer.headers.get("location", "")
    except httpx.TimeoutException as error:
        raise DeliveryError(f"{name} did not answer within {TIMEOUT_S:g} s.") from error
    except httpx.HTTPError as error:
        raise DeliveryError(f"{name} could not be reached: {type(error).__name__}.") from error


def _checked_address(host: str, port: int, settings: Settings, name: str) -> str:
    """Return an address of the host; refuses private ones, unless the host is allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DeliveryError(f"The host of {name} is not known.") from error
    addresses = [str(one[4][0]) for one in found]
    if host not in settings.alert_private_hosts and not all(
        ipaddress.ip_address(one).is_global for one in addresses
    ):
        raise DeliveryError(
            f"{name} lies in a private network; SIGHTLINE_ALERT_PRIVATE_HOSTS may allow its host.",
            permanent=True,
        )
    return addresses[0]
