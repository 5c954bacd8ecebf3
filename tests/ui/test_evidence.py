"""What the browser gets to draw a summary beside its source."""

from __future__ import annotations

import json
from itertools import chain, zip_longest

from hypothesis import given
from hypothesis import strategies as st

from lib.settings import Settings
from lib.summarize import open_summarizer
from lib.summarize.model import Length, LengthUnit, SummaryRequest, TextError
from lib.summarize.samples import SAMPLES
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
        assert data["sentences"][best] == sentence["text"]
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
