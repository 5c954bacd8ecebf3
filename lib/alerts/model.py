"""What an alert is: which anomaly groups it tells about, and where. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lib.metrics.detectors import checked_name
from lib.metrics.model import MAX_DESCRIPTION_CHARACTERS, Dataset, Direction, MetricsError

DEFAULT_SEVERITY = 70.0
MAX_VALUE_CHARACTERS = 256
MAX_VALUES = 1_000  # in one dimension filter
MAX_MINUTES = 7 * 24 * 60  # of cool-down and digest
_TOPIC = re.compile(r"arn:[a-z\d-]+:sns:([a-z\d-]+):\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")
_FUNCTION = re.compile(r"arn:[a-z\d-]+:lambda:([a-z\d-]+):\d{12}:function:[A-Za-z0-9_:$-]{1,140}")


class ChannelKind(StrEnum):
    """How a notification reaches people."""

    INBOX = "inbox"
    SNS = "sns"
    LAMBDA = "lambda"
    NAMED = "named"  # an address that the operator has set, by its name


class Format(StrEnum):
    """How a notification is written, by the service's names."""

    LONG_TEXT = "LONG_TEXT"
    SHORT_TEXT = "SHORT_TEXT"
    JSON = "JSON"


@dataclass(frozen=True)
class Channel:
    """Where notifications go: the ARN of a topic or function, or the name of a set address."""

    kind: ChannelKind = ChannelKind.INBOX
    target: str = ""

    @property
    def region(self) -> str:
        """Return the AWS region of the target's ARN, empty for other channels."""
        pattern = {ChannelKind.SNS: _TOPIC, ChannelKind.LAMBDA: _FUNCTION}.get(self.kind)
        found = pattern.fullmatch(self.target) if pattern else None
        return found[1] if found else ""


@dataclass(frozen=True)
class DimensionFilter:
    """Values of a dimension that match: listed ones, or those like a pattern, or all but these."""

    dimension: str
    values: tuple[str, ...]
    exclude: bool = False  # our extension: every value but these
    pattern: bool = False  # our extension: values hold `*` and `?`


@dataclass(frozen=True)
class Window:
    """A time in which nothing is sent: once, or every week at the same hours; `end` exclusive."""

    start: datetime
    end: datetime
    weekly: bool = False

    def holds(self, time: datetime) -> bool:
        """Tell whether a time lies in the window."""
        if not self.weekly:
            return self.start <= time < self.end
        week = timedelta(weeks=1)
        return time >= self.start and (time - self.start) % week < self.end - self.start


@dataclass(frozen=True)
class AlertRule:
    """Which groups an alert tells about. Lists match by OR within and AND between them.

    A group matches where at least one of its affected series satisfies all dimension filters. A
    series over all values of a dimension satisfies no filter on it. Data that do not arrive match
    by severity alone, where `health` is set.
    """

    name: str
    description: str = ""
    measures: tuple[str, ...] = ()  # none: all
    filters: tuple[DimensionFilter, ...] = ()
    severity: float | None = DEFAULT_SEVERITY  # None: any
    direction: Direction = Direction.BOTH
    least_impact: float = 0.0  # of |observed - expected|, in the measure's unit
    channel: Channel = Channel()
    format: Format = Format.LONG_TEXT
    active: bool = True
    snoozed_until: datetime | None = None
    windows: tuple[Window, ...] = ()
    cooldown_minutes: int = 0  # after a notification nothing is sent for so long
    digest_minutes: int = 0  # groups of so long go out together; 0: each at once
    health: bool = True  # tells about failed and late runs and missing data, too


@dataclass(frozen=True)
class Alert:
    """An alert of a detector as it is now."""

    id: str
    detector: str  # its id
    version: int  # counts edits from 1
    rule: AlertRule
    last_sent_at: datetime | None = None
    deleted_at: datetime | None = None


@dataclass(frozen=True)
class Notification:
    """A message of an alert and how far it has come."""

    id: str  # the same however often it is made: receivers can tell doubles by it
    alert: str
    detector: str
    groups: tuple[str, ...]
    channel: Channel
    subject: str
    body: str
    state: str  # waiting, sent, dead, muted
    attempts: int
    problem: str
    created_at: datetime
    due_at: datetime
    sent_at: datetime | None = None
    read_at: datetime | None = None
    format: Format = Format.LONG_TEXT


def checked_rule(rule: AlertRule, dataset: Dataset) -> AlertRule:
    """Return the rule; raises `MetricsError` with what is wrong in it and what there is."""
    checked_name(rule.name)
    if len(rule.description) > MAX_DESCRIPTION_CHARACTERS:
        raise MetricsError(f"A description has at most {MAX_DESCRIPTION_CHARACTERS} characters.")
    _check_criteria(rule, dataset)
    for minutes in (rule.cooldown_minutes, rule.digest_minutes):
        if not 0 <= minutes <= MAX_MINUTES:
            raise MetricsError("Cool-down and digest last between 0 minutes and a week.")
    for window in rule.windows:
        if window.end <= window.start:
            raise MetricsError("A maintenance window ends after it starts.")
    if rule.channel.kind in _WANTED and not rule.channel.region:
        raise MetricsError(_WANTED[rule.channel.kind])
    return rule


def _check_criteria(rule: AlertRule, dataset: Dataset) -> None:
    measures = [one.name for one in dataset.measures]
    for name in rule.measures:
        if name not in measures:
            raise MetricsError(f"{name!r} is no measure; there are {', '.join(measures)}.")
    for one in rule.filters:
        _check_filter(one, dataset)
    if rule.severity is not None and not 0 <= rule.severity <= 100:  # noqa: PLR2004 - a severity
        raise MetricsError("A severity is between 0 and 100.")
    if rule.least_impact < 0:
        raise MetricsError("The least impact is 0 or more.")


_WANTED: Mapping[ChannelKind, str] = {
    ChannelKind.SNS: "An SNS topic is named by its ARN, arn:aws:sns:REGION:ACCOUNT:TOPIC.",
    ChannelKind.LAMBDA: "A function is named by its ARN, arn:aws:lambda:REGION:ACCOUNT:function:…",
}


def _check_filter(one: DimensionFilter, dataset: Dataset) -> None:
    if one.dimension not in dataset.dimensions:
        known = ", ".join(dataset.dimensions) or "none"
        raise MetricsError(f"{one.dimension!r} is no dimension; there are {known}.")
    if not one.values:
        raise MetricsError(f"Choose at least one value of {one.dimension}, or take it out.")
    if len(one.values) > MAX_VALUES:
        raise MetricsError(f"A filter has at most {MAX_VALUES:,} values.")
    if any(not value.strip() or len(value) > MAX_VALUE_CHARACTERS for value in one.values):
        raise MetricsError(f"A value of {one.dimension} has 1 to {MAX_VALUE_CHARACTERS} letters.")
