"""Search: documents by words and nested facets, whose counts say what a click will find."""

import streamlit as st

from lib import ui
from lib.ui import search_documents, search_index, search_state, search_view
from lib.ui.search_code import show_code
from lib.ui.search_distribution import show_distribution
from lib.ui.search_saved import show_saved_searches

visit = ui.guard(__file__)
ui.header(visit.page)
documents = search_documents.choose_documents(visit.user)
try:
    with st.spinner("Opening the index …", show_time=True):
        engine = search_index.open_engine(documents)
        attributes = engine.attributes()
except search_documents.FAILURES as error:
    search_documents.show_failure(documents, error, visit.user)
    st.stop()
search_index.follow_indexing(documents, engine, visit.user)

actions = search_view.ask_query(attributes, is_indexed=documents.is_indexed)
with actions:
    facets = search_view.read_facets(attributes)
    show_saved_searches(visit.user)
search_view.show_suggestions(engine)
reader = search_state.principals(visit.user, documents.kind)
intervals = search_state.intervals_of_address(attributes)
search = search_state.read_search(engine, reader, facets, intervals)

tree, found = st.columns([3, 8], gap="medium")
with tree:
    search_view.choose_levels(search, attributes)
with found:
    head = st.container(gap="small")
    search_view.show_selected(search)
    results, matrix, areas, spread, code = st.tabs(
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
    with tree:
        search_view.show_facets(search, response)
    with head:
        if problem := search_state.problem():
            st.warning(ui.escape(problem), icon=":material/warning:")
        search_view.show_total(response, whole)
    if results.open:
        with results:
            if response.total:
                search_view.show_results(search, response)
            else:
                search_view.show_nothing_found(search)
    if spread.open:
        with spread:
            show_distribution(search, attributes)
except search_documents.FAILURES as error:
    with head:
        search_documents.show_failure(documents, error, visit.user)
    st.stop()
if matrix.open and more:
    with matrix:
        search_view.show_counts_matrix(search, response.facets[-1])
if areas.open and more:
    with areas:
        search_view.show_counts_map(search, response.facets[-1], rings=rings)
if code.open:
    with code:
        show_code(request, attributes, documents)
