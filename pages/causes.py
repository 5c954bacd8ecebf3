"""Causes: what drove an anomaly, by how much, and what it will hit next."""

from lib import ui
from lib.ui import causes_view, resources

visit = ui.guard(__file__)
ui.header(visit.page, ui.source("causal graph of measures"))
resources.ensure_sample_detector()
asked = causes_view.choose()
if asked is not None:
    causes_view.show(asked)
