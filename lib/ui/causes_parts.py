"""Which part of a system is at fault: drawn where the series are parts that call each other."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lib.causes.model import CausesError, Observations
from lib.causes.parts import Suspect, at_fault, calls_of
from lib.ui.markdown import escape
from lib.ui.tables import show_table

CALLS, PART, VOLUME = "causes_calls", "causes_part", "causes_volume"


def show_parts(observations: Observations, target: str, window: tuple[int, int]) -> None:
    """Draw the question who calls whom, and, once answered, which part is at fault."""
    parts = tuple(" · ".join(one or "" for one in key) for key in observations.series)
    if len(parts) < 2:  # noqa: PLR2004 - a caller and a callee
        return
    with st.expander("Series that call each other", key="causes_parts"):
        st.caption(
            "Where series are parts of a system, a caller suffers from what it calls. Say who "
            f"calls whom, and the part at fault is found: more of {escape(target)} is worse."
        )
        said = st.text_area(
            "Calls, one a line", key=CALLS, height=110,
            placeholder=f"{parts[0]} → {parts[1]}",
        )  # fmt: skip
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            part = st.selectbox("That suffers", parts, key=PART, width=260)
            volumes = [one for one in observations.measures if one != target]
            volume = st.selectbox("Number of calls", volumes, key=VOLUME, width=260)
        if not said.strip():
            return
        try:
            found = _found(observations, (target, volume), window, calls_of(said, parts), part)
        except CausesError as error:
            st.warning(escape(str(error)), icon=":material/warning:")
            return
        _show(found, target, part)


def _found(
    observations: Observations,
    measures: tuple[str, str],
    window: tuple[int, int],
    calls: tuple[tuple[str, str], ...],
    part: str,
) -> tuple[Suspect, ...]:
    parts = tuple(" · ".join(one or "" for one in key) for key in observations.series)
    cost, volume = (observations.values[:, :, observations.measures.index(one)] for one in measures)
    first, last = window
    past = (cost[:, :first], volume[:, :first])
    return at_fault(parts, past, (cost[:, first:last], volume[:, first:last]), calls, part)


def _show(found: tuple[Suspect, ...], target: str, part: str) -> None:
    if not found or found[0].own <= 0:
        st.markdown(escape(f"No part that {part} depends on is clearly worse than usual."))
        return
    whole = sum(one.own for one in found if one.own > 0)
    st.markdown(
        escape(f"{found[0].part} is at fault: {100 * found[0].own / whole:.0f} % of what is lost "
               "is its own.")
    )  # fmt: skip
    number = st.column_config.NumberColumn
    show_table(
        pd.DataFrame(
            {
                "part": [one.part for one in found],
                "own": [one.own for one in found],
                "excess": [one.excess for one in found],
                "z": [one.z for one in found],
            }
        ),
        columns={
            "part": st.column_config.TextColumn("Part"),
            "own": number(f"Own, {target} × calls", format="%.4g"),
            "excess": number("With what it calls", format="%.4g"),
            "z": number("Deviations from usual", format="%.1f"),
        },
        name="parts",
        alt="Parts by what they lost by themselves",
    )
