from __future__ import annotations

import shlex
from fnmatch import fnmatch
from pathlib import Path

import pytest

from lib.settings import ROOT


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions with continued lines joined."""
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return [(keyword.upper(), rest) for keyword, rest in steps]


def arguments(keyword: str) -> list[str]:
    return [rest for name, rest in instructions() if name == keyword]


def copied_sources() -> list[str]:
    return [source for rest in arguments("COPY") for source in shlex.split(rest)[:-1]]


def reaches_the_build(path: str) -> bool:
    """Tell whether .dockerignore lets a path through: the last pattern that fits decides."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = True
    for line in (line for line in lines if line and not line.startswith("#")):
        pattern = line.removeprefix("!").removeprefix("**/")
        parents = [path, *(str(parent) for parent in Path(path).parents)]
        if any(
            fnmatch(parent, pattern) or fnmatch(Path(parent).name, pattern) for parent in parents
        ):
            allowed = line.startswith("!")
    return allowed


def test_it_runs_as_an_unprivileged_user() -> None:
    names = [name for name, _ in instructions()]
    (user,) = arguments("USER")
    assert int(user) > 0
    assert names.index("USER") < names.index("CMD")
    assert all(name not in {"RUN", "COPY", "ADD"} for name in names[names.index("USER") :])


def test_it_copies_only_what_it_names() -> None:
    assert not arguments("ADD")
    assert "." not in copied_sources()
    assert ".streamlit" not in copied_sources()
    assert all((ROOT / source).exists() for source in copied_sources() if "require" not in source)


@pytest.mark.parametrize(
    "secret",
    [
        ".streamlit/secrets.toml",
        ".streamlit/users.yaml",
        ".env",
        ".git/config",
        "var/sightline.db",
        ".venv/bin/python",
    ],
)
def test_no_secret_reaches_the_build(secret: str) -> None:
    assert not reaches_the_build(secret)


def test_what_it_copies_reaches_the_build() -> None:
    assert all(reaches_the_build(source) for source in copied_sources())
    assert reaches_the_build("lib/serve.py")


def test_it_writes_to_a_volume_and_tells_its_health() -> None:
    environment = " ".join(arguments("ENV"))
    assert arguments("VOLUME") == ["/data"]
    assert "SIGHTLINE_DATA_DIR=/data" in environment
    assert "/healthz" in arguments("HEALTHCHECK")[0]
    assert not any(word in environment.upper() for word in ("SECRET", "PASSWORD", "COOKIE_KEY"))
