"""The recommender journey: needs change the choice, a load test runs here and is looked at."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Server, open_page, settled

NAME = "Example+of+AWS%3A+PyTorch+compiled+with+Neo"


def test_needs_change_the_choice_and_the_link_keeps_them(page: Page, server: Server) -> None:
    open_page(page, f"{server.url}/recommender?recommender_tables={NAME}")
    expect(page.get_by_text("ml.m5.large: 2 instances")).to_be_visible()
    latency = page.get_by_role("spinbutton", name="at most, ms")
    latency.fill("200")
    latency.press("Enter")
    expect(page.get_by_text("ml.inf1.xlarge: 2 instances")).to_be_visible()
    settled(page)
    open_page(page, page.url)
    expect(page.get_by_text("ml.inf1.xlarge: 2 instances")).to_be_visible()


def test_a_load_test_runs_here_and_its_rows_are_chosen_from(page: Page, server: Server) -> None:
    open_page(page, f"{server.url}/recommender?recommender_view=Run+here")
    settled(page)
    page.get_by_text("An engine of Summarize").click()
    expect(page.get_by_text("2 configurations, about 1 minute.")).to_be_visible()
    seconds = page.get_by_role("spinbutton", name="Seconds a measurement")
    seconds.fill("1")
    seconds.press("Enter")
    repeats = page.get_by_role("spinbutton", name="Repeats")
    repeats.fill("1")
    repeats.press("Enter")
    settled(page)
    page.get_by_role("button", name="Start the load test").click()
    expect(page.get_by_text("measured 2 configurations")).to_be_visible(timeout=120_000)
    page.get_by_role("button", name="Look at them").click()
    expect(
        page.get_by_text("instances for").or_(page.get_by_text("1 instance for"))
    ).to_be_visible()
    expect(page.get_by_text("lead as it is").first).to_be_visible()
