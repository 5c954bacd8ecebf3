from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lib.alerts.model import AlertRule, Channel, ChannelKind, DimensionFilter, Window
from lib.alerts.rules import (
    EditConflictError,
    alerts,
    create_alert,
    delete_alert,
    differences,
    edit_alert,
    history,
    undelete_alert,
)
from lib.metrics.model import Detector, MetricsError
from lib.store import Store
from tests.alerts.test_matching import POST

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)  # a Monday


def test_an_alert_is_made_edited_and_restored(store: Store, detector: Detector) -> None:
    made = create_alert(store, detector, POST, "ann")
    quieter = replace(POST, severity=50, measures=("revenue", "orders"))
    edited = edit_alert(store, made, quieter, detector.dataset, "bob")
    assert alerts(store, detector.id) == (edited,)
    assert differences(made.rule, edited.rule) == {
        "severity": ("20", "50"),
        "measures": ("revenue", "revenue, orders"),
    }
    newest, first = history(store, made.id)
    assert (newest.version, newest.change, newest.who) == (2, "edited", "bob")
    assert (first.version, first.change, first.who) == (1, "created", "ann")
    restored = edit_alert(store, edited, first.rule, detector.dataset, "ann")
    assert restored.rule == POST


def test_an_edit_of_what_was_edited_is_refused(store: Store, detector: Detector) -> None:
    made = create_alert(store, detector, POST, "ann")
    edit_alert(store, made, replace(POST, severity=60), detector.dataset, "bob")
    with pytest.raises(EditConflictError, match="bob has edited this alert"):
        edit_alert(store, made, replace(POST, severity=10), detector.dataset, "ann")
    [kept] = alerts(store, detector.id)
    assert kept.rule.severity == 60


def test_a_deleted_alert_comes_back_unless_its_name_is_used(
    store: Store, detector: Detector
) -> None:
    made = create_alert(store, detector, POST, "ann")
    delete_alert(store, made.id, "bob")
    assert alerts(store, detector.id) == ()
    [gone] = alerts(store, detector.id, deleted=True)
    assert gone.rule == POST
    with pytest.raises(EditConflictError, match="deleted"):
        edit_alert(store, made, POST, detector.dataset, "ann")
    other = create_alert(store, detector, POST, "ann")
    with pytest.raises(MetricsError, match="Another alert has this name"):
        undelete_alert(store, made.id, "ann")
    delete_alert(store, other.id, "ann")
    assert undelete_alert(store, made.id, "ann").rule == POST
    assert [one.change for one in history(store, made.id)] == ["restored", "deleted", "created"]


def test_a_name_is_given_once_and_stays(store: Store, detector: Detector) -> None:
    made = create_alert(store, detector, POST, "ann")
    with pytest.raises(MetricsError, match="already has an alert"):
        create_alert(store, detector, replace(POST, name=POST.name.upper()), "ann")
    with pytest.raises(MetricsError, match="stays as it is"):
        edit_alert(store, made, replace(POST, name="other"), detector.dataset, "ann")


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (AlertRule("a" * 300), "1 to 63 letters"),
        (AlertRule("with space"), "1 to 63 letters"),
        (AlertRule("a", measures=("profit",)), "'profit' is no measure; there are revenue, orders"),
        (AlertRule("a", filters=(DimensionFilter("city", ("x",)),)), "'city' is no dimension"),
        (AlertRule("a", filters=(DimensionFilter("tier", ()),)), "at least one value of tier"),
        (AlertRule("a", filters=(DimensionFilter("tier", (" ",)),)), "value of tier has 1 to 256"),
        (AlertRule("a", description="x" * 257), "at most 256"),
        (AlertRule("a", severity=101), "between 0 and 100"),
        (AlertRule("a", least_impact=-1), "0 or more"),
        (AlertRule("a", cooldown_minutes=-1), "between 0 minutes and a week"),
        (AlertRule("a", windows=(Window(NOON, NOON),)), "ends after it starts"),
        (AlertRule("a", channel=Channel(ChannelKind.SNS, "topic")), "arn:aws:sns:REGION"),
        (AlertRule("a", channel=Channel(ChannelKind.LAMBDA, "f")), "arn:aws:lambda:REGION"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    store: Store, detector: Detector, rule: AlertRule, says: str
) -> None:
    with pytest.raises(MetricsError, match=says):
        create_alert(store, detector, rule, "ann")
    assert alerts(store) == ()


def test_windows_hold_their_times() -> None:
    once = Window(NOON, NOON + timedelta(hours=2))
    weekly = replace(once, weekly=True)
    inside = NOON + timedelta(hours=1)
    assert once.holds(inside)
    assert not once.holds(inside + timedelta(weeks=1))
    assert weekly.holds(inside + timedelta(weeks=3))
    assert not weekly.holds(inside + timedelta(days=1))
    assert not weekly.holds(inside - timedelta(weeks=1))
