from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lib.metrics.model import (
    AffectedSeries,
    AnomalyGroup,
    Dataset,
    DimensionContribution,
    Direction,
    Frequency,
    Localisation,
    Measure,
    MetricsError,
    Unit,
)
from lib.metrics.records import as_data, read_data

DATASET = Dataset({"kind": "sample"}, "time", (Measure("revenue", "revenue"),), ("country",))
GROUP = AnomalyGroup(
    id="g",
    detector="d",
    measure="revenue",
    start=datetime(2026, 1, 1, tzinfo=UTC),
    end=datetime(2026, 1, 2, tzinfo=UTC),
    severity=77.3,
    direction=Direction.DIP,
    observed=1.0,
    expected=2.0,
    series=(AffectedSeries(("US", None), 1.0, 2.0, 1.5, 2.5, -4.0, 0.001),),
    series_count=1,
    contributions=(DimensionContribution("country", (("US", 100.0),)),),
    causes=(Localisation({"country": "US"}, 1.0),),
)


@pytest.mark.parametrize("record", [DATASET, GROUP], ids=["dataset", "group"])
def test_a_record_comes_back_as_it_was(record: Dataset | AnomalyGroup) -> None:
    assert read_data(type(record), as_data(record)) == record


def test_a_wrong_record_names_the_field() -> None:
    data = as_data(DATASET)
    data["measures"][0]["aggregation"] = "MEDIAN"
    with pytest.raises(MetricsError, match=r"Dataset: measures\.0\.aggregation"):
        read_data(Dataset, data)


@pytest.mark.parametrize(
    ("unit", "iso"), [(Unit.MINUTE, "PT5M"), (Unit.MONTH, "P5M"), (Unit.DAY, "P5D")]
)
def test_a_frequency_is_a_duration(unit: Unit, iso: str) -> None:
    assert Frequency(5, unit).iso == iso
