"""The training journey: a verdict, a closer look, and two runs trained here and compared."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Server, open_page, settled


def test_a_box_on_the_timeline_looks_closer(page: Page, server: Server) -> None:
    open_page(page, f"{server.url}/training")
    expect(page.get_by_text("Of 38 steps: data 58%")).to_be_visible()
    open_page(page, f"{server.url}/training?training_view=Timeline")
    chart = page.locator(".js-plotly-plot").first
    expect(chart).to_be_visible()
    settled(page)
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"], steps=5)
    page.mouse.up()
    expect(page.get_by_role("button", name="Whole run")).to_be_visible()
    page.get_by_role("button", name="Whole run").click()
    expect(page.get_by_role("button", name="Whole run")).to_have_count(0)


def test_two_runs_are_trained_here_and_compared(page: Page, server: Server) -> None:
    open_page(page, f"{server.url}/training?training_view=Runs")
    settled(page)
    page.get_by_role("button", name="Train now").click()
    compare = page.get_by_role("button", name="Compare the two")
    expect(compare).to_be_visible(timeout=120_000)
    compare.click()
    expect(page.get_by_text("it is faster, most of all in data")).to_be_visible()
    expect(page.get_by_text("loader: slow → fast")).to_be_visible()
