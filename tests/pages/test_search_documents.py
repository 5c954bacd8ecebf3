"""The Search page over other documents: added, searched, changed, removed, on AWS and elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lib.identity import Role, SignInMethod, User
from lib.jobs import JobState
from lib.search.collections import (
    Collection,
    add_collection,
    collections,
    find_collection,
    index_folder,
    remove_collection,
    upload_folder,
)
from lib.search.indexing import index_collection
from lib.search.opensearch import OpenSearchEngine
from lib.search.saved import saved_searches
from lib.search.sources.uploads import Uploads
from lib.settings import ROOT, settings
from lib.ui import resources
from lib.ui.pages import SEARCH
from lib.ui.search_index import last_job, start_indexing
from lib.ui.search_upkeep import DETAILS
from tests.aws.double import AwsDouble, WireError
from tests.aws.fixtures import aws_double, aws_settings, no_aws
from tests.library import COUNTS, FOUND, OTHERS, QUESTION, uploads, write_library
from tests.pages.conftest import TIMEOUT_S, visit
from tests.pages.test_search_page import components, total, tree
from tests.search.contract import DOCUMENTS, TYPES
from tests.search.kendra_double import INDEX_ID, SmallKendra, serve
from tests.search.opensearch_double import OpenSearchDouble

__all__ = ["aws_double", "aws_settings", "no_aws"]

ANALYST = User("ana", "Ana", "ana@example.org", Role.ANALYST, SignInMethod.PASSWORD)
DENIED = "User: arn:aws:iam::1:user/a is not authorized to perform: kendra:Query on resource: *"


@pytest.fixture(autouse=True)
def library() -> None:
    write_library(settings().data_dir)


@pytest.fixture
def as_analyst(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("current_user", "live_user"):
        monkeypatch.setattr(import_module("lib.ui.guard"), name, lambda *_: ANALYST)


def report(fraction: float, step: str) -> None:
    """Take a report."""


def added(name: str = "Guides", owner: str = ANALYST.username, **files: bytes) -> Collection:
    """Return a collection of uploaded files, indexed."""
    collection = add_collection(resources.store(), name, {"kind": "uploads"}, owner)
    kept = Uploads(upload_folder(settings(), collection.id))
    kept.keep({f"{file}.txt": content for file, content in files.items()} or uploads(), 1)
    index_collection(report, collection.id)
    return collection


def index(collection: Collection) -> dict[str, Any]:
    """Do what a worker does with a job, and look at the index at once."""
    result = index_collection(report, collection.id)
    resources.embedded_search.clear()
    return result


def choose(app: AppTest, name: str) -> AppTest:
    return app.selectbox(key="search_docs").set_value(name).run()


def keys(app: AppTest) -> set[str | None]:
    return {one.key for one in app.button}


def badge(app: AppTest) -> str:
    [line] = [one.value for one in app.markdown if "-badge[" in one.value]
    return line.replace("\\", "")


def warnings(app: AppTest) -> str:
    return " ".join(one.value for one in app.warning).replace("\\", "")


def errors(app: AppTest) -> str:
    return " ".join(one.value for one in app.error).replace("\\", "")


def captions(app: AppTest) -> str:
    return " ".join(one.value for one in app.caption).replace("\\", "")


# ----------------------------------------------------------------------------------- the choice


def test_each_collection_is_searched_on_its_own() -> None:
    added()
    app = visit(SEARCH)
    assert total(app) == FOUND + OTHERS
    choose(app, "Guides")
    assert total(app) == FOUND
    app.text_input(key="search_q").set_value(QUESTION).run()
    for (technology, kind), count in COUNTS.items():
        assert tree(app)[technology][kind] == count
    choose(app, "AWS documentation")
    assert total(app) == FOUND  # the words stay
    assert not app.exception


def test_other_documents_bring_their_own_facets_and_orders() -> None:
    added("Sizes", table=b"no attributes here")
    app = visit(SEARCH)
    app.text_input(key="search_in").set_value('[[["Storage"]]]')
    app.selectbox(key="search_sort").set_value("Service ↓").run()
    choose(app, "Sizes")
    assert not warnings(app)
    assert app.selectbox(key="search_sort").value == "Relevance"
    assert app.text_input(key="search_in").value == ""
    own = str(app.text_input(key="search_levels").value)
    assert set(own.split(";")) == {"_file_type", "_last_updated_at"}
    choose(app, "AWS documentation")
    assert "Technology>Document_Type" in str(app.text_input(key="search_levels").value)
    for view in ("Matrix", "Map", "As code"):
        app.session_state["search_view"] = view
        choose(app, "Sizes")
        assert not app.exception
        choose(app, "AWS documentation")
        assert not app.exception


def test_an_address_with_unknown_documents_says_so_and_falls_back() -> None:
    app = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=TIMEOUT_S)
    app.run()
    app.query_params["search_docs"] = "Gone"
    app.switch_page(f"pages/{SEARCH.file}").run()
    assert "There is no collection “Gone”" in warnings(app)
    assert app.selectbox(key="search_docs").value == "AWS documentation"
    assert total(app) == FOUND + OTHERS
    assert not warnings(app.run())


def test_a_saved_search_remembers_its_documents_even_when_they_are_gone() -> None:
    collection = added()
    app = choose(visit(SEARCH), "Guides")
    app.text_input(key="search_in").set_value('[[["Storage"]]]').run()
    app.text_input(key="search_save_name").set_value("Storage of guides")
    app.button(key="search_save_submit").click().run()
    choose(app, "AWS documentation")
    app.button(key="search_saved_0").click().run()
    assert app.selectbox(key="search_docs").value == "Guides"
    assert total(app) == 22
    app.session_state[DETAILS] = True
    app.run()
    app.button(key="search_remove").click().run()
    app.button(key="search_remove_for_good").click().run()
    assert app.selectbox(key="search_docs").value == "AWS documentation"
    assert find_collection(resources.store(), collection.id) is None
    app.button(key="search_saved_0").click().run()
    assert "no collection “Guides”" in warnings(app)
    assert total(app) == FOUND + OTHERS


# ------------------------------------------------------------------------------------ the adding


def form(kind: str | None = None, **fields: str) -> AppTest:
    """Return the page with the form open, a kind chosen and its fields filled in."""
    app = visit(SEARCH, search_add=True)
    if kind is not None:
        app.selectbox(key="search_add_kind").set_value(kind).run()
    for field, value in fields.items():
        app.text_input(key=f"search_add_{field}").set_value(value)
    return app


def submit(app: AppTest) -> AppTest:
    return app.button(key="search_add_submit").click().run()


def upload(app: AppTest, files: dict[str, bytes]) -> AppTest:
    chosen = [(name, content, "application/octet-stream") for name, content in files.items()]
    app.file_uploader[0].set_value(chosen)
    return app


@pytest.mark.usefixtures("as_analyst")
def test_an_analyst_uploads_files_and_nothing_else() -> None:
    app = form(name="Guides of Ana")
    assert [str(one) for one in app.selectbox(key="search_add_kind").options] == ["Files of yours"]
    submit(upload(app, uploads()))
    assert not app.error
    assert app.selectbox(key="search_docs").value == "Guides of Ana"
    [_, collection] = collections(resources.store())
    job = last_job(collection)
    assert job is not None
    assert job.owner == "ana"
    assert any("No documents yet" in one.value for one in app.markdown)
    index(collection)
    assert total(app.run()) == FOUND
    assert "added documents" in [event.action for event in resources.identity().audit_log(limit=5)]


def test_a_viewer_adds_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = replace(ANALYST, username="vera", role=Role.VIEWER)
    monkeypatch.setattr(import_module("lib.ui.guard"), "current_user", lambda *_: viewer)
    added(owner="vera")
    app = choose(visit(SEARCH, search_add=True, search_details=True), "Guides")
    assert not {"search_add_submit", "search_reindex", "search_remove"} & keys(app)
    assert total(app) == FOUND


@pytest.mark.usefixtures("as_analyst")
def test_only_who_added_documents_changes_them() -> None:
    added("Of Ana")
    added("Of Ben", owner="ben")
    app = choose(visit(SEARCH, search_details=True), "Of Ana")
    assert {"search_reindex", "search_remove"} <= keys(app)
    app = choose(visit(SEARCH, search_details=True), "Of Ben")
    assert not {"search_reindex", "search_remove"} & keys(app)
    app = visit(SEARCH, search_details=True)
    assert not {"search_reindex", "search_remove"} & keys(app)


@pytest.mark.parametrize(
    ("name", "files", "sentence"),
    [
        ("", {"a.txt": b"a"}, "name has 1 to 60"),
        ("aws DOCUMENTATION", {"a.txt": b"a"}, "already"),
        ("Guides", {}, "Choose at least one file"),
        ("Guides", {"a.txt": b"a" * 1_200_000}, "has 1.1 MB; the limit is 1 MB"),
    ],
)
def test_what_cannot_be_uploaded_is_said_and_the_name_is_kept(
    monkeypatch: pytest.MonkeyPatch, name: str, files: dict[str, bytes], sentence: str
) -> None:
    monkeypatch.setenv("SIGHTLINE_MAX_UPLOAD_MB", "1")
    settings.cache_clear()
    app = form(name=name)
    submit(upload(app, files) if files else app)
    assert sentence in errors(app)
    assert app.text_input(key="search_add_name").value == name
    assert len(collections(resources.store())) == 1
    assert not list(settings().data_dir.glob("uploads/*"))


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("folder", "set SIGHTLINE_SEARCH_ROOTS"),
        ("s3", "set SIGHTLINE_AWS_PROFILE"),
        ("kendra", "set SIGHTLINE_AWS_PROFILE"),
        ("opensearch", "set SIGHTLINE_OPENSEARCH_URL"),
    ],
)
@pytest.mark.usefixtures("no_aws")
def test_what_is_not_set_up_says_what_to_set(kind: str, sentence: str) -> None:
    app = form(kind)
    assert sentence in " ".join(one.value for one in app.info).replace("\\", "")
    assert app.button(key="search_add_submit").disabled


@pytest.fixture
def roots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "roots"
    folder.mkdir()
    (folder / "a.md").write_text("# Guide\n\nHow to encrypt data")
    monkeypatch.setenv("SIGHTLINE_SEARCH_ROOTS", json.dumps([str(folder)]))
    settings.cache_clear()
    return folder


def test_a_folder_below_a_root_is_added_and_others_are_refused(roots: Path) -> None:
    app = submit(form("folder", name="Outside", place=str(roots.parent)))
    assert "SIGHTLINE_SEARCH_ROOTS" in errors(app)
    assert app.text_input(key="search_add_place").value == str(roots.parent)
    app = submit(form("folder", name="Inside", place=str(roots)))
    assert not app.error
    [_, collection] = collections(resources.store())
    assert index(collection)["added"] == 1
    assert total(app.run()) == 1
    assert str(roots) in captions(visit_details("Inside"))


def visit_details(name: str) -> AppTest:
    return choose(visit(SEARCH, search_details=True), name)


@pytest.mark.usefixtures("as_analyst")
def test_who_is_no_administrator_adds_no_folder_even_by_force(
    monkeypatch: pytest.MonkeyPatch, roots: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("lib.ui.search_add.role_for", lambda _kind: Role.VIEWER)
        app = form("folder", name="Root", place=str(roots))
    submit(app)
    assert "needs the role admin" in errors(app)
    assert len(collections(resources.store())) == 1


# ------------------------------------------------------------------------------------ the upkeep


def test_files_are_added_replaced_and_taken_out() -> None:
    collection = added(one=b"first", two=b"second")
    app = visit_details("Guides")
    upload(app, {"two.txt": b"second, again", "three.md": b"# Third"})
    app.multiselect(key="search_take_out").set_value(["one.txt"])
    app.button(key="search_files_submit").click().run()
    assert not app.exception
    assert Uploads(upload_folder(settings(), collection.id)).names() == ("three.md", "two.txt")
    job = last_job(collection)
    assert job is not None
    result = index(collection)
    assert [result[name] for name in ("added", "changed", "removed")] == [1, 1, 1]
    assert total(choose(visit(SEARCH), "Guides")) == 2


def test_indexing_is_found_again_and_cancelled() -> None:
    collection = added(one=b"first")
    app = visit_details("Guides")
    app.button(key="search_reindex").click().run()
    again = choose(visit(SEARCH, search_details=True), "Guides")
    assert again.button(key="search_reindex").disabled
    assert "Documents are being indexed" in captions(again)
    job = last_job(collection)
    assert job is not None
    again.button(key=f"cancel_{job.id}").click().run()
    job = last_job(collection)
    assert job is not None
    assert job.state == "cancelled"
    again.run()
    assert "search_index_again" in keys(again)
    assert total(again) == 1


def test_a_second_click_removes_and_the_first_can_be_taken_back() -> None:
    collection = added(one=b"first")
    app = visit_details("Guides")
    app.button(key="search_remove").click().run()
    assert "cannot be undone" in captions(app)
    app.button(key="search_keep").click().run()
    assert "search_remove_for_good" not in keys(app)
    app.button(key="search_remove").click().run()
    app.button(key="search_remove_for_good").click().run()
    assert not app.exception
    assert not index_folder(settings(), collection.id).exists()
    assert not upload_folder(settings(), collection.id).exists()
    assert total(app) == FOUND + OTHERS
    assert "search_remove" not in keys(visit(SEARCH, search_details=True))


def test_documents_removed_by_somebody_else_are_said_to_be_gone() -> None:
    collection = added(one=b"first")
    app = choose(visit(SEARCH), "Guides")
    remove_collection(resources.store(), settings(), collection)
    app.run()
    assert "no collection “Guides”" in warnings(app)
    assert total(app) == FOUND + OTHERS


# ------------------------------------------------------------------------------- Amazon Kendra


@pytest.fixture
def kendra(aws_double: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> AwsDouble:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-only-for-tests")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    settings.cache_clear()
    identity = {"Account": "1", "Arn": "arn:aws:iam::1:user/a", "UserId": "a"}
    aws_double.on("sts", "GetCallerIdentity", identity)  # the overview asks, on the way
    serve(aws_double, SmallKendra(DOCUMENTS))
    return aws_double


def test_a_kendra_index_is_added_and_searched(kendra: AwsDouble) -> None:
    app = submit(form("kendra", name="Handbook", place=INDEX_ID))
    assert not app.exception
    assert not app.error
    assert "AWS us-east-1 · Amazon Kendra" in badge(app)
    assert kendra.called("kendra", "Query")[0]["UserContext"] == {"UserId": "this-machine"}
    levels = "Technology>Document_Type>Region"
    app.text_input(key="search_levels").set_value(levels).run()
    assert "nests facets 2 levels deep" in captions(app)
    facet = components(app)["facet_tree_view"]["facets"][0]
    assert facet["nodes"]
    assert components(app)["hit_list_view"]["openable"] is False
    app.session_state["search_view"] = "As code"
    app.run()
    assert INDEX_ID in app.code[0].value


def test_kendra_is_not_asked_the_same_again(kendra: AwsDouble) -> None:
    app = submit(form("kendra", name="Handbook", place=INDEX_ID))
    app.text_input(key="search_q").set_value("encrypt data").run()
    asked = len(kendra.called("kendra", "Query"))
    app.run()
    assert len(kendra.called("kendra", "Query")) == asked


def test_an_aws_error_is_shown_by_its_code_with_the_missing_permission(kendra: AwsDouble) -> None:
    app = submit(form("kendra", name="Handbook", place=INDEX_ID))
    kendra.fail("kendra", "Query", WireError("AccessDeniedException", DENIED), times=9)
    app.text_input(key="search_q").set_value("data").run()
    assert not app.exception
    assert "lacks kendra:Query" in errors(app)
    assert "AccessDeniedException" in captions(app)
    assert "kendra:Query" in app.code[0].value
    choose(app, "AWS documentation")
    assert total(app)


def test_what_kendra_cannot_be_asked_can_be_taken_back(kendra: AwsDouble) -> None:
    assert kendra
    app = submit(form("kendra", name="Handbook", place=INDEX_ID))
    every = total(app)
    app.text_input(key="search_in").set_value("[[[null]]]").run()
    assert "cannot be selected here. Unselect them." in errors(app)
    app.button(key="search_chip_0").click().run()
    assert not app.error
    assert total(app) == every


def test_missing_suggestions_break_nothing(kendra: AwsDouble) -> None:
    app = submit(form("kendra", name="Handbook", place=INDEX_ID))
    refused = WireError("AccessDeniedException", DENIED.replace("Query", "GetQuerySuggestions"))
    kendra.fail("kendra", "GetQuerySuggestions", refused, times=9)
    app.text_input(key="search_q").set_value("data").run()
    assert "kendra:GetQuerySuggestions" in captions(app)
    assert not app.error


def test_an_index_that_cannot_be_described_is_not_added(kendra: AwsDouble) -> None:
    app = submit(form("kendra", name="Handbook", place=INDEX_ID.replace("0", "f")))
    assert "no index with the given ID" in errors(app)
    kendra.fail("kendra", "DescribeIndex", WireError("AccessDeniedException", DENIED))
    app = submit(form("kendra", name="Handbook", place=INDEX_ID))
    assert "lacks kendra:Query" in errors(app)
    assert len(collections(resources.store())) == 1


def test_without_credentials_a_kendra_collection_says_what_to_set(
    no_aws: pytest.MonkeyPatch,
) -> None:
    assert no_aws
    source = {"kind": "kendra", "index": INDEX_ID}
    add_collection(resources.store(), "Handbook", source, "root")
    app = choose(visit(SEARCH), "Handbook")
    assert not app.exception
    assert "No AWS region is set: set SIGHTLINE_AWS_REGION" in errors(app)
    assert "AWS without a region" in badge(app)
    assert total(choose(app, "AWS documentation")) == FOUND + OTHERS


# ---------------------------------------------------------------------------------- OpenSearch


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenSearchDouble]:
    with OpenSearchDouble() as double:
        engine = OpenSearchEngine(double.url, "documents")
        engine.create(TYPES)
        engine.add(DOCUMENTS)
        monkeypatch.setenv("SIGHTLINE_OPENSEARCH_URL", double.url)
        settings.cache_clear()
        yield double


@pytest.mark.usefixtures("cluster")
def test_an_opensearch_index_is_added_searched_and_opened() -> None:
    app = submit(form("opensearch", name="Cluster", place="documents"))
    assert not app.exception
    assert not app.error
    assert "127.0.0.1 · OpenSearch" in badge(app)
    hits = components(app)["hit_list_view"]
    assert hits["openable"] is True
    app.session_state["search.opened"] = hits["hits"][0]["id"]
    app.run()
    assert components(app)["hit_list_view"]["hits"][0]["document"]
    [_, collection] = collections(resources.store())
    assert dict(collection.source) == {"kind": "opensearch", "index": "documents"}


@pytest.mark.usefixtures("cluster")
def test_an_opensearch_index_that_is_not_there_is_not_added() -> None:
    app = submit(form("opensearch", name="Cluster", place="missing"))
    assert "has no index “missing”" in errors(app)
    assert len(collections(resources.store())) == 1


def test_a_job_that_runs_is_not_started_twice() -> None:
    collection = added(one=b"first")
    assert start_indexing(collection, ANALYST).id == start_indexing(collection, ANALYST).id


def test_a_job_of_earlier_documents_of_the_same_name_is_not_theirs() -> None:
    earlier = added(one=b"first")
    job = start_indexing(earlier, ANALYST)
    remove_collection(resources.store(), settings(), earlier)
    later = add_collection(resources.store(), "Guides", {"kind": "uploads"}, ANALYST.username)
    assert last_job(later) is None
    assert start_indexing(later, ANALYST).id != job.id


@pytest.mark.usefixtures("as_analyst")
def test_files_are_not_changed_while_they_are_indexed() -> None:
    collection = added(one=b"first")
    app = visit_details("Guides")
    app.multiselect(key="search_take_out").set_value(["one.txt"])
    start_indexing(collection, ANALYST)
    app.button(key="search_files_submit").click().run()
    assert "being indexed" in errors(app)
    assert Uploads(upload_folder(settings(), collection.id)).names() == ("one.txt",)
    assert app.button(key="search_files_submit").disabled


@pytest.mark.parametrize(
    ("owner", "shown"), [("ana", ["layoffs.pdf: It is a broken PDF."]), ("ben", [])]
)
@pytest.mark.usefixtures("as_analyst")
def test_names_of_unread_files_are_for_those_who_may_change_them(
    monkeypatch: pytest.MonkeyPatch, owner: str, shown: list[str]
) -> None:
    collection = added(owner=owner, one=b"first")
    job = start_indexing(collection, ANALYST)
    unread = {"name": "layoffs.pdf", "reason": "It is a broken PDF."}
    result = {"added": 1, "changed": 0, "removed": 0, "skipped": 1, "seconds": 0.1}
    ended = replace(
        job,
        state=JobState.DONE,
        finished_at=job.created_at,
        result=result | {"reasons": [unread], "notes": []},
    )
    monkeypatch.setattr(type(resources.jobs()), "latest", lambda *_: ended)
    app = visit_details("Guides")
    assert not app.exception
    assert [one.value for one in app.text] == shown


@pytest.mark.usefixtures("as_analyst")
@pytest.mark.parametrize("now", [None, replace(ANALYST, role=Role.VIEWER)])
def test_a_page_left_open_changes_nothing_once_its_user_may_not(
    monkeypatch: pytest.MonkeyPatch, now: User | None
) -> None:
    collection = added(one=b"first")
    app = visit_details("Guides")
    app.button(key="search_remove").click().run()
    app.multiselect(key="search_take_out").set_value(["one.txt"])
    monkeypatch.setattr(import_module("lib.ui.guard"), "live_user", lambda *_: now)
    for key in ("search_remove_for_good", "search_files_submit", "search_reindex"):
        app.button(key=key).click().run()
    assert find_collection(resources.store(), collection.id) == collection
    assert Uploads(upload_folder(settings(), collection.id)).names() == ("one.txt",)
    assert last_job(collection) is None
    if now is None:
        app.text_input(key="search_save_name").set_value("Mine")
        app.button(key="search_save_submit").click().run()
        assert not saved_searches(resources.store(), ANALYST.username)
