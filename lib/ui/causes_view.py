"""What drove an anomaly: chosen by detector or file, explained in words, charts and tables."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import streamlit as st

from lib.aws import AwsError
from lib.causes.attribution import attribute, of_series, what_if
from lib.causes.discovery import ADAPTIVE, Found, definitions_of, descendants, discover
from lib.causes.model import Attribution, CausesError, Knowledge, Matrix, Observations
from lib.causes.observations import observations_of
from lib.metrics.groups_store import GroupQuery, list_groups, related_groups
from lib.metrics.model import AnomalyGroup, Detector, GroupKind, MetricsError, SeriesKey, SourceKind
from lib.metrics.panel import read_panel
from lib.metrics.recognise import recognise
from lib.metrics.samples import MEASURES
from lib.metrics.tables import keep_upload, open_rows
from lib.metrics.timeline import as_datetime
from lib.settings import settings
from lib.ui import causes_parts, resources
from lib.ui.anomaly_view import kept_history, moment
from lib.ui.anomaly_words import amount, headline, span
from lib.ui.causes_charts import graph_figure, shocks_figure, waterfall_figure
from lib.ui.causes_words import as_json, edges_frame, paragraph, shares_frame
from lib.ui.charts import show_chart
from lib.ui.detector_choice import choose_detector
from lib.ui.markdown import escape
from lib.ui.tables import show_table

SOURCE, DETECTOR, GROUP = "causes_source", "causes_detector", "causes_group"
ORDER, FORCED, FORBIDDEN = "causes_order", "causes_forced", "causes_forbidden"
DERIVED, RULE = "causes_derived", "causes_rule"
RULES = {  # how the tests of all series become one
    ADAPTIVE: "in at least 1 of 20 series, however they depend (adaptive quantile)",
    "simes": "in few series (Simes, with Benjamini and Hochberg)",
    "cauchy": "weak effects (Cauchy, with Benjamini and Hochberg)",
}
FILE = "causes.file"  # the observations of an upload: name and data
A_DETECTOR, A_FILE = "A detector's anomaly", "A file of yours"
LEAST_SEVERITY = 50.0
SLACK = timedelta(hours=1)
BEFORE, AFTER = 48, 24  # intervals shown around the window
LOOKED_AT = 20  # anomalies, for the one that is shown first
MOST_ROWS = 6  # measures over time


@dataclass(frozen=True, eq=False)
class Asked:
    """What is to be explained: a measure of some observations in a window of intervals."""

    observations: Observations
    target: str
    first: int
    last: int
    zone: str
    key: str  # of the observations, for the cache
    order: tuple[str, ...] = ()  # in which the measures are documented to happen
    series: frozenset[SeriesKey] = frozenset()  # that are off; none: all
    related: Sequence[AnomalyGroup] = ()  # other anomalies at the same time


def choose() -> Asked | None:
    """Draw the choice of data, measure and window; None while something is missing."""
    kind = st.radio(
        "Explain", [A_DETECTOR, A_FILE], key=SOURCE, horizontal=True, label_visibility="collapsed"
    )
    return _choose_file() if kind == A_FILE else _choose_group()


def show(asked: Asked) -> None:
    """Draw what drove the measure, with everything behind it."""
    try:
        knowledge, rule = _enter_knowledge(asked.observations.measures, asked.order)
        with st.spinner("Looking for what drives what"):
            found = _discovered(asked.key, knowledge, rule, asked.observations)
        seen, found = of_series(asked.observations, found, asked.series)
        result = attribute(seen, found, asked.target, asked.first, asked.last)
    except CausesError as error:
        st.warning(escape(str(error)), icon=":material/warning:")
        return
    starts = asked.observations.starts
    start = as_datetime(int(starts[asked.first]))
    end = as_datetime(int(starts[asked.last - 1] + (starts[1] - starts[0])))
    with st.container(border=True):
        st.markdown(escape(paragraph(result, span(start, end, asked.zone))))
    for note in result.notes:
        st.caption(escape(note))
    _show_shares(result)
    _show_graph(found, asked)
    _show_time(found, asked, result)
    _show_values(result)
    causes_parts.show_parts(asked.observations, asked.target, (asked.first, asked.last))
    _show_what_if(result)
    _show_ranking(result)
    st.download_button(
        "Download JSON", lambda: as_json(result, found.graph),
        file_name=f"causes-{asked.target}.json", mime="application/json", key="causes_json",
        on_click="ignore", icon=":material/download:",
    )  # fmt: skip


def _choose_group() -> Asked | None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        detector = choose_detector(DETECTOR, least_measures=2)
        if detector is None:
            st.info(
                "No detector with several measures yet: set one up under Anomalies.",
                icon=":material/info:",
            )
            return None
        groups = _explained(detector)
        labels = {
            one.id: f"{one.severity:.0f} · {headline(one, detector.dataset.zone)}" for one in groups
        }
        chosen = _choose_label(labels, groups, _documented(detector))
    history = kept_history(detector)
    if history is None or chosen is None:
        with st.container(border=True):
            st.markdown("**Nothing to explain yet**")
            st.caption("The detector has found no anomaly of severity 50 or more, or still learns.")
        return None
    group = next(one for one in groups if one.id == chosen)
    key = f"{detector.id} {int(history.panel.starts[-1])}"
    try:
        observations = _observed(key, history.panel)
    except CausesError as error:
        st.warning(escape(str(error)), icon=":material/warning:")
        return None
    window = np.searchsorted(observations.starts, [group.start.timestamp(), group.end.timestamp()])
    return Asked(
        observations, group.measure, int(window[0]), int(max(window[1], window[0] + 1)),
        detector.dataset.zone, key,
        _documented(detector),
        _affected(group, detector.dataset.dimensions),
        [one for one in related_groups(resources.store(), group, SLACK) if one.id in labels],
    )  # fmt: skip


def _choose_label(
    labels: Mapping[str, str], groups: Sequence[AnomalyGroup], documented: Sequence[str]
) -> str | None:
    """Draw the choice of an anomaly, where there is one, and return its id."""
    if not labels:
        return None
    if st.session_state.get(GROUP) not in labels:
        st.session_state[GROUP] = _worth_a_look(groups, documented).id
    return st.selectbox(
        "Anomaly", list(labels), key=GROUP, bind="query-params",
        format_func=lambda one: labels.get(one, one), width=620,
    )  # fmt: skip


def _affected(group: AnomalyGroup, dimensions: Sequence[str]) -> frozenset[SeriesKey]:
    """Return the keys of the series that are off: of the place found, else of the group's."""
    places = [dict(one.values) for one in group.causes]
    if places:
        return frozenset(tuple(place.get(name) for name in dimensions) for place in places)
    keys = [one.key for one in group.series]
    leaves = [key for key in keys if None not in key]
    some = [key for key in keys if any(value is not None for value in key)]
    return frozenset(leaves or some or keys)


