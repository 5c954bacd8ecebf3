"""The causes journey: an anomaly is explained, and so is a file of a system's parts."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.causes.systems import two_services
from tests.e2e.conftest import Server, learnt, open_page, settled


def test_an_anomaly_is_explained_and_its_link_kept(page: Page, shop: Server) -> None:
    learnt(page, shop)
    open_page(page, f"{shop.url}/causes")
    expect(page.get_by_text("what was expected,")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("explains")).not_to_have_count(0)
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    expect(page.get_by_text("would have been")).to_be_visible()
    settled(page)
    address = page.url
    told = page.get_by_text("what was expected,").inner_text()
    open_page(page, address)
    expect(page.get_by_text("what was expected,")).to_have_text(told)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download JSON").click()
    assert "attribution" in Path(saved.value.path()).read_text()


def test_the_part_at_fault_is_found_in_a_file(page: Page, shop: Server, tmp_path: Path) -> None:
    file = tmp_path / "system.csv"
    file.write_text(two_services(1))
    open_page(page, f"{shop.url}/causes")
    settled(page)
    page.get_by_text("A file of yours").click()
    settled(page)
    page.locator("input[type=file]").set_input_files(file)
    settled(page)
    page.get_by_role("combobox", name="Measure", exact=True).click()
    page.get_by_role("option", name="milliseconds").click()
    settled(page)
    begin = page.get_by_role("combobox", name="From")
    begin.fill("13 Jan 2026, 11:00")
    begin.press("Enter")
    settled(page)
    page.get_by_text("Series that call each other").click()
    calls = page.get_by_role("textbox", name="Calls, one a line")
    calls.fill("site → pay")
    calls.press("Control+Enter")
    settled(page)
    part = page.get_by_role("combobox", name="That suffers")
    part.fill("site")
    part.press("Enter")
    expect(page.get_by_text("pay is at fault")).to_be_visible()
