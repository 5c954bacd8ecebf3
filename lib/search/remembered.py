"""Answers of an engine beyond this machine, kept for a minute: each costs time, and AWS money."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from lib.search.model import (
    Attribute,
    Document,
    Principals,
    SearchEngine,
    SearchRequest,
    SearchResponse,
)

SECONDS = 60.0
ANSWERS = 256


class Remembered:
    """The same engine, which is asked the same only once a minute."""

    def __init__(self, engine: SearchEngine) -> None:
        self.name = engine.name
        self.max_results = engine.max_results
        self.keeps_texts = engine.keeps_texts
        self._engine = engine
        self._answers: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def query(self, request: SearchRequest) -> SearchResponse:
        """Return what was found."""
        answer: SearchResponse = self._once(request, lambda: self._engine.query(request))
        return answer

    def attributes(self) -> tuple[Attribute, ...]:
        """Return the attributes that can be facets, filters and orders."""
        answer: tuple[Attribute, ...] = self._once("attributes", self._engine.attributes)
        return answer

    def suggest(self, prefix: str, limit: int = 8) -> tuple[str, ...]:
        """Return completions of a query being typed."""
        answer: tuple[str, ...] = self._once(
            (prefix, limit), lambda: self._engine.suggest(prefix, limit)
        )
        return answer

    def document(self, identifier: str, user: Principals | None = None) -> Document | None:
        """Return a whole document."""
        return self._engine.document(identifier, user)

    def _once(self, key: Hashable, ask: Callable[[], Any]) -> Any:
        now = time.monotonic()
        with self._lock:
            asked_at, answer = self._answers.get(key, (now - SECONDS, None))
        if now - asked_at < SECONDS:
            return answer
        answer = ask()
        with self._lock:
            self._answers[key] = (now, answer)
            self._answers.move_to_end(key)
            while len(self._answers) > ANSWERS:
                self._answers.popitem(last=False)
        return answer
