"""Documents of one's own: uploaded, indexed, narrowed as Kendra's blog post does, and removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from tests.e2e.conftest import Server, open_page, running, settled
from tests.e2e.test_search import parameter, serious
from tests.library import COUNTS, FOUND, QUESTION, uploads, write_library

GUIDES = "AWS guides"
UNREAD = {"broken.pdf": b"%PDF-1.7 and no more", "wrong.txt.metadata.json": b"{no json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("documents")
    write_library(folder / "var")
    roots = folder / "roots"
    roots.mkdir()
    (roots / "plan.md").write_text("# Plan\n\nHow to encrypt data")
    with running(folder, SIGHTLINE_SEARCH_ROOTS=json.dumps([str(roots)])) as server:
        yield server


@pytest.fixture(scope="module")
def guides(browser: Browser, server: Server) -> Server:
    """The server, once the documents of the post were uploaded and indexed there."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    open_page(page, f"{server.url}/search")
    files = uploads() | UNREAD | {"wrong.txt": b"Nothing but invoices"}
    add(page, GUIDES, "Files of yours", files)
    found(page, FOUND, FOUND)
    context.close()
    return server


def add(page: Page, name: str, kind: str, files: dict[str, bytes]) -> None:
    """Open the form, choose files in it and send it."""
    page.get_by_role("button", name="Add documents").click()
    page.get_by_role("combobox", name="Add documents from").click()
    page.get_by_role("option", name=kind).click()
    page.get_by_label("Name of the collection").fill(name)
    page.locator("input[type=file]").set_input_files(
        [
            FilePayload(name=file, mimeType="application/octet-stream", buffer=content)
            for file, content in files.items()
        ]
    )
    expect(page.get_by_role("button", name="Remove ")).to_have_count(len(files))
    settled(page)
    page.get_by_role("button", name="Add and index").click()
    expect(page.get_by_label("Name of the collection")).to_have_count(0)


def found(page: Page, count: int, whole: int) -> None:
    expect(page.get_by_text(f"{count} of {whole} documents")).to_be_visible()


def value(page: Page, tree: str, name: str) -> Locator:
    shown = page.get_by_role("tree", name=tree)
    return shown.get_by_role("treeitem", name=f"{name}, ", exact=False).first


def promised(item: Locator) -> int:
    label = item.get_attribute("aria-label") or ""
    return int(label.split(", ")[-1].split(" ")[0])


def test_uploaded_documents_answer_as_in_the_post(page: Page, guides: Server) -> None:
    open_page(page, f"{guides.url}/search?search_docs={GUIDES.replace(' ', '+')}")
    page.get_by_role("searchbox", name="Search for").fill(QUESTION)
    found(page, FOUND, FOUND)
    nested = "Technology › Document type"
    for (technology, kind), count in COUNTS.items():
        outer = value(page, nested, technology)
        if outer.get_attribute("aria-expanded") == "false":
            outer.locator(".twist").first.click()
        inner = outer.get_by_role("treeitem", name=f"{kind}, ")
        assert promised(inner) == count
        inner.click()
        found(page, count, FOUND)
        settled(page)
        page.get_by_role("button", name="Clear all").click()
        found(page, FOUND, FOUND)
        settled(page)
    page.get_by_role("button", name="Turn to Document type › Technology").click()
    turned = "Document type › Technology"
    expect(page.get_by_role("tree", name=turned)).to_be_visible()
    guide = value(page, turned, "User_Guides")
    if guide.get_attribute("aria-expanded") == "false":
        guide.locator(".twist").first.click()
    assert promised(guide) == sum(n for (_, kind), n in COUNTS.items() if kind == "User_Guides")
    storage = guide.get_by_role("treeitem", name="Storage, ")
    count = promised(storage)
    assert count == COUNTS["Storage", "User_Guides"]
    storage.click()
    found(page, count, FOUND)
    settled(page)
    page.reload()
    found(page, count, FOUND)
    assert parameter(page, "search_docs") == GUIDES
    expect(page.get_by_text("exact", exact=True).first).to_be_visible()


def test_files_that_could_not_be_read_are_listed_with_reasons(page: Page, guides: Server) -> None:
    open_page(page, f"{guides.url}/search?search_docs={GUIDES.replace(' ', '+')}")
    page.get_by_role("button", name="2 not read").click()
    expect(page.get_by_text("broken.pdf: It is a broken PDF")).to_be_visible()
    expect(
        page.get_by_text("wrong.txt: Its metadata file is wrong. It is not JSON")
    ).to_be_visible()
    expect(page.get_by_text(f"{FOUND} added, 0 changed, 0 removed")).to_be_visible()


def test_a_folder_is_added_reindexed_and_removed(page: Page, server: Server) -> None:
    folder = Path(server.data_dir).parent / "roots"
    open_page(page, f"{server.url}/search")
    page.get_by_role("button", name="Add documents").click()
    page.get_by_role("combobox", name="Add documents from").click()
    page.get_by_role("option", name="A folder of this machine").click()
    page.get_by_label("Name of the collection").fill("Plans")
    page.get_by_label("Folder", exact=True).fill("/etc")
    page.get_by_role("button", name="Add and index").click()
    expect(page.get_by_text("/etc lies outside the folders that may be indexed")).to_be_visible()
    page.get_by_label("Folder", exact=True).fill(str(folder))
    page.get_by_role("button", name="Add and index").click()
    found(page, 1, 1)
    (folder / "more.txt").write_text("How to encrypt more data")
    settled(page)
    page.get_by_role("button", name="Details").click()
    page.get_by_role("button", name="Re-index now").click()
    found(page, 2, 2)
    settled(page)
    page.get_by_role("button", name="Details").click()
    expect(page.get_by_text("1 added, 0 changed, 0 removed")).to_be_visible()
    page.get_by_role("button", name="Remove …").click()
    expect(page.get_by_text("the documents stay where they are")).to_be_visible()
    page.get_by_role("button", name="Remove for good").click()
    found(page, 81, 81)
    assert (folder / "more.txt").exists()
    open_page(page, f"{server.url}/search?search_docs=Plans")
    expect(page.get_by_text("There is no collection “Plans” here")).to_be_visible()
    found(page, 81, 81)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_forms_are_accessible_and_fit(page: Page, guides: Server, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, f"{guides.url}/search?search_docs={GUIDES.replace(' ', '+')}")
    found(page, FOUND, FOUND)
    page.get_by_role("button", name="2 not read").click()
    expect(page.get_by_role("button", name="Remove …")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not serious(page)
    open_page(page, f"{guides.url}/search")
    page.get_by_role("button", name="Add documents").click()
    for kind in ("A folder of this machine", "An Amazon Kendra index"):
        page.get_by_role("combobox", name="Add documents from").click()
        page.get_by_role("option", name=kind).click()
        expect(page.get_by_label("Name of the collection")).to_be_visible()
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not serious(page)
