"""Load tests of one model over configurations on this machine, repeat by repeat, resumable.

Each configuration runs in a process of its own, warmed up until it is steady. Repeats take turns
(A, B, A, B), so that a busy minute of the machine does not fall on one configuration. A repeat
calls back to back first, which gives the rate at saturation, and then lets requests come by chance
at half of that rate (Poisson arrivals), with latencies from the intended time. It ends early where
the rate is known within 5 %. What is measured is written down at once, and not measured again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any, Self, cast

import numpy as np

from lib.recommender.load_generator import percentile
from lib.recommender.model import Interval, Metrics, Origin
from lib.recommender.subject import Configuration, agreement
from lib.settings import ROOT

LOAD = 0.5  # of the rate at saturation, at which latencies are measured
LEAST_REPEATS, MOST_REPEATS = 3, 6
CLOSE = 0.05  # half the interval of the rate over the rate, from which repeats end
ANSWER_S = 120.0  # beyond what was asked to take; then a model is given up
CONFIDENCE = 0.95
PROCESS = "lib.recommender.sweep_process"


@dataclass(frozen=True)
class Plan:
    """What is tested: a subject by name, its configurations, and texts; raise ValueError if none.

    The first configuration is the reference that answers are compared with. `cost_per_hour` is
    what this machine costs in US dollars, None where nobody said.
    """

    subject: str
    title: str
    configurations: tuple[Configuration, ...]
    texts: tuple[str, ...]
    seconds: float = 3.0  # of each half of a repeat
    repeats: int = LEAST_REPEATS
    cost_per_hour: float | None = None

    def __post_init__(self) -> None:
        if not self.configurations:
            raise ValueError("Choose at least one configuration to test.")
        if not any(text.strip() for text in self.texts):
            raise ValueError("Give at least one text to call the model with.")
        if not (0 < self.seconds <= 600 and 1 <= self.repeats <= 50):  # noqa: PLR2004 - an hour is enough
            raise ValueError("A repeat takes up to 600 seconds, and there are 1 to 50 of them.")

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON takes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the plan that `to_json` wrote."""
        configurations = tuple(Configuration(**one) for one in values["configurations"])
        more = {"configurations": configurations, "texts": tuple(values["texts"])}
        return cls(**{**values, **more})


@dataclass(frozen=True)
class Repeat:
    """One repeat of one configuration: texts a second, CPU milliseconds a text, latencies in ms."""

    rate: float
    cpu: float
    cores: float
    latencies: tuple[float, ...]
    memory: float  # megabytes, the most so far


@dataclass(frozen=True)
class Failed:
    """A configuration that could not be measured, and why."""

    configuration: str
    reason: str


@dataclass(frozen=True)
class Measured:
    """What is known of one configuration so far."""

    configuration: Configuration
    setup: float = 0.0  # milliseconds until the first answer
    agreement: float | None = None
    repeats: tuple[Repeat, ...] = ()
    failure: str = ""


class ProcessFailedError(RuntimeError):
    """A configuration's process that crashed, hung, or whose model answered garbage."""


