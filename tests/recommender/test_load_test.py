from __future__ import annotations

from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest

from lib.jobs import Cancelled, JobError, TakenOver, open_jobs
from lib.recommender import load_test as module
from lib.recommender import sweep
from lib.recommender.kept import kept_tables, tables_folder
from lib.recommender.load_test import load_test, start_load_test
from lib.recommender.subject import Configuration
from lib.recommender.sweep import Plan
from lib.settings import Settings
from lib.store import open_store

SECRET = "words that were pasted"


def plan(*engines: str) -> Plan:
    configurations = tuple(Configuration(one, "5") for one in engines)
    name = "tests.recommender.subjects:open_known"
    return Plan(name, "known", configurations, (SECRET,), seconds=0.2, repeats=1)


@pytest.fixture
def now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    found = Settings(data_dir=tmp_path)
    monkeypatch.setattr(module, "settings", lambda: found)
    monkeypatch.setattr(sweep, "PROCESS", "tests.recommender.process")
    return found


def started(now: Settings, wanted: Plan) -> str:
    """Return the id of the table of a load test that was submitted."""
    store = open_store(f"sqlite:///{now.data_dir / 's.db'}")
    start_load_test(open_jobs(now, store), now, "ann", wanted)
    store.close()
    [path] = tables_folder(now).glob("*.plan")
    return path.stem


def files(now: Settings) -> list[str]:
    return sorted(one.suffix for one in tables_folder(now).iterdir())


def measuring() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "process" in " ".join(one.cmdline())]


def test_rows_are_kept_and_texts_are_not(now: Settings) -> None:
    table = started(now, plan("steady", "unloadable"))
    assert SECRET not in (now.data_dir / "s.db").read_bytes().decode(errors="ignore")
    assert load_test(lambda *_: None, table, "ann") == {"table": table, "rows": 1, "failed": 1}
    [kept] = kept_tables(now)
    assert (kept.id, kept.owner, kept.name) == (table, "ann", "known")
    assert "weights are not there" in kept.failed[0].reason
    assert files(now) == [".json"]
    assert SECRET not in (tables_folder(now) / f"{table}.json").read_text()


@pytest.mark.parametrize(("end", "left"), [(Cancelled, []), (TakenOver, [".log", ".plan"])])
def test_a_cancel_ends_the_processes_and_forgets_the_texts(
    now: Settings, end: type[Cancelled], left: list[str]
) -> None:
    table = started(now, plan("steady", "different"))

    def report(fraction: float, step: str) -> None:
        assert 0 <= fraction <= 1
        if step.startswith("Measuring"):
            assert len(measuring()) == 2
            raise end("enough")

    with pytest.raises(end) as raised:
        load_test(report, table, "ann")
    assert measuring() == []  # though the exception still holds the frames
    assert raised.value is not None
    assert files(now) == left


def test_where_nothing_can_be_measured_the_reasons_are_the_error(now: Settings) -> None:
    table = started(now, plan("unloadable"))
    with pytest.raises(JobError, match=r"Nothing could be measured\. unloadable 5.*not there"):
        load_test(lambda *_: None, table, "ann")
    assert files(now) == []


def test_a_plan_that_is_gone_is_said(now: Settings) -> None:
    with pytest.raises(JobError, match="plan of this load test is gone"):
        load_test(lambda *_: None, "0" * 32, "ann")
    assert kept_tables(now) == ()
