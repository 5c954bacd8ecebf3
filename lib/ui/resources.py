"""The engines and clients that all sessions share: made once a process, by plain factories."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import streamlit as st

from lib.aws import Aws, open_aws
from lib.health import Health, check_aws, check_search, check_summarizer
from lib.identity import Identity, open_identity
from lib.jobs import Jobs, open_jobs
from lib.search import open_search
from lib.settings import settings
from lib.store import Store, open_store
from lib.summarize import open_summarizer
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


@st.cache_resource(max_entries=1, show_spinner=False)
def search() -> EmbeddedSearch:
    """Return the search engine, which follows the commits of its index by itself.

    What queries need is made ahead in a thread; the server's first run of the overview starts it.
    Raises `IndexDamaged`.
    """
    engine = open_search(settings())
    Thread(target=engine.warm, name="warm search", daemon=True).start()
    return engine


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
