"""Two training runs side by side."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lib.training.compare import Comparison, compare
from lib.training.model import TrainingError
from lib.ui.markdown import escape
from lib.ui.tables import show_table
from lib.ui.training_view import choose_run, opened

BASE, CANDIDATE = "training_base", "training_candidate"
TOKENS, PRICE = "training_tokens", "training_node_price"


def show_compare() -> None:
    """Draw the choice of two runs, and how they differ."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        baseline = choose_run(BASE, "Baseline")
        candidate = choose_run(CANDIDATE, "Candidate", "sample-single_slow_w2")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        tokens = st.number_input(
            "Tokens a step", 0, 10**9, 2_048, key=TOKENS, width=170, help="0: unknown"
        )
        price = st.number_input(
            "An hour of a node, $", 0.0, 1_000.0, 0.10, 0.01, key=PRICE, width=190
        )
    if baseline.id == candidate.id:
        st.info("Choose two different runs.", icon=":material/info:")
        return
    one, other = opened(baseline), opened(candidate)
    if one is None or other is None:
        return
    hourly = float(price) or None
    try:
        found = compare(one, other, float(tokens) or None, (hourly, hourly))
    except TrainingError as error:
        st.warning(escape(str(error)), icon=":material/warning:")
        return
    _show(found)


def _show(found: Comparison) -> None:
    with st.container(border=True):
        st.markdown(f"**{escape(found.finding)}**")
        st.caption(
            f"Length of a step: {found.change:+.1%}, 95 % interval {found.low:+.1%} to "
            f"{found.high:+.1%}, by resampling steps after the warm-up."
        )
    with st.container(horizontal=True, gap="medium"):
        before, after = found.steps_per_second
        st.metric("Steps a second", f"{after:.2f}", f"{after - before:+.2f}")
        if found.tokens_per_second is not None:
            before, after = found.tokens_per_second
            st.metric("Tokens a second", f"{after:,.0f}", f"{after - before:+,.0f}")
        if found.cost is not None:
            before, after = found.cost
            st.metric(
                "A million tokens", f"${after:.4f}", f"{after - before:+.4f} $",
                delta_color="inverse",
            )  # fmt: skip
    number = st.column_config.NumberColumn
    st.markdown("**Where the difference lies**")
    show_table(
        pd.DataFrame(
            {
                "part": [one.part for one in found.parts],
                "before": [one.baseline for one in found.parts],
                "after": [one.candidate for one in found.parts],
                "change": [one.candidate - one.baseline for one in found.parts],
            }
        ),
        columns={
            "part": st.column_config.TextColumn("Part of a step"),
            "before": number("Baseline, ms", format="%.1f"),
            "after": number("Candidate, ms", format="%.1f"),
            "change": number("Change, ms", format="%+.1f"),
        },
        name="parts",
        alt="Parts of a step in both runs",
    )
    for what, then, now in found.differences:
        st.markdown(escape(f"{what}: {then or 'not said'} → {now or 'not said'}"))
