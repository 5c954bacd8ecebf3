"""What each sign of support tells of human judgements, and how often a marked number is wrong.

QAGS (Wang et al. 2020) holds summaries by neural models with the share of their sentences that
three people each found consistent with the article. A signal is judged by its AUC (does it rank
summaries without any fault above the others?) and by Pearson's correlation with that share; the
number marks by their precision: the share of marked summaries with a fault. QAGS has no split, so
the articles whose SHA-256 leaves no remainder by three are the development part: only their errors
were looked at. The scored part is all others.

Few numbers of these summaries are wrong, so the number marks are also tried on sentences of texts
in which we changed one number: to another one of as many digits, which should be marked, or to
another way of writing it, which should not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any, Literal

import numpy as np

from bench import summarize_quality
from bench.result import Row
from bench.summarize_quality import RESAMPLES, SEED, read_documents
from lib.summarize.measures import CLOSENESS, DENSITY, EXTRACTIVE_COVERAGE, NOVELTY, Measure
from lib.summarize.model import MarkKind, Summary, Timings
from lib.summarize.sentences import sentence_text, split
from lib.summarize.support import marks_of, read_source, supported_summary

CORPORA = {
    "news, three sentences (QAGS-CNN)": "qags_cnn_faithfulness.jsonl",
    "news, one sentence (QAGS-XSum)": "qags_xsum_faithfulness.jsonl",
}
TEXTS = {
    "news (CNN/DM, REALSumm)": "cnndm_realsumm.jsonl",
    "earnings calls (ECTSum)": "ectsum_test_dev.jsonl",
}
CHANGES_PER_TEXT = 3
QUICK_TEXTS = 10
PRECISION_GOAL = 0.8
QUICK_RESAMPLES = 200
DEVELOPMENT_PARTS = 3  # one part in so many

Statistic = Callable[[np.ndarray, np.ndarray], float]
Change = Callable[[re.Match[str], np.random.Generator], str]

_WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
_WRITTEN = re.compile(
    r"(?<![\w.,:/-])(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?: ?(?P<unit>percent|per cent|%|million|billion|m|bn))?(?![\w:/-]|[.,]\d)"
)
_RAW_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class Pair:
    """An article, a summary of it, its marked parts, and the share of it judged consistent."""

    article: str
    summary: Summary
    marks: tuple[tuple[str, MarkKind], ...]
    consistent: float


def run(quick: bool) -> list[Row]:  # noqa: FBT001  # the interface of every benchmark
    """Return the figures of both sets; no rows where the data is absent."""
    folder = summarize_quality.DATA / "summarize"
    if not folder.is_dir():
        print("Skipped: no evaluation texts here. Set SIGHTLINE_BENCH_DATA to their folder.")
        return []
    resamples = QUICK_RESAMPLES if quick else RESAMPLES
    print("Scored part unless development is said. 95 % intervals in brackets.")
    rows = []
    for name, file in CORPORA.items():
        documents = read_documents(folder / file)
        for part, chosen in (
            ("scored", [each for each in documents if not is_development(each["article"])]),
            ("development", [each for each in documents if is_development(each["article"])]),
        ):
            pairs = [_pair(document) for document in chosen]
            case = f"{name}, {part}, {len(pairs)} pairs"
            goal = PRECISION_GOAL if part == "scored" else None
            rows += _flag_rows(case, pairs, goal) + _signal_rows(case, pairs, resamples)
    for name, file in TEXTS.items():
        texts = [document["article"] for document in read_documents(folder / file)]
        rows += _change_rows(name, texts[:QUICK_TEXTS] if quick else texts)
    return rows


def is_development(article: str) -> bool:
    """Tell whether an article belongs to the part whose errors may be looked at."""
    return int(sha256(article.encode()).hexdigest(), 16) % DEVELOPMENT_PARTS == 0


def _pair(document: dict[str, Any]) -> Pair:
    article = document["article"]
    summary = supported_summary("system", article, document["sys_summary"], Timings(0, 0, 0))
    by_sentence = marks_of(article, summary)
    marks = tuple(
        (sentence.text[mark.start : mark.end], mark.kind)
        for sentence, found in zip(summary.sentences, by_sentence, strict=True)
        for mark in found
    )
    return Pair(article, summary, marks, document["human_fact"])


def has_number_mark(pair: Pair) -> bool:
    """Tell whether a number of the summary is marked, or a date with one."""
    return any(
        kind is MarkKind.NUMBER or (kind is MarkKind.DATE and any(c.isdigit() for c in part))
        for part, kind in pair.marks
    )


def has_raw_number(pair: Pair) -> bool:
    """Tell whether the digits of a number in the summary are not those of one in the article."""
    return bool(_new_numbers(pair.article, pair.summary.text))


def _new_numbers(text: str, summary: str) -> set[str]:
    return set(_RAW_NUMBER.findall(summary)) - set(_RAW_NUMBER.findall(text))


def _marks_per_word(kind: MarkKind) -> Callable[[Pair], float]:
    def share(pair: Pair) -> float:
        return -sum(marked is kind for _, marked in pair.marks) / max(1, pair.summary.words)

    return share


def _negated(measure: Measure) -> Callable[[Pair], float]:
    return lambda pair: -measure.of(pair.article, pair.summary)


# Each is turned so that more of it means more support.
SIGNALS: dict[str, Callable[[Pair], float]] = {
    **{f"{measure.name.lower()} (negated)": _negated(measure) for measure in NOVELTY.values()},
    "closeness, mean max TF-IDF cosine": lambda pair: CLOSENESS.of(pair.article, pair.summary),
    "extractive coverage": lambda pair: EXTRACTIVE_COVERAGE.of(pair.article, pair.summary),
    "fragment density (log)": lambda pair: float(np.log1p(DENSITY.of(pair.article, pair.summary))),
    "marked words per word (negated)": _marks_per_word(MarkKind.WORD),
    "number flag (negated)": lambda pair: -float(has_number_mark(pair)),
}


def _flag_rows(case: str, pairs: list[Pair], goal: float | None) -> list[Row]:
    faulty = np.array([pair.consistent < 1 for pair in pairs])
    ours = np.array([has_number_mark(pair) for pair in pairs])
    raw = np.array([has_raw_number(pair) for pair in pairs])
    value = precision(ours, faulty)
    said = f"precision of the number flag, {ours.sum()} flagged {exact_interval(ours, faulty)}"
    peers = {
        f"raw string match ({raw.sum()} flagged)": round(precision(raw, faulty), 3),
        "base rate": round(float(faulty.mean()), 3),
    }
    text, met = ("", None) if goal is None else (f"{goal} or more", value >= goal)
    return [Row(case, said, "share", "higher", round(value, 3), peers, text, met)]


def _signal_rows(case: str, pairs: list[Pair], resamples: int) -> list[Row]:
    consistent = np.array([pair.consistent for pair in pairs])
    rows = []
    for name, signal in SIGNALS.items():
        values = np.array([signal(pair) for pair in pairs])
        for title, statistic, target in (
            ("AUC", auc, consistent == 1),
            ("Pearson", pearson, consistent),
        ):
            said = f"{title} of {name} {interval(statistic, values, target, resamples)}"
            figure = round(statistic(values, target), 3)
            rows.append(Row(case, said, title, "higher", figure))
    return rows


def _change_rows(name: str, texts: list[str]) -> list[Row]:
    """Return how many changed numbers are marked, beside what the raw match would mark."""
    sources = [(text, read_source(text)) for text in texts]
    changes: tuple[tuple[Change, Literal["lower", "higher"], str], ...] = (
        (altered, "higher", "another number of as many digits: marked"),
        (rewritten, "lower", "the same number written in another way: marked"),
    )
    rows = []
    for change, better, title in changes:
        random = np.random.default_rng(SEED)
        ours, raw = [], []
        for text, source in sources:
            for sentence in _changed(text, change, random):
                kinds = {mark.kind for mark in source.marks([sentence])[0]}
                ours.append(bool(kinds & {MarkKind.NUMBER, MarkKind.DATE}))
                raw.append(bool(_new_numbers(text, sentence)))
        case = f"{name}, {len(ours)} sentences with one number changed"
        peers = {"raw string match": round(float(np.mean(raw)), 3)}
        rows.append(Row(case, title, "share", better, round(float(np.mean(ours)), 3), peers))
    return rows


def _changed(text: str, change: Change, random: np.random.Generator) -> Iterator[str]:
    """Yield sentences of a text, each with one of its numbers changed."""
    sentences = [sentence_text(text, each) for each in split(text)]
    numbers = [match for each in sentences for match in written_numbers(each)]
    yield from islice(
        (
            match.string[: match.start()] + new + match.string[match.end() :]
            for match in (numbers[place] for place in random.permutation(len(numbers)))
            if (new := change(match, random))
        ),
        CHANGES_PER_TEXT,
    )


def written_numbers(sentence: str) -> list[re.Match[str]]:
    """Return the numbers in digits that stand by themselves, with their unit."""
    return list(_WRITTEN.finditer(sentence))


def altered(match: re.Match[str], random: np.random.Generator) -> str:
    """Return the matched number with other digits, as many, the first of them not zero."""
    digits = [
        str(random.integers(1 if place == 0 else 0, 10)) if c.isdigit() else c
        for place, c in enumerate(match["number"])
    ]
    new = "".join(digits)
    return "" if new in {match["number"], "1"} else new + match[0][len(match["number"]) :]


def rewritten(match: re.Match[str], _random: np.random.Generator) -> str:
    """Return the matched number in another form, empty where this knows none."""
    number, unit = match["number"], match["unit"]
    for long, short in (("percent", "%"), ("per cent", "%"), ("million", "m"), ("billion", "bn")):
        if unit == long:
            return f"{number}{short}"
        if unit == short:
            return f"{number} {long}"
    if unit is None and "," in number:
        return number.replace(",", "")
    if unit is None and number.isdigit() and 1 < int(number) < len(_WORDS):
        return _WORDS[int(number)]
    return ""


def precision(flagged: np.ndarray, faulty: np.ndarray) -> float:
    """Return the share of the flagged that are faulty; not a number where none is flagged."""
    return float(faulty[flagged].mean()) if flagged.any() else float("nan")


def auc(values: np.ndarray, positive: np.ndarray) -> float:
    """Return how often a positive has the higher value, ties by half (Mann and Whitney 1947)."""
    from scipy.stats import rankdata

    count = int(positive.sum())
    if count in {0, len(positive)}:
        return float("nan")
    ranks = float(rankdata(values)[positive].sum())
    return (ranks - count * (count + 1) / 2) / (count * (len(positive) - count))


def pearson(values: np.ndarray, target: np.ndarray) -> float:
    """Return Pearson's correlation; not a number where one of them is constant."""
    if np.ptp(values) == 0 or np.ptp(target) == 0:
        return float("nan")
    return float(np.corrcoef(values, target)[0, 1])


def exact_interval(flagged: np.ndarray, faulty: np.ndarray) -> str:
    """Return the exact 95 % interval of a precision (Clopper and Pearson 1934), as text.

    Resampling would be certain of a precision of 1, be it of one flagged or of a thousand.
    """
    from scipy.stats import binomtest

    if not flagged.any():
        return "[no interval]"
    found = binomtest(int(faulty[flagged].sum()), int(flagged.sum())).proportion_ci()
    return f"[{found.low:.2f}, {found.high:.2f}]"


def interval(statistic: Statistic, values: np.ndarray, target: np.ndarray, resamples: int) -> str:
    """Return the 95 % percentile interval of a statistic over resampled pairs, as text."""
    chosen = np.random.default_rng(SEED).integers(len(values), size=(resamples, len(values)))
    found = [statistic(values[rows], target[rows]) for rows in chosen]
    if np.isnan(found).all():
        return "[no interval]"
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return f"[{low:.2f}, {high:.2f}]"
