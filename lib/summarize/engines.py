"""The engines that a user can choose between, each with an id for files and a name of its own.

extractive, lead                    of this machine, always there
local:<model>:int8, :fp32           a model on this machine, by the hash of its files
sagemaker:<endpoint>                a model behind an endpoint
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from lib.aws import Aws
from lib.settings import Settings
from lib.summarize import models
from lib.summarize.extractive import ExtractiveSummarizer
from lib.summarize.lead import LeadSummarizer
from lib.summarize.long_text import AbstractiveSummarizer, LongText, Step
from lib.summarize.model import Generation, Generator, Summarizer, Summary, SummaryRequest
from lib.summarize.sagemaker_endpoint import IN_SERVICE, SageMakerEndpoint, list_endpoints

HERE = "This machine"
LOCAL, SAGEMAKER = "local", "sagemaker"
PRECISIONS = {"int8": models.Runtime.CTRANSLATE2, "fp32": models.Runtime.TORCH}
SPOKEN = {"int8": "fast, int8", "fp32": "full precision"}
MOST_LOADED = 2  # models in memory; DistilBART takes 0.7 GB as int8 and 1.8 GB in full precision
BEAMS_OFFERED = 8  # more take longer and rarely write better


class UnknownEngineError(LookupError):
    """An engine that is not here any more; the message says which, and what to do."""


@dataclass(frozen=True)
class Engine:
    """An engine to choose: its id, what to call it, and where it computes."""

    id: str
    name: str
    place: str
    abstractive: bool = False


@dataclass(frozen=True)
class Writing:
    """How an abstractive engine writes: what it does with long texts, and how wide it searches."""

    way: LongText = LongText.EXTRACT
    beams: int = 4


EXTRACTIVE = Engine("extractive", ExtractiveSummarizer.name, HERE)
LEAD = Engine("lead", LeadSummarizer.name, HERE)
BUILT_IN = (EXTRACTIVE, LEAD)


class Engines:
    """The engines of an installation; the models used last stay in memory."""

    def __init__(self, settings: Settings, aws: Aws) -> None:
        self._settings = settings
        self._aws = aws
        self._loaded: OrderedDict[str, Generator] = OrderedDict()
        self._loading = Lock()

    def here(self) -> tuple[Engine, ...]:
        """Return the engines of this machine: the built-in ones, then its models, fast first."""
        found = models.installed(self._settings)
        titles = Counter(model.title for model in found)
        local = (
            _local(model, precision, is_unique=titles[model.title] == 1)
            for model in found
            for precision, runtime in PRECISIONS.items()
            if runtime in model.runtimes
        )
        return (*BUILT_IN, *local)

    def endpoints(self) -> tuple[Engine, ...]:
        """Return the endpoints in service, none without AWS; raises `AwsError`."""
        if not self._aws.configured:
            return ()
        return tuple(
            self._endpoint(endpoint.name)
            for endpoint in list_endpoints(self._aws)
            if endpoint.status == IN_SERVICE
        )

    def find(self, engine_id: str) -> Engine:
        """Return the engine with an id; raises `UnknownEngineError`. Makes no call to AWS."""
        kind, _, name = engine_id.partition(":")
        if kind == SAGEMAKER and name:
            return self._endpoint(name)
        for engine in self.here():
            if engine.id == engine_id:
                return engine
        raise UnknownEngineError(f"There is no engine {engine_id!r} here: choose another one.")

    def open(self, engine_id: str, writing: Writing | None = None) -> Summarizer:
        """Return the summarizer of an engine; a model is loaded into memory, which takes seconds.

        Raises `UnknownEngineError`, `ModelError`, `GenerationError`, and `ValueError` for an
        endpoint's impossible name.
        """
        engine = self.find(engine_id)
        if engine == EXTRACTIVE:
            return ExtractiveSummarizer()
        if engine == LEAD:
            return LeadSummarizer()
        writing = writing or Writing()
        parameters = Generation(num_beams=writing.beams)
        return AbstractiveSummarizer(self._generator(engine_id), parameters, writing.way)

    def forget(self, model_id: str) -> None:
        """Let go of a model that is in memory."""
        with self._loading:
            for precision in PRECISIONS:
                self._loaded.pop(f"{LOCAL}:{model_id}:{precision}", None)

    def _endpoint(self, name: str) -> Engine:
        place = f"AWS {self._aws.region or ''}".strip()
        return Engine(f"{SAGEMAKER}:{name}", f"Endpoint {name}", place, abstractive=True)

    def _generator(self, engine_id: str) -> Generator:
        kind, name, *precision = engine_id.split(":")
        if kind == SAGEMAKER:
            return SageMakerEndpoint(self._aws, name)
        with self._loading:  # one at a time: two would need the memory of both
            if engine_id not in self._loaded:
                while len(self._loaded) >= MOST_LOADED:
                    self._loaded.popitem(last=False)
                self._loaded[engine_id] = models.open_generator(
                    self._settings, name, PRECISIONS[precision[0]]
                )
            self._loaded.move_to_end(engine_id)
            return self._loaded[engine_id]


def run(
    summarizer: Summarizer,
    request: SummaryRequest,
    progress: Callable[[Step], None],
    cancelled: Callable[[], bool],
) -> Summary:
    """Return the summary, with progress and cancel where the engine takes longer than a moment."""
    if isinstance(summarizer, AbstractiveSummarizer):
        return summarizer.summarize(request, progress, cancelled)
    return summarizer.summarize(request)


def _local(model: models.InstalledModel, precision: str, *, is_unique: bool) -> Engine:
    title = model.title if is_unique else f"{model.title} {model.id[:6]}"
    name = f"{title} ({SPOKEN[precision]})"
    return Engine(f"{LOCAL}:{model.id}:{precision}", name, HERE, abstractive=True)
