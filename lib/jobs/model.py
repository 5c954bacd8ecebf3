"""What a job is: its states, its record, and the functions that may run as one."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self

from lib.store import JobRow

Arguments = ParamSpec("Arguments")


class JobState(StrEnum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Job:
    """One piece of background work as it stood when it was read."""

    id: str
    function: str
    title: str
    owner: str
    state: JobState
    step: str
    progress: float
    result: dict[str, Any] | None
    error: str
    attempt: int
    max_attempts: int
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def finished(self) -> bool:
        """Tell whether the state is final."""
        return self.state in {JobState.DONE, JobState.FAILED, JobState.CANCELLED}

    @classmethod
    def from_row(cls, row: JobRow) -> Self:
        """Return the job that a row of the store holds."""
        return cls(
            id=row.id,
            function=row.function,
            title=row.title,
            owner=row.owner,
            state=JobState(row.state),
            step=row.step,
            progress=row.progress,
            result=row.result,
            error=row.error,
            attempt=row.attempt,
            max_attempts=row.max_attempts,
            cancel_requested=row.cancel_requested,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )


class JobError(Exception):
    """A failure whose sentence is meant for the person who started the job."""


class Cancelled(BaseException):
    """Ends a job that was cancelled or taken over; not an `Exception`, so no job swallows it."""


class TakenOver(Cancelled):
    """Ends an attempt whose job another attempt has: what it made is the other's to use."""


class Report(Protocol):
    """How a running job tells how far it is."""

    def __call__(self, fraction: float, step: str) -> None:
        """Record the fraction done (0 to 1) and the name of the step.

        Raises `Cancelled` when the job was cancelled or no longer belongs to this attempt.
        """


class JobFunction(Generic[Arguments]):
    """A module-level function that workers may run; calling it runs it here and now."""

    def __init__(
        self,
        function: Callable[Concatenate[Report, Arguments], dict[str, Any]],
        max_attempts: int,
    ) -> None:
        update_wrapper(self, function)
        self.name = f"{function.__module__}:{function.__qualname__}"
        self.max_attempts = max_attempts
        self._function = function

    def __call__(
        self, report: Report, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> dict[str, Any]:
        """Return the function's result."""
        return self._function(report, *args, **kwargs)


def job(
    max_attempts: int = 1,
) -> Callable[[Callable[Concatenate[Report, Arguments], dict[str, Any]]], JobFunction[Arguments]]:
    """Return a decorator that lets workers run a module-level function.

    Arguments and result are JSON. An attempt counts when its worker dies in it; an exception ends
    the job at once, and a worker that is stopped in good order puts the job back without counting.
    """

    def mark(
        function: Callable[Concatenate[Report, Arguments], dict[str, Any]],
    ) -> JobFunction[Arguments]:
        if "." in function.__qualname__:
            raise ValueError(f"{function.__qualname__} has to stand at module level to be a job.")
        return JobFunction(function, max_attempts)

    return mark


def load(name: str) -> JobFunction[...]:
    """Return the job function with a dotted name such as `lib.summarize.tasks:build`.

    Raises `JobError` where the name belongs to nothing that `job` has marked.
    """
    module, _, attribute = name.partition(":")
    found = getattr(importlib.import_module(module), attribute, None)
    if not isinstance(found, JobFunction):
        raise JobError(
            f"This worker knows no job function {name}. Restart the workers, so that they run "
            "the same version as the web server, and start the job again."
        )
    return found
