"""The alert that is being written: widgets' state from a rule, and a rule from their state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from lib.alerts.model import (
    Alert,
    AlertRule,
    Channel,
    ChannelKind,
    DimensionFilter,
    Window,
)
from lib.metrics.model import Direction

EDITED = "alerts.edited"  # the alert as it was opened; None for a new one
FILTERED = "alerts.filtered"  # dimensions with a filter, in order
ROUND = "alerts.round"  # counts drafts, so that one leaves nothing to the next
FIELDS = "alerts.fields"  # what the widgets of a draft begin with
DIRECTIONS = {Direction.BOTH: "Spikes and dips", Direction.SPIKE: "Spikes", Direction.DIP: "Dips"}
OPERATORS: Mapping[str, tuple[bool, bool]] = {  # exclude, pattern
    "is": (False, False),
    "is not": (True, False),
    "is like": (False, True),
    "is not like": (True, True),
}
INBOX, SNS, LAMBDA = "Inbox", "SNS topic", "Lambda function"


def new_draft() -> None:
    """Begin a new alert."""
    edit_draft(AlertRule(""), None)


def edit_draft(rule: AlertRule, alert: Alert | None) -> None:
    """Begin with a rule; `alert` is what the edit will change, None for a new one."""
    st.session_state[EDITED] = alert
    st.session_state[FILTERED] = [one.dimension for one in rule.filters]
    st.session_state[ROUND] = st.session_state.get(ROUND, 0) + 1
    st.session_state[FIELDS] = rule


def beginning() -> AlertRule:
    """Return the rule that the draft began with."""
    if FIELDS not in st.session_state:
        new_draft()
    rule: AlertRule = st.session_state[FIELDS]
    return rule


def key(name: str) -> str:
    """Return the key of a widget of this draft."""
    return f"alerts_draft_{name}_{st.session_state.get(ROUND, 0)}"


def add_filter(dimension: str) -> None:
    """Add a criterion on a dimension."""
    filtered = st.session_state[FILTERED]
    if dimension and dimension not in filtered:
        st.session_state[FILTERED] = [*filtered, dimension]


def drop_filter(dimension: str) -> None:
    """Take a criterion out."""
    st.session_state[FILTERED] = [one for one in st.session_state[FILTERED] if one != dimension]


def begun_filter(dimension: str) -> DimensionFilter:
    """Return what the draft began with on a dimension."""
    known = [one for one in beginning().filters if one.dimension == dimension]
    return known[0] if known else DimensionFilter(dimension, ())


def operator_of(one: DimensionFilter) -> str:
    """Return the word for how a filter compares."""
    return next(word for word, kind in OPERATORS.items() if kind == (one.exclude, one.pattern))


def place_of(channel: Channel) -> str:
    """Return the choice that stands for a channel."""
    kinds = {ChannelKind.INBOX: INBOX, ChannelKind.SNS: SNS, ChannelKind.LAMBDA: LAMBDA}
    return kinds.get(channel.kind, channel.target)


def channel_of(place: str, target: str) -> Channel:
    """Return the channel that a choice and an ARN stand for."""
    kinds = {INBOX: ChannelKind.INBOX, SNS: ChannelKind.SNS, LAMBDA: ChannelKind.LAMBDA}
    if place not in kinds:
        return Channel(ChannelKind.NAMED, place)
    return Channel(kinds[place], "" if place == INBOX else target.strip())


def windows_frame(rule: AlertRule, zone: str) -> pd.DataFrame:
    """Return the maintenance windows as rows to edit, in local time."""
    here = ZoneInfo(zone)
    return pd.DataFrame(
        {
            "start": pd.Series(
                [one.start.astimezone(here).replace(tzinfo=None) for one in rule.windows],
                dtype="datetime64[ns]",
            ),
            "end": pd.Series(
                [one.end.astimezone(here).replace(tzinfo=None) for one in rule.windows],
                dtype="datetime64[ns]",
            ),
            "weekly": pd.Series([one.weekly for one in rule.windows], dtype=bool),
        }
    )


def windows_of(frame: pd.DataFrame, zone: str) -> tuple[Window, ...]:
    """Return the windows of edited rows; rows without a start or an end are left out."""
    here = ZoneInfo(zone)
    found = []
    for row in frame.to_dict("records"):
        if pd.isna(row["start"]) or pd.isna(row["end"]):
            continue
        start, end = (_instant(row[name], here) for name in ("start", "end"))
        found.append(Window(start, end, weekly=row["weekly"] is True))
    return tuple(found)


def _instant(time: Any, here: ZoneInfo) -> datetime:
    local: datetime = pd.Timestamp(time).to_pydatetime().replace(tzinfo=here)
    return local.astimezone(UTC)
