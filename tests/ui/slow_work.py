"""Work that goes on until a test lets it end."""

from __future__ import annotations

from threading import Event

from lib.summarize.long_text import Step
from lib.summarize.model import StoppedError, TextError
from lib.ui.background import Progress

GO, STARTED = Event(), Event()


def wait_for_go(progress: Progress) -> str:
    progress.tell(Step(0.5, "Reading part 1 of 2", "Written *so far*"))
    STARTED.set()
    while not GO.wait(0.01):
        if progress.cancelled():
            raise StoppedError("Stopped.")
    return "all of it"


def refuse(progress: Progress) -> str:
    progress.report(0.1, "Looking")
    raise TextError("The text is one word.")
