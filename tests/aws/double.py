"""The AWS double: answers real boto3 calls in this process, in the wire format of each service.

botocore sends every request through its `before-send` event; whoever answers there is the
network. The double decodes the request, hands its parameters to a handler, checks the answer
against the service's own model and encodes it, so that serialisation, signing, paging, retries,
errors and event streams are botocore's. S3 and SNS are moto's: `with mock_aws():` beside it.
"""

from __future__ import annotations

import binascii
import json
import re
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from botocore import handlers
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.loaders import create_loader
from botocore.utils import parse_timestamp
from botocore.validate import ParamValidator
from moto.core.botocore_stubber import MockRawResponse
from moto.core.model import OperationModel, ServiceModel
from moto.core.models import botocore_stubber
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import get_serializer_class
from werkzeug.datastructures import Headers, MultiDict

from lib.aws import broken_limits

Params = dict[str, Any]
Handler = Callable[[Params], Mapping[str, Any]]
Wire = tuple[int, dict[str, str], bytes]  # status, headers, body
LOADER = create_loader()  # reading the models is most of what making a client costs
REQUEST_ID = "the-double"
MOTO_SERVICES = frozenset({"s3", "sns"})


class WireError(Exception):
    """An error that AWS answers with; `members` are those that the service's model gives it."""

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members


class UnexpectedCallError(AssertionError):
    """A call that the test did not provide for, or an answer that AWS could not give."""


@dataclass(frozen=True)
class Call:
    """One request as it came over the wire; a retry is a call of its own."""

    service: str
    operation: str
    params: Params
    url: str
    headers: Mapping[str, str]


class AwsDouble(AbstractContextManager["AwsDouble"]):
    """AWS for the boto3 sessions of this process, from entering until leaving the context.

    `calls` holds what was asked; on leaving, what nobody provided for fails the test, even where
    a thread or an `except` swallowed the failure at the time.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.unexpected: list[str] = []
        self._services: dict[str, str] = {}
        self._handlers: dict[tuple[str, str], Handler] = {}
        self._failures: defaultdict[tuple[str, str], deque[Exception]] = defaultdict(deque)
        self._lock = threading.Lock()

    def on(self, service: str, operation: str, answer: Handler | Mapping[str, Any]) -> None:
        """Answer an operation with a dictionary, or with what a function makes of its parameters.

        `service` is boto3's name of it, `operation` the API's: ("sts", "GetCallerIdentity").
        A function may raise WireError. The key "Body" of a streaming answer takes bytes, an
        event stream a list of events: {"Body": [{"PayloadPart": {"Bytes": b"..."}}]}.
        """
        self._claim(service).operation_model(operation)  # fails on a name that AWS does not have
        handler = answer if callable(answer) else lambda _params: answer
        self._handlers[service, operation] = handler

    def fail(self, service: str, operation: str, error: Exception, *, times: int = 1) -> None:
        """Fail the next calls: with a WireError as AWS does, or an exception as the network does.

        Network failures are botocore's own exceptions, such as ConnectTimeoutError.
        """
        self._claim(service).operation_model(operation)
        self._failures[service, operation].extend([error] * times)

    def throttle(self, service: str, operation: str, *, times: int = 1) -> None:
        """Answer the next calls with ThrottlingException."""
        self.fail(
            service, operation, WireError("ThrottlingException", "Rate exceeded"), times=times
        )

    def called(self, service: str, operation: str) -> list[Params]:
        """Return the parameters of every call of an operation, in order."""
        return [c.params for c in self.calls if (c.service, c.operation) == (service, operation)]

    def owns(self, service_id: str) -> bool:
        """Tell whether something was provided for a service, by the id that events carry."""
        return service_id in self._services

    def respond(self, service_id: str, operation: str, request: AWSPreparedRequest) -> AWSResponse:
        """Return the answer on the wire to a request; raises what `fail` was given."""
        service = self._services.get(service_id, service_id)
        if not self.owns(service_id):
            raise self._refuse(f"{service}:{operation} was called, and nothing was provided for it")
        model = service_model(service).operation_model(operation)
        params = decode(model, request)
        with self._lock:
            self.calls.append(Call(service, operation, params, request.url, texts(request.headers)))
            failures = self._failures[service, operation]
            failure = failures.popleft() if failures else None
        try:
            status, headers, body = self._answer(model, service, params, failure)
        except WireError as error:
            status, headers, body = encode_error(model, error)
        return AWSResponse(request.url, status, cast("Any", headers), MockRawResponse(body))

    def _answer(
        self, model: OperationModel, service: str, params: Params, failure: Exception | None
    ) -> Wire:
        if failure is not None:
            raise failure
        handler = self._handlers.get((service, model.name))
        if handler is None:
            raise self._refuse(f"{service}:{model.name} was called, and nothing answers it")
        broken = tuple(broken_limits(params, model.input_shape)) if model.input_shape else ()
        if broken:
            raise WireError("ValidationException", " ".join(broken))
        answer = dict(handler(params))
        wrong = wrong_in(answer, model)
        if wrong:
            reason = f"AWS cannot answer {service}:{model.name} like this: {' '.join(wrong)}"
            raise self._refuse(reason)
        return encode(model, answer)

    def _claim(self, service: str) -> ServiceModel:
        model = service_model(service)
        self._services[model.service_id.hyphenize()] = service
        return model

    def _refuse(self, reason: str) -> UnexpectedCallError:
        self.unexpected.append(reason)
        return UnexpectedCallError(reason)

    def __enter__(self) -> Self:
        active.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        active.remove(self)
        if self.unexpected and error is None:
            raise UnexpectedCallError("; ".join(self.unexpected))


# ------------------------------------------------------------------------------- the wire format


@cache
def service_model(service: str) -> ServiceModel:
    """Return botocore's model of a service in the class that moto's codecs ask for."""
    return ServiceModel(LOADER.load_service_model(service, "service-2"), service)


def protocol(model: OperationModel) -> str:
    """Return the wire protocol that botocore chooses for an operation's service."""
    return str(model.service_model.resolved_protocol)


