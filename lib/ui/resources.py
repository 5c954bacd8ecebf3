"""The engines and clients that all sessions share: made once a process, by plain factories."""

from __future__ import annotations

import streamlit as st

from lib.aws import Aws, open_aws
from lib.health import Health, check_aws, check_summarizer
from lib.identity import Identity, open_identity
from lib.jobs import Jobs, open_jobs
from lib.settings import settings
from lib.store import Store, open_store
from lib.summarize import open_summarizer
from lib.summarize.model import Summarizer


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


@st.cache_data(ttl=60, max_entries=1, show_spinner=False)
def aws_health() -> Health:
    """Return whether AWS is usable, asked at most once a minute."""
    return check_aws(aws())


@st.cache_data(ttl=60, max_entries=1, show_spinner=False)
def summarizer_health() -> Health:
    """Return whether the summarizer works, tried at most once a minute."""
    return check_summarizer(summarizer())
