"""What a detector has learnt, in a folder of its own: its series so far, bands and habits.

All can be made again from the source. Files are written aside and renamed; the one that names the
last interval comes last, so a reader never sees a half of it.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.metrics.bands import load_state, save_state
from lib.metrics.model import Dataset, Floats, Panel
from lib.metrics.records import as_data, read_data
from lib.metrics.severity import Calibration

if TYPE_CHECKING:
    from lib.metrics.band_kernels import BandState

CURRENT = "current.json"


@dataclass(frozen=True, eq=False)
class History:
    """A panel with its rollups; for each measure its bands, evidence, and what is usual."""

    panel: Panel
    states: Mapping[str, BandState]
    memories: Mapping[str, Floats]
    calibrations: Mapping[str, Calibration]
    dataset: Dataset


def save_history(folder: Path, history: History) -> None:
    """Write the history in place of the one before."""
    version = uuid.uuid4().hex[:16]
    place = folder / version
    place.mkdir(parents=True)
    panel = history.panel
    np.save(place / "starts.npy", panel.starts)
    np.save(place / "rows.npy", panel.rows)
    for number, (name, amounts) in enumerate(panel.amounts.items()):
        np.save(place / f"amounts{number}.npy", amounts)
        np.save(place / f"memory{number}.npy", history.memories[name])
        save_state(history.states[name], place / f"state{number}.npz")
    described = {
        "version": version,
        "measures": list(panel.amounts),
        "series": panel.series,
        "dimensions": panel.dimensions,
        "dataset": as_data(history.dataset),
        "quality": as_data(panel.quality),
        "calibrations": [_numbers(one) for one in history.calibrations.values()],
    }
    aside = folder / f".{CURRENT}.part"
    aside.write_text(json.dumps(described))
    aside.replace(folder / CURRENT)
    for old in folder.iterdir():
        if old.is_dir() and old.name != version:
            shutil.rmtree(old, ignore_errors=True)


def load_history(folder: Path, dataset: Dataset) -> History | None:
    """Return the history of a dataset, None where there is none or it was of another dataset.

    Amounts are mapped, not read.
    """
    from lib.metrics.model import DataQuality

    try:
        described = json.loads((folder / CURRENT).read_text())
        place = folder / described["version"]
        if read_data(Dataset, described["dataset"]) != dataset:
            return None
        measures = described["measures"]
        panel = Panel(
            tuple(described["dimensions"]),
            tuple(tuple(key) for key in described["series"]),
            np.load(place / "starts.npy"),
            {
                name: np.load(place / f"amounts{number}.npy", mmap_mode="r")
                for number, name in enumerate(measures)
            },
            np.load(place / "rows.npy", mmap_mode="r"),
            dataset.frequency,
            dataset.zone,
            read_data(DataQuality, described["quality"]),
            dataset.holidays,
        )
        states = {
            name: load_state(place / f"state{number}.npz") for number, name in enumerate(measures)
        }
        memories = {
            name: np.load(place / f"memory{number}.npy") for number, name in enumerate(measures)
        }
        calibrations = dict(
            zip(measures, map(_calibration, described["calibrations"]), strict=True)
        )
    except (OSError, ValueError, KeyError):
        return None  # it is learnt again from the source
    return History(panel, states, memories, calibrations, dataset)


def cut(panel: Panel, first: int) -> Panel:
    """Return the panel from a row on."""
    return replace(
        panel,
        starts=panel.starts[first:],
        amounts={name: amounts[first:] for name, amounts in panel.amounts.items()},
        rows=panel.rows[first:],
    )


def _numbers(calibration: Calibration) -> dict[str, Any]:
    data = asdict(calibration)
    return {
        name: value.tolist() if hasattr(value, "tolist") else value for name, value in data.items()
    }


def _calibration(data: Mapping[str, Any]) -> Calibration:
    return Calibration(
        np.array(data["knots"]),
        np.array(data["tails"]),
        np.array(data["stretch"]),
        float(data["threshold"]),
        np.array(data["rates"]),
        int(data["rows"]),
    )
