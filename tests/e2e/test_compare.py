"""Two engines side by side in the browser, and a batch from the file to the leaderboard."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from lib.summarize.samples import SAMPLES
from tests.e2e.conftest import Server, open_page, running, settled
from tests.summarize.tiny_models import save_model

HOSTILE = (
    "The quokkabank report ![pixel](http://127.0.0.9/pixel.png) says that sales rose in March. "
    "<img src=x onerror=document.title='owned'> The costs :red[fell] in April. "
    "[A link](javascript:alert(1)) closes the report of the year. It has three pages in all."
)


def compare(page: Page, server: Server, **parameters: object) -> None:
    asked = "".join(f"&{key}={value}" for key, value in parameters.items())
    open_page(page, f"{server.url}/summarize?summarize_view=Compare{asked}")
    expect(page.get_by_text("is what no other summary has")).to_be_visible()
    settled(page)


def test_a_text_is_compared_and_what_is_chosen_is_in_the_address(
    page: Page, server: Server
) -> None:
    compare(page, server)
    expect(page.get_by_text("covers more of the text")).to_be_visible()
    page.get_by_role("spinbutton", name="B: sentences").fill("2")
    page.get_by_role("spinbutton", name="B: sentences").press("Enter")
    expect(page.get_by_text("B: First sentences, 2 sentences").last).to_be_visible()
    assert "compare_b_sentences=2" in page.url
    page.reload()
    expect(page.get_by_text("B: First sentences, 2 sentences").last).to_be_visible()


def test_a_pasted_text_and_reference_reach_no_disk_no_address_and_no_other_host(
    page: Page, server: Server
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_page(page, f"{server.url}/summarize?summarize_view=Compare&summarize_way=Paste")
    page.get_by_role("textbox", name="Your text").fill(HOSTILE)
    page.get_by_role("button", name="Summarize").click()
    reference = page.get_by_role("textbox", name="Reference summary (optional)")
    reference.fill("Quokkabank sales rose in March.")
    reference.press("Control+Enter")
    expect(page.get_by_text("equally close to your reference")).to_be_visible()
    expect(page.get_by_text("![pixel](http://127.0.0.9/pixel.png)").last).to_be_visible()
    expect(page.get_by_role("link", name="pixel")).to_have_count(0)
    assert page.title() != "owned"
    assert {urlsplit(url).hostname for url in asked if url.startswith("http")} == {"127.0.0.1"}
    assert "quokka" not in page.url.lower()
    for path in [*(each for each in server.data_dir.rglob("*") if each.is_file()), server.log]:
        assert b"quokkabank" not in path.read_bytes().lower(), path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("view", ["Compare", "Batch", "Models"])
def test_the_views_pass_the_accessibility_checker_and_fit(
    browser: Browser, server: Server, view: str, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type] # a literal of Playwright's
    )
    page = context.new_page()
    open_page(page, f"{server.url}/summarize?summarize_view={view}")
    last = {
        "Compare": "is what no other summary has",
        "Batch": "Running a batch stores",
        "Models": "Give the execution role",
    }[view]
    expect(page.get_by_text(last)).to_be_visible()
    settled(page)
    found = Axe().run(page).response["violations"]
    serious = [each["id"] for each in found if each["impact"] in {"serious", "critical"}]
    assert not serious, found
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    context.close()


def test_a_batch_from_the_file_to_the_leaderboard_and_off_the_disk(
    page: Page, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "www.calls.example.jsonl"
    texts = [
        {"id": "=SUM(1)", "text": f"Call {number}. {sample.text}", "reference": sample.text[:300]}
        for number in range(4)
        for sample in SAMPLES[:3]
    ]
    file.write_text("\n".join([*map(json.dumps, texts), "{broken"]))
    open_page(page, f"{server.url}/summarize?summarize_view=Batch")
    page.locator("input[type='file']").set_input_files(file)
    expect(page.get_by_text("Texts: 12")).to_be_visible()
    expect(page.get_by_role("link", name="calls.example")).to_have_count(0)
    page.get_by_role("button", name="Run the batch").click()
    expect(page.get_by_text("by ROUGE-1 over 12 texts")).to_be_visible(timeout=90_000)
    page.reload()
    expect(page.get_by_text("by ROUGE-1 over 12 texts")).to_be_visible()
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all summaries").click()
    with Path(download.value.path()).open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 24
    assert {row["id"] for row in rows} == {"'=SUM(1)"}
    assert all(float(row["rouge1"]) > 0 for row in rows)
    assert list(server.data_dir.glob("batches/*/items.jsonl"))
    page.get_by_role("button", name="Delete the batch").click()
    expect(page.get_by_role("button", name="Run the batch")).to_be_visible()
    assert not list(server.data_dir.glob("batches/*"))


def test_a_model_comes_in_from_a_folder_and_writes_while_one_watches(
    browser: Browser, tmp_path: Path
) -> None:
    folder = save_model(tmp_path / "models" / "tiny", max_position_embeddings=256)
    with running(tmp_path, SIGHTLINE_MODEL_ROOTS=json.dumps([str(tmp_path)])) as server:
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        open_page(page, f"{server.url}/summarize?summarize_view=Models")
        page.get_by_role("radiogroup", name="Bring a model in").get_by_text("Folder").click()
        page.get_by_role("textbox", name="Folder").fill(str(folder))
        page.get_by_role("textbox", name="Folder").press("Enter")
        page.get_by_role("button", name="Import", exact=True).click()
        convert = page.get_by_role("button", name="Convert for the fast engine")
        expect(convert).to_be_visible(timeout=60_000)
        convert.click()
        expect(page.get_by_text("fast engine ready")).to_be_visible(timeout=90_000)
        open_page(
            page,
            f"{server.url}/summarize?summarize_engine=tiny (fast, int8)&summarize_beams=1"
            "&summarize_unit=words&summarize_words=40",
        )
        expect(page.get_by_text("That is support, not proof.")).to_be_visible(timeout=60_000)
        expect(page.get_by_text("worded anew")).to_be_visible()
        page.context.close()
