from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lib.alerts import outbox
from lib.alerts.channels import DeliveryError
from lib.alerts.model import AlertRule, Channel, ChannelKind, DimensionFilter, Notification
from lib.alerts.outbox import (
    WAITS_S,
    announce,
    mark_read,
    notifications,
    send_again,
    send_due,
    unread,
)
from lib.alerts.rules import create_alert
from lib.aws import open_aws
from lib.jobs import open_jobs
from lib.metrics.detectors import set_state
from lib.metrics.groups_store import write_groups
from lib.metrics.model import AnomalyGroup, Detector, DetectorState
from lib.settings import ROOT, Settings
from lib.store import Store, utc_now
from tests.alerts.test_channels import Receiver, receiver, settings_for
from tests.alerts.test_matching import ALL, FIRST, POST, SECOND

__all__ = ["receiver"]

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OUT = Channel(ChannelKind.NAMED, "ops")


def found(store: Store, detector: Detector, *groups: AnomalyGroup, announced: bool = False) -> None:
    with store.write() as session:
        own = [replace(one, detector=detector.id) for one in groups]
        write_groups(session, own, timedelta(), announced=announced)


def states(store: Store) -> list[str]:
    return sorted(one.state for one in notifications(store))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Notification]:
    """Return what leaves, instead of letting it leave."""
    gone: list[Notification] = []
    monkeypatch.setattr(outbox, "send", lambda message, *_: gone.append(message))
    return gone


def test_the_two_anomalies_of_the_post_make_its_notifications(
    store: Store, detector: Detector, now_settings: Settings
) -> None:
    filtered = create_alert(store, detector, POST, "ann")
    everything = create_alert(store, detector, ALL, "ann")
    found(store, detector, FIRST, SECOND)
    assert announce(store, now_settings, NOW) == 3
    told = {(one.alert, one.groups) for one in notifications(store, channel=ChannelKind.INBOX)}
    assert told == {
        (filtered.id, ("g0",)),
        (everything.id, ("g0",)),
        (everything.id, ("g1",)),
    }
    assert states(store) == ["sent"] * 3
    assert announce(store, now_settings, NOW) == 0
    assert unread(store) == 3
    mark_read(store, [one.id for one in notifications(store)])
    assert unread(store) == 0


def test_what_was_found_by_looking_back_is_not_announced(
    store: Store, detector: Detector, now_settings: Settings
) -> None:
    create_alert(store, detector, ALL, "ann")
    found(store, detector, FIRST, announced=True)
    assert announce(store, now_settings, NOW) == 0


def test_an_event_that_grows_past_the_threshold_is_told_then_and_once(
    store: Store, detector: Detector, now_settings: Settings
) -> None:
    create_alert(store, detector, AlertRule("high", severity=80), "ann")
    create_alert(store, detector, AlertRule("low", severity=10), "ann")
    found(store, detector, FIRST)
    assert announce(store, now_settings, NOW) == 1
    found(store, detector, replace(FIRST, severity=90.0))
    assert announce(store, now_settings, NOW) == 1
    assert len(notifications(store)) == 2


