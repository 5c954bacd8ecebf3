"""The endpoint's adapter over real boto3 serialisation, retries and event streams."""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from lib.aws import AccessDenied, AwsError, Invalid, Throttled, Unreachable, open_aws
from lib.settings import Settings
from lib.summarize.model import (
    CannotStreamError,
    Generation,
    GenerationError,
    Generator,
    StoppedError,
    TextError,
)
from lib.summarize.sagemaker_endpoint import (
    SageMakerEndpoint,
    container_message,
    describe_endpoint,
    list_endpoints,
    pieces,
    summary_of,
)
from tests.aws.double import AwsDouble, Params, WireError
from tests.aws.fixtures import aws_double, aws_settings, no_aws

__all__ = ["aws_double", "aws_settings", "no_aws"]

RUNTIME = "sagemaker-runtime"
STREAM = "InvokeEndpointWithResponseStream"
TEXT = "Sales grew by 4.2 % in März. The board raised its guidance."
GREEDY = Generation(num_beams=1)


def never() -> bool:
    return False


def failing_model(message: str) -> WireError:
    """Return ModelError in SageMaker's wording around a container's answer."""
    inner = json.dumps({"code": 400, "type": "InternalServerException", "message": message})
    return WireError(
        "ModelError",
        f'Received client error (400) from primary with message "{inner}". See https://us-east-1.'
        "console.aws.amazon.com/cloudwatch/home?region=us-east-1 in account 111122223333 for more "
        "information.",
        424,
        OriginalStatusCode=400,
        OriginalMessage=inner,
    )


@pytest.fixture
def endpoint(aws_settings: Settings, aws_double: AwsDouble) -> SageMakerEndpoint:
    aws_double.on(RUNTIME, "InvokeEndpoint", {"Body": b'[{"summary_text": " Sales grew."}]'})
    return SageMakerEndpoint(open_aws(aws_settings), "bart-1")


def streams(double: AwsDouble, content_type: str, *parts: bytes) -> None:
    events = [{"PayloadPart": {"Bytes": part}} for part in parts]
    double.on(RUNTIME, STREAM, {"Body": events, "ContentType": content_type})


def read(generator: Generator, parameters: Generation = GREEDY) -> list[str]:
    return list(generator.stream(TEXT, parameters, never))


# -------------------------------------------------------------------------------------- in one go


def test_the_wire_format_is_hugging_faces(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble
) -> None:
    draft = endpoint.generate(TEXT, Generation(), never)
    assert draft.text == "Sales grew."
    assert draft.source_tokens == endpoint.count(TEXT)
    assert draft.new_tokens == endpoint.count("Sales grew.")
    (call,) = aws_double.called(RUNTIME, "InvokeEndpoint")
    assert (call["EndpointName"], call["ContentType"]) == ("bart-1", "application/json")
    assert json.loads(call["Body"]) == {
        "inputs": TEXT,
        "parameters": {
            "max_new_tokens": 142,
            "min_new_tokens": 56,
            "num_beams": 4,
            "length_penalty": 2.0,
            "no_repeat_ngram_size": 3,
            "do_sample": False,
            "early_stopping": True,
        },
    }


def test_greedy_search_asks_for_no_early_stopping(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble
) -> None:
    endpoint.generate(TEXT, GREEDY, never)
    (call,) = aws_double.called(RUNTIME, "InvokeEndpoint")
    assert "early_stopping" not in json.loads(call["Body"])["parameters"]


@pytest.mark.parametrize(
    "answer",
    [
        '[{"summary_text": "It grew."}]',
        '{"summary_text": "It grew."}',
        '[{"generated_text": "It grew.\\n"}]',
        '{"generated_text": " It grew."}',
        '[[{"summary_text": "It grew."}]]',
    ],
)
def test_every_usual_answer_is_understood(answer: str) -> None:
    assert summary_of(answer) == "It grew."


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("<html>", "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        ("[]", "but list"),
        ("3", "but int"),
        ('[{"label": "POSITIVE", "score": 0.9}]', "but label, score"),
        ('{"summary_text": 7}', "but summary_text"),
        ('[{"summary_text": " \\n"}]', "wrote nothing"),
    ],
)
def test_an_answer_without_a_summary_is_a_sentence(answer: str | bytes, sentence: str) -> None:
    with pytest.raises(GenerationError, match=sentence):
        summary_of(answer)


