"""Takes the pictures of the README: `python -m bench.pictures`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

from lib.settings import ROOT
from lib.ui.pages import PAGES
from tests.conftest import CHROMIUM
from tests.e2e.conftest import open_page, running

DOCS = ROOT / "docs"
VIEWPORT: ViewportSize = {"width": 1440, "height": 900}


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
        for registered in PAGES:
            open_page(page, f"{server.url}/{registered.url_path}")
            page.screenshot(path=DOCS / f"{registered.url_path}.png")
        browser.close()


if __name__ == "__main__":
    main()
