"""Fixtures for tests that meet AWS: an environment of their own, and the double."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.retries.standard import ExponentialBackoff

from lib.settings import Settings
from tests.aws.double import LOADER, AwsDouble

REGION = "us-east-1"
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Return a monkeypatch after hiding what of AWS lies outside the environment."""
    monkeypatch.setenv("HOME", str(tmp_path))  # ~/.boto, ~/.aws/models, ~/.aws/sso
    monkeypatch.setattr("lib.aws.MACHINE_VENDOR", tmp_path / "no-such-machine")
    monkeypatch.setattr("botocore.session.create_loader", lambda _search_path: LOADER)
    return monkeypatch


@pytest.fixture
def aws_settings(no_aws: pytest.MonkeyPatch) -> Settings:
    """Return settings with a region, in an environment with an access key."""
    no_aws.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    no_aws.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-only-for-tests")
    no_aws.setenv("AWS_REGION", REGION)
    return Settings()


@pytest.fixture
def aws_double(no_aws: pytest.MonkeyPatch) -> Iterator[AwsDouble]:
    """Return an AWS that answers in this process; retries come without a pause."""
    no_aws.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
    with AwsDouble() as double:
        yield double