def test_throttling_is_tried_again_and_then_told(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble
) -> None:
    aws_double.throttle(RUNTIME, "InvokeEndpoint", times=2)
    assert endpoint.generate(TEXT, GREEDY, never).text == "Sales grew."
    assert len(aws_double.calls) == 3
    aws_double.throttle(RUNTIME, "InvokeEndpoint", times=3)
    with pytest.raises(Throttled, match="try again in a minute"):
        endpoint.generate(TEXT, GREEDY, never)


def test_a_timeout_is_told(endpoint: SageMakerEndpoint, aws_double: AwsDouble) -> None:
    late = ReadTimeoutError(endpoint_url="https://runtime.sagemaker.us-east-1.amazonaws.com/")
    aws_double.fail(RUNTIME, "InvokeEndpoint", late, times=3)
    with pytest.raises(Unreachable, match="did not answer sagemaker-runtime:InvokeEndpoint"):
        endpoint.generate(TEXT, GREEDY, never)


def test_a_missing_permission_is_named(endpoint: SageMakerEndpoint, aws_double: AwsDouble) -> None:
    aws_double.fail(RUNTIME, "InvokeEndpoint", WireError("AccessDeniedException", "No", 403))
    with pytest.raises(AccessDenied) as refused:
        endpoint.generate(TEXT, GREEDY, never)
    assert refused.value.permission == "sagemaker:InvokeEndpoint"


def test_an_endpoint_that_is_not_there_is_named(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble
) -> None:
    gone = WireError("ValidationError", "Endpoint bart-1 of account 111122223333 not found.")
    aws_double.fail(RUNTIME, "InvokeEndpoint", gone)
    with pytest.raises(Invalid, match="Endpoint bart-1 of account 111122223333 not found"):
        endpoint.generate(TEXT, GREEDY, never)


def test_the_models_own_words_are_shown_without_secrets(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble
) -> None:
    secret = "AKIAIOSFODNN7EXAMPLE"
    aws_double.fail(RUNTIME, "InvokeEndpoint", failing_model(f"CUDA out of memory, {secret}"))
    with pytest.raises(GenerationError) as failed:
        endpoint.generate(TEXT, GREEDY, never)
    sentence = str(failed.value)
    assert "SageMaker endpoint bart-1 failed: CUDA out of memory" in sentence
    assert "/aws/sagemaker/Endpoints/bart-1" in sentence
    assert secret not in sentence
    assert "111122223333" not in sentence


def test_a_text_beyond_the_models_positions_is_explained(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble
) -> None:
    aws_double.fail(RUNTIME, "InvokeEndpoint", failing_model("index out of range in self"))
    with pytest.raises(GenerationError, match="longer than the model can read"):
        endpoint.generate(TEXT, GREEDY, never)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("plain words", "plain words."),
        ('Received server error (0) from primary with message "{"error": "boom"}". See x', "boom."),
        ('from primary with message "no json {". See https://x', "no json {."),
        ("x" * 400, "x" * 300 + "..."),
    ],
)
def test_the_containers_message_is_cut_out_of_sagemakers(message: str, said: str) -> None:
    assert container_message(message) == said


def test_a_model_that_is_still_loading_is_told(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble
) -> None:
    not_ready = WireError("ModelNotReadyException", "Loading", 429)
    aws_double.fail(RUNTIME, "InvokeEndpoint", not_ready, times=3)
    with pytest.raises(GenerationError, match="still being loaded: try again in a minute"):
        endpoint.generate(TEXT, GREEDY, never)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 2),
        ("sales grew", 2 + 1 + 1),
        ("international", 2 + 3),
        ("Sightline Ltd.", 2 + 3 + 1 + 1),
        ("4,250.75", 2 + 1 + 1 + 2 + 1 + 1),
        ("März\n", 2 + 1 + 2 + 1 + 1),
        ("日本", 2 + 6),
    ],
)
def test_tokens_are_estimated_from_letters_digits_and_bytes(
    endpoint: SageMakerEndpoint, text: str, tokens: int
) -> None:
    assert endpoint.count(text) == tokens


def test_a_text_beyond_the_window_is_refused_before_the_call(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble
) -> None:
    with pytest.raises(TextError, match="the model reads 1,024"):
        endpoint.generate("word " * 1023, GREEDY, never)
    assert aws_double.calls == []


