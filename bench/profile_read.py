"""Reading a large profile: 64 accelerators of 8 nodes over two hours at 500 ms, 24.9 million rows.

The files are made by the format of SageMaker Debugger's profiler. polars' reader of JSON lines
reads the same files in the same run. smdebug, which wrote that format, is timed on some minutes in
an environment of its own and extrapolated. Every number is compared with Python's json module on
a part of the files.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from time import perf_counter

import numpy as np

from bench.peers import peer_python
from bench.result import Row
from lib.settings import ROOT
from lib.training.model import Channel

NODES, CORES, GPUS, MINUTES, QUICK_MINUTES = 8, 96, 8, 120, 6
INTERVAL_MS = 500
BEGIN = 1_790_000_040  # a full minute
CHECKED = 2  # files that are compared number by number
POLARS, SMDEBUG = ["polars==1.35.2"], ["smdebug==1.0.34", "pandas==1.5.3", "numpy==1.26.4",
                                        "requests==2.32.5", "psutil==7.1.3"]  # fmt: skip
GOAL_FIRST, GOAL_AGAIN, GOAL_MEMORY, GOAL_RATIO = 15.0, 2.0, 2.0, 30.0
TIMEOUT_S = 1_200


def run(quick: bool) -> list[Row]:  # noqa: FBT001 - the signature of every bench
    """Return seconds of the first and the second opening, memory, ratios, and the oracle."""
    minutes = QUICK_MINUTES if quick else MINUTES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "profile" / "profiler-output"
        rows = write_profile(folder, minutes)
        cache = Path(name) / "cache.arrow"
        # In a process of its own, whose memory is only what reading takes.
        first = _opened(folder.parent, cache)
        again = _opened(folder.parent, cache)
        wrong = _differences(folder)
        peers = _peers(folder, minutes)
    case = f"{rows:,} rows, {NODES} nodes, {minutes} minutes"
    found = [
        Row(case, "first opening", "s", "lower", first["seconds"], peers,
            f"< {GOAL_FIRST:g}", first["seconds"] < GOAL_FIRST),
        Row(case, "opening again", "s", "lower", again["seconds"], {}, f"< {GOAL_AGAIN:g}",
            again["seconds"] < GOAL_AGAIN),
        Row(case, "memory", "GB", "lower", first["memory"], {}, f"< {GOAL_MEMORY:g}",
            first["memory"] < GOAL_MEMORY),
        Row(case, f"numbers that differ from json's, {CHECKED} files", "rows", "lower", wrong, {},
            "0", wrong == 0),
    ]  # fmt: skip
    for peer, seconds in peers.items():
        ratio = seconds / first["seconds"]
        least = GOAL_RATIO if peer == "smdebug" else 1.0
        found.append(
            Row(case, f"times {peer}", "x", "higher", ratio, {}, f">= {least:g}", ratio >= least)
        )
    return found


def write_profile(folder: Path, minutes: int) -> int:
    """Write the profile and return the number of its rows."""
    random = np.random.default_rng(4)
    steps = 60_000 // INTERVAL_MS
    rows = 0
    for node in range(1, NODES + 1):
        heads = [head.replace("NODE", f"algo-{node}") for head in _heads()]
        for minute in range(minutes):
            second = BEGIN + 60 * minute
            values = np.round(100 * random.random((steps, len(heads))), 2).tolist()
            place = folder / "system" / "incremental" / f"{2026092100 + minute // 60}"
            place.mkdir(parents=True, exist_ok=True)
            with (place / f"{second}.algo-{node}.json").open("w") as file:
                for step in range(steps):
                    stamp = f"{second + step * INTERVAL_MS / 1000:.7f}"
                    file.write(
                        "".join(
                            head.replace("VALUE", repr(value)).replace("TIME", stamp)
                            for head, value in zip(heads, values[step], strict=True)
                        )
                    )
            rows += steps * len(heads)
    return rows


def _heads() -> list[str]:
    def head(kind: str, name: str, dimension: str) -> str:
        return (
            f'{{"Type":"{kind}","Name":"{name}","Dimension":"{dimension}","Value":VALUE,'
            '"NodeId":"NODE","Timestamp":TIME}\n'
        )

    heads = [
        head("cpu", f"cpu{at}", dimension)
        for at in range(CORES)
        for dimension in ("CPUUtilization", "I/OWaitPercentage")
    ]
    heads += [
        head("gpu", f"gpu{at}", dimension)
        for at in range(GPUS)
        for dimension in ("GPUUtilization", "GPUMemoryUtilization")
    ]
    heads += [head("memory", "MemoryUsedPercent", "")]
    heads += [
        head("i/o", name, "")
        for name in ("IOPS", "ReadThroughputInBytesPerSecond", "WriteThroughputInBytesPerSecond")
    ]
    return heads + [
        head("network", name, place)
        for name in ("ReceiveBytesPerSecond", "TransmitBytesPerSecond")
        for place in ("Algorithm", "Platform")
    ]


def _opened(place: Path, cache: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.profile_read", str(place), str(cache)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=TIMEOUT_S,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _differences(folder: Path) -> int:
    """Return how many samples of some files are other numbers than the json module's."""
    from lib.training.system_metrics import parse

    wrong = 0
    for path in sorted(folder.rglob("*.json"))[:CHECKED]:
        parsed = parse(path.read_bytes())
        ours = sorted(
            (parsed.channels[code], int(time), float(value))
            for code, time, value in zip(parsed.code, parsed.times, parsed.values, strict=True)
        )
        theirs = []
        for line in path.read_text().splitlines():
            row = json.loads(line)
            exact = Decimal(json.loads(line, parse_float=str)["Timestamp"])
            channel = Channel(row["NodeId"], row["Type"], row["Name"], row["Dimension"])
            theirs.append((channel, round(exact * 1_000_000), row["Value"]))
        theirs.sort()
        wrong += abs(len(ours) - len(theirs)) + sum(
            one != other for one, other in zip(ours, theirs, strict=False)
        )
    return wrong


def _peers(folder: Path, minutes: int) -> dict[str, float]:
    script = Path(__file__).with_name("peer_profile.py")
    found = {}
    for name, requirements in (("polars", POLARS), ("smdebug", SMDEBUG)):
        python = peer_python(requirements[0].replace("==", "-"), requirements)
        if python is None:
            print(f"{requirements[0]} cannot be had here, left out")
            continue
        done = subprocess.run(
            [python, script, name, str(folder)],
            capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
        if done.returncode:
            print(f"{name} failed, left out: {done.stderr.strip().splitlines()[-1:]}")
            continue
        answer = json.loads(done.stdout.splitlines()[-1])
        found[name] = answer["seconds"] * answer["times"]
        if answer["times"] != 1:
            print(f"{name}: timed on 1 of {answer['times']:g} parts, extrapolated")
    del minutes
    return found


if __name__ == "__main__":
    from lib.training.folder import open_profile

    begun = perf_counter()
    opened = open_profile(Path(sys.argv[1]), Path(sys.argv[2]))
    spent = perf_counter() - begun
    total = sum(len(one.times) for one in opened.system)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"seconds": spent, "rows": total, "memory": memory}))
