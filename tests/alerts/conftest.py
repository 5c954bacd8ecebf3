from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lib.metrics.detectors import create_detector
from lib.metrics.model import Dataset, Detector, Frequency, Measure, Unit
from lib.settings import Settings
from lib.store import Store, open_store
from tests.alerts.test_matching import DIMENSIONS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(f"sqlite:///{tmp_path / 'sightline.db'}")) as opened:
        yield opened


@pytest.fixture
def now_settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, public_address="https://sightline.example/")


@pytest.fixture
def detector(store: Store) -> Detector:
    dataset = Dataset(
        {"kind": "sample", "name": "shop"},
        "time",
        (Measure("revenue", "revenue"), Measure("orders", "orders")),
        DIMENSIONS,
        Frequency(5, Unit.MINUTE),
    )
    return create_detector(store, "TestAlertFilters", dataset, continuous=True, created_by="ann")