def texts(headers: Any) -> dict[str, str]:
    """Return headers as text; botocore has them as bytes once signed."""
    return {k: v.decode() if isinstance(v, bytes) else str(v) for k, v in headers.items()}


def decode(model: OperationModel, request: AWSPreparedRequest) -> Params:
    """Return the parameters that a request carries in path, query, headers and body."""
    parts = urlsplit(request.url)
    body = request.body.encode() if isinstance(request.body, str) else bytes(request.body or b"")  # type: ignore[arg-type]  # a file comes only from S3 uploads, which are moto's
    is_rest = protocol(model).startswith("rest")
    pairs = parse_qsl(parts.query if is_rest else body.decode(), keep_blank_values=True)
    parser = PROTOCOL_PARSERS[protocol(model)](model, timestamp_parser=parse_timestamp)
    parsed = parser.parse(
        {
            "body": body,
            "headers": Headers(list(texts(request.headers).items())),
            "method": request.method,
            "url_params": path_params(model, parts.path) if is_rest else {},
            "url_path": parts.path,
            "values": MultiDict(pairs),
        }
    )
    return {name: value for name, value in parsed.items() if value is not None}


def path_params(model: OperationModel, path: str) -> dict[str, str]:
    """Return the parameters in the path of a REST request, by their names on the wire."""
    label = re.compile(r"{([^}+]+)(\+?)}")
    template = model.http_trait.path
    pattern = label.sub(lambda found: "(.+)" if found[2] else "([^/]+)", template)
    found = re.search(f"{pattern}/?$", path)
    if found is None:
        raise UnexpectedCallError(f"{path} is not a path of {model.name}: {template}")
    names = [name for name, _ in label.findall(template)]
    return dict(zip(names, map(unquote, found.groups()), strict=True))


def wrong_in(answer: Params, model: OperationModel) -> list[str]:
    """Return what the service's model does not allow in an answer."""
    shape = model.output_shape
    if shape is None:
        return ["It has no output."] if answer else []
    stream = shape.event_stream_name
    if stream is None:
        return list(problems(answer, shape))
    values: list[tuple[Any, Any]] = [({**answer, stream: {}}, shape)]
    values += [(event, shape.members[stream]) for event in answer[stream]]
    return [problem for value, its_shape in values for problem in problems(value, its_shape)]


