from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.summarize.extractive import ExtractiveSummarizer
from lib.summarize.model import (
    Length,
    LengthUnit,
    MarkKind,
    SummaryRequest,
    TextError,
    Timings,
)
from lib.summarize.sentences import sentence_text, split
from lib.summarize.support import (
    MOST_SUPPORT,
    SUPPORT_THRESHOLD,
    best_support,
    cosines,
    has_capitals,
    read_source,
    supported_summary,
)
from tests.summarize.languages import SAMPLES, Sample
from tests.summarize.strategies import WORDS, anything, prose

NO_TIME = Timings(0, 0, 0)
NUMBERS = [
    "$3 million",
    "3,000",
    "about 3,000",
    "2,984",
    "3 May 2024",
    "on 2024-05-03",
    "twenty-five",
    "half",
    "5 to 6 percent",
    "10:30",
    "the 1980s",
    "1 000",
    "122. 5",
    "thousands",
    "Acme",
    "World Health Organization",
    "WHO",
    "Tim Cook",
    "of",
    "Zoë",
    "Monday",
]
telling = st.lists(
    st.tuples(
        st.lists(st.sampled_from([*WORDS, *NUMBERS]), min_size=1, max_size=10),
        st.sampled_from([". ", "! ", "? ", "\n", ".\n\n", "\n- ", "。", " "]),
    ),
    min_size=1,
    max_size=8,
).map(lambda parts: "".join(" ".join(words) + stop for words, stop in parts))


def marked(source: str, summary: str) -> list[tuple[str, str]]:
    """Return the marked parts of a summary and their kinds."""
    sentences = [sentence_text(summary, each) for each in split(summary)]
    return [
        (sentence[mark.start : mark.end], mark.kind.value)
        for sentence, marks in zip(sentences, read_source(source).marks(sentences), strict=True)
        for mark in marks
    ]


def kinds(source: str, summary: str, *wanted: str) -> list[str]:
    """Return the marked parts of some kinds."""
    return [part for part, kind in marked(source, summary) if kind in wanted]


SAME = [
    ("$ 4.5 million", "$4.5m"),
    ("$4.5m", "4,500,000 dollars"),
    ("1 , 000 pumps", "1000 pumps"),
    ("1, 056 matches", "1,056 matches"),
    ("lived to 122. 5. She died", "lived to 122.5"),
    ("1 000 pumps", "1,000 pumps"),
    ("in rows 15 100 pumps", "in rows 15 100 pumps"),
    ("7 pumps", "seven pumps"),
    ("twenty-five pumps", "25 pumps"),
    ("the 3rd pump", "the third pump"),
    ("50 % of pumps", "half of pumps"),
    ("half of pumps", "50 percent of pumps"),
    ("two-thirds of pumps", "2/3 of pumps"),
    ("12 pumps", "a dozen pumps"),
    ("4.5 per cent", "4.5%"),
    ("4.5 %", "4.5 pct"),
    ("between 14 and 16 percent", "14-16%"),
    ("5 to 6 million", "5 million"),
    ("in 2014-15", "in 2015"),
    ("in 1985", "in the 1980s"),
    ("in the eighties", "in the 1980s"),
    ("at 21:45", "at 9.45pm"),
    ("at 9 o'clock", "at 9pm"),
    ("2,984 pumps", "about 3,000 pumps"),
    ("2,984 pumps", "nearly 3,000 pumps"),
    ("3,120 pumps", "more than 3,000 pumps"),
    ("3,120 pumps", "thousands of pumps"),
    ("350,000 pumps", "hundreds of thousands of pumps"),
    ("about 3,000 pumps", "3,000 pumps"),
    ("both pumps", "two pumps"),
    ("a pump", "1 pump"),
    ("5 people", "5 percent"),
    ("37 cents a share", "$0.37 a share"),
    ("£0.50 a share", "50p a share"),
    ("50p a share", "50 pence a share"),
]
DIFFERENT = [
    ("$4.5 million", "$4.6 million", "$4.6 million"),
    ("$4.5 million", "$4.5 billion", "$4.5 billion"),
    ("5 million pumps", "5 pumps", "5"),
    ("$5 of it", "£5 of it", "£5"),
    ("$5 of it", "5 % of it", "5 %"),
    ("1,000 pumps", "1 , 001 pumps", "1 , 001"),
    ("seven pumps", "eight pumps", "eight"),
    ("2,984 pumps", "3,000 pumps", "3,000"),
    ("2,100 pumps", "about 3,000 pumps", "3,000"),
    ("2,984 pumps", "more than 3,000 pumps", "3,000"),
    ("3,120 pumps", "nearly 3,000 pumps", "3,000"),
    ("312 pumps", "thousands of pumps", "thousands"),
    ("in 1975", "in the 1980s", "1980s"),
    ("at 21:45", "at 9.45am", "9.45am"),
    ("40 % of it", "half of it", "half"),
    ("28-24", "28-21", "21"),
]


