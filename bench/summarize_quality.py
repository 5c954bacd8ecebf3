"""ROUGE of the summaries against lead, sumy's engines and the greedy oracle.

Every method chooses among the same sentences. The sets are the development sets on which the
weights of the recipe were chosen, so the figures flatter it; other parts are kept back for a blind
score. DialogSum has three references a dialogue: the best one counts for each metric.
That dialogues are split inside a speaker's turn was decided with the score of DialogSum in view.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.result import Row
from lib.summarize.extractive import ExtractiveSummarizer
from lib.summarize.model import Length, LengthUnit, SummaryRequest
from lib.summarize.sentences import sentence_text, split
from lib.summarize.terms import words_of

DATA = Path(
    os.environ.get("SIGHTLINE_BENCH_DATA")
    or Path(__file__).resolve().parents[2] / "shared" / "data"
)
METRICS = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeLsum": "ROUGE-Lsum"}
RESAMPLES = 5_000
SEED = 20_240_501
QUICK_DOCUMENTS = 8
LEAD = "lead"
ORACLE = "oracle"

Method = Callable[[str, list[str], int], list[int]]


@dataclass(frozen=True)
class Corpus:
    """One set of documents, the sentences a summary has there, and the peers it must not lose to.

    Where `beats_lead_only` is set the goal is the lead alone: on news it is the peer to beat.
    """

    name: str
    file: str
    sentences: int
    beats_lead_only: bool = False


CORPORA = (
    Corpus("news (CNN/DM, REALSumm)", "cnndm_realsumm.jsonl", 3, beats_lead_only=True),
    Corpus("earnings calls (ECTSum)", "ectsum_test_dev.jsonl", 4),
    Corpus("dialogues (DialogSum)", "dialogsum_test_dev.jsonl", 2),
    Corpus("abstracts (SciTLDR-A)", "scitldr_a_test_dev.jsonl", 1),
)


@dataclass(frozen=True)
class Interval:
    """A mean difference and its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Tell whether the difference is significant at the 5 % level."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        said = "significant" if self.excludes_zero else "no significant difference"
        return f"{self.mean:+.1f} [{self.low:+.1f}, {self.high:+.1f}] {said}"


def run(quick: bool) -> list[Row]:  # noqa: FBT001  # the interface of every benchmark
    """Return the ROUGE of every method on every set; no rows where the data is absent."""
    folder = DATA / "summarize"
    if not folder.is_dir():
        print("Skipped: no evaluation texts here. Set SIGHTLINE_BENCH_DATA to their folder.")
        return []
    print(f"Development sets; the recipe's weights were chosen on them. {RESAMPLES:,} resamples.")
    rows = []
    for corpus in CORPORA:
        documents = read_documents(folder / corpus.file)
        rows += _rows(corpus, documents[:QUICK_DOCUMENTS] if quick else documents)
    return rows


def read_documents(path: Path) -> list[dict[str, Any]]:
    """Return the documents of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def _rows(corpus: Corpus, documents: list[dict[str, Any]]) -> list[Row]:
    scores = {name: _scores(method, corpus, documents) for name, method in METHODS.items()}
    ours = scores.pop("ours")
    case = f"{corpus.name}, {len(documents)} texts, k = {corpus.sentences}"
    rows = [
        Row(
            case,
            title,
            "F1 x 100",
            "higher",
            round(float(ours[:, column].mean()), 2),
            {name: round(float(score[:, column].mean()), 2) for name, score in scores.items()},
        )
        for column, title in enumerate(METRICS.values())
    ]
    peers = {name: score[:, 0] for name, score in scores.items() if name != ORACLE}
    return rows + _differences(case, corpus, ours[:, 0], peers)


def _differences(
    case: str, corpus: Corpus, ours: np.ndarray, peers: dict[str, np.ndarray]
) -> list[Row]:
    """Return our ROUGE-1 minus each peer's, the goal on the strongest (on news: on the lead)."""
    strongest = max(peers, key=lambda name: float(peers[name].mean()))
    judged = LEAD if corpus.beats_lead_only else strongest
    rows = []
    for name, theirs in peers.items():
        interval = paired_bootstrap(ours - theirs)
        goal, met = "", None
        if name == judged:
            goal = "no worse than lead" if corpus.beats_lead_only else "at or above the best peer"
            met = interval.high >= 0 if corpus.beats_lead_only else interval.mean >= 0
        metric = f"ROUGE-1 minus {name}: {interval}"
        rows.append(Row(case, metric, "points", "higher", round(interval.mean, 2), {}, goal, met))
    return rows


def paired_bootstrap(differences: np.ndarray) -> Interval:
    """Return the mean of paired differences and the percentile interval of resampled means."""
    chosen = np.random.default_rng(SEED).integers(
        len(differences), size=(RESAMPLES, len(differences))
    )
    low, high = np.percentile(differences[chosen].mean(axis=1), [2.5, 97.5])
    return Interval(float(differences.mean()), float(low), float(high))