def _documented(detector: Detector) -> tuple[str, ...]:
    """Return the measures in the order in which they happen, where that is documented."""
    return MEASURES if detector.dataset.source.get("kind") == SourceKind.SAMPLE else ()


def _worth_a_look(groups: Sequence[AnomalyGroup], documented: Sequence[str]) -> AnomalyGroup:
    """Return an anomaly that others may have caused: late in the documented order, in company."""
    best = max(groups[:LOOKED_AT], key=_company)
    near = {one.id for one in related_groups(resources.store(), best, SLACK)}
    known = [one for one in groups if one.id in near and one.measure in documented]
    return max(known, key=lambda one: documented.index(one.measure), default=best)


def _company(group: AnomalyGroup) -> tuple[int, float]:
    """Return how many measures are off at the same time, and how severe the anomaly is."""
    others = related_groups(resources.store(), group, SLACK)
    return len({one.measure for one in others} - {group.measure}), group.severity


def _explained(detector: Detector) -> Sequence[AnomalyGroup]:
    query = GroupQuery(detector.id, LEAST_SEVERITY)
    found = list_groups(resources.store(), query)
    return [one for one in found if one.kind is GroupKind.ANOMALY]


@st.cache_resource(ttl=600, max_entries=4, show_spinner=False)
def _observed(key: str, _panel: object) -> Observations:
    # `key` names the panel, which is too large to be compared.
    del key
    return observations_of(_panel)  # type: ignore[arg-type]  # Streamlit wants the underscore


@st.cache_resource(ttl=600, max_entries=8, show_spinner=False)
def _discovered(key: str, knowledge: Knowledge, rule: str, _observations: Observations) -> Found:
    del key
    return discover(_observations, knowledge, rule)


