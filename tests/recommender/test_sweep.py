from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib.recommender import sweep
from lib.recommender.model import Origin
from lib.recommender.subject import Configuration, SubjectError, agreement, checked, open_subject
from lib.recommender.sweep import Failed, Log, Plan, rows_of, run


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "PROCESS", "tests.recommender.process")


def plan(*configurations: Configuration, repeats: int = 1) -> Plan:
    name = "tests.recommender.subjects:open_known"
    return Plan(name, "known", configurations, ("a", "b"), seconds=0.3, repeats=repeats)


def carried_out(wanted: Plan, log: Log) -> list[tuple[float, str]]:
    return list(run(wanted, log))


def test_known_times_are_measured_and_compared(tmp_path: Path) -> None:
    wanted = plan(
        Configuration("steady", "5"),
        Configuration("different", "10"),
        Configuration("talking", "5", 1, 2),
    )
    log = Log.open(tmp_path / "x.log")
    told = carried_out(wanted, log)
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)
    rows, failed = rows_of(wanted, log)
    assert failed == ()
    steady, different, talking = rows
    assert steady.origin is Origin.LOCAL
    assert steady.configuration == "steady 5, 1 thread, batch 1"
    # A call takes its wait and no less, so no rate is above it.
    assert 60 * 50 < (steady.max_invocations or 0) <= 60 * 200
    assert (different.max_invocations or 0) < (steady.max_invocations or 0)
    assert (talking.max_invocations or 0) > 1.3 * (steady.max_invocations or 0)
    assert steady.p50 is not None
    assert steady.p50.value >= 5
    assert steady.quality == pytest.approx(1)
    assert different.quality == pytest.approx(1 / 1.25**0.5)
    assert steady.cost_per_inference is None


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        ("unloadable", "The weights are not there"),
        ("crashing", "ended with code 3"),
        ("garbage", "numbers that are not finite"),
    ],
)
def test_a_model_that_fails_is_a_row_that_says_so(tmp_path: Path, engine: str, reason: str) -> None:
    wanted = plan(Configuration("steady", "5"), Configuration(engine, "2"))
    log = Log.open(tmp_path / "x.log")
    carried_out(wanted, log)
    rows, [failed] = rows_of(wanted, log)
    assert [row.configuration for row in rows] == ["steady 5, 1 thread, batch 1"]
    assert isinstance(failed, Failed)
    assert reason in failed.reason


def test_a_model_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "ANSWER_S", 1.5)
    wanted = plan(Configuration("steady", "60000"))
    log = Log.open(tmp_path / "x.log")
    carried_out(wanted, log)
    assert "did not answer within" in rows_of(wanted, log)[1][0].reason


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    wanted = plan(Configuration("steady", "5"), repeats=2)
    path = tmp_path / "x.log"
    for fraction, step in run(wanted, Log.open(path)):
        if step.startswith("Measuring") and fraction > 0.5:
            break  # as if the machine had been switched off
    before = path.read_text()
    assert before.count("repeat") == 1
    path.write_text(before + '{"name": "steady 5, 1 thr')  # a line that was cut off
    log = Log.open(path)
    carried_out(wanted, log)
    assert len(log.of(wanted.configurations[0]).repeats) == 2
    assert path.read_text().startswith(before)
    after = path.read_text()
    carried_out(wanted, Log.open(path))
    assert path.read_text() == after


def test_repeats_end_where_the_rate_is_known() -> None:
    def log_of(*rates: float) -> Log:
        name = wanted.configurations[0].name
        repeat = {"cpu": 1.0, "cores": 1.0, "latencies": [1.0], "memory": 1.0}
        return Log(Path("x"), [{"name": name, "repeat": {"rate": one, **repeat}} for one in rates])

    wanted = plan(Configuration("steady", "5"), repeats=3)

    def is_done(*rates: float) -> bool:
        return sweep._is_done(wanted, log_of(*rates).of(wanted.configurations[0]))

    assert not is_done(100, 101)
    assert is_done(100, 101, 100)
    assert not is_done(100, 150, 100)
    assert is_done(100, 150, 100, 150, 100, 150)


def test_a_plan_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one configuration"):
        plan()
    with pytest.raises(ValueError, match="at least one text"):
        Plan("lib.x:y", "x", (Configuration("a", "b"),), (" ",))
    with pytest.raises(ValueError, match="Threads are"):
        Configuration("a", "b", 0)
    wanted = plan(Configuration("steady", "5", 2, 4))
    assert Plan.from_json(json.loads(json.dumps(wanted.to_json()))) == wanted


def test_only_subjects_of_sightline_are_loaded() -> None:
    for name in ("os:system", "lib.settings:nothing", "tests.recommender.subjects:open_known"):
        with pytest.raises(SubjectError, match="no subject"):
            open_subject(name, Configuration("a", "b"))


def test_answers_are_checked_and_compared() -> None:
    with pytest.raises(SubjectError, match="1 answers to 2 texts"):
        checked(["a"], 2)
    with pytest.raises(SubjectError, match="empty text"):
        checked([" "], 1)
    assert agreement(["a", "b"], ["a", "c"]) == 0.5
    assert agreement([[1.0, 0.0]], [[0.0, 1.0]]) == 0
    assert agreement([[1.0]], [[1.0, 2.0]]) == 0


def test_the_embedding_model_and_the_engines_can_be_tested() -> None:
    exact = open_subject(
        "lib.search.embedding_subject:open_embedding", Configuration("onnxruntime", "fp32")
    )
    torch = open_subject(
        "lib.search.embedding_subject:open_embedding", Configuration("torch", "fp32")
    )
    texts = ["Revenue fell in May.", "The bus was late again, and nobody said why."]
    assert agreement(torch(texts), exact(texts)) > 0.9999
    lead = open_subject("lib.summarize.load_subject:open_engine", Configuration("lead", "as it is"))
    assert lead(["One is here. Two are there. Three are gone. Four stay."]) == [
        "One is here. Two are there. Three are gone."
    ]
