"""Found documents as a list: title, marked excerpt, attributes, and one of them opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

import streamlit as st

from lib.search.model import Document, Hit, Span, Value
from lib.ui.facet_tree import label
from lib.ui.packaged import component

LONGEST_DOCUMENT = 200_000  # characters; a browser scrolls more than this only with pain
LONGEST_VALUE = 120


def show_hits(  # noqa: PLR0913 - the hits, how they are shown, and what opens them
    hits: Sequence[Hit],
    *,
    first: int,
    opened: Document | None,
    can_open: bool,
    on_open: Callable[[str], None],
    key: str,
) -> None:
    """Draw the hits, numbered from `first`; `on_open` gets the id to open, empty to close."""

    def on_opened() -> None:
        on_open(str(st.session_state[key].opened))

    found = [hit_data(hit, opened) for hit in hits]
    version = crc32(json.dumps(found).encode())
    component("hit_list")(
        key=key,
        data={"version": version, "first": first, "openable": can_open, "hits": found},
        on_opened_change=on_opened,
    )


def hit_data(hit: Hit, opened: Document | None) -> dict[str, Any]:
    """Return what the browser needs: text in pieces, because it counts characters differently."""
    is_open = opened is not None and opened.id == hit.id
    return {
        "id": hit.id,
        "name": hit.title or hit.id,
        "title": pieces(hit.title or hit.id, hit.title_highlights if hit.title else ()),
        "uri": web_address(hit.uri),
        "excerpt": pieces(hit.excerpt, hit.excerpt_highlights),
        "attributes": [[label(name), plain(value)] for name, value in hit.attributes.items()],
        "document": [shortened(opened.text)] if opened is not None and is_open else None,
    }


def pieces(text: str, highlights: Iterable[Span]) -> list[str]:
    """Return the text cut at the highlights: by turns outside and inside one."""
    edges = [0, *(edge for span in highlights for edge in (span.start, span.end)), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def plain(value: Value) -> str:
    """Return a value as a line of text."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}" if (value.hour, value.minute) == (0, 0) else f"{value:%F %H:%M}"
    if isinstance(value, tuple):
        value = ", ".join(value)
    line = " ".join(str(value).split())
    return line if len(line) <= LONGEST_VALUE else f"{line[: LONGEST_VALUE - 1]}…"


def shortened(text: str) -> str:
    """Return the text, cut where it is longer than a browser shows well."""
    if len(text) <= LONGEST_DOCUMENT:
        return text
    rest = len(text) - LONGEST_DOCUMENT
    return f"{text[:LONGEST_DOCUMENT]}\n\n[{rest:,} more characters are not shown here.]"


def web_address(uri: str) -> str:
    """Return the address if a browser may follow it safely, else an empty text."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    return uri if parts.scheme in {"http", "https"} and parts.hostname else ""
