"""What the source lacks of a summary is marked: for eyes, mouse and screen reader."""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from lib.settings import ROOT
from tests.e2e.conftest import open_page
from tests.servers import free_port

APP = Path(__file__).with_name("marked_summary_app.py")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    port = free_port()
    options = ["--server.headless", "true", "--server.address", "127.0.0.1"]
    run = "import sys; sys.path.insert(0, '.'); from streamlit.web.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", run, "run", str(APP), *options, "--server.port", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait(health: str) -> None:
    for _ in range(240):
        try:
            with urllib.request.urlopen(health, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            threading.Event().wait(0.25)
    raise AssertionError("The server did not become healthy.")


def test_every_kind_is_marked_and_says_why(page: Page, url: str) -> None:
    open_page(page, url)
    marks = page.locator(".choice .lacking")
    expect(marks.first).to_be_visible()
    found = {
        (str(mark.get_attribute("data-kind")), str(mark.get_attribute("title")))
        for mark in marks.all()
    }
    assert found == {
        ("word", "word not in the source"),
        ("number", "number not in the source"),
        ("date", "day not in the source"),
        ("name", "name not in the source"),
    }
    number = page.locator(".choice .lacking[data-kind='number']")
    expect(number).to_have_text("400 (number not in the source) ")
    expect(page.get_by_role("button", name="400 (number not in the source)")).to_have_count(1)
    styles = {
        mark.evaluate("mark => getComputedStyle(mark).textDecorationStyle")
        for mark in page.locator(".marks .lacking").all()
    }
    assert len(styles) == 4
    colour = number.evaluate("mark => getComputedStyle(mark).backgroundColor")
    assert colour not in {"rgba(0, 0, 0, 0)", "rgb(255, 255, 0)"}
    expect(page.locator(".marks")).to_contain_text("That is support, not proof.")


def test_a_sentence_without_a_source_lights_nothing_up(page: Page, url: str) -> None:
    open_page(page, url)
    expect(page.locator(".sentence[data-rank='1']")).to_contain_text("300 pumps")
    page.locator(".choice").nth(1).click()
    expect(page.locator(".choice[aria-pressed='true'] .where")).to_have_text(
        "No sentence of the source is close to this one"
    )
    expect(page.locator(".sentence[data-rank]")).to_have_count(0)
    expect(page.locator(".mark:visible")).to_have_count(1)
    assert page.title() != "owned"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_are_accessible(browser: Browser, url: str, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": 390, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    open_page(page, url)
    expect(page.locator(".choice .lacking").first).to_be_visible()
    violations = [
        (one["id"], one["nodes"][0]["html"])
        for one in Axe().run(page).response["violations"]
        if "evidence" in str(one) or any("lacking" in node["html"] for node in one["nodes"])
    ]
    assert not violations
    context.close()
