"""Search: documents by words and nested facets, whose counts say what a click will find."""

import streamlit as st

from lib import ui
from lib.search import ENGINE_NAME
from lib.search.files import IndexDamaged
from lib.search.model import QueryError
from lib.ui import resources, search_index, search_state, search_view
from lib.ui.search_code import show_code
from lib.ui.search_saved import show_saved_searches

visit = ui.guard(__file__)
ui.header(visit.page, ui.source(ENGINE_NAME))
try:
    with st.spinner("Opening the index …", show_time=True):
        engine = resources.search()
        attributes = engine.attributes()
except IndexDamaged as error:
    search_index.show_damaged(error, visit.user)
    st.stop()
search_index.follow_indexing(engine, visit.user)

actions = search_view.ask_query(attributes)
with actions:
    facets = search_view.read_facets(attributes)
    show_saved_searches(visit.user, [attribute.name for attribute in attributes])
search_view.show_suggestions(engine)
search = search_state.read_search(engine, visit.user, facets)

tree, found = st.columns([3, 8], gap="medium")
with found:
    head = st.container(gap="small")
    results, matrix, areas, code = st.tabs(
        search_view.VIEWS, key=search_state.VIEW, bind="query-params", on_change="rerun"
    )
more, rings = None, False
if matrix.open:
    with matrix:
        more = search_view.choose_matrix(attributes)
if areas.open:
    with areas:
        more, rings = search_view.choose_map(search)

request = search.request(*([more] if more else []))
try:
    response = engine.query(request)
    whole = search.whole()
except (QueryError, IndexDamaged) as error:
    with head:
        st.error(ui.escape(str(error)), icon=":material/error:")
    st.stop()

with tree:
    search_view.choose_levels(search, attributes)
    search_view.show_facets(search, response)
with head:
    if problem := search_state.problem():
        st.warning(ui.escape(problem), icon=":material/warning:")
    search_view.show_total(response, whole)
    search_view.show_selected(search)
if results.open:
    with results:
        if response.total:
            search_view.show_results(search, engine, response)
        else:
            search_view.show_nothing_found(search)
if matrix.open and more:
    with matrix:
        search_view.show_counts_matrix(search, response.facets[-1])
if areas.open and more:
    with areas:
        search_view.show_counts_map(search, response.facets[-1], rings=rings)
if code.open:
    with code:
        show_code(request, attributes)
