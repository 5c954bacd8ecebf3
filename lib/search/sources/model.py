"""Where documents come from: one protocol for every source, and the changes it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from lib.search.model import Document

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Changed:
    """A document that is new or no longer what was indexed."""

    document: Document
    fingerprint: str  # what `changes` wants to be told next time


@dataclass(frozen=True)
class Removed:
    """A document that the source no longer has."""

    id: str


@dataclass(frozen=True)
class Skipped:
    """A file that could not be read; its last good version, if any, stays."""

    name: str
    reason: str  # a sentence


Change = Changed | Removed | Skipped


class Source(Protocol):
    """A place that documents come from."""

    @property
    def name(self) -> str:
        """Return what tells this source from all others."""
        ...

    def changes(self, known: Mapping[str, str], progress: Progress = ...) -> Iterator[Change]:
        """Yield what differs from the documents known, which map ids to fingerprints.

        Raises `SourceError` or `AwsError` with a sentence where the source cannot be reached.
        """
        ...


class SourceError(Exception):
    """A source that cannot be read at all; the message is a sentence for people."""


def no_progress(_fraction: float) -> None:
    """Ignore how far a source is."""
