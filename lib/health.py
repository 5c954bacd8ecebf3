"""Whether everything Sightline needs is up: store, worker, engines, AWS."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from lib.alerts.outbox import undelivered
from lib.alerts.rules import alerts
from lib.aws import Aws, open_aws
from lib.canvas.model import CanvasError, plan_of
from lib.jobs import Jobs, Report, job
from lib.metrics.detectors import detectors
from lib.metrics.groups_store import counts_since
from lib.metrics.model import DetectorState
from lib.recommender.kept import kept_tables
from lib.search import open_search
from lib.search.files import IndexDamaged
from lib.search.model import SearchEngine, SearchRequest
from lib.settings import Settings, settings
from lib.store import Store, open_store, utc_now
from lib.summarize import open_summarizer
from lib.summarize.model import Length, LengthUnit, Summarizer, SummaryRequest, TextError
from lib.summarize.samples import SAMPLES
from lib.training.model import TrainingError
from lib.training.runs import profile_of, runs
from lib.training.verdict import judge

CLEAR_SEVERITY = 70
RECENT = timedelta(days=7)


class Status(StrEnum):
    """How a part of Sightline is."""

    READY = "Ready"
    OFF = "Not connected"
    FAILING = "Failing"


@dataclass(frozen=True)
class Health:
    """The state of one part, in a sentence, and the milliseconds its check took."""

    part: str
    status: Status
    sentence: str
    milliseconds: float


def check_store(store: Store) -> Health:
    """Return whether the store answers a query."""

    def query() -> tuple[Status, str]:
        try:
            with store.read() as session:
                session.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            return Status.FAILING, f"The database does not answer ({type(error).__name__})."
        return Status.READY, f"{store.description}."

    return _timed("Store", query)


def check_worker(jobs: Jobs) -> Health:
    """Return whether a worker is alive to run jobs."""

    def count() -> tuple[Status, str]:
        workers = jobs.workers()
        if not workers:
            return Status.FAILING, "No worker runs, so jobs wait. Start one: python -m lib.jobs"
        return Status.READY, f"{workers} worker{'s' if workers > 1 else ''} alive."

    return _timed("Worker", count)


def check_summarizer(summarizer: Summarizer) -> Health:
    """Return whether the summarizer summarizes the first sample text."""

    def summarize() -> tuple[Status, str]:
        request = SummaryRequest(SAMPLES[0].text, Length(LengthUnit.SENTENCES, 3))
        try:
            summary = summarizer.summarize(request)
        except TextError as error:
            return Status.FAILING, str(error)
        return Status.READY, f"{summary.engine}: {summary.source_words:,} words in."

    return _timed("Summarize", summarize)


def check_search(opened: Callable[[], SearchEngine]) -> Health:
    """Return whether the search engine opens and finds every document."""

    def count() -> tuple[Status, str]:
        try:
            total = opened().query(SearchRequest(page_size=0)).total
        except IndexDamaged as error:
            return Status.FAILING, str(error)
        if not total:
            return Status.READY, "No documents yet: the first visit of Search indexes them."
        return Status.READY, f"{total:,} documents open to everybody."

    return _timed("Search", count)


def check_detectors(store: Store) -> Health:
    """Return whether all detectors run, and what they have found of late."""

    def look() -> tuple[Status, str]:
        found = detectors(store)
        failed = [one for one in found if one.state is DetectorState.FAILED]
        if failed:
            return Status.FAILING, f"{failed[0].name} could not run: {failed[0].problem}"
        recent = counts_since(store, utc_now() - RECENT, CLEAR_SEVERITY)
        count = sum(recent.values())
        return Status.READY, (
            f"{len(found):,} detector{'' if len(found) == 1 else 's'}; {count:,} anomalies of "
            f"severity {CLEAR_SEVERITY} or more in 7 days."
        )

    return _timed("Anomalies", look)


def check_alerts(store: Store) -> Health:
    """Return whether the messages of alerts arrive."""

    def look() -> tuple[Status, str]:
        lost = undelivered(store)
        if lost:
            words = "message" if lost == 1 else "messages"
            return Status.FAILING, f"{lost:,} {words} did not arrive: see Deliveries under Alerts."
        count = len(alerts(store))
        return Status.READY, f"{count:,} alert{'' if count == 1 else 's'}; all messages arrived."

    return _timed("Alerts", look)


def check_recommender(now_settings: Settings) -> Health:
    """Return whether the kept tables of metrics can be read."""

    def look() -> tuple[Status, str]:
        try:
            count = len(kept_tables(now_settings))
        except (OSError, ValueError) as error:
            return Status.FAILING, f"A kept table cannot be read ({type(error).__name__})."
        return Status.READY, f"{count:,} table{'' if count == 1 else 's'} kept, and examples."

    return _timed("Recommender", look)


def check_canvas(now_settings: Settings, aws: Aws) -> Health:
    """Return whether a launch of Canvas is set up; asks AWS nothing."""

    def look() -> tuple[Status, str]:
        try:
            plan = plan_of(now_settings)
        except CanvasError as error:
            return Status.FAILING, str(error)
        if plan is None:
            return Status.OFF, "No domain is set; the assistant for single sign-on works."
        if not aws.configured:
            return Status.OFF, aws.to_set
        return Status.READY, f"Launches Canvas of {plan.domain}."

    return _timed("Canvas", look)


def check_training(now_settings: Settings) -> Health:
    """Return whether a recorded run can be read and judged."""

    def look() -> tuple[Status, str]:
        found = runs(now_settings)
        try:
            sample = next(one for one in found if one.is_sample)
            bound = judge(profile_of(now_settings, sample)).bound
        except (TrainingError, OSError) as error:
            return Status.FAILING, str(error)
        own = sum(not one.is_sample for one in found)
        return Status.READY, f"{own:,} run{'' if own == 1 else 's'} of yours; a sample: {bound}."

    return _timed("Training", look)


def check_aws(aws: Aws) -> Health:
    """Return whether AWS is usable; asks AWS itself who we are."""

    def ask() -> tuple[Status, str]:
        status = aws.status()
        if status.usable:
            return Status.READY, status.sentence
        return (Status.FAILING if aws.configured else Status.OFF), status.sentence

    return _timed("AWS", ask)


@job(max_attempts=2)
def check_everything(report: Report) -> dict[str, Any]:
    """Return the health of every part, checked by a worker and so through the queue itself."""
    checks: list[tuple[str, Callable[[], Health]]] = [
        ("Store", lambda: check_store(open_store(settings().store_url))),
        ("Summarize", lambda: check_summarizer(open_summarizer(settings()))),
        ("Search", lambda: check_search(lambda: open_search(settings()))),
        ("AWS", lambda: check_aws(open_aws(settings()))),
    ]
    results = [Health("Worker", Status.READY, "It took this job from the queue.", 0.0)]
    for done, (part, check) in enumerate(checks):
        report(done / len(checks), f"Checking {part}")
        results.append(check())
    return {"checks": [asdict(result) for result in results]}


def _timed(part: str, check: Callable[[], tuple[Status, str]]) -> Health:
    started = time.perf_counter()
    status, sentence = check()
    return Health(part, status, sentence, (time.perf_counter() - started) * 1000)
