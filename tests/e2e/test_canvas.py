"""A link into Canvas opens one tab, is in no state, and is gone when it is used or has expired."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from lib.settings import ROOT
from tests.e2e.conftest import Server, open_page, settled
from tests.servers import free_port

APP = Path(__file__).with_name("canvas_app.py")
REFUSE = "window.open = () => null;"  # as a browser does that lets no tab open


@pytest.fixture(scope="module")
def canvas() -> Iterator[str]:
    """Return the address of what stands for Canvas."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            content = f"Canvas, from {self.headers.get('Referer')}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/auth?token=once"
    server.shutdown()
    server.server_close()


@contextmanager
def portal(leads_to: str, lasts: float) -> Iterator[str]:
    port = free_port()
    options = ["--server.headless", "true", "--server.address", "127.0.0.1"]
    run = "import sys; sys.path.insert(0, '.'); from streamlit.web.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", run, "run", str(APP), *options, "--server.port", str(port)],
        cwd=ROOT, stdout=subprocess.DEVNULL,
        env={**os.environ, "LEADS_TO": leads_to, "LASTS": str(lasts)},
    )  # fmt: skip
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
                    break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                threading.Event().wait(0.25)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def test_a_click_opens_one_tab_and_the_link_is_gone(page: Page, canvas: str) -> None:
    context: BrowserContext = page.context
    with portal(canvas, 60) as url:
        open_page(page, url)
        with context.expect_page() as opened:
            page.get_by_role("button", name="Open Canvas").click()
        tab = opened.value
        expect(tab.get_by_text("Canvas, from")).to_be_visible()
        assert tab.evaluate("window.opener") is None
        expect(page.get_by_text("Canvas is open in another tab, as ann.")).to_be_visible()
        assert "token=once" not in page.content()
        assert "token" not in page.url
        stored = "JSON.stringify([{...localStorage}, {...sessionStorage}])"
        assert "token" not in page.evaluate(stored)
        page.get_by_role("button", name="Something else").click()
        expect(page.get_by_text("Canvas is open in another tab")).to_have_count(0)
        assert len(context.pages) == 2


def test_where_no_tab_may_open_a_link_is_shown_until_it_expires(page: Page, canvas: str) -> None:
    page.add_init_script(REFUSE)
    with portal(canvas, 4) as url:
        open_page(page, url)
        page.get_by_role("button", name="Open Canvas").click()
        link = page.get_by_role("link", name="Open Canvas")
        expect(link).to_have_attribute("href", canvas)
        expect(page.get_by_text("The link has expired. Launch again.")).to_be_visible()
        expect(link).to_have_count(0)
        assert "token=once" not in page.content()


def test_a_link_that_is_used_is_gone(page: Page, canvas: str) -> None:
    page.add_init_script(REFUSE)
    with portal(canvas, 60) as url:
        open_page(page, url)
        page.get_by_role("button", name="Open Canvas").click()
        with page.context.expect_page():
            page.get_by_role("link", name="Open Canvas").click()
        expect(page.get_by_role("link", name="Open Canvas")).to_have_count(0)


def test_the_page_helps_without_aws(page: Page, server: Server) -> None:
    open_page(page, f"{server.url}/canvas")
    expect(page.get_by_text("One click into SageMaker Canvas")).to_be_visible()
    open_page(page, f"{server.url}/canvas?canvas_view=Single+sign-on")
    settled(page)
    expect(page.get_by_text("Attribute mappings")).to_be_visible()
