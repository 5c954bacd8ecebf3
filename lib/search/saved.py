"""Searches that users keep under a name: saved, listed, deleted and brought back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Delete, delete, select

from lib.store import SavedSearchRow, Store, utc_now

MAX_NAME_CHARACTERS = 100


@dataclass(frozen=True)
class SavedSearch:
    """A view of the search page that a user keeps: its parameters by name."""

    name: str
    view: Mapping[str, str]
    saved_at: datetime


def save_search(store: Store, owner: str, name: str, view: Mapping[str, str]) -> SavedSearch:
    """Return the search saved under a name, in place of the owner's earlier one of that name.

    Raises `ValueError` where the name is empty or too long.
    """
    name = " ".join(name.replace("\0", "").split())
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
        raise ValueError(f"A name has between 1 and {MAX_NAME_CHARACTERS} characters.")
    saved = SavedSearch(name, dict(view), utc_now())
    with store.write() as session:
        session.execute(_named(owner, name))
        session.add(
            SavedSearchRow(owner=owner, name=name, view=dict(view), saved_at=saved.saved_at)
        )
    return saved


def saved_searches(store: Store, owner: str) -> tuple[SavedSearch, ...]:
    """Return the searches of an owner, the newest first."""
    newest_first = (
        select(SavedSearchRow)
        .where(SavedSearchRow.owner == owner)
        .order_by(SavedSearchRow.saved_at.desc(), SavedSearchRow.id.desc())
    )
    with store.read() as session:
        return tuple(
            SavedSearch(row.name, row.view, row.saved_at) for row in session.scalars(newest_first)
        )


def delete_search(store: Store, owner: str, name: str) -> None:
    """Delete the owner's search of a name, if there is one."""
    with store.write() as session:
        session.execute(_named(owner, name))


def _named(owner: str, name: str) -> Delete:
    return delete(SavedSearchRow).where(SavedSearchRow.owner == owner, SavedSearchRow.name == name)
