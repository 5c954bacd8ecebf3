"""What holds for every page: it opens, says its question, and keeps strangers out."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lib.identity import Role, SignInMethod, User
from lib.settings import ROOT, settings
from lib.ui.pages import PAGES, Page
from tests.pages.conftest import TIMEOUT_S, visit

EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.url_path)


@EVERY_PAGE
def test_a_page_opens_with_something_to_look_at(page: Page) -> None:
    app = visit(page)
    assert not app.exception
    assert not app.error
    assert app.title[0].value == page.title
    assert page.line in [caption.value for caption in app.caption]


@EVERY_PAGE
def test_a_page_file_run_by_itself_asks_who_is_there(
    page: Page, monkeypatch: pytest.MonkeyPatch, users_file: Path
) -> None:
    monkeypatch.setenv("SIGHTLINE_USERS_FILE", str(users_file))
    monkeypatch.setenv("SIGHTLINE_COOKIE_KEY", "k3Y-" * 10 + "of-this-test")
    settings.cache_clear()
    app = AppTest.from_file(str(ROOT / "pages" / page.file), default_timeout=TIMEOUT_S).run()
    assert [field.label for field in app.text_input] == ["Username", "Password"]
    assert page.title not in [title.value for title in app.title]


@EVERY_PAGE
def test_a_viewer_sees_what_the_role_allows(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = User("vera", "Vera", "vera@example.org", Role.VIEWER, SignInMethod.PASSWORD)
    monkeypatch.setattr(import_module("lib.ui.guard"), "current_user", lambda *_: viewer)
    app = visit(page)
    assert not app.exception
    refused = [warning.value for warning in app.warning if "needs the role" in warning.value]
    assert bool(refused) is not Role.VIEWER.allows(page.role)