def _scores(method: Method, corpus: Corpus, documents: list[dict[str, Any]]) -> np.ndarray:
    """Return ROUGE-1, -2 and -Lsum (F1 x 100), one row a document."""
    scorer = _scorer()
    scores = []
    for document in documents:
        text = document["article"]
        sentences = [sentence_text(text, each) for each in split(text)]
        references = document["refs"] or [document["summary"]]
        picked = _choose(method, text, sentences, corpus.sentences, references)
        summary = "\n".join(sentences[number] for number in sorted(picked))
        best = scorer.score_multi([_by_line(reference) for reference in references], summary)
        scores.append([100 * best[metric].fmeasure for metric in METRICS])
    return np.array(scores)


def _choose(
    method: Method, text: str, sentences: list[str], count: int, references: list[str]
) -> list[int]:
    if method is greedy_oracle:
        return greedy_oracle("\n".join(references), sentences, count)
    return method(text, sentences, count)


def _by_line(reference: str) -> str:
    """Return a reference with one sentence a line, as ROUGE-Lsum reads it."""
    return "\n".join(sentence_text(reference, each) for each in split(reference))


def _scorer(metrics: Sequence[str] = tuple(METRICS)) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(metrics), use_stemmer=True)


def key_sentences(text: str, sentences: list[str], count: int) -> list[int]:
    """Return the sentences that this product's engine picks."""
    request = SummaryRequest(text, Length(LengthUnit.SENTENCES, count))
    picked = ExtractiveSummarizer().summarize(request).sentences
    numbers = [each.support[0].sentence for each in picked]
    assert [each.text for each in picked] == [sentences[number] for number in numbers]
    return numbers


def lead(_text: str, sentences: list[str], count: int) -> list[int]:
    """Return the first sentences."""
    return list(range(min(count, len(sentences))))


def greedy_oracle(references: str, sentences: list[str], count: int) -> list[int]:
    """Return the sentences that, added one by one, most raise ROUGE-1 F1 on the references."""
    scorer = _scorer(["rouge1"])
    picked: list[int] = []
    for _ in range(min(count, len(sentences))):
        left = [number for number in range(len(sentences)) if number not in picked]
        summaries = {
            number: " ".join(sentences[each] for each in [*picked, number]) for number in left
        }
        picked.append(max(left, key=lambda number: _overlap(scorer, references, summaries[number])))
    return picked


def _overlap(scorer: Any, references: str, summary: str) -> float:
    return float(scorer.score(references, summary)["rouge1"].fmeasure)


def sumy(engine: str) -> Method:
    """Return one of sumy's engines as a method, with the English stemmer and stop words."""

    def method(_text: str, sentences: list[str], count: int) -> list[int]:
        document = sumy_document(sentences)
        with warnings.catch_warnings(action="ignore"):  # LSA, of texts of few words
            chosen = sumy_engine(engine)(document, count)
        place = {id(sentence): number for number, sentence in enumerate(document.sentences)}
        return [place[id(sentence)] for sentence in chosen]

    return method


def sumy_document(sentences: Sequence[str]) -> Any:
    """Return sumy's document of these sentences, split into words as ours are."""
    from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence

    class Words:
        """The tokenizer that sumy asks for words."""

        def to_words(self, sentence: str) -> tuple[str, ...]:
            """Return the words."""
            return tuple(words_of(sentence))

    words = Words()
    return ObjectDocumentModel([Paragraph([Sentence(each, words) for each in sentences])])


def sumy_engine(engine: str) -> Any:
    """Return an engine of sumy by its name, ready to be called."""
    import stopwordsiso
    from sumy.nlp.stemmers import Stemmer
    from sumy.summarizers.lex_rank import LexRankSummarizer
    from sumy.summarizers.lsa import LsaSummarizer
    from sumy.summarizers.luhn import LuhnSummarizer
    from sumy.summarizers.text_rank import TextRankSummarizer

    engines = {
        "TextRank": TextRankSummarizer,
        "LexRank": LexRankSummarizer,
        "LSA": LsaSummarizer,
        "Luhn": LuhnSummarizer,
    }
    summarizer = engines[engine](Stemmer("english"))
    summarizer.stop_words = stopwordsiso.stopwords("en")
    return summarizer


METHODS: dict[str, Method] = {
    "ours": key_sentences,
    LEAD: lead,
    "sumy TextRank": sumy("TextRank"),
    "sumy LexRank": sumy("LexRank"),
    "sumy LSA": sumy("LSA"),
    "sumy Luhn": sumy("Luhn"),
    ORACLE: greedy_oracle,
}
