"""The search journey: words, nested facets that keep their promises, and a link to all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Server, open_page, running, settled
from tests.e2e.test_frame import UPSTREAM
from tests.library import COUNTS, FOUND, QUESTION, write_library


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("library")
    write_library(folder / "var")
    with running(folder) as server:
        yield server


def ask(page: Page, server: Server, more: str = "") -> None:
    open_page(page, f"{server.url}/search?search_q={QUESTION.replace(' ', '+')}{more}")
    found(page, FOUND)


def found(page: Page, count: int) -> None:
    expect(page.get_by_text(f"{count} of 81 documents", exact=False)).to_be_visible()


def value(page: Page, name: str, tree: str = "Technology › Document type") -> Locator:
    shown = page.get_by_role("tree", name=tree)
    return shown.get_by_role("treeitem", name=f"{name}, ", exact=False).first


def parameter(page: Page, name: str) -> str:
    return parse_qs(urlsplit(page.url).query).get(name, [""])[0]


def test_typing_finds_while_one_types(page: Page, library: Server) -> None:
    open_page(page, f"{library.url}/search")
    page.get_by_role("searchbox", name="Search for").press_sequentially("invoices")
    found(page, 20)
    expect(page.locator("mark").first).to_have_text("Invoice")


def test_a_click_in_the_tree_finds_what_its_count_promised(page: Page, library: Server) -> None:
    ask(page, library)
    databases = value(page, "Databases")
    expect(databases).to_have_attribute("aria-expanded", "true")
    reference = databases.get_by_role("treeitem", name="Reference_Guides")
    expect(reference).to_have_attribute("aria-label", "Reference_Guides, 7 documents")
    reference.click()
    found(page, COUNTS["Databases", "Reference_Guides"])
    expect(reference).to_have_attribute("aria-checked", "true")
    expect(databases).to_have_attribute("aria-checked", "mixed")
    value(page, "Storage").locator(".name").first.click()
    found(page, 7 + 22)
    page.get_by_role("button", name="Turn to Document type › Technology").click()
    turned = page.get_by_role("tree", name="Document type › Technology")
    expect(turned).to_be_visible()
    found(page, 7 + 22)
    expect(value(page, "Reference_Guides", "Document type › Technology")).to_have_attribute(
        "aria-checked", "mixed"
    )
    page.get_by_role("button", name="Clear all").click()
    found(page, FOUND)


def test_quick_clicks_are_all_taken_in(page: Page, library: Server) -> None:
    ask(page, library)
    names = ("Databases", "Storage", "Compute")
    boxes = [value(page, name).locator(".name").first.bounding_box() for name in names]
    for box in boxes:  # by the mouse: click() gives up on what is drawn anew under it
        assert box is not None
        page.mouse.click(box["x"] + 5, box["y"] + 5)
    found(page, FOUND)
    expect(page.get_by_role("button", name="Technology: Compute")).to_be_visible()
    assert json.loads(parameter(page, "search_in")) == [[["Databases"], ["Storage"], ["Compute"]]]
    value(page, "Databases").get_by_role("treeitem", name="Release_Notes").click()
    found(page, FOUND - 4)


def test_a_press_during_which_an_answer_comes_is_a_click(page: Page, library: Server) -> None:
    ask(page, library)
    storage = value(page, "Storage").locator(".name").first
    box = storage.bounding_box()
    assert box is not None
    value(page, "Databases").locator(".name").first.click()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    expect(page.get_by_role("button", name="Technology: Databases")).to_be_visible()
    settled(page)
    page.mouse.up()
    expect(page.get_by_role("button", name="Technology: Storage")).to_be_visible()
    assert json.loads(parameter(page, "search_in")) == [[["Databases"], ["Storage"]]]


def test_the_tree_is_used_with_the_keyboard(page: Page, library: Server) -> None:
    ask(page, library)
    value(page, "Databases").focus()
    page.keyboard.press("ArrowLeft")
    expect(value(page, "Databases")).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowDown")
    expect(value(page, "Storage")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(value(page, "Storage")).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    found(page, COUNTS["Storage", "User_Guides"])
    settled(page)
    page.keyboard.press("ArrowLeft")
    expect(value(page, "Storage")).to_be_focused()
    page.keyboard.press("End")
    expect(value(page, "Compute")).to_be_focused()
    page.keyboard.press("Space")
    found(page, COUNTS["Storage", "User_Guides"] + 16)


def test_a_value_is_searched_and_more_are_shown(page: Page, library: Server) -> None:
    ask(page, library)
    services = page.get_by_role("tree", name="Service", exact=True)
    expect(services.get_by_role("treeitem")).to_have_count(11)
    services.get_by_role("treeitem", name="6 more values with").click()
    expect(services.get_by_role("treeitem")).to_have_count(16)
    page.get_by_role("searchbox", name="Search in Service").fill("12")
    expect(services.get_by_role("treeitem")).to_have_count(1)


def test_the_address_brings_the_view_back(page: Page, library: Server) -> None:
    ask(page, library)
    value(page, "Storage").locator(".name").first.click()
    found(page, 22)
    settled(page)
    page.get_by_role("button", name="Page 2").click()
    expect(page.locator(".hits")).to_have_attribute("start", "11")
    settled(page)
    page.reload()
    found(page, 22)
    expect(page.locator(".hits")).to_have_attribute("start", "11")
    expect(value(page, "Storage")).to_have_attribute("aria-checked", "true")
    page.get_by_role("link", name="Overview").first.click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("link", name="Search").first.click()
    found(page, 22)


def test_documents_are_shown_as_text_and_nothing_else(page: Page, library: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    ask(page, library)
    page.locator("button.open").first.click()
    text = page.get_by_role("region", name="Text of")
    expect(text).to_contain_text("<img src=x onerror=")
    page.get_by_role("button", name="Close ").click()
    expect(text).to_have_count(0)
    page.get_by_role("tab", name="Map").click()
    settled(page)
    assert page.title() != "owned"
    assert {urlsplit(url).hostname for url in asked if url.startswith("http")} == {"127.0.0.1"}
    assert page.locator("a[href^='javascript']").count() == 0


def test_a_cell_of_the_matrix_is_a_selection(page: Page, library: Server) -> None:
    ask(page, library, "&search_view=Matrix")
    table = page.get_by_test_id("stDataFrame")
    expect(table).to_be_visible()
    settled(page)
    box = table.bounding_box()
    assert box is not None
    page.wait_for_function("document.querySelector('[data-testid=stDataFrame] canvas')")
    page.mouse.click(box["x"] + 260, box["y"] + 35 + 17)
    found(page, COUNTS["Databases", "User_Guides"])
    assert json.loads(parameter(page, "search_in")) == [[["Databases", "User_Guides"]]]


def test_a_bar_and_bounds_are_a_range(page: Page, library: Server) -> None:
    ask(page, library, "&search_view=Distribution")
    bars = page.locator(".js-plotly-plot .point")
    expect(bars.first).to_be_visible()
    settled(page)
    box = bars.first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] - 5)
    found(page, len(COUNTS))  # each kind's first document is of 2010
    assert parameter(page, "search_ranges") == "api_version_year:2010..2010"
    last = page.get_by_label("To", exact=True)
    last.fill("2012")
    last.press("Enter")
    found(page, sum(min(count, 3) for count in COUNTS.values()))
    page.get_by_role("button", name="2010 to 2012").click()
    found(page, FOUND)


def test_results_and_counts_are_downloaded(page: Page, library: Server) -> None:
    ask(page, library)
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as results:
        page.get_by_role("button", name="Results as JSON").click()
    assert len(json.loads(results.value.path().read_text())) == FOUND
    with page.expect_download() as counts:
        page.get_by_role("button", name="Counts as CSV").click()
    lines = counts.value.path().read_text().splitlines()
    assert "Technology › Document type,Storage,User_Guides,16" in lines


def serious(page: Page) -> list[tuple[str, str]]:
    """Return what axe finds that keeps people out."""
    return [
        (violation["id"], violation["nodes"][0]["html"])
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in {"serious", "critical"} and violation["id"] not in UPSTREAM
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["Results", "Matrix", "Map", "Distribution", "As+code"])
def test_every_view_is_accessible_and_fits(
    page: Page, library: Server, view: str, scheme: str
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 390, "height": 844})
    selected = "%5B%5B%5B%22Storage%22%2C%22User_Guides%22%5D%5D%5D"
    address = f"search_q=encrypt&search_view={view}&search_in={selected}"
    open_page(page, f"{library.url}/search?{address}")
    found(page, 16)
    page.get_by_role("button", name="Facets (1 selected)").click()
    expect(value(page, "Storage")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not serious(page)
