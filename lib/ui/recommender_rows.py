"""The tables of metrics that the page works on: chosen, joined, and priced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from lib.recommender.choice import with_price
from lib.recommender.kept import KeptTable, kept_tables, sample_tables
from lib.recommender.model import Metrics
from lib.settings import settings
from lib.ui.markdown import escape

TABLES, HOURLY = "recommender_tables", "recommender_hourly"


@dataclass(frozen=True)
class Row:
    """A row of metrics and the table that it comes from."""

    table: KeptTable
    metrics: Metrics

    @property
    def name(self) -> str:
        """Return what tells the row from all others."""
        variables = ", ".join(f"{key}={value}" for key, value in self.metrics.environment)
        return f"{self.metrics.configuration} ({variables})" if variables else self.configuration

    @property
    def configuration(self) -> str:
        """Return the instance type or the name of the local configuration."""
        return self.metrics.configuration


def tables() -> dict[str, KeptTable]:
    """Return all tables by id: what was kept first, newest first, then what ships."""
    return {one.id: one for one in (*kept_tables(settings()), *sample_tables())}


def choose_rows() -> list[Row]:
    """Draw the choice of tables, and return their rows, priced where the user says how."""
    known = tables()
    first = next(iter(known))
    if TABLES in st.session_state:  # else the address tells, or the default
        chosen = [one for one in st.session_state[TABLES] if one in known]
        st.session_state[TABLES] = chosen or [first]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        picked = st.multiselect(
            "Tables", list(known), [first], key=TABLES, bind="query-params", width=640,
            format_func=lambda one: _label(one, known),
        )  # fmt: skip
        rows = [Row(known[one], row) for one in picked for row in known[one].rows]
        unpriced = any(row.metrics.cost_per_hour is None for row in rows)
        hourly = 0.0
        if unpriced:
            hourly = st.number_input(
                "An hour of what has no price, $", 0.0, 1_000.0, 0.10, 0.01, key=HOURLY, width=230,
                help="Such as an hour of this machine. 0: the price stays unknown.",
            )  # fmt: skip
    for one in picked:
        for note in known[one].notes:
            st.caption(escape(f"{known[one].name}: {note}"))
        for failed in known[one].failed:
            st.caption(escape(f"{failed.configuration} could not be measured: {failed.reason}"))
    return [Row(row.table, with_price(row.metrics, hourly)) for row in rows]


def _label(table_id: str, known: Mapping[str, KeptTable]) -> str:
    """Return a table's name, with its time where another has the same; the address holds it."""
    table = known.get(table_id)
    if table is None:
        return table_id
    same = sum(one.name == table.name for one in known.values())
    return table.name if same == 1 else f"{table.name}, {table.at:%Y-%m-%d %H:%M:%S}"
