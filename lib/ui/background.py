"""Work of one browser session in a thread of the web process, for what must not touch a disk.

Unlike a job it is gone with the session; a rerun or a change of page finds it again.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from threading import Event
from typing import Generic, TypeVar

import streamlit as st

from lib.summarize.long_text import Step
from lib.summarize.model import StoppedError
from lib.ui import resources
from lib.ui.markdown import escape

AT_ONCE_S = 1.0  # what ends within it never shows a progress bar
POLL_S = 0.5

Result = TypeVar("Result")


@dataclass
class Progress:
    """How far some work is; written by its thread, read by the page."""

    fraction: float = 0.0
    step: str = ""
    written: str = ""
    _stop: Event = field(default_factory=Event)

    def report(self, fraction: float, step: str) -> None:
        """Take the fraction done (0 to 1) and the name of the step."""
        self.fraction, self.step = fraction, step

    def tell(self, step: Step) -> None:
        """Take a step of a summary, with what is written so far."""
        self.fraction, self.step, self.written = step.fraction, step.name, step.draft

    def cancelled(self) -> bool:
        """Tell whether the user wants the work to stop."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """Ask the work to stop."""
        self._stop.set()


Work = Callable[[Progress], Result]


@dataclass(frozen=True)
class _Run(Generic[Result]):
    made_from: Hashable
    progress: Progress
    future: Future[Result]


def follow(
    name: str, made_from: Hashable, work: Work[Result], *, by_model: bool = False
) -> Result | None:
    """Return what the work gives, None while it goes on; then its progress is drawn here.

    Holds one result a name: it is done again only when it would be made from other things, and
    then, or when the session is gone, what still runs is told to stop. What a model does waits for
    other models alone. Raises what the work raises; a `StoppedError` is drawn.
    """
    key = f"running.{name}"
    run: _Run[Result] | None = st.session_state.get(key)
    if run is None or run.made_from != made_from:
        if run is not None:
            run.progress.cancel()
        progress = Progress()
        run = _Run(made_from, progress, resources.threads(by_model=by_model).submit(work, progress))
        weakref.finalize(run, progress.cancel)  # the session alone holds it
        st.session_state[key] = run
        with st.spinner("Working …"):
            wait([run.future], AT_ONCE_S)
    if not run.future.done():
        st.fragment(_show_progress, run_every=POLL_S)(run, key)
        return None
    try:
        return run.future.result()
    except StoppedError:
        st.info("Stopped before it ended.", icon=":material/info:")
        if st.button("Start again", icon=":material/replay:", key=f"{key}.again"):
            del st.session_state[key]
            st.rerun()
        return None


def _show_progress(run: _Run[Result], key: str) -> None:
    if run.future.done():
        st.rerun()
    progress = run.progress
    waiting = progress.step or "Waiting for its turn"
    st.progress(min(1.0, max(0.0, progress.fraction)), text=escape(waiting))
    if progress.written:
        st.text(progress.written)
    if progress.cancelled():
        st.caption("Stopping …")
    elif st.button("Cancel", icon=":material/close:", key=f"{key}.cancel"):
        progress.cancel()
        st.rerun(scope="fragment")
