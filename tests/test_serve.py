from __future__ import annotations

import base64
import gzip
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets.exceptions
from playwright.sync_api import Browser
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from lib.serve import FRONTEND, host_names, main, security_headers
from lib.settings import ROOT, Settings

HOME = """
import streamlit as st
st.text("home ran")
st.text(f"upload={st.get_option('server.maxUploadSize')}")
st.text(f"errors={st.get_option('client.showErrorDetails')}")
def first(): st.title("First")
st.navigation([st.Page(first, default=True), st.Page("pages/secret.py")]).run()
"""
SECRET = 'import streamlit as st\nst.text("the secret page")\n'
SLOW = """
import threading
import streamlit as st
st.text("slow")
if st.context.headers:  # not in the run before the first visitor
    threading.Event().wait(60)
"""
FONT = b"wOF2" + bytes(5000)


class Served:
    """One server process and the ways to talk to it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=20)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def connect(self, **arguments: Any) -> ClientConnection:
        connection: ClientConnection = connect(
            f"{self.url.replace('http', 'ws')}/_stcore/stream",
            subprotocols=[websockets.Subprotocol("streamlit")],
            **arguments,
        )
        return connection

    def texts(self, page: str = "") -> list[str]:
        """Return what a new session's first run of a page writes with `st.text`."""
        with self.connect() as connection:
            send_rerun(connection, page)
            return list(texts_until_finished(connection))


def send_rerun(connection: ClientConnection, page: str) -> None:
    message = BackMsg()
    message.rerun_script.page_name = page
    connection.send(message.SerializeToString())


def texts_until_finished(connection: ClientConnection) -> Iterator[str]:
    while True:
        message = ForwardMsg()
        frame = connection.recv(timeout=20)
        assert isinstance(frame, bytes)
        message.ParseFromString(frame)
        kind = message.WhichOneof("type")
        if kind == "script_finished":
            return
        if kind == "delta" and message.delta.new_element.WhichOneof("type") == "text":
            yield message.delta.new_element.text.body


