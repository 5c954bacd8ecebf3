"""The job of a load test on this machine: it measures, goes on after a restart, keeps its rows.

The plan lies in a file beside the tables until the job has ended, as pasted texts must not lie in
the store.
"""

from __future__ import annotations

import json
import os
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

from lib.jobs import Cancelled, Job, JobError, Jobs, Report, TakenOver, job
from lib.recommender.kept import keep_table, tables_folder
from lib.recommender.sweep import Log, Plan, rows_of, run
from lib.settings import Settings, settings


def start_load_test(jobs: Jobs, now_settings: Settings, owner: str, plan: Plan) -> Job:
    """Return the job that tests a model's configurations."""
    table = uuid.uuid4().hex
    path = _plan_path(now_settings, table)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(plan.to_json()))
    return jobs.submit(
        load_test,
        title=f"Load test of {plan.title}",
        owner=owner,
        table=table,
        kept_by=owner,
    )


@job(max_attempts=3)
def load_test(report: Report, table: str, kept_by: str) -> dict[str, Any]:
    """Measure all configurations, keep the rows as a table and return its id.

    What an earlier attempt has measured is not measured again.
    """
    plan_path, log_path = _plan_path(settings(), table), _log_path(settings(), table)
    try:
        plan = Plan.from_json(json.loads(plan_path.read_text()))
    except OSError as error:
        raise JobError("The plan of this load test is gone. Start it again.") from error
    log = Log.open(log_path)
    busy = os.getloadavg()[0]
    try:
        with closing(run(plan, log)) as steps:  # closed, it ends the processes
            for fraction, step in steps:
                report(fraction, step)
    except TakenOver:
        raise  # what was measured is for the attempt that goes on
    except Cancelled:
        _forget(plan_path, log_path)
        raise
    rows, failed = rows_of(plan, log)
    _forget(plan_path, log_path)
    if not rows:
        reasons = " ".join(f"{one.configuration}: {one.reason}" for one in failed)
        raise JobError(f"Nothing could be measured. {reasons}")
    keep_table(
        settings(), plan.title, kept_by, rows, notes=_notes(busy), failed=failed, table_id=table
    )
    return {"table": table, "rows": len(rows), "failed": len(failed)}


def _forget(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _notes(busy: float) -> list[str]:
    cores = os.cpu_count() or 1
    notes = [
        f"Measured on this machine of {cores} cores; latencies at half of the rate that each bears."
    ]
    if busy > cores:
        notes.append(f"The machine was busy with other work (load {busy:.1f}): measure again.")
    return notes


def _plan_path(now_settings: Settings, table: str) -> Path:
    return tables_folder(now_settings) / f"{table}.plan"


def _log_path(now_settings: Settings, table: str) -> Path:
    return tables_folder(now_settings) / f"{table}.log"
