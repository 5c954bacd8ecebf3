"""Pages: how much slower every page is than an empty one, and how many people it carries.

The peer is the bundled empty page (`bench/empty_app`), served by the same `lib.serve` in a process
of its own, in the same run: only differences travel from one machine to another.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets import Subprotocol
from websockets.asyncio.client import ClientConnection, connect

from bench.result import Row
from lib.settings import ROOT
from lib.ui.pages import PAGES

PEER = "empty page"
CHROMIUM = Path("/usr/bin/chromium")
WARM_GOAL_MS = 250
CLICK_GOAL_MS = 50
LOAD_GOAL_MS = 100
LOAD_GOAL_SESSIONS = 100
CLICK_EVERY_S = 5.0
ANSWER_WITHIN_S = 30.0
BROWSER_WAIT_MS = 20_000
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")

# From the press of the rerun shortcut until the result is painted, in milliseconds.
WATCH_RERUN = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  window.rerunMs = null;
  document.addEventListener("keydown", () => {
    const start = performance.now();
    new MutationObserver((_, observer) => {
      if (app.getAttribute("data-test-script-state") !== "notRunning") return;
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => {
        window.rerunMs = performance.now() - start;
      }));
    }).observe(app, { attributes: true, attributeFilter: ["data-test-script-state"] });
  }, { once: true, capture: true });
}"""
READY = (
    '[data-testid="stApp"][data-test-script-state="notRunning"]'
    '[data-test-connection-state="CONNECTED"]'
)


@dataclass(frozen=True)
class Effort:
    """How often, how long and with how many sessions to measure."""

    opens: int
    clicks: int
    reruns: int
    sessions: tuple[int, ...]
    load_s: float


QUICK = Effort(opens=1, clicks=3, reruns=5, sessions=(100,), load_s=6)
FULL = Effort(opens=15, clicks=30, reruns=50, sessions=(20, 50, 100), load_s=30)