def test_a_body_beyond_the_limit_is_refused_before_the_call(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.on(RUNTIME, "InvokeEndpoint", {"Body": b"[]"})
    endless = SageMakerEndpoint(open_aws(aws_settings), "bart-1", window=10_000_000)
    with pytest.raises(TextError, match=r"has 6,291,\d+ bytes; AWS takes at most 6,291,456"):
        endless.generate("x" * 6_291_456, GREEDY, never)
    assert aws_double.calls == []


@pytest.mark.parametrize("name", ["", "-bart", "bart_1", "b" * 64, "../bart", "bart-"])
def test_names_that_aws_does_not_allow_are_refused(aws_settings: Settings, name: str) -> None:
    with pytest.raises(ValueError, match="EndpointName"):
        SageMakerEndpoint(open_aws(aws_settings), name)


def test_a_stopped_call_is_not_waited_for(aws_settings: Settings, aws_double: AwsDouble) -> None:
    answered, asked = threading.Event(), threading.Event()

    def hang(_: Params) -> dict[str, Any]:
        asked.set()
        answered.wait(60)
        return {"Body": b"[]"}

    aws_double.on(RUNTIME, "InvokeEndpoint", hang)
    endpoint = SageMakerEndpoint(open_aws(aws_settings), "bart-1")
    with pytest.raises(StoppedError):
        endpoint.generate(TEXT, GREEDY, asked.is_set)
    assert not answered.is_set()
    answered.set()


def test_the_text_is_in_no_log(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    aws_double.fail(RUNTIME, "InvokeEndpoint", failing_model("No"))
    with pytest.raises(GenerationError) as failed:
        endpoint.generate(TEXT, GREEDY, never)
    assert TEXT not in caplog.text + str(failed.value)


# ------------------------------------------------------------------------------ piece by piece


def test_plain_text_streams_over_the_middle_of_a_character(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble
) -> None:
    encoded = "März, 4 €".encode()
    streams(aws_double, "text/plain", *(bytes([byte]) for byte in encoded))
    parts = read(endpoint)
    assert parts == list("März, 4 €")
    (call,) = aws_double.called(RUNTIME, STREAM)
    assert json.loads(call["Body"])["stream"] is True


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])), cuts=st.data())
def test_no_cut_changes_a_stream_of_lines(text: str, cuts: st.DataObject) -> None:
    lines = "".join(
        f"data:{json.dumps({'token': {'text': word}}, ensure_ascii=False)}\n\n" for word in text
    )
    at = sorted(cuts.draw(st.lists(st.integers(0, len(lines)), max_size=5)))
    parts = [lines[a:b] for a, b in zip([0, *at], [*at, len(lines)], strict=True)]
    assert "".join(pieces("text/event-stream", iter(parts))) == text


def test_server_sent_events_leave_special_tokens_out(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble
) -> None:
    streams(
        aws_double,
        "text/event-stream; charset=utf-8",
        b':keep-alive\n\ndata:{"token": {"text": "Sales", "special": false}}\n\nda',
        b'ta: {"token": {"text": " grew"}}\n\n',
        b'data:{"token": {"text": "</s>", "special": true}, "generated_text": "Sales grew"}\n\n',
        b"data:[DONE]\n\n",
    )
    assert read(endpoint) == ["Sales", " grew"]


def test_json_lines_stream(endpoint: SageMakerEndpoint, aws_double: AwsDouble) -> None:
    streams(
        aws_double,
        "application/jsonlines",
        b'{"token": {"text": "a"}}\n{"token": {"te',
        b'xt": "b"}}',
    )
    assert read(endpoint) == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b'data:{"error": "Input validation error", "error_type": "validation"}\n', "Input valid"),
        (b'data:{"token": \n', "a line is not JSON"),
    ],
)
def test_an_error_within_a_stream_is_told(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble, line: bytes, sentence: str
) -> None:
    streams(aws_double, "text/event-stream", line)
    with pytest.raises(GenerationError, match=sentence):
        read(endpoint)


def test_a_container_that_cannot_stream_answers_in_one_piece(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble
) -> None:
    streams(aws_double, "application/json", b'[{"summary_', b'text": "It grew."}]')
    assert read(endpoint) == ["It grew."]


@pytest.mark.parametrize(
    "refusal",
    [
        WireError("ValidationError", "Endpoint bart-1 does not support response streaming"),
        failing_model("'stream' is no parameter"),
    ],
)
def test_a_container_that_refuses_to_stream_says_so(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble, refusal: WireError
) -> None:
    aws_double.fail(RUNTIME, STREAM, refusal)
    with pytest.raises(CannotStreamError, match="stream"):
        read(endpoint)


