"""A worker: takes job ids from the queue, claims the jobs and runs them in threads."""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import time
import uuid
from importlib import import_module
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from lib.jobs.attempt import Attempt, ThrottledReport, claim
from lib.jobs.ledger import Jobs
from lib.jobs.model import Cancelled, JobError, JobState, load

log = logging.getLogger(__name__)
RECOVERY_INTERVAL_S = 3.0
DUE_INTERVAL_S = 15.0
# What looks for work that has become due and submits it, by name: no job knows the domains.
DUE = ("lib.metrics.evaluation:submit_due", "lib.alerts.outbox:submit_due")
GRACE_S = 3.0  # honcho kills what still lives five seconds after its SIGTERM


class Worker:
    """The worker of this process."""

    def __init__(self, jobs: Jobs) -> None:
        self.id = uuid.uuid4().hex
        self._jobs = jobs
        # A list, not a set: the queue may give the same id to two threads, one of them in vain.
        self._active: list[str] = []

    def run(self, job_id: str) -> None:
        """Run a job, if it is still queued, and write down how it ended."""
        self._active.append(job_id)
        try:
            attempt = claim(self._jobs.store, job_id, self.id)
            if attempt is not None:
                _carry_out(attempt)
        finally:
            self._active.remove(job_id)

    def serve(self, threads: int) -> int:
        """Work until SIGTERM or SIGINT; return the exit code of the process."""
        stop: queue.SimpleQueue[int] = queue.SimpleQueue()  # an Event is not safe in a handler
        self._jobs.locks.hold(self.id)
        consumer = self._jobs.queue.consumer(self.run, threads=threads, grace_s=GRACE_S)
        consumer.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: stop.put(number))
        log.info("worker %s started, %d jobs at a time", self.id, threads)
        looked = -DUE_INTERVAL_S
        while self._jobs.locks.still_held():
            self._recover()
            if time.monotonic() - looked >= DUE_INTERVAL_S:
                looked = time.monotonic()
                self._submit_due()
            consumer.check_worker_health()
            try:
                stop.get(timeout=RECOVERY_INTERVAL_S)
            except queue.Empty:
                continue
            consumer.stop(graceful=True)
            log.info(
                "worker %s stopped, %d jobs put back", self.id, self._jobs.forgive_attempts(self.id)
            )
            return os.EX_OK
        log.error("worker %s has lost its lock, so its jobs may go to others", self.id)
        return os.EX_TEMPFAIL

    def _recover(self) -> None:
        away: tuple[type[Exception], ...] = (SQLAlchemyError, *self._jobs.queue.errors)
        try:
            self._jobs.recover(worker=self.id, active=self._active)
        except away as error:
            log.warning("recovery waits for its database: %s", type(error).__name__)

    def _submit_due(self) -> None:
        for name in DUE:
            module, _, function = name.partition(":")
            try:
                getattr(import_module(module), function)(self._jobs)
            except SQLAlchemyError as error:
                log.warning("work that is due waits for its database: %s", type(error).__name__)


def _carry_out(attempt: Attempt) -> None:
    job = attempt.job
    log.info(
        "job %s started: %s, attempt %d of %d", job.id, job.function, job.attempt, job.max_attempts
    )
    started = time.monotonic()
    state, result, error = _outcome(attempt)
    landed = attempt.finish(state, result=result, error=error)
    log.info(
        "job %s %s: %s, %.1f s",
        job.id,
        state if landed else "given up to another attempt",
        job.function,
        time.monotonic() - started,
    )


def _outcome(attempt: Attempt) -> tuple[JobState, dict[str, Any] | None, str]:
    try:
        result = load(attempt.job.function)(ThrottledReport(attempt), **attempt.arguments)
        json.dumps(result, allow_nan=False)
    except Cancelled:
        return JobState.CANCELLED, None, ""
    except JobError as error:
        return JobState.FAILED, None, str(error)
    except Exception:  # the one place where anything that a job may raise has to end
        error_id = uuid.uuid4().hex[:8]
        log.exception("job %s met an unexpected error, id %s", attempt.job.id, error_id)
        return (
            JobState.FAILED,
            None,
            (f"The job stopped on an unexpected error. The worker's log has it under {error_id}."),
        )
    return JobState.DONE, result, ""