class Runner:
    """The process of one configuration; use as a context."""

    def __init__(self, plan: Plan, configuration: Configuration) -> None:
        self._plan = plan
        self._configuration = configuration
        self._answers: SimpleQueue[str] = SimpleQueue()
        self.setup = 0.0

    def __enter__(self) -> Self:
        """Start the process and load the model; raise `ProcessFailedError`."""
        threads = str(self._configuration.threads)
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
        self._process = subprocess.Popen(  # noqa: S603 - a module of our own
            [sys.executable, "-m", PROCESS],
            cwd=ROOT, env=os.environ | limits, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._orders = cast("IO[str]", self._process.stdin)
        self._said: list[str] = []
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        threading.Thread(target=self._hear, args=(self._process.stderr,), daemon=True).start()
        try:
            self.setup = float(
                self.ask(
                    {
                        "subject": self._plan.subject,
                        "configuration": asdict(self._configuration),
                        "texts": self._plan.texts,
                    }
                )["setup"]
            )
            self.ask({"do": "warm"})
        except ProcessFailedError:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.close()

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()

    def repeat(self, seed: int) -> Repeat:
        """Return one repeat; raise `ProcessFailedError`."""
        seconds = self._plan.seconds
        full = self.ask({"do": "saturate", "seconds": seconds})
        served = self.ask(
            {"do": "serve", "rate": LOAD * full["rate"], "seconds": seconds, "seed": seed}
        )
        return Repeat(
            full["rate"], full["cpu"], full["cores"], tuple(served["latencies"]), served["memory"]
        )

    def ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of an order; raise `ProcessFailedError` with the reason."""
        try:
            self._orders.write(json.dumps(order) + "\n")
            self._orders.flush()
            line = self._answers.get(timeout=ANSWER_S + order.get("seconds", 0.0))
        except Empty:
            raise ProcessFailedError(
                f"The model did not answer within {ANSWER_S:.0f} seconds."
            ) from None
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            last = self._said[-1] if self._said else "it said nothing"
            raise ProcessFailedError(f"The model's process ended with code {code}: {last}")
        result: dict[str, Any] = json.loads(line)
        if "error" in result:
            raise ProcessFailedError(str(result["error"]))
        return result

    def _listen(self, stream: IO[str]) -> None:
        for line in stream:
            self._answers.put(line)
        self._answers.put("")

    def _hear(self, stream: IO[str]) -> None:
        for line in stream:
            if line.strip():
                self._said[:] = [line.strip()[:300]]


@dataclass(frozen=True)
class Log:
    """What a sweep has measured so far, a line of JSON each; a broken last line is left out."""

    path: Path
    lines: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return the log at a path, with what it holds."""
        lines = []
        if path.is_file():
            for line in path.read_text().splitlines():
                try:
                    lines.append(json.loads(line))
                except json.JSONDecodeError:
                    continue  # a write that was cut off
        return cls(path, lines)

    def add(self, **line: Any) -> None:
        """Write a line so that it stays."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.lines.append(line)

    def of(self, configuration: Configuration) -> Measured:
        """Return what is known of a configuration."""
        mine = [one for one in self.lines if one["name"] == configuration.name]
        repeats = tuple(
            Repeat(**{**one["repeat"], "latencies": tuple(one["repeat"]["latencies"])})
            for one in mine
            if "repeat" in one
        )
        setup = next((one["setup"] for one in mine if "setup" in one), 0.0)
        alike = next((one["agreement"] for one in mine if "agreement" in one), None)
        failure = next((one["failure"] for one in mine if "failure" in one), "")
        return Measured(configuration, setup, alike, repeats, failure)


def run(plan: Plan, log: Log) -> Generator[tuple[float, str]]:
    """Measure what the log does not hold yet; yield the fraction done and the step before each."""
    with ExitStack() as stack:
        runners: dict[str, Runner] = {}
        for number, configuration in enumerate(plan.configurations):
            yield 0.3 * number / len(plan.configurations), f"Loading {configuration.name}"
            if _is_done(plan, log.of(configuration)):
                continue
            try:
                runners[configuration.name] = stack.enter_context(Runner(plan, configuration))
                log.add(name=configuration.name, setup=runners[configuration.name].setup)
            except ProcessFailedError as error:
                log.add(name=configuration.name, failure=str(error))
        yield 0.3, "Comparing answers"
        _compare(plan, log, runners)
        for turn in range(max(plan.repeats, MOST_REPEATS)):
            for number, configuration in enumerate(plan.configurations):
                known = log.of(configuration)
                if _is_done(plan, known) or len(known.repeats) > turn:
                    continue
                done = turn + number / len(plan.configurations)
                fraction = 0.35 + 0.6 * min(done / plan.repeats, 1.0)
                yield fraction, f"Measuring {configuration.name}"
                try:
                    found = runners[configuration.name].repeat(seed=turn)
                    log.add(name=configuration.name, repeat=asdict(found))
                except ProcessFailedError as error:
                    log.add(name=configuration.name, failure=str(error))


def rows_of(plan: Plan, log: Log) -> tuple[tuple[Metrics, ...], tuple[Failed, ...]]:
    """Return the rows of a sweep, and what could not be measured."""
    known = [log.of(one) for one in plan.configurations]
    failed = [Failed(one.configuration.name, one.failure) for one in known if one.failure]
    rows = [_metrics(plan, one) for one in known if one.repeats and not one.failure]
    return tuple(rows), tuple(failed)


def _compare(plan: Plan, log: Log, runners: Mapping[str, Runner]) -> None:
    """Write how alike each configuration's answers are to those of the first one."""
    reference: Sequence[Any] | None = None
    for configuration in plan.configurations:
        runner = runners.get(configuration.name)
        if runner is None:
            continue
        try:
            answers = runner.ask({"do": "answers"})["answers"]
        except ProcessFailedError as error:
            log.add(name=configuration.name, failure=str(error))
            continue
        if configuration == plan.configurations[0]:
            reference = answers
        if reference is not None and log.of(configuration).agreement is None:
            log.add(name=configuration.name, agreement=agreement(answers, reference))


def _is_done(plan: Plan, known: Measured) -> bool:
    if known.failure:
        return True
    count = len(known.repeats)
    if count < plan.repeats:
        return False
    if count < LEAST_REPEATS or count >= MOST_REPEATS:
        return True
    rates = [one.rate for one in known.repeats]
    interval = _interval(rates)
    return (interval.high - interval.low) / 2 <= CLOSE * float(np.mean(rates))


def _interval(values: Sequence[float]) -> Interval:
    """Return Student's interval of the mean of repeats."""
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:  # noqa: PLR2004 - a spread takes two
        return Interval(0.0, 2 * mean)
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    half = float(t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)) * error
    return Interval(max(0.0, mean - half), mean + half)


def _metrics(plan: Plan, known: Measured) -> Metrics:
    rate = 60 * float(np.mean([one.rate for one in known.repeats]))
    means = [float(np.mean(one.latencies)) for one in known.repeats if one.latencies]
    pooled = [one for each in known.repeats for one in each.latencies]
    cost = plan.cost_per_hour
    p50, p95, p99 = (percentile(pooled, share) if pooled else None for share in (0.5, 0.95, 0.99))
    return Metrics(
        known.configuration.name,
        Origin.LOCAL,
        cost_per_hour=cost,
        cost_per_inference=None if cost is None else cost / (60 * rate),
        max_invocations=rate,
        model_latency=float(np.mean(means)) if means else None,
        cpu_utilization=100 * float(np.mean([one.cores for one in known.repeats])),
        model_setup_time=known.setup,
        latency=_interval(means) if means else None,
        quality=known.agreement,
        p50=p50,
        p95=p95,
        p99=p99,
        cpu_milliseconds=float(np.mean([one.cpu for one in known.repeats])),
        peak_memory=max(one.memory for one in known.repeats),
    )
