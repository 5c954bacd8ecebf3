from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as options
from hypothesis import strategies as st
from pydantic import SecretStr

from lib.aws import open_aws
from lib.metrics.model import (
    Aggregation,
    Dataset,
    Frequency,
    Measure,
    MetricsError,
    Missing,
    Panel,
    Unit,
)
from lib.metrics.panel import panel_of, read_panel
from lib.metrics.tables import Rows, checked_query
from lib.settings import Settings

HOURLY = Frequency(1, Unit.HOUR)
SUM = Measure("amount", "amount")


def read(path: Path, **changes: Any) -> Panel:
    now = Settings(data_dir=path.parent / "var", metrics_roots=(path.parent,))
    dataset = replace(
        Dataset({"kind": "folder", "path": str(path)}, "time", (SUM,), ("shop",), HOURLY), **changes
    )
    return read_panel(dataset, now, open_aws(now))


def written(folder: Path, text: str, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def findings(panel: Panel) -> dict[str, int]:
    return {one.kind: one.rows for one in panel.quality.findings}


def test_rows_become_series_over_intervals_without_gaps(tmp_path: Path) -> None:
    panel = read(
        written(
            tmp_path,
            "time,shop,amount\n"
            "2026-01-01T03:10:00Z,b,4\n2026-01-01 00:10,a,1\n2026-01-01 00:50,a,2\n"
            "2026-01-01T01:30:00+01:00,b,8\n",
        )
    )
    assert panel.series == (("a",), ("b",))
    assert panel.amounts["amount"].tolist()[0] == [3, 8]
    assert np.isnan(panel.amounts["amount"][1:3]).all()  # nothing arrived at all
    assert panel.amounts["amount"].tolist()[3] == [0, 4]
    assert panel.rows.tolist() == [[2, 1], [0, 0], [0, 0], [0, 1]]
    assert [start.hour for start in panel.quality.missing_intervals] == [1, 2]


def test_odd_rows_are_counted_and_said(tmp_path: Path) -> None:
    panel = read(
        written(
            tmp_path,
            "time,shop,amount\n2026-01-01 00:00,a,1\n2026-01-01 00:00,a,1\nsoon,a,5\n"
            "2026-01-01 00:01,,x\n2026-01-01 00:02,a,-3\n2026-01-01 00:03,a,inf\n",
        )
    )
    assert findings(panel) == {
        "unreadable timestamp": 1,
        "duplicate": 1,
        "amount is not a number": 1,
        "amount is infinite or NaN": 1,
        "amount is negative": 1,
        "shop is empty": 1,
    }
    assert panel.quality.findings[0].example == "soon"
    assert panel.quality.rows == 6
    assert panel.quality.used == 5
    assert panel.series == (("",), ("a",))
    assert panel.amounts["amount"][0, 1] == -1


@pytest.mark.parametrize(
    ("measure", "value"),
    [
        (Measure("m", "amount", Aggregation.AVG), 2.5),
        (Measure("m", "amount", Aggregation.MIN), 1),
        (Measure("m", "amount", Aggregation.MAX), 4),
        (Measure("m", "amount", Aggregation.COUNT), 4),
        (Measure("m", "", Aggregation.COUNT), 5),
        (Measure("m", "amount", Aggregation.PERCENTILE, 90), 3.7),
    ],
)
def test_every_aggregation(tmp_path: Path, measure: Measure, value: float) -> None:
    lines = "".join(f"2026-01-01 00:0{minute},{minute}\n" for minute in range(1, 5))
    path = written(tmp_path, f"time,amount\n{lines}2026-01-01 00:09,nothing\n")
    panel = read(path, measures=(measure,), dimensions=())
    assert panel.series == ((),)
    assert panel.amounts["m"][0, 0] == pytest.approx(value)


def test_a_gap_is_no_zero_where_the_measure_says_so(tmp_path: Path) -> None:
    path = written(tmp_path, "time,shop,amount\n2026-01-01 00:00,a,1\n2026-01-01 01:00,b,2\n")
    panel = read(path, measures=(replace(SUM, missing=Missing.GAP),))
    assert np.isnan(panel.amounts["amount"]).tolist() == [[False, True], [True, False]]


def test_days_are_those_of_the_time_zone(tmp_path: Path) -> None:
    hours = pd.date_range(
        "2026-03-28", "2026-03-31", freq="h", tz="Europe/Berlin", inclusive="left"
    )
    local = [f"{hour:%Y-%m-%d %H:%M},1" for hour in hours]
    path = written(tmp_path, "time,amount\n" + "\n".join(local) + "\n")
    panel = read(path, dimensions=(), zone="Europe/Berlin", frequency=Frequency(1, Unit.DAY))
    assert panel.amounts["amount"][:, 0].tolist() == [24, 23, 24]
    assert datetime.fromtimestamp(panel.starts[0], UTC).hour == 23


@pytest.mark.parametrize(
    ("stamp", "pattern"),
    [("31/12/2025 23:10", "%d/%m/%Y %H:%M"), ("1767222600", "s"), ("1767222600000", "ms")],
)
def test_formats_of_timestamps(tmp_path: Path, stamp: str, pattern: str) -> None:
    path = written(tmp_path, f"time,amount\n{stamp},1\n")
    panel = read(path, dimensions=(), timestamp_format=pattern)
    assert datetime.fromtimestamp(panel.starts[0], UTC).isoformat() == "2025-12-31T23:00:00+00:00"


def test_every_kind_of_file_gives_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "time": pd.date_range("2026-01-01", periods=50, freq="13min"),
            "shop": ["a", "b"] * 25,
            "amount": np.arange(50) / 4,
        }
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "b.csv", index=False, encoding="utf-16")
    frame.to_csv(tmp_path / "c.csv.gz", index=False)
    frame.to_parquet(tmp_path / "d.parquet")
    texts = frame.astype({"time": str}).to_dict("records")
    written(tmp_path, "\n".join(map(json.dumps, texts)), "e.jsonl")
    names = ["a.csv", "b.csv", "c.csv.gz", "d.parquet", "e.jsonl"]
    first, *others = [read(tmp_path / name) for name in names]
    assert first.amounts["amount"].sum() == frame.amount.sum()
    for other in others:
        assert other.series == first.series
        assert (other.amounts["amount"] == first.amounts["amount"]).all()


