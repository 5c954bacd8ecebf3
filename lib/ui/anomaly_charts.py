"""Anomalies as pictures: a series against its band, severity by day, shares by dimension value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lib.metrics.model import DimensionContribution, Floats

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BAND = "rgba(0,114,178,0.16)"  # the first colour of the charts, faint, on light and dark
OBSERVED = "#0072B2"
EXPECTED = "#6B7280"
OUTSIDE = "#D55E00"
SEVERITIES = (
    (0.0, "rgba(127,127,127,0.12)"),
    (0.01, "#FDE9D9"),
    (0.5, "#F4A261"),
    (1.0, "#B3380C"),
)
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
BARS_SHOWN = 8


@dataclass(frozen=True, eq=False)
class SeriesView:
    """One series over some intervals, with what was expected of it, in the measure's unit."""

    starts: Sequence[datetime]
    observed: Floats
    expected: Floats
    lower: Floats
    upper: Floats


def band_figure(view: SeriesView, start: datetime, end: datetime, *, measure: str) -> Figure:
    """Return the series as a line over its band; the event from `start` to `end` is shaded."""
    import plotly.graph_objects as go

    times = list(view.starts)
    outside = (view.observed < view.lower) | (view.observed > view.upper)
    number = "%{y:,.4~g}"
    figure = go.Figure(
        [
            go.Scatter(
                x=times, y=view.upper, line={"width": 0}, hoverinfo="skip", showlegend=False
            ),
            go.Scatter(
                x=times,
                y=view.lower,
                fill="tonexty",
                fillcolor=BAND,
                line={"width": 0},
                name="Expected band",
                hoverinfo="skip",
            ),
            go.Scatter(
                x=times,
                y=view.expected,
                name="Expected",
                line={"color": EXPECTED, "width": 1, "dash": "dot"},
                hovertemplate=f"{number}<extra>Expected</extra>",
            ),
            go.Scatter(
                x=times,
                y=view.observed,
                name="Observed",
                line={"color": OBSERVED, "width": 1.75},
                hovertemplate=f"{number}<extra>Observed</extra>",
            ),
            go.Scatter(
                x=[time for time, far in zip(times, outside, strict=True) if far],
                y=view.observed[outside],
                name="Outside the band",
                mode="markers",
                marker={"color": OUTSIDE, "size": 6},
                hoverinfo="skip",
            ),
        ]
    )
    figure.add_vrect(x0=start, x1=end, fillcolor=OUTSIDE, opacity=0.14, line_width=0)
    figure.update_layout(hovermode="x unified")
    figure.update_xaxes(title=None)
    figure.update_yaxes(title=measure, tickformat=",.3~s")
    return figure


def calendar_figure(severities: Mapping[date, float], first: date, last: date) -> Figure:
    """Return the highest severity of each day, a column a week, Monday at the top.

    A cell's `customdata` is its day in ISO form; days without a group have no severity.
    """
    import plotly.graph_objects as go

    monday = first - timedelta(days=first.weekday())
    weeks = (last - monday).days // 7 + 1
    values: NDArray[np.float64] = np.full((7, weeks), np.nan)
    days = np.full((7, weeks), "", dtype=object)
    hints = np.full((7, weeks), "", dtype=object)
    for offset in range((last - monday).days + 1):
        day = monday + timedelta(days=offset)
        if day < first:
            continue
        row, column = offset % 7, offset // 7
        severity = severities.get(day, 0.0)
        values[row, column] = severity
        days[row, column] = day.isoformat()
        found = f"severity up to {severity:.0f}" if severity else "no anomaly"
        hints[row, column] = f"{day:%a} {day.day} {day:%b %Y}: {found}"
    starts = [monday + timedelta(weeks=week) for week in range(weeks)]
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=list(range(weeks)),
            y=list(WEEKDAYS),
            zmin=0,
            zmax=100,
            colorscale=[list(stop) for stop in SEVERITIES],
            xgap=2,
            ygap=2,
            customdata=days,
            text=hints,
            hovertemplate="%{text}<extra></extra>",
            colorbar={"title": "Severity", "thickness": 10, "len": 0.9},
        )
    )
    step = max(1, weeks // 12)
    figure.update_xaxes(
        tickvals=list(range(0, weeks, step)),
        ticktext=[f"{starts[week].day} {starts[week]:%b}" for week in range(0, weeks, step)],
        showgrid=False,
        zeroline=False,
    )
    figure.update_yaxes(autorange="reversed", showgrid=False, zeroline=False)
    return figure


def contribution_figure(contribution: DimensionContribution) -> Figure:
    """Return the shares of a dimension's values as bars, the largest at the top."""
    import plotly.graph_objects as go

    shown = list(contribution.values[:BARS_SHOWN])
    rest = sum(share for _, share in contribution.values[BARS_SHOWN:])
    if rest:
        shown.append((f"{len(contribution.values) - BARS_SHOWN} more", rest))
    names = [_plain(name) for name, _ in shown]
    shares = [share for _, share in shown]
    figure = go.Figure(
        go.Bar(
            x=shares,
            y=names,
            orientation="h",
            text=[f"{share:.0f} %" for share in shares],
            textposition="auto",
            marker={"color": OBSERVED},
            hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
        )
    )
    figure.update_xaxes(range=[0, 100], ticksuffix=" %")
    figure.update_yaxes(autorange="reversed", type="category")
    return figure


def _plain(name: str) -> str:
    # Plotly reads a few HTML tags in labels.
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
