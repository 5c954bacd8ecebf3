"""Takes the pictures of the README: `python -m bench.pictures`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

from lib.settings import ROOT
from lib.ui.pages import ALERTS, ANOMALIES, CANVAS, PAGES, SEARCH
from tests.conftest import CHROMIUM
from tests.e2e.conftest import Server, open_page, running

DOCS = ROOT / "docs"
VIEWS = {
    SEARCH: "?search_q=How+to+encrypt+data",
    ALERTS: "?alerts_view=Editor",
    CANVAS: "?canvas_view=Single+sign-on",
}
VIEWPORT: ViewportSize = {"width": 1440, "height": 900}


def index_everything(page: Page, server: Server) -> None:
    """Visit Search, which indexes the default documents, and wait until that is done."""
    open_page(page, f"{server.url}/{SEARCH.url_path}")
    under_way = page.get_by_text("Documents are being indexed")
    under_way.wait_for()
    under_way.wait_for(state="detached", timeout=300_000)


def learn_the_sample(page: Page, server: Server) -> None:
    """Visit Anomalies, whose sample detector learns, and wait until its events are there."""
    open_page(page, f"{server.url}/{ANOMALIES.url_path}")
    page.get_by_text("of severity 50 or more").wait_for(timeout=120_000)


def main() -> None:
    """Write one picture a page into `docs/`."""
    DOCS.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder)) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=VIEWPORT)
        index_everything(page, server)
        learn_the_sample(page, server)
        for registered in PAGES:
            open_page(page, f"{server.url}/{registered.url_path}{VIEWS.get(registered, '')}")
            page.screenshot(path=DOCS / f"{Path(registered.file).stem}.png")
        browser.close()


if __name__ == "__main__":
    main()
