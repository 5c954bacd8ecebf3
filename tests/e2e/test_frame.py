"""The frame in a real browser: deep links, themes, narrow screens, accessibility, requests."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from lib.ui.pages import PAGES
from lib.ui.pages import Page as RegisteredPage
from tests.conftest import PASSWORD
from tests.e2e.conftest import Server, open_page, running

EVERY_PAGE = pytest.mark.parametrize("registered", PAGES, ids=lambda page: page.url_path)
# Streamlit's own: an unlabelled icon in its header, and the list markup of its sidebar.
UPSTREAM = {"svg-img-alt", "list", "listitem"}


def is_ours(entry: ConsoleMessage) -> bool:
    """Tell an error of ours from Streamlit's search for its server below the page's address."""
    return entry.type == "error" and not entry.location["url"].endswith(
        ("/_stcore/health", "/_stcore/host-config")
    )


@EVERY_PAGE
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_a_page_is_accessible_and_fits(
    browser: Browser, server: Server, registered: RegisteredPage, scheme: str, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    asked: list[str] = []
    complaints: list[ConsoleMessage] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda entry: complaints.extend([entry] if is_ours(entry) else []))
    open_page(page, f"{server.url}/{registered.url_path}")
    expect(page.get_by_role("heading", name=registered.title, exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    violations = [
        violation
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in {"serious", "critical"} and violation["id"] not in UPSTREAM
    ]
    assert not violations, [(one["id"], one["nodes"][0]["html"]) for one in violations]
    assert {urlsplit(url).hostname for url in asked if url.startswith("http")} == {"127.0.0.1"}
    assert not [complaint.text for complaint in complaints]
    context.close()


def guarded(folder: Path, users_file: Path) -> AbstractContextManager[Server]:
    """A fresh server that asks for a password."""
    return running(
        folder,
        SIGHTLINE_USERS_FILE=str(users_file),
        SIGHTLINE_COOKIE_KEY="k3Y-" * 10 + "of-this-test",
    )


@EVERY_PAGE
def test_a_deep_link_on_a_fresh_server_meets_the_guard(
    page: Page, tmp_path: Path, users_file: Path, registered: RegisteredPage
) -> None:
    with guarded(tmp_path, users_file) as fresh:
        open_page(page, f"{fresh.url}/{registered.url_path}")
        expect(page.get_by_role("textbox", name="Password")).to_be_visible()
        expect(page.get_by_role("heading", name=registered.title, exact=True)).to_have_count(0)


def sign_in(page: Page, password: str) -> None:
    page.get_by_role("textbox", name="Username").fill("ana")
    page.get_by_role("textbox", name="Password").fill(password)
    page.get_by_role("textbox", name="Password").press("Enter")


def wait_for_cookie(page: Page, name: str) -> None:
    for _ in range(200):
        if name in {cookie["name"] for cookie in page.context.cookies()}:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"The browser never got the cookie {name}.")


def test_signing_in_reloading_and_out_again(
    browser: Browser, tmp_path: Path, users_file: Path
) -> None:
    with guarded(tmp_path, users_file) as fresh:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        open_page(page, f"{fresh.url}/summarize")
        sign_in(page, "wrong")
        expect(page.get_by_role("alert")).to_be_visible()
        sign_in(page, PASSWORD)
        expect(page.get_by_role("heading", name="Summarize", exact=True)).to_be_visible()
        expect(page.get_by_text("Signed in as Ana Lyst (analyst)")).to_be_visible()
        expect(page.get_by_role("link", name="Settings")).to_have_count(0)
        wait_for_cookie(page, "sightline")
        page.reload()
        expect(page.get_by_text("Signed in as Ana Lyst (analyst)")).to_be_visible()
        stolen = context.storage_state()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("textbox", name="Password")).to_be_visible()
        replayed = browser.new_context(storage_state=stolen)
        thief = replayed.new_page()
        open_page(thief, f"{fresh.url}/summarize")
        expect(thief.get_by_role("textbox", name="Password")).to_be_visible()
        replayed.close()
        context.close()


def test_a_self_check_runs_in_the_worker_and_is_found_after_a_reload(
    page: Page, server: Server
) -> None:
    open_page(page, f"{server.url}/settings?settings_tab=Engines")
    page.get_by_role("button", name="Check everything").click()
    expect(page.get_by_text("It took this job from the queue.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("It took this job from the queue.")).to_be_visible()
