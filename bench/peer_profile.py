"""Times peers that read SageMaker Debugger's system metrics; runs in an environment of its own.

Usage: `python peer_profile.py polars|smdebug FOLDER`, with FOLDER the profiler-output. Prints JSON:
seconds, and how many times as much the whole is as what was read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter

NODE = "algo-1"


def polars_seconds(folder: Path) -> float:
    """Return how long polars takes for a table of all rows, grouped by channel."""
    import polars as pl  # type: ignore[import-not-found]  # peers' environment

    begun = perf_counter()
    keys = ["NodeId", "Type", "Name", "Dimension"]
    files = sorted(folder.rglob("system/**/*.json"))
    pl.scan_ndjson(files).group_by(keys).agg(["Timestamp", "Value"]).collect(engine="streaming")
    return perf_counter() - begun


def smdebug_seconds(folder: Path) -> float:
    """Return how long smdebug takes for the events of the first node."""
    from smdebug.profiler.system_metrics_reader import (  # type: ignore[import-not-found]  # same
        LocalSystemMetricsReader,
    )

    for path in folder.rglob("system/**/*.json"):
        if NODE not in path.name:
            path.unlink()
    begun = perf_counter()
    reader = LocalSystemMetricsReader(str(folder))
    reader.refresh_event_file_list()
    events = reader.get_events(0, 2_000_000_000, unit=_seconds())
    if not events:
        raise RuntimeError("smdebug has read no event.")
    return perf_counter() - begun


def _seconds() -> object:
    from smdebug.profiler.utils import TimeUnits  # type: ignore[import-not-found]  # same

    return TimeUnits.SECONDS


if __name__ == "__main__":
    place = Path(sys.argv[2])
    nodes = len({path.name.split(".")[1] for path in place.rglob("system/**/*.json")})
    if sys.argv[1] == "polars":
        print(json.dumps({"seconds": polars_seconds(place), "times": 1}))
    else:
        print(json.dumps({"seconds": smdebug_seconds(place), "times": nodes}))
