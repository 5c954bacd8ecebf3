"""Search: documents by words and hierarchical facets, with exact nested counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lib.search.collections import AWS_DOCUMENTATION, index_folder
from lib.settings import Settings

if TYPE_CHECKING:
    from lib.search.engine import EmbeddedSearch

ENGINE_NAME = "Columnar index"  # known before the engine, whose loops take time to load


def open_search(settings: Settings, collection_id: str = AWS_DOCUMENTATION.id) -> EmbeddedSearch:
    """Return the engine over a collection's index on this machine; raises `IndexDamaged`."""
    from lib.search.engine import EmbeddedSearch
    from lib.search.index import open_index

    return EmbeddedSearch(open_index(index_folder(settings, collection_id)))
