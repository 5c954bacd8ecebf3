"""AWS: the one place where boto3 clients are made, cached and configured.

boto3 is imported only when a client is wanted, so that a page without AWS opens at once.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lib.settings import ROOT, Settings

if TYPE_CHECKING:
    from botocore.config import Config
    from botocore.credentials import RefreshableCredentials
    from botocore.model import ServiceModel, Shape

STATUS_DEADLINE_S = 8.0
STS_CONNECT_TIMEOUT_S = 2.0
STS_READ_TIMEOUT_S = 5.0
STS_MAX_ATTEMPTS = 2
CREDENTIAL_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
MACHINE_VENDOR = Path("/sys/class/dmi/id/sys_vendor")  # says "Amazon EC2" on an instance
METADATA_ADDRESS_IPV6 = ipaddress.ip_address("fd00:ec2::254")  # unlike IPv4's, not link-local
LISTED_VALUES = 8


# ------------------------------------------------------------------------------------ errors


class AwsError(Exception):
    """A call to AWS that failed; `sentence` (and `str()`) is for people and holds no secrets.

    `message` is AWS's own wording, redacted, for adapters that read more out of it.
    """

    message = ""

    def __init__(
        self,
        sentence: str,
        *,
        code: str = "",
        service: str = "",
        operation: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.service = service
        self.operation = operation
        self.request_id = request_id


class AccessDenied(AwsError):  # noqa: N818 - AWS's own name for it
    """AWS refused the call: the identity lacks `permission` on `resource`."""

    permission = ""
    resource = "*"

    @property
    def policy_statement(self) -> str:
        """Return the statement to add to the identity's IAM policy, as JSON."""
        statement = {"Effect": "Allow", "Action": self.permission, "Resource": self.resource}
        return json.dumps(statement, indent=2)


class Throttled(AwsError):  # noqa: N818 - AWS's own name for it
    """AWS got more calls than it allows, and went on refusing when they were repeated."""


class NotFound(AwsError):  # noqa: N818 - AWS's own name for it
    """What the call names does not exist in this account and region."""


class QuotaReached(AwsError):  # noqa: N818 - says it best
    """A quota of the account does not allow the call; the sentence names the quota."""


class Invalid(AwsError):  # noqa: N818 - AWS's own name for it
    """botocore or AWS does not accept the parameters of the call."""


class Expired(AwsError):  # noqa: N818 - AWS's own name for it
    """The credentials were good once and are no longer."""


class Unreachable(AwsError):  # noqa: N818 - says it best
    """No answer came back: no network, no such endpoint, or a timeout."""


class NotConfigured(AwsError):  # noqa: N818 - says it best
    """Region, profile, credentials, endpoint or clock of this machine need setting right."""


