"""Engines and settings side by side on the same text: what each wrote, and how it scores."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from itertools import groupby
from time import perf_counter
from typing import Any, Self

from lib.summarize.agreement import Agreement
from lib.summarize.engines import PRECISIONS, Writing, run
from lib.summarize.long_text import LongText, Step
from lib.summarize.measures import COMPRESSION, COVERAGE, NOVELTY
from lib.summarize.model import (
    Draft,
    GenerationError,
    Length,
    LengthUnit,
    Mark,
    MarkKind,
    StoppedError,
    Summarizer,
    Summary,
    SummaryRequest,
    TextError,
)
from lib.summarize.sentences import sentence_text, split
from lib.summarize.support import Source, read_source
from lib.summarize.terms import count_words, detect_language, stems, tokens_of, words_of

MOST_REFERENCE_WORDS = 3_000  # ROUGE-L takes the product of both lengths
SHARED_RUN = 3  # words in a row that another summary has too


@dataclass(frozen=True)
class Candidate:
    """An engine, by its id, with the settings to compare."""

    engine: str
    length: Length
    writing: Writing | None = None  # of abstractive engines

    def to_json(self) -> dict[str, Any]:
        """Return the candidate as files keep it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return the candidate that `to_json` wrote."""
        length, writing = values["length"], values["writing"]
        return cls(
            values["engine"],
            Length(LengthUnit(length["unit"]), length["amount"]),
            writing and Writing(LongText(writing["way"]), writing["beams"]),
        )


class Better(StrEnum):
    """Which values of a metric are the better ones; of some neither."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


@dataclass(frozen=True)
class Metric:
    """A number by which summaries are compared; its key names it in files."""

    key: str
    name: str
    unit: str
    digits: int
    better: Better
    explanation: str


_ROUGE = (
    "shared with the reference: F1 of package rouge-score with the Porter stemmer; other languages "
    "than English take their Snowball stemmer."
)
_FLAG = (
    "in the summary that the text lacks. A sign of missing support, not of an error; summaries "
    "made of sentences of the text have none."
)
SECONDS = Metric(
    "seconds",
    "Time",
    "s",
    3,
    Better.LOWER,
    "From the text to the summary, without loading a model; the first summary of a model takes "
    "longer.",
)
WORDS = Metric("words", "Words", "words", 0, Better.NEITHER, "Words of the summary.")
LENGTH = Metric("length", "Length", "%", 0, Better.NEITHER, COMPRESSION.explanation)
CONTENT = Metric("coverage", COVERAGE.name, "%", 0, Better.HIGHER, COVERAGE.explanation)
NOVEL = Metric("novelty", NOVELTY[2].name, "%", 0, Better.NEITHER, NOVELTY[2].explanation)
FLAGS = {
    kind: Metric(
        f"flags_{kind}", f"{kind.title()}s flagged", "", 0, Better.LOWER, f"{kind.title()}s {_FLAG}"
    )
    for kind in MarkKind
}
ROUGE_1 = Metric("rouge1", "ROUGE-1", "", 1, Better.HIGHER, f"Single words {_ROUGE}")
ROUGE_2 = Metric("rouge2", "ROUGE-2", "", 1, Better.HIGHER, f"Word pairs {_ROUGE}")
ROUGE_L = Metric(
    "rougeLsum",
    "ROUGE-L",
    "",
    1,
    Better.HIGHER,
    f"The longest common subsequences of sentences (ROUGE-Lsum) {_ROUGE} ROUGE-L over the whole "
    "text as one sentence, which model cards report, is about 10 points lower on news.",
)
ROUGES = (ROUGE_1, ROUGE_2, ROUGE_L)
METRICS = (*ROUGES, CONTENT, SECONDS, *FLAGS.values(), WORDS, LENGTH, NOVEL)
Scores = dict[str, float]  # by the key of a metric


@dataclass(frozen=True)
class Result:
    """What a candidate wrote, the marks in each of its sentences, and its scores."""

    candidate: Candidate
    summary: Summary
    marks: tuple[tuple[Mark, ...], ...]
    scores: Scores


@dataclass(frozen=True)
class Failure:
    """Why a candidate wrote no summary of the text."""

    candidate: Candidate
    reason: str


