"""From groups to messages, and from messages to people: at least once, and once in the inbox.

A group that no alert has looked at yet says so in its row. Its notifications are written in the
transaction that clears this mark, under ids made of alert and group: killed at any point, the next
run writes what is missing and nothing twice. A message that waits is claimed by its due time moving
on, so a worker that dies while sending leaves it to be sent again; receivers get its id, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, cast, func, select, update
from sqlalchemy.orm import Session

from lib.alerts.channels import DeliveryError, send
from lib.alerts.matching import matches
from lib.alerts.messages import PREFIX, body_of, subject_of
from lib.alerts.model import Alert, Channel, ChannelKind, Format, Notification
from lib.alerts.rules import alerts_in
from lib.aws import Aws, open_aws
from lib.jobs import Jobs, Report, job
from lib.metrics.detectors import detectors
from lib.metrics.evaluation import late_intervals
from lib.metrics.model import AnomalyGroup, Detector, DetectorState
from lib.metrics.records import as_data, read_data
from lib.settings import Settings, settings
from lib.store import AlertRow, AnomalyGroupRow, NotificationRow, Store, open_store, utc_now

TITLE = "Send notifications"
WAITS_S = (60, 300, 1_800, 7_200, 21_600)  # before each further attempt; then it is dead
LEASE_S = 300  # for one attempt
AT_ONCE = 200
TROUBLE_EVERY = timedelta(hours=1)  # it is told once a day, and looked for so often
SUBJECTS = {"failed": "could not run", "late": "runs late"}
WAITING, SENT, DEAD, MUTED = "waiting", "sent", "dead", "muted"


@job(max_attempts=3)
def deliver(report: Report) -> dict[str, Any]:
    """Write the notifications of new groups, send what is due, and return counts."""
    now = settings()
    with closing(open_store(now.store_url)) as store:
        report(0.1, "Looking at new anomalies")
        written = announce(store, now, utc_now())
        report(0.5, "Sending")
        return {"written": written, **send_due(store, now, open_aws(now), utc_now())}


def submit_due(jobs: Jobs) -> None:
    """Start the delivery where there is something to announce or to send."""
    with jobs.store.read() as session:
        new = session.scalar(_unannounced().with_only_columns(func.count()))
        due = session.scalar(_due(utc_now()).with_only_columns(func.count()))
    day = utc_now() - timedelta(days=1)
    troubled = any(
        one.state is DetectorState.FAILED or late_intervals(jobs.store, one, day)
        for one in detectors(jobs.store)
    )
    last = jobs.latest(TITLE)
    looked = last is not None and utc_now() - last.created_at < TROUBLE_EVERY
    if (new or due or (troubled and not looked)) and (last is None or last.finished):
        jobs.submit(deliver, title=TITLE, owner="sightline")


def announce(store: Store, now_settings: Settings, now: datetime) -> int:
    """Write the notifications of groups that no alert has looked at, and return their number."""
    with store.read() as session:
        waiting = list(session.scalars(_unannounced().with_only_columns(AnomalyGroupRow.id)))
    known = {one.id: one for one in detectors(store)}
    written = 0
    for group_id in waiting:
        with store.write() as session:
            row = session.get(AnomalyGroupRow, group_id)
            if row is None or row.announced_at is not None:
                continue
            row.announced_at = now
            if row.detector in known:
                group = read_data(AnomalyGroup, row.detail)
                detector = known[row.detector]
                for alert in alerts_in(session, detector.id):
                    if _tells(alert, group, detector):
                        written += _write(session, alert, detector, group, now_settings, now)
    return written + sum(_announce_health(store, one, now) for one in known.values())


def _announce_health(store: Store, detector: Detector, now: datetime) -> int:
    """Write that a detector fails or runs late, once a day for each, and return how many were."""
    troubles = []
    if detector.state is DetectorState.FAILED:
        troubles.append(("failed", f"could not run: {detector.problem}"))
    late = late_intervals(store, detector, now - timedelta(days=1))
    if late:
        troubles.append(("late", f"looked at {late:,} intervals late within the last day."))
    written = 0
    for kind, words in troubles:
        with store.write() as session:
            for alert in alerts_in(session, detector.id):
                if alert.rule.active and alert.rule.health:
                    written += _write_trouble(session, alert, detector, (kind, words), now)
    return written


def send_due(store: Store, now_settings: Settings, aws: Aws, now: datetime) -> dict[str, int]:
    """Send what is due and return how many were sent, will be tried again, and are dead."""
    counts = {"sent": 0, "again": 0, "dead": 0}
    known = {one.id: one for one in detectors(store)}
    with store.read() as session:
        ids = list(session.scalars(_due(now).with_only_columns(NotificationRow.id).limit(AT_ONCE)))
    for message_id in ids:
        message = _claimed(store, message_id, known, now_settings.public_url, now)
        if message is None:
            continue
        try:
            send(message, now_settings, aws)
        except DeliveryError as error:
            again = _try_again(store, message, error, now)
            counts["again" if again else "dead"] += 1
        else:
            _mark(store, message_id, state=SENT, sent_at=utc_now(), problem="")
            counts["sent"] += 1
    return counts


def notifications(
    store: Store, *, channel: ChannelKind | None = None, alert: str = "", limit: int = 200
) -> tuple[Notification, ...]:
    """Return notifications, newest first; of one kind of channel or one alert where named."""
    rows = select(NotificationRow).order_by(NotificationRow.created_at.desc(), NotificationRow.id)
    if channel is not None:
        rows = rows.where(NotificationRow.channel["kind"].as_string() == channel)
    if alert:
        rows = rows.where(NotificationRow.alert == alert)
    with store.read() as session:
        return tuple(map(_notification, session.scalars(rows.limit(limit))))


def unread(store: Store) -> int:
    """Return how many messages in the inbox nobody has read."""
    with store.read() as session:
        count = session.scalar(
            select(func.count()).where(
                NotificationRow.channel["kind"].as_string() == ChannelKind.INBOX,
                NotificationRow.state == SENT,
                NotificationRow.read_at.is_(None),
            )
        )
    return int(count or 0)


def undelivered(store: Store) -> int:
    """Return how many messages could not be delivered and were not sent again."""
    with store.read() as session:
        count = session.scalar(select(func.count()).where(NotificationRow.state == DEAD))
    return int(count or 0)


def mark_read(store: Store, ids: Sequence[str]) -> None:
    """Note that messages were read."""
    with store.write() as session:
        session.execute(
            update(NotificationRow)
            .where(NotificationRow.id.in_(list(ids)), NotificationRow.read_at.is_(None))
            .values(read_at=utc_now())
        )


def send_again(store: Store, message_id: str) -> None:
    """Let a dead or muted message be sent once more, from its first attempt on."""
    _mark(store, message_id, state=WAITING, attempts=0, due_at=utc_now(), problem="")


def trial_message(channel: Channel, kind: Format, who: str) -> Notification:
    """Return a message that only says that a channel works."""
    now = utc_now()
    text = f"{PREFIX} This is a test that {who} has sent. The channel works."
    body = f'{{"test": true, "text": "{PREFIX} A test"}}' if kind is Format.JSON else text
    key = hashlib.sha256(f"test {now.isoformat()}".encode()).hexdigest()
    return Notification(
        key, "", "", (), channel, f"{PREFIX} Test", body, WAITING, 0, "", now, now, format=kind
    )


def _tells(alert: Alert, group: AnomalyGroup, detector: Detector) -> bool:
    return alert.rule.active and matches(alert.rule, group, detector.dataset.dimensions)


def _write(  # noqa: PLR0913, PLR0917 - all that a message is made of
    session: Session,
    alert: Alert,
    detector: Detector,
    group: AnomalyGroup,
    now_settings: Settings,
    now: datetime,
) -> int:
    """Write the notification of a group, unless it is there, and return how many were."""
    told = session.scalar(
        select(func.count())
        .where(NotificationRow.alert == alert.id, NotificationRow.state != MUTED)
        .where(cast(NotificationRow.groups, String).contains(group.id))
    )
    if told:
        return 0
    muted = _muted(alert, now)
    if alert.rule.digest_minutes and not muted:
        return _add_to_digest(session, alert, detector, group, now)
    message_id = _id(alert.id, group.id)
    kept = session.get(NotificationRow, message_id)
    if kept is not None and muted:
        return 0
    at_once = alert.rule.channel.kind is ChannelKind.INBOX
    session.merge(
        NotificationRow(
            id=message_id,
            alert=alert.id,
            detector=detector.id,
            groups=[group.id],
            channel=as_data(alert.rule.channel),
            subject=subject_of(detector, [group]),
            body=body_of(alert, detector, [group], now_settings.public_url),
            state=MUTED if muted else SENT if at_once else WAITING,
            attempts=0,
            problem=muted,
            created_at=now,
            due_at=now,
            sent_at=now if at_once and not muted else None,
            format=alert.rule.format,
        )
    )
    if not muted:
        _note_sent(session, alert.id, now)
    session.flush()
    return 1


def _muted(alert: Alert, now: datetime) -> str:
    """Return why an alert sends nothing now; empty where it does."""
    rule = alert.rule
    if rule.snoozed_until is not None and now < rule.snoozed_until:
        return f"Snoozed until {rule.snoozed_until:%Y-%m-%d %H:%M} UTC."
    if any(window.holds(now) for window in rule.windows):
        return "In a maintenance window."
    cool = timedelta(minutes=rule.cooldown_minutes)
    if alert.last_sent_at is not None and now < alert.last_sent_at + cool:
        return f"Cooling down until {alert.last_sent_at + cool:%Y-%m-%d %H:%M} UTC."
    return ""


def _add_to_digest(
    session: Session, alert: Alert, detector: Detector, group: AnomalyGroup, now: datetime
) -> int:
    open_digest = session.scalars(
        select(NotificationRow).where(
            NotificationRow.alert == alert.id,
            NotificationRow.state == WAITING,
            NotificationRow.attempts == 0,
            NotificationRow.due_at > now,
        )
    ).first()
    if open_digest is not None:
        open_digest.groups = [*open_digest.groups, group.id]
        session.flush()
        return 0
    session.merge(  # it may be there, muted
        NotificationRow(
            id=_id(alert.id, group.id),
            alert=alert.id,
            detector=detector.id,
            groups=[group.id],
            channel=as_data(alert.rule.channel),
            subject="",  # written when it is sent, with all its groups
            body="",
            state=WAITING,
            attempts=0,
            problem="",
            created_at=now,
            due_at=now + timedelta(minutes=alert.rule.digest_minutes),
            format=alert.rule.format,
        )
    )
    session.flush()
    return 1


def _write_trouble(
    session: Session, alert: Alert, detector: Detector, trouble: tuple[str, str], now: datetime
) -> int:
    kind, words = trouble
    message_id = _id(alert.id, f"{kind} {now:%Y-%m-%d} {detector.problem}")
    if session.get(NotificationRow, message_id) is not None or _muted(alert, now):
        return 0
    at_once = alert.rule.channel.kind is ChannelKind.INBOX
    session.add(
        NotificationRow(
            id=message_id,
            alert=alert.id,
            detector=detector.id,
            groups=[],
            channel=as_data(alert.rule.channel),
            subject=f"{PREFIX} {detector.name} {SUBJECTS[kind]}"[:100],
            body=f"{PREFIX} The anomaly detector {detector.name} {words}",
            state=SENT if at_once else WAITING,
            attempts=0,
            problem="",
            created_at=now,
            due_at=now,
            sent_at=now if at_once else None,
            format=Format.SHORT_TEXT,
        )
    )
    session.flush()
    return 1


def _claimed(
    store: Store,
    message_id: str,
    known: Mapping[str, Detector],
    address: str,
    now: datetime,
) -> Notification | None:
    """Return a message that is ours for one attempt; None where another worker has it."""
    with store.write() as session:
        taken = session.execute(
            update(NotificationRow)
            .where(
                NotificationRow.id == message_id,
                NotificationRow.state == WAITING,
                NotificationRow.due_at <= now,
            )
            .values(due_at=now + timedelta(seconds=LEASE_S), attempts=NotificationRow.attempts + 1)
        )
        if not taken.rowcount:  # type: ignore[attr-defined]  # an update has one
            return None
        row = session.get_one(NotificationRow, message_id, populate_existing=True)
        if not row.body:
            _write_digest(session, row, known.get(row.detector), address)
        return _notification(row)


def _write_digest(
    session: Session, row: NotificationRow, detector: Detector | None, address: str
) -> None:
    found = [session.get(AnomalyGroupRow, one) for one in row.groups]
    groups = [read_data(AnomalyGroup, one.detail) for one in found if one is not None]
    alert = next((one for one in alerts_in(session, row.detector) if one.id == row.alert), None)
    if alert is None or detector is None or not groups:
        row.subject = row.body = f"{PREFIX} The alert, its detector or its anomalies are gone."
        return
    groups.sort(key=lambda one: -one.severity)
    row.subject = subject_of(detector, groups)
    row.body = body_of(alert, detector, groups, address)
    _note_sent(session, row.alert, utc_now())


def _try_again(store: Store, message: Notification, error: DeliveryError, now: datetime) -> bool:
    if error.permanent or message.attempts > len(WAITS_S):
        _mark(store, message.id, state=DEAD, problem=str(error))
        return False
    wait = timedelta(seconds=WAITS_S[message.attempts - 1])
    _mark(store, message.id, due_at=now + wait, problem=str(error))
    return True


def _mark(store: Store, message_id: str, **values: object) -> None:
    with store.write() as session:
        session.execute(
            update(NotificationRow).where(NotificationRow.id == message_id).values(**values)
        )


def _note_sent(session: Session, alert_id: str, now: datetime) -> None:
    session.execute(update(AlertRow).where(AlertRow.id == alert_id).values(last_sent_at=now))


def _unannounced() -> Any:
    return select(AnomalyGroupRow).where(AnomalyGroupRow.announced_at.is_(None))


def _due(now: datetime) -> Any:
    return select(NotificationRow).where(
        NotificationRow.state == WAITING, NotificationRow.due_at <= now
    )


def _id(alert: str, about: str) -> str:
    return hashlib.sha256(f"{alert}\n{about}".encode()).hexdigest()


def _notification(row: NotificationRow) -> Notification:
    return Notification(
        row.id,
        row.alert,
        row.detector,
        tuple(row.groups),
        read_data(Channel, row.channel),
        row.subject,
        row.body,
        row.state,
        row.attempts,
        row.problem,
        row.created_at,
        row.due_at,
        row.sent_at,
        row.read_at,
        Format(row.format),
    )
