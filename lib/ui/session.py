"""What one browser session remembers in memory: never on disk, never shared with another."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

import streamlit as st

Result = TypeVar("Result")


def remember(name: str, made_from: Hashable, make: Callable[[], Result]) -> Result:
    """Return what `make` gives, and the same again as long as it is made from the same things.

    Holds one result a name: a rerun that changes nothing costs nothing, and memory stays bounded.
    """
    key = f"remembered.{name}"
    kept: tuple[Hashable, Result] | None = st.session_state.get(key)
    if kept is not None and kept[0] == made_from:
        return kept[1]
    result = make()
    st.session_state[key] = (made_from, result)
    return result
