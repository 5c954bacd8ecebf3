"""A folder or an archive of profiler output: what is in it, read at first and from a cache again.

Known are the output of SageMaker Debugger (`system/`, `framework/`), PyTorch's traces
(`*.pt.trace.json`, `.gz`) and any other Chrome trace. The cache is an Arrow file beside the runs;
files that were read are told by size and time, so that a job that runs is followed by reading only
what is new.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import numpy as np

from lib.training.model import (
    Channel,
    Oddity,
    Profile,
    Reported,
    Series,
    Spans,
    TrainingError,
    joined,
    no_spans,
)
from lib.training.system_metrics import read_all
from lib.training.traces import read_trace

SYSTEM = re.compile(r"(?:^|/)(?:system/.+/)?\d{10}\.[\w.-]+\.json$")
TRACE = re.compile(
    r"(timeline\.json|trace\.json(\.gz)?|pt\.trace\.json(\.gz)?|timeline\w*\.json|\.json\.gz)$"
)
REPORT = re.compile(r"(?:^|/)profiler-reports/\w+\.json$")
MOST_ARCHIVE_BYTES = 20 << 30  # unpacked, of which a window is in memory
MOST_SMALL_BYTES = 1 << 20  # of a rule's report, and of what a run says of itself
MOST_MINUTE_BYTES = 256 << 20  # a node of 1,000 channels at 100 ms has 80 MB
COLUMNS = ("time", "value")

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Source:
    """A file to read: its name within the run, its stamp, its bytes, and how to open it."""

    name: str
    stamp: str  # size and time
    size: int
    open: Callable[[], IO[bytes]]


def _quiet(_fraction: float, _step: str) -> None:
    """Tell nobody."""


def open_profile(place: Path, cache: Path | None = None, report: Report = _quiet) -> Profile:
    """Return the profile of a folder, a zip archive or a single trace.

    With `cache`, a file, what was read before is not read again. Raises `TrainingError` where there
    is nothing to read.
    """
    sources = list(sources_of(place))
    system = sorted((one for one in sources if SYSTEM.search(one.name)), key=lambda one: one.name)
    traces = [
        one
        for one in sources
        if one not in system and TRACE.search(one.name) and not REPORT.search(one.name)
    ]
    if not system and not traces and not any(REPORT.search(one.name) for one in sources):
        raise TrainingError(_nothing(place, sources))
    series, oddities = _system(system, cache, report)
    parts: list[Spans] = []
    for number, one in enumerate(traces):
        report(0.8 + 0.2 * number / len(traces), f"Reading {one.name.rpartition('/')[2]}")
        beside = one.name.rpartition("/plugins/")[0]
        metadata = [
            other.name.rpartition("/")[2]
            for other in sources
            if beside and other.name.startswith(beside) and other.name.endswith(".metadata")
        ]
        with _opened(one) as stream:
            spans, odd = read_trace(stream, one.name, metadata=metadata[0] if metadata else "")
        parts.append(spans)
        oddities += odd
    spans = joined(parts) if parts else no_spans()
    reported = tuple(_reported(sources))
    profile = Profile(
        place.stem, series, spans, _counted(oddities), _configuration(sources), reported
    )
    if not series and not len(spans) and not reported:
        raise TrainingError(
            f"{place.name} holds {len(traces)} traces, and none of their events belongs to a step "
            "or a phase of training. Record with step events."
        )
    return _with_gaps(profile)


def sources_of(place: Path) -> Iterator[Source]:
    """Yield the files of a folder, of a zip archive, or the file itself.

    Raises `TrainingError` where it is not there or no archive.
    """
    if place.is_dir():
        for path in sorted(place.rglob("*")):
            if path.is_file() and not path.is_symlink():
                stat = path.stat()
                name = path.relative_to(place).as_posix()
                stamp = f"{stat.st_size} {stat.st_mtime_ns}"
                yield Source(name, stamp, stat.st_size, _opener(path))
    elif place.suffix == ".zip":
        yield from _archived(place)
    elif place.is_file():
        stat = place.stat()
        stamp = f"{stat.st_size} {stat.st_mtime_ns}"
        yield Source(place.name, stamp, stat.st_size, _opener(place))
    else:
        raise TrainingError(f"There is no {place.name}. Choose a folder, a zip or a trace.")


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


def _archived(place: Path) -> Iterator[Source]:
    try:
        with zipfile.ZipFile(place) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise TrainingError(f"{place.name} is no zip archive ({error}). Pack it again.") from error
    size = sum(one.file_size for one in entries)
    if size > MOST_ARCHIVE_BYTES:
        raise TrainingError(
            f"{place.name} unpacks to {size / 1e9:.0f} GB; {MOST_ARCHIVE_BYTES >> 30} are the most."
        )
    for one in entries:
        if not one.is_dir():
            stamp = f"{one.file_size} {one.CRC}"
            yield Source(one.filename, stamp, one.file_size, _member(place, one.filename))


def _member(place: Path, name: str) -> Callable[[], IO[bytes]]:
    def read() -> IO[bytes]:
        try:
            with zipfile.ZipFile(place) as archive:
                return archive.open(name)  # it keeps the file open until it is closed itself
        except (
            zipfile.BadZipFile,
            RuntimeError,
            NotImplementedError,
        ) as error:  # such as encrypted
            raise TrainingError(
                f"{name} in {place.name} cannot be unpacked ({error}). Pack it again."
            ) from error

    return read


def _nothing(place: Path, sources: Sequence[Source]) -> str:
    if not sources:
        return f"{place.name} is empty. Choose the folder that holds profiler-output."
    shown = ", ".join(one.name.rpartition("/")[2] for one in sources[:3])
    return (
        f"{place.name} holds {len(sources)} files such as {shown}, and none is a profile. Choose "
        "profiler-output of SageMaker Debugger, or a PyTorch trace (*.pt.trace.json)."
    )


def _system(
    sources: Sequence[Source], cache: Path | None, report: Report
) -> tuple[tuple[Series, ...], tuple[Oddity, ...]]:
    """Return the system's series, out of the cache as far as it goes."""
    kept, known, oddities = _cached(cache, sources)
    new = [one for one in sources if one.name not in known]
    if not new:
        return kept, oddities
    reads = [_reader(one) for one in new]
    found, odd = read_all(
        reads, lambda done: report(0.75 * done / len(new), f"{done} of {len(new)} files")
    )
    series = _merged(kept, found)
    oddities = _counted((*oddities, *odd))
    if cache is not None:
        report(0.78, "Keeping what was read")
        _write(cache, series, {one.name: one.stamp for one in sources}, oddities)
    return series, oddities


