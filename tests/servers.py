"""Throw-away PostgreSQL and Redis servers for the tests, in a folder of their own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from redis import Redis, RedisError

PATIENCE = 2400  # tries of a twentieth of a second


@contextmanager
def postgres() -> Iterator[str]:
    """Yield the URL of an empty PostgreSQL server; skip the test where none is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        pytest.skip("PostgreSQL's server is not installed")
    user = _unprivileged_user()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if user is not None:
            shutil.chown(folder, user)
        data = str(folder / "data")
        subprocess.run(  # the installed server, our own arguments
            [initdb, "-D", data, "-U", "sightline", "--auth=trust", "--no-sync", "-E", "UTF8"],
            user=user,
            cwd=folder,
            check=True,
            capture_output=True,
        )
        port = free_port()
        command = [str(Path(initdb).with_name("postgres")), "-D", data, "-p", str(port)]
        command += ["-k", name, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        url = f"postgresql://sightline@127.0.0.1:{port}/postgres"
        with _running(command, folder, user):
            wait_until(lambda: _answers_postgres(url))
            yield url


@contextmanager
def redis() -> Iterator[str]:
    """Yield the URL of an empty Redis server; skip the test where none is installed."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with tempfile.TemporaryDirectory() as folder, _running(command, Path(folder), None):
        client = Redis(port=port)
        wait_until(lambda: _answers_redis(client))
        client.close()
        yield f"redis://127.0.0.1:{port}/0"


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def wait_until(condition: Callable[[], bool]) -> None:
    """Return as soon as the condition holds; fail after two minutes of asking."""
    for _ in range(PATIENCE):
        if condition():
            return
        threading.Event().wait(0.05)
    pytest.fail("What the test waits for did not happen.")


def _unprivileged_user() -> str | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")


@contextmanager
def _running(command: list[str], folder: Path, user: str | None) -> Iterator[None]:
    process = subprocess.Popen(  # the installed server, our own arguments
        command, cwd=folder, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _answers_postgres(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def _answers_redis(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False
