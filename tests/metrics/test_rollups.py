from __future__ import annotations

import numpy as np

from lib.metrics.model import Aggregation, Dataset, Frequency, Measure, Panel, Unit
from lib.metrics.rollups import leaves, with_rollups


def panel(*amounts: list[float], rows: list[list[int]] | None = None) -> tuple[Panel, Dataset]:
    measures = (
        Measure("sum", "a"),
        Measure("mean", "a", Aggregation.AVG),
        Measure("top", "a", Aggregation.MAX),
    )
    matrix = np.array(amounts, dtype=np.float32)
    keys = (("US", "x"), ("US", "y"), ("UK", "x"))
    return (
        Panel(
            ("country", "kind"),
            keys,
            np.arange(len(matrix)) * 3_600,
            {measure.name: matrix for measure in measures},
            np.array(rows or [[1, 1, 1]] * len(matrix), dtype=np.int32),
            Frequency(1, Unit.HOUR),
        ),
        Dataset({}, "t", measures, ("country", "kind")),
    )


def test_sums_add_and_means_weigh_by_rows() -> None:
    rolled = with_rollups(*panel([1, 3, 10], rows=[[3, 1, 1]]))
    at = {key: place for place, key in enumerate(rolled.series)}
    assert at.keys() >= {(None, None), ("US", None), (None, "x")}
    assert ("UK", None) not in at  # the same as its only series
    assert rolled.amounts["sum"][0, at[None, None]] == 14
    assert rolled.amounts["sum"][0, at[None, "x"]] == 11
    assert rolled.amounts["mean"][0, at["US", None]] == 1.5
    assert np.isnan(rolled.amounts["top"][0, at["US", None]])
    assert rolled.rows[0, at[None, None]] == 5
    assert leaves(rolled.series).tolist() == [0, 1, 2]


def test_a_gap_in_all_parts_is_a_gap_and_in_some_is_none() -> None:
    rolled = with_rollups(*panel([np.nan, 3, 10], [np.nan, np.nan, 10]))
    us = rolled.series.index(("US", None))
    assert rolled.amounts["sum"][0, us] == 3
    assert np.isnan(rolled.amounts["sum"][1, us])


def test_one_series_has_no_rollup() -> None:
    one, dataset = panel([1, 2, 3])
    alone = Panel((), ((),), one.starts, {}, one.rows[:, :1], one.frequency)
    assert with_rollups(alone, dataset) is alone
