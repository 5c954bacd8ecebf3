"""Background work: jobs live in the store, a queue carries their ids to the workers.

`python -m lib.jobs` runs a worker. A job whose worker is killed is never lost and never runs twice
at once: see `ledger.Jobs.recover` and `worker_locks`.
"""

from lib.jobs.ledger import Jobs
from lib.jobs.model import Cancelled, Job, JobError, JobFunction, JobState, Report, TakenOver, job
from lib.settings import Settings
from lib.store import Store

__all__ = [
    "Cancelled",
    "Job",
    "JobError",
    "JobFunction",
    "JobState",
    "Jobs",
    "Report",
    "TakenOver",
    "job",
    "open_jobs",
]


def open_jobs(settings: Settings, store: Store) -> Jobs:
    """Return the jobs of a store with the queue that the settings ask for.

    Raises `ValueError` where the queue's URL is of no known kind.
    """
    from lib.jobs.huey_queue import open_queue
    from lib.jobs.worker_locks import open_worker_locks

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return Jobs(store, open_queue(settings), open_worker_locks(settings, store))
