from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lib.settings import Settings
from lib.training import workload
from lib.training.folder import open_profile
from lib.training.model import PHASES, Phase, TrainingError
from lib.training.recorder import Machine, Recorder
from lib.training.runs import delete_run, keep_upload, profile_of, runs, runs_folder
from lib.training.steps import PARTS, steps_of
from lib.training.verdict import Bound, judge


def test_two_lines_make_a_profile(tmp_path: Path) -> None:
    pause = threading.Event()

    def loader() -> list[int]:
        return list(range(15))

    with Recorder(tmp_path / "run", interval=0.05, configuration={"batch": 8}) as recorder:
        for _ in recorder.steps(loader()):
            with recorder.phase("Forward"):
                pause.wait(0.02)
            with recorder.phase("Checkpoint"):
                pause.wait(0.001)
    profile = open_profile(tmp_path / "run")
    steps = steps_of(profile)
    assert steps.duration.shape == (1, 15)
    assert (steps.parts[0, :, PARTS.index(Phase.FORWARD)] >= 0.02).all()
    assert PHASES.index(Phase.CHECKPOINT) in profile.spans.phase
    assert profile.configuration["batch"] == "8"
    kinds = {one.channel.kind for one in profile.system}
    assert {"cpu", "memory"} <= kinds
    assert len(profile.of("cpu", "CPUUtilization")[0].times) >= 3
    assert profile.oddities == ()


def test_a_second_rank_writes_its_events_beside_the_first(tmp_path: Path) -> None:
    with Recorder(tmp_path, node="algo-2", rank=1) as recorder:
        for _ in recorder.steps([1, 2]):
            pass
    profile = open_profile(tmp_path)
    assert profile.system == ()
    assert profile.spans.workers[0].startswith("algo-2")


def test_shares_of_a_core_are_shares() -> None:
    machine = Machine()
    threading.Event().wait(0.05)
    found = list(machine.read())
    cores = [value for kind, _, _, value in found if kind == "cpu"]
    assert cores
    assert all(0 <= value <= 100.5 for value in cores)


def test_a_starved_loader_changes_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = Settings(data_dir=tmp_path)
    monkeypatch.setattr(workload, "settings", lambda: now)
    told: list[float] = []
    made = workload.train_both(lambda fraction, _: told.append(fraction), 6.0)["runs"]
    known = {one.id: one for one in runs(now)}
    slow = judge(profile_of(now, known[made["slow"]]))
    fast = judge(profile_of(now, known[made["fast"]]))
    assert (slow.bound, fast.bound) == (Bound.DATA, Bound.COMPUTE)
    assert told == sorted(told)
    delete_run(now, made["slow"])
    assert made["slow"] not in {one.id for one in runs(now)}


def test_runs_are_kept_found_in_folders_and_deleted(tmp_path: Path) -> None:
    root = tmp_path / "profiles"
    (root / "job-1").mkdir(parents=True)
    now = Settings(data_dir=tmp_path / "var", profile_roots=(root,))
    kept = keep_upload(now, "a.zip", b"PK")
    ids = [one.id for one in runs(now)]
    assert ids[:2] == ["a.zip", "profiles-job-1"]
    assert "sample-single_slow" in ids
    with pytest.raises(TrainingError, match="letters, digits"):
        keep_upload(now, "../a.zip", b"")
    delete_run(now, "../../profiles")
    delete_run(now, kept.id)
    assert list(runs_folder(now).iterdir()) == []
    assert root.is_dir()
