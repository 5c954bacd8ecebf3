"""Nested counts as pictures: a map of areas or rings, and a cross table of two facets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from lib.search.model import FacetNode, FacetResult, Path
from lib.ui.charts import CONFIG
from lib.ui.facet_tree import label, title

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MISSING = "No value"
ROOT = "root"
TOTAL = "Total"
MAP_HEIGHT = 520
SHADE = "0,114,178"  # the first colour of the charts; its strength says how many


def counts_frame(results: Sequence[FacetResult]) -> pd.DataFrame:
    """Return every count as a row: hierarchy, the values from outside inwards, documents."""
    depth = max((len(result.attributes) for result in results), default=0)
    rows = [
        (title(result.attributes), *map(_name, path), *[""] * (depth - len(path)), node.count)
        for result in results
        for path, node in walk(result.nodes)
    ]
    levels = [f"level {number}" for number in range(1, depth + 1)]
    return pd.DataFrame(rows, columns=["facet", *levels, "documents"])


def walk(nodes: Sequence[FacetNode], above: Path = ()) -> list[tuple[Path, FacetNode]]:
    """Return every node with its path, a parent before its children."""
    found: list[tuple[Path, FacetNode]] = []
    for node in nodes:
        path = (*above, node.value)
        found.append((path, node))
        found += walk(node.children, path)
    return found


def map_figure(result: FacetResult, *, rings: bool) -> tuple[Figure, list[Path]]:
    """Return the counts as a treemap or, with `rings`, a sunburst, and the path of each id."""
    import plotly.graph_objects as go

    ids, names, parents, counts = [ROOT], ["All"], [""], [0]
    paths: list[Path] = [()]
    place: dict[Path, str] = {(): ROOT}
    for path, node in walk(result.nodes):
        if not node.count:
            continue
        place[path] = f"{len(ids)}"
        ids.append(place[path])
        names.append(_name(node.value))
        parents.append(place[path[:-1]])
        counts.append(node.count)
        paths.append(path)
    kind = go.Sunburst if rings else go.Treemap
    figure = go.Figure(
        kind(
            ids=ids,
            labels=[_shown(name) for name in names],
            parents=parents,
            values=_fitting(ids, parents, counts),
            customdata=counts,
            branchvalues="total",
            maxdepth=3,
            hovertemplate="%{label}<br>%{customdata:,} documents<extra></extra>",
            texttemplate="%{label}<br>%{customdata:,}",
        )
    )
    figure.update_layout(margin={"l": 0, "r": 0, "t": 8, "b": 0}, height=MAP_HEIGHT)
    return figure, paths


def show_map(
    result: FacetResult, *, rings: bool, on_choose: Callable[[Path], None], key: str
) -> None:
    """Draw the nested counts as areas; a click on one hands over its path."""
    figure, paths = map_figure(result, rings=rings)
    # The theme gives its colours to all charts but these two.
    palette = st.get_option(f"theme.{st.context.theme.type or 'light'}.chartCategoricalColors")
    figure.update_layout(treemapcolorway=palette, sunburstcolorway=palette)

    def on_select() -> None:
        points = st.session_state[key].selection.points
        place = str(points[0].get("id", "")) if points else ""
        if place.isdecimal() and int(place) < len(paths):
            on_choose(paths[int(place)])

    largest = result.nodes[0] if result.nodes else None
    st.plotly_chart(
        figure,
        theme="streamlit",
        config=CONFIG,
        key=key,
        on_select=on_select,
        selection_mode="points",
        alt=f"Documents by {title(result.attributes)}"
        + (f"; most are {_name(largest.value)} with {largest.count:,}" if largest else ""),
    )


def matrix_frame(result: FacetResult) -> tuple[pd.DataFrame, list[Path], list[Path]]:
    """Return the cross table of a hierarchy of two levels, with the path of each row and column.

    The last row and column of the table are totals: of all documents, not of what is shown.
    """
    columns: dict[str | None, int] = {}
    for node in result.nodes:
        for child in node.children:
            columns[child.value] = columns.get(child.value, 0) + child.count
    order = sorted(columns, key=lambda value: (value is None, -columns[value], value or ""))
    rows = [node.value for node in result.nodes]
    cells = [
        [{child.value: child.count for child in node.children}.get(value, 0) for value in order]
        for node in result.nodes
    ]
    frame = pd.DataFrame(cells, columns=_distinct(order), dtype="int64")
    frame.insert(0, label(result.attributes[0]), [_name(value) for value in rows])
    frame[TOTAL] = [node.count for node in result.nodes]
    return frame, [(value,) for value in rows], [(value,) for value in order]


def show_matrix(result: FacetResult, *, on_choose: Callable[[Path], None], key: str) -> None:
    """Draw two facets as a cross table shaded by count; a click on a cell hands over its path."""
    frame, rows, columns = matrix_frame(result)

    def on_select() -> None:
        cells = st.session_state[key].selection.cells
        if not cells:
            return
        row, column = cells[0]
        names = [str(name) for name in frame.columns[1:-1]]
        inner = columns[names.index(column)] if column in names else ()
        on_choose((*rows[row], *inner))

    counted = frame.columns[1:-1]
    most = max(1, int(frame[counted].to_numpy().max(initial=0)))
    st.dataframe(
        frame.style.map(lambda count: _shade(count, most), subset=list(counted)).format(
            "{:,}", subset=list(frame.columns[1:])
        ),
        hide_index=True,
        column_config={str(frame.columns[0]): st.column_config.TextColumn(pinned=True, width=180)},
        on_select=on_select,
        selection_mode="single-cell",
        key=key,
        alt=f"Documents by {title(result.attributes)}",
    )


def _shade(count: int, most: int) -> str:
    return f"background-color: rgba({SHADE},{0.08 + 0.5 * count / most:.2f})" if count else ""


def _distinct(values: list[str | None]) -> list[str]:
    names: list[str] = []
    for value in values:
        name = _name(value)
        while name in {*names, TOTAL}:
            name += " "
        names.append(name)
    return names


def _fitting(ids: list[str], parents: list[str], counts: list[int]) -> list[float]:
    # Areas of children must fill no more than their parent, but elements of lists each count.
    values: list[float] = [float(count) for count in counts]
    children: dict[str, list[int]] = {}
    for index, parent in enumerate(parents):
        children.setdefault(parent, []).append(index)
    values[0] = sum(values[index] for index in children.get(ROOT, []))
    for index, id_ in enumerate(ids):
        total = sum(values[child] for child in children.get(id_, []))
        if total > values[index] > 0:
            for child in children[id_]:
                values[child] *= values[index] / total
    return values


def _shown(name: str) -> str:
    # Plotly reads a few HTML tags in labels.
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _name(value: str | None) -> str:
    return MISSING if value is None else value
