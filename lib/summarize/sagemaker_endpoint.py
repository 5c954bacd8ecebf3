"""A model behind a SageMaker endpoint; its wire format does not leave this module.

Hugging Face's inference containers take `{"inputs": text, "parameters": {...}}`, the parameters
being those of `generate`, and answer `[{"summary_text": ...}]`
(github.com/aws/sagemaker-huggingface-inference-toolkit). Containers that can stream take
`"stream": true` beside them; the others ignore it and answer in one piece.
The text goes to the endpoint and into no log.
"""

from __future__ import annotations

import codecs
import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from math import ceil
from typing import Any

from lib.aws import Aws, AwsError, aws_errors, check_shape
from lib.summarize.model import (
    CannotStreamError,
    Draft,
    Generation,
    GenerationError,
    StoppedError,
    TextError,
)

RUNTIME = "sagemaker-runtime"
STREAM = "InvokeEndpointWithResponseStream"
IN_SERVICE = "InService"
BART_WINDOW = 1024  # tokens, of BART, DistilBART and PEGASUS; most T5 have 512
CANCEL_CHECK_S = 0.25
QUOTED_CHARACTERS = 300
LETTERS_PER_TOKEN, LETTERS_OF_NAMES_PER_TOKEN, DIGITS_PER_TOKEN = 5, 3, 2
SPECIAL_TOKENS = 2  # at the beginning and the end of a text

_TOKEN_RUNS = re.compile(
    r"(?P<word>[a-z]+)|(?P<name>[A-Z][A-Za-z]*)|(?P<digits>[0-9]+)|(?P<space> )|.", re.DOTALL
)
_CONTAINER_MESSAGE = re.compile(r'with message "(.*?)"\. See ', re.DOTALL)
_TOO_LONG = re.compile(r"index out of range|maximum sequence length|device-side assert")


@dataclass(frozen=True)
class Endpoint:
    """An endpoint of the account; `status` is SageMaker's, "InService" can be called."""

    name: str
    status: str
    created: datetime


@dataclass(frozen=True)
class EndpointDetails:
    """What runs behind an endpoint; `failure` is SageMaker's reason for status "Failed"."""

    status: str
    failure: str
    configuration: str
    model: str
    instance_type: str
    instance_count: int


def list_endpoints(aws: Aws, region: str | None = None) -> tuple[Endpoint, ...]:
    """Return the endpoints of the account by name (ListEndpoints); raises `AwsError`."""
    with aws_errors("sagemaker", "ListEndpoints"):
        pages = aws.client("sagemaker", region=region).get_paginator("list_endpoints")
        return tuple(
            Endpoint(item["EndpointName"], item["EndpointStatus"], item["CreationTime"])
            for page in pages.paginate(SortBy="Name", SortOrder="Ascending")
            for item in page["Endpoints"]
        )


def describe_endpoint(aws: Aws, name: str, region: str | None = None) -> EndpointDetails:
    """Return what runs behind an endpoint; raises `AwsError`.

    Two calls, DescribeEndpoint and DescribeEndpointConfig: only the latter knows the instances.
    An endpoint without instances of its own (serverless) has type "" and count 0.
    """
    client = aws.client("sagemaker", region=region)
    with aws_errors("sagemaker", "DescribeEndpoint"):
        endpoint = client.describe_endpoint(EndpointName=name)
    with aws_errors("sagemaker", "DescribeEndpointConfig"):
        configuration = client.describe_endpoint_config(
            EndpointConfigName=endpoint["EndpointConfigName"]
        )
    variant = configuration["ProductionVariants"][0]
    return EndpointDetails(
        status=endpoint["EndpointStatus"],
        failure=endpoint.get("FailureReason", ""),
        configuration=endpoint["EndpointConfigName"],
        model=variant.get("ModelName", ""),
        instance_type=variant.get("InstanceType", ""),
        instance_count=variant.get("InitialInstanceCount", 0),
    )


