"""The prices of instances: a dated table that administrators edit and refresh from AWS."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lib.aws import AwsError
from lib.identity import Role, User
from lib.prices import REGION, Price, live_prices, prices, write_prices
from lib.settings import settings
from lib.ui import resources
from lib.ui.guard import acting_user
from lib.ui.markdown import escape

EDITED, REFRESHED = "edited prices", "refreshed prices from AWS"
REFUSED = "recommender.prices.refused"


def show_prices(user: User) -> None:
    """Draw the prices of hosting with date and source."""
    may = user.role.allows(Role.ADMIN)
    known = prices(settings())
    st.markdown("**Prices of an hour of hosting**")
    st.caption(f"List prices in {REGION}; yours may differ. Each row says when and where from.")
    if refused := st.session_state.pop(REFUSED, ""):
        st.error(escape(refused), icon=":material/error:")
    frame = pd.DataFrame(
        [(name, one.usd_per_hour, one.as_of, one.source) for name, one in sorted(known.items())],
        columns=["instance", "usd", "date", "source"],
    )
    edited = st.data_editor(
        frame, hide_index=True, num_rows="dynamic" if may else "fixed", disabled=not may,
        key="recommender_prices",
        column_config={
            "instance": st.column_config.TextColumn("Instance type", required=True),
            "usd": st.column_config.NumberColumn("$ an hour", min_value=0.0, format="%.4f",
                                                 required=True),
            "date": st.column_config.TextColumn("As of", required=True),
            "source": st.column_config.TextColumn("Source", required=True, width="medium"),
        },
    )  # fmt: skip
    found = _prices_of(edited)
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Keep", type="primary", icon=":material/save:", key="recommender_prices_keep",
            disabled=not may or found == known, on_click=_keep, args=(found,),
        )  # fmt: skip
        connected = resources.aws().configured
        st.button(
            "Refresh from AWS", icon=":material/refresh:", key="recommender_prices_refresh",
            disabled=not (may and connected), on_click=_refresh,
            help=None if connected else "AWS is not connected.",
        )  # fmt: skip


def _prices_of(frame: pd.DataFrame) -> dict[str, Price]:
    rows = frame.dropna().itertuples(index=False)
    return {str(row[0]): Price(float(row[1]), str(row[2]), str(row[3])) for row in rows}


def _keep(found: dict[str, Price]) -> None:
    user = acting_user(Role.ADMIN)
    write_prices(settings(), found)
    resources.identity().record(user.username, EDITED, "prices", f"{len(found)} rows")


def _refresh() -> None:
    user = acting_user(Role.ADMIN)
    known = prices(settings())
    region = resources.aws().region or REGION
    try:
        found = live_prices(resources.aws(), region, known)
    except AwsError as error:
        st.session_state[REFUSED] = error.sentence
        return
    write_prices(settings(), {**known, **found})
    resources.identity().record(user.username, REFRESHED, region, f"{len(found)} prices")
