from __future__ import annotations

import json
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lib.training import folder as folder_module
from lib.training.folder import open_profile
from lib.training.model import TrainingError
from lib.training.runs import SAMPLES


def minute(place: Path, number: int, samples: int = 3, node: str = "algo-1") -> Path:
    second = 1_600_000_020 + 60 * number
    path = place / "profiler-output" / "system" / "incremental" / "2020091312"
    path.mkdir(parents=True, exist_ok=True)
    rows = [
        {"Type": "cpu", "Name": "cpu0", "Dimension": "CPUUtilization", "Value": 10.0 * at,
         "NodeId": node, "Timestamp": second + at}
        for at in range(samples)
    ]  # fmt: skip
    file = path / f"{second}.{node}.json"
    file.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    return file


def test_a_running_job_is_followed_by_reading_only_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, cache = tmp_path / "run", tmp_path / "cache.arrow"
    minute(place, 0)
    first = open_profile(place, cache)
    assert len(first.system[0].times) == 3
    read: list[str] = []
    reader = folder_module._reader

    def noted(one: folder_module.Source) -> object:
        read.append(one.name)
        return reader(one)

    monkeypatch.setattr(folder_module, "_reader", noted)
    minute(place, 1, 5)
    second = open_profile(place, cache)
    assert [name.rpartition("/")[2] for name in read] == ["1600000080.algo-1.json"]
    assert second.system[0].values.tolist() == [0, 10, 20, 0, 10, 20, 30, 40]
    read.clear()
    again = open_profile(place, cache)
    assert read == []
    assert np.array_equal(again.system[0].times, second.system[0].times)


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    place, cache = tmp_path / "run", tmp_path / "cache.arrow"
    file = minute(place, 0)
    open_profile(place, cache)
    minute(place, 0, 6)
    os.utime(file, ns=(1, 1))
    assert len(open_profile(place, cache).system[0].times) == 6
    cache.write_bytes(b"no arrow file")
    assert len(open_profile(place, cache).system[0].times) == 6


def test_an_archive_is_read_as_its_folder_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(SAMPLES / "ddp.zip") as archive:
        archive.extractall(tmp_path / "ddp")
    packed, unpacked = open_profile(SAMPLES / "ddp.zip"), open_profile(tmp_path / "ddp")
    assert len(packed.spans) == len(unpacked.spans) == 400
    for one, other in zip(packed.system, unpacked.system, strict=True):
        assert one.channel == other.channel
        assert np.array_equal(one.values, other.values)


def test_missing_minutes_and_mixed_jobs_are_said(tmp_path: Path) -> None:
    minute(tmp_path, 0, 9)
    minute(tmp_path, 9, 9)
    events = tmp_path / "profiler-output" / "framework" / "pevents" / "2026010100"
    events.mkdir(parents=True)
    step = {"ph": "X", "name": "Step:ModeKeys.TRAIN", "pid": 1, "ts": 0, "dur": 5}
    origin = {"ph": "M", "args": {"start_time_since_epoch_in_micros": 1_700_000_000_000_000}}
    (events / "1700000000000000_1-algo-1_pythontimeline.json").write_text(
        json.dumps([origin, step])
    )
    found = open_profile(tmp_path)
    assert {one.kind for one in found.oddities} == {"gaps", "mixed"}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda place: place.mkdir(), "run is empty"),
        (lambda place: (place.mkdir(), (place / "notes.txt").write_text("x")), "none is a profile"),
        (lambda _: None, "There is no run"),
    ],
)
def test_what_is_no_profile_is_refused(tmp_path: Path, make: object, said: str) -> None:
    place = tmp_path / "run"
    make(place)  # type: ignore[operator]  # a function of the place
    with pytest.raises(TrainingError, match=said):
        open_profile(place)


def test_a_broken_archive_and_traces_without_steps_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "x.zip"
    broken.write_bytes(b"PK no")
    with pytest.raises(TrainingError, match="no zip archive"):
        open_profile(broken)
    trace = tmp_path / "a.pt.trace.json"
    trace.write_text('[{"ph": "X", "name": "aten::add", "ts": 1, "dur": 2}]')
    with pytest.raises(TrainingError, match="none of their events belongs to a step"):
        open_profile(trace)


def test_a_report_of_aws_is_read_without_its_samples(tmp_path: Path) -> None:
    place = tmp_path / "rule-output" / "ProfilerReport-1" / "profiler-output" / "profiler-reports"
    place.mkdir(parents=True)
    told = {"RuleTriggered": 3, "Violations": 4, "Datapoints": 9_287,
            "RuleParameters": "threshold:50\ncpu_threshold:90"}  # fmt: skip
    (place / "CPUBottleneck.json").write_text(json.dumps(told))
    for name, text in (("Other", "{}"), ("Deep", "[" * 100_000), ("Big", " " * (2 << 20))):
        (place / f"{name}.json").write_text(text)
    (tmp_path / "sightline.json").write_text("[1]")
    found = open_profile(tmp_path)
    [reported] = found.reported
    assert (reported.rule, reported.fired, reported.samples) == ("CPUBottleneck", 3, 9_287)
    assert reported.parameters == "threshold:50, cpu_threshold:90"


def test_an_archive_is_read_as_a_stream_and_a_giant_minute_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "MOST_MINUTE_BYTES", 1_000)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("system/incremental/2020091312/1600000020.algo-1.json", b" " * 50_000_000)
    tracemalloc.start()
    with pytest.raises(TrainingError, match="no minute of system metrics"):
        open_profile(bomb)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000


MINUTE = "system/incremental/2020091312/1600000020.algo-1.json"


def packed(place: Path, name: str, content: bytes) -> bytearray:
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return bytearray(place.read_bytes())


def test_an_entry_that_lies_about_its_size_gives_no_more_and_is_damaged(tmp_path: Path) -> None:
    place = tmp_path / "liar.zip"
    data = packed(place, MINUTE, b" " * 50_000_000)
    at = data.index(b"PK\x01\x02") + 24  # the size in the central directory
    data[at : at + 4] = struct.pack("<I", 100)
    place.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(TrainingError, match="is damaged"):
        open_profile(place)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000


def test_an_encrypted_or_damaged_archive_is_said(tmp_path: Path) -> None:
    place = tmp_path / "locked.zip"
    data = packed(place, MINUTE, b"x")
    data[data.index(b"PK\x01\x02") + 8] |= 1
    data[data.index(b"PK\x03\x04") + 6] |= 1
    place.write_bytes(data)
    with pytest.raises(TrainingError, match=r"cannot be unpacked.*encrypted"):
        open_profile(place)
    trace = tmp_path / "trace.zip"
    step = '{"ph": "X", "name": "ProfilerStep#1", "ts": 1, "dur": 2}'
    data = packed(trace, "w.pt.trace.json", f"[{step},{step}]".encode())
    at = data.index(b"PK\x01\x02") + 16  # its checksum
    data[at : at + 4] = b"\0\0\0\0"
    trace.write_bytes(data)
    with pytest.raises(TrainingError, match=r"w\.pt\.trace\.json is damaged"):
        open_profile(trace)