def compare(
    text: str,
    references: Sequence[str],
    entries: Sequence[tuple[Candidate, Summarizer]],
    *,
    report: Callable[[float, str], None],
    cancelled: Callable[[], bool],
) -> tuple[Result | Failure, ...]:
    """Return what each candidate makes of a text, scored, in order.

    With several references the best one counts, as rouge-score does. A candidate that cannot
    summarize the text has a `Failure`. Raises `TextError` for a reference that is too long,
    `StoppedError` once `cancelled` says so, and `AwsError`.
    """
    for reference in references:
        check_reference(reference)
    source: Source | None = None
    results: list[Result | Failure] = []
    for number, (candidate, summarizer) in enumerate(entries):
        name = f"{summarizer.name} ({number + 1} of {len(entries)})"
        report(number / len(entries), name)
        if cancelled():
            raise StoppedError("The comparison was stopped.")

        def tell(step: Step, number: int = number, name: str = name) -> None:
            report((number + step.fraction) / len(entries), f"{name}: {step.name}")

        started = perf_counter()
        try:
            request = SummaryRequest(text, candidate.length)
            summary = run(summarizer, request, tell, cancelled)
        except StoppedError:
            raise
        except (TextError, GenerationError) as error:
            results.append(Failure(candidate, str(error)))
            continue
        seconds = perf_counter() - started
        source = source or read_source(text, summary.source)
        marks = tuple(source.marks([sentence.text for sentence in summary.sentences]))
        scores = {"seconds": seconds, **score(text, summary, marks), **rouge(references, summary)}
        results.append(Result(candidate, summary, marks, scores))
    return tuple(results)


def score(text: str, summary: Summary, marks: Sequence[Sequence[Mark]]) -> Scores:
    """Return the scores of a summary that need no reference."""
    kinds = Counter(mark.kind for found in marks for mark in found)
    return {
        WORDS.key: summary.words,
        LENGTH.key: COMPRESSION.of(text, summary),
        CONTENT.key: COVERAGE.of(text, summary),
        NOVEL.key: NOVELTY[2].of(text, summary),
        **{metric.key: kinds[kind] for kind, metric in FLAGS.items()},
    }


# ----------------------------------------------------------------------------------------- ROUGE


def check_reference(reference: str) -> None:
    """Raise `TextError` for a reference that ROUGE would take minutes for."""
    words = count_words(reference)
    if words > MOST_REFERENCE_WORDS:
        raise TextError(
            f"The reference has {words:,} words; at most {MOST_REFERENCE_WORDS:,} are compared. "
            "Paste a summary, not the text."
        )


def rouge(references: Sequence[str], summary: Summary) -> Scores:
    """Return ROUGE-1, -2 and -Lsum, F1 x 100, to the best reference (Lin 2004); {} without one."""
    if not references:
        return {}
    from rouge_score.rouge_scorer import RougeScorer

    names = [metric.key for metric in ROUGES]
    scorer = RougeScorer(names, use_stemmer=True, tokenizer=_tokenizer(references[0]))
    lines = "\n".join(sentence.text for sentence in summary.sentences)
    found = scorer.score_multi([_on_lines(reference) for reference in references], lines)
    return {name: 100 * float(found[name].fmeasure) for name in names}


def _on_lines(text: str) -> str:
    """Return the text with a sentence on each line, as rouge-score wants it."""
    return "\n".join(sentence_text(text, sentence) for sentence in split(text))


@dataclass(frozen=True)
class _Tokenizer:
    """Tokens of any script, stemmed as their language is: rouge-score's own know a to z."""

    reference: str

    def tokenize(self, text: str) -> list[str]:
        """Return the stems of the words."""
        return stems(tokens_of(text), detect_language(words_of(self.reference)))


def _tokenizer(reference: str) -> _Tokenizer | None:
    """Return None for English, which rouge-score reads as the literature does."""
    code = detect_language(words_of(reference)).code
    is_english = code == "en" or (code == "und" and reference.isascii())
    return None if is_english else _Tokenizer(reference)


# ----------------------------------------------------------------------------------- differences


@dataclass(frozen=True)
class Piece:
    """A piece of a sentence; `own` where no other summary has it."""

    text: str
    own: bool


