"""Series over whole dimensions: a small change of many series shows in their sum first.

One for everything, one for each value of a dimension, and one for each pair of two.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lib.metrics.model import Aggregation, Dataset, Floats, Measure, Panel, SeriesKey

MAX_ROLLUPS = 2_000


def with_rollups(panel: Panel, dataset: Dataset) -> Panel:
    """Return the panel with series for everything, each value and each pair after its own.

    Their keys hold None for the dimensions that they span. Sums and counts are added; means are
    weighted by rows; other aggregations cannot be had from parts and stay unknown.
    """
    groups = _groups(panel.series)
    if not groups:
        return panel
    members = [np.array(members) for members in groups.values()]
    amounts = {
        measure.name: np.hstack(
            [panel.amounts[measure.name], _rolled(panel, measure, members)], dtype=np.float32
        )
        for measure in dataset.measures
    }
    rows = np.stack([panel.rows[:, some].sum(axis=1) for some in members], axis=1)
    return replace(
        panel,
        series=(*panel.series, *groups),
        amounts=amounts,
        rows=np.hstack([panel.rows, rows.astype(np.int32)]),
    )


def leaves(series: tuple[SeriesKey, ...]) -> NDArray[np.int64]:
    """Return the places of the series that span no dimension."""
    return np.array([at for at, key in enumerate(series) if None not in key], dtype=np.int64)


def _groups(series: tuple[SeriesKey, ...]) -> dict[SeriesKey, list[int]]:
    dimensions = len(series[0]) if series else 0
    groups: dict[SeriesKey, list[int]] = {}
    if dimensions == 0 or len(series) == 1:
        return groups
    groups[(None,) * dimensions] = list(range(len(series)))
    spans = [kept for count in (1, 2) for kept in combinations(range(dimensions), count)]
    for kept in spans:
        if len(kept) == dimensions:
            continue  # the series themselves
        values: dict[SeriesKey, list[int]] = {}
        for at, key in enumerate(series):
            spanning = tuple(key[place] if place in kept else None for place in range(dimensions))
            values.setdefault(spanning, []).append(at)
        if len(groups) + len(values) <= MAX_ROLLUPS:
            groups |= {key: some for key, some in values.items() if 1 < len(some) < len(series)}
    return groups


def _rolled(panel: Panel, measure: Measure, members: list[NDArray[np.int64]]) -> Floats:
    amounts = panel.amounts[measure.name]
    columns = []
    for some in members:
        known = ~np.isnan(amounts[:, some])
        if measure.is_additive:
            total = np.where(known, amounts[:, some], 0.0).sum(axis=1, dtype=np.float64)
        elif measure.aggregation is Aggregation.AVG:
            weights = np.where(known, panel.rows[:, some], 0)
            sums = np.where(known, amounts[:, some], 0.0) * weights
            total = sums.sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
        else:
            total = np.full(len(amounts), np.nan)
        columns.append(np.where(known.any(axis=1), total, np.nan))
    return np.stack(columns, axis=1).astype(np.float32)
