from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from lib.aws import open_aws
from lib.metrics import evaluation
from lib.metrics.detectors import (
    SAMPLE_ID,
    create_detector,
    delete_detector,
    detector_folder,
    detectors,
    ensure_sample,
    find_detector,
)
from lib.metrics.evaluation import Evaluation, last_evaluated, next_due, series_scores
from lib.metrics.feedback import factors, feedback_on, give_feedback, undo_feedback
from lib.metrics.groups_store import (
    GroupQuery,
    counts_since,
    list_groups,
    related_groups,
    severity_by_day,
)
from lib.metrics.history import load_history
from lib.metrics.model import Dataset, Detector, DetectorState, GroupKind, Measure, MetricsError
from lib.metrics.samples import MEASURES, occurrences, shop_dataset, shop_rows
from lib.settings import Settings
from lib.store import EvaluatedIntervalRow, Store, open_store

NOW = datetime(2026, 11, 26, 12, 20, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(f"sqlite:///{tmp_path / 'sightline.db'}")) as opened:
        yield opened


@pytest.fixture
def now_settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, metrics_roots=(tmp_path,))


def write_shop(folder: Path, until: datetime, days: int = 45) -> Dataset:
    """Write the shop as a file, and return it as a dataset."""
    import pyarrow.parquet as pq

    start = datetime(2026, 11, 26, tzinfo=UTC) - timedelta(days=days)
    pq.write_table(shop_rows(start, until), folder / "shop.parquet")
    shop = shop_dataset()
    return Dataset(
        {"kind": "folder", "path": str(folder / "shop.parquet")},
        shop.timestamp,
        shop.measures[:2],
        shop.dimensions[:2],
        shop.frequency,
    )


def ignore(fraction: float, step: str) -> None:
    assert 0 <= fraction <= 1
    assert step


def run(
    store: Store, now_settings: Settings, detector: Detector, at: datetime
) -> dict[str, object]:
    found = find_detector(store, detector.id)
    assert found is not None
    return Evaluation(store, now_settings, open_aws(now_settings), found).run(ignore, at)


def evaluated(store: Store) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(EvaluatedIntervalRow)) or 0


def test_the_sample_is_found_out_and_goes_on(store: Store, now_settings: Settings) -> None:
    assert ensure_sample(store) == ensure_sample(store)
    sample = find_detector(store, SAMPLE_ID)
    assert sample is not None
    assert sample.state is DetectorState.LEARNING
    at = datetime.now(UTC)
    result = run(store, now_settings, sample, at)
    assert result["series"] == 160 + 84
    state = find_detector(store, SAMPLE_ID)
    assert state is not None
    assert state.state is DetectorState.ACTIVE
    groups = list_groups(store, GroupQuery(SAMPLE_ID, least_severity=70))
    assert {group.kind for group in groups} == {GroupKind.ANOMALY, GroupKind.MISSING_DATA}
    happened = occurrences(at - timedelta(days=26), at)
    real = [
        group
        for group in groups
        if any(one.start <= group.start < one.end + timedelta(hours=1) for one in happened)
    ]
    assert len(real) > 0.75 * len(groups)
    last = last_evaluated(store, sample)
    assert last == at.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    assert next_due(store, sample) == last + timedelta(hours=2)


def test_going_on_hour_by_hour_is_looking_back_at_all(
    store: Store, now_settings: Settings, tmp_path: Path
) -> None:
    begin = datetime(2026, 11, 15, tzinfo=UTC)
    dataset = write_shop(tmp_path, begin)
    detector = create_detector(store, "going-on", dataset, continuous=True, created_by="ann")
    run(store, now_settings, detector, begin)
    first = evaluated(store)
    for hour in range(1, 31):
        at = begin + timedelta(hours=hour, minutes=3)
        write_shop(tmp_path, begin + timedelta(hours=hour))
        assert run(store, now_settings, detector, at)["intervals"]
        run(store, now_settings, detector, at)  # once more changes nothing
    assert evaluated(store) == first + 30
    [event] = [
        one
        for one in list_groups(store, GroupQuery(detector.id, measure="visits", least_severity=70))
        if one.start == datetime(2026, 11, 15, 12, tzinfo=UTC)
    ]
    assert event.end >= event.start + timedelta(hours=8)
    assert [dict(cause.values) for cause in event.causes] == [{"marketplace": "DE"}]
    history = load_history(detector_folder(now_settings, detector.id), dataset)
    assert history is not None
    together = create_detector(store, "at-once", dataset, continuous=False, created_by="ann")
    run(store, now_settings, together, begin)
    whole = load_history(detector_folder(now_settings, together.id), dataset)
    assert whole is not None
    assert whole.panel.series == history.panel.series
    for name in ("visits", "clicks"):
        assert np.array_equal(
            whole.panel.amounts[name], history.panel.amounts[name], equal_nan=True
        )


