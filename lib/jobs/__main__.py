"""`python -m lib.jobs`: run a worker until SIGTERM or SIGINT."""

import logging
import os

from lib.jobs import open_jobs
from lib.jobs.worker import Worker
from lib.settings import settings
from lib.store import open_store


def main() -> int:
    """Run a worker; return the exit code of the process."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("lib").setLevel(logging.INFO)
    jobs = open_jobs(settings(), open_store(settings().store_url))
    return Worker(jobs).serve(settings().job_workers)


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)  # now: a job that is still running must not outlive its worker's stop
