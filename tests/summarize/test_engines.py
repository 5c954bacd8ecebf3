"""Engines: what can be chosen, found by its id, opened, and kept in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lib.aws import Aws
from lib.settings import ROOT, Settings, settings
from lib.summarize.engines import BUILT_IN, MOST_LOADED, Engines, UnknownEngineError, Writing, run
from lib.summarize.long_text import LongText, Step
from lib.summarize.model import Length, LengthUnit, StoppedError, SummaryRequest
from lib.summarize.models import convert_model, import_model
from tests.aws.double import AwsDouble
from tests.aws.fixtures import REGION, aws_double, aws_settings, no_aws
from tests.aws.hosting import CREATED
from tests.summarize.tiny_models import TEXT, save_model

__all__ = ["aws_double", "aws_settings", "no_aws"]

pytestmark = pytest.mark.usefixtures("one_thread")

LONG = " ".join([TEXT] * 12)
TWO = Length(LengthUnit.SENTENCES, 2)


def ignore(fraction: float, step: str) -> None:
    assert 0 <= fraction <= 1
    assert step


def never() -> bool:
    return False


def unheard(step: Step) -> None:
    assert 0 <= step.fraction <= 1


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Import a tiny model and return its id."""
    monkeypatch.setenv("SIGHTLINE_MODEL_ROOTS", f'["{tmp_path}"]')
    settings.cache_clear()
    folder = save_model(tmp_path / "tiny")
    return str(import_model(ignore, {"kind": "FolderSource", "path": str(folder)})["model"])


def engines() -> Engines:
    return Engines(settings(), Aws(settings()))


def test_the_built_in_engines_are_always_there() -> None:
    assert engines().here() == BUILT_IN
    assert [engines().open(each.id).name for each in BUILT_IN] == [each.name for each in BUILT_IN]
    assert engines().endpoints() == ()


def test_a_model_is_an_engine_and_a_second_one_once_converted(model: str) -> None:
    assert [each.id for each in engines().here()] == ["extractive", "lead", f"local:{model}:fp32"]
    convert_model(ignore, model)
    *_, fast, full = engines().here()
    assert [fast.id, full.id] == [f"local:{model}:int8", f"local:{model}:fp32"]
    assert [fast.name, full.name] == ["tiny (fast, int8)", "tiny (full precision)"]
    assert fast.abstractive
    for engine in (fast, full):
        assert engines().find(engine.id) == engine
        summarizer = engines().open(engine.id, Writing(LongText.MAP_REDUCE, 1))
        summary = run(summarizer, SummaryRequest(LONG, TWO), unheard, never)
        assert summary.text


def test_two_models_of_the_same_title_have_names_of_their_own(model: str, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "other" / "tiny", encoder_layers=1)
    import_model(ignore, {"kind": "FolderSource", "path": str(folder)})
    names = [each.name for each in engines().here()]
    assert len(set(names)) == len(names) == 4
    assert f"tiny {model[:6]} (full precision)" in names


def test_a_model_is_loaded_once_and_the_last_used_stay(model: str) -> None:
    convert_model(ignore, model)
    some = engines()
    ids = [each.id for each in some.here()[2:]]
    assert len(ids) == MOST_LOADED == 2
    first = some.open(ids[0])
    assert some.open(ids[0])._generator is first._generator  # type: ignore[attr-defined] # what is shared
    some.forget(model)
    assert some.open(ids[0])._generator is not first._generator  # type: ignore[attr-defined]


def test_a_summary_by_a_model_can_be_stopped(model: str) -> None:
    summarizer = engines().open(f"local:{model}:fp32")
    with pytest.raises(StoppedError):
        run(summarizer, SummaryRequest(LONG, TWO), unheard, lambda: True)


@pytest.mark.parametrize("gone", ["", "x", "local:", f"local:{'0' * 64}:int8", "sagemaker:"])
def test_an_engine_that_is_not_here_is_named(gone: str) -> None:
    with pytest.raises(UnknownEngineError, match="choose another"):
        engines().find(gone)


def test_endpoints_in_service_are_engines_of_aws(
    aws_settings: Settings, aws_double: AwsDouble
) -> None:
    endpoints = [
        {
            "EndpointName": name,
            "EndpointArn": f"arn:aws:sagemaker:{REGION}:123456789012:endpoint/{name}",
            "CreationTime": CREATED,
            "LastModifiedTime": CREATED,
            "EndpointStatus": status,
        }
        for name, status in (("news", "InService"), ("old", "Failed"))
    ]
    aws_double.on("sagemaker", "ListEndpoints", {"Endpoints": endpoints})
    answer = {"Body": b'[{"summary_text": "Revenue rose by 8 percent."}]'}
    aws_double.on("sagemaker-runtime", "InvokeEndpoint", answer)
    some = Engines(aws_settings, Aws(aws_settings))
    [engine] = some.endpoints()
    assert (engine.id, engine.place) == ("sagemaker:news", f"AWS {REGION}")
    assert some.find(engine.id) == engine
    one = SummaryRequest(LONG, Length(LengthUnit.SENTENCES, 1))
    summary = run(some.open(engine.id, Writing(beams=2)), one, unheard, never)
    assert summary.text == "Revenue rose by 8 percent."


def test_the_page_opens_without_torch() -> None:
    code = (
        "import sys, lib.ui.summary_view, lib.ui.batch_view, lib.ui.comparison_view;"
        "sys.exit(' '.join({'torch','transformers','ctranslate2','nltk'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