@dataclass(frozen=True)
class Server:
    """A server process on loopback."""

    process_id: int
    port: int

    @property
    def cpu_s(self) -> float:
        """Return the processor seconds it has used."""
        fields = Path(f"/proc/{self.process_id}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


@dataclass(frozen=True)
class Target:
    """A page of a server, and the heading that shows it is there."""

    server: Server
    path: str
    title: str


@dataclass(frozen=True)
class Figures:
    """Median milliseconds of one page."""

    warm_open: float
    click: float
    cpu: float


def run(quick: bool) -> list[Row]:  # noqa: FBT001 the signature of every benchmark
    """Return every page against the empty page, and both under load."""
    effort = QUICK if quick else FULL
    home, empty = ROOT / "Home.py", ROOT / "bench" / "empty_app" / "Home.py"
    with _serving(home) as ours, _serving(empty) as floor:
        if CHROMIUM.exists():
            rows = _page_rows(ours, floor, effort)
        else:
            print(f"No browser at {CHROMIUM}: only the sessions are measured.")
            rows = []
        paths = [page.url_path for page in PAGES]
        for sessions in effort.sessions:
            # One after the other: together they would slow each other down.
            rows += _load_rows(
                sessions,
                asyncio.run(_load(ours, paths, sessions, effort.load_s)),
                asyncio.run(_load(floor, [""], sessions, effort.load_s)),
            )
    return rows


def _page_rows(ours: Server, floor: Server, effort: Effort) -> list[Row]:
    targets = [Target(floor, "", "Empty")]
    targets += [Target(ours, page.url_path, page.title) for page in PAGES]
    empty, *pages = _measure(targets, effort)
    rows: list[Row] = []
    for page, figures in zip(PAGES, pages, strict=True):
        rows += [
            _row(page.title, "warm open", figures.warm_open, empty.warm_open, WARM_GOAL_MS),
            _row(page.title, "rerun until painted", figures.click, empty.click, CLICK_GOAL_MS),
            _row(page.title, "server CPU per rerun", figures.cpu, empty.cpu),
        ]
    return rows


def _load_rows(sessions: int, ours: Sequence[float], floor: Sequence[float]) -> list[Row]:
    case = f"{sessions} sessions, a click each every {CLICK_EVERY_S:.0f} s, over all pages"
    goal = LOAD_GOAL_MS if sessions == LOAD_GOAL_SESSIONS else None
    p95 = _p95(ours)
    return [
        Row(
            case=case,
            metric="rerun latency p50",
            unit="ms",
            better="lower",
            ours=statistics.median(ours),
            peers={PEER: statistics.median(floor)},
        ),
        Row(
            case=case,
            metric="rerun latency p95",
            unit="ms",
            better="lower",
            ours=p95,
            peers={PEER: _p95(floor)},
            goal=f"<= {goal} ms" if goal else "",
            met=p95 <= goal if goal else None,
        ),
    ]


def _row(case: str, metric: str, ours: float, empty: float, over: int | None = None) -> Row:
    return Row(
        case=case,
        metric=metric,
        unit="ms",
        better="lower",
        ours=ours,
        peers={PEER: empty},
        goal=f"<= empty page + {over} ms" if over else "",
        met=ours - empty <= over if over else None,
    )


def _measure(targets: Sequence[Target], effort: Effort) -> list[Figures]:
    """Return the figures of each target, taken in turns so that a busy moment hits all."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        tabs = [browser.new_context().new_page() for _ in targets]
        for tab in tabs:
            tab.set_default_timeout(BROWSER_WAIT_MS)
        opens = [
            [_open(tab, target) for tab, target in zip(tabs, targets, strict=True)]
            for _ in range(effort.opens + 1)
        ]
        clicks = [[_click(tab) for tab in tabs] for _ in range(effort.clicks + 1)]
        browser.close()
    cpu = [asyncio.run(_cpu_per_rerun(target, effort.reruns)) for target in targets]
    # The first round fills the browser's cache and the server's.
    return [
        Figures(statistics.median(warm[1:]), statistics.median(click[1:]), used)
        for warm, click, used in zip(
            zip(*opens, strict=True), zip(*clicks, strict=True), cpu, strict=True
        )
    ]


def _open(tab: Page, target: Target) -> float:
    start = time.perf_counter()
    tab.goto(f"http://127.0.0.1:{target.server.port}/{target.path}", wait_until="commit")
    tab.get_by_role("heading", name=target.title, exact=True).first.wait_for()
    tab.locator(READY).wait_for()
    return (time.perf_counter() - start) * 1000


def _click(tab: Page) -> float:
    tab.evaluate(WATCH_RERUN)
    tab.keyboard.press("r")
    return float(tab.wait_for_function("() => window.rerunMs").json_value())


async def _cpu_per_rerun(target: Target, reruns: int) -> float:
    async with _session(target.server) as connection:
        page_hash = await _rerun(connection, page_name=target.path)
        before = target.server.cpu_s
        for _ in range(reruns):
            await _rerun(connection, page_hash=page_hash)
        return (target.server.cpu_s - before) / reruns * 1000


async def _load(
    server: Server, paths: Sequence[str], sessions: int, duration_s: float
) -> list[float]:
    """Return the milliseconds of every rerun of many sessions that click at their own times."""
    opened = [asyncio.Event() for _ in range(sessions)]
    everyone_there = asyncio.Event()
    visits = [
        asyncio.create_task(
            _visit(server, paths[n % len(paths)], opened[n], everyone_there, duration_s)
        )
        for n in range(sessions)
    ]
    for event in opened:
        await event.wait()
    everyone_there.set()
    return [latency for latencies in await asyncio.gather(*visits) for latency in latencies]


async def _visit(
    server: Server, path: str, opened: asyncio.Event, start: asyncio.Event, duration_s: float
) -> list[float]:
    latencies: list[float] = []
    async with _session(server) as connection:
        page_hash = await _rerun(connection, page_name=path)
        opened.set()
        await start.wait()
        clock = asyncio.get_running_loop().time
        end = clock() + duration_s
        click_at = clock() + random.uniform(0, CLICK_EVERY_S)  # noqa: S311 people are not in step
        while click_at < end:
            await asyncio.sleep(click_at - clock())
            sent = time.perf_counter()
            await _rerun(connection, page_hash=page_hash)
            latencies.append((time.perf_counter() - sent) * 1000)
            click_at += CLICK_EVERY_S
    return latencies


def _session(server: Server) -> connect:
    return connect(
        f"ws://127.0.0.1:{server.port}/_stcore/stream",
        subprotocols=[Subprotocol("streamlit")],
        max_size=None,
        open_timeout=ANSWER_WITHIN_S,
        compression=None,
    )


async def _rerun(connection: ClientConnection, page_name: str = "", page_hash: str = "") -> str:
    """Run a page as the browser asks for it, and return the page's hash."""
    request = BackMsg()
    request.rerun_script.page_name = page_name
    request.rerun_script.page_script_hash = page_hash
    await connection.send(request.SerializeToString())
    async with asyncio.timeout(ANSWER_WITHIN_S):
        while True:
            answer = ForwardMsg.FromString(await connection.recv(decode=False))
            if answer.WhichOneof("type") == "new_session":
                page_hash = answer.new_session.page_script_hash
            if answer.WhichOneof("type") == "script_finished":
                return page_hash


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


@contextmanager
def _serving(script: Path) -> Iterator[Server]:
    with (
        tempfile.TemporaryDirectory() as data,
        socket.create_server(("127.0.0.1", 0)) as reserved,
    ):
        port = reserved.getsockname()[1]
        reserved.close()
        process = subprocess.Popen(
            [sys.executable, "-m", "lib.serve", str(script)],
            cwd=ROOT,
            env=os.environ
            | {
                "SIGHTLINE_ADDRESS": "127.0.0.1",
                "SIGHTLINE_PORT": str(port),
                "SIGHTLINE_DATA_DIR": data,
                "SIGHTLINE_USERS_FILE": str(Path(data) / "none.yaml"),  # single-user mode
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            if not any("Sightline is at" in line for line in process.stdout):
                raise RuntimeError(f"{script} could not be served; see above.")
            yield Server(process.pid, port)
        finally:
            process.kill()
            process.communicate()
