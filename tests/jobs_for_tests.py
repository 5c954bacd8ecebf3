"""Job functions that the worker processes of the tests run; imported there as `jobs_for_tests`."""

import fcntl
import os
import threading
from pathlib import Path
from typing import Any

from lib.jobs import JobError, Report, job


def not_a_job(report: Report) -> dict[str, Any]:
    report(1, "This must never run")
    return {}


@job()
def add(report: Report, a: int, b: int) -> dict[str, Any]:
    report(0.5, "Adding")
    return {"sum": a + b}


@job()
def refuse(report: Report) -> dict[str, Any]:
    report(0.5, "Looking")
    raise JobError("The document has no sentences. Choose another one.")


@job()
def crash(report: Report, secret: str) -> dict[str, Any]:
    report(0.5, f"Reading {len(secret)} characters")
    raise KeyError(len(secret))


@job()
def answer_with_nan(report: Report) -> dict[str, Any]:
    report(0.5, "Dividing")
    return {"ratio": float("nan")}


@job()
def leave(report: Report) -> dict[str, Any]:
    report(0.5, "Leaving")
    raise SystemExit


@job()
def wait(report: Report, go: str) -> dict[str, Any]:
    """Report until the file `go` exists."""
    return _wait(report, Path(go))


@job(max_attempts=3)
def wait_up_to_three_times(report: Report, go: str) -> dict[str, Any]:
    return _wait(report, Path(go))


@job()
def hold_still(report: Report, go: str) -> dict[str, Any]:
    """Wait for the file `go` without another report."""
    report(0.1, "Holding still")
    while not Path(go).exists():
        threading.Event().wait(0.02)
    return {}


@job(max_attempts=2)
def run_alone(report: Report, folder: str, name: str) -> dict[str, Any]:
    """Write down each start and end, and any other run of the same job at the same time."""
    with Path(folder, f"{name}.running").open("a") as running:
        try:
            fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _append(folder, f"{name} overlap")
        _append(folder, f"{name} start")
        _wait(report, Path(folder, "go"))
        _append(folder, f"{name} end")
    return {"name": name}


def _wait(report: Report, go: Path) -> dict[str, Any]:
    while not go.exists():
        report(0.25, "Waiting for go")
        threading.Event().wait(0.02)
    return {"went": True}


def _append(folder: str, line: str) -> None:
    log = os.open(Path(folder, "log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, f"{line}\n".encode())
    os.close(log)
