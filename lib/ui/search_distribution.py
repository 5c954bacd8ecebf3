"""How the found documents spread over a number or a date, and the range of it to see."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import streamlit as st

from lib.search.distribution import distribution
from lib.search.intervals import Interval
from lib.search.model import UNITS, Attribute, AttributeType, Bucket, QueryError
from lib.ui.charts import CONFIG, HEIGHT
from lib.ui.facet_tree import label
from lib.ui.markdown import escape

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from lib.ui.search_state import Search

AUTOMATIC = "Automatic"
FAINT = 0.35  # the opacity of bars outside the range
_FIRST_DAY, _LAST_DAY = date.min, date.max
_ONE_DAY = timedelta(days=1)
_EXACT = 2**53 - 1  # the largest whole number that browsers count to


def show_distribution(search: Search, attributes: Sequence[Attribute]) -> None:
    """Draw a histogram of what is found; bars that are chosen, and bounds, select a range."""
    spread = {
        attribute.name: attribute
        for attribute in attributes
        if attribute.type in {AttributeType.LONG, AttributeType.DATE}
    }
    if not spread:
        st.caption("These documents have no numbers and no dates.")
        return
    selected = [one.attribute for one in search.intervals if one.attribute in spread]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.selectbox(
            "Number or date",
            list(spread),
            index=list(spread).index(selected[0]) if selected else 0,
            format_func=label,
            key="search_spread",
            bind="query-params",
            width=220,
        )
        attribute, unit = spread[name], ""
        if attribute.type is AttributeType.DATE:
            unit = _choose_unit()
        chosen = next((one for one in search.intervals if one.attribute == name), Interval(name))
        _choose_bounds(search, attribute, chosen)
    try:
        buckets = distribution(search.engine, search.beyond(name), attribute, unit).buckets
    except QueryError as error:
        st.info(escape(str(error)), icon=":material/info:")
        return
    if any(bucket.count for bucket in buckets):
        _show_bars(search, attribute, buckets, chosen)
    else:
        st.caption("Nothing to count: no document that was found has it, or the service cannot.")


def interval_label(interval: Interval) -> str:
    """Return an interval as people read it, such as `2015 to 2020` or `from 3 May 2024`."""
    low, high = (_bound_label(bound) for bound in (interval.low, interval.high))
    if not low:
        return f"up to {high}"
    if not high:
        return f"from {low}"
    return low if low == high else f"{low} to {high}"


def interval_of(attribute: str, buckets: Sequence[Bucket]) -> Interval:
    """Return the interval that some neighbouring buckets fill."""
    low, high = buckets[0].low, buckets[-1].high
    if isinstance(low, datetime) and isinstance(high, datetime):
        return Interval(attribute, low.date(), (high - timedelta(microseconds=1)).date())
    return Interval(attribute, int(low), int(high) - 1)  # type: ignore[arg-type]  # numbers


def bars(attribute: str, buckets: Sequence[Bucket], chosen: Interval) -> Figure:
    """Return the histogram as bars, those outside the chosen interval faint."""
    import plotly.graph_objects as go

    each = [interval_of(attribute, [bucket]) for bucket in buckets]
    centers, widths = zip(*(_place(bucket) for bucket in buckets), strict=True)
    figure = go.Figure(
        go.Bar(
            x=centers,
            y=[bucket.count for bucket in buckets],
            width=widths,
            marker={"opacity": [1 if _overlaps(one, chosen) else FAINT for one in each]},
            customdata=[interval_label(one) for one in each],
            hovertemplate="%{customdata}<br>%{y:,} documents<extra></extra>",
        )
    )
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        selectdirection="h",
    )
    figure.update_xaxes(title=label(attribute), automargin=True, tickformat=_tick_format(buckets))
    figure.update_yaxes(title="Documents", automargin=True, tickformat=",d", rangemode="tozero")
    return figure


def _choose_unit() -> str:
    unit = st.selectbox(
        "Bars",
        [AUTOMATIC, *UNITS],
        format_func=str.capitalize,
        key="search_spread_unit",
        bind="query-params",
        width=130,
    )
    return "" if unit == AUTOMATIC else unit


def _choose_bounds(search: Search, attribute: Attribute, chosen: Interval) -> None:
    # Another interval gets other fields, so that they always show what is selected.
    keys = [f"search_spread_{end}_{attribute.name}_{chosen}" for end in ("from", "to")]

    def choose() -> None:
        low, high = (st.session_state[key] for key in keys)
        if low is not None and high is not None and low > high:
            low, high = high, low
        search.within(Interval(attribute.name, low, high))

    bounds: tuple[Any, Any] = (chosen.low, chosen.high)
    for name, key, bound in zip(("From", "To"), keys, bounds, strict=True):
        if attribute.type is AttributeType.DATE:
            st.date_input(
                name,
                value=bound,
                min_value=_FIRST_DAY,
                max_value=_LAST_DAY,
                key=key,
                on_change=choose,
                width=140,
            )
        else:
            st.number_input(
                name,
                value=None if bound is None else min(max(bound, -_EXACT), _EXACT),
                step=1,
                key=key,
                on_change=choose,
                placeholder="any",
                width=140,
            )


def _show_bars(
    search: Search, attribute: Attribute, buckets: Sequence[Bucket], chosen: Interval
) -> None:
    key = f"search_bars_{attribute.name}_{len(buckets)}_{chosen}"

    def on_select() -> None:
        points = st.session_state[key].selection.points
        places = sorted(int(point["point_index"]) for point in points)
        if places and places[-1] < len(buckets):
            search.within(interval_of(attribute.name, buckets[places[0] : places[-1] + 1]))

    largest = max(buckets, key=lambda bucket: bucket.count)
    most = interval_label(interval_of(attribute.name, [largest]))
    finding = f"Most documents: {most} ({largest.count:,})"
    st.caption(escape(finding))
    st.plotly_chart(
        bars(attribute.name, buckets, chosen),
        theme="streamlit",
        config=CONFIG | {"modeBarButtonsToRemove": ["lasso2d", "autoScale2d"]},
        key=key,
        on_select=on_select,
        selection_mode=("points", "box"),
        alt=f"Documents by {label(attribute.name)}. {finding}",
    )
    st.caption(
        "Choose a bar to see only its documents, several with the box tool above, or enter bounds."
    )


def _place(bucket: Bucket) -> tuple[float | datetime, float]:
    # The centre of a bar and its width, in milliseconds where it is a date.
    if isinstance(bucket.low, datetime) and isinstance(bucket.high, datetime):
        span = bucket.high - bucket.low
        return bucket.low + span / 2, 900 * span.total_seconds()
    low, high = int(bucket.low), int(bucket.high)  # type: ignore[arg-type]  # numbers
    return (low + high - 1) / 2, 0.9 * (high - low)


def _tick_format(buckets: Sequence[Bucket]) -> str | None:
    return None if isinstance(buckets[0].low, datetime) else "d"


def _overlaps(one: Interval, chosen: Interval) -> bool:
    lows: list[Any] = [bound for bound in (one.low, chosen.low) if bound is not None]
    highs: list[Any] = [bound for bound in (one.high, chosen.high) if bound is not None]
    return bool(max(lows) <= min(highs))


def _bound_label(bound: int | date | None) -> str:
    if isinstance(bound, date):
        return f"{bound.day} {bound:%b} {bound.year}"
    return "" if bound is None else str(bound)
