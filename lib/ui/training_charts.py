"""A training run as pictures: parts of its steps, metrics over time with phases, heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from lib.training.charts_data import band, heat, histogram, thinned
from lib.training.model import PHASES, Phase, Profile, Series, Values
from lib.training.rules import RuleResult
from lib.training.steps import PARTS, Steps

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLORS = {
    Phase.DATA: "#D55E00",
    Phase.FORWARD: "#0072B2",
    Phase.BACKWARD: "#56B4E9",
    Phase.OPTIMIZER: "#009E73",
    Phase.COMMUNICATION: "#CC79A7",
    Phase.CHECKPOINT: "#E69F00",
}
REST, LINE = "#9CA3AF", "#0072B2"
MOST_LINES = 8
MOST_WINDOWS = 50  # of a rule
MOST_SPANS = 400  # of a chart; more are only shown as steps


def parts_figure(steps: Steps) -> Figure:
    """Return what a step of each worker is spent on, mean milliseconds side by side."""
    import plotly.graph_objects as go

    names = list(steps.workers)
    parts = 1_000 * np.nanmean(steps.parts[:, steps.warm :], axis=1)
    whole = 1_000 * np.nanmean(steps.steady(), axis=1)
    figure = go.Figure()
    for at, part in enumerate(PARTS):
        if parts[:, at].max() > 0:
            figure.add_bar(
                y=names, x=parts[:, at], name=part.value, orientation="h",
                marker={"color": COLORS[part]},
                hovertemplate=f"{part.value}: %{{x:,.1f}} ms<extra></extra>",
            )  # fmt: skip
    rest = np.maximum(whole - parts.sum(axis=1), 0.0)
    figure.add_bar(
        y=names, x=rest, name="not recorded", orientation="h", marker={"color": REST},
        hovertemplate="not recorded: %{x:,.1f} ms<extra></extra>",
    )  # fmt: skip
    figure.update_layout(barmode="stack", legend={"traceorder": "normal"})
    figure.update_xaxes(title="A step, ms")
    return figure


def steps_figure(steps: Steps) -> Figure:
    """Return the length of every step of every worker."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for at, worker in enumerate(steps.workers[:MOST_LINES]):
        figure.add_scatter(
            y=1_000 * steps.duration[at], name=worker, mode="lines", line={"width": 1.3},
            hovertemplate="step %{x}: %{y:,.0f} ms<extra></extra>",
        )  # fmt: skip
    if steps.warm:
        figure.add_vrect(x0=-0.5, x1=steps.warm - 0.5, fillcolor=REST, opacity=0.2, line_width=0)
    figure.update_xaxes(title="Step (shaded: warm-up)")
    figure.update_yaxes(title="ms", rangemode="tozero")
    return figure


def timeline_figure(
    profile: Profile,
    series: Sequence[Series],
    window: tuple[int, int],
    unit: str,
    fired: Sequence[RuleResult] = (),
) -> Figure:
    """Return metrics over time, few as lines and many as a band, with phases below them."""
    import plotly.graph_objects as go

    figure = go.Figure()
    if len(series) <= MOST_LINES:
        for one in series:
            times, values = thinned(one, window)
            figure.add_scatter(
                x=_stamps(times), y=np.round(values, 3), name=one.channel.label, mode="lines",
                line={"width": 1.2}, hovertemplate=f"%{{y:,.4~g}} {unit}<extra></extra>",
            )  # fmt: skip
    else:
        found = band(list(series), window)
        stamps = _stamps(found.times)
        figure.add_scatter(x=stamps, y=found.most, name="most", mode="lines",
                           line={"width": 0.5, "color": REST})  # fmt: skip
        figure.add_scatter(x=stamps, y=found.least, name="least", mode="lines", fill="tonexty",
                           line={"width": 0.5, "color": REST})  # fmt: skip
        figure.add_scatter(x=stamps, y=found.mean, name=f"mean of {len(series)}", mode="lines",
                           line={"width": 1.5, "color": LINE})  # fmt: skip
    _add_phases(figure, profile, window)
    for rule in fired:
        for first, last in rule.windows[:MOST_WINDOWS]:
            figure.add_vrect(
                x0=_stamp(first), x1=_stamp(last), fillcolor="#D55E00", opacity=0.12, line_width=0
            )
    figure.update_yaxes(title=unit, domain=[0.2, 1.0], rangemode="tozero")
    figure.update_layout(
        dragmode="select", selectdirection="h",
        yaxis2={"domain": [0.0, 0.12], "visible": False, "range": [0, 1], "anchor": "x"},
    )  # fmt: skip
    figure.update_xaxes(range=[_stamp(window[0]), _stamp(window[1])])
    return figure


def histogram_figure(values: Values, title: str, count: str) -> Figure:
    """Return how often values fall into each of some bins."""
    import plotly.graph_objects as go

    middles, counts = histogram(values)
    figure = go.Figure(
        go.Bar(
            x=np.round(middles, 3), y=counts, marker={"color": LINE},
            hovertemplate="%{x:,.4~g}: %{y:,}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(bargap=0.05)
    figure.update_xaxes(title=title)
    figure.update_yaxes(title=count)
    return figure


def heat_figure(series: Sequence[Series], window: tuple[int, int]) -> Figure:
    """Return how busy each core or device was, a row each."""
    import plotly.graph_objects as go

    starts, grid = heat(list(series), window)
    figure = go.Figure(
        go.Heatmap(
            x=_stamps(starts), y=[one.channel.label for one in series], z=np.round(grid, 1),
            zmin=0, zmax=100, colorscale="Viridis", colorbar={"title": "%"},
            hovertemplate="%{y}: %{z:.0f} %<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    return figure


def _add_phases(figure: Figure, profile: Profile, window: tuple[int, int]) -> None:
    spans = profile.spans
    inside = (spans.start < window[1]) & (spans.start + spans.duration > window[0])
    if len(spans.workers):
        inside &= spans.worker == 0
    shown = np.flatnonzero(inside & (spans.phase != PHASES.index(Phase.STEP)))
    if len(shown) > MOST_SPANS:
        shown = shown[np.linspace(0, len(shown) - 1, MOST_SPANS).astype(int)]
    for part, color in COLORS.items():
        rows = shown[spans.phase[shown] == PHASES.index(part)]
        if not len(rows):
            continue
        x: list[datetime | None] = []
        for row in rows:
            begin = int(spans.start[row])
            x += [_stamp(begin), _stamp(begin + int(spans.duration[row])), None]
        figure.add_scatter(
            x=x, y=[0.5, 0.5, None] * len(rows), yaxis="y2", mode="lines", name=part.value,
            line={"color": color, "width": 12}, hoverinfo="name",
        )  # fmt: skip


def _stamps(times: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[datetime]:
    return [_stamp(int(one)) for one in times]


def _stamp(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, UTC)
