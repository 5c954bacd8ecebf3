"""The engines of Summarize as something to be load-tested."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lib.aws import open_aws
from lib.settings import settings
from lib.summarize.engines import Engines
from lib.summarize.model import Length, LengthUnit, SummaryRequest

SENTENCES = 3


def open_engine(engine: str, precision: str, threads: int) -> Callable[[Sequence[str]], list[str]]:
    """Return a call from texts to summaries of three sentences.

    `engine` is an engine's id; precision and threads are the engine's own business and only name
    the row. Raises `UnknownEngineError`.
    """
    del precision, threads
    summarizer = Engines(settings(), open_aws(settings())).open(engine)
    length = Length(LengthUnit.SENTENCES, SENTENCES)
    return lambda texts: [summarizer.summarize(SummaryRequest(one, length)).text for one in texts]
