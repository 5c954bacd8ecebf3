"""Texts beyond the window: every sentence has its place, every length is kept."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from itertools import count as counted
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lib.aws import open_aws
from lib.jobs import Cancelled
from lib.settings import Settings
from lib.summarize.abstractive import TorchModel
from lib.summarize.extractive import content_of
from lib.summarize.long_text import (
    AbstractiveSummarizer,
    LongText,
    Step,
    best_that_fit,
    chunks,
    whole_sentences,
)
from lib.summarize.model import (
    CannotStreamError,
    Draft,
    Generation,
    GenerationError,
    Length,
    LengthUnit,
    StoppedError,
    SummaryRequest,
    TextError,
)
from lib.summarize.sagemaker_endpoint import SageMakerEndpoint
from lib.summarize.sentences import sentence_text, split
from tests.aws.double import AwsDouble
from tests.aws.fixtures import aws_double, aws_settings, no_aws
from tests.summarize import strategies
from tests.summarize.tiny_models import TEXT, WINDOW

__all__ = ["aws_double", "aws_settings", "no_aws"]

SENTENCES = Length(LengthUnit.SENTENCES, 2)
BEAMS = Generation(num_beams=4)
LONG = " ".join(
    f"In quarter {number} the plant in town {number} made {number * 7} pumps for its customers."
    for number in range(60)
)


class Lead:
    """A model that writes the words it reads, as many as it may; a token is a word."""

    name = "Lead model"

    def __init__(self, window: int = 60, *, stops: bool = True, streams: bool = True) -> None:
        self._window = window
        self._stops = stops
        self._streams = streams
        self.read: list[str] = []
        self.asked: list[Generation] = []

    def window(self) -> int:
        return self._window

    def count(self, text: str) -> int:
        return 2 + len(text.split())

    def generate(self, text: str, parameters: Generation, cancelled: Callable[[], bool]) -> Draft:
        words = list(self._words(text, parameters, cancelled))
        return Draft(" ".join(words), self.count(text), len(words), 0.0)

    def stream(
        self, text: str, parameters: Generation, cancelled: Callable[[], bool]
    ) -> Iterator[str]:
        if not self._streams:
            raise CannotStreamError("No.")
        for number, word in enumerate(self._words(text, parameters, cancelled)):
            yield f" {word}" if number else word

    def _words(
        self, text: str, parameters: Generation, cancelled: Callable[[], bool]
    ) -> Iterator[str]:
        assert self.count(text) <= self._window
        self.read.append(text)
        self.asked.append(parameters)
        for number, word in enumerate(text.split()[: parameters.max_new_tokens], start=1):
            if cancelled():
                raise StoppedError("Stopped.")
            yield word if self._stops else word.rstrip(".")
            if self._stops and word.endswith(".") and number >= parameters.min_new_tokens:
                return


def summarizer(lead: Lead, way: LongText = LongText.EXTRACT, **parameters: Any) -> Any:
    return AbstractiveSummarizer(lead, Generation(**parameters), way)


# -------------------------------------------------------------------------------------- chunks


def words(text: str) -> int:
    return 2 + len(text.split())


def characters(text: str) -> int:
    return 1 + len(text)


@given(
    st.lists(st.text("ab cd.", min_size=1, max_size=60).map(str.strip).filter(bool), max_size=30),
    st.integers(6, 50),
    st.sampled_from([words, characters]),
)
def test_every_sentence_is_in_one_chunk_in_order_and_none_above_the_window(
    texts: list[str], window: int, count: Callable[[str], int]
) -> None:
    found = chunks(texts, count, window)
    assert all(count(chunk.text) <= window for chunk in found)
    long = {place for place, text in enumerate(texts) if count(text) > window}
    places = [place for chunk in found for place in chunk.sentences]
    assert places == sorted(places)
    assert [place for place in places if place not in long] == [
        place for place in range(len(texts)) if place not in long
    ]
    assert set(places) == set(range(len(texts)))
    for chunk in found:
        assert chunk.sentences
        if not long & set(chunk.sentences):
            assert chunk.text == " ".join(texts[place] for place in chunk.sentences)
        else:
            assert len(chunk.sentences) == 1
    text = "".join("".join(texts).split())
    assert "".join("".join(chunk.text.split()) for chunk in found) == text


def test_chunks_are_of_about_the_same_size() -> None:
    texts = ["one two three four five"] * 23
    sizes = [len(chunk.sentences) for chunk in chunks(texts, words, 52)]
    assert sizes == [8, 8, 7]  # not 10, 10, 3


def test_a_sentence_without_spaces_is_split_between_characters() -> None:
    assert [chunk.text for chunk in chunks(["a" * 20], characters, 11)] == ["a" * 10] * 2


@given(strategies.prose, st.integers(8, 60))
def test_the_best_sentences_fit_the_window_and_leave_no_room(text: str, window: int) -> None:
    source = split(text)
    texts = [sentence_text(text, each) for each in source]
    chosen = best_that_fit(source, texts, words, window)
    assert chosen == sorted(set(chosen))
    size = words(" ".join(texts[place] for place in chosen))
    assert size <= window
    read = {content_of(texts[place]) for place in chosen}
    others = [text for text in texts if content_of(text) not in read]
    assert all(size + len(text.split()) > window for text in others)


# ------------------------------------------------------------------------------------- lengths


def test_a_text_within_the_length_is_returned_as_it_is_and_no_model_asked() -> None:
    lead = Lead()
    found = summarizer(lead).summarize(
        SummaryRequest("Sales rose. Costs fell.", Length(LengthUnit.SENTENCES, 2))
    )
    assert found.text == "Sales rose. Costs fell."
    assert "returned as it is" in found.notes[0]
    assert lead.read == []
    assert [sentence.support[0].sentence for sentence in found.sentences] == [0, 1]


@pytest.mark.parametrize("way", list(LongText))
@pytest.mark.parametrize("amount", [1, 2, 4])
def test_a_length_in_sentences_is_met_exactly(way: LongText, amount: int) -> None:
    lead = Lead()
    found = summarizer(lead, way, num_beams=1).summarize(
        SummaryRequest(LONG, Length(LengthUnit.SENTENCES, amount))
    )
    assert len(found.sentences) == amount
    assert all(sentence.text.endswith(".") for sentence in found.sentences)
    assert all(sentence.support for sentence in found.sentences)
    assert found.engine == "Lead model"


@given(text=strategies.prose, amount=st.integers(5, 60), way=st.sampled_from(LongText))
@example(text="Revenue revenue revenue revenue Dr.. revenue. ", amount=5, way=LongText.EXTRACT)
def test_a_length_in_words_is_never_exceeded_and_no_sentence_cut(
    text: str, amount: int, way: LongText
) -> None:
    request = SummaryRequest(text, Length(LengthUnit.WORDS, amount))
    try:
        found = summarizer(Lead(window=40), way).summarize(request)
    except (TextError, GenerationError) as refused:
        assert re.search(r"ask for|no words|one word|no shorter", str(refused))  # noqa: PT017
        return
    # A text of one sentence is given back whole, and a draft without an end as it is: both say so.
    told = " ".join(found.notes)
    assert found.words <= amount or "it is cut" in told or "is one sentence" in told


def test_percent_is_of_the_words_of_the_source() -> None:
    found = summarizer(Lead(window=2000)).summarize(
        SummaryRequest(LONG, Length(LengthUnit.PERCENT, 10))
    )
    assert 0.05 * found.source_words < found.words <= 0.1 * found.source_words


def test_a_budget_below_the_first_sentence_names_the_least_that_works() -> None:
    with pytest.raises(TextError, match="first sentence has 14 words"):
        summarizer(Lead(window=2000)).summarize(SummaryRequest(LONG, Length(LengthUnit.WORDS, 5)))


def test_a_model_that_writes_too_few_sentences_says_so() -> None:
    class Short(Lead):
        def generate(self, text: str, parameters: Generation, cancelled: Any) -> Draft:
            assert cancelled() is False
            self.asked.append(parameters)
            return Draft("Sales rose.", self.count(text), 3, 0.0)

    short = Short(window=2000)
    found = summarizer(short).summarize(SummaryRequest(LONG, Length(LengthUnit.SENTENCES, 5)))
    assert found.text == "Sales rose."
    assert found.notes == ("The model wrote only 1 sentence of the 5 asked for.",)
    least = [asked.min_new_tokens for asked in short.asked]
    assert len(least) > 1
    assert least == sorted(least)


def test_a_model_that_never_ends_a_sentence_says_so() -> None:
    lead = Lead(window=2000, stops=False)
    found = summarizer(lead).summarize(SummaryRequest(LONG, SENTENCES))
    assert "did not end its sentence" in found.notes[-1]
    assert found.text
    assert len(lead.asked) > 1


def test_new_tokens_are_clamped_to_the_text_and_the_window() -> None:
    lead = Lead(window=30)
    short = "Sales rose by far. Costs fell at last. All is well again."
    summarizer(lead).summarize(SummaryRequest(short, Length(LengthUnit.SENTENCES, 1)))
    summarizer(lead).summarize(SummaryRequest(LONG, Length(LengthUnit.SENTENCES, 50)))
    assert all(asked.max_new_tokens < 30 for asked in lead.asked)
    assert all(asked.min_new_tokens <= asked.max_new_tokens for asked in lead.asked)


def test_only_an_unfinished_last_sentence_is_dropped() -> None:
    def draft(text: str, tokens: int) -> Draft:
        return Draft(text, 9, tokens, 0.0)

    assert whole_sentences(draft("Sales rose. Costs fe", 20), 20) == ["Sales rose."]
    assert whole_sentences(draft("Sales rose. Costs fell.", 20), 20) == [
        "Sales rose.",
        "Costs fell.",
    ]
    assert whole_sentences(draft("Sales rise", 5), 20) == ["Sales rise"]
    assert whole_sentences(draft("Sales ri", 20), 20) == []


# ------------------------------------------------------------------------------ what was read


def test_a_text_in_the_window_is_read_whole_in_one_pass() -> None:
    lead = Lead(window=2000)
    found = summarizer(lead).summarize(SummaryRequest(LONG, SENTENCES))
    assert set(lead.read) == {LONG}
    assert found.unread == ()
    assert found.words_read == found.source_words
    assert found.notes == ()


def test_extract_then_abstract_reads_the_best_in_order_in_one_pass() -> None:
    lead = Lead(window=60)
    found = summarizer(lead).summarize(SummaryRequest(LONG, SENTENCES))
    read = lead.read[0]
    assert set(lead.read) == {read}
    numbers = list(map(int, re.findall(r"quarter (\d+)", read)))
    assert numbers == sorted(numbers)
    assert set(found.unread) == set(range(60)) - set(numbers)
    assert found.words_read == 14 * len(numbers)
    assert "The model read 4 of 60 sentences (56 of 840 words, 7 %)" in found.notes[0]


def test_map_reduce_reads_every_sentence_and_says_so() -> None:
    lead = Lead(window=150)
    found = summarizer(lead, LongText.MAP_REDUCE).summarize(SummaryRequest(LONG, SENTENCES))
    first_level = " ".join(lead.read)
    assert all(f"In quarter {number} " in first_level for number in range(60))
    assert found.unread == ()
    assert found.notes[0] == "The text was read whole, in 6 parts that end with a sentence."
    assert "summarized again" in found.notes[-1]
    assert len(lead.read) > 6


def test_summaries_of_parts_within_the_length_are_not_summarized_again() -> None:
    lead = Lead(window=450)
    found = summarizer(lead, LongText.MAP_REDUCE, min_new_tokens=10).summarize(
        SummaryRequest(LONG, Length(LengthUnit.SENTENCES, 10))
    )
    assert len(lead.read) == 2
    assert "again" not in " ".join(found.notes)


def test_repeated_sentences_count_as_read_with_their_first() -> None:
    text = "Sales rose by 8 percent in Asia. " * 30 + "Costs fell by 3 percent in Europe."
    found = summarizer(Lead(window=40)).summarize(
        SummaryRequest(text, Length(LengthUnit.SENTENCES, 1))
    )
    assert found.unread == ()


@pytest.mark.parametrize("way", list(LongText))
def test_a_sentence_above_the_window_is_split_and_that_is_said(way: LongText) -> None:
    giant = "Revenue " + "rose and fell and " * 60 + "rose."
    found = summarizer(Lead(window=40), way).summarize(
        SummaryRequest(f"{giant} {giant}", Length(LengthUnit.SENTENCES, 1))
    )
    said = " ".join(found.notes)
    assert "was split between words" in said or "read the beginning of the first" in said


# -------------------------------------------------------------------- progress, stream, cancel


@pytest.mark.parametrize("way", list(LongText))
@pytest.mark.parametrize("beams", [1, 4])
def test_progress_grows_and_greedy_search_shows_its_words(way: LongText, beams: int) -> None:
    steps: list[Step] = []
    found = summarizer(Lead(window=150), way, num_beams=beams).summarize(
        SummaryRequest(LONG, SENTENCES), steps.append
    )
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] < 1
    assert steps[-1].name == "Writing the summary"
    if way is LongText.MAP_REDUCE:
        assert steps[0].name == "Reading part 1 of 6"
    drafts = [step.draft for step in steps if step.draft]
    assert bool(drafts) == (beams == 1)
    assert all(found.text.startswith(draft) or draft.startswith(found.text) for draft in drafts)


def test_a_model_that_does_not_stream_writes_at_once() -> None:
    found = summarizer(Lead(window=2000, streams=False), num_beams=1).summarize(
        SummaryRequest(LONG, SENTENCES)
    )
    assert len(found.sentences) == 2


@pytest.mark.parametrize("way", list(LongText))
@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("at", [0, 1, 20])
def test_a_summary_is_stopped_wherever_it_is(way: LongText, at: int, beams: int) -> None:
    asked = counted()
    with pytest.raises(StoppedError):
        summarizer(Lead(window=100), way, num_beams=beams).summarize(
            SummaryRequest(LONG, SENTENCES), cancelled=lambda: next(asked) >= at
        )
    assert next(asked) == at + 1


def test_summaries_that_do_not_shrink_end_with_a_sentence() -> None:
    class Echo(Lead):
        def generate(self, text: str, parameters: Generation, cancelled: Any) -> Draft:
            assert cancelled() is False
            return Draft(f"{text} {text}", self.count(text), parameters.max_new_tokens - 5, 0.0)

    with pytest.raises(GenerationError, match="no shorter than the parts"):
        summarizer(Echo(window=100), LongText.MAP_REDUCE).summarize(SummaryRequest(LONG, SENTENCES))


@pytest.mark.parametrize("text", ["", "   ", "a\0b", "12345", "word"])
def test_what_is_no_text_is_refused_before_the_model_is_asked(text: str) -> None:
    lead = Lead()
    with pytest.raises(TextError):
        summarizer(lead).summarize(SummaryRequest(text, SENTENCES))
    assert lead.read == []


@pytest.mark.parametrize("way", list(LongText))
def test_an_endpoint_summarizes_long_texts_as_well(
    aws_settings: Settings, aws_double: AwsDouble, way: LongText
) -> None:
    answer = {"Body": b'[{"summary_text": "The plant made pumps. Customers took them."}]'}
    aws_double.on("sagemaker-runtime", "InvokeEndpoint", answer)
    endpoint = SageMakerEndpoint(open_aws(aws_settings), "bart-1", window=300)
    found = AbstractiveSummarizer(endpoint, BEAMS, way).summarize(SummaryRequest(LONG, SENTENCES))
    assert found.text == "The plant made pumps. Customers took them."
    assert found.engine == "SageMaker endpoint bart-1"
    calls = aws_double.called("sagemaker-runtime", "InvokeEndpoint")
    assert (len(calls) > 1) == (way is LongText.MAP_REDUCE)


# -------------------------------------------------------------------------------- a real model


@pytest.mark.usefixtures("one_thread")
def test_page_and_job_are_called_in_their_own_thread_and_may_raise(
    tiny: Callable[[str], Path],
) -> None:
    model = TorchModel(tiny("bart"), "Tiny")
    threads: set[int] = set()

    def progress(step: Step) -> None:
        threads.add(threading.get_ident())
        if step.draft:
            raise Cancelled

    def cancelled() -> bool:
        threads.add(threading.get_ident())
        return False

    greedy = AbstractiveSummarizer(model, Generation(12, 4, 1))
    with pytest.raises(Cancelled):
        greedy.summarize(SummaryRequest(TEXT, Length(LengthUnit.SENTENCES, 1)), progress, cancelled)
    assert threads == {threading.get_ident()}
    assert "abstractive-stream" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", ["bart", "t5"])
@pytest.mark.parametrize("way", list(LongText))
def test_a_real_model_never_gets_more_than_its_window(
    tiny: Callable[[str], Path], kind: str, way: LongText
) -> None:
    model = TorchModel(tiny(kind), "Tiny")
    assert model.count(TEXT * 6) > WINDOW
    steps: list[Step] = []
    parameters = Generation(max_new_tokens=12, min_new_tokens=4, num_beams=2)
    found = AbstractiveSummarizer(model, parameters, way).summarize(
        SummaryRequest(
            " ".join([TEXT, "Sales in Asia fell. The board met in December."] * 4), SENTENCES
        ),
        steps.append,
    )
    assert found.sentences
    assert steps
