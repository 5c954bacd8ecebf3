"""How well a detector did: events at each severity, against chance and known incidents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pandas as pd
import streamlit as st

from lib.metrics.backtest import Label, Outcome, outcomes, read_labels
from lib.metrics.evaluation import evaluated_span
from lib.metrics.groups_store import GroupQuery, feedback_of, list_groups
from lib.metrics.model import AnomalyGroup, Detector, GroupKind, MetricsError
from lib.metrics.samples import occurrences
from lib.ui import resources
from lib.ui.anomaly_view import moment
from lib.ui.markdown import escape
from lib.ui.tables import show_table

COLUMNS = {
    "A week": st.column_config.NumberColumn(format="%.1f"),
    "By chance a week": st.column_config.NumberColumn(format="%.2f", help="At most"),
    "Precision": st.column_config.NumberColumn(
        format="%.0f %%", help="Share of the events that overlap a known incident"
    ),
    "Recall": st.column_config.NumberColumn(
        format="%.0f %%", help="Share of the known incidents that an event overlaps"
    ),
    "Median delay": st.column_config.NumberColumn(
        format="%.1f h", help="From the start of an incident to the end of its first interval"
    ),
}


def show_backtest(detector: Detector) -> None:
    """Draw what each severity would have given, and how much of it was right."""
    with st.expander(
        "How well does it do?", key=f"anomalies_backtest_{detector.id}", on_change="rerun"
    ) as box:
        if not box.open:
            return
        span = evaluated_span(resources.store(), detector)
        if span is None:
            st.caption("Known after the first run.")
            return
        groups = [
            one
            for one in list_groups(resources.store(), GroupQuery(detector.id))
            if one.kind is GroupKind.ANOMALY
        ]
        labels = _labels(detector, *span)
        zone = detector.dataset.zone
        interval = timedelta(seconds=detector.dataset.frequency.seconds)
        st.caption(escape(f"From {moment(span[0], zone)} to {moment(span[1], zone)}."))
        show_table(
            _frame(outcomes(groups, labels, span, interval), known=bool(labels)),
            columns=COLUMNS,
            name=f"backtest-{detector.name}",
            alt="Events, precision and recall at each severity",
        )
        if not labels:
            st.caption("Precision and recall appear once incidents are known.")
        _show_feedback(groups)


def _labels(detector: Detector, start: datetime, end: datetime) -> Sequence[Label]:
    if detector.dataset.source.get("kind") == "sample":
        return [
            Label(one.start, one.end) for one in occurrences(start, end) if one.incident.measures
        ]
    file = st.file_uploader(
        "Known incidents: a CSV with start, end and, if you like, measure",
        type=["csv"],
        key=f"anomalies_labels_{detector.id}",
    )
    if file is None:
        return ()
    try:
        measures = [one.name for one in detector.dataset.measures]
        return read_labels(file.getvalue(), detector.dataset.zone, measures)
    except MetricsError as error:
        st.error(escape(str(error)), icon=":material/error:")
        return ()


def _frame(found: Sequence[Outcome], *, known: bool) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "Severity from": [one.threshold for one in found],
            "Events": [one.groups for one in found],
            "A week": [one.per_week for one in found],
            "By chance a week": [one.by_chance_per_week for one in found],
        }
    )
    if known:
        frame["Precision"] = [_percent(one.precision) for one in found]
        frame["Recall"] = [_percent(one.recall) for one in found]
        frame["Median delay"] = [
            None if one.delay is None else one.delay.total_seconds() / 3_600 for one in found
        ]
    return frame


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _show_feedback(groups: Sequence[AnomalyGroup]) -> None:
    said = feedback_of(resources.store(), [one.id for one in groups])
    if said:
        real = sum(said.values())
        st.caption(f"Of {len(said):,} events with feedback, {real:,} were called real.")
