"""Tiny models, saved and converted once; one thread, as two only wait for each other here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lib.summarize import abstractive, ctranslate2_model


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abstractive, "processors", lambda: 1)
    monkeypatch.setattr(ctranslate2_model, "processors", lambda: 1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a random model of a kind."""
    from tests.summarize.tiny_models import KINDS, save_model

    root = tmp_path_factory.mktemp("tiny-models")
    folders = {kind: save_model(root / kind, kind) for kind in KINDS}
    return folders.__getitem__