class SageMakerEndpoint:
    """The model behind one endpoint, as a `lib.summarize.model.Generator`.

    Beside what the protocol names, its methods raise `lib.aws.AwsError` where AWS does not answer.
    """

    def __init__(
        self,
        aws: Aws,
        endpoint: str,
        *,
        region: str | None = None,
        window: int = BART_WINDOW,
    ) -> None:
        """Take the endpoint; raises `ValueError` where AWS allows no such name."""
        broken = check_shape(RUNTIME, "InvokeEndpoint", {"EndpointName": endpoint})
        if broken:
            raise ValueError(" ".join(broken))
        self.name = f"SageMaker endpoint {endpoint}"
        self._aws = aws
        self._endpoint = endpoint
        self._region = region
        self._window = window

    def window(self) -> int:
        """Return how many tokens of source the model can read."""
        return self._window

    def count(self, text: str) -> int:
        """Return an estimate of the text's tokens that errs high: an endpoint does not count.

        On 907 passages of up to 4,000 characters (news, earnings calls, dialogues, abstracts) it
        is never below the count of BART's vocabulary, and 20 to 36 % above it in the median.
        """
        return SPECIAL_TOKENS + sum(map(_tokens, _TOKEN_RUNS.finditer(text)))

    def generate(self, text: str, parameters: Generation, cancelled: Callable[[], bool]) -> Draft:
        """Return the summary of a text (InvokeEndpoint); tokens are estimates.

        A call that is on its way cannot be called back: where `cancelled` says so its answer is
        dropped.
        """
        started = time.perf_counter()
        body = self._request(text, parameters)
        answer = _unless(cancelled, lambda: self._invoke(body))
        summary = summary_of(answer)
        seconds = time.perf_counter() - started
        return Draft(summary, self.count(text), self.count(summary), seconds)

    def stream(
        self, text: str, parameters: Generation, cancelled: Callable[[], bool]
    ) -> Iterator[str]:
        """Yield the summary piece by piece (InvokeEndpointWithResponseStream).

        A container that cannot stream answers in one piece, or refuses: `CannotStreamError`.
        `cancelled` is asked between the parts that arrive.
        """
        if parameters.num_beams > 1:
            raise CannotStreamError(
                "Beam search knows its first word only when it ends: "
                "choose one beam to see the summary while it is written."
            )
        body = self._request(text, parameters, stream=True)
        with self._explained(STREAM):
            answer = self._client().invoke_endpoint_with_response_stream(
                EndpointName=self._endpoint, Body=body, ContentType="application/json"
            )
        with closing(answer["Body"]), self._explained(STREAM):
            parts = _payload(answer["Body"], cancelled)
            yield from pieces(answer.get("ContentType", ""), parts)

    def _client(self) -> Any:
        return self._aws.client(RUNTIME, region=self._region)

    def _request(self, text: str, parameters: Generation, *, stream: bool = False) -> bytes:
        tokens = self.count(text)
        if tokens > self._window:
            raise TextError(
                f"The text has about {tokens:,} tokens and the model reads {self._window:,}: "
                "shorten it, or let its best sentences be chosen first."
            )
        request = {"inputs": text, "parameters": wire_parameters(parameters)}
        body = json.dumps(request | ({"stream": True} if stream else {})).encode()
        broken = check_shape(RUNTIME, "InvokeEndpoint", {"Body": body})
        if broken:
            raise TextError(f"The text is too long for one call of an endpoint: {broken[0]}")
        return body

    def _invoke(self, body: bytes) -> bytes:
        with self._explained("InvokeEndpoint"):
            answer = self._client().invoke_endpoint(
                EndpointName=self._endpoint,
                Body=body,
                ContentType="application/json",
                Accept="application/json",
            )
            content: bytes = answer["Body"].read()
        return content

    @contextmanager
    def _explained(self, operation: str) -> Iterator[None]:
        """Raise a `GenerationError` for what the model did wrong, `AwsError` for all the rest."""
        try:
            with aws_errors(RUNTIME, operation):
                yield
        except AwsError as error:
            explanation = self._explanation(error)
            if explanation is None:
                raise
            raise explanation from error

    def _explanation(self, error: AwsError) -> GenerationError | None:
        message = container_message(error.message)
        refused = error.code in {"ModelError", "ValidationError"} and "stream" in message.lower()
        if error.operation == STREAM and refused:
            return CannotStreamError(f"{self.name} does not stream: {message}")
        if error.code == "ModelError":
            hint = (
                " The text is longer than the model can read: shorten it."
                if _TOO_LONG.search(message)
                else f" Its log is in CloudWatch, under /aws/sagemaker/Endpoints/{self._endpoint}."
            )
            return GenerationError(f"The model at {self.name} failed: {message}{hint}")
        if error.code == "ModelNotReadyException":
            return GenerationError(
                f"The model at {self.name} is still being loaded: try again in a minute."
            )
        if error.code in {"ModelStreamError", "InternalStreamFailure"}:
            return GenerationError(
                f"{self.name} broke off in the middle of the summary: {message} Try again."
            )
        return None


