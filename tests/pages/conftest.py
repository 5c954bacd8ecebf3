"""Pages under AppTest, reached through the front door."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest

from lib.aws import open_aws
from lib.metrics.detectors import create_detector, find_detector
from lib.metrics.evaluation import Evaluation
from lib.metrics.model import Detector
from lib.metrics.samples import shop_dataset
from lib.settings import ROOT, settings
from lib.ui import resources
from lib.ui.pages import Page

TIMEOUT_S = 30
SHOP = "TestAlertFilters"


def visit(page: Page, **state: object) -> AppTest:
    """Return the page after its first run, with the session state given."""
    app = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=TIMEOUT_S)
    for key, value in state.items():
        app.session_state[key] = value
    app.run()
    return app.switch_page(f"pages/{page.file}").run()


@pytest.fixture
def shop() -> Detector:
    """A detector of the shop that has looked back."""
    dataset = shop_dataset()
    made = create_detector(resources.store(), SHOP, dataset, continuous=True, created_by="ann")
    evaluation = Evaluation(resources.store(), settings(), open_aws(settings()), made)
    evaluation.run(lambda _fraction, _step: None, datetime.now(UTC))
    found = find_detector(resources.store(), made.id)
    assert found is not None
    return found
