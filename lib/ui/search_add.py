"""The form that adds a collection: uploaded files, a folder, a bucket, Kendra or OpenSearch."""

from __future__ import annotations

import streamlit as st

from lib.aws import AwsError
from lib.identity import PermissionRefused, Role, User, require
from lib.search.collections import (
    MAX_NAME_CHARACTERS,
    SET_OPENSEARCH,
    SET_ROOTS,
    Collection,
    CollectionError,
    Kind,
    add_collection,
    bucket_source,
    checked_name,
    folder_source,
    kendra_source,
    opensearch_source,
    remove_collection,
    upload_folder,
)
from lib.search.model import QueryError
from lib.search.sources import SourceError
from lib.search.sources.uploads import Uploads
from lib.settings import settings
from lib.ui import resources
from lib.ui import search_state as state
from lib.ui.guard import still_signed_in
from lib.ui.markdown import escape
from lib.ui.search_index import start_indexing
from lib.ui.search_uploads import choose_files, clear, contents

KIND_NAMES = {
    Kind.UPLOADS: "Files of yours",
    Kind.FOLDER: "A folder of this machine",
    Kind.BUCKET: "An Amazon S3 bucket",
    Kind.KENDRA: "An Amazon Kendra index",
    Kind.OPENSEARCH: "An OpenSearch index",
}
KENDRA_LIMITS = (
    "Amazon Kendra nests facets two levels deep, counts ten values at each, and shows 100 "
    "results; the page says where that cuts something off."
)
FORM_WIDTH = 480  # pixels
OPEN = "search_add"
NAME = "search_add_name"
FILES = "search_add_files"
PLACE = "search_add_place"
PREFIX = "search_add_prefix"
METADATA = "search_add_metadata"
REFUSED = "search.add_refused"


def show_add(user: User) -> None:
    """Draw the button that opens the form, and the form."""
    with st.popover("Add documents", icon=":material/add:", key=OPEN, on_change="rerun") as popover:
        if popover.open:
            with st.container(width=FORM_WIDTH):
                _show_form(user)


def role_for(kind: Kind) -> Role:
    """Return the least role that may add a collection of a kind."""
    return Role.ANALYST if kind is Kind.UPLOADS else Role.ADMIN


def what_to_set(kind: Kind) -> str:
    """Return what to set before such a collection can be added, as a sentence; empty if nothing."""
    if kind in {Kind.BUCKET, Kind.KENDRA}:
        return resources.aws().to_set
    if kind is Kind.FOLDER and not settings().search_roots:
        return SET_ROOTS
    if kind is Kind.OPENSEARCH and not settings().opensearch_url:
        return SET_OPENSEARCH
    return ""


def _show_form(user: User) -> None:
    kinds = [kind for kind in KIND_NAMES if user.role.allows(role_for(kind))]
    kind = st.selectbox(
        "Add documents from",
        kinds,
        format_func=KIND_NAMES.__getitem__,
        key="search_add_kind",
        on_change=lambda: st.session_state.update({PLACE: "", METADATA: ""}),
    )
    unset = what_to_set(kind)
    if unset:
        st.info(escape(unset), icon=":material/info:")
    with st.form("search_add_form", border=False):
        st.text_input("Name of the collection", key=NAME, max_chars=MAX_NAME_CHARACTERS)
        _ask_place(kind)
        st.form_submit_button(
            "Add and index" if kind not in {Kind.KENDRA, Kind.OPENSEARCH} else "Add",
            type="primary",
            key="search_add_submit",
            disabled=bool(unset),
            on_click=_add,
            args=(user, kind),
        )
    if refused := st.session_state.pop(REFUSED, ""):
        st.error(escape(refused), icon=":material/error:")


def _ask_place(kind: Kind) -> None:
    if kind is Kind.UPLOADS:
        choose_files(f"Files of up to {settings().max_upload_mb} MB each", FILES)
        st.caption("Everybody finds them who may open Search, unless their metadata names who may.")
    elif kind is Kind.FOLDER:
        roots = ", ".join(map(str, settings().search_roots))
        st.text_input("Folder", key=PLACE, placeholder=roots.partition(",")[0])
        st.text_input("Folder of the metadata files, if they lie apart", key=METADATA)
        if roots:
            st.caption(escape(f"In or below {roots}."))
    elif kind is Kind.BUCKET:
        st.text_input("Bucket", key=PLACE)
        st.text_input("Prefix, if not all of it", key=PREFIX)
        st.text_input("Prefix of the metadata files, if they lie apart", key=METADATA)
    elif kind is Kind.KENDRA:
        st.text_input("Index id", key=PLACE, placeholder="01234567-89ab-cdef-0123-456789abcdef")
        st.caption(KENDRA_LIMITS)
    else:
        st.text_input("Index", key=PLACE)
        if settings().opensearch_url:
            st.caption(escape(f"Of the cluster at {settings().opensearch_url}."))


def _add(user: User, kind: Kind) -> None:
    now = still_signed_in(user)
    if now is None:
        return
    try:
        require(now, role_for(kind))
        added = _added(user, kind)
    except (CollectionError, SourceError, QueryError, AwsError, PermissionRefused) as error:
        st.session_state[REFUSED] = str(error)
        return
    resources.identity().record(user.username, "added documents", added.name, added.place)
    if added.is_indexed:
        start_indexing(added, user)
    for key in (NAME, PLACE, PREFIX, METADATA):
        st.session_state[key] = ""
    clear(FILES)
    st.session_state[OPEN] = False
    state.choose_documents(added.name)


def _added(user: User, kind: Kind) -> Collection:
    name = checked_name(_entered(NAME))
    store = resources.store()
    if kind is not Kind.UPLOADS:
        return add_collection(store, name, _source(kind), user.username)
    files = contents(FILES)
    if not files:
        raise SourceError("Choose at least one file.")
    added = add_collection(store, name, {"kind": kind}, user.username)
    try:
        Uploads(upload_folder(settings(), added.id)).keep(files, settings().max_upload_mb)
    except SourceError:
        remove_collection(store, settings(), added)
        raise
    return added


def _source(kind: Kind) -> dict[str, str]:
    place, metadata = _entered(PLACE), _entered(METADATA)
    if kind is Kind.FOLDER:
        return folder_source(place, metadata, settings())
    if kind is Kind.BUCKET:
        return bucket_source(place, _entered(PREFIX), metadata)
    if kind is Kind.KENDRA:
        return kendra_source(place, resources.aws())
    return opensearch_source(place, settings())


def _entered(key: str) -> str:
    return st.session_state.get(key) or ""
