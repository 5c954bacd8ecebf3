"""The search of the page as a call of Amazon Kendra, written without asking AWS anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import streamlit as st

from lib.search.model import Attribute, QueryError, SearchRequest
from lib.ui.markdown import escape
from lib.ui.search_state import PAGE_SIZE

if TYPE_CHECKING:
    from lib.aws import Aws

INDEX_ID = "00000000-0000-0000-0000-000000000000"  # as long as a real one; to be replaced


class _SameIndex:
    """Stands for an account whose Kendra index has the attributes of the index here."""

    region = "us-east-1"

    def __init__(self, attributes: Iterable[Attribute]) -> None:
        self._attributes = tuple(attributes)

    def client(self, _service: str) -> _SameIndex:
        return self

    def describe_index(self, **_which: str) -> dict[str, Any]:
        return {
            "DocumentMetadataConfigurations": [
                {
                    "Name": attribute.name,
                    "Type": str(attribute.type),
                    "Search": {"Facetable": True, "Sortable": True},
                }
                for attribute in self._attributes
            ]
        }


def kendra_code(request: SearchRequest, attributes: Iterable[Attribute]) -> str:
    """Return Python that asks the same of a Kendra index; raises `QueryError` where none can."""
    from lib.search.kendra import KendraSearch

    aws = cast("Aws", _SameIndex(attributes))
    for_anybody = replace(request, user=None, page_size=PAGE_SIZE)
    return KendraSearch(aws, INDEX_ID).request_code(for_anybody)


def show_code(request: SearchRequest, attributes: Iterable[Attribute]) -> None:
    """Draw the same search as a call of Amazon Kendra."""
    try:
        code = kendra_code(request, attributes)
    except QueryError as error:
        st.info(escape(str(error)), icon=":material/info:")
        return
    st.caption(
        "The same search on an Amazon Kendra index with these attributes: put its id and region "
        "in. Kendra counts up to ten values at each of two levels."
    )
    st.code(code, language="python", wrap_lines=True)
