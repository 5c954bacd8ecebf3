"""Every test starts with its own data folder, no users, no AWS account and empty caches."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import hypothesis
import pytest
import streamlit as st
from playwright.sync_api import Browser, sync_playwright
from streamlit.components.v2 import manifest_scanner

import lib.settings
from lib.settings import settings

CHROMIUM = shutil.which("chromium")

# A busy machine must not fail a test.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(("AWS_", "SIGHTLINE_")) or name == "DATABASE_URL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("SIGHTLINE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("SIGHTLINE_USERS_FILE", str(tmp_path / "users.yaml"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(lib.settings, "SECRETS_FILE", tmp_path / "secrets.toml")
    # Spares every AppTest a look into all installed packages: our components need no such search.
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", list)
    settings.cache_clear()
    st.cache_resource.clear()
    st.cache_data.clear()


USERS = """
credentials:
  usernames:
    ana:
      email: ana@example.org
      first_name: Ana
      last_name: Lyst
      password: {password}
      roles: [analyst]
"""
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session")
def users_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A users file with one analyst, ana, whose password is PASSWORD."""
    digest = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(12)).decode()
    path = tmp_path_factory.mktemp("users") / "users.yaml"
    path.write_text(USERS.format(password=digest))
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, one for all tests: Playwright runs once in a process."""
    if CHROMIUM is None:
        pytest.skip("Debian's chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()