def problems(value: Any, shape: Any) -> Iterator[str]:
    """Yield what botocore's checks of type and presence, and the limits, say about a value."""
    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        yield report.generate_report()
    yield from broken_limits(value, shape)


def encode(model: OperationModel, answer: Params) -> Wire:
    """Return an answer as the operation's protocol puts it on the wire."""
    shape: Any = model.output_shape
    if shape is not None and shape.event_stream_name:
        return encode_stream(shape, answer)
    serializer = get_serializer_class(model.service_model.service_name, protocol(model))
    wire = serializer(model).serialize(answer)
    body = wire["body"] or b""
    headers = {**wire["headers"], "x-amzn-RequestId": REQUEST_ID}
    return wire["status_code"], headers, body.encode() if isinstance(body, str) else body


def encode_stream(shape: Any, answer: Params) -> Wire:
    """Return an answer whose body is a stream of events; errors in it come as AWS sends them."""
    stream = shape.members[shape.event_stream_name]
    named = {name: member.serialization.get("name", name) for name, member in shape.members.items()}
    headers = {
        named[name]: str(value) for name, value in answer.items() if name != shape.event_stream_name
    }
    body = b"".join(encode_event(stream, event) for event in answer[shape.event_stream_name])
    kind = {"Content-Type": "application/vnd.amazon.eventstream", "x-amzn-RequestId": REQUEST_ID}
    return 200, headers | kind, body


def encode_event(stream: Any, event: Params) -> bytes:
    """Return one event as application/vnd.amazon.eventstream frames it."""
    ((name, members),) = event.items()
    shape = stream.members[name]
    kind = "exception" if shape.metadata.get("exception") else "event"
    blobs = [
        key for key, member in shape.members.items() if member.serialization.get("eventpayload")
    ]
    payload = members[blobs[0]] if blobs else json.dumps(members).encode()
    texts = {":message-type": kind, f":{kind}-type": name, ":content-type": "application/json"}
    headers = b"".join(
        struct.pack("!B", len(key))
        + key.encode()
        + struct.pack("!BH", 7, len(text))
        + text.encode()
        for key, text in texts.items()
    )
    prelude = struct.pack("!II", len(headers) + len(payload) + 16, len(headers))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + headers + payload
    return message + struct.pack("!I", binascii.crc32(message))


def encode_error(model: OperationModel, error: WireError) -> Wire:
    """Return an error as the operation's protocol puts it on the wire."""
    if "json" in protocol(model):
        body = json.dumps({"__type": error.code, "message": error.message, **error.members})
        headers = {"x-amzn-ErrorType": error.code, "x-amzn-RequestId": REQUEST_ID}
        return error.status, headers, body.encode()
    members = {"Type": "Sender", "Code": error.code, "Message": error.message, **error.members}
    inner = "".join(f"<{name}>{escape(str(text))}</{name}>" for name, text in members.items())
    body = (
        f"<ErrorResponse><Error>{inner}</Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
    )
    return error.status, {"Content-Type": "text/xml"}, body.encode()


# ------------------------------------------------------------------------------- the way in

active: list[AwsDouble] = []  # the innermost is the last


def answer_request(
    request: AWSPreparedRequest, event_name: str, **_kwargs: Any
) -> AWSResponse | None:
    """Answer a request by the active double, by moto where it has the service, else not at all."""
    _, service_id, operation = event_name.split(".", 2)
    double = active[-1] if active else None
    is_motos = botocore_stubber.enabled and service_id in MOTO_SERVICES
    if double is not None and (double.owns(service_id) or not is_motos):
        return double.respond(service_id, operation, request)
    return botocore_stubber(event_name, request)


# botocore calls every handler, and moto refuses what it does not know: so moto's place in the
# handlers of every session to come is taken by one that asks moto only for what is moto's.
handlers.BUILTIN_HANDLERS[:] = [
    (spec[0], answer_request, *spec[2:]) if spec[1] is botocore_stubber else spec
    for spec in handlers.BUILTIN_HANDLERS
]
