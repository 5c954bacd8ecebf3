"""Files of documents chosen in a browser."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from lib.search.sources import SourceError
from lib.search.sources.readers import TYPES
from lib.settings import settings

ROUND = "search.upload_round"  # counts up, so that files that were taken in are chosen no longer


def choose_files(label: str, key: str) -> None:
    """Draw the field to choose files in."""
    st.file_uploader(
        label,
        type=[f".{suffix}" for suffix in TYPES],
        accept_multiple_files=True,
        max_upload_size=settings().max_upload_mb,
        key=_key(key),
        help="PDF, Word, HTML, Markdown, text, CSV and JSON. report.pdf.metadata.json, laid out as "
        "for Amazon Kendra, gives report.pdf its title, attributes and readers.",
    )


def contents(key: str) -> dict[str, bytes]:
    """Return the chosen files by name; raises `SourceError` where two have one name."""
    files = st.session_state.get(_key(key)) or []
    twice = [name for name, times in Counter(file.name for file in files).items() if times > 1]
    if twice:
        raise SourceError(f"Two of the files are called {twice[0]}: rename one of them.")
    return {file.name: file.getvalue() for file in files}


def clear(key: str) -> None:
    """Choose no files any more."""
    st.session_state[f"{ROUND}.{key}"] = st.session_state.get(f"{ROUND}.{key}", 0) + 1


def _key(key: str) -> str:
    return f"{key}_{st.session_state.get(f'{ROUND}.{key}', 0)}"
