"""The Summarize page: samples, paste, lengths, and what it says of texts it cannot use."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from lib.summarize.samples import SAMPLES
from lib.ui.pages import SUMMARIZE
from tests.pages.conftest import visit


def evidence(app: AppTest) -> dict[str, object]:
    """Return what the page handed to the browser to draw."""
    [component] = [one for one in app.main if one.type == "bidi_component"]
    data: dict[str, object] = json.loads(component.proto.mixed.json or component.proto.json)
    return data


def paste(app: AppTest, text: str) -> AppTest:
    app.radio(key="summarize_way").set_value("Paste").run()
    app.text_area(key="summarize_text").set_value(text)
    return app.button(key="summarize_submit").click().run()


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
