"""A training run: chosen, judged, looked at over time, checked by rules, taken along."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from lib.prices import prices
from lib.settings import settings
from lib.training.exports import as_parquet, as_report, as_trace
from lib.training.model import Profile, TrainingError
from lib.training.money import Money, money_of
from lib.training.rules import PRESETS, RuleResult, apply_rules
from lib.training.runs import Run, profile_of, runs, stamp_of
from lib.training.steps import outliers, steps_of
from lib.training.verdict import Bound, Verdict, judge
from lib.ui.charts import CONFIG, show_chart
from lib.ui.markdown import escape
from lib.ui.tables import show_table
from lib.ui.training_charts import (
    heat_figure,
    histogram_figure,
    parts_figure,
    steps_figure,
    timeline_figure,
)

RUN, PRICE, INSTANCE = "training_run", "training_price", "training_instance"
METRIC, PRESET, ZOOM = "training_metric", "training_preset", "training.zoom"
HERE = "this machine"
FIRST = "sample-single_slow"
METRICS = {  # kind, dimension (None: any), unit
    "CPU": ("cpu", "CPUUtilization", "%"),
    "I/O wait": ("cpu", "I/OWaitPercentage", "%"),
    "Accelerators": ("gpu", "GPUUtilization", "%"),
    "Accelerator memory": ("gpu", "GPUMemoryUtilization", "%"),
    "Memory": ("memory", None, "%"),
    "Disk": ("i/o", None, "per second"),
    "Network": ("network", None, "bytes per second"),
    "Pressure": ("pressure", None, "% of the time"),
}
LOOK = {Bound.COMPUTE: "green", Bound.UNKNOWN: "gray"}
MOST_OUTLIERS = 20
HEAT_ROW = 14  # pixels


def choose_run(key: str = RUN, label: str = "Run", first: str = FIRST) -> Run:
    """Draw the choice of a run, `first` before anybody chose, and return it."""
    known = {one.id: one for one in runs(settings())}
    if st.session_state.get(key) not in {None, *known}:
        del st.session_state[key]
    start = list(known).index(first)
    chosen = st.selectbox(
        label, list(known), start, key=key, bind="query-params", width=460,
        format_func=lambda one: known[one].title if one in known else one,
    )  # fmt: skip
    return known[chosen]


def opened(run: Run) -> Profile | None:
    """Return the profile of a run; None, and the reason drawn, where it cannot be read."""
    try:
        return _profile(run.id, stamp_of(run), run)
    except (TrainingError, OSError) as error:
        st.error(escape(str(error)), icon=":material/error:")
        return None


@st.cache_resource(ttl=600, max_entries=6, show_spinner="Reading the profile …")
def _profile(run_id: str, stamp: str, _run: Run) -> Profile:
    del run_id, stamp
    return profile_of(settings(), _run)


def show_verdict(run: Run) -> None:
    """Draw the verdict, the money, the parts of the steps and what stands out."""
    profile = opened(run)
    if profile is None:
        return
    verdict = judge(profile)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown("**Bound by**", width="content")
            color: Any = LOOK.get(verdict.bound, "orange")
            st.badge(str(verdict.bound), color=color)
            if verdict.bound is not Bound.UNKNOWN:
                st.caption(
                    f"{verdict.share:.0%} of the time · confidence {verdict.confidence:.0%}",
                    width="content",
                )
        for one in verdict.evidence:
            st.markdown(escape(one))
        st.markdown(f"**Next:** {escape(verdict.next_step)}")
    money = _show_money(profile, verdict)
    steps = steps_of(profile)
    if len(steps.workers):
        st.markdown("**What a step is spent on**")
        show_chart(
            parts_figure(steps), key="training_parts", height=120 + 40 * len(steps.workers),
            alt=f"Parts of a step of {len(steps.workers)} workers",
        )  # fmt: skip
        st.markdown("**How long each step took**")
        over_time, by_length = st.columns([2, 1])
        with over_time:
            show_chart(steps_figure(steps), key="training_steps", alt="Length of every step")
        with by_length:
            show_chart(
                histogram_figure(1_000 * steps.steady().ravel(), "A step, ms", "Steps"),
                key="training_step_histogram", alt="How many steps were how long",
            )  # fmt: skip
        _show_outliers(profile)
    for odd in profile.oddities:
        st.caption(escape(f"{odd.count:,} {odd.words}."))
    _show_exports(profile, verdict, money)


def _show_money(profile: Profile, verdict: Verdict) -> Money:
    known = prices(settings())
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        instance = st.selectbox(
            "Price of", [HERE, *known], key=INSTANCE, bind="query-params", width=220
        )
        if instance == HERE:
            hourly = st.number_input("An hour, $", 0.0, 1_000.0, 0.10, 0.01, key=PRICE, width=150)
        else:
            hourly = known[instance].usd_per_hour
            st.caption(f"${hourly:,.3f} an hour, {escape(known[instance].as_of)}", width="content")
    money = money_of(profile, verdict, float(hourly) or None)
    with st.container(horizontal=True, gap="medium"):
        st.metric(f"{money.device.capitalize()} hours paid", f"{money.paid_hours:.3f}")
        st.metric("Busy", f"{money.busy_hours:.3f} h")
        st.metric("Idle", f"{money.idle_hours:.3f} h")
        if money.paid is not None:
            st.metric("Cost", f"${money.paid:,.4f}")
            st.metric("A fix would save", f"${money.saved or 0:,.4f}")
    if money.device == "node":
        st.caption("No accelerator was measured: a node is busy while its program computes.")
    return money


def _show_outliers(profile: Profile) -> None:
    found = outliers(steps_of(profile), profile.spans)[:MOST_OUTLIERS]
    if not found:
        return
    st.markdown("**Steps that stand out**")
    number = st.column_config.NumberColumn
    show_table(
        pd.DataFrame(
            {
                "step": [one.step for one in found],
                "worker": [one.worker for one in found],
                "ms": [1_000 * one.seconds for one in found],
                "usual": [1_000 * one.usual for one in found],
                "part": [one.part for one in found],
                "beside": [one.beside for one in found],
            }
        ),
        columns={
            "step": number("Step", format="%d"),
            "worker": st.column_config.TextColumn("Worker"),
            "ms": number("ms", format="%.0f"),
            "usual": number("Usual, ms", format="%.0f"),
            "part": st.column_config.TextColumn("What grew"),
            "beside": st.column_config.TextColumn("What else happened"),
        },
        name="outliers",
        alt="Steps that took much longer than usual",
    )


def _show_exports(profile: Profile, verdict: Verdict, money: Money) -> None:
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Report", lambda: as_report(profile, verdict, money, apply_rules(profile, PRESETS[0])),
            file_name=f"{profile.name}.html", mime="text/html", key="training_report",
            on_click="ignore", icon=":material/download:",
        )  # fmt: skip
        st.download_button(
            "Parquet", lambda: as_parquet(profile), file_name=f"{profile.name}.parquet",
            mime="application/vnd.apache.parquet", key="training_parquet", on_click="ignore",
            icon=":material/download:",
        )  # fmt: skip
        st.download_button(
            "Trace for Perfetto", lambda: as_trace(profile), file_name=f"{profile.name}.trace.json",
            mime="application/json", key="training_trace", on_click="ignore",
            icon=":material/download:",
        )  # fmt: skip


def show_timeline(run: Run) -> None:
    """Draw the metrics over time; a box drawn on the chart looks closer."""
    profile = opened(run)
    if profile is None:
        return
    offered = [
        name for name, (kind, dimension, _) in METRICS.items() if profile.of(kind, dimension)
    ]
    if not offered:
        st.info("This run has no system metrics, only events.", icon=":material/info:")
        return
    if st.session_state.get(METRIC) not in offered:
        st.session_state[METRIC] = offered[0]
    metric = st.radio("Metric", offered, key=METRIC, horizontal=True, bind="query-params")
    kind, dimension, unit = METRICS[metric or offered[0]]
    series = profile.of(kind, dimension)
    window = _window(profile, run.id)
    figure = timeline_figure(profile, series, window, unit)
    figure.update_layout(
        height=360,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
    )
    event = st.plotly_chart(
        figure, theme="streamlit", config=CONFIG, key=f"training_time_{window[0]}_{window[1]}",
        on_select="rerun", selection_mode="box", alt=f"{metric} over time with phases below",
    )  # fmt: skip
    _zoom(event, run.id)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Draw a box to look closer; phases of the first worker are below.")
        if (run.id in st.session_state.get(ZOOM, {})) and st.button(
            "Whole run", key="training_whole", icon=":material/zoom_out_map:"
        ):
            st.session_state[ZOOM] = {}
            st.rerun()
    busy = profile.of("cpu", "CPUUtilization") + profile.of("gpu", "GPUUtilization")
    if busy:
        st.markdown("**How busy each core and device was**")
        show_chart(
            heat_figure(busy, window), key="training_heat", height=110 + HEAT_ROW * len(busy),
            alt=f"Utilisation of {len(busy)} cores and devices over time",
        )  # fmt: skip
    st.markdown(f"**How often was {escape(str(metric))} at what level?**")
    values = np.concatenate([one.values for one in series])
    show_chart(
        histogram_figure(values, unit, "Samples"), key="training_histogram", height=220,
        alt=f"Histogram of {metric}",
    )  # fmt: skip


def _window(profile: Profile, run_id: str) -> tuple[int, int]:
    first, last = st.session_state.get(ZOOM, {}).get(run_id, (profile.start, profile.end))
    return max(first, profile.start), min(last, profile.end)


def _zoom(event: object, run_id: str) -> None:
    """Take the box that was drawn, and draw again."""
    selection = getattr(event, "selection", None)
    boxes = selection["box"] if selection else []
    if not boxes:
        return
    bounds = sorted(_micros(one) for one in boxes[0]["x"])
    if bounds[1] - bounds[0] > 1_000:  # noqa: PLR2004 - a millisecond is no box
        st.session_state[ZOOM] = {run_id: (bounds[0], bounds[1])}
        st.rerun()


def _micros(stamp: object) -> int:
    found = pd.Timestamp(stamp)  # type: ignore[arg-type]  # as Plotly writes it
    moment = found.tz_localize("UTC") if found.tzinfo is None else found
    return int((moment - pd.Timestamp(datetime(1970, 1, 1, tzinfo=UTC))) / pd.Timedelta("1us"))


def show_rules(run: Run) -> None:
    """Draw what the rules of AWS's profiler say, and when."""
    profile = opened(run)
    if profile is None:
        return
    preset = st.radio(
        "Thresholds", PRESETS, key=PRESET, horizontal=True, format_func=lambda one: one.name
    )
    found = apply_rules(profile, preset or PRESETS[0])
    st.caption(
        "Each node by itself, in seconds instead of samples, and no sample above 98 % is lost: the "
        "service's own rules did otherwise."
    )
    show_table(
        pd.DataFrame(
            {
                "rule": [one.rule for one in found],
                "state": ["fired" if one.fired else "" for one in found],
                "words": [one.words for one in found],
                "advice": [one.advice if one.fired else "" for one in found],
                "windows": [len(one.windows) for one in found],
            }
        ),
        columns={
            "rule": st.column_config.TextColumn("Rule"),
            "state": st.column_config.TextColumn("State", width="small"),
            "words": st.column_config.TextColumn("What it found", width="large"),
            "advice": st.column_config.TextColumn("Advice", width="medium"),
            "windows": st.column_config.NumberColumn("Windows", format="%d"),
        },
        name="rules",
        alt="Rules and what they found",
    )
    _show_windows(profile, [one for one in found if one.windows])
    _show_reported(profile)


def _show_reported(profile: Profile) -> None:
    if not profile.reported:
        return
    st.markdown("**What AWS's own report says**")
    show_table(
        pd.DataFrame(
            [(one.rule, one.fired, one.samples, one.parameters) for one in profile.reported],
            columns=["rule", "fired", "samples", "parameters"],
        ),
        columns={
            "rule": st.column_config.TextColumn("Rule"),
            "fired": st.column_config.NumberColumn("Fired", format="%d"),
            "samples": st.column_config.NumberColumn("Samples", format="%d"),
            "parameters": st.column_config.TextColumn("Thresholds", width="large"),
        },
        name="reported",
        alt="Rules of AWS's ProfilerReport",
    )


def _show_windows(profile: Profile, found: list[RuleResult]) -> None:
    series = profile.of("gpu", "GPUUtilization") or profile.of("cpu", "CPUUtilization")
    if not found or not series:
        return
    st.markdown("**When they fired**")
    show_chart(
        timeline_figure(profile, series, (profile.start, profile.end), "%", found),
        key="training_windows", alt="Windows in which rules fired, over utilisation", height=300,
    )  # fmt: skip
