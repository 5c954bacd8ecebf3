"""The Summarize page: samples, paste, lengths, and what it says of texts it cannot use."""

from __future__ import annotations

import json
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lib.identity import Role, SignInMethod, User
from lib.jobs import JobState
from lib.jobs.attempt import ThrottledReport, claim
from lib.settings import Settings, settings
from lib.summarize import abstractive, ctranslate2_model
from lib.summarize.batch import batches_folder, job_of, list_batches, summarize_batch
from lib.summarize.models import convert_model, import_model, installed
from lib.summarize.samples import SAMPLES
from lib.ui import resources
from lib.ui.pages import SUMMARIZE
from tests.aws.double import AwsDouble, WireError
from tests.aws.fixtures import REGION, aws_double, aws_settings, no_aws
from tests.aws.hosting import CREATED
from tests.pages.conftest import visit
from tests.summarize.tiny_models import save_model

__all__ = ["aws_double", "aws_settings", "no_aws"]


def component_data(app: AppTest) -> dict[str, Any]:
    """Return what the page handed to the browser to draw."""
    [component] = app.get("bidi_component")
    data: dict[str, Any] = json.loads(component.proto.mixed.json or component.proto.json)
    return data


def paste(app: AppTest, text: str) -> AppTest:
    app.radio(key="summarize_way").set_value("Paste").run()
    app.text_area(key="summarize_text").set_value(text)
    return settle(app.button(key="summarize_submit").click().run())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file)
def test_every_sample_is_summarized(sample: object) -> None:
    app = visit(SUMMARIZE)
    app.selectbox(key="summarize_sample").set_value(sample.title).run()  # type: ignore[attr-defined] # pytest hands over an object
    assert not app.exception
    assert not app.error


def test_nothing_pasted_yet_says_what_to_do() -> None:
    app = visit(SUMMARIZE)
    app.radio(key="summarize_way").set_value("Paste").run()
    assert not app.error
    assert any("Paste" in caption.value for caption in app.caption)


@pytest.mark.parametrize("text", ["word", "🙂🙂", "   \n  ", "!!! ... ???"])
def test_a_text_without_words_gets_a_sentence_and_is_kept(text: str) -> None:
    app = paste(visit(SUMMARIZE), text)
    assert not app.exception
    assert len(app.error) == 1
    assert app.text_area(key="summarize_text").value == text


def test_a_short_text_comes_back_and_says_so() -> None:
    app = paste(visit(SUMMARIZE), "Sales rose by four percent in May. Costs fell a little in June.")
    assert not app.error
    assert len(app.info) == 1


def test_the_text_survives_another_way_and_back() -> None:
    app = paste(visit(SUMMARIZE), SAMPLES[1].text)
    app.radio(key="summarize_way").set_value("Sample").run()
    app.radio(key="summarize_way").set_value("Paste").run()
    assert app.text_area(key="summarize_text").value == SAMPLES[1].text


def open_view(name: str, **state: object) -> AppTest:
    return settle(visit(SUMMARIZE, summarize_view=name, **state))


def settle(app: AppTest) -> AppTest:
    """Return the page once what it follows has ended: AppTest reruns no fragment by itself."""
    for _ in range(60):
        if not app.get("progress"):
            return app
        threading.Event().wait(0.5)
        app.run()
    pytest.fail("The page still shows progress.")


def said(app: AppTest) -> str:
    return " ".join(each.value for each in (*app.markdown, *app.caption)).replace("\\", "")


def test_compare_opens_with_two_summaries_of_a_sample_and_a_finding() -> None:
    app = open_view("Compare")
    assert not app.exception
    [table] = app.dataframe
    assert list(table.value["engine"]) == [
        "A: Key sentences, 5 sentences",
        "B: First sentences, 5 sentences",
    ]
    assert "covers more of the text" in said(app)
    assert "rouge1" not in table.value


def test_a_reference_adds_rouge_and_the_finding_speaks_of_it() -> None:
    app = open_view("Compare")
    app.text_area(key="compare_reference").set_value("Revenue rose 9 percent to $412 million.")
    app = settle(app.run())
    [table] = app.dataframe
    assert (table.value["rouge1"] > 0).any()
    assert "is closer to your reference than summary" in said(app)


def test_a_reference_that_is_a_book_gets_a_sentence_and_is_kept() -> None:
    app = open_view("Compare", compare_reference="word " * 3_001)
    assert "at most 3" in app.error[0].value
    assert len(app.text_area(key="compare_reference").value or "") > 15_000
    assert len(app.dataframe) == 1


