"""Whether two load tests of the same model agree: means of latency within their printed intervals.

The embedding model that ships, twice in a row, each configuration in a process of its own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.result import Row
from lib.recommender.choice import latency_differs
from lib.recommender.model import Metrics
from lib.recommender.subject import Configuration
from lib.recommender.sweep import Log, Plan, rows_of
from lib.recommender.sweep import run as carry_out
from lib.summarize.samples import SAMPLES

CONFIGURATIONS = (
    Configuration("onnxruntime", "fp32"),
    Configuration("onnxruntime", "int8"),
    Configuration("torch", "fp32"),
    Configuration("torch", "int8"),
)
LEAST_WORDS = 10


def run(quick: bool) -> list[Row]:  # noqa: FBT001 - the signature of every bench
    """Return for each configuration both latencies and rates, and whether the intervals overlap."""
    configurations = CONFIGURATIONS[: 2 if quick else None]
    first, second = (_sweep(configurations, 1.0 if quick else 4.0) for _ in range(2))
    rows = []
    agreed = 0
    for one, other in zip(first, second, strict=True):
        again = {"again": other.model_latency or 0.0}
        rows.append(Row(one.configuration, "latency", "ms", "lower", one.model_latency or 0, again))
        again = {"again": other.max_invocations or 0.0}
        rate = one.max_invocations or 0
        rows.append(Row(one.configuration, "rate", "a minute", "higher", rate, again))
        agreed += latency_differs(one, other) is False
    count = len(first)
    goal, met = f"{count}", agreed == count
    rows.append(
        Row("two load tests", "intervals that overlap", "of all", "higher", agreed, {}, goal, met)
    )
    return rows


def _sweep(configurations: tuple[Configuration, ...], seconds: float) -> tuple[Metrics, ...]:
    texts = tuple(
        one for sample in SAMPLES for one in sample.text.split("\n")
        if len(one.split()) >= LEAST_WORDS
    )  # fmt: skip
    name = "lib.search.embedding_subject:open_embedding"
    plan = Plan(name, "all-MiniLM-L6-v2", configurations, texts, seconds)
    with tempfile.TemporaryDirectory() as folder:
        log = Log.open(Path(folder) / "sweep.log")
        for _ in carry_out(plan, log):
            pass
        return rows_of(plan, log)[0]
