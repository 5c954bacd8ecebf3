"""The first journey: paste an article, get a summary whose every sentence points at its source."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from lib.summarize.samples import SAMPLES
from tests.e2e.conftest import Server, open_page, settled

CANARY = "Quokkabank raised its dividend to 4.75 dollars after the merger closed."
ARTICLE = f"{SAMPLES[1].text}\n{CANARY} The quokkabank dividend of 4.75 dollars is its highest."


def paste(page: Page, server: Server, text: str) -> None:
    open_page(page, f"{server.url}/summarize?summarize_way=Paste")
    page.get_by_role("textbox", name="Your text").fill(text)
    page.get_by_role("button", name="Summarize").click()
    settled(page)


def test_a_pasted_article_is_summarized_with_its_sources(page: Page, server: Server) -> None:
    paste(page, server, ARTICLE)
    sentences = page.locator(".choice .quote")
    expect(sentences).to_have_count(5)
    for sentence in sentences.all_inner_texts():
        assert sentence in ARTICLE
    page.locator(".choice").nth(2).click()
    expect(page.locator(".choice[aria-pressed='true']")).to_have_count(1)
    lit = page.locator(".sentence[data-rank='1']")
    expect(lit).to_have_text(sentences.nth(2).inner_text())
    expect(lit).to_be_in_viewport()


def test_a_source_sentence_leads_back_to_the_summary(page: Page, server: Server) -> None:
    paste(page, server, ARTICLE)
    last = page.locator(".sentence.used").last
    last.click()
    expect(page.locator(".choice[aria-pressed='true'] .quote")).to_have_text(last.inner_text())


def test_the_keyboard_is_enough(page: Page, server: Server) -> None:
    paste(page, server, ARTICLE)
    page.locator(".choice").nth(0).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".choice").nth(1)).to_have_attribute("aria-pressed", "true")


def test_the_view_is_in_the_address_and_the_text_is_not(page: Page, server: Server) -> None:
    paste(page, server, ARTICLE)
    page.get_by_role("spinbutton", name="Sentences").fill("3")
    page.get_by_role("spinbutton", name="Sentences").press("Enter")
    expect(page.locator(".choice")).to_have_count(3)
    assert "summarize_sentences=3" in page.url
    assert "quokka" not in page.url.lower()
    page.goto(page.url.replace("summarize_way=Paste", "summarize_way=Sample"))
    settled(page)
    expect(page.locator(".choice")).to_have_count(3)


def test_a_draft_survives_a_change_of_page(page: Page, server: Server) -> None:
    paste(page, server, ARTICLE)
    page.get_by_role("link", name="Overview").first.click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("link", name="Summarize").first.click()
    expect(page.get_by_role("textbox", name="Your text")).to_have_value(ARTICLE)


def test_the_text_is_on_no_disk_and_in_no_log(page: Page, server: Server) -> None:
    paste(page, server, ARTICLE)
    expect(page.locator(".choice")).to_have_count(5)
    written = [path for path in server.data_dir.rglob("*") if path.is_file()]
    assert written
    for path in [*written, server.log]:
        assert b"quokkabank" not in path.read_bytes().lower(), path


def test_pasted_markdown_fetches_nothing_and_runs_nothing(page: Page, server: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    hostile = (
        "The report says ![pixel](http://127.0.0.9/pixel.png) that sales rose in March. "
        "<img src=x onerror=document.title='owned'> The costs <script>document.title='owned'"
        "</script> fell in April. [A link](javascript:alert(1)) closes the report of the year."
    )
    paste(page, server, hostile)
    expect(page.locator(".sentence").first).to_be_visible()
    assert page.title() != "owned"
    assert {urlsplit(url).hostname for url in asked if url.startswith("http")} == {"127.0.0.1"}


def test_a_file_is_read_and_summarized(page: Page, server: Server, tmp_path: Path) -> None:
    report = tmp_path / "[report](x) *2026*.html"
    paragraphs = "".join(f"<p>{line}</p>" for line in SAMPLES[1].text.splitlines() if line)
    report.write_text(f"<html><nav>Menu Login</nav><body>{paragraphs}</body></html>")
    open_page(page, f"{server.url}/summarize?summarize_way=Upload")
    page.locator("input[type='file']").set_input_files(report)
    expect(page.locator(".choice")).to_have_count(5)
    expect(page.get_by_text("Read: [report](x) *2026*.html")).to_be_visible()


def test_a_broken_pdf_gets_a_sentence(page: Page, server: Server, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7\n" + b"\x00garbage" * 100)
    open_page(page, f"{server.url}/summarize?summarize_way=Upload")
    page.locator("input[type='file']").set_input_files(broken)
    expect(page.get_by_role("alert")).to_contain_text("PDF")


@pytest.mark.parametrize(
    ("text", "said"),
    [("word", "word"), ("🙂🙂🙂 🎉", "words")],
)
def test_a_text_without_sentences_gets_a_sentence_and_is_kept(
    page: Page, server: Server, text: str, said: str
) -> None:
    paste(page, server, text)
    expect(page.get_by_role("alert").first).to_contain_text(said)
    expect(page.get_by_role("textbox", name="Your text")).to_have_value(text)


def test_copying_puts_the_summary_on_the_clipboard(page: Page, server: Server) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    paste(page, server, ARTICLE)
    page.get_by_role("button", name="Copy summary").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == " ".join(page.locator(".choice .quote").all_inner_texts())


def test_the_summary_is_downloaded_as_json(page: Page, server: Server) -> None:
    paste(page, server, ARTICLE)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    data = json.loads(Path(download.value.path()).read_text())
    assert [one["text"] for one in data["sentences"]] == page.locator(
        ".choice .quote"
    ).all_inner_texts()


def test_a_table_is_downloaded_as_csv(page: Page, server: Server) -> None:
    open_page(page, f"{server.url}/settings?settings_tab=Configuration")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert Path(download.value.path()).read_text().startswith("setting,value,meaning")
