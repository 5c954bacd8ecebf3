from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.training import traces
from lib.training.model import PHASES, Phase
from lib.training.traces import events, read_trace

FILE = "framework/pevents/2026112313/1795440339987652_17989-algo-1_pythontimeline.json"


def track(pid: int, name: str) -> dict[str, Any]:
    return {"name": "process_name", "ph": "M", "pid": pid, "args": {"name": name}}


ORIGIN = {"name": "process_name", "ph": "M", "pid": 0,
          "args": {"start_time_since_epoch_in_micros": 1_000_000}}  # fmt: skip


def read(found: Any, file: str = FILE) -> Any:
    return read_trace(io.BytesIO(json.dumps(found).encode()), file)


def test_phases_come_from_tracks_and_times_from_the_origin() -> None:
    step = {"ph": "X", "name": "Step", "pid": 5, "ts": 10, "dur": 100,
            "args": {"pid": 7, "step_num": "3"}}  # fmt: skip
    wait = {"ph": "X", "name": "GetNext", "pid": 1, "ts": 20, "dur": 5, "args": {"pid": 7}}
    spans, odd = read(
        [ORIGIN, track(1, "DataLoaderIter"), track(5, "Step:ModeKeys.TRAIN"), step, wait]
    )
    assert [PHASES[one] for one in spans.phase] == [Phase.STEP, Phase.DATA]
    assert spans.start.tolist() == [1_000_010, 1_000_020]
    assert spans.step.tolist() == [3, -1]
    assert spans.workers == ("algo-1 7",)
    assert odd == ()


def test_horovod_opens_and_closes_and_garbage_is_counted() -> None:
    found = [
        track(1, "Adam_Allreduce/x"),
        {"ph": "B", "name": "NEGOTIATE_ALLREDUCE", "ts": 10, "pid": 1},
        {"ph": "E", "ts": 30, "pid": 1},
        {"ph": "E", "ts": 40, "pid": 1},
        {"ph": "B", "name": "ALLREDUCE", "ts": 50, "pid": 1},
        {"ph": "X", "name": "ALLREDUCE", "ts": 60, "pid": 1, "dur": 812_355_471_858},
        {"ph": "X", "name": "ALLREDUCE", "ts": "?", "pid": 1},
        "no event",
    ]
    spans, odd = read(found)
    assert [PHASES[one] for one in spans.phase] == [Phase.COMMUNICATION]
    assert spans.duration.tolist() == [20]
    assert {one.kind: one.count for one in odd} == {
        "trace absurd": 1, "trace unopened": 1, "trace unclosed": 1, "trace broken": 2
    }  # fmt: skip


def test_a_trace_of_pytorch_names_rank_steps_and_device() -> None:
    found = {
        "schemaVersion": 1,
        "distributedInfo": {"backend": "nccl", "rank": 3},
        "baseTimeNanoseconds": 1_000_000_000,
        "traceEvents": [
            {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#7", "ts": 0.5, "dur": 10.0},
            {"ph": "X", "cat": "kernel", "name": "ncclKernel_AllReduce", "ts": 1, "dur": 2},
            {"ph": "X", "cat": "kernel", "name": "gemm", "ts": 4, "dur": 2},
            {"ph": "X", "cat": "cpu_op", "name": "aten::add", "ts": 5, "dur": 1},
        ],
        "displayTimeUnit": "ms",
    }
    spans, _ = read(found, "w.pt.trace.json")
    assert spans.workers == ("rank 3",)
    assert spans.step.tolist() == [7, -1, -1]
    kinds = [PHASES[one] for one in spans.phase]
    assert kinds == [Phase.STEP, Phase.COMMUNICATION, Phase.OTHER]
    assert spans.start[0] == 1_000_000


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.text(max_size=4), values, max_size=3), max_size=8),
       st.integers(1, 40), st.booleans(), st.booleans())  # fmt: skip
def test_streaming_finds_what_the_json_module_finds(
    found: list[Any],
    chunk: int,
    packed: bool,  # noqa: FBT001 - drawn
    wrapped: bool,  # noqa: FBT001 - drawn
) -> None:
    before = traces.CHUNK
    traces.CHUNK = chunk
    try:
        whole: Any = {"schemaVersion": 1, "traceEvents": found, "more": [1]} if wrapped else found
        text = json.dumps(whole, indent=1).encode()
        stream = io.BytesIO(gzip.compress(text) if packed else text)
        counts = Counter[str]()
        assert [event for _, event in events(stream, counts)] == found
        assert not counts
    finally:
        traces.CHUNK = before


@pytest.mark.parametrize("cut", [3, 40, 70, 100])
def test_a_trace_that_is_cut_off_gives_what_is_whole(cut: int) -> None:
    text = json.dumps([{"ph": "X", "name": "ALLREDUCE", "ts": at, "dur": 1} for at in range(3)])
    counts = Counter[str]()
    found = list(events(io.BytesIO(text[:cut].encode()), counts))
    assert len(found) == text[:cut].count("}")
    assert counts["broken"] <= 1


def test_what_is_no_trace_gives_nothing() -> None:
    for content in (b"", b"hello", b"\x1f\x8bnot gzip", b"{}", b"[]"):
        spans, _ = read_trace(io.BytesIO(content), "x.json")
        assert len(spans) == 0
        assert spans.start.dtype == np.int64


KEYS = st.sampled_from(["ph", "name", "pid", "tid", "ts", "dur", "args", "cat"])
KINDS = st.sampled_from(["M", "X", "B", "E", "process_name", "ProfilerStep#1", "kernel"])
ARGUMENTS = st.dictionaries(
    st.sampled_from(["name", "pid", "step_num", "start_time_since_epoch_in_micros"]), values
)
BIG = st.sampled_from([1e300, float("inf"), float("nan"), 10**30, "10" * 20, [1]])


@given(
    st.lists(
        st.dictionaries(KEYS, KINDS | values | ARGUMENTS | BIG, max_size=8) | values, max_size=6
    ),
    st.dictionaries(st.sampled_from(["distributedInfo", "baseTimeNanoseconds"]), values | BIG),
)
def test_whatever_an_event_holds_it_is_kept_or_counted(
    found: list[Any], head: dict[str, Any]
) -> None:
    spans, _ = read_trace(io.BytesIO(json.dumps({**head, "traceEvents": found}).encode()), "x.json")
    assert (spans.duration >= 0).all()
    assert len(spans) <= len(found)


@pytest.mark.parametrize("body", [b'"' + b"a" * 3_000, b"[" * 3_000, b'{"ph": "X" "name": 1}'])
def test_what_is_no_json_or_too_long_ends_the_trace_and_not_the_memory(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(traces, "CHUNK", 100)
    monkeypatch.setattr(traces, "MOST_CHARACTERS", 1_000)

    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            self.taken += len(found)
            return found

    whole = b'{"ph": "X", "name": "ALLREDUCE", "ts": 1, "dur": 1}'
    stream = Counting(b"[" + whole + b"," + body + b" " * 1_000_000 + b"]")
    spans, odd = read_trace(stream, "x.json")
    assert len(spans) == 1
    assert [one.kind for one in odd] == ["trace broken"]
    assert stream.taken < 100_000
