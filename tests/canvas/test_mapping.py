from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.canvas.mapping import (
    Rule,
    check,
    missing,
    parse_table,
    parse_users,
    profile_of,
    read_table,
    write_table,
)
from lib.canvas.model import CanvasError, is_profile_name
from lib.identity import Role, SignInMethod, User
from lib.settings import Settings


def user(name: str, email: str = "") -> User:
    return User(name, name, email, Role.ANALYST, SignInMethod.PASSWORD)


def test_a_profile_follows_from_who_is_signed_in() -> None:
    ann = user("ann.smith", "Ann_S@example.com")
    assert profile_of(ann, Rule.SAME_NAME, {}) == "ann-smith"
    assert profile_of(ann, Rule.EMAIL, {}) == "Ann-S"
    assert profile_of(ann, Rule.TABLE, {"ann.smith": "ann-1"}) == "ann-1"
    assert profile_of(ann, Rule.TABLE, {"ann_s@example.com": "ann-2"}) == "ann-2"
    with pytest.raises(CanvasError, match="not in the table"):
        profile_of(ann, Rule.TABLE, {"bob": "bob"})
    with pytest.raises(CanvasError, match="no e-mail address"):
        profile_of(user("bob"), Rule.EMAIL, {})
    with pytest.raises(CanvasError, match="No profile can be named"):
        profile_of(user("…"), Rule.SAME_NAME, {})


@given(st.text(max_size=70))
def test_a_name_is_one_that_sagemaker_takes_or_refused(name: str) -> None:
    try:
        found = profile_of(user(name), Rule.SAME_NAME, {})
    except CanvasError:
        return
    assert is_profile_name(found)


def test_a_bulk_check_says_what_is_missing_and_who_would_share() -> None:
    users = parse_users("user,email\nann, ann@x.org\nbob\tbob@x.org\n\nANN; a@y.org\nann.\ncat")
    assert users[:2] == (("ann", "ann@x.org"), ("bob", "bob@x.org"))
    existing = {"ann": "InService", "bob": "Pending"}
    found = {one.user: one for one in check(users, Rule.SAME_NAME, {}, existing)}
    assert found["ann"].problem == ""
    assert found["bob"].problem == "The profile is Pending."
    assert "two people would share" in found["ann."].problem
    assert found["cat"].problem == "There is no such profile in the domain."
    assert missing(tuple(found.values()), existing) == ("ANN", "cat")


def test_a_table_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    now = Settings(data_dir=tmp_path)
    assert read_table(now) == {}
    assert write_table(now, "\ufeffuser,profile\nAnn,ann-1\nbob@x.org,bob\n") == 2
    assert read_table(now) == {"ann": "ann-1", "bob@x.org": "bob"}
    for text, said in (
        ("name\nx\n", "first line is user,profile"),
        ("user,profile\nann,-bad\n", "Line 2"),
        ("user,profile\nann,a\nANN,b\n", "Line 3 of the table names ann a second time"),
    ):
        with pytest.raises(CanvasError, match=said):
            write_table(now, text)
    assert parse_table("user,profile\n") == {}
    assert read_table(now)["ann"] == "ann-1"