def own_pieces(summaries: Sequence[Sequence[str]]) -> list[list[tuple[Piece, ...]]]:
    """Return each summary's sentences cut into what other summaries have too, and what they lack.

    Words are shared where a run of `SHARED_RUN` words with them, or a whole shorter sentence,
    stands in another summary. A summary without others has nothing of its own.
    """
    runs = [set(_runs(sentences)) for sentences in summaries]
    cut = []
    for number, sentences in enumerate(summaries):
        others = set().union(*runs[:number], *runs[number + 1 :])
        alone = len(summaries) == 1
        cut.append([tuple(_pieces(sentence, others, alone=alone)) for sentence in sentences])
    return cut


_WORD = re.compile(r"\S+")


def _words(sentence: str) -> list[str]:
    return [" ".join(tokens_of(word)) or word for word in _WORD.findall(sentence)]


def _runs(sentences: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for sentence in sentences:
        words = _words(sentence)
        size = min(SHARED_RUN, len(words))
        yield from (tuple(words[at : at + size]) for at in range(len(words) - size + 1))


def _pieces(sentence: str, others: set[tuple[str, ...]], *, alone: bool) -> Iterator[Piece]:
    words = _words(sentence)
    size = min(SHARED_RUN, len(words))
    shared = [alone] * len(words)
    for at in range(len(words) - size + 1):
        if tuple(words[at : at + size]) in others:
            shared[at : at + size] = [True] * size
    shown = zip(shared, _WORD.findall(sentence), strict=True)
    for is_shared, group in groupby(shown, key=lambda pair: pair[0]):
        yield Piece(" ".join(word for _, word in group), own=not is_shared)


# --------------------------------------------------------------------------------------- finding


@dataclass(frozen=True)
class _Wording:
    """How the finding speaks of a metric."""

    same: str
    more: str
    first: str
    second: str


_WORDINGS = {
    ROUGE_1.key: _Wording(
        "are equally close to your reference",
        "is closer to your reference than",
        "a ROUGE-1 of {:.1f}",
        "{:.1f}",
    ),
    CONTENT.key: _Wording(
        "cover equally much of the text",
        "covers more of the text than",
        "{:.0f} % of its content",
        "{:.0f} %",
    ),
}


def finding(results: Sequence[Result | Failure], labels: Sequence[str]) -> str:
    """Return what the comparison says, in a sentence; labels name the candidates in order."""
    found = [
        (label, result.scores)
        for label, result in zip(labels, results, strict=True)
        if isinstance(result, Result)
    ]
    if len(found) < 2:  # noqa: PLR2004  one cannot be compared
        return "There are not two summaries to compare."
    key = ROUGE_1.key if ROUGE_1.key in found[0][1] else CONTENT.key
    said = _WORDINGS[key]
    (best, first), (next_best, second) = sorted(
        ((label, scores[key]) for label, scores in found), key=lambda each: -each[1]
    )[:2]
    value, other = said.first.format(first), said.second.format(second)
    if said.second.format(first) == other:
        told = f"Summaries {best} and {next_best} {said.same}: {value}."
    elif len(found) == 2:  # noqa: PLR2004  better than the other one
        told = f"Summary {best} {said.more} summary {next_best}: {value} against {other}."
    else:
        told = f"Summary {best} {said.more} any other: {value}; {next_best} follows with {other}."
    return f"{told} One text cannot tell which is better in general: Batch compares on many."


def agreement(results: Sequence[Result | Failure]) -> Agreement | None:
    """Return how far the fast engine and full precision of one model agree, if both are here."""
    found: dict[Candidate, dict[str, Summary]] = {}  # by the candidate without its precision
    for each in results:
        engine, _, precision = each.candidate.engine.rpartition(":")
        if isinstance(each, Result) and precision in PRECISIONS:
            pair = found.setdefault(replace(each.candidate, engine=engine), {})
            pair[precision] = each.summary
    for pair in found.values():
        if len(pair) == len(PRECISIONS):
            return Agreement(_draft(pair["fp32"]), _draft(pair["int8"]))
    return None


def _draft(summary: Summary) -> Draft:
    return Draft(summary.text, 0, 0, summary.timings.write)
