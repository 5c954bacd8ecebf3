"""The search of the page as a call of Amazon Kendra, written without asking AWS anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import streamlit as st

from lib.search.collections import Collection, Kind
from lib.search.model import Attribute, QueryError, SearchRequest
from lib.ui import resources
from lib.ui.markdown import escape
from lib.ui.search_state import PAGE_SIZE

INDEX_ID = "00000000-0000-0000-0000-000000000000"  # as long as a real one; to be replaced
REGION = "us-east-1"


def show_code(
    request: SearchRequest, attributes: Iterable[Attribute], collection: Collection
) -> None:
    """Draw the same search as a call of Amazon Kendra, of an index with the same attributes."""
    from lib.search.kendra import request_code

    index_id, region = INDEX_ID, REGION
    if collection.kind is Kind.KENDRA:
        index_id, region = collection.source["index"], resources.aws().region or REGION
    for_anybody = replace(request, user=None, page_size=PAGE_SIZE)
    try:
        code = request_code(for_anybody, attributes, index_id, region)
    except QueryError as error:
        st.info(escape(str(error)), icon=":material/info:")
        return
    st.caption(
        "The same search on an Amazon Kendra index with these attributes"
        + (": put its id and region in." if index_id == INDEX_ID else ".")
        + " Kendra counts up to ten values at each of two levels."
    )
    # Without a language: Streamlit's colours for Python are too pale to read on white.
    st.code(code, language=None, wrap_lines=True)
