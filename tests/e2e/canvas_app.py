"""The hand-over of a link into Canvas, drawn as the page draws it: on a click, for some seconds."""

import os
from datetime import UTC, datetime, timedelta

import streamlit as st

from lib.canvas.model import Launch
from lib.ui.canvas_launch import hand_over


@st.fragment
def draw() -> None:
    """Draw the button, and on the click the hand-over."""
    if st.button("Open Canvas", key="canvas_open"):
        end = datetime.now(UTC) + timedelta(seconds=float(os.environ["LASTS"]))
        hand_over(Launch("ann", end, os.environ["LEADS_TO"]))


draw()
st.button("Something else")