def test_a_query_is_read_from_its_database(tmp_path: Path) -> None:
    path = tmp_path / "sales.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table sales (time text, shop text, amount real)")
        connection.execute("insert into sales values ('2026-01-01 00:10', 'a', 1.5)")
    now = Settings(
        data_dir=tmp_path / "var", metrics_databases={"sales": SecretStr(f"sqlite:///{path}")}
    )
    source = {"kind": "sql", "database": "sales", "query": "select * from sales;"}
    panel = read_panel(Dataset(source, "time", (SUM,), ("shop",)), now, open_aws(now))
    assert panel.amounts["amount"].tolist() == [[1.5]]
    unknown = Dataset(source | {"database": "other"}, "time", (SUM,))
    with pytest.raises(MetricsError, match=r"'other' is not set: .* names sales"):
        read_panel(unknown, now, open_aws(now))


@pytest.mark.parametrize(
    "query", ["drop table x", "select 1; select 2", "insert into x values (1)", "", "selec * frm"]
)
def test_only_one_select_is_run(query: str) -> None:
    with pytest.raises(MetricsError):
        checked_query(query)


def test_what_lies_outside_the_roots_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    outside = written(tmp_path, "time,amount\n2026-01-01,1\n")
    now = Settings(data_dir=tmp_path / "var", metrics_roots=(inside,))
    dataset = Dataset({"kind": "folder", "path": str(outside)}, "time", (SUM,))
    with pytest.raises(MetricsError, match="none of the folders"):
        read_panel(dataset, now, open_aws(now))
    (inside / "link.csv").symlink_to(outside)
    linked = replace(dataset, source={"kind": "folder", "path": str(inside)})
    with pytest.raises(MetricsError, match="no file of measures"):
        read_panel(linked, now, open_aws(now))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("time,shop\n2026-01-01,a\n", "The column amount is not there; there are time, shop"),
        ("time,shop,amount\n", "There is no row"),
        ("time,shop,amount\nsoon,a,1\n", "No time could be read as ISO 8601, for example 'soon'"),
        ("time,shop,amount\n0001-01-01,a,1\n2026-01-01,a,1\n", "more than 2,000,000 intervals"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(MetricsError, match=sentence):
        read(written(tmp_path, text))


def test_a_dimension_with_too_many_values_is_named(tmp_path: Path) -> None:
    lines = "".join(f"2026-01-01 00:00,{number},1\n" for number in range(100_001))
    with pytest.raises(MetricsError, match="The dimension shop has 100,001 values"):
        read(written(tmp_path, f"time,shop,amount\n{lines}"))


@options(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 5 * 86_400),
            st.sampled_from(["a", "b"]),
            st.sampled_from(["x", "y", "z"]),
            st.integers(-5, 50),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_two_engines_and_pandas_agree(rows: list[tuple[int, str, str, int]]) -> None:
    frame = pd.DataFrame(rows, columns=["time", "shop", "tier", "amount"])
    frame["time"] = pd.to_datetime(1_767_225_600 + frame.time, unit="s")
    dataset = Dataset(
        {}, "time", (SUM, Measure("n", "", Aggregation.COUNT)), ("shop", "tier"), HOURLY
    )
    here = panel_of(Rows(ibis.memtable(frame), is_text=False), dataset)
    engine = ibis.sqlite.connect()
    engine.raw_sql("create table sales (time timestamp, shop text, tier text, amount integer)")
    written_out = [(str(at), *others) for at, *others in frame.itertuples(index=False)]
    engine.con.executemany("insert into sales values (?, ?, ?, ?)", written_out)
    there = panel_of(Rows(engine.table("sales"), is_text=False), dataset)
    assert here.series == there.series
    assert np.array_equal(here.amounts["amount"], there.amounts["amount"], equal_nan=True)
    hours = frame.time.dt.floor("h")
    sums = frame.groupby([hours, "shop", "tier"]).amount.sum()
    for key, total in sums.to_dict().items():
        hour, shop, tier = cast("tuple[pd.Timestamp, str, str]", key)
        at = int(np.searchsorted(here.starts, int(hour.timestamp())))
        assert here.amounts["amount"][at][here.series.index((shop, tier))] == total
    assert here.amounts["n"][~np.isnan(here.amounts["n"])].sum() == len(frame)
