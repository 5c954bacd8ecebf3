"""The alerts journey: an alert is written while its effect shows, kept, edited and taken back."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Server, learnt, open_page, settled


def test_an_alert_is_written_tried_on_the_past_and_kept(page: Page, shop: Server) -> None:
    learnt(page, shop)
    open_page(page, f"{shop.url}/alerts?alerts_view=Editor")
    before = page.get_by_text("past anomalies would have been sent")
    expect(before).to_be_visible()
    of_all = before.inner_text()
    name = page.get_by_role("textbox", name="Name").first
    name.fill("events-in-Germany")
    name.press("Enter")
    settled(page)
    page.get_by_role("button", name="marketplace").click()
    settled(page)
    page.get_by_role("combobox", name="Values of marketplace").click()
    page.get_by_role("option", name="DE", exact=True).click()
    settled(page)
    expect(page.get_by_text("marketplace is DE")).to_be_visible()
    expect(before).not_to_have_text(of_all)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("is saved")).to_be_visible()
    open_page(page, f"{shop.url}/alerts")
    expect(page.get_by_text("marketplace is DE")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No alert yet")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("marketplace is DE")).to_be_visible()
