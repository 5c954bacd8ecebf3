"""The look of every chart: margins, legend, hover; colours come from the theme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HEIGHT = 280
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"]}


def show_chart(figure: Figure, *, key: str, alt: str, height: int = HEIGHT) -> None:
    """Draw the figure with the house's look; `alt` states the finding for who cannot see it."""
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        uirevision="keep",
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    st.plotly_chart(figure, theme="streamlit", config=CONFIG, key=key, alt=alt)