def test_after_downtime_it_catches_up_and_says_what_was_late(
    store: Store, now_settings: Settings, tmp_path: Path
) -> None:
    begin = datetime(2026, 11, 20, tzinfo=UTC)
    dataset = write_shop(tmp_path, begin)
    detector = create_detector(store, "late", dataset, continuous=True, created_by="ann")
    run(store, now_settings, detector, begin)
    write_shop(tmp_path, begin + timedelta(hours=40))
    run(store, now_settings, detector, begin + timedelta(hours=38, minutes=30))
    assert last_evaluated(store, detector) == begin + timedelta(hours=37)
    gaps = [
        one
        for one in list_groups(store, GroupQuery(detector.id))
        if one.kind is GroupKind.MISSING_DATA and one.start >= begin
    ]
    assert [(one.start, one.end) for one in gaps] == [
        (begin + timedelta(hours=26), begin + timedelta(hours=29))
    ]


@pytest.mark.parametrize("step", ["_keep", "save_history"])
def test_killed_between_two_steps_nothing_is_lost_or_doubled(
    store: Store,
    now_settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    begin = datetime(2026, 11, 15, 10, tzinfo=UTC)
    dataset = write_shop(tmp_path, begin)
    detector = create_detector(store, "killed", dataset, continuous=True, created_by="ann")
    run(store, now_settings, detector, begin)
    first = evaluated(store)
    write_shop(tmp_path, begin + timedelta(hours=12))
    with monkeypatch.context() as patch:
        patch.setattr(Evaluation if step == "_keep" else evaluation, step, die)
        with pytest.raises(Killed):
            run(store, now_settings, detector, begin + timedelta(hours=6))
    run(store, now_settings, detector, begin + timedelta(hours=8))
    run(store, now_settings, detector, begin + timedelta(hours=10))
    assert evaluated(store) == first + 10
    starts = [one.start for one in list_groups(store, GroupQuery(detector.id, measure="visits"))]
    assert len(starts) == len(set(starts))
    assert datetime(2026, 11, 15, 12, tzinfo=UTC) in starts


def test_a_series_that_is_new_joins(store: Store, now_settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    hours = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(200)]

    def write(count: int) -> None:
        lines = [f"{hour.isoformat()},a,{100 + at % 7}" for at, hour in enumerate(hours[:count])]
        lines += [f"{hour.isoformat()},b,5" for hour in hours[150:count]]
        path.write_text("time,shop,amount\n" + "\n".join(lines) + "\n")

    dataset = Dataset(
        {"kind": "folder", "path": str(path)}, "time", (Measure("amount", "amount"),), ("shop",)
    )
    detector = create_detector(store, "joins", dataset, continuous=True, created_by="ann")
    write(150)
    run(store, now_settings, detector, hours[150])
    write(160)
    run(store, now_settings, detector, hours[160])
    history = load_history(detector_folder(now_settings, detector.id), dataset)
    assert history is not None
    assert history.panel.series == (("a",), ("b",), (None,))
    assert history.panel.amounts["amount"][-1].tolist()[1:] == [5, 5 + 100 + 159 % 7]
    assert np.isnan(history.panel.amounts["amount"][0, 1])
    assert history.states["amount"].seen.tolist() == [160, 10, 10]  # the sum is new, too


def test_what_people_say_counts_and_can_be_taken_back(store: Store, now_settings: Settings) -> None:
    sample = ensure_sample(store)
    run(store, now_settings, sample, datetime.now(UTC))
    group = next(one for one in list_groups(store, GroupQuery(SAMPLE_ID)) if one.series)
    give_feedback(store, group.id, is_anomaly=False, who="ann")
    key = group.series[0].key
    assert factors(store, SAMPLE_ID)[group.measure][key] == 1.25
    give_feedback(store, group.id, is_anomaly=True, who="ben", series=key)
    assert factors(store, SAMPLE_ID)[group.measure][key] == 1.0
    newest = feedback_on(store, group.id)[0]
    assert (newest.who, newest.series, newest.is_anomaly) == ("ben", key, True)
    undo_feedback(store, newest.id, "ann")
    assert factors(store, SAMPLE_ID)[group.measure][key] == 1.25
    assert feedback_on(store, group.id)[0].undone_by == "ann"
    with pytest.raises(MetricsError, match="no longer kept"):
        give_feedback(store, "0" * 32, is_anomaly=True, who="ann")


def test_lists_and_counts(store: Store, now_settings: Settings) -> None:
    sample = ensure_sample(store)
    run(store, now_settings, sample, datetime.now(UTC))
    groups = list_groups(store, GroupQuery(SAMPLE_ID))
    severities = [group.severity for group in groups]
    assert severities == sorted(severities, reverse=True)
    german = list_groups(store, GroupQuery(SAMPLE_ID, text=" de "))
    assert 0 < len(german) < len(groups)
    assert list_groups(store, GroupQuery(SAMPLE_ID, measure="visits", least_severity=101)) == ()
    by_day = severity_by_day(store, SAMPLE_ID, "UTC")
    assert max(by_day.values()) == severities[0]
    assert counts_since(store, NOW - timedelta(days=400), 0)[SAMPLE_ID] == len(groups)
    event = max(groups, key=lambda one: len(related_groups(store, one, timedelta(0))))
    for other in related_groups(store, event, timedelta(0)):
        assert other.start < event.end
        assert other.end > event.start
    history = load_history(detector_folder(now_settings, SAMPLE_ID), sample.dataset)
    assert history is not None
    amounts, scores = series_scores(history.panel, MEASURES[0], [(None,) * 5])
    assert amounts.shape == scores.upper.shape == (len(history.panel.starts), 1)


def test_a_deleted_detector_leaves_nothing(store: Store, now_settings: Settings) -> None:
    sample = ensure_sample(store)
    run(store, now_settings, sample, datetime.now(UTC))
    delete_detector(store, now_settings, SAMPLE_ID)
    assert detectors(store) == ()
    assert evaluated(store) == 0
    assert list_groups(store, GroupQuery(SAMPLE_ID)) == ()
    assert not detector_folder(now_settings, SAMPLE_ID).exists()


@pytest.mark.parametrize("name", ["", "a b", "-a", "ä", "x" * 64])
def test_a_name_is_as_the_service_wants_it(store: Store, name: str) -> None:
    with pytest.raises(MetricsError, match="1 to 63 letters"):
        create_detector(store, name, shop_dataset(), continuous=False, created_by="ann")


def test_names_are_unique_whatever_the_case(store: Store) -> None:
    create_detector(store, "Sales", shop_dataset(), continuous=False, created_by="ann")
    with pytest.raises(MetricsError, match="already"):
        create_detector(store, "sales", shop_dataset(), continuous=False, created_by="ann")


def test_rows_that_come_late_are_counted(
    store: Store, now_settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    hours = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(200)]

    def write(count: int, late: int = 0) -> None:
        lines = [f"{hour.isoformat()},{100 + at % 7}" for at, hour in enumerate(hours[:count])]
        lines += [f"{hours[count - 3].isoformat()},5"] * late
        path.write_text("time,amount\n" + "\n".join(lines) + "\n")

    dataset = Dataset({"kind": "folder", "path": str(path)}, "time", (Measure("amount", "amount"),))
    detector = create_detector(store, "slow", dataset, continuous=True, created_by="ann")
    write(150)
    run(store, now_settings, detector, hours[150])
    write(152, late=2)
    run(store, now_settings, detector, hours[152])
    history = load_history(detector_folder(now_settings, detector.id), dataset)
    assert history is not None
    [late] = [one for one in history.panel.quality.findings if "came after" in one.kind]
    assert late.rows == 2


def test_holidays_widen_the_bands_of_their_day() -> None:
    from lib.metrics.evaluation import clock_of
    from lib.metrics.model import Frequency, Panel, Unit

    starts = int(datetime(2026, 12, 20, tzinfo=UTC).timestamp()) + 3_600 * np.arange(24 * 8)
    amounts = np.ones((len(starts), 1), dtype=np.float32)
    panel = Panel(
        (),
        ((),),
        starts,
        {"a": amounts},
        np.ones((len(starts), 1), dtype=np.int32),
        Frequency(1, Unit.HOUR),
        holidays="US",
    )
    assert datetime(2026, 12, 25, tzinfo=UTC).date() in clock_of(panel).holidays
    with pytest.raises(MetricsError, match="not known"):
        clock_of(Panel((), ((),), starts, {}, panel.rows, panel.frequency, holidays="Atlantis"))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_or_nothing_cannot_be_learnt_from(share: float) -> None:
    with pytest.raises(MetricsError, match="history"):
        Dataset({}, "time", (), learnt_share=share)
