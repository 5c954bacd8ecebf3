"""The floor of every page benchmark: routing, a title and a button, nothing else."""  # noqa: INP001 Streamlit runs this file, nothing imports it

import streamlit as st


def empty() -> None:
    """Draw a title, a button, and how often it was clicked."""
    st.title("Empty")
    clicks = st.session_state.get("clicks", 0) + st.button("Again", key="again")
    st.session_state["clicks"] = clicks
    st.text(f"Clicks: {clicks}")


st.navigation([st.Page(empty, title="Empty", default=True)]).run()
