"""Events of programs: timelines of SageMaker Debugger, Horovod, SMDDP, TensorFlow and PyTorch.

All are Chrome traces: a list of events, or an object that holds it as `traceEvents`. They are read
as a stream, an event at a time, so that a trace larger than memory can be read; of each, only what
belongs to a phase is kept.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np

from lib.training.model import PHASES, Oddity, Phase, Spans

CHUNK = 1 << 20
MOST_CHARACTERS = 1 << 23  # of one value; what is longer, or no JSON, ends the trace
MOST_SECONDS = 86_400.0  # of one event; longer ones are garbage
MOST_STEPS = 1 << 40
MOST_MICROS = 4e15  # the year 2096
COLLECTIVES = (
    r"(?i)all_?reduce|all_?gather|reduce_?scatter|broadcast|^nccl|nccl:|gloo:|horovod"
    r"|smdataparallel|c10d::"
)
PHASE_NAMES: tuple[tuple[Phase, str], ...] = (  # the first that matches the track or the name
    (Phase.STEP, r"^Step:|^ProfilerStep#|^train_step$|^TrainStep"),
    (Phase.COMMUNICATION, COLLECTIVES),
    (Phase.DATA, r"(?i)data_?loader|DataIterator|GetNext|^Iterator::|enumerate\(DataLoader"),
    (Phase.FORWARD, r"^Forward(?!-SubModule)|^forward$"),
    (Phase.BACKWARD, r"^Backward(?!-SubModule)|^backward$"),
    (Phase.OPTIMIZER, r"(?i)^optimizer"),
    (Phase.CHECKPOINT, r"(?i)checkpoint|save_model"),
)  # fmt: skip
KEPT_CATEGORIES = frozenset({"kernel", "gpu_memcpy", "gpu_memset"})  # of PyTorch: the device works
DEVICE = "device"
_STEP_NUMBER = re.compile(r"#(\d+)")
_NAME = re.compile(r"(\d{10,})_(\d+)-?(.*?)_(\w+)\.json")
_META = re.compile(r".*_(\d{15,17})_(\d{15,17})\.metadata")


def read_trace(
    stream: IO[bytes], file: str, *, metadata: str = ""
) -> tuple[Spans, tuple[Oddity, ...]]:
    """Return the events of a trace that belong to a phase, and what was odd.

    `file` names the worker where events do not; `metadata` is the name of TensorFlow's file
    beside the trace, which holds when it began.
    """
    found = _META.match(metadata)
    reading = _Reading(_worker_of(file), int(found[1]) if found else 0)
    for key, event in events(stream, reading.counts):
        if key == "event":
            reading.take(event)
        else:
            reading.told(key, event)
    return reading.spans(), _oddities(reading.finished())


class _Reading:
    """A trace as it is read: its origin, its tracks, what is open, and the rows so far."""

    def __init__(self, worker: tuple[str, str], origin: int) -> None:
        self.counts: Counter[str] = Counter()
        self._process, self._node = worker
        self._origin = origin
        self._rank = ""
        self._tracks: dict[Any, str] = {}
        self._open: dict[Any, tuple[str, float]] = {}
        self._workers: dict[str, int] = {}
        self._names: dict[str, int] = {}
        self._rows: list[tuple[int, int, int, int, int, int]] = []

    def told(self, key: str, value: Any) -> None:
        """Note a member of the object that holds the events."""
        if key == "distributedInfo" and isinstance(value, Mapping):
            self._rank = f"rank {value.get('rank')}"
        elif key == "baseTimeNanoseconds" and isinstance(value, int):
            self._origin = value // 1_000 if 0 <= value // 1_000 < MOST_MICROS else 0

    def take(self, event: Any) -> None:
        """Take one event; what is no event is counted."""
        if not isinstance(event, Mapping):
            self.counts["broken"] += 1
            return
        given = event.get("args")
        arguments = given if isinstance(given, Mapping) else {}
        try:
            self._take_whole(event, arguments)
        except (TypeError, ValueError, OverflowError):  # a member of another kind
            self.counts["broken"] += 1

    def _take_whole(self, event: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
        if event.get("ph") == "M":
            self._note(event, arguments)
            return
        whole = self._whole(event)
        if whole is None:
            return
        if 0 <= whole[2] <= MOST_SECONDS * 1e6 and abs(whole[1]) < MOST_MICROS:
            self._keep(event, arguments, whole)
        else:
            self.counts["absurd"] += 1

    def finished(self) -> Counter[str]:
        """Return the counts of what was odd, with what never ended."""
        self.counts["unclosed"] += len(self._open)
        return self.counts

    def spans(self) -> Spans:
        """Return the events that were kept."""
        table = np.array(self._rows, dtype=np.int64).reshape(-1, 6)
        return Spans(
            tuple(self._workers), tuple(self._names), table[:, 0].astype(np.int8),
            table[:, 1].astype(np.int32), table[:, 2].astype(np.int32), table[:, 3], table[:, 4],
            table[:, 5],
        )  # fmt: skip

    def _note(self, event: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
        if "start_time_since_epoch_in_micros" in arguments:
            self._origin = _moment(int(arguments["start_time_since_epoch_in_micros"]))
        elif event.get("name") == "process_name" and "name" in arguments:
            self._tracks[event.get("pid")] = str(arguments["name"])

    def _whole(self, event: Mapping[str, Any]) -> tuple[str, float, float] | None:
        """Return name, begin and length in microseconds; None where the event is not whole yet."""
        kind, name, place = event.get("ph"), str(event.get("name", "")), _place(event)
        if kind == "X":
            return name, float(event.get("ts", 0.0)), float(event.get("dur", 0.0))
        if kind == "B":
            self._open[place] = (name, float(event["ts"])) if "ts" in event else (name, 0.0)
        elif kind == "E":
            begun = self._open.pop(place, None)
            if begun is not None:
                return begun[0], begun[1], float(event.get("ts", 0.0)) - begun[1]
            self.counts["unopened"] += 1
        return None

    def _keep(
        self,
        event: Mapping[str, Any],
        arguments: Mapping[str, Any],
        whole: tuple[str, float, float],
    ) -> None:
        name, stamp, lasts = whole
        phase = _phase_of(event, self._tracks.get(event.get("pid"), ""), name)
        if phase is None:
            return
        process = str(arguments.get("pid", "")) or self._process
        worker = self._rank or f"{self._node} {process}".strip()
        shown = DEVICE if phase is Phase.OTHER else name[:120]
        self._rows.append(
            (
                PHASES.index(phase),
                self._workers.setdefault(worker, len(self._workers)),
                self._names.setdefault(shown, len(self._names)),
                _step_of(arguments, name),
                self._origin + round(stamp),
                round(lasts),
            )
        )


def _moment(micros: int) -> int:
    """Return the moment; raise ValueError where no clock says so."""
    if not 0 <= micros < MOST_MICROS:
        raise ValueError("The origin of the trace is no time.")
    return micros


def _place(event: Mapping[str, Any]) -> tuple[Any, Any]:
    return event.get("pid"), event.get("tid")


def events(stream: IO[bytes], counts: Counter[str]) -> Iterator[tuple[str, Any]]:
    """Yield the events of a Chrome trace, and of an object's other members those worth knowing.

    A trace that is cut off gives what is whole; `counts` gets what was left out.
    """
    decoder = json.JSONDecoder()
    text = _Text(stream, counts)
    first = text.peek()
    if first == "{":
        wanted = ("distributedInfo", "baseTimeNanoseconds")
        text.take(1)
        while True:
            text.skip(", \n\r\t")
            if text.peek() in {"", "}"}:
                return
            key = text.value(decoder)
            text.skip(": \n\r\t")
            if key == "traceEvents":
                yield from _listed(text, decoder)
                continue
            value = text.value(decoder)
            if value is None and text.is_over:
                return
            if key in wanted:
                yield str(key), value
    elif first == "[":
        yield from _listed(text, decoder)
    elif first:
        counts["broken"] += 1


def _listed(text: _Text, decoder: json.JSONDecoder) -> Iterator[tuple[str, Any]]:
    text.take(1)
    while True:
        text.skip(", \n\r\t")
        if text.peek() in {"", "]"}:
            text.take(1)
            return
        value = text.value(decoder)
        if text.is_over:
            return
        yield "event", value


class _Text:
    """A stream of bytes as text, of which a window is in memory."""

    def __init__(self, stream: IO[bytes], counts: Counter[str]) -> None:
        head = stream.read(2)
        joined: IO[bytes] = io.BufferedReader(_Prefixed(head, stream))
        packed = gzip.GzipFile(fileobj=joined) if head == b"\x1f\x8b" else joined
        self._stream = io.TextIOWrapper(packed, encoding="utf-8", errors="replace")
        self._window = ""
        self._at = 0
        self._counts = counts
        self.is_over = False

    def peek(self) -> str:
        """Return the next character that is no blank; empty at the end."""
        self.skip(" \n\r\t")
        return self._window[self._at : self._at + 1]

    def skip(self, characters: str) -> None:
        """Go on to the next character that is none of these."""
        while True:
            while self._at < len(self._window) and self._window[self._at] in characters:
                self._at += 1
            if self._at < len(self._window) or not self._more():
                return

    def take(self, count: int) -> None:
        """Go on by so many characters."""
        self._at += count

    def value(self, decoder: json.JSONDecoder) -> Any:
        """Return the JSON value that begins here; None, and `is_over`, where it is cut off."""
        while True:
            found, end = self._decoded(decoder)
            # A number at the window's end may go on behind it.
            if end >= 0 and (end < len(self._window) or not self._more()):
                self._at = end
                return found
            is_too_long = len(self._window) - self._at > MOST_CHARACTERS
            if end < 0 and (is_too_long or not self._more()):
                self._counts["broken"] += 1
                self.is_over = True
                return None

    def _decoded(self, decoder: json.JSONDecoder) -> tuple[Any, int]:
        """Return the value that begins here and where it ends, -1 where it does not yet."""
        try:
            return decoder.raw_decode(self._window, self._at)
        except (ValueError, RecursionError):  # cut off, no JSON, or nested for its own sake
            return None, -1

    def _more(self) -> bool:
        try:
            chunk = self._stream.read(CHUNK)
        except (EOFError, OSError, zlib.error, zipfile.BadZipFile):
            self._counts["broken"] += 1
            return False
        if not chunk:
            return False
        self._window = self._window[self._at :] + chunk
        self._at = 0
        return True


class _Prefixed(io.RawIOBase):
    """A stream with bytes before it that were read already."""

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer and return how much it holds."""
        chunk = self._head or self._stream.read(len(buffer))
        self._head = b""
        part, rest = chunk[: len(buffer)], chunk[len(buffer) :]
        self._head = rest
        buffer[: len(part)] = part
        return len(part)


