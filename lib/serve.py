"""The production entry, `python -m lib.serve`: Streamlit's app behind the product's own HTTP rules.

Around `Home.py` it adds what Streamlit leaves to a proxy: security headers, compressed scripts,
checks of Host and Origin, a health check, and a start that leaves no request unguarded.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import gzip
import hashlib
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from http import HTTPStatus
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import streamlit
import uvicorn
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config
from streamlit.runtime import Runtime
from streamlit.runtime.pages_manager import PagesManager

from lib.identity import ConfigurationError, check_exposure
from lib.metrics.bands import warm as warm_bands
from lib.settings import ROOT, Settings, settings
from lib.store import Store, open_store

FRONTEND = Path(streamlit.__file__).parent / "static"
COMPRESSED_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
FOREVER = "public, immutable, max-age=31536000"  # names of these files hold a digest
A_WEEK = "public, max-age=604800"
ASK_AGAIN = "no-cache"
REVALIDATED = ("/_stcore/bidi-components/", "/app/static/")
FRAMED = "/component/"  # Streamlit's first kind of components: pages in frames
CLOSED = frozenset({"/_stcore/metrics", "/_stcore/script-health-check"})

# Imported before the first visitor: a rerun's garbage collection would walk them every time.
HEAVY_IMPORTS = ("boto3", "pandas", "plotly.graph_objects", "plotly.io", "pyarrow.pandas_compat")
WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 addresses that name no host, not bound here
FREEZE_INTERVAL_S = 5
STOP_WITHIN_S = 3
PING_S = 30

REFUSED = 2  # exit codes
NEVER_STARTED = 3


class SecurityHeaders:
    """Adds the headers that tell a browser what this app never does."""

    def __init__(self, app: ASGIApp, page: Path, framed_page: Path) -> None:
        self.app = app
        self.headers = security_headers(page)
        self.framed_headers = security_headers(framed_page, framed=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does, with the headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        framed = scope["path"].startswith(FRAMED)
        added = self.framed_headers if framed else self.headers
        forwarded = Headers(scope=scope).get("x-forwarded-proto", scope["scheme"])
        secure = forwarded.split(",")[0].strip() == "https"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(added)
                if secure:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
                    message["headers"] = [_for_https_only(pair) for pair in message["headers"]]
            await send(message)

        await self.app(scope, receive, send_with_headers)


class SameOrigin:
    """Refuses what a page of another site asks for, and paths that are not for visitors.

    Streamlit alone would look up this machine's public address to judge an unknown Origin.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403 or 404."""
        if scope["type"] in {"http", "websocket"}:
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin is not None and urlsplit(origin).netloc != headers.get("host"):
                await PlainTextResponse("Foreign origin", HTTPStatus.FORBIDDEN)(
                    scope, receive, send
                )
                return
            if scope["path"] in CLOSED:
                await PlainTextResponse("Not found", HTTPStatus.NOT_FOUND)(scope, receive, send)
                return
        await self.app(scope, receive, send)


class CompressedFrontend:
    """Serves Streamlit's scripts and styles from memory, each compressed once."""

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self.app = app
        self.files = {
            f"/{path.relative_to(folder).as_posix()}": path
            for path in (folder / "static").rglob("*")
            if path.suffix in COMPRESSED_KINDS
        }
        self.compressed = cache(_compress)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for a known file and a browser that takes gzip; else pass the request on."""
        path = self.files.get(scope["path"]) if _is_get(scope) else None
        headers = Headers(scope=scope) if path else Headers()
        if path is None or "gzip" not in headers.get("accept-encoding", ""):
            await self.app(scope, receive, send)
            return
        body = await run_in_threadpool(self.compressed, path)
        response = _unless_known(headers, body, FOREVER)
        response.headers["Vary"] = "Accept-Encoding"
        if response.status_code == HTTPStatus.OK:
            response.headers["Content-Encoding"] = "gzip"
            response.headers["Content-Type"] = f"{COMPRESSED_KINDS[path.suffix]}; charset=utf-8"
        await response(scope, receive, send)


class Revalidated:
    """Gives the app's own files a validator, so that an unchanged one is not sent again."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 304 where the browser has the file already, else as the app does."""
        if not _is_get(scope) or not scope["path"].startswith(REVALIDATED):
            await self.app(scope, receive, send)
            return
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, keep)
        start, *parts = messages
        body = b"".join(part.get("body", b"") for part in parts)
        if start["status"] == HTTPStatus.OK:
            keep_for = A_WEEK if scope["path"].endswith(".woff2") else ASK_AGAIN
            known = _unless_known(Headers(scope=scope), body, keep_for)
            if known.status_code == HTTPStatus.NOT_MODIFIED:
                await known(scope, receive, send)
                return
            MutableHeaders(scope=start).update(
                {name: known.headers[name] for name in ("etag", "cache-control")}
            )
        await send(start)
        await send({"type": "http.response.body", "body": body})


def make_app(script: Path, configured: Settings, store: Store) -> streamlit.App:
    """Return the ASGI app that serves a Streamlit script and the files around it."""
    # Else a request that comes before the first `st.navigation` may run a file of pages/ alone.
    PagesManager.uses_pages_directory = False
    app = streamlit.App(
        script,
        lifespan=_lifespan(f"http://{_netloc(configured)}"),
        routes=[Route("/healthz", _health(store))],
        middleware=[
            Middleware(
                SecurityHeaders, page=FRONTEND / "index.html", framed_page=_cookie_component()
            ),
            Middleware(
                TrustedHostMiddleware,
                allowed_hosts=host_names(configured),
                www_redirect=False,
            ),
            Middleware(SameOrigin),
            Middleware(CompressedFrontend, folder=FRONTEND),
            Middleware(Revalidated),
        ],
    )
    config.set_option("server.maxUploadSize", configured.max_upload_mb)
    return app


