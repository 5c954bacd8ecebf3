"""The guided set-up of a detector: rows, what their columns mean, and how to watch them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from zoneinfo import available_timezones

import pandas as pd
import streamlit as st

from lib.aws import AwsError
from lib.identity import Role, User
from lib.metrics.detectors import create_detector
from lib.metrics.evaluation import start_evaluation
from lib.metrics.model import (
    MAX_DESCRIPTION_CHARACTERS,
    MAX_NAME_CHARACTERS,
    Aggregation,
    Dataset,
    Frequency,
    Measure,
    MetricsError,
    Missing,
    SourceKind,
)
from lib.metrics.recognise import FREQUENCIES, Recognition, recognise
from lib.metrics.recognise import Role as ColumnRole
from lib.metrics.tables import SET_ROOTS, keep_upload, open_rows
from lib.metrics.timeline import countries
from lib.settings import settings
from lib.ui import resources
from lib.ui.anomaly_view import DETECTOR, forget_choice
from lib.ui.anomaly_words import period
from lib.ui.detector_view import VIEW
from lib.ui.guard import acting_user
from lib.ui.markdown import escape

KINDS = {
    SourceKind.UPLOAD: "A file of yours",
    SourceKind.FOLDER: "A folder of this machine",
    SourceKind.BUCKET: "An Amazon S3 bucket",
    SourceKind.SQL: "A database query",
    SourceKind.SAMPLE: "The sample shop",
}
ROWS = "rows"
ROLLING, CONTINUOUS = "Look back at most of it", "Watch from now on"
ROLLING_SHARE = 0.3
MODES = {
    "Look back once": "Learns from the first 70 % and looks at the rest.",
    ROLLING: "Learns from the first 30 %, looks at the rest and learns on: a rolling backtest.",
    CONTINUOUS: "Looks back first, then at each interval as its data arrive.",
}
FOUND = "anomalies.found"  # the source that was opened, and what was recognised in it
REFUSED = "anomalies.refused"


def show_setup(user: User) -> None:
    """Draw the steps of the set-up, each as soon as the one before is done."""
    if not user.role.allows(Role.ANALYST):
        st.info("Analysts set up detectors; your role is to look.", icon=":material/lock:")
        return
    st.markdown("**1. Where are the rows?**")
    _choose_source()
    if refused := st.session_state.pop(REFUSED, ""):
        st.error(escape(refused), icon=":material/error:")
    if FOUND not in st.session_state:
        st.caption(
            "CSV, JSON Lines or Parquet with a timestamp, some numbers and, if you like, columns "
            "that tell them apart. What the columns mean is recognised, and you correct it."
        )
        return
    source, found = st.session_state[FOUND]
    st.markdown("**2. What do the columns mean?**")
    dataset = _choose_columns(source, found)
    if dataset is None:
        return
    st.markdown("**3. How should it be watched?**")
    _choose_name(dataset)


def _choose_source() -> None:
    kind = st.selectbox(
        "Rows from", list(KINDS), format_func=KINDS.__getitem__, key="anomalies_kind",
        on_change=lambda: st.session_state.pop(FOUND, None), width=320,
    )  # fmt: skip
    if kind is SourceKind.UPLOAD:
        file = st.file_uploader(
            f"CSV, JSON Lines or Parquet, up to {settings().max_upload_mb} MB",
            type=["csv", "tsv", "txt", "gz", "jsonl", "ndjson", "json", "parquet"],
            max_upload_size=settings().max_upload_mb,
            key="anomalies_file",
        )
        st.button(
            "Read the columns", disabled=file is None, key="anomalies_read", type="primary",
            on_click=lambda: _read_upload(file),
        )  # fmt: skip
        return
    with st.form("anomalies_source", border=False):
        entered = _enter_place(kind)
        if st.form_submit_button("Read the columns", type="primary", key="anomalies_read_place"):
            _read({"kind": str(kind), **entered})
            st.rerun()


def _enter_place(kind: SourceKind) -> dict[str, str]:
    if kind is SourceKind.FOLDER:
        if not settings().metrics_roots:
            st.info(escape(SET_ROOTS), icon=":material/info:")
        return {"path": st.text_input("File or folder", key="anomalies_path")}
    if kind is SourceKind.BUCKET:
        if resources.aws().to_set:
            st.info(escape(resources.aws().to_set), icon=":material/info:")
        return {
            "bucket": st.text_input("Bucket", key="anomalies_bucket"),
            "prefix": st.text_input("Prefix, if not all of it", key="anomalies_prefix"),
        }
    if kind is SourceKind.SQL:
        known = list(settings().metrics_databases)
        if not known:
            st.info(
                escape(
                    "No database is set: set SIGHTLINE_METRICS_DATABASES, for example to "
                    '{"sales": "postgresql://reader@db/sales"}, and start again.'
                ),
                icon=":material/info:",
            )
        return {
            "database": st.selectbox("Database", known, key="anomalies_database") or "",
            "query": st.text_area(
                "Query", key="anomalies_query", placeholder="select time, shop, amount from sales"
            ),
        }
    st.caption("A made-up shop with hourly sales of 90 days, and incidents that are documented.")
    return {"name": "shop"}


def _read_upload(file: object) -> None:
    if file is None:
        return
    try:
        source = keep_upload(settings(), uuid.uuid4().hex, file.name, file.getvalue())  # type: ignore[attr-defined]  # an uploaded file
    except MetricsError as error:
        st.session_state[REFUSED] = str(error)
        return
    _read(source)


def _read(source: Mapping[str, str]) -> None:
    st.session_state.pop(FOUND, None)
    try:
        with open_rows(source, settings(), resources.aws()) as rows:
            st.session_state[FOUND] = (dict(source), recognise(rows))
    except (MetricsError, AwsError) as error:
        st.session_state[REFUSED] = str(error)


def _choose_columns(source: Mapping[str, str], found: Recognition) -> Dataset | None:
    frame = pd.DataFrame(
        {
            "column": [column.name for column in found.columns],
            "role": [str(column.role) for column in found.columns],
            "aggregation": [
                str(Aggregation.SUM) if column.role is ColumnRole.MEASURE else None
                for column in found.columns
            ],
            "sure": [100 * column.confidence for column in found.columns],
            "why": [column.reason for column in found.columns],
            "example": [column.example for column in found.columns],
        }
    )
    text = st.column_config.TextColumn
    edited = st.data_editor(
        frame,
        hide_index=True,
        height=min(600, 38 + 35 * len(frame)),
        key=f"anomalies_columns_{abs(hash(str(source)))}",
        disabled=["column", "sure", "why", "example"],
        column_config={
            "column": text("Column"),
            "role": st.column_config.SelectboxColumn(
                "Is a", options=[str(role) for role in ColumnRole], required=True
            ),
            "aggregation": st.column_config.SelectboxColumn(
                "Per interval", options=[str(one) for one in Aggregation],
                help="How the rows of an interval become one number",
            ),
            "sure": st.column_config.ProgressColumn(
                "How sure", min_value=0, max_value=100, format="%.0f %%"
            ),
            "why": text("Why"),
            "example": text("Example"),
        },
    )  # fmt: skip
    with st.expander(f"First rows of {found.rows:,} looked at"):
        st.dataframe(pd.DataFrame(list(found.preview)), hide_index=True, alt="The first rows")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        options = {one.iso: one for one in FREQUENCIES}
        iso = st.selectbox(
            "One value every", list(options), index=list(options).index(found.frequency.iso),
            format_func=lambda iso: period(options[iso]), key="anomalies_frequency",
            help=f"Recognised: {found.frequency_reason}.", width=180,
        )  # fmt: skip
        zone = st.selectbox(
            "Time zone", sorted(available_timezones()), index=None, placeholder="UTC",
            key="anomalies_zone", width=220,
            help="Of timestamps without one, and of days and weeks.",
        )  # fmt: skip
        pattern = st.text_input(
            "Format of the timestamp", value=_pattern(found), key="anomalies_format",
            placeholder="ISO 8601", help="As for strptime, or s or ms since 1970.", width=220,
        )  # fmt: skip
        delay = st.number_input(
            "Wait for late rows, minutes", 0, 7_200, 0, key="anomalies_delay", width=180
        )
        country = st.selectbox(
            "Public holidays of", countries(), index=None, placeholder="None",
            key="anomalies_holidays", width=180,
            help="Days on which nothing is as usual: their bands are wider.",
        )  # fmt: skip
    counts = st.checkbox(
        "Count the rows as a measure, too", key="anomalies_count",
        help="How many rows each combination of values has in an interval.",
    )  # fmt: skip
    try:
        return replace(
            _dataset(source, edited, options[iso], counts=counts),
            zone=zone or "UTC",
            timestamp_format=pattern.strip(),
            offset_s=int(delay) * 60,
            holidays=country or "",
        )
    except MetricsError as error:
        st.warning(escape(str(error)), icon=":material/warning:")
        return None


def _pattern(found: Recognition) -> str:
    return next((one.format for one in found.columns if one.role is ColumnRole.TIMESTAMP), "")


def _dataset(
    source: Mapping[str, str], edited: pd.DataFrame, frequency: Frequency, *, counts: bool
) -> Dataset:
    roles = dict(zip(edited["column"], edited["role"], strict=True))
    times = [name for name, role in roles.items() if role == ColumnRole.TIMESTAMP]
    if len(times) != 1:
        raise MetricsError(f"Exactly one column is the timestamp; {len(times)} are chosen.")
    measures = tuple(
        _measure(str(row["column"]), row["aggregation"])
        for row in edited.to_dict("records")
        if row["role"] == ColumnRole.MEASURE
    )
    if counts:
        taken = {measure.name for measure in measures}
        name = next(one for one in (ROWS, f"{ROWS}_counted") if one not in taken)
        measures = (*measures, Measure(name, "", Aggregation.COUNT))
    if not measures:
        raise MetricsError("Choose at least one column as a measure, or count the rows.")
    dimensions = tuple(name for name, role in roles.items() if role == ColumnRole.DIMENSION)
    return Dataset(dict(source), times[0], measures, dimensions, frequency)


def _measure(column: str, chosen: object) -> Measure:
    aggregation = Aggregation(chosen) if isinstance(chosen, str) else Aggregation.SUM
    counts = aggregation in {Aggregation.SUM, Aggregation.COUNT}
    return Measure(column, column, aggregation, missing=Missing.ZERO if counts else Missing.GAP)


def _choose_name(dataset: Dataset) -> None:
    with st.form("anomalies_create", border=False):
        name = st.text_input(
            "Name", key="anomalies_name", max_chars=MAX_NAME_CHARACTERS,
            placeholder="Sales", help="Letters, digits, - and _",
        )  # fmt: skip
        description = st.text_input(
            "Description", key="anomalies_description", max_chars=MAX_DESCRIPTION_CHARACTERS
        )
        mode = st.radio(
            "Mode",
            list(MODES),
            captions=list(MODES.values()),
            key="anomalies_mode",
        )
        if st.form_submit_button("Create", type="primary", key="anomalies_create_submit"):
            share = ROLLING_SHARE if mode == ROLLING else dataset.learnt_share
            _create(
                replace(dataset, learnt_share=share), name.strip(), description.strip(),
                continuous=mode == CONTINUOUS,
            )  # fmt: skip


def _create(dataset: Dataset, name: str, description: str, *, continuous: bool) -> None:
    user = acting_user(Role.ANALYST)
    try:
        detector = create_detector(
            resources.store(), name, dataset,
            continuous=continuous, created_by=user.username, description=description,
        )  # fmt: skip
    except MetricsError as error:
        st.error(escape(str(error)), icon=":material/error:")
        return
    resources.identity().record(user.username, "detector created", name)
    start_evaluation(resources.jobs(), detector, user.username)
    st.session_state.pop(FOUND, None)
    st.session_state["anomalies.created"] = name
    st.rerun()


def open_created() -> None:
    """Go to the detector that was created last, before its widgets are drawn."""
    if name := st.session_state.pop("anomalies.created", ""):
        forget_choice()
        st.session_state[DETECTOR] = name
        st.session_state[VIEW] = "Anomalies"
