"""Comparison: real engines on real texts, ROUGE against the package, differences by a slow twin."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from lib.summarize.comparison import (
    METRICS,
    MOST_REFERENCE_WORDS,
    ROUGES,
    SHARED_RUN,
    Candidate,
    Failure,
    Result,
    compare,
    finding,
    own_pieces,
    rouge,
)
from lib.summarize.extractive import ExtractiveSummarizer
from lib.summarize.lead import LeadSummarizer
from lib.summarize.measures import COVERAGE, NOVELTY
from lib.summarize.model import (
    Length,
    LengthUnit,
    StoppedError,
    Summary,
    SummaryRequest,
    TextError,
    Timings,
)
from lib.summarize.samples import SAMPLES
from lib.summarize.support import supported_summary
from tests.summarize.strategies import prose

THREE = Length(LengthUnit.SENTENCES, 3)
KEY = Candidate("extractive", THREE)
LEAD = Candidate("lead", THREE)
TEXT = SAMPLES[1].text
ENTRIES = ((KEY, ExtractiveSummarizer()), (LEAD, LeadSummarizer()))


class Inventor:
    """Writes what no text says."""

    name = "Inventor"

    def summarize(self, request: SummaryRequest) -> Summary:
        written = "Shares of Globex lost 987 million on 3 May 1904. Its zebras vanished."
        return supported_summary(self.name, request.text, written, Timings(0, 0, 0))


def ignore(_fraction: float, _step: str) -> None:
    pass


def never() -> bool:
    return False


def run(*entries: object, text: str = TEXT, references: tuple[str, ...] = ()) -> list[object]:
    return list(
        compare(text, references, entries or ENTRIES, report=ignore, cancelled=never)  # type: ignore[arg-type] # pairs
    )


def test_each_candidate_is_scored_by_the_measures_of_the_page() -> None:
    key, lead = run()
    assert isinstance(key, Result)
    assert isinstance(lead, Result)
    assert (
        key.summary.sentences
        == ExtractiveSummarizer().summarize(SummaryRequest(TEXT, THREE)).sentences
    )
    assert [each.text for each in lead.summary.sentences] == [
        TEXT[span.start : span.end] for span in lead.summary.source[:3]
    ]
    assert key.scores["coverage"] == COVERAGE.of(TEXT, key.summary)
    assert key.scores["novelty"] == NOVELTY[2].of(TEXT, key.summary) == 0
    assert key.scores["seconds"] > 0
    assert set(key.scores) == {metric.key for metric in METRICS} - {each.key for each in ROUGES}
    assert not any(key.marks)


def test_what_the_text_lacks_is_counted_by_kind() -> None:
    [result] = run((Candidate("inventor", THREE), Inventor()))
    assert isinstance(result, Result)
    found = {kind: result.scores[f"flags_{kind}"] for kind in ("number", "date", "name", "word")}
    assert found["number"] == found["date"] == found["name"] == 1
    assert found["word"] >= 2
    assert result.scores["novelty"] == 100


def test_a_reference_gives_the_rouge_of_the_literature() -> None:
    reference = "Buses were late on Mondays.\nThe city plans new lanes."
    [result] = run(ENTRIES[0], references=(reference,))
    assert isinstance(result, Result)
    names = ["rouge1", "rouge2", "rougeLsum"]
    lines = "\n".join(sentence.text for sentence in result.summary.sentences)
    expected = RougeScorer(names, use_stemmer=True).score(reference, lines)
    for name in names:
        assert result.scores[name] == pytest.approx(100 * expected[name].fmeasure)


def test_the_best_of_several_references_counts() -> None:
    summary = LeadSummarizer().summarize(SummaryRequest(TEXT, THREE))
    scores = rouge(("Nothing of the kind here.", summary.text), summary)
    assert scores == pytest.approx({"rouge1": 100, "rouge2": 100, "rougeLsum": 100})


@pytest.mark.parametrize(
    "text",
    ["Выручка выросла на восемь процентов. Спрос в Европе снова вырос.", "売上高は増加した。"],
)
def test_rouge_reads_other_scripts(text: str) -> None:
    summary = supported_summary("test", text, text, Timings(0, 0, 0))
    assert rouge((text,), summary)["rouge1"] == pytest.approx(100)


def test_a_reference_as_long_as_a_book_is_refused() -> None:
    with pytest.raises(TextError, match="at most 3,000"):
        run(references=("word " * (MOST_REFERENCE_WORDS + 1),))


def test_a_text_that_one_candidate_cannot_use_leaves_the_others() -> None:
    text = "A first sentence of many words stands here before all the rest of it. Short one here."
    few = Candidate("lead", Length(LengthUnit.WORDS, 5))
    lead, key = run((few, LeadSummarizer()), (KEY, ExtractiveSummarizer()), text=text)
    assert isinstance(lead, Failure)
    assert "14 words" in lead.reason
    assert isinstance(key, Result)


def test_a_stop_ends_it_before_the_next_candidate() -> None:
    steps: list[str] = []
    with pytest.raises(StoppedError):
        compare(
            TEXT,
            (),
            ENTRIES,
            report=lambda _, step: steps.append(step),
            cancelled=lambda: len(steps) > 1,
        )
    assert steps == ["Key sentences (1 of 2)", "First sentences (2 of 2)"]


def test_a_candidate_survives_its_file() -> None:
    assert Candidate.from_json(KEY.to_json()) == KEY


@given(prose, st.integers(1, 60))
def test_the_lead_is_a_beginning_and_keeps_the_length(text: str, words: int) -> None:
    request = SummaryRequest(text, Length(LengthUnit.WORDS, words))
    try:
        summary = LeadSummarizer().summarize(request)
    except TextError:
        return
    assert [each.support[0].sentence for each in summary.sentences] == list(
        range(len(summary.sentences))
    )
    assert summary.words <= words or summary.notes


sentences_of_words = st.lists(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=7).map(" ".join), min_size=1, max_size=3
)


@given(st.lists(sentences_of_words, min_size=2, max_size=3))
def test_a_word_is_shared_where_a_run_of_another_summary_holds_it(
    summaries: list[list[str]],
) -> None:
    for number, cut in enumerate(own_pieces(summaries)):
        others = [
            line.split() for at, lines in enumerate(summaries) for line in lines if at != number
        ]
        for sentence, pieces in zip(summaries[number], cut, strict=True):
            assert " ".join(piece.text for piece in pieces) == sentence
            own = [piece.own for piece in pieces for _ in piece.text.split()]
            assert own == [not shared(sentence.split(), at, others) for at in range(len(own))]


def shared(words: list[str], at: int, others: list[list[str]]) -> bool:
    size = min(SHARED_RUN, len(words))
    for start in range(max(0, at - size + 1), min(at, len(words) - size) + 1):
        run = words[start : start + size]
        for other in others:
            least = min(SHARED_RUN, len(other))
            if least == size and any(
                other[place : place + size] == run for place in range(len(other) - size + 1)
            ):
                return True
    return False


def test_the_finding_names_the_first_and_does_not_claim_more() -> None:
    results = run()
    said = finding(results, ["A", "B"])  # type: ignore[arg-type] # of run
    assert said == (
        "Summary A covers more of the text than summary B: 30 % of its content against 14 %. "
        "One text cannot tell which is better in general: Batch compares on many."
    )
    three = finding([results[1], results[1], results[0]], ["A", "B", "C"])  # type: ignore[list-item]
    assert three.startswith(
        "Summary C covers more of the text than any other: 30 % of its content; "
        "A follows with 14 %."
    )
    same = finding([results[0], results[0]], ["A", "B"])  # type: ignore[list-item]
    assert same.startswith("Summaries A and B cover equally much of the text: 30 % of its content.")


def test_with_a_reference_the_finding_is_about_rouge() -> None:
    results = run(references=("Revenue rose 9 percent to $412 million.",))
    assert re.match(
        r"Summary [AB] is closer to your reference than summary [AB]: "
        r"a ROUGE-1 of \d+\.\d against \d+\.\d\. One text",
        finding(results, ["A", "B"]),  # type: ignore[arg-type] # of run
    )
