"""What is up and what is not, each in a sentence."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from lib.aws import open_aws
from lib.health import (
    Status,
    check_alerts,
    check_aws,
    check_detectors,
    check_everything,
    check_store,
    check_summarizer,
    check_worker,
)
from lib.jobs import open_jobs
from lib.metrics.detectors import create_detector, set_state
from lib.metrics.model import DetectorState
from lib.metrics.samples import shop_dataset
from lib.settings import settings
from lib.store import NotificationRow, open_store, utc_now
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


def test_detectors_and_messages_that_fail_are_named(tmp_path: Path) -> None:
    with closing(open_store(f"sqlite:///{tmp_path / 'sightline.db'}")) as store:
        assert check_detectors(store).sentence.startswith("0 detectors; 0 anomalies")
        assert check_alerts(store).sentence == "0 alerts; all messages arrived."
        made = create_detector(store, "sales", shop_dataset(), continuous=True, created_by="ann")
        assert check_detectors(store).status is Status.READY
        set_state(store, made.id, DetectorState.FAILED, "The source is gone.")
        failing = check_detectors(store)
        assert failing.status is Status.FAILING
        assert failing.sentence == "sales could not run: The source is gone."
        now = utc_now()
        with store.write() as session:
            session.add(
                NotificationRow(
                    id="n", alert="a", detector=made.id, groups=[], channel={"kind": "named"},
                    subject="", body="", state="dead", attempts=6, problem="gone",
                    created_at=now, due_at=now, format="JSON",
                )
            )  # fmt: skip
        lost = check_alerts(store)
        assert (lost.status, lost.sentence) == (
            Status.FAILING,
            "1 message did not arrive: see Deliveries under Alerts.",
        )