def security_headers(index: Path, *, framed: bool = False) -> dict[str, str]:
    """Return the headers of every answer; the index page's own inline scripts are allowed.

    A framed page may stand in a frame of our own pages, and of nobody else's.
    """
    inline = re.findall(r"<script>(.*?)</script>", index.read_text(), re.DOTALL)
    allowed = " ".join(f"'sha256-{_base64_sha256(script.encode())}'" for script in inline)
    policy = (
        "default-src 'self'",
        f"script-src 'self' 'wasm-unsafe-eval' {allowed}",
        "style-src 'self' 'unsafe-inline'",  # Streamlit styles its elements at run time
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "frame-src 'self'",
        "frame-ancestors 'self'" if framed else "frame-ancestors 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "object-src 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN" if framed else "DENY",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def _cookie_component() -> Path:
    """Return the page that sets the sign-in cookie, which streamlit-authenticator brings along."""
    page = "extra_streamlit_components/CookieManager/frontend/build/index.html"
    return Path(str(distribution("extra-streamlit-components").locate_file(page)))


def host_names(configured: Settings) -> list[str]:
    """Return the host names that the server answers to."""
    own = {configured.address, socket.gethostname()} - WILDCARDS
    return sorted({"localhost", "127.0.0.1", "[::1]", *own, *configured.allowed_hosts})


def main(arguments: list[str]) -> int:
    """Serve a script, `Home.py` unless one is named, until told to stop; return the exit code."""
    script = Path(arguments[0]).resolve() if arguments else ROOT / "Home.py"
    try:
        configured = _settings()
        check_exposure(configured)
        store = _open_store(configured)
        listener = _listen(configured)
    except ConfigurationError as error:
        sys.stderr.write(f"Sightline does not start. {error}\n")
        return REFUSED
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(script, configured, store),
            ws="websockets-sansio",
            ws_max_size=int(config.get_option("server.maxWidgetStateSize")) * 1024 * 1024,
            ws_ping_interval=PING_S,
            ws_ping_timeout=PING_S,
            ws_per_message_deflate=False,
            access_log=False,
            server_header=False,
            log_level="warning",
            timeout_graceful_shutdown=STOP_WITHIN_S,
        )
    )
    server.run(sockets=[listener])
    return 0 if server.started else NEVER_STARTED


def _settings() -> Settings:
    try:
        return settings()
    except ValidationError as error:
        # The value stays out of the message: it may be a secret.
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(f"Correct these settings: {'; '.join(wrong)}.") from None


def _open_store(configured: Settings) -> Store:
    try:
        return open_store(configured.store_url)
    except SQLAlchemyError:
        raise ConfigurationError(
            "The database cannot be opened: check SIGHTLINE_DATABASE_URL and that it is up, "
            "or for SQLite that SIGHTLINE_DATA_DIR may be written."
        ) from None


def _listen(configured: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in configured.address else socket.AF_INET
    try:
        return socket.create_server(
            (configured.address, configured.port), family=family, backlog=2048
        )
    except OSError as error:
        raise ConfigurationError(
            f"It cannot listen on {_netloc(configured)} ({error.strerror}): "
            "stop what uses the port, or set SIGHTLINE_ADDRESS and SIGHTLINE_PORT."
        ) from None


def _lifespan(
    url: str,
) -> Callable[[streamlit.App], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: streamlit.App) -> AsyncIterator[None]:
        for module in HEAVY_IMPORTS:
            import_module(module)
        # One run without a visitor: imports what Home.py needs, and registers the pages.
        runs, reason = await Runtime.instance().does_script_run_without_error()
        if not runs:
            sys.stderr.write(f"The first run of the start page failed ({reason}); see the log.\n")
        Thread(target=warm_bands, name="warm bands", daemon=True).start()
        freezing = asyncio.create_task(_freeze_what_stays())
        sys.stdout.write(f"Sightline is at {url}\n")
        sys.stdout.flush()
        yield
        freezing.cancel()

    return lifespan


async def _freeze_what_stays() -> None:
    """Take loaded modules out of garbage collection, again whenever there are new ones.

    Streamlit collects after every script run, holding the interpreter lock all the time.
    """
    frozen_modules = 0
    while True:
        if len(sys.modules) != frozen_modules:
            frozen_modules = len(sys.modules)
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        await asyncio.sleep(FREEZE_INTERVAL_S)


def _health(store: Store) -> Callable[[Request], Response]:
    def health(_request: Request) -> Response:
        try:
            with store.read() as session:
                session.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return JSONResponse({"status": "store unreachable"}, HTTPStatus.SERVICE_UNAVAILABLE)
        return JSONResponse({"status": "ok"})

    return health


def _unless_known(request: Headers, body: bytes, cache_control: str) -> Response:
    """Return 304 where the request names the body's ETag, else 200 with the body."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": cache_control}
    if etag in request.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, headers=headers)


def _compress(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), compresslevel=6, mtime=0)


def _base64_sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _is_get(scope: Scope) -> bool:
    return bool(scope["type"] == "http" and scope["method"] == "GET")


def _for_https_only(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = header
    if name.lower() == b"set-cookie" and b"; secure" not in value.lower():
        return name, value + b"; Secure"
    return name, value


def _netloc(configured: Settings) -> str:
    address = f"[{configured.address}]" if ":" in configured.address else configured.address
    return f"{address}:{configured.port}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
