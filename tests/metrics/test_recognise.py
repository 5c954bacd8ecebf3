from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import ibis
import pandas as pd
import pytest

from lib.metrics.model import Frequency, MetricsError, Unit
from lib.metrics.recognise import Recognition, Role, recognise
from lib.metrics.samples import MEASURES, VALUES, shop_rows
from lib.metrics.tables import Rows


def of(**columns: Sequence[object]) -> Recognition:
    frame = pd.DataFrame(columns).astype(str)
    return recognise(Rows(ibis.memtable(frame), is_text=True))


def roles(found: Recognition) -> dict[str, Role]:
    return {column.name: column.role for column in found.columns}


def hours(count: int, pattern: str = "%Y-%m-%d %H:%M") -> list[object]:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    return [(start + timedelta(hours=hour)).strftime(pattern) for hour in range(count)]


def test_the_shop_is_understood() -> None:
    end = datetime(2026, 11, 26, tzinfo=UTC)
    rows = shop_rows(end - timedelta(days=3), end)
    found = recognise(Rows(ibis.memtable(rows), is_text=False))
    assert found.frequency == Frequency(1, Unit.HOUR)
    dataset = found.dataset({"kind": "sample"})
    assert dataset.timestamp == "time"
    assert dataset.dimensions == tuple(VALUES)
    assert tuple(measure.name for measure in dataset.measures) == MEASURES


@pytest.mark.parametrize(
    "pattern",
    ["%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M", "%Y/%m/%d %H:%M", "%Y%m%d%H", "%d %b %Y %H:%M"],
)
def test_formats_of_timestamps(pattern: str) -> None:
    found = of(when=hours(24 * 20, pattern), amount=list(range(24 * 20)))
    [time] = [column for column in found.columns if column.role is Role.TIMESTAMP]
    assert time.format == pattern
    assert found.frequency == Frequency(1, Unit.HOUR)


def test_a_date_that_can_be_read_two_ways_is_no_certainty() -> None:
    found = of(day=[f"0{month}/0{day}/2026" for month in (1, 2) for day in range(1, 8)] * 3)
    assert found.columns[0].confidence < 0.6
    assert "fits, too" in found.columns[0].reason


@pytest.mark.parametrize(("scale", "pattern"), [(1, "s"), (1_000, "ms")])
def test_seconds_since_1970(scale: int, pattern: str) -> None:
    found = of(ts=[(1_767_225_600 + 300 * at) * scale for at in range(50)], x=list(range(50)))
    assert found.columns[0].format == pattern
    assert found.frequency == Frequency(5, Unit.MINUTE)


def test_codes_are_dimensions_and_free_texts_are_nothing() -> None:
    found = of(
        date=hours(300),
        store_id=[at % 7 + 100 for at in range(300)],
        amount=[at * 1.5 for at in range(300)],
        note=[f"note {at}" for at in range(300)],
        nothing=[""] * 300,
        same=[5] * 300,
    )
    assert roles(found) == {
        "date": Role.TIMESTAMP,
        "store_id": Role.DIMENSION,
        "amount": Role.MEASURE,
        "note": Role.IGNORED,
        "nothing": Role.IGNORED,
        "same": Role.IGNORED,
    }


def test_a_column_that_turns_to_text_half_way_says_so() -> None:
    found = of(date=hours(100), amount=[str(at) for at in range(60)] + ["n/a"] * 40)
    assert "turns from numbers to text, for example 'n/a'" in found.columns[1].reason
    few = of(date=hours(100), amount=[str(at) for at in range(98)] + ["n/a"] * 2)
    assert few.columns[1].role is Role.MEASURE
    assert "2 cells such as 'n/a'" in few.columns[1].reason


@pytest.mark.parametrize(("days", "unit"), [(1, Unit.DAY), (7, Unit.WEEK), (30.44, Unit.MONTH)])
def test_longer_frequencies(days: float, unit: Unit) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    dates = [(start + timedelta(days=days * at)).strftime("%Y-%m-%d") for at in range(40)]
    assert of(date=list(dates), x=list(range(40))).frequency == Frequency(1, unit)


def test_without_a_timestamp_there_is_no_dataset() -> None:
    with pytest.raises(MetricsError, match="No column looks like a timestamp"):
        of(a=["x", "y"] * 20, b=list(range(40))).dataset({})


def test_without_rows_there_is_nothing_to_recognise() -> None:
    with pytest.raises(MetricsError, match="no row"):
        recognise(Rows(ibis.memtable(pd.DataFrame({"a": pd.Series([], dtype=str)})), is_text=True))
