"""Observations out of the panels of detectors and of files."""

from __future__ import annotations

import numpy as np

from lib.causes.model import CausesError, Observations
from lib.metrics.model import Panel
from lib.metrics.rollups import leaves
from lib.metrics.timeline import local_seconds

MAX_SERIES = 200  # the largest ones; more tell no more
MAX_MEASURES = 20
MAX_INTERVALS = 20_000  # the last ones
DAY_S, WEEK_S, HOUR_S = 86_400, 604_800, 3_600
WEEKS_FOR_A_WEEK = 3  # that are needed to tell the season of a week


def observations_of(panel: Panel) -> Observations:
    """Return the measures of a panel's largest series; raises `CausesError` without any."""
    names = tuple(panel.amounts)[:MAX_MEASURES]
    if len(names) < 2:  # noqa: PLR2004 - a cause and an effect
        raise CausesError("One measure alone has no causes here. Choose rows with several.")
    own = leaves(panel.series)
    first = panel.amounts[names[0]][-MAX_INTERVALS:]
    sizes = np.nansum(np.abs(first[:, own]), axis=0)
    chosen = np.sort(own[np.argsort(-sizes, kind="stable")[:MAX_SERIES]])
    rows = slice(max(0, len(panel.starts) - MAX_INTERVALS), None)
    values = np.stack(
        [np.asarray(panel.amounts[name][rows][:, chosen], dtype=np.float64).T for name in names],
        axis=2,
    )
    starts = panel.starts[rows]
    return Observations(
        names,
        tuple(panel.series[at] for at in chosen),
        starts,
        _slots(panel, starts),
        values,
        panel.dimensions,
    )


def _slots(
    panel: Panel, starts: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    step = panel.frequency.seconds
    local = local_seconds(starts, panel.zone)
    weeks = (int(starts[-1]) - int(starts[0])) / WEEK_S if len(starts) else 0
    if panel.frequency.is_calendar:
        return (local + DAY_S // 2) // DAY_S % 7 if step == DAY_S else np.zeros_like(local)
    if weeks >= WEEKS_FOR_A_WEEK:
        return local % WEEK_S // max(step, HOUR_S)
    return local % DAY_S // step
