"""The registry of pages: one ordered tuple that routing, guard, overview and tests read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib.identity import Role
from lib.settings import ROOT


@dataclass(frozen=True)
class Page:
    """One page: its file in `pages/`, how it is shown, and the least role that may open it."""

    file: str
    title: str
    icon: str
    role: Role
    line: str

    @property
    def path(self) -> Path:
        """Return the absolute path of the page's file."""
        return ROOT / "pages" / self.file

    @property
    def url_path(self) -> str:
        """Return the page's path in the address bar; the first page has none."""
        return "" if self.file == "overview.py" else Path(self.file).stem


OVERVIEW = Page(
    "overview.py",
    "Overview",
    ":material/home:",
    Role.VIEWER,
    "What Sightline can do here, and whether everything it needs is up.",
)
SUMMARIZE = Page(
    "summarize.py",
    "Summarize",
    ":material/short_text:",
    Role.VIEWER,
    "What does this text say, and where does it say so?",
)
SEARCH = Page(
    "search.py",
    "Search",
    ":material/search:",
    Role.VIEWER,
    "Which documents say something about it, and how many of each kind are there?",
)
ANOMALIES = Page(
    "anomalies.py",
    "Anomalies",
    ":material/monitoring:",
    Role.VIEWER,
    "Which few events in these measures matter, and which values do they come from?",
)
ALERTS = Page(
    "alerts.py",
    "Alerts",
    ":material/notifications:",
    Role.VIEWER,
    "Who is told of which anomalies, by what way, and what would have been sent?",
)
CAUSES = Page(
    "causes.py",
    "Causes",
    ":material/account_tree:",
    Role.VIEWER,
    "What drove this anomaly, by how much, and what will it hit next?",
)
RECOMMENDER = Page(
    "recommender.py",
    "Recommender",
    ":material/speed:",
    Role.VIEWER,
    "Which model on which instance or configuration, and what does it cost at my traffic?",
)
TRAINING = Page(
    "training.py",
    "Training",
    ":material/timeline:",
    Role.VIEWER,
    "Where do the time and the money of this training job go, and what would a fix save?",
)
CANVAS = Page(
    "canvas.py",
    "Canvas",
    ":material/brush:",
    Role.VIEWER,
    "How do I get into SageMaker Canvas, as myself and without the console?",
)
SETTINGS = Page(
    "settings.py",
    "Settings",
    ":material/settings:",
    Role.ADMIN,
    "Connections, engines, users and the audit log.",
)
PAGES = (
    OVERVIEW,
    SUMMARIZE,
    SEARCH,
    ANOMALIES,
    CAUSES,
    ALERTS,
    RECOMMENDER,
    TRAINING,
    CANVAS,
    SETTINGS,
)


def page_of(file: str) -> Page:
    """Return the page of a file in `pages/`; raise KeyError where it is not registered."""
    return {page.file: page for page in PAGES}[Path(file).name]
