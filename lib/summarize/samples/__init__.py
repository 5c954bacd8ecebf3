"""Sample texts, written for Sightline: what the page opens with before anything is pasted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One sample text: its title and the file that holds it."""

    title: str
    file: str

    @property
    def text(self) -> str:
        """Return the sample's text."""
        return (Path(__file__).parent / self.file).read_text(encoding="utf-8")


SAMPLES = (
    Sample("Earnings call", "earnings_call.txt"),
    Sample("Report on late buses", "report.txt"),
    Sample("Support call", "support_call.txt"),
    Sample("Bericht (German)", "bericht.txt"),
)
