"""What an alert is: which anomaly groups it tells about, and where. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lib.metrics.model import Direction

DEFAULT_SEVERITY = 70.0


class ChannelKind(StrEnum):
    """How a notification reaches people."""

    INBOX = "inbox"
    SNS = "sns"
    LAMBDA = "lambda"
    EMAIL = "email"
    SLACK = "slack"
    TEAMS = "teams"
    PAGERDUTY = "pagerduty"
    WEBHOOK = "webhook"
    APPRISE = "apprise"


class Format(StrEnum):
    """How a notification is written, by the service's names."""

    LONG_TEXT = "LONG_TEXT"
    SHORT_TEXT = "SHORT_TEXT"
    JSON = "JSON"


@dataclass(frozen=True)
class Channel:
    """Where notifications go. `target` holds what may be seen by everybody, never a secret.

    SNS: "topic_arn", "role_arn"; Lambda: "lambda_arn", "role_arn". The others name by "secret" the
    sealed address (`lib.metrics.channel_secrets`) and by "shown" what people see of it.
    """

    kind: ChannelKind = ChannelKind.INBOX
    target: Mapping[str, str] | None = None


@dataclass(frozen=True)
class DimensionFilter:
    """Values of a dimension that match: listed ones, or those like a pattern, or all but these."""

    dimension: str
    values: tuple[str, ...]
    exclude: bool = False  # our extension: every value but these
    pattern: bool = False  # our extension: values hold `*` and `?`


@dataclass(frozen=True)
class Window:
    """A time in which nothing is sent: once, or every week on the same day and hours."""

    start: datetime
    end: datetime
    weekly: bool = False


@dataclass(frozen=True)
class AlertRule:
    """Which groups an alert tells about. Lists match by OR within and AND between them.

    A group matches where at least one of its affected series satisfies all dimension filters.
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
