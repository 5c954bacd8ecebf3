"""Engines compared over the texts of a file: a folder of its own, filled by a background job.

    batch.json      name, owner, candidates, when
    items.jsonl     the texts and references, one a line
    results.jsonl   what every candidate made of a text, one line a text, written as it is done
    job             the id of the job that runs or ran last

The folder is all there is of a batch: deleting it deletes the texts.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd

from lib.aws import AwsError, open_aws
from lib.jobs import Job, JobError, Jobs, Report, job
from lib.settings import Settings, settings
from lib.summarize.batch_files import Item
from lib.summarize.comparison import METRICS, Candidate, Failure, Result, Scores, compare
from lib.summarize.engines import Engines
from lib.summarize.model import GenerationError, Summarizer
from lib.summarize.model_folder import ModelError

REPORT_S = 0.3
ABOUT, ITEMS, RESULTS, JOB, LOCK = "batch.json", "items.jsonl", "results.jsonl", "job", "lock"


@dataclass(frozen=True)
class Batch:
    """A batch as it is kept: who brought which file, and what runs over its texts."""

    folder: Path
    name: str
    owner: str
    candidates: tuple[Candidate, ...]
    texts: int
    created_at: datetime


@dataclass(frozen=True)
class Outcome:
    """What a candidate made of a text: summary and scores, or the reason why there are none."""

    summary: str = ""
    scores: Scores | None = None
    reason: str = ""


@dataclass(frozen=True)
class Done:
    """A text that is done, by its number in the file, with the outcome of each candidate."""

    item: int
    outcomes: tuple[Outcome, ...]

    @property
    def scores(self) -> tuple[Scores, ...]:
        """Return the scores by candidate, {} for a failure."""
        return tuple(outcome.scores or {} for outcome in self.outcomes)


def batches_folder(settings: Settings) -> Path:
    """Return the folder of all batches."""
    return settings.data_dir / "batches"


def create_batch(
    root: Path, *, name: str, owner: str, items: Sequence[Item], candidates: Sequence[Candidate]
) -> Batch:
    """Return a new batch, its texts on disk; raises `ValueError` where there is nothing to do."""
    if not items or not candidates:
        raise ValueError("A batch needs a text and an engine.")
    folder = root / uuid.uuid4().hex
    folder.mkdir(parents=True, mode=0o700)
    with (folder / ITEMS).open("w", encoding="utf-8") as lines:
        lines.writelines(f"{json.dumps(asdict(item))}\n" for item in items)
    about = {
        "name": name,
        "owner": owner,
        "candidates": [candidate.to_json() for candidate in candidates],
        "texts": len(items),
        "created_at": datetime.now(UTC).isoformat(),
    }
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")  # last: now it is a batch
    return open_batch(folder)


def open_batch(folder: Path) -> Batch:
    """Return the batch of a folder; raises `LookupError` where there is none."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LookupError("This batch was deleted.") from None
    return Batch(
        folder,
        about["name"],
        about["owner"],
        tuple(map(Candidate.from_json, about["candidates"])),
        about["texts"],
        datetime.fromisoformat(about["created_at"]),
    )


def list_batches(root: Path, owner: str) -> tuple[Batch, ...]:
    """Return the batches of an owner, newest first."""
    found = (open_batch(about.parent) for about in root.glob(f"*/{ABOUT}"))
    own = (batch for batch in found if batch.owner == owner)
    return tuple(sorted(own, key=lambda batch: batch.created_at, reverse=True))


def read_items(batch: Batch) -> tuple[Item, ...]:
    """Return the texts of a batch in the order of the file."""
    with (batch.folder / ITEMS).open(encoding="utf-8") as lines:
        values = [json.loads(line) for line in lines]
    return tuple(Item(each["id"], each["text"], tuple(each["references"])) for each in values)


def read_done(batch: Batch) -> tuple[Done, ...]:
    """Return the texts that are done so far, in the order of the file."""
    return tuple(_done(batch.folder / RESULTS))


# ------------------------------------------------------------------------------------------- job


def start_batch(jobs: Jobs, batch: Batch) -> Job:
    """Return the job that does what is left of a batch, just submitted."""
    title = f"Summarize {batch.name}"
    submitted = jobs.submit(
        summarize_batch, title=title, owner=batch.owner, folder=str(batch.folder)
    )
    (batch.folder / JOB).write_text(submitted.id, encoding="utf-8")
    return submitted


def job_of(jobs: Jobs, batch: Batch) -> Job | None:
    """Return the job that runs or ran last for a batch."""
    path = batch.folder / JOB
    return jobs.find(path.read_text(encoding="utf-8")) if path.exists() else None


