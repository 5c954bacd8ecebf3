"""Pages under AppTest, reached through the front door."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from lib.settings import ROOT
from lib.ui.pages import Page

TIMEOUT_S = 30


def visit(page: Page, **state: object) -> AppTest:
    """Return the page after its first run, with the session state given."""
    app = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=TIMEOUT_S)
    for key, value in state.items():
        app.session_state[key] = value
    app.run()
    return app.switch_page(f"pages/{page.file}").run()