def wire_parameters(parameters: Generation) -> dict[str, Any]:
    """Return the parameters as `generate` of Hugging Face's transformers names them."""
    beams = {"early_stopping": True} if parameters.num_beams > 1 else {}
    return asdict(parameters) | {"do_sample": False} | beams


def summary_of(answer: bytes | str) -> str:
    """Return the summary in a container's answer; raises `GenerationError` where there is none.

    `[{"summary_text": ...}]` is what Hugging Face's containers send; `generated_text` in its place
    and an object without a list around it are taken too.
    """
    try:
        found = json.loads(answer)
    except ValueError:
        raise GenerationError(
            "The endpoint's answer is not JSON: it is no Hugging Face model."
        ) from None
    while isinstance(found, list) and found:
        found = found[0]
    texts = found if isinstance(found, dict) else {}
    summary = texts.get("summary_text", texts.get("generated_text"))
    if not isinstance(summary, str):
        named = ", ".join(sorted(map(str, texts))) or type(found).__name__
        raise GenerationError(
            f"The endpoint's answer has neither summary_text nor generated_text, but {named}: "
            "it is no summarization model."
        )
    if not summary.strip():
        raise GenerationError("The model wrote nothing: try other parameters or another text.")
    return summary.strip()


def pieces(content_type: str, parts: Iterator[str]) -> Iterator[str]:
    """Yield the pieces of a summary in a streamed answer; raises `GenerationError`.

    Server-sent events (Text Generation Inference) and JSON lines (Large Model Inference) carry one
    token each, `{"token": {"text": ...}}`. JSON is the answer of a container that does not stream,
    and comes as one piece. Anything else is the text itself.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in {"text/event-stream", "application/jsonlines", "application/x-ndjson"}:
        yield from filter(None, map(_token_text, _lines(parts)))
    elif kind == "application/json":
        yield summary_of("".join(parts))
    else:
        yield from filter(None, parts)


def container_message(message: str) -> str:
    """Return what the container itself said, out of SageMaker's wording around it."""
    quoted = _CONTAINER_MESSAGE.search(message)
    inner = quoted[1].strip() if quoted else message
    try:
        parsed = json.loads(inner)
    except ValueError:
        parsed = inner
    if isinstance(parsed, dict):
        parsed = parsed.get("message", parsed.get("error", inner))
    said = " ".join(str(parsed).split())
    cut = said[:QUOTED_CHARACTERS] + ("..." if len(said) > QUOTED_CHARACTERS else "")
    return cut if cut.endswith((".", "!", "?")) else f"{cut}."


def _tokens(run: re.Match[str]) -> int:
    text = run[0]
    if run["word"]:
        return ceil(len(text) / LETTERS_PER_TOKEN)
    if run["name"]:
        return ceil(len(text) / LETTERS_OF_NAMES_PER_TOKEN)
    if run["digits"]:
        return ceil(len(text) / DIGITS_PER_TOKEN)
    return 0 if run["space"] else len(text.encode("utf-8", "replace"))


def _unless(cancelled: Callable[[], bool], call: Callable[[], bytes]) -> bytes:
    """Return what a call returns; raises `StoppedError` once `cancelled` says so."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="sagemaker-endpoint")
    try:
        answer: Future[bytes] = pool.submit(call)
        while not wait((answer,), timeout=CANCEL_CHECK_S).done:
            if cancelled():
                raise StoppedError("The summary was stopped.")
        return answer.result()
    finally:
        pool.shutdown(wait=False)


def _payload(events: Any, cancelled: Callable[[], bool]) -> Iterator[str]:
    """Yield the text of an event stream; a character may begin in one part and end in the next."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for event in events:
            if cancelled():
                raise StoppedError("The summary was stopped.")
            yield decoder.decode(event.get("PayloadPart", {}).get("Bytes", b""))
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise GenerationError("The endpoint's answer is not UTF-8 text.") from None


def _lines(parts: Iterator[str]) -> Iterator[str]:
    rest = ""
    for part in parts:
        *whole, rest = (rest + part).split("\n")
        yield from whole
    yield rest


def _token_text(line: str) -> str:
    """Return the token in one line of a stream; "" for comments, blanks and special tokens."""
    text = line.strip().removeprefix("data:").strip()
    if not text.startswith("{"):
        return ""
    try:
        event = json.loads(text)
    except ValueError:
        raise GenerationError("The endpoint's stream is broken: a line is not JSON.") from None
    failure = event.get("error") or event.get("error_message")
    if failure:
        raise GenerationError(f"The model failed: {container_message(str(failure))}")
    token = event.get("token") or {}
    return "" if token.get("special") else str(token.get("text", ""))