def delete_batch(jobs: Jobs, batch: Batch) -> None:
    """Delete a batch with its texts and results; a job that runs is cancelled."""
    running = job_of(jobs, batch)
    if running is not None and not running.finished:
        jobs.cancel(running.id)
    shutil.rmtree(batch.folder, ignore_errors=True)


@job(max_attempts=3)
def summarize_batch(report: Report, folder: str) -> dict[str, Any]:
    """Summarize the texts of a batch that are not done yet, and return counts.

    Every text that is done stays done: stopped or killed, the next attempt goes on behind it.
    """
    try:
        batch = open_batch(Path(folder))
        with _alone(batch.folder):
            return _summarize(report, batch, _opened(batch))
    except (LookupError, AwsError, ModelError, GenerationError) as error:
        raise JobError(f"{error} What is done is kept: resume when that is mended.") from error
    except FileNotFoundError:
        raise JobError("This batch was deleted while it ran.") from None
    except OSError as error:
        raise JobError(f"The results cannot be written: {error.strerror}. Make room.") from error


def _opened(batch: Batch) -> list[tuple[Candidate, Summarizer]]:
    engines = Engines(settings(), open_aws(settings()))
    return [(each, engines.open(each.engine, each.writing)) for each in batch.candidates]


def _summarize(
    report: Report, batch: Batch, entries: Sequence[tuple[Candidate, Summarizer]]
) -> dict[str, Any]:
    items = read_items(batch)
    path = batch.folder / RESULTS
    _cut_torn_line(path)
    done = {each.item for each in _done(path)}
    pace = _Pace(report, len(items), len(done))
    with path.open("a", encoding="utf-8") as results:
        for number, item in enumerate(items):
            if number in done:
                continue
            made = compare(
                item.text,
                item.references,
                entries,
                report=pace.within_a_text,
                cancelled=pace.never_or_raise,
            )
            outcomes = [asdict(_outcome(each)) for each in made]
            results.write(f"{json.dumps({'item': number, 'outcomes': outcomes})}\n")
            results.flush()
            pace.text_done()
    return {"texts": len(items), "done_before": len(done)}


@dataclass
class _Pace:
    """Reports how far a batch is, a few times a second: texts may be done within milliseconds."""

    report: Report
    texts: int
    done: int
    step: str = ""
    within: float = 0.0
    told_at: float = float("-inf")

    def within_a_text(self, fraction: float, step: str) -> None:
        self.within, self.step = fraction, step
        self._tell()

    def text_done(self) -> None:
        self.done, self.within = self.done + 1, 0.0
        self._tell()

    def never_or_raise(self) -> bool:
        """Return False; a job that was cancelled ends by what its report raises."""
        self._tell()
        return False

    def _tell(self) -> None:
        if (now := monotonic()) - self.told_at < REPORT_S:
            return
        self.told_at = now
        step = f"Text {min(self.done + 1, self.texts):,} of {self.texts:,}: {self.step}"
        self.report((self.done + self.within) / self.texts, step)


def _outcome(made: Result | Failure) -> Outcome:
    if isinstance(made, Failure):
        return Outcome(reason=made.reason)
    return Outcome(made.summary.text, made.scores)


def _done(path: Path) -> Iterator[Done]:
    """Yield what the whole lines say; one that is being written has no end yet."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                found = json.loads(line)
                yield Done(found["item"], tuple(Outcome(**each) for each in found["outcomes"]))


def _cut_torn_line(path: Path) -> None:
    """Cut off the beginning of a line that a killed worker left."""
    if path.exists():
        written = path.read_bytes()
        with path.open("rb+") as file:
            file.truncate(written.rfind(b"\n") + 1)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the batch's lock, which the system frees when the worker dies; raises `JobError`."""
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobError("Another job is at work on this batch: wait for it.") from None
        yield


# ---------------------------------------------------------------------------------------- tables


def results_table(
    items: Sequence[Item], done: Sequence[Done], labels: Sequence[str]
) -> pd.DataFrame:
    """Return a row for each text and candidate: id, engine, scores, summary, and any failure."""
    rows = [
        {
            "id": items[each.item].id,
            "engine": label,
            **(outcome.scores or {}),
            "summary": outcome.summary,
            "failure": outcome.reason,
        }
        for each in sorted(done, key=lambda each: each.item)
        for label, outcome in zip(labels, each.outcomes, strict=True)
    ]
    columns = ["id", "engine", *(metric.key for metric in METRICS), "summary", "failure"]
    return pd.DataFrame(rows, columns=columns)
