"""Metric tables that are kept: imports, load tests and jobs, a file each in the data folder."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lib.recommender.model import Interval, Metrics, Origin, Percentile
from lib.recommender.sweep import Failed
from lib.settings import Settings

SAMPLES = Path(__file__).parent / "samples"
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class KeptTable:
    """Rows with their source: who kept them and when, what was noted, what failed."""

    id: str
    name: str
    owner: str
    at: datetime
    rows: tuple[Metrics, ...]
    notes: tuple[str, ...] = ()
    failed: tuple[Failed, ...] = ()

    @property
    def is_sample(self) -> bool:
        """Tell whether it comes with Sightline."""
        return not _ID.fullmatch(self.id)


def keep_table(  # noqa: PLR0913 - all that a table is
    now_settings: Settings,
    name: str,
    owner: str,
    rows: Sequence[Metrics],
    *,
    notes: Sequence[str] = (),
    failed: Sequence[Failed] = (),
    table_id: str = "",
) -> KeptTable:
    """Keep a table, and return it; one with the same id is replaced."""
    table = KeptTable(
        table_id or uuid.uuid4().hex, name, owner, datetime.now(UTC), tuple(rows), tuple(notes),
        tuple(failed),
    )  # fmt: skip
    folder = tables_folder(now_settings)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{table.id}.json"
    aside = path.with_suffix(".new")
    aside.write_text(to_json(table))
    aside.rename(path)
    return table


def kept_tables(now_settings: Settings) -> tuple[KeptTable, ...]:
    """Return the kept tables, newest first."""
    folder = tables_folder(now_settings)
    found = [from_json(path.read_text()) for path in folder.glob("*.json")]
    return tuple(sorted(found, key=lambda one: one.at, reverse=True))


def sample_tables() -> tuple[KeptTable, ...]:
    """Return the tables that come with Sightline."""
    return tuple(from_json(path.read_text()) for path in sorted(SAMPLES.glob("*.json")))


def delete_table(now_settings: Settings, table_id: str) -> None:
    """Delete a kept table; nothing happens where there is none."""
    if _ID.fullmatch(table_id):
        (tables_folder(now_settings) / f"{table_id}.json").unlink(missing_ok=True)


def tables_folder(now_settings: Settings) -> Path:
    """Return the folder of the kept tables."""
    return now_settings.data_dir / "recommender"


def to_json(table: KeptTable) -> str:
    """Return the table as JSON; what is not known is left out."""
    rows = [
        {name: value for name, value in asdict(row).items() if value is not None and value != ""}
        for row in table.rows
    ]
    data = {**asdict(table), "at": table.at.isoformat(), "rows": rows}
    return json.dumps(data, indent=1, allow_nan=False)


def from_json(text: str) -> KeptTable:
    """Return the table that `to_json` wrote."""
    data = json.loads(text)
    return KeptTable(
        data["id"],
        data["name"],
        data["owner"],
        datetime.fromisoformat(data["at"]),
        tuple(_row(one) for one in data["rows"]),
        tuple(data["notes"]),
        tuple(Failed(**one) for one in data["failed"]),
    )


def _row(values: dict[str, Any]) -> Metrics:
    known = {one.name for one in fields(Metrics)}
    row = {name: value for name, value in values.items() if name in known}
    row["origin"] = Origin(row["origin"])
    row["environment"] = tuple((key, value) for key, value in row.get("environment", ()))
    if "latency" in row:
        row["latency"] = Interval(**row["latency"])
    for name in ("p50", "p95", "p99"):
        if name in row:
            row[name] = Percentile(**row[name])
    return Metrics(**row)
