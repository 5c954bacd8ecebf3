from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.summarize.sentences import sentence_text, split
from tests.summarize.languages import SAMPLES, Sample
from tests.summarize.strategies import anything, prose


def texts_of(text: str) -> list[str]:
    return [sentence_text(text, sentence) for sentence in split(text)]


@given(st.one_of(prose, anything))
def test_spans_are_in_order_apart_and_without_white_space_around(text: str) -> None:
    end = 0
    for sentence in split(text):
        assert end <= sentence.start < sentence.end <= len(text)
        piece = text[sentence.start : sentence.end]
        assert piece == piece.strip()
        assert any(character.isalnum() for character in piece)
        end = sentence.end


@given(st.one_of(prose, anything))
def test_no_letter_is_lost(text: str) -> None:
    kept = "".join(text[each.start : each.end] for each in split(text))
    assert [c for c in kept if c.isalpha()] == [c for c in text if c.isalpha()]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.code)
def test_sentences_of_every_language_are_found(sample: Sample) -> None:
    assert texts_of(sample.text) == list(sample.sentences)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        (" \n\t ", []),
        ("🎉🎉", []),
        ("One sentence without a stop", ["One sentence without a stop"]),
        ("# Title\n\nText here.", ["Title", "Text here."]),
        ("- one. Two.\n• three\n* four", ["one.", "Two.", "three", "four"]),
        ("1. first\n2) second\n(3) third", ["first", "second", "third"]),
        ("Line one\r\nLine two", ["Line one", "Line two"]),
        ("Above\n-----\nBelow", ["Above", "Below"]),
        ("We won! 🎉 It is done.", ["We won! 🎉", "It is done."]),
        ("Done.😀 Next one.", ["Done.😀", "Next one."]),
        ("They have Autos, Räder usw. im Lager. Gut.", None),
        ("انتهى الأمر۔ كان جيدا۔", ["انتهى الأمر۔", "كان جيدا۔"]),
        ("“是吗？”他问。", ["“是吗？”", "他问。"]),
        ("A.B.C. is no end. It is.", ["A.B.C. is no end.", "It is."]),
        ("Ana: yes. Sure.\nBen: no\nAna: why?", ["Ana: yes.", "Sure.", "Ben: no", "Ana: why?"]),
    ],
)
def test_known_texts(text: str, sentences: list[str] | None) -> None:
    expected = ["They have Autos, Räder usw. im Lager.", "Gut."] if sentences is None else sentences
    assert texts_of(text) == expected


PARAGRAPH = (
    "The annual report of the company shows that revenue grew faster than in any year since the "
    "Great Recession, mostly in Ohio and New Jersey where Acme Corporation opened plants. Costs "
    "grew too. The board, which met on Monday in New York, expects a calmer year and no further "
    "acquisitions before the merger with Northern Pumps is complete."
)


@pytest.mark.parametrize("width", [60, 72, 78, 100])
@pytest.mark.parametrize("prefix", ["", "> "])
def test_lines_broken_by_a_margin_are_read_on(width: int, prefix: str) -> None:
    wrapped = "\n".join(prefix + line for line in textwrap.wrap(PARAGRAPH, width))
    assert texts_of(wrapped) == texts_of(PARAGRAPH)
    assert len(texts_of(PARAGRAPH)) == 3


def test_wrapped_paragraphs_stay_apart() -> None:
    wrapped = "\n".join(textwrap.wrap(PARAGRAPH, 72))
    assert texts_of(f"{wrapped}\n\n{wrapped}") == 2 * texts_of(PARAGRAPH)


def test_lines_that_are_sentences_stay_apart_without_stops() -> None:
    lines = ["Revenue up", "costs down a little", "Outlook: better", "cash: fine"]
    assert texts_of("\n".join(lines)) == lines


def test_turns_of_speakers_stay_apart_even_when_lines_are_full() -> None:
    turns = [
        "Ana Gomez: We should look at the revenue of the third quarter before we go on",
        "Ben Okafor: Yes and the costs of the plants in Ohio and New Jersey as well then",
        "Ana Gomez: Those are in the second table of the report that I sent you on Monday",
        "Ben Okafor: Found it and it looks fine to me although the cash flow is a bit weak",
    ]
    assert texts_of("\n".join(turns)) == turns


@pytest.mark.parametrize(
    "unit", ["word and ", "a", "\n", " ", "\n \n", "。」と", "।", "x\t\t", "> ", "A. "]
)
def test_endless_input_ends(unit: str) -> None:
    # Quadratic time would make this file hang: 100,000 characters of each.
    text = "Start " + unit * (100_000 // len(unit)) + " end"
    assert split(text)[0].start == 0


@pytest.mark.parametrize("unit", ["!?", ".)"])
def test_an_endless_word_ends(unit: str) -> None:
    # The splitter alone would take over an hour for this one.
    assert len(split("Start " + unit * 700_000 + " end. More.")) <= 3


@pytest.mark.parametrize("word", ["rest", "week", "day", "story", "tax", "joke", "equal"])
def test_a_sentence_may_end_in_a_word_that_the_splitter_takes_for_an_abbreviation(
    word: str,
) -> None:
    text = f"That explains the {word}. Operating expenses rose 7 percent."
    assert len(split(text)) == 2


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith of Acme Inc. came at approx. 5 p.m. on Jan. 5.",
        "Gen. Lee and Sen. Warren met in Sept. 2020 in St. Louis.",
        "It cost $4.5 million, i.e. too much, see Fig. 3 or Sec. 2.",
        "The U.S. Navy and Goldman Sachs Group Inc. are vs. it.",
    ],
)
def test_an_abbreviation_ends_no_sentence(text: str) -> None:
    assert len(split(text)) == 1