@pytest.mark.parametrize(("source", "summary"), SAME)
def test_a_number_said_in_another_way_is_supported(source: str, summary: str) -> None:
    assert kinds(f"It was {source}.", f"It was {summary}.", "number", "date") == []


@pytest.mark.parametrize(("source", "summary", "part"), DIFFERENT)
def test_another_number_is_marked(source: str, summary: str, part: str) -> None:
    assert kinds(f"It was {source}.", f"It was {summary}.", "number") == [part]


@pytest.mark.parametrize(
    ("source", "summary", "reason"),
    [
        ("on 3 May 2024", "on May 3, 2024", ""),
        ("on 2024-05-03", "on 3rd May", ""),
        ("on 2024-05-03", "in May", ""),
        ("on 2024-05-03", "in May 2024", ""),
        ("on 5/3/2024", "on 3 May 2024", ""),
        ("in 2024. It was on May 3", "on 3 May 2024", ""),
        ("on 3 May", "on Monday", "weekday not in the source"),
        ("on Monday", "on Mondays", ""),
        ("on 3 May 2024", "on 4 May 2024", "day not in the source"),
        ("on 3 May 2024", "in June", "month not in the source"),
        ("on 3 May 2024", "on 3 June 2025", "month and year not in the source"),
        (
            "on 3 May 2024, not on 4 June 2025",
            "on 3 June 2024",
            "day, month and year do not stand together in the source",
        ),
    ],
)
def test_a_date_is_checked_as_a_whole_and_in_part(source: str, summary: str, reason: str) -> None:
    [marks] = read_source(f"It was {source}.").marks([f"It was {summary}."])
    assert [mark.reason for mark in marks if mark.kind is MarkKind.DATE] == (
        [reason] if reason else []
    )


@pytest.mark.parametrize(
    ("source", "summary", "parts"),
    [
        ("Then Tim Cook spoke.", "Then Cook spoke.", []),
        ("Then Tim D. Cook spoke.", "Then Tim Cook spoke.", []),
        ("Then Cook, Tim spoke.", "Then Tim Cook spoke.", []),
        ("Then Mr. Cook spoke.", "Then Mr Cook spoke.", []),
        ("Then Cook's plan won.", "Then Cook won.", []),
        ("Then Zoë Müller spoke.", "Then Zoe Muller spoke.", []),
        ("The World Health Organization spoke.", "Then the WHO spoke.", []),
        ("Then the WHO spoke.", "Then the World Health Organization spoke.", []),
        ("Then J.P. Morgan spoke.", "Then JP Morgan spoke.", []),
        ("Then the U.S. won.", "Then the US won.", []),
        ("Then Russia won.", "Then Russian sales won.", []),
        ("then tim cook spoke.", "Then Tim Cook spoke.", []),
        ("Then Tim Cook spoke.", "Then Jim Cook spoke.", ["Jim Cook"]),
        ("Then Tim Cook spoke.", "Then Apple spoke.", ["Apple"]),
        ("Then Tim Cook spoke.", "Then NASA spoke.", ["NASA"]),
        (
            "Tim Cook and the whole of the large board met Jim Jones.",
            "Then Tim Jones spoke.",
            ["Tim Jones"],
        ),
    ],
)
def test_names_are_looked_up(source: str, summary: str, parts: list[str]) -> None:
    assert kinds(source, summary, "name") == parts


def test_a_rounded_number_without_a_rounding_word_says_so() -> None:
    source = read_source("It made $1.223 billion and 18 pumps.")
    [marks] = source.marks(["It made $1.2 billion, $1.3 billion and 20 pumps."])
    assert [mark.reason for mark in marks] == [
        "number not in the source, only one that rounds to it",
        "number not in the source",
        "number not in the source",
    ]


def test_parts_of_two_names_are_said_to_stand_apart() -> None:
    source = read_source("Tim Cook and the whole of the large board met Jim Jones.")
    [[mark]] = source.marks(["Then it was Tim Jones."])
    assert mark.reason == "parts of the name do not stand together in the source"


