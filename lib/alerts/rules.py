"""Alerts in the store: made, edited with their history, deleted and taken back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lib.alerts.model import (
    Alert,
    AlertRule,
    Channel,
    DimensionFilter,
    Window,
    checked_rule,
)
from lib.metrics.model import Dataset, Detector, MetricsError
from lib.metrics.records import as_data, read_data
from lib.store import AlertRow, AlertVersionRow, NotificationRow, Store, utc_now


class EditConflictError(MetricsError):
    """Somebody else has edited the alert since it was read."""


@dataclass(frozen=True)
class AlertVersion:
    """One edit: what the rule became, by whom and when."""

    version: int
    rule: AlertRule
    change: str  # created, edited, deleted, restored
    who: str
    at: datetime


def create_alert(store: Store, detector: Detector, rule: AlertRule, who: str) -> Alert:
    """Return the new alert; raises `MetricsError` for a wrong rule or a used name."""
    checked_rule(rule, detector.dataset)
    alert = Alert(uuid.uuid4().hex, detector.id, 1, rule)
    try:
        with store.write() as session:
            session.add(
                AlertRow(
                    id=alert.id,
                    detector=detector.id,
                    name=rule.name,
                    folded_name=rule.name.casefold(),
                    version=1,
                    rule=as_data(rule),
                )
            )
            _write_version(session, alert, "created", who)
    except IntegrityError as error:
        raise MetricsError(
            f"{detector.name} already has an alert {rule.name}; choose another name."
        ) from error
    return alert


def edit_alert(store: Store, alert: Alert, rule: AlertRule, dataset: Dataset, who: str) -> Alert:
    """Return the alert after an edit of what was read as `alert`.

    Raises `EditConflictError` where it has been edited since, `MetricsError` for a wrong rule.
    """
    if rule.name != alert.rule.name:
        raise MetricsError("The name of an alert stays as it is; duplicate it under another name.")
    checked_rule(rule, dataset)
    with store.write() as session:
        row = session.get(AlertRow, alert.id)
        if row is None or row.deleted_at is not None:
            raise EditConflictError("Somebody has deleted this alert; your edit was not saved.")
        if row.version != alert.version:
            last = session.get_one(AlertVersionRow, (row.id, row.version))
            raise EditConflictError(
                f"{last.who} has edited this alert since you opened it; your edit was not saved. "
                "Look at the history, then edit again."
            )
        row.version += 1
        row.rule = as_data(rule)
        edited = _alert(row)
        _write_version(session, edited, "edited", who)
    return edited


def delete_alert(store: Store, alert_id: str, who: str) -> None:
    """Delete an alert; `undelete_alert` takes it back."""
    with store.write() as session:
        row = session.get(AlertRow, alert_id)
        if row is None or row.deleted_at is not None:
            return
        row.deleted_at = utc_now()
        row.folded_name = f"{row.folded_name}\n{row.id}"  # the name is free for another
        row.version += 1
        _write_version(session, _alert(row), "deleted", who)


def undelete_alert(store: Store, alert_id: str, who: str) -> Alert:
    """Return a deleted alert that is back; raises `MetricsError` where its name is used now."""
    try:
        with store.write() as session:
            row = session.get(AlertRow, alert_id)
            if row is None:
                raise MetricsError("The alert is gone with its detector.")
            row.deleted_at = None
            row.folded_name = row.name.casefold()
            row.version += 1
            alert = _alert(row)
            _write_version(session, alert, "restored", who)
            session.flush()
    except IntegrityError as error:
        raise MetricsError("Another alert has this name now; rename or delete it first.") from error
    return alert


def alerts(store: Store, detector: str = "", *, deleted: bool = False) -> tuple[Alert, ...]:
    """Return the alerts of a detector or of all, by name; deleted ones where asked for."""
    rows = select(AlertRow).order_by(AlertRow.name)
    rows = rows.where(
        AlertRow.deleted_at.is_not(None) if deleted else AlertRow.deleted_at.is_(None)
    )
    if detector:
        rows = rows.where(AlertRow.detector == detector)
    with store.read() as session:
        return tuple(map(_alert, session.scalars(rows)))


def alerts_in(session: Session, detector: str) -> tuple[Alert, ...]:
    """Return the alerts of a detector that are not deleted, within the caller's transaction."""
    rows = select(AlertRow).where(AlertRow.detector == detector, AlertRow.deleted_at.is_(None))
    return tuple(map(_alert, session.scalars(rows)))


def history(store: Store, alert_id: str) -> tuple[AlertVersion, ...]:
    """Return all edits of an alert, the newest first."""
    rows = (
        select(AlertVersionRow)
        .where(AlertVersionRow.alert == alert_id)
        .order_by(AlertVersionRow.version.desc())
    )
    with store.read() as session:
        return tuple(
            AlertVersion(row.version, read_data(AlertRule, row.rule), row.change, row.who, row.at)
            for row in session.scalars(rows)
        )


def differences(before: AlertRule, after: AlertRule) -> Mapping[str, tuple[str, str]]:
    """Return what two rules differ in, by the field's name: as text before and after."""
    return {
        one.name.replace("_", " "): (
            _text(getattr(before, one.name)),
            _text(getattr(after, one.name)),
        )
        for one in fields(AlertRule)
        if getattr(before, one.name) != getattr(after, one.name)
    }


def matched_since(store: Store, since: datetime) -> Mapping[str, int]:
    """Return how many notifications each alert has made since a time, by its id."""
    rows = (
        select(NotificationRow.alert, func.count())
        .where(NotificationRow.created_at >= since)
        .group_by(NotificationRow.alert)
    )
    with store.read() as session:
        return {alert: int(count) for alert, count in session.execute(rows)}


def _text(value: object) -> str:
    match value:
        case None | ():
            text = "none"
        case bool():
            text = "yes" if value else "no"
        case tuple():
            text = ", ".join(map(_text, value))
        case datetime():
            text = f"{value:%Y-%m-%d %H:%M} UTC"
        case DimensionFilter():
            kind = ("not " if value.exclude else "") + ("like " if value.pattern else "")
            text = f"{value.dimension} {kind}{' or '.join(value.values)}"
        case Channel():
            text = f"{value.kind} {value.target}".strip()
        case Window():
            text = f"{_text(value.start)} to {_text(value.end)}{' weekly' if value.weekly else ''}"
        case float():
            text = f"{value:g}"
        case _:
            text = str(value)
    return text


def _write_version(session: Session, alert: Alert, change: str, who: str) -> None:
    session.add(
        AlertVersionRow(
            alert=alert.id,
            version=alert.version,
            rule=as_data(alert.rule),
            change=change,
            who=who,
            at=utc_now(),
        )
    )


def _alert(row: AlertRow) -> Alert:
    rule = replace(read_data(AlertRule, row.rule), name=row.name)
    return Alert(row.id, row.detector, row.version, rule, row.last_sent_at, row.deleted_at)