def test_four_candidates_with_lengths_of_their_own() -> None:
    app = open_view("Compare")
    app = settle(app.radio(key="compare_count").set_value(4).run())
    app = settle(app.selectbox(key="compare_c_unit").set_value("words").run())
    [table] = app.dataframe
    assert [name[0] for name in table.value["engine"]] == list("ABCD")
    assert table.value["engine"][2] == "C: Key sentences, 60 words"
    assert table.value["words"][2] <= 60


def test_a_candidate_that_cannot_says_so_beside_the_others() -> None:
    app = open_view("Compare", compare_b_unit="words", compare_b_words=1)
    assert not app.exception
    notes = [note for each in component_data(app)["summaries"] for note in each["notes"]]
    assert any("first sentence" in note for note in notes)
    assert len(app.dataframe[0].value) == 1


def run_batch(app: AppTest) -> AppTest:
    """Return the page after its batch was run and done, by a worker's hands and not its process."""
    app = app.button(key="batch_run").click().run()
    [batch] = list_batches(batches_folder(settings()), "this-machine")
    job = job_of(resources.jobs(), batch)
    assert job is not None
    assert job.state is JobState.QUEUED
    attempt = claim(resources.store(), job.id, "test")
    assert attempt is not None
    result = summarize_batch(ThrottledReport(attempt), str(batch.folder))
    attempt.finish(JobState.DONE, result=result)
    return app.run()


def test_batch_opens_with_the_samples_and_runs_them() -> None:
    app = open_view("Batch")
    assert not app.exception
    assert len(app.dataframe[0].value) == len(SAMPLES)
    assert "until you delete the batch" in said(app)
    app = run_batch(app)
    assert not app.exception
    assert "too few to tell" in said(app)
    assert set(app.dataframe[0].value["verdict"]) == {"Best", "Too few texts to tell"}
    app = app.button(key="batch_delete").click().run()
    assert not app.exception
    assert not list(batches_folder(settings()).glob("*"))
    assert app.button(key="batch_run")


def test_a_file_with_references_is_ranked_by_rouge_with_a_verdict() -> None:
    app = open_view("Batch")
    lines = [
        json.dumps(
            {
                "article": f"Sales of plant {number} rose. The weather was mild. Nobody spoke.",
                "highlights": f"Sales of plant {number} rose.",
            }
        )
        for number in range(12)
    ]
    data = "\n".join([*lines, "{broken"]).encode()
    app.file_uploader(key="batch_file").upload("calls.jsonl", data, "application/json")
    app = app.run()
    assert "Texts: 12" in said(app)
    assert any("Line 13: This is not JSON" in text.value for text in app.text)
    app = run_batch(app)
    assert not app.exception
    assert app.selectbox(key="batch_metric").value == "rouge1"
    assert "not significantly different" in said(app)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [(b"", "is empty"), (b"PK\x03\x04", "Save it as CSV"), (b"\x00\x01\x02", "not a text file")],
)
def test_a_file_that_cannot_be_read_gets_a_sentence(data: bytes, sentence: str) -> None:
    app = open_view("Batch")
    app.file_uploader(key="batch_file").upload("bad.csv", data, "text/csv")
    app = app.run()
    assert not app.exception
    assert sentence in app.error[0].value.replace("\\", "")


def test_without_a_text_column_the_columns_are_named_and_can_be_chosen() -> None:
    app = open_view("Batch")
    app.file_uploader(key="batch_file").upload("a.csv", b"who,said\nAna,Sales rose.\n", "text/csv")
    app = app.run()
    assert "there are: who, said" in app.warning[0].value.replace("\\", "")
    [texts] = [each for each in app.selectbox if each.label == "Texts are in"]
    app = texts.set_value("said").run()
    assert "Texts: 1" in said(app)


def test_a_viewer_may_look_and_not_run_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = User("vera", "Vera", "vera@example.org", Role.VIEWER, SignInMethod.PASSWORD)
    monkeypatch.setattr(import_module("lib.ui.guard"), "current_user", lambda *_: viewer)
    app = open_view("Batch")
    assert app.button(key="batch_run").disabled


