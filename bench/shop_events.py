"""Events found in the generated shop at one false group a day, and how late, against forecasters.

Ours is a detector as it runs: learnt from the first 70 %, then hour by hour. The peers forecast the
same rollups of one dimension (they have no groups: the farthest series of an hour is its score),
fitted anew every week. All methods get the threshold at which they make one false group a day over
all measures, so what is compared is what they find at the same cost to the reader. An incident is
found where an event of one of its measures begins in it; a group that begins in no incident of its
measure, nor within a day after one, is false. `lib.metrics.samples` documents the incidents;
nothing was fitted on these days.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from bench.peers import peer_python
from bench.result import Row
from lib.metrics.evaluation import learn_measure
from lib.metrics.groups import find_groups
from lib.metrics.model import Measure, Panel
from lib.metrics.panel import panel_of
from lib.metrics.rollups import with_rollups
from lib.metrics.samples import MEASURES, Occurrence, occurrences, shop_dataset, shop_rows
from lib.metrics.tables import Rows

END = datetime(2025, 9, 1, tzinfo=UTC)
DAYS, QUICK_DAYS = 200, 90
LEARNT_SHARE = 0.7
AFTER = timedelta(days=1)  # in which what an incident leaves behind is no false group
PEERS = {
    "seasonal naive": ["statsforecast==2.1.1"],
    "MSTL with AutoETS": ["statsforecast==2.1.1"],
    "Prophet": ["prophet==1.1.7", "cmdstanpy==1.2.5"],
}
GOAL = 0.8
TIMEOUT_S = 1_200


@dataclass(frozen=True)
class Found:
    """The beginning of an event of a measure, and how sure its finder is."""

    measure: str
    start: datetime
    score: float


def rows(*, quick: bool) -> list[Row]:
    """Return event recall and delay at one false group a day; quick takes no slow peer."""
    import ibis

    days = QUICK_DAYS if quick else DAYS
    begin = END - timedelta(days=days)
    dataset = shop_dataset()
    table = Rows(ibis.memtable(shop_rows(begin, END)), is_text=False)
    panel = with_rollups(panel_of(table, dataset), dataset)
    first = round(LEARNT_SHARE * len(panel.starts))
    looked_at = datetime.fromtimestamp(int(panel.starts[first]), UTC)
    happened = [one for one in occurrences(looked_at, END) if one.incident.measures]
    methods = {"ours": _ours(panel, first)}
    for name in ["seasonal naive"] if quick else PEERS:
        if (found := _peer(name, panel, first)) is not None:
            methods[name] = found
    span = (END - looked_at) / timedelta(days=1)
    figures = {name: at_one_false_a_day(found, happened, span) for name, found in methods.items()}
    recall, delay = figures.pop("ours")
    case = f"shop, {len(happened)} incidents in {span:.0f} days"
    recalls = {name: one for name, (one, _) in figures.items()}
    delays = {name: one for name, (_, one) in figures.items()}
    return [
        Row(case, "recall at one false group a day", "0 to 1", "higher", recall, recalls,
            f">= {GOAL}", recall >= GOAL),
        Row(case, "median delay", "hours", "lower", delay, delays),
    ]  # fmt: skip


def at_one_false_a_day(
    found: Sequence[Found], happened: Sequence[Occurrence], days: float
) -> tuple[float, float]:
    """Return the recall of incidents, 0 to 1, and the median hours until one is seen."""
    wrong = sorted((one.score for one in found if not _excused(one, happened)), reverse=True)
    allowed = int(days)
    least = wrong[allowed] if len(wrong) > allowed else -np.inf
    delays = []
    for incident in happened:
        starts = [
            one.start
            for one in found
            if one.score > least
            and one.measure in incident.incident.measures
            and incident.start <= one.start < incident.end
        ]
        if starts:
            delays.append((min(starts) - incident.start) / timedelta(hours=1) + 1)
    return len(delays) / max(len(happened), 1), median(delays) if delays else np.nan


def _excused(one: Found, happened: Sequence[Occurrence]) -> bool:
    return any(
        one.measure in each.incident.measures and each.start <= one.start < each.end + AFTER
        for each in happened
    )


def _ours(panel: Panel, first: int) -> list[Found]:
    found = []
    for measure in MEASURES:
        known = learn_measure(panel, measure, first)
        scored = known.scored("shop", Measure(measure, measure), panel, {})
        found += [Found(measure, one.start, one.severity) for one in find_groups(scored)]
    return found


def _peer(name: str, panel: Panel, first: int) -> list[Found] | None:
    requirements = PEERS[name]
    python = peer_python(requirements[0].replace("==", "-"), requirements)
    if python is None:
        print(f"{name}: {requirements[0]} cannot be had here, left out")
        return None
    places = [at for at, key in enumerate(panel.series) if key.count(None) >= len(key) - 1]
    found: list[Found] = []
    for measure in MEASURES:
        values = _filled(panel.amounts[measure][:, places])
        with tempfile.TemporaryDirectory() as folder:
            series, out = Path(folder) / "series.npy", Path(folder) / "out.npy"
            np.save(series, values)
            script = Path(__file__).with_name("peer_shop.py")
            done = subprocess.run(
                [python, script, series, name, str(first), out],
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT_S,
            )
            if done.returncode:
                print(f"{name}: failed, left out: {done.stderr.strip().splitlines()[-1:]}")
                return None
            farthest = np.abs(np.load(out, allow_pickle=False)).max(axis=1)
        found += _runs(measure, farthest, panel.starts[first:])
    return found


def _runs(measure: str, scores: NDArray[np.float64], starts: NDArray[np.int64]) -> list[Found]:
    """Return every local start: an hour that is farther than the two hours before it."""
    return [
        Found(measure, datetime.fromtimestamp(int(starts[at]), UTC), float(scores[at]))
        for at in range(2, len(scores))
        if scores[at] > scores[at - 2 : at].max()
    ]


def _filled(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the values with the last known one in gaps; peers know none."""
    filled = values.astype(np.float64)
    for at in range(1, len(filled)):
        filled[at] = np.where(np.isfinite(filled[at]), filled[at], filled[at - 1])
    return np.nan_to_num(filled)
