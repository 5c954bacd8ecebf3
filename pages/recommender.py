"""Recommender: which model on which instance, with the numbers to defend it."""

import streamlit as st

from lib import ui
from lib.ui import (
    recommender_aws,
    recommender_choose,
    recommender_import,
    recommender_prices,
    recommender_rows,
    recommender_run,
    recommender_table,
)

visit = ui.guard(__file__)
ui.header(visit.page, ui.source("load tests"))
choose, table, run, on_aws, files, prices = st.tabs(
    ("Choose", "Table", "Run here", "AWS", "Import", "Prices"),
    key="recommender_view",
    bind="query-params",
    on_change="rerun",
)
if choose.open:
    with choose:
        recommender_choose.show_choice(recommender_rows.choose_rows())
if table.open:
    with table:
        recommender_table.show_rows(recommender_rows.choose_rows())
if run.open:
    with run:
        recommender_run.show_run(visit.user)
if on_aws.open:
    with on_aws:
        recommender_aws.show_aws(visit.user)
if files.open:
    with files:
        recommender_import.show_import(visit.user)
if prices.open:
    with prices:
        recommender_prices.show_prices(visit.user)
