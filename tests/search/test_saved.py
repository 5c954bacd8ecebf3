"""Saved searches on a real store: each user sees their own, and a name stands for one search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.search.saved import MAX_NAME_CHARACTERS, delete_search, save_search, saved_searches
from lib.store import Store, open_store

VIEW = {"search_q": "encrypt \N{LOCK}", "search_in": '[[["Storage",null]]]'}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield store
    store.close()


def test_a_saved_search_comes_back_as_it_was(store: Store) -> None:
    saved = save_search(store, "ana", "  Encryption\n at rest ", VIEW)
    assert saved.name == "Encryption at rest"
    assert saved_searches(store, "ana") == (saved,)
    assert saved.view == VIEW


def test_the_newest_is_first_and_a_name_is_used_once(store: Store) -> None:
    for name in ("one", "two", "one"):
        save_search(store, "ana", name, {"search_q": name})
    assert [saved.name for saved in saved_searches(store, "ana")] == ["one", "two"]


def test_everybody_has_their_own(store: Store) -> None:
    save_search(store, "ana", "mine", VIEW)
    save_search(store, "ben", "mine", {})
    delete_search(store, "ben", "mine")
    assert saved_searches(store, "ben") == ()
    assert [saved.view for saved in saved_searches(store, "ana")] == [VIEW]


@pytest.mark.parametrize("name", ["", " \0 ", "x" * (MAX_NAME_CHARACTERS + 1)])
def test_a_name_that_is_none_is_refused(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="between 1 and 100 characters"):
        save_search(store, "ana", name, VIEW)
    assert saved_searches(store, "ana") == ()


def test_deleting_what_is_not_there_is_no_error(store: Store) -> None:
    delete_search(store, "ana", "nothing")
