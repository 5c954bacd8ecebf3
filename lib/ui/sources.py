"""Where a page's answers come from: this machine, or AWS in a region."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A place of computation and the engine that works there, as the badge shows it."""

    place: str
    engine: str
    detail: str

    @property
    def label(self) -> str:
        """Return the text of the badge."""
        return f"{self.place} · {self.engine}"

    @property
    def icon(self) -> str:
        """Return the icon of the badge."""
        return ":material/computer:" if self.place == "This machine" else ":material/cloud:"


def source(engine: str) -> Source:
    """Return the source of an engine that runs on this machine."""
    return Source(
        place="This machine",
        engine=engine,
        detail="Computed here. Nothing you enter leaves this machine.",
    )