def test_messages_are_tried_again_with_longer_waits_and_then_are_dead(
    store: Store, detector: Detector, now_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise DeliveryError("ops answered 500.")

    monkeypatch.setattr(outbox, "send", refuse)
    create_alert(store, detector, replace(ALL, channel=OUT), "ann")
    found(store, detector, FIRST)
    announce(store, now_settings, NOW)
    aws, at = open_aws(now_settings), NOW
    for wait in WAITS_S:
        assert send_due(store, now_settings, aws, at)["again"] == 1
        [message] = notifications(store)
        assert (message.state, message.problem) == ("waiting", "ops answered 500.")
        assert send_due(store, now_settings, aws, at) == {"sent": 0, "again": 0, "dead": 0}
        at += timedelta(seconds=wait)
    assert send_due(store, now_settings, aws, at)["dead"] == 1
    assert states(store) == ["dead"]
    send_again(store, message.id)
    assert states(store) == ["waiting"]


def test_what_can_never_arrive_is_dead_at_once(
    store: Store, detector: Detector, now_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise DeliveryError("ops refused the message with 404.", permanent=True)

    monkeypatch.setattr(outbox, "send", refuse)
    create_alert(store, detector, replace(ALL, channel=OUT), "ann")
    found(store, detector, FIRST)
    announce(store, now_settings, NOW)
    assert send_due(store, now_settings, open_aws(now_settings), NOW)["dead"] == 1


class Killed(BaseException):
    """What a process that dies runs into."""


def die(*_: Any, **__: Any) -> None:
    raise Killed


@pytest.mark.parametrize("step", ["matches", "body_of", "_note_sent", "_claimed", "send", "_mark"])
def test_killed_at_any_step_nothing_is_lost_and_the_inbox_has_it_once(  # noqa: PLR0913, PLR0917 - fixtures
    store: Store,
    detector: Detector,
    now_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    sent: list[Notification],
    step: str,
) -> None:
    create_alert(store, detector, ALL, "ann")
    create_alert(store, detector, replace(ALL, name="out", channel=OUT), "ann")
    found(store, detector, FIRST, SECOND)
    aws = open_aws(now_settings)

    def run(at: datetime) -> None:
        announce(store, now_settings, at)
        send_due(store, now_settings, aws, at)

    with monkeypatch.context() as patch:
        patch.setattr(outbox, step, die)
        with pytest.raises(Killed):
            run(NOW)
    run(NOW + timedelta(seconds=outbox.LEASE_S))
    run(NOW + timedelta(seconds=2 * outbox.LEASE_S))
    inbox = notifications(store, channel=ChannelKind.INBOX)
    assert sorted(one.groups for one in inbox) == [("g0",), ("g1",)]
    assert states(store) == ["sent"] * 4
    assert {one.groups for one in sent} == {("g0",), ("g1",)}
    twice = len(sent) - 2
    assert twice == (1 if step == "_mark" else 0)  # it left before the process died
    assert len({one.id for one in sent}) == 2  # and receivers can tell


def test_snoozed_and_cooling_alerts_say_why_they_are_silent(
    store: Store, detector: Detector, now_settings: Settings
) -> None:
    snoozed = replace(ALL, snoozed_until=NOW + timedelta(hours=1))
    create_alert(store, detector, snoozed, "ann")
    create_alert(store, detector, replace(ALL, name="cool", cooldown_minutes=30), "ann")
    create_alert(store, detector, replace(ALL, name="off", active=False), "ann")
    found(store, detector, FIRST)
    announce(store, now_settings, NOW)
    found(store, detector, SECOND)
    announce(store, now_settings, NOW + timedelta(minutes=10))
    problems = sorted(one.problem for one in notifications(store) if one.state == "muted")
    assert problems == [
        "Cooling down until 2026-11-20 12:30 UTC.",
        "Snoozed until 2026-11-20 13:00 UTC.",
        "Snoozed until 2026-11-20 13:00 UTC.",
    ]
    assert states(store) == ["muted", "muted", "muted", "sent"]


def test_a_digest_holds_all_groups_of_its_time(
    store: Store, detector: Detector, now_settings: Settings, sent: list[Notification]
) -> None:
    create_alert(store, detector, replace(ALL, digest_minutes=60, channel=OUT), "ann")
    aws = open_aws(now_settings)
    found(store, detector, FIRST)
    announce(store, now_settings, NOW)
    found(store, detector, SECOND)
    announce(store, now_settings, NOW + timedelta(minutes=20))
    assert send_due(store, now_settings, aws, NOW + timedelta(minutes=59))["sent"] == 0
    assert send_due(store, now_settings, aws, NOW + timedelta(minutes=60))["sent"] == 1
    [message] = sent
    assert message.groups == ("g0", "g1")
    assert "77.59" in message.body
    assert "77.3 " in message.body
    assert message.subject.endswith("and 1 more")


def test_a_detector_that_fails_is_told_once_a_day(
    store: Store, detector: Detector, now_settings: Settings
) -> None:
    create_alert(store, detector, POST, "ann")
    create_alert(store, detector, replace(ALL, health=False), "ann")
    set_state(store, detector.id, DetectorState.FAILED, "The source is gone.")
    assert announce(store, now_settings, NOW) == 1
    assert announce(store, now_settings, NOW) == 0
    [message] = notifications(store)
    assert message.body.endswith("could not run: The source is gone.")


def test_filters_of_the_rule_hold_in_the_outbox(
    store: Store, detector: Detector, now_settings: Settings
) -> None:
    only = replace(POST, filters=(DimensionFilter("marketplace", ("DE",)),))
    create_alert(store, detector, only, "ann")
    found(store, detector, FIRST, SECOND)
    announce(store, now_settings, NOW)
    assert [one.groups for one in notifications(store)] == [("g1",)]


def test_an_event_that_was_muted_joins_a_digest_later(
    store: Store, detector: Detector, now_settings: Settings
) -> None:
    rule = replace(ALL, digest_minutes=60, snoozed_until=NOW + timedelta(hours=1))
    create_alert(store, detector, rule, "ann")
    found(store, detector, FIRST)
    announce(store, now_settings, NOW)
    assert states(store) == ["muted"]
    found(store, detector, replace(FIRST, severity=90.0))
    assert announce(store, now_settings, NOW + timedelta(hours=2)) == 1
    assert states(store) == ["waiting"]


def test_trouble_that_goes_on_does_not_start_a_job_each_time(
    store: Store, detector: Detector, now_settings: Settings
) -> None:
    jobs = open_jobs(now_settings, store)
    create_alert(store, detector, ALL, "ann")
    outbox.submit_due(jobs)
    assert jobs.recent() == ()
    set_state(store, detector.id, DetectorState.FAILED, "The source is gone.")
    outbox.submit_due(jobs)
    [job] = jobs.recent()
    announce(store, now_settings, utc_now())
    jobs.cancel(job.id)
    outbox.submit_due(jobs)
    assert len(jobs.recent()) == 1
    found(store, detector, FIRST)
    outbox.submit_due(jobs)
    assert len(jobs.recent()) == 2


@pytest.mark.parametrize("step", ["_note_sent", "_claimed", "_mark"])
def test_a_process_that_is_killed_loses_nothing_and_tells_doubles_apart(
    store: Store, detector: Detector, tmp_path: Path, receiver: Receiver, step: str
) -> None:
    create_alert(store, detector, replace(ALL, channel=OUT), "ann")
    found(store, detector, FIRST, SECOND)
    now_settings = settings_for(receiver)
    url = f"sqlite:///{tmp_path / 'sightline.db'}"
    command = [sys.executable, "-m", "tests.alerts.killed", url, str(tmp_path), receiver.url, step]
    died = subprocess.run([*command, NOW.isoformat()], cwd=ROOT, check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    for late in (1, 2):
        at = NOW + late * timedelta(seconds=outbox.LEASE_S)
        announce(store, now_settings, at)
        send_due(store, now_settings, open_aws(now_settings), at)
    assert states(store) == ["sent"] * 2
    ids = [headers["Idempotency-Key"] for headers, _ in receiver.requests]
    assert len(set(ids)) == 2
    assert len(ids) == (3 if step == "_mark" else 2)
