"""A real server with a real worker, and Debian's chromium in front of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from lib.settings import ROOT

READY = "[data-test-script-state='notRunning'][data-test-connection-state='CONNECTED']"

expect.set_options(timeout=20_000)


@dataclass(frozen=True)
class Server:
    """A running Sightline: its address, its data folder and everything it printed."""

    url: str
    data_dir: Path
    log: Path


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Server]:
    """Run web and worker on a free port with their data in the folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "server.log"
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("AWS_", "SIGHTLINE_"))
    }
    env = kept | {
        "SIGHTLINE_DATA_DIR": str(folder / "var"),
        "SIGHTLINE_USERS_FILE": str(folder / "users.yaml"),
        "SIGHTLINE_PORT": str(port),
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(folder),
        **environment,
    }
    with log.open("w") as output:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", module], cwd=ROOT, env=env, stdout=output, stderr=output
            )
            for module in ("lib.serve", "lib.jobs")
        ]
        try:
            _wait_until_healthy(f"http://127.0.0.1:{port}/healthz", processes[0], log)
            yield Server(f"http://127.0.0.1:{port}", folder / "var", log)
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            threading.Event().wait(0.25)
    raise AssertionError(f"The server did not become healthy:\n{log.read_text()}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


def open_page(page: Page, url: str) -> None:
    """Open an address and wait until the page has run."""
    page.goto(url)
    settled(page)


def settled(page: Page) -> None:
    """Wait until no script runs and nothing is a placeholder any more."""
    expect(page.locator(f"[data-testid='stApp']{READY}")).to_be_visible()
    expect(page.locator("[data-testid='stSkeleton']")).to_have_count(0)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own whose sample detector is let learn."""
    with running(tmp_path_factory.mktemp("shop")) as started:
        yield started


def learnt(page: Page, server: Server) -> None:
    """Open the anomalies of the sample, once it has learnt."""
    open_page(page, f"{server.url}/anomalies")
    expect(page.get_by_text("of severity 50 or more")).to_be_visible(timeout=90_000)
    settled(page)