SECRETS = (
    (r"(?i)(X-Amz-(?:Signature|Security-Token|Credential)\s*[=:]\s*)[^&\s'\"]+", r"\1..."),
    (r"(?i)([?&](?:auth)?token=)[^&\s'\"]+", r"\1..."),
    (r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b", r"\1..."),
    (r"(?s)Value '.*?' at", "Value at"),  # what AWS quotes may be private
    (r"(?s), value: .*?(?=, (?:type|valid))", ""),  # the same from botocore
)

CLOCK = re.compile(r"Signature (?:expired|not yet current)")
SET_CLOCK = (
    "The clock of this machine differs from AWS's, which therefore refuses {call}: "
    "set it, for example with NTP."
)
SET_REGION = (
    "No AWS region is set: set SIGHTLINE_AWS_REGION, for example to us-east-1, and start again."
)
SET_CREDENTIALS = (
    "No AWS credentials were found: set SIGHTLINE_AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or give this machine a role."
)
SET_PROFILE = "{message}: set SIGHTLINE_AWS_PROFILE to one of `aws configure list-profiles`."
REPLACE_CREDENTIALS = (
    "AWS does not accept the credentials that signed {call} ({code}): "
    "set the access key of an active user or role."
)
TRY_CREDENTIALS = (
    "The AWS credentials could not be fetched: see why with `aws sts get-caller-identity`."
)
SIGN_IN_AGAIN = (
    "The AWS credentials have expired: renew them, for example with `aws sso login`, and try again."
)
CHECK_NETWORK = (
    "AWS cannot be reached for {call}: check the network, the region and "
    "SIGHTLINE_AWS_ENDPOINT_URL."
)
BROKEN_OFF = "The answer of AWS to {call} broke off: try again."
CHECK_PROXY = "The proxy on the way to AWS cannot be reached: check HTTPS_PROXY."
CHECK_CERTIFICATE = (
    "The certificate of AWS's endpoint for {call} is not trusted: check AWS_CA_BUNDLE."
)
NOT_AWS = "What answered {call} is not AWS: check SIGHTLINE_AWS_ENDPOINT_URL and the proxy."

# Codes of AWS's answers, what they mean and say; the first row that matches the whole code decides.
FAILED_ANSWERS: tuple[tuple[str, type[AwsError], str], ...] = (
    (r"RequestTimeTooSkewed|RequestInTheFuture", NotConfigured, SET_CLOCK),
    (r"ExpiredToken\w*|RequestExpired|TokenRefreshRequired", Expired, SIGN_IN_AGAIN),
    (
        r"InvalidClientTokenId|UnrecognizedClient\w*|InvalidToken",
        NotConfigured,
        REPLACE_CREDENTIALS,
    ),
    (r"InvalidAccessKeyId|InvalidSignature\w*|AuthFailure", NotConfigured, REPLACE_CREDENTIALS),
    (r"SignatureDoesNotMatch|MissingAuthentication\w*", NotConfigured, REPLACE_CREDENTIALS),
    (r"AccessDenied\w*|Unauthorized\w*|AuthorizationError\w*|Forbidden|403", AccessDenied, ""),
    (
        r"Thrott\w*|\w*Throttled\w*|TooManyRequests\w*|SlowDown|RequestLimitExceeded|429",
        Throttled,
        "AWS limits how often {call} may be called ({code}): try again in a minute.",
    ),
    (
        r"ResourceLimitExceeded|ServiceQuotaExceeded\w*|LimitExceeded\w*",
        QuotaReached,
        "A quota of the AWS account stops {call} ({code}): {message}",
    ),
    (
        r"\w*NotFound\w*|NoSuch\w*|404",
        NotFound,
        "AWS does not find what {call} names ({code}): {message}",
    ),
    (
        r"Validation\w*|Invalid\w*|BadRequest\w*|Malformed\w*",
        Invalid,
        "AWS does not accept this {call} ({code}): {message}",
    ),
    (r".*", AwsError, "AWS failed in {call} ({code}): {message}"),
)

# What botocore raises by itself, by the name of the exception or of the nearest base listed here.
FAILED_CALLS: dict[str, tuple[type[AwsError], str]] = {
    "NoRegionError": (NotConfigured, SET_REGION),
    "InvalidRegionError": (NotConfigured, "{message}: correct SIGHTLINE_AWS_REGION."),
    "NoCredentialsError": (NotConfigured, SET_CREDENTIALS),
    "PartialCredentialsError": (NotConfigured, "{message}: set what is missing."),
    "CredentialRetrievalError": (NotConfigured, TRY_CREDENTIALS),
    "ProfileNotFound": (NotConfigured, SET_PROFILE),
    "ConfigParseError": (NotConfigured, "{message}: correct that file."),
    "InvalidConfigError": (NotConfigured, "The AWS configuration is wrong: {message}."),
    "EndpointProviderError": (NotConfigured, "{call} has no endpoint here: {message}."),
    "SSOError": (Expired, SIGN_IN_AGAIN),
    "LoginError": (Expired, SIGN_IN_AGAIN),
    "TokenRetrievalError": (Expired, SIGN_IN_AGAIN),
    "ParamValidationError": (Invalid, "{call} was given wrong parameters. {message}."),
    "ProxyConnectionError": (Unreachable, CHECK_PROXY),
    "SSLError": (Unreachable, CHECK_CERTIFICATE),
    "ReadTimeoutError": (Unreachable, "AWS did not answer {call} in time: try again."),
    "ConnectionError": (Unreachable, CHECK_NETWORK),
    "HTTPClientError": (Unreachable, CHECK_NETWORK),
    "HTTPError": (Unreachable, BROKEN_OFF),
    "ResponseParserError": (AwsError, NOT_AWS),
    "Exception": (AwsError, "{call} failed: {message}."),
}

NOT_AUTHORIZED = re.compile(r"not authorized to perform: ([\w-]+:\w+)(?: on resource: (\S+))?")
IAM_PREFIXES = {"monitoring": "cloudwatch"}  # where the signing name is not IAM's
IAM_ACTIONS = {  # where IAM calls an operation something else
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "lambda:Invoke": "lambda:InvokeFunction",
}


@contextmanager
def aws_errors(service: str, operation: str) -> Iterator[None]:
    """Raise an `AwsError` from whatever botocore raises inside the block."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError  # botocore lets those of an event stream through

    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError, HTTPError) as error:
        raise translate(error, service, operation) from error


def translate(error: Exception, service: str, operation: str) -> AwsError:
    """Return the `AwsError` that says what a botocore exception means in this call."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return _from_answer(error.response, service, error.operation_name)
    names = [kind.__name__ for kind in type(error).__mro__]
    kind, sentence = next(FAILED_CALLS[name] for name in names if name in FAILED_CALLS)
    message = redact(str(error)).rstrip(".")
    text = sentence.format(call=f"{service}:{operation}", message=message)
    failed = kind(text, code=type(error).__name__, service=service, operation=operation)
    failed.message = message
    return failed


def _from_answer(response: Mapping[str, Any], service: str, operation: str) -> AwsError:
    if operation.startswith("AssumeRole"):
        service = "sts"  # the call that was made first, to get credentials for the one asked for
    answer = response.get("Error", {})
    code, message = str(answer.get("Code", "")), redact(str(answer.get("Message", "")))
    kind, sentence = _classify(code, message)
    details = {
        "code": code,
        "service": service,
        "operation": operation,
        "request_id": str(response.get("ResponseMetadata", {}).get("RequestId", "")),
    }
    call = f"{service}:{operation}"
    failed = (
        _access_denied(message, details)
        if kind is AccessDenied
        else kind(sentence.format(call=call, code=code, message=message), **details)
    )
    failed.message = message
    return failed


def _classify(code: str, message: str) -> tuple[type[AwsError], str]:
    if CLOCK.search(message):
        return NotConfigured, SET_CLOCK
    if message.startswith("Could not find"):
        code = "NotFound"  # SageMaker answers ValidationException for what does not exist
    return next((kind, text) for codes, kind, text in FAILED_ANSWERS if re.fullmatch(codes, code))


def _access_denied(message: str, details: dict[str, str]) -> AccessDenied:
    named = NOT_AUTHORIZED.search(message)
    permission = named[1] if named else iam_action(details["service"], details["operation"])
    resource = (named[2] or "*").rstrip(".,;") if named else "*"
    where = "" if resource == "*" else f" on {resource}"
    if "explicit deny" in message:
        sentence = f"An AWS policy denies {permission}{where} explicitly: have that denial lifted."
    elif permission == "sts:AssumeRole":
        sentence = (
            f"The AWS identity lacks {permission}{where}: allow it in its IAM policy and in the "
            "role's trust policy."
        )
    else:
        sentence = f"The AWS identity lacks {permission}{where}: allow it in its IAM policy."
    denied = AccessDenied(sentence, **details)
    denied.permission, denied.resource = permission, resource
    return denied


def iam_action(service: str, operation: str) -> str:
    """Return the IAM action that an operation needs, such as `sagemaker:InvokeEndpoint`."""
    from botocore.exceptions import UnknownServiceError

    try:
        prefix = service_model(service).signing_name
    except UnknownServiceError:
        prefix = service
    action = f"{IAM_PREFIXES.get(prefix, prefix)}:{operation}"
    return IAM_ACTIONS.get(action, action)


def redact(text: str) -> str:
    """Return the text without signatures, tokens, key ids and quoted parameter values."""
    for secret, replacement in SECRETS:
        text = re.sub(secret, replacement, text)
    return text


# ------------------------------------------------------------------------------------ limits


@cache
def service_model(service: str) -> ServiceModel:
    """Return botocore's model of a service; raises UnknownServiceError."""
    from botocore.loaders import create_loader
    from botocore.model import ServiceModel

    return ServiceModel(create_loader().load_service_model(service, "service-2"), service)


def check_shape(service: str, operation: str, params: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence for every limit of the AWS API that the parameters break.

    botocore itself checks what is required, known and of the right type, but no maximum,
    pattern or enumeration; they are in its model of the service all the same.
    """
    shape = service_model(service).operation_model(operation).input_shape
    return () if shape is None else tuple(broken_limits(params, shape))


def broken_limits(value: Any, shape: Shape, name: str = "") -> Iterator[str]:
    """Yield a sentence for every limit of a shape that a value breaks, recursively."""
    yield from _broken_size(value, shape, name)
    if shape.type_name == "string" and isinstance(value, str):
        yield from _broken_text(value, shape, name)
    for child, child_shape, child_name in _children(value, shape, name):
        yield from broken_limits(child, child_shape, child_name)


def _children(value: Any, shape: Any, name: str) -> Iterator[tuple[Any, Shape, str]]:
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for key in value.keys() & shape.members.keys():
            yield value[key], shape.members[key], f"{name}.{key}".lstrip(".")
    elif shape.type_name == "map" and isinstance(value, Mapping):
        for key, entry in value.items():
            yield key, shape.key, f"{name} key"
            yield entry, shape.value, f"{name}.{key}"
    elif shape.type_name == "list" and isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield item, shape.member, f"{name}[{index}]"


def _broken_size(value: Any, shape: Shape, name: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    size, unit = _size(value, shape)
    if size is None or not ((low is not None and size < low) or (high is not None and size > high)):
        return
    is_size = f"has {size:,} {unit}" if unit else f"is {size:,}"
    if low is None:
        yield f"{name} {is_size}; AWS takes at most {high:,}."
    elif high is None:
        yield f"{name} {is_size}; AWS takes at least {low:,}."
    else:
        yield f"{name} {is_size}; AWS takes {low:,} to {high:,}."


def _size(value: Any, shape: Shape) -> tuple[float | None, str]:
    kind = shape.type_name
    if kind == "string" and isinstance(value, str):
        return len(value), "characters"
    if kind == "blob" and isinstance(value, bytes | bytearray):
        return len(value), "bytes"
    if kind == "list" and isinstance(value, list | tuple):
        return len(value), "items"
    if kind == "map" and isinstance(value, Mapping):
        return len(value), "entries"
    if kind in {"integer", "long", "float", "double"} and isinstance(value, int | float):
        return value, ""
    return None, ""


def _broken_text(value: str, shape: Shape, name: str) -> Iterator[str]:
    values = shape.metadata.get("enum", [])
    if values and value not in values:
        listed = ", ".join(values) if len(values) <= LISTED_VALUES else f"{len(values)} values"
        yield f"{name} is none of what AWS takes: {listed}."
    pattern = shape.metadata.get("pattern")
    allowed = _compiled(pattern) if pattern else None
    too_long = len(value) > shape.metadata.get("max", len(value))
    if allowed and not too_long and not allowed.fullmatch(value):
        yield f"{name} does not fit the pattern that AWS takes: {pattern}"


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern, re.ASCII)
    except re.error:  # a few patterns use Java's syntax, which Python does not know
        return None


# ----------------------------------------------------------------------------------- clients


@dataclass(frozen=True)
class AwsStatus:
    """Whether AWS can be used, as whom and where, or what to do first."""

    usable: bool
    sentence: str
    account: str | None
    arn: str | None
    region: str | None
    checked_at: datetime


@dataclass(frozen=True)
class AssumedRole:
    """A role's temporary credentials, in the place of botocore's chain of credential providers."""

    source: Aws
    request: Mapping[str, str]

    def load_credentials(self) -> RefreshableCredentials:
        """Return credentials that call sts:AssumeRole when first used and before they expire."""
        from botocore.credentials import (
            DeferredRefreshableCredentials,
            create_assume_role_refresher,
        )

        refresh = create_assume_role_refresher(self.source.client("sts"), dict(self.request))
        return DeferredRefreshableCredentials(refresh, "assume-role")


class Aws:
    """The AWS identity of this process: its boto3 clients, each made once, and its status."""

    def __init__(self, settings: Settings, role: AssumedRole | None = None) -> None:
        self._settings = settings
        self._role = role
        self._lock = threading.RLock()
        self._clients: dict[tuple[str, str | None], Any] = {}

    @property
    def configured(self) -> bool:
        """Tell, without a call, whether a region and credentials seem to be set."""
        return not self.to_set

    @property
    def to_set(self) -> str:
        """Return what to set before a call is worth trying, as a sentence; empty if nothing."""
        if not self._has_credentials():
            return SET_CREDENTIALS
        return "" if self.region else SET_REGION

    @property
    def region(self) -> str | None:
        """Return the region of clients that name none; None where no setting gives one."""
        from botocore.exceptions import ProfileNotFound

        if self._settings.aws_region:
            return self._settings.aws_region
        try:
            with self._lock:
                region: str | None = self._session.region_name
        except ProfileNotFound:
            return None
        return region

    def client(self, service: str, *, region: str | None = None) -> Any:
        """Return the boto3 client of a service, the same for the same arguments.

        Raises NotConfigured where region, profile, credentials or endpoint are missing or wrong.
        """
        with self._lock, aws_errors(service, "client"):
            if (service, region) not in self._clients:
                self._clients[service, region] = self._open_client(service, region)
            return self._clients[service, region]

    def assumed(
        self,
        role_arn: str,
        *,
        session_name: str = "sightline",
        policy: Mapping[str, Any] | None = None,
    ) -> Aws:
        """Return AWS as a role that this identity assumes, narrowed by a session policy."""
        request = {"RoleArn": role_arn, "RoleSessionName": session_name}
        if policy is not None:
            request["Policy"] = json.dumps(policy)
        return Aws(self._settings, AssumedRole(self, request))

    def signed_post(self, url: str, body: bytes, *, service: str) -> tuple[int, bytes]:
        """Return status and content that a URL answers to a POST, signed (SigV4) as this identity.

        Redirects are not followed. Raises `AwsError`; the URL is in no message.
        """
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import NoCredentialsError, NoRegionError
        from botocore.httpsession import URLLib3Session

        with aws_errors(service, "InvokeFunctionUrl"):
            credentials = self._session.get_credentials()
            if credentials is None:
                raise NoCredentialsError
            if self.region is None:
                raise NoRegionError
            request = AWSRequest(
                "POST", url, data=body, headers={"Content-Type": "application/json"}
            )
            SigV4Auth(credentials.get_frozen_credentials(), service, self.region).add_auth(request)
            waits: Any = (self._settings.aws_connect_timeout, self._settings.aws_read_timeout)
            session = URLLib3Session(timeout=waits)
            answer = session.send(request.prepare())
            return answer.status_code, answer.content

    def status(self) -> AwsStatus:
        """Return whether AWS can be used, asking sts:GetCallerIdentity; takes seconds, not more."""
        # A name server that is down cannot be timed out from within the call.
        answer: SimpleQueue[AwsStatus] = SimpleQueue()
        asking = threading.Thread(target=lambda: answer.put(self._ask_identity()), daemon=True)
        asking.start()
        try:
            return answer.get(timeout=STATUS_DEADLINE_S)
        except Empty:
            return self._unusable(
                f"AWS did not answer within {STATUS_DEADLINE_S:g} seconds: check the network, "
                "the proxy and the name server."
            )

    def _ask_identity(self) -> AwsStatus:
        try:
            with aws_errors("sts", "GetCallerIdentity"):
                identity = self.client("sts").get_caller_identity()
        except AwsError as error:
            return self._unusable(error.sentence)
        except (OSError, ValueError, RuntimeError) as error:  # credential processes, token files
            return self._unusable(f"{TRY_CREDENTIALS[:-1]} ({type(error).__name__}).")
        account, arn = identity["Account"], identity["Arn"]
        sentence = f"AWS account {account} in {self.region}, as {arn.split(':', 5)[-1]}."
        return AwsStatus(True, sentence, account, arn, self.region, datetime.now(UTC))  # noqa: FBT003 - the field's name is on the class

    def _unusable(self, sentence: str) -> AwsStatus:
        return AwsStatus(
            usable=False,
            sentence=sentence,
            account=None,
            arn=None,
            region=self._settings.aws_region,
            checked_at=datetime.now(UTC),
        )

    @cached_property
    def _session(self) -> Any:
        import boto3
        import botocore.session

        core = botocore.session.Session(profile=self._settings.aws_profile or None)
        if self._role is not None:
            core.register_component("credential_provider", self._role)
        return boto3.Session(botocore_session=core, region_name=self._settings.aws_region or None)

    def _open_client(self, service: str, region: str | None) -> Any:
        from botocore.exceptions import NoCredentialsError, NoRegionError

        endpoint = checked_url(self._settings.aws_endpoint_url, "SIGHTLINE_AWS_ENDPOINT_URL")
        if region is None and self._session.region_name is None:
            raise NoRegionError
        if self._session.get_credentials() is None:
            raise NoCredentialsError
        return self._session.client(
            service, region_name=region, endpoint_url=endpoint, config=self._config(service)
        )

    def _config(self, service: str) -> Config:
        from botocore.config import Config

        settings, is_sts = self._settings, service == "sts"
        connect, read = settings.aws_connect_timeout, settings.aws_read_timeout
        attempts = settings.aws_max_attempts
        return Config(
            connect_timeout=min(connect, STS_CONNECT_TIMEOUT_S) if is_sts else connect,
            read_timeout=min(read, STS_READ_TIMEOUT_S) if is_sts else read,
            retries={
                "mode": "standard",
                "total_max_attempts": min(attempts, STS_MAX_ATTEMPTS) if is_sts else attempts,
            },
            user_agent_extra=f"sightline/{version()}",
        )

    def _has_credentials(self) -> bool:
        if self._settings.aws_profile or any(os.environ.get(name) for name in CREDENTIAL_VARIABLES):
            return True
        shared = os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
        config = os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")
        if Path(shared).expanduser().exists() or Path(config).expanduser().exists():
            return True
        return MACHINE_VENDOR.exists() and MACHINE_VENDOR.read_text().startswith("Amazon EC2")


def open_aws(settings: Settings) -> Aws:
    """Return AWS as the settings name it, as the assumed role where one is set."""
    aws = Aws(settings)
    return aws.assumed(settings.aws_role_arn) if settings.aws_role_arn else aws


def checked_url(url: str | None, setting: str) -> str | None:
    """Return the URL of a setting, None where it is empty; raises NotConfigured.

    Refused is what would send credentials in the clear, or to an address that hands them out.
    """
    if not url:
        return None
    parts = urlsplit(url)
    host, address = parts.hostname or "", _address(parts.hostname or "")
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.password:
        reason = "is not an http or https URL without user name and password"
    elif address and (address.is_link_local or address == METADATA_ADDRESS_IPV6):
        reason = "names a link-local or metadata address, which hands out credentials"
    elif parts.scheme == "http" and not _is_loopback(host, address):
        reason = "is plain http, which only this machine itself may be reached by: use https"
    else:
        return url
    raise NotConfigured(f"{setting} {reason}; correct it and start again.")


def _is_loopback(host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    return address.is_loopback if address else host == "localhost"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))  # 2852039166, 0xa9fea9fe ...
        except OSError:
            return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@cache
def version() -> str:
    """Return Sightline's version, which it tells AWS in the user agent."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])
