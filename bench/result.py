"""Rows of a benchmark, as a table and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal


@dataclass(frozen=True)
class Row:
    """One measured figure, the peers' figures for the same case, and the goal it has."""

    case: str
    metric: str
    unit: str
    better: Literal["lower", "higher"]
    ours: float
    peers: Mapping[str, float] = field(default_factory=dict)
    goal: str = ""
    met: bool | None = None  # None: a figure without a goal


def machine() -> str:
    """Return the processor architecture, processors, system and Python of this machine."""
    cores = len(os.sched_getaffinity(0))
    return (
        f"{platform.machine()}, {cores} processors, {platform.system()}, "
        f"Python {platform.python_version()}"
    )


def as_json(bench: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the result of one benchmark as JSON data: bench, machine, date (UTC), rows."""
    return {
        "bench": bench,
        "machine": machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": [asdict(row) | {"peers": dict(row.peers)} for row in rows],
    }


def as_table(rows: Sequence[Row]) -> str:
    """Return the rows as a text table, every missed goal marked MISSED."""
    cells = [("case", "metric", "ours", "peers", "goal", "")] + [_cells(row) for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(6)]
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _cells(row: Row) -> tuple[str, str, str, str, str, str]:
    peers = ", ".join(f"{name} {value:,.4g}" for name, value in row.peers.items())
    metric = f"{row.metric} ({row.unit}, {row.better} is better)"
    verdict = {True: "met", False: "MISSED", None: ""}[row.met]
    return row.case, metric, f"{row.ours:,.4g}", peers, row.goal, verdict