def _choose_file() -> Asked | None:
    file = st.file_uploader(
        "CSV, JSON Lines or Parquet with a timestamp and at least two measures",
        type=["csv", "tsv", "jsonl", "ndjson", "json", "parquet"],
        max_upload_size=settings().max_upload_mb,
        key="causes_upload",
    )
    if file is None:
        st.caption("Columns that tell rows apart become series; each is looked at on its own.")
        return None
    kept = st.session_state.get(FILE)
    if kept is None or kept[0] != file.file_id:
        try:
            kept = (file.file_id, _read(file.name, file.getvalue()))
        except (MetricsError, AwsError, CausesError) as error:
            st.error(escape(str(error)), icon=":material/error:")
            return None
        st.session_state[FILE] = kept
    observations: Observations = kept[1]
    starts = observations.starts
    shown = [moment(as_datetime(int(one)), "UTC") for one in starts]
    st.caption(
        escape(f"{len(observations.series):,} series over {len(starts):,} intervals, "
               f"{shown[0]} to {shown[-1]} UTC.")
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        target = st.selectbox("Measure", observations.measures, key="causes_target", width=220)
        first = st.selectbox(
            "From", range(len(starts)), max(0, len(starts) - 3), key="causes_first",
            format_func=shown.__getitem__, width=220,
        )  # fmt: skip
        count = st.number_input("Intervals", 1, 500, 1, key="causes_count", width=130)
    last = min(len(starts), first + int(count))
    return Asked(observations, target, first, last, "UTC", str(file.file_id))


def _read(name: str, content: bytes) -> Observations:
    source = keep_upload(settings(), uuid.uuid4().hex, name, content)
    with open_rows(source, settings(), resources.aws()) as rows:
        dataset = recognise(rows).dataset(source)
    return observations_of(read_panel(dataset, settings(), resources.aws()))


def _enter_knowledge(measures: Sequence[str], documented: Sequence[str]) -> tuple[Knowledge, str]:
    if ORDER not in st.session_state:
        st.session_state[ORDER] = [one for one in documented if one in measures]
    pairs = [f"{one} → {other}" for one in measures for other in measures if one != other]
    with st.expander("What you know", key="causes_known"):
        st.caption("It counts more than what the data tell, and the graph says that it is yours.")
        order = st.multiselect(
            "In the order in which they happen", measures, key=ORDER, placeholder="visits, clicks"
        )
        forced = st.multiselect("Certain", pairs, key=FORCED, placeholder="cause → effect")
        forbidden = st.multiselect("Impossible", pairs, key=FORBIDDEN, placeholder="cause → effect")
        made = st.text_area(
            "Measures made of others",
            key=DERIVED,
            placeholder="revenue = orders * price",
            height=70,
        )
        rule = st.radio("Look for effects", list(RULES), key=RULE, format_func=RULES.__getitem__)

    def edges(chosen: Sequence[str]) -> frozenset[tuple[str, str]]:
        return frozenset((one.split(" → ")[0], one.split(" → ")[1]) for one in chosen)

    derived = definitions_of(made, tuple(measures))
    return Knowledge(edges(forced), edges(forbidden), tuple(order), derived), rule


def _show_shares(found: Attribution) -> None:
    st.markdown("**What it comes from**")
    top = found.shares[0].measure if found.shares else "no measure here"
    show_chart(
        waterfall_figure(found), key="causes_waterfall",
        alt=f"From expected to observed {found.target}; most comes from {top}", height=300,
    )  # fmt: skip
    number = st.column_config.NumberColumn
    show_table(
        shares_frame(found),
        columns={
            "measure": st.column_config.TextColumn("Measure"),
            "share": number("Share", format="%.1f %%"),
            "interval": st.column_config.TextColumn("90 % interval"),
            "amount": st.column_config.TextColumn(f"Of {found.target}"),
            "how": st.column_config.TextColumn("How"),
        },
        name="shares",
        alt="Shares of the deviation",
    )


def _show_graph(found: Found, asked: Asked) -> None:
    graph = found.graph
    st.markdown("**Which measures drive which**")
    if not graph.edges:
        st.caption("No measure is found to drive another.")
        return
    show_chart(
        graph_figure(graph, asked.target), key="causes_graph",
        alt="; ".join(f"{one.cause} drives {one.effect}" for one in graph.edges if one.directed),
        height=260,
    )  # fmt: skip
    st.caption(
        f"{len(graph.edges)} edges at {graph.lags} lag{'s' if graph.lags > 1 else ''}; a test "
        f"blind to dependence between series would report {graph.naive_edges} over intervals."
    )
    _show_related(graph.measures, asked)
    number = st.column_config.NumberColumn
    show_table(
        edges_frame(graph),
        columns={
            "cause": st.column_config.TextColumn("Cause"),
            "effect": st.column_config.TextColumn("Effect"),
            "way": st.column_config.TextColumn("Way", help="open: the data cannot tell"),
            "lag": number("Intervals later", format="%d"),
            "strength": number("Strength", format="%.2f"),
            "p": number("p", format="%.2g"),
            "series": number("Series that show it", format="%.0f %%"),
            "from": st.column_config.TextColumn("From"),
        },
        name="edges",
        alt="Edges of the graph",
    )


def _show_related(measures: Sequence[str], asked: Asked) -> None:
    """Draw a button for each measure that has an anomaly of its own at the time."""
    own = {one.measure: one for one in reversed(asked.related) if one.measure in measures}
    if not own:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Anomalies at the same time:", width="content")
        for name, group in own.items():
            st.button(
                escape(f"{name} {group.severity:.0f}"), key=f"causes_go_{group.id}",
                type="tertiary", on_click=_go_to, args=(group.id,),
            )  # fmt: skip


def _go_to(group_id: str) -> None:
    st.session_state[GROUP] = group_id


def _show_time(found: Found, asked: Asked, result: Attribution) -> None:
    names = [asked.target, *(one.measure for one in result.shares)][:MOST_ROWS]
    low = max(0, asked.first - BEFORE)
    high = min(len(asked.observations.starts), asked.last + AFTER)
    places = [asked.observations.measures.index(name) for name in names]
    with np.errstate(all="ignore"):
        shocks = np.nanmean(found.prepared.shocks[:, low:high][:, :, places], axis=0)
    starts = [as_datetime(int(one)) for one in asked.observations.starts[low:high]]
    st.markdown("**When each was off**")
    lags = [descendants(found.graph, name).get(asked.target, 0) for name in names]
    if any(lags) and st.checkbox("Shift causes to where they act", key="causes_shift"):
        shocks = np.column_stack([_later(shocks[:, at], lag) for at, lag in enumerate(lags)])
        names = [f"{name} +{lag}" if lag else name for name, lag in zip(names, lags, strict=True)]
    show_chart(
        shocks_figure(
            starts, shocks, names, (starts[asked.first - low], starts[asked.last - 1 - low])
        ),
        key="causes_time",
        alt="Mean deviations of the target and its causes around the window",
        height=90 + 80 * len(names),
    )


def _later(values: Matrix, lag: int) -> Matrix:
    """Return the values so many intervals later; what is before is not known."""
    moved: Matrix = np.concatenate([np.full(lag, np.nan), values[: len(values) - lag]])
    return moved


def _show_values(result: Attribution) -> None:
    if not result.by_value:
        return
    st.markdown("**Where it sits**")
    for column, (dimension, values) in zip(
        st.columns(min(len(result.by_value), 3)) * len(result.by_value),
        result.by_value.items(), strict=False,
    ):  # fmt: skip
        with column:
            told = [
                f"{value or '(empty)'} {percent:.0f} %"
                for value, percent in values[:4]
                if percent >= 1
            ]
            st.markdown(f"{escape(dimension)}: {escape(', '.join(told))}")


def _show_what_if(result: Attribution) -> None:
    names = [one.measure for one in (*result.shares, *result.counteracting)]
    names = [name for name in names if name != result.target]
    if not names:
        return
    st.markdown("**What if**")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.selectbox("Had this measure", names, key="causes_what_if", width=220)
        percent = st.number_input(
            "stayed normal by percent", 0, 100, 100, 10, key="causes_what_if_percent", width=200
        )
    would = what_if(result, {name: percent / 100})
    st.markdown(
        escape(f"{result.target} would have been {amount(would)} instead of "
               f"{amount(result.observed)}; {amount(result.expected)} was expected.")
    )  # fmt: skip


def _show_ranking(result: Attribution) -> None:
    with st.expander("Root causes by scores alone", key="causes_scores"):
        ranked = ", ".join(f"{name} {score:.1f}" for name, score in result.ranking)
        walked = ", ".join(f"{name} {score:.1f}" for name, score in result.traversal)
        st.markdown(escape(f"How unusual each measure is, in deviations: {ranked}"))
        st.markdown(escape(f"How much more than its causes: {walked}"))
