"""Tables with units, help and a CSV download that no spreadsheet will execute."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def show_table(
    frame: pd.DataFrame, *, columns: Mapping[str, ColumnConfig], name: str, alt: str
) -> None:
    """Draw the frame's rows, sortable, with a CSV download named after the table."""
    st.dataframe(frame, hide_index=True, column_config=dict(columns), key=f"table_{name}", alt=alt)
    st.download_button(
        "Download CSV",
        lambda: csv_text(frame),  # made on the click, not on every run
        file_name=f"{name}.csv",
        mime="text/csv",
        key=f"csv_{name}",
        on_click="ignore",
        icon=":material/download:",
    )


def csv_text(frame: pd.DataFrame) -> str:
    """Return the frame as CSV; cells that a spreadsheet would execute start with an apostrophe."""
    return frame.map(_neutral).to_csv(index=False)


def _neutral(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
