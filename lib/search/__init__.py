"""Search: documents by words and hierarchical facets, with exact nested counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lib.settings import Settings

if TYPE_CHECKING:
    from lib.search.engine import EmbeddedSearch

ENGINE_NAME = "Columnar index"  # known before the engine, whose loops take time to load
DEFAULT_SOURCE = {"kind": "aws-models"}  # as `sources.open_source` takes it


def index_folder(settings: Settings) -> Path:
    """Return the folder of the index of the default corpus."""
    return settings.data_dir / "search"


def open_search(settings: Settings) -> EmbeddedSearch:
    """Return the engine over the index of this machine; raises `IndexDamaged`."""
    from lib.search.engine import EmbeddedSearch
    from lib.search.index import open_index

    return EmbeddedSearch(open_index(index_folder(settings)))