def test_beam_search_does_not_stream(endpoint: SageMakerEndpoint, aws_double: AwsDouble) -> None:
    with pytest.raises(CannotStreamError, match="choose one beam"):
        read(endpoint, Generation())
    assert aws_double.calls == []


@pytest.mark.parametrize(
    "failure",
    [
        {
            "ModelStreamError": {
                "Message": "Time exceeded",
                "ErrorCode": "ModelInvocationTimeExceeded",
            }
        },
        {"InternalStreamFailure": {"Message": "Time exceeded"}},
    ],
)
def test_a_stream_that_breaks_off_keeps_what_came(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble, failure: dict[str, Any]
) -> None:
    events = [{"PayloadPart": {"Bytes": b"Sales "}}, failure]
    aws_double.on(RUNTIME, STREAM, {"Body": events, "ContentType": "text/plain"})
    parts = endpoint.stream(TEXT, GREEDY, never)
    assert next(parts) == "Sales "
    with pytest.raises(GenerationError, match="broke off in the middle of the summary: Time exc"):
        next(parts)


def test_bytes_that_are_no_text_are_told(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble
) -> None:
    streams(aws_double, "text/plain", "grew by 4 €".encode()[:-1])
    with pytest.raises(GenerationError, match="not UTF-8"):
        read(endpoint)


def test_a_stream_stops_between_its_parts(
    endpoint: SageMakerEndpoint, aws_double: AwsDouble
) -> None:
    streams(aws_double, "text/plain", b"one ", b"two ", b"three")
    answers = iter([False, False, True])
    parts = endpoint.stream(TEXT, GREEDY, lambda: next(answers))
    came = [next(parts), next(parts)]
    with pytest.raises(StoppedError):
        next(parts)
    assert came == ["one ", "two "]


# ---------------------------------------------------------------------------------- endpoints


def summary(name: str, status: str = "InService") -> dict[str, Any]:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    return {
        "EndpointName": name,
        "EndpointArn": f"arn:aws:sagemaker:us-east-1:111122223333:endpoint/{name}",
        "CreationTime": at,
        "LastModifiedTime": at,
        "EndpointStatus": status,
    }


def test_endpoints_are_listed_over_all_pages(aws_settings: Settings, aws_double: AwsDouble) -> None:
    pages: dict[str | None, dict[str, Any]] = {
        None: {"Endpoints": [summary("a"), summary("b", "Creating")], "NextToken": "more"},
        "more": {"Endpoints": [summary("c", "Failed")]},
    }
    aws_double.on("sagemaker", "ListEndpoints", lambda params: pages[params.get("NextToken")])
    found = list_endpoints(open_aws(aws_settings))
    assert [(e.name, e.status) for e in found] == [
        ("a", "InService"),
        ("b", "Creating"),
        ("c", "Failed"),
    ]


def test_the_instances_behind_an_endpoint_are_described(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    aws_double.on(
        "sagemaker",
        "DescribeEndpoint",
        summary("a", "Failed") | {"EndpointConfigName": "a-2", "FailureReason": "No image"},
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "bart",
        "InstanceType": "ml.m5.xlarge",
        "InitialInstanceCount": 2,
    }
    aws_double.on(
        "sagemaker",
        "DescribeEndpointConfig",
        {
            "EndpointConfigName": "a-2",
            "EndpointConfigArn": "arn:aws:sagemaker:us-east-1:111122223333:endpoint-config/a-2",
            "ProductionVariants": [variant],
            "CreationTime": datetime(2026, 1, 2, tzinfo=UTC),
        },
    )
    found = describe_endpoint(open_aws(aws_settings), "a")
    assert (found.status, found.failure) == ("Failed", "No image")
    assert (found.configuration, found.model) == ("a-2", "bart")
    assert (found.instance_type, found.instance_count) == ("ml.m5.xlarge", 2)


def test_listing_without_permission_names_it(aws_settings: Settings, aws_double: AwsDouble) -> None:
    aws_double.fail("sagemaker", "ListEndpoints", WireError("AccessDeniedException", "No"))
    with pytest.raises(AwsError, match="lacks sagemaker:ListEndpoints"):
        list_endpoints(open_aws(aws_settings))
