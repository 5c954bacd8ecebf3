"""Which documents are searched: the choice of a collection, where that is, and why it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import streamlit as st

from lib.aws import AccessDenied, AwsError
from lib.identity import Role, User
from lib.search import ENGINE_NAME
from lib.search.collections import (
    AWS_DOCUMENTATION,
    Collection,
    CollectionError,
    Kind,
    collections,
)
from lib.search.files import IndexDamaged
from lib.search.model import QueryError
from lib.settings import settings
from lib.ui import resources
from lib.ui import search_state as state
from lib.ui.frame import show_source
from lib.ui.markdown import escape
from lib.ui.search_add import show_add
from lib.ui.search_index import show_damaged
from lib.ui.search_upkeep import show_details
from lib.ui.sources import Source, source

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILURES = (QueryError, IndexDamaged, AwsError, CollectionError)  # of searching a collection


def choose_documents(user: User) -> Collection:
    """Draw the choice of documents, where they are searched and what can be done with them."""
    known = collections(resources.store())
    _say_unknown([one.name for one in known])
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            name = st.selectbox(
                "Documents",
                [one.name for one in known],
                key=state.DOCUMENTS,
                bind="query-params",
                on_change=state.other_documents,
                label_visibility="collapsed",
                width=260,
            )
            chosen = next(one for one in known if one.name == name)
            show_source(source_of(chosen))
        with st.container(horizontal=True, gap="small", width="content"):
            show_details(chosen, user)
            if user.role.allows(Role.ANALYST):
                show_add(user)
    return chosen


def source_of(collection: Collection) -> Source:
    """Return where a collection is searched, as the badge shows it."""
    if collection.is_indexed:
        return source(ENGINE_NAME)
    detail = "What you search for, and who you are, is sent there."
    if collection.kind is Kind.KENDRA:
        region = resources.aws().region or "without a region"
        return Source(f"AWS {region}", "Amazon Kendra", detail)
    host = urlsplit(settings().opensearch_url or "").hostname or "No cluster set"
    return Source(host, "OpenSearch", detail)


def show_failure(collection: Collection, error: Exception, user: User) -> None:
    """Draw why a collection cannot be searched, and what to do about it."""
    state.address_drawn()
    if isinstance(error, IndexDamaged) and collection.is_indexed:
        show_damaged(collection, error, user)
        return
    st.error(escape(str(error)), icon=":material/error:")
    if isinstance(error, AwsError) and error.code not in str(error):
        st.caption(escape(f"AWS answered {error.service}:{error.operation} with {error.code}."))
    if isinstance(error, AccessDenied):
        st.code(error.policy_statement, language=None)


def _say_unknown(names: Sequence[str]) -> None:
    # Streamlit itself falls back to the first one without a word.
    asked = st.query_params.get(state.DOCUMENTS)
    if state.DOCUMENTS in st.session_state:
        asked = st.session_state[state.DOCUMENTS]
    if asked is not None and asked not in names:
        state.choose_documents(AWS_DOCUMENTATION.name)
        st.session_state[state.PROBLEM] = (
            f"There is no collection “{asked[:80]}” here (any more): this is "
            f"{AWS_DOCUMENTATION.name} instead."
        )
