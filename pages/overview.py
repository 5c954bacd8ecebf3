"""Overview: what Sightline can do here, whether it is up, and what happened last."""

import streamlit as st

from lib import health, ui
from lib.identity import Role
from lib.search import ENGINE_NAME
from lib.settings import settings
from lib.ui import canvas_launch, resources
from lib.ui.overview_view import show_activity, show_health, show_page_card
from lib.ui.pages import ALERTS, ANOMALIES, CANVAS, CAUSES, RECOMMENDER, SEARCH, SUMMARIZE, TRAINING

visit = ui.guard(__file__)
ui.header(visit.page)

st.header("What would you like to know?", anchor=False)
cards = st.grid(3, min_column_width=260)
with cards:
    source = ui.source(resources.summarizer().name)
    show_page_card(SUMMARIZE, source, resources.summarizer_health())

st.header("Is everything up?", anchor=False)
parts = st.container(border=True)
with parts:
    show_health(health.check_store(resources.store()))
    show_health(health.check_worker(resources.jobs()))
    show_health(resources.summarizer_health())

st.header("What happened last?", anchor=False)
everybody = None if visit.user.role.allows(Role.ADMIN) else visit.user.username
show_activity(
    resources.identity().audit_log(limit=20, who=everybody),
    resources.jobs().recent(limit=20, owner=everybody),
)

with cards:
    detectors = health.check_detectors(resources.store())
    show_page_card(ANOMALIES, ui.source("seasonal bands"), detectors)
    show_page_card(CAUSES, ui.source("causal graph of measures"), detectors)
    alerts = health.check_alerts(resources.store())
    show_page_card(ALERTS, ui.source("rules and an inbox"), alerts)
    recommender = health.check_recommender(settings())
    show_page_card(RECOMMENDER, ui.source("load tests"), recommender)
    training = health.check_training(settings())
    show_page_card(TRAINING, ui.source("profiles of training runs"), training)
    canvas = health.check_canvas(settings(), resources.aws())
    show_page_card(CANVAS, canvas_launch.source(), canvas)
with parts:
    show_health(detectors)
    show_health(alerts)
    show_health(recommender)
    show_health(training)
    show_health(canvas)

# Last, because the index may take seconds to open and AWS to answer.
with cards:
    show_page_card(SEARCH, ui.source(ENGINE_NAME), resources.search_health())
with parts:
    show_health(resources.search_health())
    show_health(resources.aws_health())
