"""Batches on disk: done once, resumed after a kill, cancelled, deleted, exported."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path
from stat import S_IMODE

import pytest

from lib.jobs import Cancelled, JobError, Jobs, JobState, open_jobs
from lib.settings import ROOT, settings
from lib.store import open_store
from lib.summarize.batch import (
    LOCK,
    RESULTS,
    Batch,
    batches_folder,
    create_batch,
    delete_batch,
    job_of,
    list_batches,
    open_batch,
    read_done,
    read_items,
    results_table,
    start_batch,
    summarize_batch,
)
from lib.summarize.batch_files import Item
from lib.summarize.comparison import Candidate
from lib.summarize.engines import Writing
from lib.summarize.model import Length, LengthUnit
from lib.summarize.samples import SAMPLES
from tests.servers import wait_until

TWO = Length(LengthUnit.SENTENCES, 2)
CANDIDATES = (Candidate("extractive", TWO), Candidate("lead", TWO))
ITEMS = (
    Item("one", SAMPLES[0].text, ("Revenue rose.",)),
    Item("two", "word"),
    Item("three", SAMPLES[1].text),
)


def ignore(fraction: float, step: str) -> None:
    assert 0 <= fraction <= 1
    assert step.startswith("Text ")


def batch_of(*items: Item, candidates: tuple[Candidate, ...] = CANDIDATES) -> Batch:
    return create_batch(
        batches_folder(settings()),
        name="texts.csv",
        owner="ana",
        items=items or ITEMS,
        candidates=candidates,
    )


@pytest.fixture
def jobs() -> Jobs:
    return open_jobs(settings(), open_store(settings().store_url))


def test_every_text_gets_an_outcome_of_every_candidate() -> None:
    batch = batch_of()
    result = summarize_batch(ignore, str(batch.folder))
    assert result == {"texts": 3, "done_before": 0}
    first, second, third = read_done(batch)
    assert all(each["rouge1"] >= 0 for each in first.scores)
    assert [outcome.reason for outcome in second.outcomes] == [
        "The text is one word. Paste at least a sentence."
    ] * 2
    assert second.scores == ({}, {})
    assert "rouge1" not in third.scores[0]
    assert first.outcomes[1].summary in " ".join(SAMPLES[0].text.split())


def test_a_batch_is_read_back_as_it_was_made() -> None:
    batch = batch_of()
    assert open_batch(batch.folder) == batch
    assert read_items(batch) == ITEMS
    assert S_IMODE(batch.folder.stat().st_mode) == 0o700


def test_each_sees_the_own_batches_newest_first() -> None:
    first, second = batch_of(), batch_of()
    root = batches_folder(settings())
    assert list_batches(root, "ana") == (second, first)
    assert list_batches(root, "ben") == ()
    assert list_batches(root / "nowhere", "ana") == ()


def test_a_cancel_keeps_what_is_done_and_a_resume_does_the_rest() -> None:
    batch = batch_of(*(Item(str(number), SAMPLES[1].text) for number in range(300)))

    def cancel(fraction: float, step: str) -> None:
        if fraction > 0:
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        summarize_batch(cancel, str(batch.folder))
    kept = (batch.folder / RESULTS).read_bytes()
    before = len(read_done(batch))
    assert 0 < before < 300
    assert summarize_batch(ignore, str(batch.folder)) == {"texts": 300, "done_before": before}
    assert (batch.folder / RESULTS).read_bytes().startswith(kept)
    assert [each.item for each in read_done(batch)] == list(range(300))


def test_a_killed_worker_loses_no_text_and_does_none_twice() -> None:
    batch = batch_of(*(Item(str(number), SAMPLES[0].text * 4) for number in range(60)))
    code = (
        "import sys; from lib.summarize.batch import summarize_batch;"
        "summarize_batch(lambda *_: None, sys.argv[1])"
    )
    worker = subprocess.Popen([sys.executable, "-c", code, str(batch.folder)], cwd=ROOT)
    wait_until(lambda: len(read_done(batch)) >= 3)
    worker.kill()
    worker.wait()
    before = {each.item: each.outcomes[0].scores for each in read_done(batch)}
    with (batch.folder / RESULTS).open("a") as torn:
        torn.write('{"item": 59, "outco')
    result = summarize_batch(ignore, str(batch.folder))
    assert result["done_before"] == len(before) < 60
    after = read_done(batch)
    assert [each.item for each in after] == list(range(60))
    for each in after[: len(before)]:
        assert each.outcomes[0].scores == before[each.item]


def test_two_jobs_never_work_on_one_batch() -> None:
    batch = batch_of()
    with (batch.folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(JobError, match="Another job"):
            summarize_batch(ignore, str(batch.folder))
    assert summarize_batch(ignore, str(batch.folder))["texts"] == 3


def test_an_engine_that_is_gone_is_named_and_nothing_lost() -> None:
    batch = batch_of(candidates=(Candidate("local:gone", TWO),))
    with pytest.raises(JobError, match=r"no engine 'local:gone' here.*resume"):
        summarize_batch(ignore, str(batch.folder))
    assert read_items(batch) == ITEMS


def test_aws_that_does_not_answer_ends_the_job_and_what_is_done_is_kept() -> None:
    batch = batch_of(candidates=(CANDIDATES[0], Candidate("sagemaker:news", TWO, Writing())))
    with pytest.raises(JobError, match="What is done is kept"):
        summarize_batch(ignore, str(batch.folder))
    assert open_batch(batch.folder).candidates[1].writing == Writing()


def test_progress_names_text_and_engine() -> None:
    told: list[str] = []

    def tell(fraction: float, step: str) -> None:
        assert 0 <= fraction <= 1
        told.append(step)

    summarize_batch(tell, str(batch_of().folder))
    assert told[0] == "Text 1 of 3: Key sentences (1 of 2)"


def test_a_deleted_batch_is_gone_with_its_texts_and_its_job_cancelled(jobs: Jobs) -> None:
    batch = batch_of()
    started = start_batch(jobs, batch)
    assert job_of(jobs, batch) == started
    delete_batch(jobs, batch)
    assert not batch.folder.exists()
    found = jobs.find(started.id)
    assert found is not None
    assert found.state is JobState.CANCELLED
    with pytest.raises(JobError, match="deleted"):
        summarize_batch(ignore, str(batch.folder))


def test_the_table_holds_a_row_for_each_text_and_candidate() -> None:
    batch = batch_of()
    summarize_batch(ignore, str(batch.folder))
    table = results_table(read_items(batch), read_done(batch), ["A", "B"])
    assert list(table["id"]) == ["one", "one", "two", "two", "three", "three"]
    assert list(table["engine"]) == ["A", "B"] * 3
    assert table["failure"].iloc[2].startswith("The text is one word")
    assert table["rouge1"].isna().tolist() == [False, False, True, True, True, True]


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a text"):
        create_batch(
            batches_folder(settings()), name="a", owner="ana", items=(), candidates=CANDIDATES
        )


def test_only_json_lies_in_the_folder() -> None:
    batch = batch_of()
    summarize_batch(ignore, str(batch.folder))
    for name in ("items.jsonl", "results.jsonl"):
        for line in (batch.folder / name).read_text().splitlines():
            json.loads(line)
    assert {path.name for path in Path(batch.folder).iterdir()} == {
        "batch.json",
        "items.jsonl",
        "results.jsonl",
        "lock",
    }