def test_content_words_in_another_form_are_supported_and_others_marked() -> None:
    source = "The company sold its plants in Ohio, and the workers were unhappy about it."
    assert marked(source, "The companies sell a plant, and one worker was delighted.") == [
        ("sell", "word"),
        ("delighted", "word"),
    ]


def test_every_kind_is_marked_once_and_in_order() -> None:
    source = "The plant of Acme in Ohio made 300 pumps on 3 May 2024."
    summary = "In all, the bankrupt plant of Globex made 400 pumps on 4 May 2024."
    assert marked(source, summary) == [
        ("bankrupt", "word"),
        ("Globex", "name"),
        ("400", "number"),
        ("4 May 2024", "date"),
    ]


@given(st.one_of(prose, telling, anything))
def test_a_text_supports_itself(text: str) -> None:
    sentences = [sentence_text(text, each) for each in split(text)]
    assert read_source(text).marks(sentences) == [()] * len(sentences)


@given(st.one_of(prose, telling, anything), st.integers(1, 8))
def test_extractive_summaries_have_no_marks(text: str, amount: int) -> None:
    try:
        summary = ExtractiveSummarizer().summarize(
            SummaryRequest(text, Length(LengthUnit.SENTENCES, amount))
        )
    except TextError:
        return
    sentences = [each.text for each in summary.sentences]
    assert not any(read_source(text, summary.source).marks(sentences))


@given(st.one_of(telling, prose), telling, st.one_of(telling, prose))
def test_more_source_never_adds_a_mark(source: str, more: str, summary: str) -> None:
    sentences = [sentence_text(summary, each) for each in split(summary)]
    before = read_source(source).marks(sentences)
    after = read_source(f"{source}\n\n{more}").marks(sentences)
    for marks, fewer in zip(before, after, strict=True):
        spans = {(mark.start, mark.end) for mark in marks}
        assert {(mark.start, mark.end) for mark in fewer} <= spans


@given(anything, anything)
def test_marks_are_in_order_apart_and_within(source: str, summary: str) -> None:
    sentences = [sentence_text(summary, each) for each in split(summary)]
    for sentence, marks in zip(sentences, read_source(source).marks(sentences), strict=True):
        end = 0
        for mark in marks:
            assert end <= mark.start < mark.end <= len(sentence)
            assert mark.reason
            end = mark.end


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.code)
def test_a_rewritten_summary_of_every_language_is_marked_in_part(sample: Sample) -> None:
    text = sample.text
    [first, second] = sample.sentences[1], sample.sentences[4]
    assert marked(text, f"{first}{sample.joint}{second}") == []
    changed = read_source(text).marks([first + " 77"])
    assert [[mark.kind for mark in marks] for marks in changed] == [[MarkKind.NUMBER]]


def test_a_german_noun_is_a_word_and_no_name() -> None:
    source = "Das Werk in Köln war im Frühjahr wegen der Reparaturen geschlossen."
    assert marked(source, "In der Stadt war das Werk wegen der Reparaturen geschlossen.") == [
        ("Stadt", "word")
    ]


@pytest.mark.parametrize(
    ("text", "has"),
    [("Acme", True), ("acme", True), ("公司", False), ("हिन्दी", False), ("", False)],
)
def test_a_script_without_capitals_is_known(text: str, has: bool) -> None:  # noqa: FBT001  # a table
    assert has_capitals(text) is has


def test_a_free_summary_gets_its_sources() -> None:
    text = SAMPLES[0].text
    summary = supported_summary(
        "test",
        text,
        "Revenue rose 4.5 percent. An Ohio plant was closed for repairs. Zebras!",
        NO_TIME,
        ("a note",),
    )
    assert [each.support[0].sentence if each.support else None for each in summary.sentences] == [
        0,
        1,
        None,
    ]
    assert summary.source == split(text)
    assert summary.engine == "test"
    assert summary.notes == ("a note",)


def test_the_best_sources_come_first_and_the_distant_not_at_all() -> None:
    found = best_support(np.array([0.1, 0.5, 0.9, 0.3, SUPPORT_THRESHOLD, 1.0000001]))
    assert [each.sentence for each in found] == [5, 2, 1]
    assert found[0].similarity == 1.0
    assert len(best_support(np.ones(9))) == MOST_SUPPORT
    assert best_support(np.zeros(3)) == ()


@given(prose)
def test_a_sentence_is_closest_to_itself(text: str) -> None:
    sentences = [sentence_text(text, each) for each in split(text)]
    similar = cosines(sentences, sentences)
    assert similar.shape == (len(sentences), len(sentences))
    assert (similar.max(axis=1) <= np.diag(similar) + 1e-9).all()
