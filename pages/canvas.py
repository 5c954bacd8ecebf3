"""Canvas: one click into SageMaker Canvas, for who clicks and nobody else."""

import streamlit as st

from lib import ui
from lib.ui import canvas_launch, canvas_profiles, canvas_sign_on

visit = ui.guard(__file__)
ui.header(visit.page, canvas_launch.source())
launch, profiles, sign_on, function = st.tabs(
    ("Launch", "Profiles", "Single sign-on", "Function"),
    key="canvas_view",
    bind="query-params",
    on_change="rerun",
)
if launch.open:
    with launch:
        canvas_launch.show_launch(visit.user)
if profiles.open:
    with profiles:
        canvas_profiles.show_profiles(visit.user)
if sign_on.open:
    with sign_on:
        canvas_sign_on.show_sign_on()
if function.open:
    with function:
        canvas_sign_on.show_function()