def _phase_of(event: Mapping[str, Any], track: str, name: str) -> Phase | None:
    category = str(event.get("cat", ""))
    for phase, pattern in PHASE_NAMES:
        if category in KEPT_CATEGORIES and phase is not Phase.COMMUNICATION:
            continue
        if (track and re.search(pattern, track)) or re.search(pattern, name):
            return phase
    return Phase.OTHER if category in KEPT_CATEGORIES else None


def _step_of(arguments: Mapping[str, Any], name: str) -> int:
    try:
        step = int(arguments["step_num"])
    except (KeyError, TypeError, ValueError, OverflowError):
        found = _STEP_NUMBER.search(name)
        step = int(found[1]) if found else -1
    return step if abs(step) < MOST_STEPS else -1


def _worker_of(file: str) -> tuple[str, str]:
    """Return process and node that a file of Debugger names; the file itself where it does not."""
    found = _NAME.search(file)
    return (found[2], found[3]) if found else ("", file.rpartition("/")[2].partition(".")[0])


def _oddities(counts: Mapping[str, int]) -> tuple[Oddity, ...]:
    words = {
        "broken": "events are cut off or none, and were left out",
        "absurd": "events last less than nothing or more than a day, and were left out",
        "unopened": "events end that never began, and were left out",
        "unclosed": "events begin and never end, and were left out",
    }
    return tuple(
        Oddity(f"trace {kind}", counts[kind], text)
        for kind, text in words.items()
        if counts.get(kind)
    )
