"""How well a detector did: events at each severity, against chance and known incidents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

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
        st.caption(escape(f"From {moment(span[0], zone)} to {moment(span[1], zone)}."))
        show_table(
            _frame(outcomes(groups, labels, *span), known=bool(labels)),
            columns={},
            name=f"backtest-{detector.name}",
            alt="Events, precision and recall at each severity",
        )
        if not labels:
            st.caption("Precision and recall appear once incidents are known.")
        _show_feedback(groups)


def _labels(detector: Detector, start: datetime, end: datetime) -> Sequence[Label]:
    if detector.dataset.source.get("kind") == "sample":
        return [
            Label(one.start, one.end, measure)
            for one in occurrences(start, end)
            for measure in one.incident.measures[:1]
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
            "A week": [f"{one.per_week:.2g}" for one in found],
            "By chance a week": [f"{one.by_chance_per_week:.2g}" for one in found],
        }
    )
    if known:
        frame["Precision"] = [_percent(one.precision) for one in found]
        frame["Recall"] = [_percent(one.recall) for one in found]
        frame["Median delay"] = [
            "" if one.delay is None else f"{one.delay.total_seconds() / 3_600:.1f} h"
            for one in found
        ]
    return frame


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _show_feedback(groups: Sequence[AnomalyGroup]) -> None:
    said = feedback_of(resources.store(), [one.id for one in groups])
    if said:
        real = sum(said.values())
        st.caption(f"Of {len(said):,} events with feedback, {real:,} were called real.")
