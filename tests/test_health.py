"""What is up and what is not, each in a sentence."""

from __future__ import annotations

from pathlib import Path

from lib.aws import open_aws
from lib.health import (
    Status,
    check_aws,
    check_everything,
    check_store,
    check_summarizer,
    check_worker,
)
from lib.jobs import open_jobs
from lib.settings import settings
from lib.store import open_store
from lib.summarize import open_summarizer


def test_a_fresh_installation_lacks_only_aws_and_a_worker() -> None:
    store = open_store(settings().store_url)
    assert check_store(store).status is Status.READY
    assert check_summarizer(open_summarizer(settings())).status is Status.READY
    assert check_aws(open_aws(settings())).status is Status.OFF
    worker = check_worker(open_jobs(settings(), store))
    assert worker.status is Status.FAILING
    assert "python -m lib.jobs" in worker.sentence


def test_a_database_that_is_gone_is_failing(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'there' / 'a.db'}")
    store.close()
    (tmp_path / "there").rename(tmp_path / "gone")
    assert check_store(store).status is Status.FAILING


def test_the_self_check_reports_every_part_with_its_step() -> None:
    steps: list[tuple[float, str]] = []
    result = check_everything(lambda fraction, step: steps.append((fraction, step)))
    assert [check["part"] for check in result["checks"]] == [
        "Worker",
        "Store",
        "Summarize",
        "Search",
        "AWS",
    ]
    assert steps[0] == (0.0, "Checking Store")
    assert all(check["sentence"] for check in result["checks"])
