from __future__ import annotations

from pathlib import Path

from lib.recommender.kept import (
    delete_table,
    from_json,
    keep_table,
    kept_tables,
    sample_tables,
    tables_folder,
    to_json,
)
from lib.recommender.model import Interval, Metrics, Origin, Percentile, identity_holds
from lib.recommender.sweep import Failed
from lib.settings import Settings

ROW = Metrics(
    "torch fp32, 1 thread, batch 1",
    Origin.LOCAL,
    max_invocations=600.0,
    model_latency=12.0,
    latency=Interval(11.0, 13.0),
    quality=1.0,
    p99=Percentile(40.0, 35.0, None),
    environment=(("A", "1"),),
)


def test_a_table_is_kept_listed_and_deleted(tmp_path: Path) -> None:
    now = Settings(data_dir=tmp_path)
    failed = (Failed("torch bf16", "There is no torch in bf16."),)
    kept = keep_table(now, "mine", "ann", [ROW], notes=["busy"], failed=failed)
    assert kept_tables(now) == (kept,)
    assert from_json(to_json(kept)) == kept
    assert not kept.is_sample
    delete_table(now, "../../outside")
    delete_table(now, kept.id)
    assert kept_tables(now) == ()
    assert list(tables_folder(now).iterdir()) == []


def test_the_tables_that_ship_are_real_and_keep_the_identity() -> None:
    found = sample_tables()
    assert {one.id for one in found} == {"sample-aws-1", "sample-aws-2", "sample-local"}
    for table in found:
        assert table.is_sample
        assert table.notes
        for row in table.rows:
            assert (row.origin is Origin.LOCAL) == (table.id == "sample-local")
            assert identity_holds(row) is not False
