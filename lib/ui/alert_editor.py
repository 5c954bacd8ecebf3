"""The editor of an alert: criteria one by one, read back in words, tried on what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st

from lib.alerts.channels import DeliveryError, named_channels, send
from lib.alerts.matching import GroupTable, explain, matching, sentence, table_of
from lib.alerts.messages import body_of
from lib.alerts.model import (
    Alert,
    AlertRule,
    Channel,
    ChannelKind,
    DimensionFilter,
    Format,
    Window,
    checked_rule,
)
from lib.alerts.outbox import trial_message
from lib.alerts.rules import create_alert, edit_alert
from lib.identity import Role, User
from lib.metrics.evaluation import last_evaluated
from lib.metrics.groups_store import GroupQuery, list_groups
from lib.metrics.history import History
from lib.metrics.model import (
    MAX_DESCRIPTION_CHARACTERS,
    MAX_NAME_CHARACTERS,
    AnomalyGroup,
    Detector,
    Direction,
    MetricsError,
)
from lib.settings import settings
from lib.ui import resources
from lib.ui.alert_draft import (
    DIRECTIONS,
    EDITED,
    FILTERED,
    INBOX,
    LAMBDA,
    OPERATORS,
    SNS,
    add_filter,
    beginning,
    begun_filter,
    channel_of,
    drop_filter,
    edit_draft,
    key,
    new_draft,
    operator_of,
    place_of,
    windows_frame,
    windows_of,
)
from lib.ui.anomaly_words import place, span
from lib.ui.guard import acting_user
from lib.ui.markdown import escape

SAVED, FAILED, TRIED = "alerts.saved", "alerts.failed", "alerts.tried"
FORMATS = {Format.LONG_TEXT: "Long text", Format.SHORT_TEXT: "Short text", Format.JSON: "JSON"}
SENT, UNSENT = "Would be sent", "Would not be sent"


@dataclass(frozen=True, eq=False)
class Past:
    """What a detector has found, as a list and as columns."""

    groups: Sequence[AnomalyGroup]
    table: GroupTable


def show_editor(detector: Detector, history: History | None, user: User) -> None:
    """Draw the editor and the preview of what the alert would have sent."""
    if not user.role.allows(Role.ANALYST):
        st.info("Analysts write alerts; your role is to look.", icon=":material/lock:")
        return
    begun = beginning()
    edited: Alert | None = st.session_state[EDITED]
    _show_outcome()
    st.markdown(f"**{'Edit ' + escape(edited.rule.name) if edited else 'New alert'}**")
    rule = _enter(detector, history, begun, edited)
    with st.container(border=True):
        st.markdown(escape(sentence(rule)))
    problem = _problem(rule, detector)
    if problem:
        st.warning(escape(problem), icon=":material/warning:")
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Save", type="primary", icon=":material/save:", key="alerts_save",
            disabled=bool(problem), on_click=_save, args=(detector, rule, edited),
        )  # fmt: skip
        st.button(
            "Send a test", icon=":material/send:", key="alerts_test", disabled=bool(problem),
            on_click=_test, args=(rule.channel, rule.format),
        )  # fmt: skip
        st.button(
            "Start again", icon=":material/restart_alt:", key="alerts_again", on_click=new_draft
        )
    _show_preview(detector, rule)


def _show_outcome() -> None:
    if saved := st.session_state.pop(SAVED, ""):
        st.success(escape(saved), icon=":material/check:")
    if failed := st.session_state.pop(FAILED, ""):
        st.error(escape(failed), icon=":material/error:")
    if tried := st.session_state.pop(TRIED, ""):
        st.info(escape(tried), icon=":material/send:")


def _problem(rule: AlertRule, detector: Detector) -> str:
    try:
        checked_rule(rule, detector.dataset)
    except MetricsError as error:
        return str(error)
    return ""


def _enter(
    detector: Detector, history: History | None, begun: AlertRule, edited: Alert | None
) -> AlertRule:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.text_input(
            "Name", begun.name, key=key("name"), max_chars=MAX_NAME_CHARACTERS, width=380,
            disabled=edited is not None, placeholder="revenue-in-the-US",
            help="Letters, digits, - and _. It stays as it is once the alert is saved.",
        )  # fmt: skip
        description = st.text_input(
            "Description", begun.description, key=key("description"),
            max_chars=MAX_DESCRIPTION_CHARACTERS, width=380,
        )  # fmt: skip
    st.markdown("**Which anomalies?**")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        known = [one.name for one in detector.dataset.measures]
        measures = st.multiselect(
            "Measures", known, [one for one in begun.measures if one in known],
            key=key("measures"), placeholder="All measures", width=320,
        )  # fmt: skip
        severity = st.number_input(
            "Severity from", 0.0, 100.0, begun.severity, step=5.0, key=key("severity"),
            format="%g", placeholder="any", width=150, help="Empty: any severity",
        )  # fmt: skip
        direction = st.selectbox(
            "Direction", list(DIRECTIONS), list(DIRECTIONS).index(begun.direction),
            format_func=DIRECTIONS.__getitem__, key=key("direction"), width=170,
        )  # fmt: skip
        impact = st.number_input(
            "Least impact", 0.0, None, begun.least_impact, key=key("impact"), format="%g",
            width=170,
            help="How far the measure has to be from what was expected, in its unit",
        )  # fmt: skip
    filters = _enter_filters(detector, history)
    channel, form = _enter_channel(begun)
    with st.expander("Quiet times and more", key="alerts_more"):
        windows, cooldown, digest, health = _enter_quiet(detector, begun)
    return replace(
        begun,
        name=edited.rule.name if edited else name.strip(),
        description=description.strip(),
        measures=tuple(measures),
        filters=filters,
        severity=severity,
        direction=direction or Direction.BOTH,
        least_impact=float(impact or 0),
        channel=channel,
        format=form,
        windows=windows,
        cooldown_minutes=cooldown,
        digest_minutes=digest,
        health=health,
    )


def _enter_filters(detector: Detector, history: History | None) -> tuple[DimensionFilter, ...]:
    offered = _values(detector, history)
    filters = []
    for dimension in st.session_state[FILTERED]:
        if dimension not in detector.dataset.dimensions:
            continue
        begun = begun_filter(dimension)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            operator = st.selectbox(
                dimension, list(OPERATORS), list(OPERATORS).index(operator_of(begun)),
                key=key(f"operator_{dimension}"), width=170,
            )  # fmt: skip
            values = st.multiselect(
                f"Values of {dimension}", sorted({*offered.get(dimension, ()), *begun.values}),
                list(begun.values), key=key(f"values_{dimension}"), accept_new_options=True,
                placeholder="Choose or type", width=480,
            )  # fmt: skip
            st.button(
                "Remove", icon=":material/close:", key=key(f"drop_{dimension}"),
                on_click=drop_filter, args=(dimension,), help=f"Take {dimension} out",
            )  # fmt: skip
        exclude, pattern = OPERATORS[operator]
        filters.append(DimensionFilter(dimension, tuple(values), exclude, pattern))
    left = [one for one in detector.dataset.dimensions if one not in st.session_state[FILTERED]]
    if left:
        with st.container(horizontal=True, gap="small"):
            for dimension in left:
                st.button(
                    escape(dimension), icon=":material/add:", key=key(f"add_{dimension}"),
                    on_click=add_filter, args=(dimension,), help=f"Add a criterion on {dimension}",
                )  # fmt: skip
    return tuple(filters)


def _values(detector: Detector, history: History | None) -> dict[str, list[str]]:
    """Return the values that the dataset holds, by dimension."""
    if history is None:
        return {}
    return {
        dimension: sorted({key[at] or "" for key in history.panel.series if key[at] is not None})
        for at, dimension in enumerate(detector.dataset.dimensions)
    }


def _enter_channel(begun: AlertRule) -> tuple[Channel, Format]:
    st.markdown("**Where to?**")
    places = [INBOX, SNS, LAMBDA, *named_channels(settings())]
    before = place_of(begun.channel)
    if before not in places:
        places.append(before)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.selectbox(
            "Channel", places, places.index(before), key=key("channel"), width=220,
            help="Slack, Teams, PagerDuty, e-mail, webhooks and more: the operator sets their "
            "addresses by name in SIGHTLINE_ALERT_CHANNELS.",
        )  # fmt: skip
        target = ""
        if chosen in {SNS, LAMBDA}:
            target = st.text_input(
                "ARN", begun.channel.target, key=key("target"), width=460,
                placeholder="arn:aws:sns:us-west-2:123456789012:topic",
            )  # fmt: skip
        form = st.selectbox(
            "Format", list(FORMATS), list(FORMATS).index(begun.format),
            format_func=FORMATS.__getitem__, key=key("format"), width=150,
        )  # fmt: skip
    return channel_of(chosen, target), form


def _enter_quiet(detector: Detector, begun: AlertRule) -> tuple[tuple[Window, ...], int, int, bool]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        cooldown = st.number_input(
            "Cool-down, minutes", 0, 10_080, begun.cooldown_minutes, key=key("cooldown"), width=190,
            help="After a message nothing is sent for so long",
        )  # fmt: skip
        digest = st.number_input(
            "Digest, minutes", 0, 10_080, begun.digest_minutes, key=key("digest"), width=190,
            help="Anomalies of so long go out in one message; 0: each at once",
        )  # fmt: skip
    health = st.checkbox(
        "Tell about failed runs and data that do not arrive, too", begun.health, key=key("health")
    )
    zone = detector.dataset.zone
    st.caption(f"Maintenance windows ({zone}), in which nothing is sent:")
    edited = st.data_editor(
        windows_frame(begun, zone),
        num_rows="dynamic",
        key=key("windows"),
        hide_index=True,
        column_config={
            "start": st.column_config.DatetimeColumn("From", step=60),
            "end": st.column_config.DatetimeColumn("Until", step=60),
            "weekly": st.column_config.CheckboxColumn("Every week", default=False),
        },
    )
    return windows_of(edited, zone), int(cooldown), int(digest), health


@st.cache_resource(ttl=600, max_entries=8, show_spinner=False)
def _past(detector_id: str, last: str, _detector: Detector) -> Past:  # noqa: ARG001 - a key of the cache
    # `last` names the interval up to which it goes, so that new groups are seen.
    groups = list_groups(resources.store(), GroupQuery(detector_id))
    return Past(groups, table_of(groups, _detector.dataset.dimensions))


def _show_preview(detector: Detector, rule: AlertRule) -> None:
    last = last_evaluated(resources.store(), detector)
    past = _past(detector.id, str(last), detector)
    st.markdown("**What it would have sent**")
    if not past.groups:
        st.caption("The detector has found nothing yet; what fits appears here.")
        return
    sent = set(matching(rule, past.table).tolist())
    st.caption(
        f"**{len(sent):,} of {len(past.groups):,}** past anomalies would have been sent. "
        "Choose one to see why."
    )
    shown = st.radio(
        "Show", [SENT, UNSENT], key="alerts_shown", horizontal=True, label_visibility="collapsed"
    )
    rows = [at for at in range(len(past.groups)) if (at in sent) == (shown != UNSENT)]
    if not rows:
        st.caption("None.")
        return
    chosen = _choose(detector, [past.groups[at] for at in rows])
    if chosen is not None:
        _show_why(detector, rule, chosen)


def _choose(detector: Detector, groups: Sequence[AnomalyGroup]) -> AnomalyGroup | None:
    picked = st.dataframe(
        pd.DataFrame(
            {
                "severity": [one.severity for one in groups],
                "measure": [one.measure or "no data" for one in groups],
                "where": [place(one) for one in groups],
                "when": [span(one.start, one.end, detector.dataset.zone) for one in groups],
            }
        ),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"alerts_past_{hash(tuple(one.id for one in groups))}",
        height=min(240, 38 + 35 * len(groups)),
        alt="Past anomalies",
        column_config={
            "severity": st.column_config.ProgressColumn(
                "Severity", min_value=0, max_value=100, format="%.0f", width=90
            ),
            "measure": st.column_config.TextColumn("Measure", width=90),
            "where": st.column_config.TextColumn("Where", width=260),
            "when": st.column_config.TextColumn("When", width=290),
        },
    )
    rows = picked.selection.rows
    return groups[rows[0]] if rows and rows[0] < len(groups) else groups[0]


def _show_why(detector: Detector, rule: AlertRule, group: AnomalyGroup) -> None:
    criteria = explain(rule, group, detector.dataset.dimensions)
    met = all(one.met for one in criteria)
    st.markdown(f"**Why it would {'' if met else 'not '}be sent**")
    st.dataframe(
        pd.DataFrame(
            {
                "": ["✓" if one.met else "✗" for one in criteria],
                "Criterion": [one.name for one in criteria],
                "Wanted": [one.wanted for one in criteria],
                "Found": [one.found for one in criteria],
            }
        ),
        hide_index=True,
        alt="Each criterion, what it wants, what there is, and whether it is met",
        column_config={"": st.column_config.TextColumn(width=40)},
    )
    if met:
        with st.expander("The message", key="alerts_message"):
            alert = Alert("preview", detector.id, 0, rule)
            body = body_of(alert, detector, [group], settings().public_url)
            st.code(body, language="json" if rule.format is Format.JSON else None, wrap_lines=True)


def _save(detector: Detector, rule: AlertRule, edited: Alert | None) -> None:
    user = acting_user(Role.ANALYST)
    try:
        if edited is None:
            saved = create_alert(resources.store(), detector, rule, user.username)
        else:
            saved = edit_alert(resources.store(), edited, rule, detector.dataset, user.username)
    except MetricsError as error:
        st.session_state[FAILED] = str(error)
        return
    change = "created" if edited is None else "edited"
    resources.identity().record(user.username, f"alert {change}", rule.name)
    edit_draft(saved.rule, saved)
    st.session_state[SAVED] = f"{rule.name} is saved."


def _test(channel: Channel, form: Format) -> None:
    user = acting_user(Role.ANALYST)
    message = trial_message(channel, form, user.username)
    try:
        send(message, settings(), resources.aws())
    except DeliveryError as error:
        st.session_state[FAILED] = str(error)
        return
    where = "The inbox needs no test." if channel.kind is ChannelKind.INBOX else "It was sent."
    st.session_state[TRIED] = where
