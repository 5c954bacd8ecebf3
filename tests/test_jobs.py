from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url, text

from lib.jobs import Cancelled, Job, JobError, Jobs, JobState, Report, TakenOver, job, open_jobs
from lib.jobs.attempt import Attempt, ThrottledReport, claim, plain_text
from lib.jobs.model import load
from lib.jobs.worker import Worker
from lib.settings import Settings
from lib.store import JobRow, open_store

ROOT = Path(__file__).parent.parent
TESTS = str(Path(__file__).parent)
sys.path.append(TESTS)
functions = importlib.import_module("jobs_for_tests")
servers = importlib.import_module("servers")
wait_until = servers.wait_until
WAITING = ("wait", "wait_up_to_three_times")


@dataclass
class House:
    """One installation: its settings, its jobs, and worker processes that a test may kill."""

    settings: Settings
    folder: Path
    jobs: Jobs
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_worker(self) -> subprocess.Popen[bytes]:
        (worker,) = self.start_workers(1)
        return worker

    def start_workers(self, number: int) -> list[subprocess.Popen[bytes]]:
        alive = self.jobs.workers()
        started = [self._worker() for _ in range(number)]
        wait_until(lambda: self.jobs.workers() == alive + number)
        return started

    def _worker(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lib.jobs"],
                cwd=ROOT,
                env=os.environ
                | {
                    "PYTHONPATH": TESTS,
                    "SIGHTLINE_DATA_DIR": str(self.settings.data_dir),
                    "SIGHTLINE_DATABASE_URL": self.settings.database_url.get_secret_value(),
                    "SIGHTLINE_QUEUE_URL": self.settings.queue_url.get_secret_value(),
                },
                stderr=log,
            )
        self.processes.append(process)
        return process

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    @property
    def go(self) -> Path:
        """The file that the waiting jobs wait for."""
        return self.folder / "go"

    def submit(self, function: str, **arguments: object) -> str:
        return self.jobs.submit(
            getattr(functions, function), title="A test", owner="me", **arguments
        ).id

    def job(self, job_id: str) -> Job:
        found = self.jobs.find(job_id)
        assert found is not None
        return found

    def wait_for_step(self, job_id: str) -> None:
        wait_until(lambda: self.job(job_id).step != "")

    def wait_for_end(self, job_id: str) -> Job:
        wait_until(lambda: self.job(job_id).finished)
        return self.job(job_id)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.jobs.queue.huey.storage.close()
        self.jobs.store.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with servers.postgres() as url:
        yield url


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with servers.redis() as url:
        yield url


