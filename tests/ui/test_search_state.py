from __future__ import annotations

import json
from typing import Any

import pytest
import streamlit as st

from lib.identity import Role, SignInMethod, User
from lib.search.collections import Kind
from lib.search.columns import may_find
from lib.search.engine import EmbeddedSearch
from lib.search.hierarchies import Facet
from lib.search.model import SearchRequest
from lib.search.sources.metadata import parse_metadata
from lib.ui.facet_tree import Click, facet_key
from lib.ui.search_state import (
    SELECTED,
    Search,
    address_drawn,
    clicked,
    principals,
    put_again,
    set_facets,
)
from tests.search.segments_for_tests import index_of


@pytest.mark.parametrize("written", ["ann@x.org", "Ann@x.org", "ANN@X.ORG"])
def test_case_lets_nobody_past_an_access_list(written: str) -> None:
    ann = User("ann@x.org", "Ann", "ann@x.org", Role.VIEWER, SignInMethod.OIDC)
    for access, found in (("ALLOW", True), ("DENY", False)):
        entry = {"Name": written, "Type": "USER", "Access": access}
        metadata = parse_metadata(json.dumps({"AccessControlList": [entry]}).encode())
        for kind in (Kind.FOLDER, Kind.OPENSEARCH):
            assert may_find(principals(ann, kind), metadata.access) is found


def test_a_user_of_the_users_file_may_be_written_in_any_case() -> None:
    user = User("Ann", "Ann", "Ann@X.org", Role.VIEWER, SignInMethod.PASSWORD)
    assert principals(user, Kind.UPLOADS).users == {"ann", "ann@x.org"}


def test_a_click_before_the_one_before_it_was_drawn_loses_neither() -> None:
    facet = Facet(("tech",))
    search = Search(EmbeddedSearch(index_of([])), SearchRequest(), (facet,), (), {})
    tree = search.tree_actions()
    first, second = (
        Click(n, facet_key(facet), (name,), on=True) for n, name in ((1, "A"), (2, "B"))
    )
    tree.clicked([first])
    tree.clicked([first, second])
    assert json.loads(st.session_state[SELECTED]) == [[["A"], ["B"]]]


class Stopped(BaseException):
    """Streamlit stops a run, or a callback, at an access to the session's state."""


class StoppingState(dict[str, Any]):
    """A session's state at one access to which the run is stopped."""

    accesses_left = 1_000

    def _access(self) -> None:
        self.accesses_left -= 1
        if self.accesses_left == 0:
            raise Stopped

    def __getitem__(self, key: str) -> Any:
        self._access()
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._access()
        super().__setitem__(key, value)

    def get(self, key: str, default: Any = None) -> Any:
        self._access()
        return super().get(key, default)


def test_a_click_is_never_lost_wherever_the_next_one_stops_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    facet = Facet(("tech",))
    clicks = [Click(n, facet_key(facet), (name,), on=True) for n, name in ((1, "A"), (2, "B"))]
    search = Search(EmbeddedSearch(index_of([])), SearchRequest(), (facet,), (), {})
    stopped = 0
    for accesses in range(1, 100):
        session = StoppingState()
        monkeypatch.setattr(st, "session_state", session)
        session.accesses_left = accesses
        try:
            search.tree_actions().clicked(clicks[:1])
        except Stopped:
            stopped += 1
        session.accesses_left = 1_000
        session[SELECTED] = ""  # as the browser knows it
        search.tree_actions().clicked([click for click in clicks if click.number > clicked()])
        assert json.loads(session[SELECTED]) == [[["A"], ["B"]]], accesses
        if stopped < accesses:
            break
    assert stopped > 3


def test_a_stale_field_does_not_undo_what_no_run_has_drawn() -> None:
    set_facets([Facet(("tech",), (("A",),))])
    st.session_state[SELECTED] = ""  # as the browser knows it
    put_again()
    assert json.loads(st.session_state[SELECTED]) == [[["A"]]]
    address_drawn()
    st.session_state[SELECTED] = ""  # as a user has typed it
    put_again()
    assert st.session_state[SELECTED] == ""
