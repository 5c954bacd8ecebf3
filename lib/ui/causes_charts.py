"""Causes as pictures: contributions, the graph of measures, and shocks over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from lib.causes.discovery import descendants
from lib.causes.model import Attribution, Graph, Matrix

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

UP, DOWN, TOTAL, QUIET, PATH = "#0072B2", "#D55E00", "#6B7280", "#9CA3AF", "#D55E00"
MAX_CHARACTERS = 18


def waterfall_figure(found: Attribution) -> Figure:
    """Return the way from what was expected to what was observed, a step for each measure."""
    import plotly.graph_objects as go

    steps = [*found.shares, *found.counteracting]
    names = [one.measure for one in steps if one.measure != found.target]
    amounts = [one.amount for one in steps if one.measure != found.target]
    rest = found.observed - found.expected - sum(amounts)
    figure = go.Figure(
        go.Waterfall(
            x=["Expected", *names, "Not explained", "Observed"],
            y=[found.expected, *amounts, rest, 0],
            measure=["absolute", *["relative"] * (len(names) + 1), "total"],
            increasing={"marker": {"color": UP}},
            decreasing={"marker": {"color": DOWN}},
            totals={"marker": {"color": TOTAL}},
            connector={"line": {"color": QUIET, "width": 1}},
            hovertemplate="%{x}: %{delta:,.4~g}<extra></extra>",
        )
    )
    figure.update_yaxes(title=found.target, tickformat=",.3~s")
    return figure


def graph_figure(graph: Graph, target: str) -> Figure:
    """Return the measures with arrows to their effects; what leads to the target stands out."""
    import plotly.graph_objects as go

    places = _places(graph)
    upstream = {name for name in graph.measures if target in descendants(graph, name)} | {target}
    figure = go.Figure(
        go.Scatter(
            x=[places[name][0] for name in graph.measures],
            y=[places[name][1] for name in graph.measures],
            mode="markers+text",
            text=[name[:MAX_CHARACTERS] for name in graph.measures],
            textposition="top center",
            marker={
                "size": [26 if name == target else 18 for name in graph.measures],
                "color": [PATH if name in upstream else QUIET for name in graph.measures],
            },
            hovertext=list(graph.measures),
            hoverinfo="text",
        )
    )
    for one in graph.edges:
        start, end = places[one.cause], places[one.effect]
        on_path = one.directed and one.effect in upstream and one.cause in upstream
        figure.add_annotation(
            ax=start[0], ay=start[1], x=end[0], y=end[1], axref="x", ayref="y", xref="x", yref="y",
            showarrow=True, arrowhead=2 if one.directed else 0, arrowsize=1.2,
            arrowwidth=1 + 3 * min(abs(one.strength), 1.0),
            arrowcolor=PATH if on_path else QUIET, standoff=16, startstandoff=16, text="",
            opacity=0.9 if one.directed else 0.5,
        )  # fmt: skip
    figure.update_xaxes(visible=False, range=[-0.4, max(x for x, _ in places.values()) + 0.4])
    figure.update_yaxes(visible=False, range=[-0.6, max(y for _, y in places.values()) + 0.8])
    return figure


def shocks_figure(
    starts: Sequence[datetime],
    shocks: Matrix,
    names: Sequence[str],
    window: tuple[datetime, datetime],
) -> Figure:
    """Return mean shocks [interval, measure] over time, one row a measure; the window is shaded."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.04)
    for at, name in enumerate(names):
        figure.add_trace(
            go.Scatter(
                x=list(starts), y=np.round(shocks[:, at], 2), name=name, showlegend=False,
                line={"color": UP, "width": 1.5},
                hovertemplate="%{y:.1f} deviations<extra>" + name[:MAX_CHARACTERS] + "</extra>",
            ),
            row=at + 1,
            col=1,
        )  # fmt: skip
        figure.update_yaxes(title=name[:MAX_CHARACTERS], row=at + 1, col=1)
    figure.add_vrect(x0=window[0], x1=window[1], fillcolor=DOWN, opacity=0.14, line_width=0)
    return figure


def _places(graph: Graph) -> dict[str, tuple[float, float]]:
    """Return for each measure its column, causes to the left, and its row."""
    depth = dict.fromkeys(graph.measures, 0)
    for _ in graph.measures:
        for one in graph.edges:
            if one.directed and one.lag == 0:
                depth[one.effect] = max(depth[one.effect], depth[one.cause] + 1)
    rows: dict[int, int] = {}
    places = {}
    for name in graph.measures:
        column = min(depth[name], len(graph.measures))
        row = rows.get(column, 0)
        rows[column] = row + 1
        places[name] = (float(column), row + 0.3 * (column % 2))
    return places
