"""The engines and clients that all sessions share: made once a process, by plain factories."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import TYPE_CHECKING

import streamlit as st

from lib.aws import Aws, AwsError, open_aws
from lib.health import Health, check_aws, check_search, check_summarizer
from lib.identity import Identity, open_identity
from lib.jobs import Jobs, open_jobs
from lib.search import open_search
from lib.search.collections import (
    AWS_DOCUMENTATION,
    Collection,
    CollectionError,
    find_collection,
    open_remote,
)
from lib.search.model import SearchEngine
from lib.settings import settings
from lib.store import Store, open_store
from lib.summarize import open_summarizer
from lib.summarize.engines import Engine, Engines
from lib.summarize.model import Summarizer

if TYPE_CHECKING:
    from lib.search.engine import EmbeddedSearch


@st.cache_resource(max_entries=1, show_spinner=False)
def store() -> Store:
    """Return the open store."""
    return open_store(settings().store_url)


@st.cache_resource(max_entries=1, show_spinner=False)
def identity() -> Identity:
    """Return who may sign in, and the audit log."""
    return open_identity(settings(), store())


@st.cache_resource(max_entries=1, show_spinner=False)
def jobs() -> Jobs:
    """Return the background work."""
    return open_jobs(settings(), store())


@st.cache_resource(max_entries=1, show_spinner=False)
def aws() -> Aws:
    """Return the AWS clients."""
    return open_aws(settings())


@st.cache_resource(max_entries=1, show_spinner=False)
def summarizer() -> Summarizer:
    """Return the summarizer that the settings ask for."""
    return open_summarizer(settings())


def search(collection: Collection = AWS_DOCUMENTATION) -> SearchEngine:
    """Return the engine that searches a collection.

    Raises `IndexDamaged` for an index on this machine, `CollectionError` and `AwsError` for others.
    """
    if collection.is_indexed:
        return embedded_search(collection.id)
    return _remote_search(collection.id)


@st.cache_resource(max_entries=64, show_spinner=False)
def embedded_search(collection_id: str) -> EmbeddedSearch:
    """Return the engine over an index of this machine, whose commits it follows by itself.

    What queries need is made ahead in a thread; the server's first run of the overview starts it
    for the default collection. Raises `IndexDamaged`.
    """
    engine = open_search(settings(), collection_id)
    Thread(target=engine.warm, name="warm search", daemon=True).start()
    return engine


@st.cache_resource(ttl=600, max_entries=64, show_spinner=False)
def _remote_search(collection_id: str) -> SearchEngine:
    # For a while only, as the attributes of an index may change where it is.
    found = find_collection(store(), collection_id)
    if found is None:
        raise CollectionError("This collection was removed. Choose another one.")
    return open_remote(found, settings(), aws())


@st.cache_resource(max_entries=1, show_spinner=False)
def ensure_sample_detector() -> None:
    """Create the detector of the sample the first time that anybody looks, and let it learn.

    Once a store only: who deletes it is not given it again.
    """
    from lib.metrics.detectors import detectors, ensure_sample
    from lib.metrics.evaluation import start_evaluation

    if not detectors(store()) and not identity().audit_log(limit=1, action="detector deleted"):
        start_evaluation(jobs(), ensure_sample(store()), "sightline")


@st.cache_resource(max_entries=1, show_spinner=False)
def engines() -> Engines:
    """Return the engines that a user can choose to summarize with."""
    return Engines(settings(), aws())


@st.cache_data(ttl=60, max_entries=1, show_spinner="Asking AWS for endpoints …")
def endpoints() -> tuple[tuple[Engine, ...], str]:
    """Return the endpoints in service, asked at most once a minute, and why they are not known."""
    try:
        return engines().endpoints(), ""
    except AwsError as error:
        return (), error.sentence


@st.cache_resource(max_entries=2, show_spinner=False)
def threads(*, by_model: bool) -> ThreadPoolExecutor:
    """Return the threads for work of sessions: two for models, which would fight for the cores.

    What takes no model has two of its own, so that it never waits minutes for somebody's model.
    """
    return ThreadPoolExecutor(2, thread_name_prefix="model-work" if by_model else "session-work")


@st.cache_data(ttl=60, max_entries=1, show_spinner=False)
def aws_health() -> Health:
    """Return whether AWS is usable, asked at most once a minute."""
    return check_aws(aws())


@st.cache_data(ttl=60, max_entries=1, show_spinner=False)
def summarizer_health() -> Health:
    """Return whether the summarizer works, tried at most once a minute."""
    return check_summarizer(summarizer())


@st.cache_data(ttl=60, max_entries=1, show_spinner=False)
def search_health() -> Health:
    """Return whether search works, tried at most once a minute."""
    return check_search(search)