def _reader(one: Source) -> Callable[[], bytes]:
    def read() -> bytes:
        if one.size > MOST_MINUTE_BYTES:
            raise TrainingError(
                f"{one.name} holds more than {MOST_MINUTE_BYTES >> 20} MB, and is no minute of "
                "system metrics. Leave it out."
            )
        with _opened(one) as stream:
            return stream.read(one.size)  # a member may unpack to more than its entry says

    return read


@contextmanager
def _opened(one: Source) -> Iterator[IO[bytes]]:
    """Yield a source's bytes; raise `TrainingError` where they are damaged."""
    try:
        with one.open() as stream:
            yield stream
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise TrainingError(f"{one.name} is damaged ({error}). Pack it again.") from error


def _merged(one: Sequence[Series], other: Sequence[Series]) -> tuple[Series, ...]:
    """Return series with what is new behind what was known; the same stamp counts once."""
    known = {each.channel: each for each in one}
    for each in other:
        before = known.get(each.channel)
        if before is None:
            known[each.channel] = each
            continue
        times = np.concatenate([before.times, each.times])
        values = np.concatenate([before.values, each.values])
        times, first = np.unique(times, return_index=True)
        known[each.channel] = Series(each.channel, times, values[first])
    return tuple(known[channel] for channel in sorted(known))


def _cached(
    cache: Path | None, sources: Sequence[Source]
) -> tuple[tuple[Series, ...], dict[str, str], tuple[Oddity, ...]]:
    """Return what the cache holds; nothing where a file of it has changed or is gone."""
    if cache is None or not cache.is_file():
        return (), {}, ()
    import pyarrow as pa

    stamps = {one.name: one.stamp for one in sources}
    try:
        with pa.memory_map(str(cache)) as file:
            table = pa.ipc.open_file(file).read_all()
        head: dict[str, Any] = json.loads(table.schema.metadata[b"sightline"])
    except (pa.ArrowInvalid, OSError, KeyError, TypeError, ValueError):
        return (), {}, ()
    known: dict[str, str] = head["files"]
    if any(stamps.get(name) != stamp for name, stamp in known.items()):
        return (), {}, ()
    times, values = (table.column(name).chunks for name in COLUMNS)
    series = [
        Series(Channel(*channel), time.to_numpy(), value.to_numpy())
        for channel, time, value in zip(head["channels"], times, values, strict=True)
    ]
    return tuple(series), known, tuple(Oddity(*one) for one in head["oddities"])


