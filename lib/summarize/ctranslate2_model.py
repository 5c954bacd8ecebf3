"""The fast engine: a saved model converted to CTranslate2 with weights of eight bits.

Run as a program (`python -m lib.summarize.ctranslate2_model FOLDER TARGET`) it converts: in a
process of its own, so that its memory is given back and a cancelled conversion ends at once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any

from lib.settings import ROOT
from lib.summarize.abstractive import (
    STOPPED,
    explained,
    load_tokenizer,
    processors,
    refuse_beams,
    refuse_long,
    trimmed,
    written,
)
from lib.summarize.model import Draft, Generation, StoppedError
from lib.summarize.model_folder import ModelError, ModelFolder, read_model_folder

CONVERTED_TYPES = frozenset({"bart", "mt5", "pegasus", "t5"})
WEIGHTS, TOKENIZER = "model.bin", "tokenizer.json"
CHECK_S = 0.05
USUAL_CONVERSION_S = 20.0  # of 300 M parameters, for the progress alone
QUANTIZATION = "int8"


class CTranslate2Model:
    """A converted model as a `lib.summarize.model.Generator`; needs neither torch nor transformers.

    Greedy search asks `cancelled` at each token. Beam search has no such place: it is asked while
    the model works, and the answer is dropped.
    """

    def __init__(self, folder: Path, converted: Path, title: str) -> None:
        """Load what `convert` made of a model folder; raises `ModelError`."""
        import ctranslate2
        from tokenizers import Tokenizer

        self.name = f"{title} (CTranslate2 {QUANTIZATION})"
        self._about = read_model_folder(folder)
        if not (converted / WEIGHTS).is_file() or not (converted / TOKENIZER).is_file():
            raise ModelError(f"{title} has not been converted for the fast engine yet.")
        self._tokenizer = Tokenizer.from_file(str(converted / TOKENIZER))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        try:
            with explained(self.name):
                self._translator = ctranslate2.Translator(
                    str(converted), device="cpu", intra_threads=processors()
                )
        except RuntimeError as error:
            raise ModelError(
                f"What {title} was converted to is broken ({error}): delete and import it again."
            ) from error

    def window(self) -> int:
        """Return how many tokens of source the model can read."""
        return self._about.window

    def count(self, text: str) -> int:
        """Return the tokens of a text, those that the model adds around it included."""
        return len(self._tokenizer.encode(self._about.prefix + text).ids)

    def generate(self, text: str, parameters: Generation, cancelled: Callable[[], bool]) -> Draft:
        """Return the summary of a text; raises as `Generator.generate` says."""
        started = perf_counter()
        source = self._source(text)
        with explained(self.name):
            if parameters.num_beams == 1:
                tokens = list(self._steps(source, parameters, cancelled))
            else:
                tokens = self._search(source, parameters, cancelled)
        return written(
            self._tokenizer.decode(tokens), len(source), len(tokens), perf_counter() - started
        )

    def stream(
        self, text: str, parameters: Generation, cancelled: Callable[[], bool]
    ) -> Iterator[str]:
        """Yield the summary as it is written; raises what `generate` raises."""
        refuse_beams(parameters)
        source = self._source(text)
        with explained(self.name):
            yield from trimmed(self._pieces(self._steps(source, parameters, cancelled)))

    def _source(self, text: str) -> list[str]:
        tokens: list[str] = self._tokenizer.encode(self._about.prefix + text).tokens
        refuse_long(len(tokens), self._about.window)
        return tokens

    def _options(self, parameters: Generation) -> dict[str, Any]:
        most = min(parameters.max_new_tokens, self._about.longest - 1)
        return {
            "max_decoding_length": most,
            "min_decoding_length": min(parameters.min_new_tokens, most),
            "no_repeat_ngram_size": parameters.no_repeat_ngram_size,
            "max_input_length": 0,
        }

    def _first(self) -> list[str] | None:
        forced = self._about.forced_first_token
        token = None if forced is None else self._tokenizer.id_to_token(forced)
        return None if token is None else [token]

    def _steps(
        self, source: list[str], parameters: Generation, cancelled: Callable[[], bool]
    ) -> Iterator[int]:
        """Yield the tokens of greedy search as they are written."""
        steps = self._translator.generate_tokens(
            source, target_prefix=self._first(), **self._options(parameters)
        )
        with closing(steps):
            for step in steps:
                if cancelled():
                    raise StoppedError(STOPPED)
                yield step.token_id

    def _search(
        self, source: list[str], parameters: Generation, cancelled: Callable[[], bool]
    ) -> list[int]:
        first = self._first()
        (answer,) = self._translator.translate_batch(
            [source],
            target_prefix=None if first is None else [first],
            beam_size=parameters.num_beams,
            length_penalty=parameters.length_penalty,
            asynchronous=True,
            **self._options(parameters),
        )
        wait(answer.done, cancelled)
        found = map(self._tokenizer.token_to_id, answer.result().hypotheses[0])
        return [token for token in found if token is not None]

    def _pieces(self, tokens: Iterator[int]) -> Iterator[str]:
        """Yield what each token adds to the text, as soon as its last character is whole."""
        ids: list[int] = []
        shown = ""
        for token in tokens:
            ids.append(token)
            text = self._tokenizer.decode(ids)
            if not text.endswith("\ufffd"):
                yield text[len(shown) :]
                shown = text
        yield self._tokenizer.decode(ids)[len(shown) :]


def convert(folder: Path, target: Path, report: Callable[[float], None]) -> None:
    """Convert a model folder into `target`, which is there whole or not at all.

    `report` hears the fraction done, a guess by time, and may raise to stop. Raises `ModelError`.
    """
    about = read_model_folder(folder)
    if about.model_type not in CONVERTED_TYPES:
        raise ModelError(
            f"The fast engine does not know {about.architecture}; it takes BART, PEGASUS and T5. "
            "Use torch."
        )
    partial = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
    try:
        _run_converter(about, partial, report)
        try:
            partial.rename(target)
        except OSError:
            if not (target / WEIGHTS).is_file():  # else another conversion was faster
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _run_converter(about: ModelFolder, target: Path, report: Callable[[float], None]) -> None:
    command = [sys.executable, "-m", __spec__.name, str(about.path.resolve()), str(target)]
    started = perf_counter()
    with subprocess.Popen(  # noqa: S603  # our own program, no shell
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as converter:
        try:
            while True:
                try:
                    _, said = converter.communicate(timeout=0.25)
                    break
                except subprocess.TimeoutExpired:
                    report(min(0.95, (perf_counter() - started) / USUAL_CONVERSION_S))
        finally:
            converter.kill()
    if converter.returncode < 0:
        raise ModelError(
            f"The conversion of {about.path.name} was ended by the system, most likely because "
            "the memory is not enough: it needs about five bytes for each parameter."
        )
    if converter.returncode:
        reason = said.strip().rpartition("\n")[2].partition(": ")[2] or "no reason given"
        raise ModelError(f"{about.architecture} cannot be converted for the fast engine: {reason}")


def convert_here(folder: Path, target: Path, quantization: str = QUANTIZATION) -> None:
    """Convert a model folder in this process."""
    from ctranslate2.converters import TransformersConverter
    from transformers.utils import logging

    class Converter(TransformersConverter):  # type: ignore[misc]  # it has no types
        """Reads safetensors only, and the place of the norms off the model.

        The converter asks the config for keys of older transformers, which new folders lack.
        """

        def load_model(self, model_class: Any, path: str, **options: Any) -> Any:
            model = model_class.from_pretrained(
                path, use_safetensors=True, local_files_only=True, **options
            )
            encoder = model.get_encoder()
            model.config.normalize_before = hasattr(encoder, "layer_norm")
            model.config.normalize_embedding = hasattr(encoder, "layernorm_embedding")
            return model

    logging.disable_progress_bar()
    about = read_model_folder(folder)
    Converter(str(folder)).convert(str(target), quantization=quantization)
    load_tokenizer(about).backend_tokenizer.save(str(target / TOKENIZER))


def wait(done: Callable[[], bool], cancelled: Callable[[], bool]) -> None:
    """Return when it is done; raises `StoppedError` once `cancelled` says so."""
    pause = Event()
    while not done():
        if cancelled():
            raise StoppedError(STOPPED)
        pause.wait(CHECK_S)


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    convert_here(Path(sys.argv[1]), Path(sys.argv[2]))
