"""Detectors in the store: created, found, changed and deleted."""

from __future__ import annotations

import re
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from lib.metrics.model import (
    MAX_DESCRIPTION_CHARACTERS,
    MAX_NAME_CHARACTERS,
    Dataset,
    Detector,
    DetectorState,
    MetricsError,
)
from lib.metrics.records import as_data, read_data
from lib.metrics.samples import shop_dataset
from lib.settings import Settings
from lib.store import (
    AlertRow,
    AnomalyGroupRow,
    DetectorRow,
    EvaluatedIntervalRow,
    FeedbackRow,
    Store,
    utc_now,
)

SAMPLE_NAME = "Shop-sample"
SAMPLE_ID = "5a0b" + "0" * 28
_NAME = re.compile(rf"[a-zA-Z0-9][a-zA-Z0-9_-]{{0,{MAX_NAME_CHARACTERS - 1}}}")


def checked_name(name: str) -> str:
    """Return the name; raises `MetricsError` for one that Lookout for Metrics would refuse."""
    if not _NAME.fullmatch(name):
        raise MetricsError(
            f"A name has 1 to {MAX_NAME_CHARACTERS} letters, digits, - and _, and begins with a "
            "letter or digit."
        )
    return name


def create_detector(  # noqa: PLR0913 - what a detector is
    store: Store,
    name: str,
    dataset: Dataset,
    *,
    continuous: bool,
    created_by: str,
    description: str = "",
    detector_id: str = "",
) -> Detector:
    """Return the new detector; raises `MetricsError` for a wrong or used name."""
    if not dataset.measures:
        raise MetricsError("A detector needs at least one measure.")
    if len({measure.name for measure in dataset.measures}) < len(dataset.measures):
        raise MetricsError("Two measures have one name: give each its own.")
    if len(description) > MAX_DESCRIPTION_CHARACTERS:
        raise MetricsError(f"A description has at most {MAX_DESCRIPTION_CHARACTERS} characters.")
    row = DetectorRow(
        id=detector_id or uuid.uuid4().hex,
        name=checked_name(name),
        folded_name=name.casefold(),
        description=description,
        dataset=as_data(dataset),
        state=DetectorState.LEARNING if continuous else DetectorState.BACKTEST,
        problem="",
        created_by=created_by,
        created_at=utc_now(),
    )
    try:
        with store.write() as session:
            session.add(row)
    except IntegrityError as error:
        raise MetricsError(f"There is a detector {name} already: choose another name.") from error
    return _detector(row)


def ensure_sample(store: Store) -> Detector:
    """Return the detector of the sample, created where it is missing; safe to call at once."""
    try:
        return create_detector(
            store,
            SAMPLE_NAME,
            shop_dataset(),
            continuous=True,
            created_by="sightline",
            description="Sample: a made-up shop, hour by hour, with documented incidents.",
            detector_id=SAMPLE_ID,
        )
    except MetricsError:
        return found_detector(store, SAMPLE_ID)


def detectors(store: Store) -> tuple[Detector, ...]:
    """Return all detectors by name."""
    with store.read() as session:
        rows = session.scalars(select(DetectorRow).order_by(DetectorRow.folded_name))
        return tuple(map(_detector, rows))


def find_detector(store: Store, detector_id: str) -> Detector | None:
    """Return the detector with an id, or None."""
    with store.read() as session:
        row = session.get(DetectorRow, detector_id)
        return None if row is None else _detector(row)


def found_detector(store: Store, detector_id: str) -> Detector:
    """Return the detector with an id; raises `MetricsError` where it was deleted."""
    found = find_detector(store, detector_id)
    if found is None:
        raise MetricsError("This detector was deleted.")
    return found


def set_state(
    store: Store, detector_id: str, state: DetectorState, problem: str = ""
) -> Detector | None:
    """Return the detector in its new state, None where it was deleted."""
    with store.write() as session:
        session.execute(
            update(DetectorRow)
            .where(DetectorRow.id == detector_id)
            .values(state=state, problem=problem)
        )
    return find_detector(store, detector_id)


def change_dataset(store: Store, detector: Detector, dataset: Dataset) -> Detector:
    """Return the detector over another dataset, which it has yet to learn."""
    with store.write() as session:
        session.execute(
            update(DetectorRow)
            .where(DetectorRow.id == detector.id)
            .values(dataset=as_data(dataset), problem="")
        )
    return replace(detector, dataset=dataset, problem="")


def delete_detector(store: Store, settings: Settings, detector_id: str) -> None:
    """Delete a detector with all it found, and its alerts; notifications stay in the inbox."""
    groups = select(AnomalyGroupRow.id).where(AnomalyGroupRow.detector == detector_id)
    with store.write() as session:
        session.execute(delete(FeedbackRow).where(FeedbackRow.group.in_(groups)))
        for table in (AnomalyGroupRow, EvaluatedIntervalRow, AlertRow):
            session.execute(delete(table).where(table.detector == detector_id))
        session.execute(delete(DetectorRow).where(DetectorRow.id == detector_id))
    shutil.rmtree(detector_folder(settings, detector_id), ignore_errors=True)


def detector_folder(settings: Settings, detector_id: str) -> Path:
    """Return where a detector keeps what it has learnt."""
    return settings.data_dir / "metrics" / "detectors" / detector_id


def _detector(row: DetectorRow) -> Detector:
    return Detector(
        row.id,
        row.name,
        read_data(Dataset, row.dataset),
        DetectorState(row.state),
        row.description,
        row.created_by,
        row.created_at,
        row.problem,
    )
