"""Records a training run as SageMaker Debugger's profiler would, on any machine.

    recorder = Recorder("runs/first")
    for batch in recorder.steps(loader):
        with recorder.phase("Forward"):
            loss = model(batch)

`steps` alone makes a profile: it times the wait for each batch and the step as a whole, while a
thread samples cores, I/O wait, memory, disk, network, pressure stall information, and NVIDIA
devices where they are. A rank of several writes to the same folder; the first one samples.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

import psutil  # type: ignore[import-untyped]  # it ships no types

Batch = TypeVar("Batch")

TRACKS = ("DataLoaderIter", "Forward", "Backward", "Optimizer", "Step:ModeKeys.TRAIN", "Checkpoint")
PRESSURE = Path("/proc/pressure")
PRESSURES = ("cpu", "io", "memory")
MINUTE = 60


class Recorder:
    """Samples the machine every `interval` seconds and takes events of the program; use `close`.

    `configuration` is what a comparison of runs may name as different, such as the batch size.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        interval: float = 0.5,
        node: str = "algo-1",
        rank: int = 0,
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        self._folder = Path(folder) / "profiler-output"
        self._node = node
        self._interval = interval
        self._rank = rank
        self._origin = time.time_ns() // 1_000
        self._events: list[dict[str, Any]] = []
        self._step = 0
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, name="recorder", daemon=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        if rank == 0:
            told = {"host": socket.gethostname(), "cores": os.cpu_count(), **(configuration or {})}
            (self._folder / "sightline.json").write_text(json.dumps(told))
            self._sampler.start()

    def __enter__(self) -> Self:
        """Return the recorder."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Write what was recorded."""
        self.close()

    def steps(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches; the time until each is data, all until the next one is its step."""
        source = iter(batches)
        while True:
            begun = self._now()
            try:
                batch = next(source)
            except StopIteration:
                return
            self._add("DataLoaderIter", "DataLoaderIter::GetNext", begun)
            yield batch
            self._add("Step:ModeKeys.TRAIN", "Step:ModeKeys.TRAIN", begun)
            self._step += 1

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside: Forward, Backward, Optimizer, Checkpoint or another name."""
        begun = self._now()
        try:
            yield
        finally:
            self._add(name, name, begun)

    def close(self) -> None:
        """End sampling, and write the events."""
        if not self._stop.is_set():
            self._stop.set()
            if self._sampler.is_alive():
                self._sampler.join()
            self._write_events()

    def _now(self) -> int:
        return time.time_ns() // 1_000

    def _add(self, track: str, name: str, begun: int) -> None:
        self._events.append(
            {
                "name": name, "pid": self._track(track), "ph": "X", "ts": begun - self._origin,
                "dur": self._now() - begun,
                "args": {"pid": os.getpid(), "step_num": str(self._step)},
            }
        )  # fmt: skip

    def _track(self, name: str) -> int:
        return TRACKS.index(name) + 1 if name in TRACKS else len(TRACKS) + 1

    def _write_events(self) -> None:
        end = self._now()
        hour = time.strftime("%Y%m%d%H", time.gmtime(end / 1e6))
        folder = self._folder / "framework" / "pevents" / hour
        folder.mkdir(parents=True, exist_ok=True)
        head: list[dict[str, Any]] = [
            {"name": "process_name", "ph": "M", "pid": 0,
             "args": {"start_time_since_epoch_in_micros": self._origin}}
        ]  # fmt: skip
        names = (*TRACKS, "Other")
        head += [
            {"name": "process_name", "ph": "M", "pid": at, "args": {"name": name}}
            for at, name in enumerate(names, start=1)
        ]
        path = folder / f"{end}_{os.getpid()}-{self._node}_pythontimeline.json"
        lines = ",\n".join(json.dumps(one) for one in [*head, *self._events])
        path.write_text(f"[\n{lines}\n]\n")

    def _sample(self) -> None:
        machine = Machine()
        file: IO[str] | None = None
        minute = -1
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += self._interval
            stamp = time.time()
            if file is None or int(stamp) // MINUTE != minute:
                minute = int(stamp) // MINUTE
                if file is not None:
                    file.close()
                file = self._minute_file(minute * MINUTE)
            for kind, name, dimension, value in machine.read():
                row = {"Type": kind, "Name": name, "Dimension": dimension,
                       "Value": round(value, 2), "NodeId": self._node,
                       "Timestamp": round(stamp, 6)}  # fmt: skip
                file.write(json.dumps(row, separators=(",", ":")) + "\n")
            file.flush()
        if file is not None:
            file.close()

    def _minute_file(self, second: int) -> IO[str]:
        hour = time.strftime("%Y%m%d%H", time.gmtime(second))
        folder = self._folder / "system" / "incremental" / hour
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / f"{second}.{self._node}.json").open("a")


