"""The choice of a detector, the same on every page that looks at one."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from lib.metrics.detectors import detectors
from lib.metrics.model import Detector
from lib.ui import resources


def choose_detector(
    key: str, on_change: Callable[[], None] | None = None, *, least_measures: int = 1
) -> Detector | None:
    """Draw the choice of a detector, and return it; None, and nothing drawn, where there is none.

    `key` is that of the page's widget, and the name of the choice in the address. Detectors with
    fewer measures than asked for are left out.
    """
    found = detectors(resources.store())
    known = {one.name: one for one in found if len(one.dataset.measures) >= least_measures}
    if not known:
        return None
    if st.session_state.get(key) not in known:
        st.session_state[key] = next(iter(known))
    name = st.selectbox(
        "Detector", list(known), key=key, bind="query-params", on_change=on_change, width=260
    )
    return known[name]