def _write(
    cache: Path, series: Sequence[Series], files: dict[str, str], oddities: Sequence[Oddity]
) -> None:
    import pyarrow as pa

    head = {
        "files": files,
        "channels": [_channel_list(one.channel) for one in series],
        "oddities": [(one.kind, one.count, one.words) for one in oddities],
    }
    columns = {
        "time": pa.chunked_array([pa.array(one.times) for one in series], pa.int64()),
        "value": pa.chunked_array([pa.array(one.values) for one in series], pa.float64()),
    }
    table = pa.table(columns).replace_schema_metadata({"sightline": json.dumps(head)})
    cache.parent.mkdir(parents=True, exist_ok=True)
    aside = cache.with_suffix(".new")
    # Not packed, so that it is mapped and not read when opened again.
    with aside.open("wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    aside.rename(cache)


def _channel_list(one: Channel) -> list[str]:
    return [one.node, one.kind, one.name, one.dimension]


def _counted(oddities: Sequence[Oddity]) -> tuple[Oddity, ...]:
    counts: dict[tuple[str, str], int] = {}
    for one in oddities:
        counts[one.kind, one.words] = counts.get((one.kind, one.words), 0) + one.count
    return tuple(Oddity(kind, count, words) for (kind, words), count in counts.items())


def _with_gaps(profile: Profile) -> Profile:
    """Return the profile with missing minutes and mixed jobs among its oddities."""
    odd = list(profile.oddities)
    gaps = 0
    for one in profile.system[:1]:
        steps = np.diff(one.times)
        usual = float(np.median(steps)) if len(steps) else 0.0
        gaps = int((steps > max(20 * usual, 10e6)).sum())
    if gaps:
        odd.append(Oddity("gaps", gaps, "times nothing was sampled for long: minutes are missing"))
    if len(profile.spans) and profile.system:
        first, last = int(profile.system[0].times[0]), int(profile.system[0].times[-1])
        begin, end = int(profile.spans.start.min()), int(profile.spans.start.max())
        if end < first or begin > last:
            odd.append(
                Oddity("mixed", 1, "time events and system metrics do not overlap: two jobs, or "
                       "clocks that differ")
            )  # fmt: skip
    return replace(profile, oddities=tuple(odd))


def _reported(sources: Sequence[Source]) -> Iterator[Reported]:
    """Yield what the rules of a ProfilerReport of AWS have found; other files are left alone."""
    for one in sources:
        if not REPORT.search(one.name):
            continue
        try:
            told = _small_json(one)
            yield Reported(
                one.name.rpartition("/")[2].removesuffix(".json"),
                int(told["RuleTriggered"]),
                int(told.get("Datapoints") or 0),
                ", ".join(str(told.get("RuleParameters", "")).split()),
            )
        except (ValueError, KeyError, TypeError):
            continue  # a file of the report that is of no rule


def _configuration(sources: Sequence[Source]) -> dict[str, str]:
    """Return what a run says of itself in `sightline.json`, as our recorder writes it."""
    for one in sources:
        if one.name.rpartition("/")[2] == "sightline.json":
            try:
                told = _small_json(one)
            except ValueError:
                return {}
            return (
                {str(key): str(value) for key, value in told.items()}
                if isinstance(told, dict)
                else {}
            )
    return {}


def _small_json(one: Source) -> Any:
    """Return what a small file says; raise ValueError where it is large or no JSON."""
    if one.size > MOST_SMALL_BYTES:
        raise ValueError(f"{one.name} is too large to be what its name says.")
    with _opened(one) as stream:
        try:
            return json.loads(stream.read(one.size))
        except RecursionError as error:
            raise ValueError(f"{one.name} is nested without end.") from error


def cache_of(folder: Path, place: Path) -> Path:
    """Return where the cache of a run lies in a folder of caches."""
    return folder / f"{sha256(str(place.resolve()).encode()).hexdigest()[:32]}.arrow"
