"""One attempt at a job. All it writes is fenced: it lands only while the job is still its own."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Update, update

from lib.jobs.model import Cancelled, Job, JobState, TakenOver
from lib.store import JobRow, Store, utc_now

REPORT_INTERVAL_S = 0.5
STEP_LENGTH = 200


@dataclass(frozen=True)
class Attempt:
    """A job that a worker has claimed, with its arguments."""

    store: Store = field(repr=False)
    job: Job
    arguments: dict[str, Any] = field(repr=False)

    def record_progress(self, fraction: float, step: str) -> None:
        """Write progress (0 to 1) and step.

        Raises `Cancelled` when the job was cancelled or no longer belongs to this attempt.
        """
        progress = _fenced(self).values(progress=min(1.0, max(0.0, fraction)), step=step)
        with self.store.write() as session:
            cancel = session.scalar(progress.returning(JobRow.cancel_requested))
        if cancel is None:
            raise TakenOver("The job has gone to another attempt.")
        if cancel:
            raise Cancelled("The job was cancelled.")

    def finish(
        self, state: JobState, *, result: dict[str, Any] | None = None, error: str = ""
    ) -> bool:
        """Write the final state; tell whether the job was still this attempt's to finish."""
        end = _fenced(self).values(
            state=state, result=result, error=plain_text(error), finished_at=utc_now()
        )
        if state is JobState.DONE:
            end = end.values(progress=1.0)
        with self.store.write() as session:
            return session.scalar(end.returning(JobRow.id)) is not None


def claim(store: Store, job_id: str, worker: str) -> Attempt | None:
    """Return an attempt at a queued job, or None where the job is not queued any more."""
    take = (
        update(JobRow)
        .where(JobRow.id == job_id, JobRow.state == JobState.QUEUED)
        .values(
            state=JobState.RUNNING,
            worker=worker,
            attempt=JobRow.attempt + 1,
            progress=0.0,
            step="",
            started_at=utc_now(),
        )
        .returning(JobRow)
    )
    with store.write() as session:
        row = session.scalar(take)
    return None if row is None else Attempt(store, Job.from_row(row), row.arguments)


class ThrottledReport:
    """The report of a running attempt: writes each new step, and progress twice a second."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._step = ""
        self._written_at = -REPORT_INTERVAL_S

    def __call__(self, fraction: float, step: str) -> None:
        """Record progress (0 to 1) and step; raises `Cancelled` when the job has to end."""
        now = time.monotonic()
        step = plain_text(step)[:STEP_LENGTH]
        if step != self._step or now - self._written_at >= REPORT_INTERVAL_S:
            self._attempt.record_progress(fraction, step)
            self._step, self._written_at = step, now


def plain_text(text: str) -> str:
    """Return a text that every database takes: no NUL, no lone surrogates."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _fenced(attempt: Attempt) -> Update:
    return update(JobRow).where(
        JobRow.id == attempt.job.id,
        JobRow.attempt == attempt.job.attempt,
        JobRow.state == JobState.RUNNING,
    )
