"""The anomalies journey: the sample learns, an event is judged and linked, a file is watched."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Server, learnt, open_page, settled


def test_the_sample_learns_and_shows_its_events(page: Page, shop: Server) -> None:
    learnt(page, shop)
    expect(page.get_by_text("sample data")).to_be_visible()
    page.get_by_role("combobox", name="Measure").click()
    page.get_by_role("option", name="visits").click()
    settled(page)
    expect(page.get_by_text("Which values it comes from")).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()


def test_an_event_is_judged_and_taken_back(page: Page, shop: Server) -> None:
    learnt(page, shop)
    page.get_by_role("combobox", name="Measure").click()
    page.get_by_role("option", name="visits").click()
    settled(page)
    page.get_by_role("button", name="No, as usual").click()
    expect(page.get_by_text(": as usual")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("taken back by")).to_be_visible()


def test_a_link_shows_the_same_view(page: Page, shop: Server) -> None:
    learnt(page, shop)
    count = page.get_by_text("of severity 50 or more")
    of_all = count.inner_text()
    page.get_by_role("textbox", name="Find").fill("DE")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("anomalies_text=DE"))
    expect(count).not_to_have_text(of_all)
    settled(page)
    found = count.inner_text()
    page.reload()
    expect(count).to_have_text(found)


def test_a_file_is_set_up_and_looked_at(page: Page, shop: Server, tmp_path: Path) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    lines = ["when,shop,amount"]
    for hour in range(24 * 30):
        amount = 100 + 40 * (hour % 24 > 8) + hour % 7
        lines.append(f"{start + timedelta(hours=hour):%Y-%m-%d %H:%M},a,{amount}")
        lines.append(f"{start + timedelta(hours=hour):%Y-%m-%d %H:%M},b,{amount * 3}")
    lines[-100] = lines[-100].rpartition(",")[0] + ",9000"
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(lines) + "\n")
    open_page(page, f"{shop.url}/anomalies?anomalies_view=New+detector")
    page.locator("input[type=file]").set_input_files(path)
    page.get_by_role("button", name="Read the columns").click()
    expect(page.get_by_text("2. What do the columns mean?")).to_be_visible()
    page.get_by_role("textbox", name="Name").fill("Sales")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("looks back", exact=True)).to_be_visible()
    expect(page.get_by_text("of severity 50 or more")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("9,000", exact=True).first).to_be_visible()