def new_database(server: str) -> str:
    name = f"jobs_{uuid.uuid4().hex}"
    url = make_url(server).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def open_house(folder: Path, database_url: str = "", queue_url: str = "") -> House:
    chosen = Settings(
        data_dir=folder / "a folder",
        database_url=SecretStr(database_url),
        queue_url=SecretStr(queue_url),
    )
    return House(chosen, folder, open_jobs(chosen, open_store(chosen.store_url)))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Yield a house with the defaults: everything in SQLite files."""
    house = open_house(tmp_path)
    yield house
    house.close()


@pytest.fixture(params=["sqlite", "redis", "postgresql"])
def any_house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """Yield a house of each kind: all SQLite, SQLite with a Redis queue, all PostgreSQL."""
    database = queue = ""
    if request.param == "redis":
        queue = request.getfixturevalue("redis")
    if request.param == "postgresql":
        database = queue = new_database(request.getfixturevalue("postgres"))
    house = open_house(tmp_path, database, queue)
    house.jobs.queue.huey.storage.flush_queue()
    yield house
    house.close()


# --- With worker processes that are stopped and killed


def test_a_worker_runs_jobs_and_writes_down_how_each_ended(any_house: House) -> None:
    house = any_house
    ids = [
        house.submit("add", a=1, b=2),
        house.submit("refuse"),
        house.submit("crash", secret="pasted text"),
        house.submit("answer_with_nan"),
    ]
    house.start_worker()
    added, refused, crashed, not_json = map(house.wait_for_end, ids)
    assert (added.state, added.result, added.progress, added.attempt) == ("done", {"sum": 3}, 1, 1)
    assert (refused.state, refused.result) == ("failed", None)
    assert refused.error == "The document has no sentences. Choose another one."
    assert (crashed.state, crashed.progress) == ("failed", 0.5)
    assert (not_json.state, not_json.result) == ("failed", None)
    log = house.log.read_text()
    error_id = crashed.error.split()[-1].rstrip(".")
    assert f"id {error_id}\nTraceback" in log
    assert f"job {added.id} done: jobs_for_tests:add" in log
    assert "pasted text" not in log


def test_a_job_survives_its_killed_worker(any_house: House) -> None:
    house = any_house
    once, thrice = (house.submit(name, go=str(house.go)) for name in WAITING)
    worker = house.start_worker()
    house.wait_for_step(once)
    house.wait_for_step(thrice)
    worker.kill()
    worker.wait()
    wait_until(lambda: house.jobs.workers() == 0)
    assert (house.job(once).state, house.job(thrice).state) == ("running", "running")
    house.start_worker()
    house.go.touch()
    failed, done = house.wait_for_end(once), house.wait_for_end(thrice)
    assert (failed.state, failed.attempt) == ("failed", 1)
    assert failed.error == (
        "The worker stopped while the job was running (step: Waiting for go). Start it again."
    )
    assert (done.state, done.attempt, done.error) == ("done", 2, "")


def test_a_living_worker_takes_over_from_a_killed_one(house: House) -> None:
    job_id = house.submit("wait_up_to_three_times", go=str(house.go))
    first = house.start_worker()
    house.wait_for_step(job_id)
    house.start_worker()
    first.kill()
    wait_until(lambda: house.job(job_id).attempt == 2)
    house.go.touch()
    assert house.wait_for_end(job_id).state == "done"


@pytest.mark.parametrize("any_house", ["sqlite", "postgresql"], indirect=True)
def test_jobs_run_once_at_a_time_while_workers_are_killed(any_house: House) -> None:
    house = any_house
    first, _ = house.start_workers(2)
    ids = [house.submit("run_alone", folder=str(house.folder), name=f"j{n}") for n in range(20)]
    for job_id in ids * 2:
        house.jobs.queue.put(job_id)
    history = house.folder / "log"
    wait_until(lambda: history.exists() and len(history.read_text().splitlines()) == 4)
    first.kill()
    first.wait()
    house.go.touch()
    ended = [house.wait_for_end(job_id) for job_id in ids]
    lines = Counter(history.read_text().splitlines())
    assert {one.state for one in ended} == {JobState.DONE}
    assert Counter(one.attempt for one in ended) == {1: 18, 2: 2}
    assert [lines[f"j{n} start"] for n in range(20)] == [one.attempt for one in ended]
    assert [lines[f"j{n} end"] for n in range(20)] == [1] * 20
    assert [lines[f"j{n} overlap"] for n in range(20)] == [0] * 20


def test_a_deleted_queue_file_loses_no_job(house: House) -> None:
    for file in house.settings.data_dir.glob("queue.db*"):
        file.unlink()
    # This process still holds the deleted file, so what it submits does not reach the worker.
    job_id = house.submit("add", a=1, b=2)
    house.start_worker()
    assert house.wait_for_end(job_id).state == "done"


def test_a_running_job_is_cancelled_at_its_next_report(house: House) -> None:
    job_id = house.submit("wait", go=str(house.go))
    house.start_worker()
    house.wait_for_step(job_id)
    assert house.jobs.cancel(job_id).cancel_requested
    assert house.wait_for_end(job_id).state == "cancelled"


def test_a_stopped_worker_puts_its_job_back_uncounted(house: House) -> None:
    job_id = house.submit("hold_still", go=str(house.go))
    worker = house.start_worker()
    house.wait_for_step(job_id)
    worker.terminate()
    assert worker.wait() == 0
    assert house.jobs.recover() == 1
    assert house.job(job_id).state == "queued"
    house.go.touch()
    Worker(house.jobs).run(job_id)
    assert house.job(job_id).state == "done"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_worker_lets_a_short_job_finish(house: House, number: int) -> None:
    job_id = house.submit("hold_still", go=str(house.go))
    worker = house.start_worker()
    house.wait_for_step(job_id)
    worker.send_signal(number)
    house.go.touch()
    assert worker.wait() == 0
    assert (house.job(job_id).state, house.job(job_id).attempt) == ("done", 1)


def test_a_worker_that_loses_its_session_stops(postgres: str, tmp_path: Path) -> None:
    house = open_house(tmp_path, new_database(postgres))
    worker = house.start_worker()
    with house.jobs.store.engine.connect() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        )
    assert worker.wait() != 0
    house.close()


# --- In this process alone


def test_submit_gives_a_queued_job(house: House) -> None:
    job = house.jobs.submit(functions.add, title="Add", owner="me", a=1, b=2)
    assert (job.state, job.title, job.owner, job.attempt) == ("queued", "Add", "me", 0)
    assert not job.finished
    assert house.jobs.find(job.id) == job
    assert house.jobs.find("unknown") is None


def test_recent_gives_the_newest_first_and_only_the_owners(house: House) -> None:
    mine = [house.submit("add", a=n, b=n) for n in range(3)]
    other = house.jobs.submit(functions.add, title="Add", owner="you", a=1, b=2).id
    assert [job.id for job in house.jobs.recent()] == [other, *reversed(mine)]
    assert [job.id for job in house.jobs.recent(limit=2, owner="me")] == [mine[2], mine[1]]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"a": 1}, TypeError),
        ({"a": 1, "b": 2, "c": 3}, TypeError),
        ({"a": 1, "b": object()}, TypeError),
        ({"a": 1, "b": float("inf")}, ValueError),
    ],
)
def test_arguments_that_cannot_work_are_refused(
    house: House, arguments: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        house.submit("add", **arguments)
    assert house.jobs.recent() == ()


def test_a_job_function_stays_callable() -> None:
    reports: list[tuple[float, str]] = []
    assert functions.add(lambda *report: reports.append(report), a=1, b=2) == {"sum": 3}
    assert reports == [(0.5, "Adding")]


def test_only_marked_functions_of_a_module_run(house: House) -> None:
    assert load("jobs_for_tests:add") is functions.add
    for name in ("jobs_for_tests:not_a_job", "jobs_for_tests:gone", "os:system"):
        with pytest.raises(JobError, match=f"no job function {name}"):
            load(name)
    job_id = house.submit("add", a=1, b=2)
    with house.jobs.store.write() as session:
        session.get_one(JobRow, job_id).function = "jobs_for_tests:not_a_job"
    Worker(house.jobs).run(job_id)
    assert (house.job(job_id).state, house.job(job_id).step) == ("failed", "")
    assert "no job function jobs_for_tests:not_a_job" in house.job(job_id).error


def test_a_nested_function_is_no_job() -> None:
    def nested(_report: Report) -> dict[str, object]:
        return {}

    with pytest.raises(ValueError, match="module level"):
        job()(nested)


def test_a_job_is_claimed_once(house: House) -> None:
    job_id = house.submit("add", a=1, b=2)
    attempt = claim(house.jobs.store, job_id, "one")
    assert attempt is not None
    assert (attempt.job.state, attempt.job.attempt) == ("running", 1)
    assert claim(house.jobs.store, job_id, "two") is None
    assert claim(house.jobs.store, "unknown", "two") is None


def test_a_cancelled_job_is_not_started_again_after_its_worker_died(house: House) -> None:
    job_id = house.submit("wait_up_to_three_times", go="")
    claim(house.jobs.store, job_id, uuid.uuid4().hex)
    house.jobs.cancel(job_id)
    house.jobs.recover()
    assert (house.job(job_id).state, house.job(job_id).error) == ("cancelled", "")


def test_an_attempt_that_lost_its_job_writes_nothing(house: House) -> None:
    job_id = house.submit("wait_up_to_three_times", go="")
    old = claim(house.jobs.store, job_id, "0" * 32)
    assert old is not None
    assert house.jobs.recover() == 1
    new = claim(house.jobs.store, job_id, "0" * 32)
    assert new is not None
    with pytest.raises(TakenOver):
        old.record_progress(0.9, "From the grave")
    assert not old.finish(JobState.DONE, result={"from": "the grave"})
    assert house.job(job_id) == new.job
    assert new.finish(JobState.DONE, result={"by": "the second"})
    assert house.job(job_id).result == {"by": "the second"}


def test_a_final_state_is_final(house: House) -> None:
    cancelled, failed = house.submit("add", a=1, b=2), house.submit("refuse")
    house.jobs.cancel(cancelled)
    worker = Worker(house.jobs)
    worker.run(cancelled)
    worker.run(failed)
    before = house.job(cancelled), house.job(failed)
    assert [job.state for job in before] == ["cancelled", "failed"]
    assert before[0].finished_at is not None
    house.jobs.cancel(failed)
    worker.run(failed)
    house.jobs.recover()
    assert (house.job(cancelled), house.job(failed)) == before


def test_a_job_that_tries_to_end_the_worker_fails(house: House) -> None:
    worker = Worker(house.jobs)
    house.jobs.locks.hold(worker.id)
    job_id = house.submit("leave")
    with pytest.raises(SystemExit):
        worker.run(job_id)
    house.jobs.recover(worker=worker.id)
    assert (house.job(job_id).state, house.job(job_id).step) == ("failed", "Leaving")


def test_a_lost_queue_loses_no_job(any_house: House) -> None:
    ids = {any_house.submit("add", a=1, b=n) for n in range(3)}
    assert any_house.jobs.queue.waiting() == ids
    any_house.jobs.queue.huey.storage.flush_queue()
    assert any_house.jobs.recover() == 3
    assert any_house.jobs.queue.waiting() == ids
    assert any_house.jobs.recover() == 0


def test_what_is_no_job_id_is_dropped_from_the_queue_unread(any_house: House) -> None:
    trap = any_house.folder / "trapped"
    queue = any_house.jobs.queue
    queue.huey.storage.enqueue(f"cos\nsystem\n(S'touch \"{trap}\"'\ntR.".encode())
    assert queue.waiting() == frozenset()
    with pytest.raises(ValueError, match="no job id"):
        queue.huey.dequeue()
    assert queue.huey.dequeue() is None
    assert not trap.exists()


def test_an_unknown_job_cannot_be_cancelled(house: House) -> None:
    with pytest.raises(LookupError, match="no job"):
        house.jobs.cancel("unknown")


def test_retry_starts_the_same_again_as_a_new_job(house: House) -> None:
    job_id = house.submit("add", a=1, b=2)
    with pytest.raises(ValueError, match="not finished"):
        house.jobs.retry(job_id)
    house.jobs.cancel(job_id)
    again = house.jobs.retry(job_id)
    Worker(house.jobs).run(again.id)
    assert house.job(again.id).result == {"sum": 3}
    assert house.job(job_id).state == "cancelled"


@pytest.mark.parametrize("any_house", ["sqlite", "postgresql"], indirect=True)
def test_recovery_leaves_alone_what_needs_none(any_house: House) -> None:
    house = any_house
    house.submit("add", a=1, b=2)
    living = uuid.uuid4().hex
    house.jobs.locks.hold(living)
    assert claim(house.jobs.store, house.submit("add", a=1, b=2), living) is not None
    house.jobs.queue.put(house.submit("add", a=1, b=2))
    assert house.jobs.recover() == 0
    assert house.jobs.workers() == 1


def test_recovery_finds_a_job_that_its_own_worker_forgot(house: House) -> None:
    mine = uuid.uuid4().hex
    house.jobs.locks.hold(mine)
    job_id = house.submit("wait_up_to_three_times", go="")
    claim(house.jobs.store, job_id, mine)
    assert house.jobs.recover(worker=mine, active=[job_id]) == 0
    assert house.jobs.recover(worker=mine, active=[]) == 1
    assert house.job(job_id).state == "queued"


def test_submit_survives_a_queue_that_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "very-secret"
    port = servers.free_port()
    house = open_house(tmp_path, queue_url=f"redis://:{secret}@127.0.0.1:{port}/0")
    with caplog.at_level(logging.WARNING):
        job_id = house.submit("add", a=1, b=2)
    assert house.job(job_id).state == "queued"
    assert f"job {job_id} waits for the queue" in caplog.text
    assert secret not in caplog.text
    house.close()


def test_a_queue_of_unknown_kind_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="starts with amqp://") as refusal:
        open_house(tmp_path, queue_url="amqp://me:very-secret@host/")
    assert "very-secret" not in str(refusal.value)


def test_reports_are_throttled_but_every_step_lands(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = house.submit("add", a=1, b=2)
    attempt = claim(house.jobs.store, job_id, "one")
    assert attempt is not None
    now = [100.0]
    monkeypatch.setattr("lib.jobs.attempt.time.monotonic", lambda: now[0])
    report = ThrottledReport(attempt)
    written = []
    for at, fraction, step in [
        (100.0, 0.1, "Read"),
        (100.1, 0.2, "Read"),
        (100.2, 0.3, "Write"),
        (100.3, 0.4, "Write"),
        (100.8, 2.0, "Write"),
    ]:
        now[0] = at
        report(fraction, step)
        written.append((house.job(job_id).progress, house.job(job_id).step))
    assert written == [(0.1, "Read"), (0.1, "Read"), (0.3, "Write"), (0.3, "Write"), (1, "Write")]


@given(st.text(alphabet=st.characters(codec=None)))
def test_plain_text_suits_every_database(text: str) -> None:
    plain = plain_text(text)
    assert "\0" not in plain
    assert plain.encode("utf-8").decode() == plain
    if "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text):
        assert plain == text


class OneJob(RuleBasedStateMachine):
    """Any order of events that one job can meet, checked against a model of its rules."""

    jobs: ClassVar[Jobs]

    def __init__(self) -> None:
        super().__init__()
        self.id = self.jobs.submit(functions.wait_up_to_three_times, title="", owner="", go="").id
        self.state, self.limit, self.cancel_requested = "queued", 3, False
        self.attempts: list[Attempt] = []
        self.worker = ""

    def owns(self, attempt: Attempt) -> bool:
        return self.state == "running" and attempt is self.attempts[-1]

    @rule()
    def claim(self) -> None:
        worker = uuid.uuid4().hex
        attempt = claim(self.jobs.store, self.id, worker)
        assert (attempt is not None) == (self.state == "queued")
        if attempt is not None:
            self.attempts.append(attempt)
            self.worker = worker
            self.state = "running"

    @rule()
    def cancel(self) -> None:
        self.jobs.cancel(self.id)
        self.cancel_requested |= self.state in {"queued", "running"}
        self.state = "cancelled" if self.state == "queued" else self.state

    @precondition(lambda self: self.attempts)
    @rule(data=st.data())
    def report(self, data: st.DataObject) -> None:
        attempt = data.draw(st.sampled_from(self.attempts))
        welcome = self.owns(attempt) and not self.cancel_requested
        with contextlib.nullcontext() if welcome else pytest.raises(Cancelled):
            attempt.record_progress(0.5, "A step")

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), end=st.sampled_from([JobState.DONE, JobState.CANCELLED]))
    def finish(self, data: st.DataObject, end: JobState) -> None:
        attempt = data.draw(st.sampled_from(self.attempts))
        owned = self.owns(attempt)
        assert attempt.finish(end) == owned
        self.state = end if owned else self.state

    @precondition(lambda self: self.attempts)
    @rule()
    def stop_worker(self) -> None:
        self.limit += self.jobs.forgive_attempts(self.worker)

    @rule()
    def recover(self) -> None:
        self.jobs.recover()  # no worker here holds a lock, so all are dead
        if self.state == "running" and self.cancel_requested:
            self.state = "cancelled"
        elif self.state == "running":
            self.state = "queued" if len(self.attempts) < self.limit else "failed"

    @invariant()
    def the_store_agrees(self) -> None:
        found = self.jobs.find(self.id)
        assert found is not None
        assert (found.state, found.attempt) == (self.state, len(self.attempts))
        assert (found.finished_at is not None) == found.finished
        assert (found.error != "") == (found.state == "failed")


def test_no_order_of_events_breaks_the_rules(house: House) -> None:
    OneJob.jobs = house.jobs
    run_state_machine_as_test(
        OneJob, settings=settings(max_examples=50, stateful_step_count=15, deadline=None)
    )
