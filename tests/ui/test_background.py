"""Work in a thread of the web process: seen, stopped, found again, and never done twice."""

from __future__ import annotations

import gc
import threading

import pytest
from streamlit.testing.v1 import AppTest

from lib.ui import background, resources
from tests.ui import slow_work


def page() -> None:
    import streamlit as st

    from lib.summarize.model import TextError
    from lib.ui.background import follow
    from tests.ui.slow_work import refuse, wait_for_go

    made_from = st.text_input("Made from", "a text")
    try:
        result = follow("slow", made_from, refuse if made_from == "word" else wait_for_go)
    except TextError as error:
        st.error(str(error))
    else:
        st.caption(f"Result: {result}")


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(background, "AT_ONCE_S", 0.01)
    slow_work.GO.clear()
    slow_work.STARTED.clear()
    app = AppTest.from_function(page, default_timeout=30).run()
    assert slow_work.STARTED.wait(30)
    return app.run()


def settle(app: AppTest) -> AppTest:
    for _ in range(200):
        if not app.get("progress"):
            return app
        threading.Event().wait(0.05)
        app.run()
    pytest.fail("The work does not end.")


def test_step_and_words_are_shown_and_a_rerun_finds_the_work_again(app: AppTest) -> None:
    [bar] = app.get("progress")
    assert "Reading part 1 of 2" in str(bar.proto)
    assert app.text[0].value == "Written *so far*"
    assert app.caption[0].value == "Result: None"
    slow_work.GO.set()
    assert settle(app).caption[0].value == "Result: all of it"


def test_a_cancel_stops_it_and_it_can_be_started_again(app: AppTest) -> None:
    app = settle(app.button(key="running.slow.cancel").click().run())
    assert "Stopped" in app.info[0].value
    slow_work.GO.set()
    app = settle(app.button(key="running.slow.again").click().run())
    assert app.caption[0].value == "Result: all of it"


def test_other_inputs_stop_what_runs_and_begin_anew(app: AppTest) -> None:
    first = app.session_state["running.slow"]
    app.text_input[0].set_value("another text").run()
    assert first.progress.cancelled()
    slow_work.GO.set()
    assert settle(app).caption[0].value == "Result: all of it"


def test_work_whose_session_is_gone_stops() -> None:
    # As in `follow`: the session's run is held by nothing else.
    session = AppTest.from_function(page, default_timeout=30).run()
    progress = session.session_state["running.slow"].progress
    assert not progress.cancelled()
    del session.session_state["running.slow"]
    del session
    gc.collect()
    assert progress.cancelled()


def test_models_leave_threads_to_what_needs_none() -> None:
    assert resources.threads(by_model=True) is not resources.threads(by_model=False)


def test_what_the_work_raises_reaches_the_page(app: AppTest) -> None:
    app = settle(app.text_input[0].set_value("word").run())
    assert app.error[0].value == "The text is one word."
