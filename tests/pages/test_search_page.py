"""The Search page: from the first visit over facets and their promises to a damaged index."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lib.identity import Role, SignInMethod, User
from lib.search import ENGINE_NAME
from lib.search.collections import AWS_DOCUMENTATION, index_folder
from lib.search.engine import EmbeddedSearch
from lib.search.model import MAX_QUERY_CHARACTERS, SearchRequest
from lib.search.rerank import LOADING, Reranker
from lib.settings import settings
from lib.ui import resources
from lib.ui.markdown import escape
from lib.ui.pages import SEARCH
from lib.ui.search_index import job_title
from tests.library import COUNTS, FOUND, OTHERS, QUESTION, write_library
from tests.pages.conftest import visit


@pytest.fixture
def library() -> None:
    write_library(settings().data_dir)


def components(app: AppTest) -> dict[str, dict[str, Any]]:
    """Return what the page handed to the browser to draw, by component."""
    found = [one for one in app.main if one.type == "bidi_component"]
    return {
        one.proto.component_name.partition(".")[2]: json.loads(
            one.proto.mixed.json or one.proto.json
        )
        for one in found
    }


def tree(app: AppTest) -> dict[str, dict[str, int]]:
    """Return the nested counts of the first hierarchy."""
    [facet, *_] = components(app)["facet_tree_view"]["facets"]
    return {
        outer["value"]: {inner["value"]: inner["count"] for inner in outer["children"]}
        for outer in facet["nodes"]
    }


def search(query: str, selected: str = "", levels: str = "") -> AppTest:
    app = visit(SEARCH)
    app.text_input(key="search_q").set_value(query)
    if levels:
        app.text_input(key="search_levels").set_value(levels)
    if selected:
        app.text_input(key="search_in").set_value(selected)
    return app.run()


def total(app: AppTest) -> int:
    [line] = [one.value for one in app.markdown if "of" in one.value and "documents" in one.value]
    return int(line.split("**")[1].replace(",", ""))


def jobs_of_index() -> list[str]:
    return [
        job.state for job in resources.jobs().recent() if job.title == job_title(AWS_DOCUMENTATION)
    ]


def test_the_first_visit_starts_indexing_once() -> None:
    for _ in range(2):
        app = visit(SEARCH)
        assert not app.exception
        assert any("No documents yet" in one.value for one in app.markdown)
        assert jobs_of_index() == ["queued"]


def test_indexing_that_was_cancelled_can_be_started_again() -> None:
    app = visit(SEARCH)
    [job] = resources.jobs().recent()
    resources.jobs().cancel(job.id)
    app.run()
    assert jobs_of_index() == ["cancelled"]
    app.button(key="search_index_again").click().run()
    assert sorted(jobs_of_index()) == ["cancelled", "queued"]


@pytest.mark.usefixtures("library")
def test_the_page_opens_with_every_document_and_its_counts() -> None:
    app = visit(SEARCH)
    assert not app.exception
    assert total(app) == FOUND + OTHERS
    assert not jobs_of_index()
    assert len(components(app)["hit_list_view"]["hits"]) == 10
    assert EmbeddedSearch.name == ENGINE_NAME


@pytest.mark.usefixtures("library")
def test_each_count_is_what_a_click_on_it_finds() -> None:
    app = search(QUESTION)
    assert total(app) == FOUND
    for (technology, kind), count in COUNTS.items():
        assert tree(app)[technology][kind] == count
        app.text_input(key="search_in").set_value(json.dumps([[[technology, kind]]])).run()
        assert total(app) == count
        assert tree(app)[technology][kind] == count


@pytest.mark.usefixtures("library")
def test_the_hierarchy_can_be_turned_around() -> None:
    app = search(QUESTION, '[[["Reference_Guides","Compute"]]]', "Document_Type>Technology")
    assert total(app) == 6
    counts = tree(app)
    assert {
        (inner, outer): n for outer, row in counts.items() for inner, n in row.items()
    } == COUNTS


@pytest.mark.usefixtures("library")
def test_what_is_selected_can_be_taken_out_again() -> None:
    app = search(QUESTION, '[[["Storage"],["Compute","Release_Notes"]]]')
    assert total(app) == 23
    app.button(key="search_chip_0").click().run()
    assert total(app) == 1
    assert app.text_input(key="search_in").value == '[[["Compute","Release_Notes"]]]'
    app.button(key="search_clear").click().run()
    assert total(app) == FOUND


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("key", "value"),
    [("search_in", "{"), ("search_in", '[[["a","b","c"]]]'), ("search_levels", "<script>")],
)
def test_an_address_that_cannot_be_read_says_so_and_shows_the_rest(key: str, value: str) -> None:
    app = search(QUESTION)
    app.text_input(key=key).set_value(value).run()
    assert not app.exception
    assert total(app) == FOUND
    assert len(app.warning) == 1


@pytest.mark.usefixtures("library")
def test_nothing_found_offers_what_to_relax() -> None:
    app = search("encrypt invoices", '[[["Storage"]]]')
    app.selectbox(key="search_words").set_value("all").run()
    assert total(app) == 0
    offers = {one.label: one for one in app.button if str(one.key).startswith("search_relax")}
    assert "With any of the words: 22 documents" in offers
    offers["With any of the words: 22 documents"].click().run()
    assert total(app) == 22


@pytest.mark.usefixtures("library")
def test_a_misspelt_word_gets_a_better_one() -> None:
    app = search("encryptt")
    app.button(key="search_correction").click().run()
    assert app.text_input(key="search_q").value == "encrypt"
    assert total(app) == FOUND


@pytest.mark.usefixtures("library")
def test_another_page_and_another_order_show_other_documents() -> None:
    app = search(QUESTION)
    app.selectbox(key="search_sort").set_value("API version year ↓").run()
    hits = components(app)["hit_list_view"]
    assert hits["first"] == 1
    assert "Volume 15" in str(hits["hits"])
    app.pagination(key="search_page").set_value(7).run()
    assert components(app)["hit_list_view"]["first"] == 61
    app.text_input(key="search_q").set_value("invoices").run()
    assert components(app)["hit_list_view"]["first"] == 1


@pytest.mark.usefixtures("library")
def test_order_by_meaning_changes_the_first_results_and_no_count() -> None:
    resources.embedded_search(AWS_DOCUMENTATION.id).warm()
    app = search(QUESTION)
    by_words, counts = components(app)["hit_list_view"]["hits"], tree(app)
    app.selectbox(key="search_sort").set_value("Meaning").run()
    assert not app.exception
    assert total(app) == FOUND
    assert tree(app) == counts
    by_meaning = components(app)["hit_list_view"]["hits"]
    assert [hit["id"] for hit in by_meaning] != [hit["id"] for hit in by_words]
    request = SearchRequest(QUESTION, rerank=True)
    expected = resources.search().query(request).hits
    assert [hit["id"] for hit in by_meaning] == [hit.id for hit in expected]
    assert escape(LOADING) not in [one.value for one in app.caption]


@pytest.mark.usefixtures("library")
def test_order_by_meaning_says_while_the_model_is_being_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Reranker, "load", lambda _: None)
    app = search(QUESTION)
    by_words = components(app)["hit_list_view"]["hits"]
    app.selectbox(key="search_sort").set_value("Meaning").run()
    assert components(app)["hit_list_view"]["hits"] == by_words
    assert escape(LOADING) in [one.value for one in app.caption]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("view", ["Matrix", "Map", "Distribution", "As code"])
def test_every_view_opens(view: str) -> None:
    app = visit(SEARCH, search_view=view)
    assert not app.exception
    assert not app.error


@pytest.mark.usefixtures("library")
def test_bounds_beyond_what_browsers_count_to_are_shown() -> None:
    app = visit(SEARCH, search_view="Distribution")
    app.text_input(key="search_ranges").set_value(f"api_version_year:-{2**63}..{2**63 - 1}").run()
    assert not app.exception
    assert total(app) == FOUND


@pytest.mark.usefixtures("library")
def test_a_suggestion_for_a_query_at_its_limit_can_be_taken() -> None:
    app = search("x" * (MAX_QUERY_CHARACTERS - 5) + " encr")
    app.button(key="search_suggestion_0").click().run()
    assert not app.exception
    assert len(app.text_input(key="search_q").value or "") == MAX_QUERY_CHARACTERS


@pytest.mark.usefixtures("library")
def test_a_range_keeps_its_bars_and_can_be_taken_out_again() -> None:
    app = search(QUESTION)
    app.text_input(key="search_ranges").set_value("api_version_year:2010..2011").run()
    within = sum(min(count, 2) for count in COUNTS.values())
    assert total(app) == within
    [chip] = [b for b in app.button if b.key == "search_range_api_version_year"]
    assert chip.label.endswith(": 2010 to 2011")
    chip.click().run()
    assert total(app) == FOUND
    assert not app.text_input(key="search_ranges").value


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("ranges", ["api_version_year:b..a", "service:1..2", "nothing:1..2", "x"])
def test_a_range_that_cannot_be_read_says_so_and_everything_is_shown(ranges: str) -> None:
    app = search(QUESTION)
    app.text_input(key="search_ranges").set_value(ranges).run()
    assert total(app) == FOUND
    assert "Ranges in the address were ignored" in app.warning[0].value


@pytest.mark.usefixtures("library")
def test_a_search_is_saved_opened_deleted_and_brought_back() -> None:
    app = search(QUESTION, '[[["Storage"]]]')
    app.text_input(key="search_save_name").set_value("Storage *only*")
    app.button(key="search_save_submit").click().run()
    app.text_input(key="search_q").set_value("invoices").run()
    assert total(app) == 0
    app.button(key="search_saved_0").click().run()
    assert total(app) == 22
    app.button(key="search_saved_delete_0").click().run()
    assert "search_saved_0" not in [one.key for one in app.button]
    app.button(key="search_saved_undo").click().run()
    assert "search_saved_0" in [one.key for one in app.button]
    actions = [event.action for event in resources.identity().audit_log(limit=10)]
    assert actions.count("saved a search") == 2
    assert actions.count("deleted a saved search") == 1


@pytest.fixture
def damaged(library: None) -> None:  # noqa: ARG001 - something to damage
    for file in index_folder(settings()).iterdir():
        if file.suffix == ".segment":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.usefixtures("damaged")
def test_a_damaged_index_is_built_anew_by_an_administrator() -> None:
    app = visit(SEARCH)
    assert any("damaged" in one.value for one in app.markdown)
    app.button(key="search_rebuild").click().run()
    assert jobs_of_index() == ["queued"]


@pytest.mark.usefixtures("damaged")
def test_a_viewer_is_told_whom_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = User("vera", "Vera", "vera@example.org", Role.VIEWER, SignInMethod.PASSWORD)
    monkeypatch.setattr(import_module("lib.ui.guard"), "current_user", lambda *_: viewer)
    app = visit(SEARCH)
    assert any("administrator" in one.value for one in app.caption)
    assert "search_rebuild" not in [one.key for one in app.button]