class Machine:
    """The machine's counters, and what they were at the last look."""

    def __init__(self) -> None:
        self._cores = psutil.cpu_times(percpu=True)
        self._disk = psutil.disk_io_counters()
        self._network = psutil.net_io_counters()
        self._at = time.monotonic()
        self._devices = _devices()

    def read(self) -> Iterator[tuple[str, str, str, float]]:
        """Yield type, name, dimension and value of each measure since the last look."""
        now = time.monotonic()
        passed, self._at = max(now - self._at, 1e-6), now
        yield from self._read_cores()
        yield "memory", "MemoryUsedPercent", "", psutil.virtual_memory().percent
        yield from self._read_disk(passed)
        yield from self._read_network(passed)
        for name in PRESSURES:
            if (some := _pressure(name)) is not None:
                yield "pressure", f"{name}_some", "Percent", some
        for number, device in enumerate(self._devices):
            yield from _read_device(number, device)

    def _read_cores(self) -> Iterator[tuple[str, str, str, float]]:
        cores = psutil.cpu_times(percpu=True)
        for number, (before, after) in enumerate(zip(self._cores, cores, strict=True)):
            whole = sum(after) - sum(before)
            idle, wait = after.idle - before.idle, _iowait(after) - _iowait(before)
            share = 100 / whole if whole > 0 else 0.0
            yield "cpu", f"cpu{number}", "CPUUtilization", max(0.0, share * (whole - idle - wait))
            yield "cpu", f"cpu{number}", "I/OWaitPercentage", max(0.0, share * wait)
        self._cores = cores

    def _read_disk(self, passed: float) -> Iterator[tuple[str, str, str, float]]:
        before, after = self._disk, psutil.disk_io_counters()
        self._disk = after
        if before is None or after is None:
            return
        count = after.read_count + after.write_count - before.read_count - before.write_count
        yield "i/o", "IOPS", "", count / passed
        read, written = after.read_bytes - before.read_bytes, after.write_bytes - before.write_bytes
        yield "i/o", "ReadThroughputInBytesPerSecond", "", read / passed
        yield "i/o", "WriteThroughputInBytesPerSecond", "", written / passed

    def _read_network(self, passed: float) -> Iterator[tuple[str, str, str, float]]:
        before, after = self._network, psutil.net_io_counters()
        self._network = after
        received, sent = after.bytes_recv - before.bytes_recv, after.bytes_sent - before.bytes_sent
        yield "network", "ReceiveBytesPerSecond", "Algorithm", received / passed
        yield "network", "TransmitBytesPerSecond", "Algorithm", sent / passed


def _iowait(times: Any) -> float:
    return float(getattr(times, "iowait", 0.0))


def _pressure(name: str) -> float | None:
    """Return the share of the last ten seconds in which some task waited; None where unknown."""
    try:
        line = (PRESSURE / name).read_text().splitlines()[0]
        return float(line.split("avg10=")[1].split()[0])
    except (OSError, IndexError, ValueError):
        return None


def _devices() -> list[Any]:
    """Return handles of NVIDIA devices; none without the driver or its package."""
    try:
        import pynvml  # type: ignore[import-not-found]  # only where there are such devices

        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetHandleByIndex(at) for at in range(pynvml.nvmlDeviceGetCount())]
    except Exception:  # noqa: BLE001 - the driver's package raises its own kinds; none is fatal
        return []


def _read_device(number: int, device: Any) -> Iterator[tuple[str, str, str, float]]:
    import pynvml

    used = pynvml.nvmlDeviceGetUtilizationRates(device)
    memory = pynvml.nvmlDeviceGetMemoryInfo(device)
    yield "gpu", f"gpu{number}", "GPUUtilization", float(used.gpu)
    yield "gpu", f"gpu{number}", "GPUMemoryUtilization", 100.0 * memory.used / memory.total
