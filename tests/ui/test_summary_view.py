"""Numbers as the page says them, and the summary as JSON."""

from __future__ import annotations

import json

import pytest

from lib.settings import Settings
from lib.summarize import open_summarizer
from lib.summarize.model import Length, LengthUnit, SummaryRequest
from lib.summarize.samples import SAMPLES
from lib.ui.summary_view import percent, reading_time, summary_json
from lib.ui.text_input import SourceText


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0:00 min"),
        (27.4, "0:27 min"),
        (59.6, "1:00 min"),
        (3600, "1 h 0 min"),
        (50213, "13 h 56 min"),
    ],
)
def test_a_reading_time_is_said_in_its_own_unit(seconds: float, said: str) -> None:
    assert reading_time(seconds) == said


@pytest.mark.parametrize(
    ("share", "said"), [(0, "0 %"), (0.06, "< 1 %"), (1, "1 %"), (15.9, "16 %"), (100, "100 %")]
)
def test_a_percentage_never_rounds_something_to_nothing(share: float, said: str) -> None:
    assert percent(share) == said


def test_the_json_points_at_characters_of_the_text() -> None:
    text = SAMPLES[1].text
    request = SummaryRequest(text, Length(LengthUnit.SENTENCES, 3))
    summary = open_summarizer(Settings()).summarize(request)
    data = json.loads(summary_json(summary, SourceText("a report", text)))
    assert data["source"] == "a report"
    assert len(data["sentences"]) == 3
    for sentence in data["sentences"]:
        best = sentence["support"][0]
        assert text[best["start"] : best["end"]] == sentence["text"]
