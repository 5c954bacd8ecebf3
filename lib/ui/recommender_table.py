"""All rows of the chosen tables: sorted, filtered, compared, exported."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from lib.recommender.choice import latency_differs
from lib.recommender.exports import as_csv, as_described
from lib.recommender.model import Metrics, Percentile
from lib.ui.markdown import escape
from lib.ui.recommender_rows import Row

FILTER, COLUMNS, PINNED = "recommender_filter", "recommender_columns", "recommender_pinned"
LABELS = {
    "CostPerHour": "$ an hour",
    "CostPerInference": "$ a million",
    "MaxInvocations": "Invocations a minute",
    "ModelLatency": "Latency, ms",
    "p50": "p50, ms",
    "p95": "p95, ms",
    "p99": "p99, ms",
    "CpuUtilization": "CPU, %",
    "MemoryUtilization": "Memory, %",
    "ModelSetupTime": "Set-up, ms",
    "CpuTime": "CPU an inference, ms",
    "PeakMemory": "Peak memory, MB",
    "Agreement": "Agreement, %",
    "Environment": "Environment",
    "Origin": "Origin",
    "PriceDate": "Price of",
    "Table": "Table",
}
ALWAYS = ("CostPerHour", "CostPerInference", "MaxInvocations", "ModelLatency")
DIGITS = {"CostPerInference": "%.4g", "CostPerHour": "%.3f", "MaxInvocations": "%.0f"}


def show_rows(rows: Sequence[Row]) -> None:
    """Draw the table of metrics, and the selected rows side by side."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        wanted = st.text_input(
            "Filter", key=FILTER, bind="query-params", placeholder="c5 or onnxruntime", width=260
        )
        known = _frame(rows)
        filled = [
            name for name in LABELS if known[name].notna().any() and (known[name] != "").any()
        ]
        kept = [one for one in st.session_state.get(COLUMNS, ()) if one in filled]
        st.session_state[COLUMNS] = kept or filled
        columns = st.multiselect(
            "Columns", filled, key=COLUMNS, format_func=LABELS.__getitem__, width=560
        )
        pinned = st.checkbox("Names stay in view", value=True, key=PINNED)
    words = wanted.lower().split()
    keep = [at for at, row in enumerate(rows) if all(word in row.name.lower() for word in words)]
    if not keep:
        st.info("No row has these words. Change the filter.", icon=":material/info:")
        return
    shown = known.iloc[keep][["Configuration", *columns]]
    event = st.dataframe(
        shown, hide_index=True, key="recommender_rows", on_select="rerun",
        selection_mode="multi-row", alt="Metrics of each configuration",
        column_config={
            "Configuration": st.column_config.TextColumn(pinned=pinned, width="medium"),
            **{
                name: st.column_config.NumberColumn(LABELS[name], format=DIGITS.get(name, "%.1f"))
                if pd.api.types.is_numeric_dtype(shown[name])
                else st.column_config.TextColumn(LABELS[name])
                for name in columns
            },
        },
    )  # fmt: skip
    chosen = [rows[keep[at]] for at in event["selection"]["rows"] if at < len(keep)]
    _show_downloads([rows[at].metrics for at in keep])
    if len(chosen) > 1:
        _compare(chosen)
    else:
        st.caption("Select rows to see them side by side.")


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Configuration": row.name,
                "CostPerHour": one.cost_per_hour,
                "CostPerInference": _scaled(one.cost_per_inference, 1e6),
                "MaxInvocations": one.max_invocations,
                "ModelLatency": one.model_latency,
                "p50": _words(one.p50),
                "p95": _words(one.p95),
                "p99": _words(one.p99),
                "CpuUtilization": one.cpu_utilization,
                "MemoryUtilization": one.memory_utilization,
                "ModelSetupTime": one.model_setup_time,
                "CpuTime": one.cpu_milliseconds,
                "PeakMemory": one.peak_memory,
                "Agreement": _scaled(one.quality, 100),
                "Environment": ", ".join(f"{key}={value}" for key, value in one.environment),
                "Origin": str(one.origin),
                "PriceDate": one.price_date,
                "Table": row.table.name,
            }
            for row in rows
            for one in [row.metrics]
        ]
    )


def _scaled(value: float | None, by: float) -> float | None:
    return None if value is None else by * value


def _words(one: Percentile | None) -> str:
    """Return a percentile with its interval; a bound that the samples do not give is open."""
    if one is None:
        return ""
    low = "?" if one.low is None else f"{one.low:.3g}"
    high = "?" if one.high is None else f"{one.high:.3g}"
    return f"{one.value:.3g} [{low} to {high}]"


def _show_downloads(rows: Sequence[Metrics]) -> None:
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Download CSV", lambda: as_csv(rows), file_name="recommendations.csv", mime="text/csv",
            key="recommender_csv", on_click="ignore", icon=":material/download:",
        )  # fmt: skip
        st.download_button(
            "Download JSON", lambda: as_described(rows, "sightline"),
            file_name="recommendations.json", mime="application/json", key="recommender_json",
            on_click="ignore", icon=":material/download:",
            help="In the form of DescribeInferenceRecommendationsJob",
        )  # fmt: skip


def _compare(chosen: Sequence[Row]) -> None:
    st.markdown("**Side by side**")
    frame = _frame(chosen)
    told = [name for name in LABELS if frame[name].notna().any() and (frame[name] != "").any()]
    lines = {
        LABELS[name]: [_cell(value) for value in frame[name]] for name in told if name != "Table"
    }
    names = [f"{at}. {row.name}" for at, row in enumerate(chosen, start=1)]
    st.dataframe(pd.DataFrame(lines, index=names).T, alt="The selected rows side by side")
    first = chosen[0]
    for row in chosen[1:]:
        differs = latency_differs(first.metrics, row.metrics)
        if differs is not None:
            word = "differ" if differs else "do not differ significantly"
            st.caption(escape(f"Latencies of {first.name} and {row.name} {word}."))


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 - not a number
        return ""
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
