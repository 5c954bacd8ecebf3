"""What the browser gets to draw a summary beside its source."""

from __future__ import annotations

import json
from itertools import chain, zip_longest

from hypothesis import given
from hypothesis import strategies as st

from lib.settings import Settings
from lib.summarize import open_summarizer
from lib.summarize.model import Length, LengthUnit, SummaryRequest, TextError, Timings
from lib.summarize.samples import SAMPLES
from lib.summarize.support import marks_of, supported_summary
from lib.ui.evidence import evidence_data

SUMMARIZER = open_summarizer(Settings())
LENGTH = Length(LengthUnit.SENTENCES, 4)


def put_together(data: dict[str, list[str]]) -> str:
    return "".join(chain.from_iterable(zip_longest(data["gaps"], data["sentences"], fillvalue="")))


def test_the_pieces_are_the_text_and_the_links_point_at_the_quotes() -> None:
    text = SAMPLES[0].text
    data = evidence_data(SUMMARIZER.summarize(SummaryRequest(text, LENGTH)), text)
    assert put_together(data) == text
    assert len(data["summary"]) == 4
    for sentence in data["summary"]:
        best = sentence["support"][0]["sentence"]
        assert sentence["parts"] == [{"text": data["sentences"][best]}]
        assert 0 <= sentence["from"] < sentence["to"] <= 1
    json.dumps(data, allow_nan=False)


@given(st.text(min_size=1).map(lambda text: f"A first word. {text} 🙂 Sales rose again. 終わり。"))
def test_any_text_is_put_together_again(text: str) -> None:
    try:
        summary = SUMMARIZER.summarize(SummaryRequest(text, LENGTH))
    except TextError:
        return
    assert put_together(evidence_data(summary, text)) == text


def test_another_text_is_another_version() -> None:
    versions = {
        evidence_data(SUMMARIZER.summarize(SummaryRequest(sample.text, LENGTH)), sample.text)[
            "version"
        ]
        for sample in SAMPLES
    }
    assert len(versions) == len(SAMPLES)


def test_without_marks_there_is_no_legend() -> None:
    text = SAMPLES[0].text
    data = evidence_data(SUMMARIZER.summarize(SummaryRequest(text, LENGTH)), text)
    assert data["legend"] is None


def test_marks_cut_the_summary_and_are_counted() -> None:
    text = "The plant of Acme made 300 pumps. The workers were happy."
    summary = supported_summary(
        "test", text, "The plant made 400 or 500 pumps. Zebras!", Timings(0, 0, 0)
    )
    data = evidence_data(summary, text, marks_of(text, summary))
    number = {"kind": "number", "title": "number not in the source"}
    assert data["summary"][0]["parts"] == [
        {"text": "The plant made "},
        {"text": "400", **number},
        {"text": " or "},
        {"text": "500", **number},
        {"text": " pumps."},
    ]
    assert data["summary"][1]["where"] == "No sentence of the source is close to this one"
    assert data["summary"][1]["support"] == []
    assert data["legend"]["kinds"] == [
        {"kind": "number", "label": "2 numbers"},
        {"kind": "word", "label": "1 word"},
    ]
    assert "Names cannot" not in data["legend"]["note"]
    json.dumps(data, allow_nan=False)


def test_marks_make_another_version() -> None:
    text = "The plant of Acme made 300 pumps. The workers were happy."
    summary = supported_summary("test", text, "The plant made 400 pumps.", Timings(0, 0, 0))
    unmarked = evidence_data(summary, text)
    assert unmarked["version"] != evidence_data(summary, text, marks_of(text, summary))["version"]


def test_a_script_without_capitals_says_that_names_are_not_checked() -> None:
    text = "公司的收入增长了4.5%。工厂在春天关闭了两个月！"
    summary = supported_summary("test", text, "公司的收入增长了5%。", Timings(0, 0, 0))
    data = evidence_data(summary, text, marks_of(text, summary))
    assert data["legend"]["note"].startswith("Names cannot be told")
    assert data["legend"]["kinds"] == [{"kind": "number", "label": "1 number"}]


@given(st.text(min_size=1).map(lambda text: f"Zebras {text} rose by 7 %. Sales fell, said Globex."))
def test_any_marked_summary_is_put_together_again(written: str) -> None:
    text = SAMPLES[0].text
    summary = supported_summary("test", text, written, Timings(0, 0, 0))
    data = evidence_data(summary, text, marks_of(text, summary))
    for sentence, shown in zip(summary.sentences, data["summary"], strict=True):
        assert "".join(part["text"] for part in shown["parts"]) == sentence.text
