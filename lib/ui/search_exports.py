"""The downloads of the search page: results and counts, as CSV and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import streamlit as st

from lib.search.model import MAX_PAGE_SIZE, FacetResult
from lib.ui.hit_list import plain
from lib.ui.search_charts import counts_frame
from lib.ui.search_state import Search
from lib.ui.tables import csv_text


def show_exports(search: Search, total: int) -> None:
    """Draw the downloads of results and counts; they are made when somebody asks for them."""
    with st.popover("Download", icon=":material/download:"):
        most = min(MAX_PAGE_SIZE, search.engine.max_results)
        if total > most:
            st.caption(f"Results: the first {most:,} of {total:,}.")
        files: dict[str, tuple[str, str, Callable[[], str]]] = {
            "Results as CSV": ("results.csv", "text/csv", lambda: csv_text(_hits_frame(search))),
            "Results as JSON": ("results.json", "application/json", lambda: _hits_json(search)),
            "Counts as CSV": (
                "counts.csv",
                "text/csv",
                lambda: csv_text(counts_frame(_all_counts(search))),
            ),
            "Counts as JSON": (
                "counts.json",
                "application/json",
                lambda: _json(counts_frame(_all_counts(search))),
            ),
        }
        for name, (file, mime, make) in files.items():
            st.download_button(
                name,
                make,
                file_name=file,
                mime=mime,
                on_click="ignore",
                key=f"search_download_{file}",
                width="stretch",
            )


def _hits_frame(search: Search) -> pd.DataFrame:
    hits = search.engine.query(search.hits_request(1, MAX_PAGE_SIZE)).hits
    names = sorted({name for hit in hits for name in hit.attributes})
    return pd.DataFrame(
        [
            (
                hit.id,
                hit.title,
                hit.uri,
                hit.excerpt,
                *(plain(hit.attributes[name]) if name in hit.attributes else "" for name in names),
            )
            for hit in hits
        ],
        columns=["id", "title", "uri", "excerpt", *names],
    )


def _hits_json(search: Search) -> str:
    return _json(_hits_frame(search))


def _json(frame: pd.DataFrame) -> str:
    return json.dumps(frame.to_dict("records"), ensure_ascii=False, indent=1)


def _all_counts(search: Search) -> tuple[FacetResult, ...]:
    request = search.request()
    facets = tuple(replace(facet, top=None, value_search="") for facet in request.facets)
    return search.engine.query(replace(request, facets=facets)).facets
