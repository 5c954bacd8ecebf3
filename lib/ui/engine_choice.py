"""Which engine with which settings: one on the page of a summary, several side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import streamlit as st

from lib.aws import AwsError
from lib.summarize.comparison import Candidate
from lib.summarize.engines import (
    BEAMS_OFFERED,
    BUILT_IN,
    EXTRACTIVE,
    HERE,
    Engine,
    UnknownEngineError,
    Writing,
)
from lib.summarize.long_text import LongText
from lib.summarize.model import MOST, GenerationError, Length, LengthUnit, TextError
from lib.summarize.model_folder import ModelError
from lib.ui import resources
from lib.ui.markdown import escape
from lib.ui.sources import Source, source

FAILURES = (TextError, GenerationError, ModelError, UnknownEngineError, AwsError)  # for the user
DEFAULTS = {LengthUnit.SENTENCES: 5, LengthUnit.WORDS: 120, LengthUnit.PERCENT: 20}
LETTERS = "ABCD"
LEAST_CANDIDATES = 2


def engine_source(engine: Engine) -> Source:
    """Return what the badge of an engine says."""
    if engine.place == HERE:
        return source(engine.name)
    detail = "The text is sent to this endpoint of your AWS account, over an encrypted connection."
    return Source(engine.place, engine.name, detail)


def choose_engine(prefix: str, label: str, index: int = 0) -> Engine:
    """Draw the engines there are, and return the one that the user chose."""
    remote, _ = resources.endpoints()
    by_id = {engine.id: engine for engine in (*resources.engines().here(), *remote)}
    key = f"{prefix}_engine"
    if st.session_state.get(key, EXTRACTIVE.id) not in by_id:
        del st.session_state[key]
        st.caption("What was chosen here is gone: a model deleted, or an endpoint out of service.")
    chosen = st.selectbox(
        label,
        list(by_id),
        index=index,
        format_func=lambda each: by_id[each].name,
        key=key,
        bind="query-params",
        persist_state="session",
    )
    return by_id[chosen]


def may_send(prefix: str, text: str, engines: Iterable[Engine]) -> bool:
    """Tell whether the engines may have the text; before it leaves this machine, ask for a click.

    A link can name an endpoint, so that an engine is chosen does not say that anybody chose it.
    """
    away = tuple(dict.fromkeys(engine for engine in engines if engine.place != HERE))
    key, asked = f"{prefix}.sent", (text, away)
    if not away or st.session_state.get(key) == asked:
        return True
    with st.container(border=True):
        st.markdown("**This text has not left this machine**")
        st.caption(
            f"{escape(', '.join(f'{engine.name} ({engine.place})' for engine in away))} would "
            "receive it, in your AWS account, over an encrypted connection."
        )
        st.button(
            "Send the text",
            type="primary",
            icon=":material/send:",
            key=f"{prefix}_send",
            on_click=lambda: st.session_state.update({key: asked}),
        )
    return False


def choose_writing(prefix: str, letter: str = "") -> Writing:
    """Draw how an abstractive engine writes, and return it."""
    way = st.selectbox(
        f"{letter}: long texts" if letter else "Long texts",
        [way.value for way in LongText],
        format_func=str.capitalize,
        key=f"{prefix}_long",
        bind="query-params",
        persist_state="session",
        help="Beyond the model's window: choose the best sentences first and read these in one "
        "pass, or read everything in parts and summarize the summaries.",
    )
    beams = st.number_input(
        f"{letter}: beams" if letter else "Beams",
        min_value=1,
        max_value=BEAMS_OFFERED,
        value=Writing().beams,
        key=f"{prefix}_beams",
        bind="query-params",
        persist_state="session",
        help="How many wordings are followed at once. More is slower and often better; with 1 the "
        "summary is shown while it is written.",
    )
    return Writing(LongText(way), int(beams))


def choose_length() -> Length:
    """Draw the unit and the amount, and return the length that the user chose."""
    chosen = st.radio(
        "Length in",
        [unit.value for unit in LengthUnit],
        format_func=str.capitalize,
        horizontal=True,
        key="summarize_unit",
        bind="query-params",
        persist_state="session",
    )
    unit = LengthUnit(chosen)
    return Length(unit, _amount("summarize", unit.value.capitalize(), unit, DEFAULTS[unit]))


def choose_candidates(prefix: str, *, in_columns: bool) -> list[Candidate]:
    """Draw engine and length of two to four candidates, side by side or below each other."""
    count = st.radio(
        "Summaries",
        range(LEAST_CANDIDATES, len(LETTERS) + 1),
        horizontal=True,
        key=f"{prefix}_count",
        bind="query-params",
        persist_state="session",
    )
    places = st.columns(count) if in_columns else [st.container() for _ in range(count)]
    chosen = []
    for number, place in enumerate(places):
        with place, st.container(border=True):
            chosen.append(_choose_candidate(f"{prefix}_{LETTERS[number].lower()}", number))
    return chosen


def labels_of(candidates: Sequence[Candidate]) -> list[str]:
    """Return what to call each candidate: a letter, its engine, its settings."""
    return [
        f"{letter}: {', '.join(_settings_of(each))}"
        for letter, each in zip(LETTERS, candidates, strict=False)
    ]


def _settings_of(candidate: Candidate) -> Iterator[str]:
    try:
        yield resources.engines().find(candidate.engine).name
    except UnknownEngineError:
        yield "an engine that is gone"
    yield f"{candidate.length.amount:,} {candidate.length.unit}"
    if candidate.writing is not None:
        yield f"{candidate.writing.beams} beam{'' if candidate.writing.beams == 1 else 's'}"
        if candidate.writing.way is not LongText.EXTRACT:
            yield str(candidate.writing.way)


def _choose_candidate(prefix: str, number: int) -> Candidate:
    letter = LETTERS[number]
    engine = choose_engine(prefix, f"{letter}: engine", number % len(BUILT_IN))
    with st.container(horizontal=True):
        unit = LengthUnit(
            st.selectbox(
                f"{letter}: length in",
                [unit.value for unit in LengthUnit],
                format_func=str.capitalize,
                key=f"{prefix}_unit",
                bind="query-params",
                persist_state="session",
                width=110,
            )
        )
        # The third and fourth begin with the same engines, half as long.
        amount = DEFAULTS[unit] if number < len(BUILT_IN) else -(-DEFAULTS[unit] // 2)
        amount = _amount(prefix, f"{letter}: {unit}", unit, amount)
    writing = choose_writing(prefix, letter) if engine.abstractive else None
    where = engine_source(engine)
    st.badge(where.place, icon=where.icon, color="gray", help=where.detail)
    return Candidate(engine.id, Length(unit, amount), writing)


def _amount(prefix: str, label: str, unit: LengthUnit, default: int) -> int:
    return int(
        st.number_input(
            label,
            min_value=1,
            max_value=MOST[unit],
            value=default,
            key=f"{prefix}_{unit}",
            bind="query-params",
            persist_state="session",
        )
    )
