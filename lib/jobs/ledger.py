"""The ledger of jobs: submit, find, cancel, and the recovery that loses none of them."""

from __future__ import annotations

import inspect
import json
import logging
import uuid
from collections.abc import Collection
from typing import Any

from sqlalchemy import case, select, update
from sqlalchemy.orm import Session

from lib.jobs.attempt import plain_text
from lib.jobs.huey_queue import Queue
from lib.jobs.model import Job, JobFunction, JobState, load
from lib.jobs.worker_locks import WorkerLocks
from lib.store import JobRow, Store, utc_now

log = logging.getLogger(__name__)
NAME_LENGTH = 200


class Jobs:
    """All jobs of a store. The store holds the truth; the queue only says that there is work."""

    def __init__(self, store: Store, queue: Queue, locks: WorkerLocks) -> None:
        self.store = store
        self.queue = queue
        self.locks = locks

    def submit(
        self, function: JobFunction[...], *, title: str, owner: str, **arguments: Any
    ) -> Job:
        """Return the job that will run a function with these arguments.

        Raises `TypeError` where the arguments do not fit the function or are not JSON,
        `ValueError` where they hold a number that JSON has not.
        """
        inspect.signature(function).bind(None, **arguments)
        json.dumps(arguments, allow_nan=False)
        now = utc_now()
        row = JobRow(
            id=uuid.uuid4().hex,
            function=function.name,
            title=plain_text(title)[:NAME_LENGTH],
            arguments=arguments,
            owner=plain_text(owner)[:NAME_LENGTH],
            state=JobState.QUEUED,
            max_attempts=function.max_attempts,
            created_at=now,
            queued_at=now,
        )
        with self.store.write() as session:
            session.add(row)
        try:
            self.queue.put(row.id)
        except self.queue.errors as error:
            # The job is safe in the store; recovery puts it on the queue when that is back.
            log.warning("job %s waits for the queue: %s", row.id, type(error).__name__)
        return Job.from_row(row)

    def find(self, job_id: str) -> Job | None:
        """Return the job with an id, or None."""
        with self.store.read() as session:
            row = session.get(JobRow, job_id)
            return None if row is None else Job.from_row(row)

    def recent(self, limit: int = 20, owner: str | None = None) -> tuple[Job, ...]:
        """Return the newest jobs, of one owner or of all, newest first."""
        query = select(JobRow).order_by(JobRow.created_at.desc(), JobRow.id).limit(limit)
        if owner is not None:
            query = query.where(JobRow.owner == owner)
        with self.store.read() as session:
            return tuple(map(Job.from_row, session.scalars(query)))

    def latest(self, title: str) -> Job | None:
        """Return the newest job with a title, or None."""
        query = (
            select(JobRow)
            .where(JobRow.title == plain_text(title)[:NAME_LENGTH])
            .order_by(JobRow.created_at.desc(), JobRow.id)
            .limit(1)
        )
        with self.store.read() as session:
            row = session.scalars(query).first()
            return None if row is None else Job.from_row(row)

    def cancel(self, job_id: str) -> Job:
        """Return the job, cancelled if it was queued, asked to stop at its next report if it runs.

        A finished job stays as it is. Raises `LookupError` where there is no such job.
        """
        queued = JobRow.state == JobState.QUEUED
        # One statement: a job that changes hands at this moment cannot slip past it.
        cancellation = (
            update(JobRow)
            .where(JobRow.id == job_id, JobRow.state.in_((JobState.QUEUED, JobState.RUNNING)))
            .values(
                cancel_requested=True,
                state=case((queued, JobState.CANCELLED), else_=JobRow.state),
                finished_at=case((queued, utc_now()), else_=None),
            )
        )
        with self.store.write() as session:
            session.execute(cancellation)
        return self._existing(job_id)

    def retry(self, job_id: str) -> Job:
        """Return a new job that does the same as a finished one.

        Raises `LookupError` where there is no such job, `ValueError` where it has not finished.
        """
        old = self._existing(job_id)
        if not old.finished:
            raise ValueError("The job has not finished yet. Cancel it before you start it again.")
        with self.store.read() as session:
            arguments = session.get_one(JobRow, job_id).arguments
        return self.submit(load(old.function), title=old.title, owner=old.owner, **arguments)

    def workers(self) -> int:
        """Return the number of worker processes that live."""
        return self.locks.count()

    def recover(self, *, worker: str = "", active: Collection[str] = ()) -> int:
        """Return how many stranded jobs were put back, ended or put on the queue again.

        Stranded are running jobs whose worker has died, and queued jobs that the queue has lost.
        A worker that calls this gives its id and the ids of the jobs it is working on.
        """
        running = self._in_state(JobState.RUNNING)
        dead = {
            name
            for name in {job_worker for _, _, job_worker in running} - {worker}
            if not self.locks.is_held(name)
        }
        stranded = {
            job_id
            for job_id, attempt, job_worker in running
            if (job_worker in dead or (job_worker == worker and job_id not in active))
            and self._take_from_worker(job_id, attempt)
        }
        return len(stranded | self._put_back_on_queue())

    def forgive_attempts(self, worker: str) -> int:
        """Return how many jobs run in a worker that is stopped; these attempts do not count."""
        forgiven = (
            update(JobRow)
            .where(JobRow.worker == worker, JobRow.state == JobState.RUNNING)
            .values(max_attempts=JobRow.max_attempts + 1)
            .returning(JobRow.id)
        )
        with self.store.write() as session:
            return len(session.scalars(forgiven).all())

    def _existing(self, job_id: str) -> Job:
        found = self.find(job_id)
        if found is None:
            raise LookupError(f"There is no job {job_id}.")
        return found

    def _in_state(self, state: JobState) -> list[tuple[str, int, str]]:
        query = (
            select(JobRow.id, JobRow.attempt, JobRow.worker)
            .where(JobRow.state == state)
            .order_by(JobRow.created_at)
        )
        with self.store.read() as session:
            return [
                (job_id, attempt, worker or "")
                for job_id, attempt, worker in session.execute(query)
            ]

    def _take_from_worker(self, job_id: str, attempt: int) -> bool:
        with self.store.write() as session:
            row = _locked(session, job_id)
            if row.state != JobState.RUNNING or row.attempt != attempt:
                return False
            if row.attempt < row.max_attempts and not row.cancel_requested:
                row.state = JobState.QUEUED
                row.worker, row.started_at, row.step, row.progress = None, None, "", 0.0
                row.queued_at = utc_now()
            else:
                row.state = JobState.CANCELLED if row.cancel_requested else JobState.FAILED
                row.error = "" if row.cancel_requested else _stopped_sentence(row.step)
                row.finished_at = utc_now()
            log.warning("job %s %s: its worker stopped", row.id, row.state)
        return True

    def _put_back_on_queue(self) -> set[str]:
        queued = self._in_state(JobState.QUEUED)
        # The order matters: what leaves the queue after this line was queued before it.
        on_queue = self.queue.waiting() if queued else frozenset()
        lost = [job_id for job_id, _, _ in queued if job_id not in on_queue]
        for job_id in lost:
            self.queue.put(job_id)
        return set(lost)


def _locked(session: Session, job_id: str) -> JobRow:
    return session.get_one(JobRow, job_id, with_for_update=True)


def _stopped_sentence(step: str) -> str:
    where = f" (step: {step})" if step else ""
    return f"The worker stopped while the job was running{where}. Start it again."