def test_who_became_a_viewer_resumes_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_view("Batch")
    app = app.button(key="batch_run").click().run()
    [job] = resources.jobs().recent()
    resources.jobs().cancel(job.id)
    viewer = User(job.owner, "Vera", "vera@example.org", Role.VIEWER, SignInMethod.PASSWORD)
    monkeypatch.setattr(import_module("lib.ui.guard"), "current_user", lambda *_: viewer)
    app = app.run()
    assert app.button(key="batch_resume").disabled


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Bring a tiny model in as the fast engine too, and return its id."""
    monkeypatch.setattr(abstractive, "processors", lambda: 1)
    monkeypatch.setattr(ctranslate2_model, "processors", lambda: 1)
    monkeypatch.setenv("SIGHTLINE_MODEL_ROOTS", json.dumps([str(tmp_path)]))
    settings.cache_clear()
    folder = save_model(tmp_path / "tiny")
    source = {"kind": "FolderSource", "path": str(folder)}
    model_id = str(import_model(heard, source)["model"])
    convert_model(heard, model_id)
    return model_id


def heard(fraction: float, step: str) -> None:
    assert 0 <= fraction <= 1
    assert step


@pytest.mark.parametrize(("precision", "beams"), [("int8", 1), ("fp32", 2)])
def test_a_model_of_this_machine_writes_and_its_words_are_checked(
    model: str, precision: str, beams: int
) -> None:
    engine = f"local:{model}:{precision}"
    app = settle(visit(SUMMARIZE, summarize_engine=engine, summarize_beams=beams))
    assert not app.exception
    assert not app.error
    data = component_data(app)
    assert data["summary"]
    assert "That is support, not proof." in data["legend"]["note"]
    assert "Novel word pairs" in [metric.label for metric in app.metric]


def test_full_precision_and_the_fast_engine_are_compared(model: str) -> None:
    engines = {
        f"compare_{side}_engine": f"local:{model}:{precision}"
        for side, precision in (("a", "fp32"), ("b", "int8"))
    }
    app = open_view("Compare", **engines)
    assert not app.exception
    [table] = app.dataframe
    assert "full precision" in table.value["engine"][0]
    assert "fast, int8" in table.value["engine"][1]
    assert "The fast engine beside full precision" in said(app)


def test_a_model_deleted_meanwhile_falls_back_to_key_sentences() -> None:
    app = settle(visit(SUMMARIZE, summarize_engine=f"local:{'0' * 64}:int8"))
    assert not app.exception
    assert app.selectbox(key="summarize_engine").value == "extractive"


def test_models_are_listed_with_what_can_be_done(model: str) -> None:
    app = open_view("Models")
    assert not app.exception
    assert "tiny" in said(app)
    app = app.button(key=f"models_delete_{model}").click().run()
    assert not app.exception
    assert "No model yet" in said(app)


@pytest.mark.parametrize(
    ("way", "field", "text", "sentence"),
    [
        ("S3", "models_s3", "http://bucket/model.zip", "s3://my-bucket"),
        ("Hugging Face hub", "models_hub", "no such/id/at all", "Hugging Face id looks like"),
    ],
)
def test_an_impossible_source_gets_a_sentence_and_is_kept(
    way: str, field: str, text: str, sentence: str
) -> None:
    app = open_view("Models")
    app = app.radio(key="models_way").set_value(way).run()
    app.text_input(key=field).set_value(text).run()
    app = app.button(key=field.replace("models_", "models_import_")).click().run()
    assert not app.exception
    assert sentence in app.error[0].value.replace("\\", "")
    assert app.text_input(key=field).value == text


def test_an_import_becomes_a_job() -> None:
    app = open_view("Models")
    app = app.radio(key="models_way").set_value("Folder").run()
    app.text_input(key="models_folder").set_value("/srv/models/bart").run()
    app = app.button(key="models_import_folder").click().run()
    [job] = resources.jobs().recent()
    assert job.title == "Import the model bart"
    assert job.state is JobState.QUEUED


def test_a_deployment_is_told_before_it_is_started() -> None:
    app = open_view("Models")
    assert "AWS is not connected" in said(app)
    app.text_input(key="deployment_role").set_value("arn:aws:iam::123456789012:role/sagemaker")
    app = app.run()
    assert "per hour for 1 × ml.m5.xlarge" in app.warning[0].value.replace("\\", "")
    assert "sagemaker:CreateEndpoint" in app.code[0].value
    assert app.button(key="deployment_start").disabled
    app = app.text_input(key="deployment_role").set_value("sagemaker").run()
    assert app.error


def test_a_viewer_sees_models_and_changes_none(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    viewer = User("vera", "Vera", "vera@example.org", Role.VIEWER, SignInMethod.PASSWORD)
    monkeypatch.setattr(import_module("lib.ui.guard"), "current_user", lambda *_: viewer)
    app = open_view("Models")
    assert "tiny" in said(app)
    assert f"models_delete_{model}" not in [button.key for button in app.button]
    assert not app.text_input


def test_a_button_drawn_for_an_admin_does_nothing_for_who_is_none_any_more(
    monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    app = open_view("Models")
    viewer = User("vera", "Vera", "vera@example.org", Role.VIEWER, SignInMethod.PASSWORD)
    monkeypatch.setattr(import_module("lib.ui.guard"), "current_user", lambda *_: viewer)
    app = app.button(key=f"models_delete_{model}").click().run()
    assert not app.exception
    assert "needs the role admin" in app.warning[0].value
    assert [each.id for each in installed(settings())] == [model]


IDENTITY = {"UserId": "AIDA", "Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/a"}


def endpoints(*names: str) -> dict[str, Any]:
    arn = f"arn:aws:sagemaker:{REGION}:123456789012:endpoint"
    return {
        "Endpoints": [
            {
                "EndpointName": name,
                "EndpointArn": f"{arn}/{name}",
                "CreationTime": CREATED,
                "LastModifiedTime": CREATED,
                "EndpointStatus": "InService",
            }
            for name in names
        ]
    }


@pytest.fixture
def connected(aws_settings: Settings, aws_double: AwsDouble) -> AwsDouble:
    """Return an AWS with one endpoint, which the settings of this process know."""
    assert aws_settings.aws_region == REGION
    settings.cache_clear()
    aws_double.on("sagemaker", "ListEndpoints", endpoints("news"))
    aws_double.on("sts", "GetCallerIdentity", IDENTITY)  # the overview asks
    return aws_double


ANSWER = {"Body": b'[{"summary_text": "Revenue rose 9 percent. Globex paid 77 million."}]'}


@pytest.mark.parametrize(("view", "prefix"), [("One summary", "summarize"), ("Compare", "compare")])
def test_a_text_leaves_this_machine_on_a_click_and_not_by_a_link(
    connected: AwsDouble, view: str, prefix: str
) -> None:
    connected.on("sagemaker-runtime", "InvokeEndpoint", ANSWER)
    connected.on("sagemaker-runtime", "InvokeEndpoint", ANSWER)
    chosen = {"summarize_engine": "sagemaker:news", "compare_b_engine": "sagemaker:news"}
    app = open_view(view, **chosen, summarize_beams=4)

    def sent() -> int:
        return sum(call.operation.startswith("InvokeEndpoint") for call in connected.calls)

    assert not app.exception
    assert f"Endpoint news (AWS {REGION}) would receive it" in said(app)
    assert not sent()
    app = settle(app.button(key=f"{prefix}_send").click().run())
    assert not app.exception
    assert sent()
    before = sent()
    app = settle(app.selectbox(key="summarize_sample").set_value(SAMPLES[1].title).run())
    assert app.button(key=f"{prefix}_send")  # another text, another click
    assert sent() == before


def test_an_endpoint_is_an_engine_whose_place_is_said(connected: AwsDouble) -> None:
    connected.on("sagemaker-runtime", "InvokeEndpoint", ANSWER)
    app = settle(visit(SUMMARIZE, summarize_engine="sagemaker:news"))
    app = settle(app.button(key="summarize_send").click().run())
    assert not app.exception
    assert not app.error
    data = component_data(app)
    assert "Globex paid 77 million." in data["text"]
    assert {kind["kind"] for kind in data["legend"]["kinds"]} >= {"number"}
    assert f"AWS {REGION}" in said(app)


def test_an_endpoint_that_fails_gets_a_sentence_and_the_text_is_kept(
    connected: AwsDouble,
) -> None:
    refused = WireError("AccessDeniedException", "No", 403)
    connected.fail("sagemaker-runtime", "InvokeEndpoint", refused)
    app = visit(SUMMARIZE, summarize_engine="sagemaker:news", summarize_text=SAMPLES[1].text)
    app = settle(app.radio(key="summarize_way").set_value("Paste").run())
    app = settle(app.button(key="summarize_send").click().run())
    assert not app.exception
    assert "sagemaker:InvokeEndpoint" in app.error[0].value.replace("\\", "")
    assert app.text_area(key="summarize_text").value == SAMPLES[1].text


def test_endpoints_that_may_not_be_listed_leave_the_others(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    assert aws_settings.aws_region == REGION
    settings.cache_clear()
    aws_double.on("sts", "GetCallerIdentity", IDENTITY)
    aws_double.fail("sagemaker", "ListEndpoints", WireError("AccessDeniedException", "No", 403))
    app = settle(visit(SUMMARIZE))
    assert not app.exception
    assert not app.error
    assert "Endpoints cannot be listed" in said(app)


def test_deploying_and_deleting_become_jobs(connected: AwsDouble) -> None:
    app = open_view("Models")
    app.text_input(key="deployment_role").set_value("arn:aws:iam::123456789012:role/sagemaker")
    app = app.run()
    app = app.button(key="deployment_start").click().run()
    assert not app.exception
    assert resources.jobs().recent()[0].title == "Deploy sightline-distilbart to SageMaker"
    app = app.button(key="deployment_delete_news").click().run()
    assert not app.exception
    assert resources.jobs().recent()[0].title == "Delete news from SageMaker"
    assert {call.operation for call in connected.calls} == {"GetCallerIdentity", "ListEndpoints"}
