"""Which configuration to take: needs, the recommendation with its reason, and the Pareto plot."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from lib.recommender.choice import (
    LATENCIES,
    Needs,
    Offer,
    best_cost,
    latency_at,
    offer,
    pareto,
    price_margin,
    recommend,
)
from lib.recommender.model import Metrics
from lib.ui.charts import show_chart
from lib.ui.markdown import escape
from lib.ui.recommender_rows import Row
from lib.ui.tables import show_table

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

RATE, HEADROOM, AT = "recommender_rate", "recommender_headroom", "recommender_at"
LATENCY, BUDGET, QUALITY = "recommender_latency", "recommender_budget", "recommender_quality"
FRONT, BEHIND, CHOSEN = "#0072B2", "#9CA3AF", "#D55E00"
FAR_APART = 5.0  # the largest value over the least, from which an axis is logarithmic
LEAST_SIZE, MOST_SIZE = 10, 34  # pixels


def show_choice(rows: Sequence[Row]) -> None:
    """Draw needs, the recommendation, the plot and every offer at the needs' traffic."""
    needs = _enter_needs()
    metrics = [row.metrics for row in rows]
    found = recommend(metrics, needs)
    with st.container(border=True):
        st.markdown(f"**{'Recommended' if found.offer else 'Nothing fits'}**")
        st.markdown(escape(found.reason))
        margin = price_margin(metrics, needs)
        if margin is not None and found.offer is not None:
            st.caption(
                escape(
                    f"Its price may rise by {margin[0]:.0%} before {margin[1]} is cheaper."
                    if margin[0] > 0
                    else f"{margin[1]} costs the same at this traffic."
                )
            )
    front = pareto(metrics)
    best = found.offer.metrics if found.offer else None
    st.markdown(
        "**Which give the most for cost and latency?** Grey ones are beaten in every respect."
    )
    show_chart(
        _figure(rows, front, best, needs.at),
        key="recommender_pareto",
        alt=f"Latency against cost; {sum(front)} of {len(rows)} configurations are beaten by none",
        height=360,
    )
    _show_offers(rows, [offer(one, needs) for one in metrics], front)


def _enter_needs() -> Needs:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        rate = st.number_input(
            "Invocations a minute", 1, 10_000_000, 600, key=RATE, bind="query-params", width=190
        )
        headroom = st.number_input(
            "Headroom, percent", 0, 90, 30, 5, key=HEADROOM, bind="query-params", width=170,
            help="Share of the capacity that is kept free",
        )  # fmt: skip
        at = st.selectbox(
            "Latency", LATENCIES, key=AT, bind="query-params", width=130,
            help="On average, or the time that so many percent of the requests take at most",
        )  # fmt: skip
        latency = st.number_input(
            "at most, ms", 0, 600_000, 0, 10, key=LATENCY, bind="query-params", width=150,
            help="0: any",
        )  # fmt: skip
        budget = st.number_input(
            "Budget a month, $", 0, 10_000_000, 0, 100, key=BUDGET, bind="query-params", width=180,
            help="0: any",
        )  # fmt: skip
        quality = st.number_input(
            "Least agreement, percent", 0, 100, 0, 1, key=QUALITY, bind="query-params", width=200,
            help="With the answers of the reference; 0: any",
        )  # fmt: skip
    return Needs(
        float(rate),
        headroom / 100,
        at,
        float(latency) or None,
        float(budget) or None,
        quality / 100 or None,
    )


def _figure(rows: Sequence[Row], front: Sequence[bool], best: Metrics | None, at: str) -> Figure:
    """Return cost against latency, larger for more throughput, the front joined."""
    import plotly.graph_objects as go

    shown = [
        (row, is_front, _cost(row.metrics), latency_at(row.metrics, at))
        for row, is_front in zip(rows, front, strict=True)
    ]
    known = [one for one in shown if one[2] is not None and one[3] is not None]
    most = max((one[0].metrics.max_invocations or 0 for one in known), default=0) or 1
    joined = sorted((one for one in known if one[1]), key=lambda one: (one[2] or 0, one[3] or 0))
    figure = go.Figure(
        go.Scatter(
            x=[one[2] for one in joined], y=[one[3] for one in joined], mode="lines",
            line={"color": FRONT, "width": 1, "dash": "dot"}, hoverinfo="skip", showlegend=False,
        )
    )  # fmt: skip
    for row, is_front, cost, latency in known:
        share = (row.metrics.max_invocations or 0) / most
        color = CHOSEN if row.metrics == best else FRONT if is_front else BEHIND
        figure.add_scatter(
            x=[cost], y=[latency], mode="markers+text", showlegend=False,
            text=[row.configuration if is_front or row.metrics == best else ""],
            textposition="top right" if row.metrics == best else "bottom right",
            marker={"color": color, "size": LEAST_SIZE + share**0.5 * (MOST_SIZE - LEAST_SIZE),
                    "opacity": 0.85},
            hovertemplate=f"{escape_hover(row.name)}<br>$%{{x:,.3~f}} a million"
            f"<br>%{{y:,.4~g}} ms<br>{row.metrics.max_invocations or 0:,.0f} a minute"
            "<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(
        title="Cost of a million invocations at full load, $", **_scale([one[2] for one in known])
    )
    figure.update_yaxes(title=f"Latency ({at}), ms", **_scale([one[3] for one in known]))
    return figure


def _scale(values: Sequence[float | None]) -> dict[str, Any]:
    """Return an axis from zero, or in powers of ten where values lie far apart; room for names."""
    known = [one for one in values if one]
    least, most = min(known, default=1.0), max(known, default=1.0)
    if most > FAR_APART * least:
        low, high = log10(least), log10(most)
        room = 0.15 * (high - low)
        return {"type": "log", "range": [low - room, high + 2 * room], "dtick": "D2"}
    return {"range": [0.0, 1.2 * most]}


def escape_hover(text: str) -> str:
    """Return a text that Plotly shows as it is, not as HTML or a template."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "% {")


def _cost(metrics: Metrics) -> float | None:
    cost = best_cost(metrics)
    return None if cost is None else 1e6 * cost


def _show_offers(rows: Sequence[Row], offers: Sequence[Offer], front: Sequence[bool]) -> None:
    frame = pd.DataFrame(
        {
            "configuration": [row.name for row in rows],
            "fits": ["yes" if not one.misses else ", ".join(one.misses) for one in offers],
            "instances": [one.instances for one in offers],
            "monthly": [one.monthly for one in offers],
            "latency": [row.metrics.model_latency for row in rows],
            "load": [_load(one) for one in offers],
            "front": ["front" if is_front else "beaten" for is_front in front],
        }
    )
    number = st.column_config.NumberColumn
    show_table(
        frame.sort_values(["monthly", "latency"], na_position="last"),
        columns={
            "configuration": st.column_config.TextColumn("Configuration", width="medium"),
            "fits": st.column_config.TextColumn("Meets the needs", help="Else what it misses"),
            "instances": number("Instances", format="%d"),
            "monthly": number("A month, $", format="%.0f"),
            "latency": number("Latency, ms", format="%.1f"),
            "load": number("Invocations a minute each bears", format="%.0f"),
            "front": st.column_config.TextColumn("Pareto"),
        },
        name="offers",
        alt="What each configuration costs at your traffic",
    )


def _load(one: Offer) -> float | None:
    return one.metrics.max_invocations