def write_app(folder: Path, home: str = HOME) -> Path:
    for name, content in (("Home.py", home), ("pages/secret.py", SECRET)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / "static").mkdir()
    (folder / "static" / "font.woff2").write_bytes(FONT)
    return folder / "Home.py"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def environment(data: Path, **settings: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SIGHTLINE_", "STREAMLIT_"))}
    own = {"SIGHTLINE_DATA_DIR": str(data), "SIGHTLINE_USERS_FILE": str(data / "no-users.yaml")}
    return kept | own | settings


@contextmanager
def serving(script: Path, **settings: str) -> Iterator[Served]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "lib.serve", str(script)],
        cwd=ROOT,
        env=environment(script.parent / "data", SIGHTLINE_PORT=str(port), **settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert f"Sightline is at http://127.0.0.1:{port}\n" in process.stdout
        yield Served(process, port)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return a way to start with settings that are refused, and to get what is said."""

    def said(**settings: str) -> str:
        for name, value in environment(tmp_path, **settings).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("lib.serve.settings", Settings)  # read anew, not the cached ones
        assert main([]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("Sightline does not start. ")
        return captured.err

    return said


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    script = write_app(tmp_path_factory.mktemp("app"))
    with serving(script, SIGHTLINE_MAX_UPLOAD_MB="3") as server:
        yield server


class InlineScripts(HTMLParser):
    """Collects the text of every script element without a source."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag == "script" and "src" not in dict(attrs)

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts.append(data)
            self.inside = False


@pytest.mark.parametrize("path", ["/", "/secret", "/healthz", "/_stcore/health", "/static/none.js"])
def test_every_answer_has_the_security_headers(served: Served, path: str) -> None:
    headers = served.get(path).headers
    expected = security_headers(FRONTEND / "index.html")
    assert {name: headers[name] for name in expected} == expected
    assert "Strict-Transport-Security" not in headers


def test_the_policy_allows_exactly_the_inline_scripts_of_the_index_page(served: Served) -> None:
    page = served.get("/")
    parser = InlineScripts()
    parser.feed(page.text)
    digests = [hashlib.sha256(script.encode()).digest() for script in parser.scripts]
    expected = {f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests}
    policy = page.headers["Content-Security-Policy"]
    assert len(expected) == 1
    assert set(re.findall(r"'sha256-[^']+'", policy)) == expected
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


def test_only_a_component_may_stand_in_a_frame_and_only_in_ours(served: Served) -> None:
    framed = served.get("/component/any/index.html").headers
    assert framed["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in framed["Content-Security-Policy"]
    assert "'sha256-" in framed["Content-Security-Policy"]
    assert served.get("/").headers["X-Frame-Options"] == "DENY"


def test_behind_https_the_browser_is_told_to_stay_there(served: Served) -> None:
    response = served.get("/_stcore/health", X_Forwarded_Proto="https")
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert response.headers["Set-Cookie"].endswith("; Secure")


def test_scripts_are_compressed_and_kept_by_the_browser(served: Served) -> None:
    file = largest_script()
    path = f"/static/js/{file.name}"
    for _ in range(2):
        with served.client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as response:
            raw = b"".join(response.iter_raw())
        assert gzip.decompress(raw) == file.read_bytes()
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Content-Type"].startswith("text/javascript")
        assert response.headers["Vary"] == "Accept-Encoding"
        assert "immutable" in response.headers["Cache-Control"]
    again = served.get(path, If_None_Match=response.headers["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    plain = served.get(path, Accept_Encoding="identity")
    assert "Content-Encoding" not in plain.headers
    assert plain.content == file.read_bytes()


def test_an_unchanged_file_of_the_app_is_not_sent_again(served: Served) -> None:
    first = served.get("/app/static/font.woff2")
    assert first.content == FONT
    assert "max-age" in first.headers["Cache-Control"]
    again = served.get("/app/static/font.woff2", If_None_Match=first.headers["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    assert served.get("/app/static/none.woff2").status_code == 404


def test_health_tells_that_the_store_answers(served: Served) -> None:
    response = served.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/_stcore/metrics", "/_stcore/script-health-check"])
def test_what_operators_watch_is_not_public(served: Served, path: str) -> None:
    assert served.get(path).status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost@evil"])
def test_a_foreign_host_is_refused(served: Served, host: str) -> None:
    assert served.get("/", Host=host).status_code == 400


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8501", "LOCALHOST"])
def test_loopback_names_are_answered(served: Served, host: str) -> None:
    assert served.get("/healthz", Host=host).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", ""])
def test_a_foreign_origin_is_refused(served: Served, origin: str) -> None:
    assert served.get("/_stcore/health", Origin=origin).status_code == 403
    with (
        pytest.raises(websockets.exceptions.InvalidStatus, match="403"),
        served.connect(additional_headers={"Origin": origin}),
    ):
        pass


def test_a_foreign_host_opens_no_websocket(served: Served) -> None:
    host = {"Host": "evil.example"}
    with (
        pytest.raises(websockets.exceptions.InvalidStatus, match="400"),
        served.connect(additional_headers=host),
    ):
        pass


def test_its_own_pages_open_a_websocket_and_get_the_configuration(served: Served) -> None:
    with served.connect(origin=websockets.Origin(served.url)) as connection:
        send_rerun(connection, "")
        texts = list(texts_until_finished(connection))
    assert texts == ["home ran", "upload=3", "errors=none"]


def test_a_deep_link_as_the_first_request_runs_home_first(tmp_path: Path) -> None:
    with serving(write_app(tmp_path)) as fresh:
        texts = fresh.texts("secret")
    assert texts[0] == "home ran"
    assert texts[-1] == "the secret page"


def test_a_deep_link_never_bypasses_a_home_that_fails(tmp_path: Path) -> None:
    with serving(write_app(tmp_path, "raise RuntimeError('no store')")) as fresh:
        assert "the secret page" not in fresh.texts("secret")


def largest_script() -> Path:
    return max((FRONTEND / "static" / "js").glob("*.js"), key=lambda path: path.stat().st_size)


def test_it_stops_with_browsers_open_and_a_script_that_hangs(tmp_path: Path) -> None:
    with (
        serving(write_app(tmp_path, SLOW)) as server,
        server.connect() as connection,
        socket.create_connection(("127.0.0.1", server.client.base_url.port or 0)) as reader,
    ):
        reader.sendall(
            f"GET /static/js/{largest_script().name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        assert reader.recv(15) == b"HTTP/1.1 200 OK"  # and never reads the rest
        send_rerun(connection, "")
        assert next(texts_until_finished(connection)) == "slow"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=5) in {0, -signal.SIGTERM}


def test_it_refuses_other_machines_without_sign_in(tmp_path: Path) -> None:
    everyone = "0.0.0.0"  # noqa: S104 must be refused
    done = subprocess.run(
        [sys.executable, "-m", "lib.serve"],
        cwd=ROOT,
        env=environment(tmp_path, SIGHTLINE_ADDRESS=everyone, SIGHTLINE_PORT=str(free_port())),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Sightline does not start. ")
    assert "no sign-in" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_names_a_wrong_setting_but_not_its_value(refusal: Callable[..., str]) -> None:
    said = refusal(SIGHTLINE_PORT="canary")
    assert "port" in said
    assert "canary" not in said


def test_it_says_that_the_port_is_taken(refusal: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"127.0.0.1:{port}" in refusal(SIGHTLINE_PORT=port)


def test_it_says_that_the_database_is_down_without_its_password(
    refusal: Callable[..., str],
) -> None:
    url = f"postgresql://analyst:canary@127.0.0.1:{free_port()}/sightline"
    said = refusal(DATABASE_URL=url)
    assert "SIGHTLINE_DATABASE_URL" in said
    assert "canary" not in said


def test_host_names_are_loopback_its_own_and_the_allowed() -> None:
    configured = Settings(address="10.1.2.3", allowed_hosts=("*.example.com",))
    assert {"localhost", "127.0.0.1", "[::1]", "10.1.2.3", "*.example.com"} <= set(
        host_names(configured)
    )
    assert "0.0.0.0" not in host_names(Settings(address="0.0.0.0"))  # noqa: S104 the wildcard


def test_a_browser_obeys_the_policy_and_loads_no_script_twice(
    served: Served, browser: Browser
) -> None:
    transferred = (
        "() => performance.getEntriesByType('resource')"
        ".filter(e => /\\.js$/.test(e.name)).reduce((sum, e) => sum + e.transferSize, 0)"
    )
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    sizes = []
    for _ in range(2):
        page.goto(served.url)
        page.get_by_role("heading", name="First").wait_for()
        sizes.append(page.evaluate(transferred))
    page.close()
    assert [text for text in complaints if "Content Security Policy" in text] == []
    assert sizes[0] > 0
    assert sizes[1] == 0
