"""A load test on this machine: what is tested, how, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import streamlit as st

from lib.identity import Role, User
from lib.jobs import Job, JobState
from lib.recommender.load_test import load_test, start_load_test
from lib.recommender.subject import Configuration
from lib.recommender.sweep import Plan
from lib.search.embedding_subject import ENGINES
from lib.settings import settings
from lib.summarize.samples import SAMPLES
from lib.ui import resources
from lib.ui.guard import acting_user
from lib.ui.job_view import last_job, show_job
from lib.ui.markdown import escape
from lib.ui.recommender_rows import TABLES

EMBEDDING, ENGINE = "Embedding model all-MiniLM-L6-v2", "An engine of Summarize"
BY_NAME = {
    EMBEDDING: "lib.search.embedding_subject:open_embedding",
    ENGINE: "lib.summarize.load_subject:open_engine",
}
KEY = "recommender_run_"
LEAST_WORDS = 10  # of a paragraph that is a text to call with
START_S = 12.0  # that loading and warming up a configuration usually takes


@dataclass(frozen=True)
class _Wanted:
    subject: str
    configurations: tuple[Configuration, ...]


def show_run(user: User) -> None:
    """Draw the form of a load test, the running one, and where its rows are."""
    may = user.role.allows(Role.ANALYST)
    st.markdown(
        "**How fast is a model on this machine?** Each configuration runs in a process of its own; "
        "requests come by chance, and latencies count from the time they were meant to start."
    )
    job = last_job(load_test)
    if job is not None:
        _show_last(job, may=may)
    wanted = _choose()
    texts = _enter_texts()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        seconds = st.number_input("Seconds a measurement", 1, 60, 3, key=f"{KEY}seconds", width=180)
        repeats = st.number_input(
            "Repeats", 1, 10, 3, key=f"{KEY}repeats", width=120,
            help="Three or more end by themselves where the rate is known within 5 %; six at most",
        )  # fmt: skip
        cost = st.number_input(
            "An hour of this machine, $", 0.0, 1_000.0, 0.0, 0.01, key=f"{KEY}cost", width=210,
            help="0: unknown. Costs then follow from it.",
        )  # fmt: skip
    count = len(wanted.configurations)
    takes = count * (START_S + 2 * seconds * repeats) / 60
    minutes = max(1, round(takes))
    st.caption(
        f"{count} configuration{'' if count == 1 else 's'}, about {minutes} "
        f"minute{'' if minutes == 1 else 's'}."
    )
    try:
        plan = Plan(
            BY_NAME[wanted.subject], wanted.subject, wanted.configurations, tuple(texts),
            float(seconds), int(repeats), float(cost) or None,
        )  # fmt: skip
    except ValueError as error:
        st.warning(escape(str(error)), icon=":material/warning:")
        return
    st.button(
        "Start the load test", type="primary", icon=":material/speed:", key=f"{KEY}start",
        disabled=not may or (job is not None and not job.finished), on_click=_start, args=(plan,),
    )  # fmt: skip


def _start(plan: Plan) -> None:
    user = acting_user(Role.ANALYST)
    start_load_test(resources.jobs(), settings(), user.username, plan)


def _show_last(job: Job, *, may: bool) -> None:
    if not job.finished:
        st.caption(escape(job.title))
    show_job(job, may_cancel=may)
    if job.state is JobState.DONE and job.result:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.success(
                f"The last load test measured {job.result['rows']} configurations.",
                icon=":material/check:",
            )
            st.button(
                "Look at them", key=f"{KEY}look", on_click=_look, args=(str(job.result["table"]),)
            )


def _look(table: str) -> None:
    st.session_state[TABLES] = [table]
    st.session_state["recommender_view"] = "Choose"


def _choose() -> _Wanted:
    subject = st.radio("Model", [EMBEDDING, ENGINE], key=f"{KEY}subject", horizontal=True)
    if subject == ENGINE:
        found = {one.id: one.name for one in resources.engines().here()}
        chosen = st.multiselect(
            "Engines", list(found), list(found)[:2], key=f"{KEY}engines", width=640,
            format_func=lambda one: found.get(one, one),
        )  # fmt: skip
        return _Wanted(subject, tuple(Configuration(one, "as it is") for one in chosen))
    pairs = [f"{engine} {precision}" for engine, some in ENGINES.items() for precision in some]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        engines = st.multiselect(
            "Engine and precision; the first is the reference", pairs,
            ["onnxruntime fp32", "onnxruntime int8"], key=f"{KEY}pairs", width=480,
        )  # fmt: skip
        threads = st.multiselect("Threads", [1, 2, 4, 8], [1], key=f"{KEY}threads", width=190)
        batches = st.multiselect(
            "Texts at once", [1, 4, 8, 16], [1], key=f"{KEY}batches", width=200,
            help="torch takes them together; onnxruntime one by one, so only 1 is tested of it",
        )  # fmt: skip
    return _Wanted(subject, tuple(_combined(engines, threads, batches)))


def _combined(
    engines: Sequence[str], threads: Sequence[int], batches: Sequence[int]
) -> list[Configuration]:
    found = []
    for pair, count, batch in product(engines, threads, batches):
        engine, _, precision = pair.partition(" ")
        if engine == "torch" or batch == 1:
            found.append(Configuration(engine, precision, count, batch))
    return found


def _enter_texts() -> list[str]:
    given = st.text_area(
        "Texts to call with, a paragraph each", _sample_texts(), height=130, key=f"{KEY}texts",
        help="They are kept until the load test has ended.",
    )  # fmt: skip
    return [one.strip() for one in given.split("\n") if one.strip()]


def _sample_texts() -> str:
    """Return paragraphs of the samples that ship, of real and different lengths."""
    paragraphs = [
        one for sample in SAMPLES for one in sample.text.split("\n")
        if len(one.split()) >= LEAST_WORDS
    ]  # fmt: skip
    return "\n".join(paragraphs[:40])
