"""An abstractive model on this machine in plain torch: the reference that faster engines follow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread
from time import perf_counter
from typing import Any, Literal

from lib.summarize.model import (
    CannotStreamError,
    Draft,
    Generation,
    GenerationError,
    StoppedError,
    TextError,
)
from lib.summarize.model_folder import ModelError, ModelFolder, read_model_folder

Precision = Literal["float32", "bfloat16"]
TURN_CHECK_S = 0.1  # between two looks at `cancelled` while another summary is written
STREAM_TIMEOUT_S = 300.0  # for one word; a model that is still alive writes one sooner
STOPPED = "The summary was stopped."
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


class TorchModel:
    """A saved model as a `lib.summarize.model.Generator`, by transformers' own `generate`.

    What the request does not say is as in the model's own generation config. One summary is
    written at a time; `cancelled` is asked before each new token.
    """

    def __init__(self, folder: Path, title: str, *, precision: Precision = "float32") -> None:
        """Load a model folder; raises `ModelError` for what is no model that summarizes."""
        self._about = read_model_folder(folder)
        self.name = f"{title} (torch {precision})"
        with explained(self.name):
            self._tokenizer, self._model = _load(self._about, precision)
        self._lock = Lock()

    def window(self) -> int:
        """Return how many tokens of source the model can read."""
        return self._about.window

    def count(self, text: str) -> int:
        """Return the tokens of a text, those that the model adds around it included."""
        return len(self._tokenizer(self._about.prefix + text, verbose=False)["input_ids"])

    def generate(self, text: str, parameters: Generation, cancelled: Callable[[], bool]) -> Draft:
        """Return the summary of a text; raises as `Generator.generate` says."""
        started = perf_counter()
        inputs = self._inputs(text)
        with self._turn(cancelled), explained(self.name):
            tokens = self._write(inputs, parameters, cancelled)
        summary = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return written(
            summary, inputs["input_ids"].shape[1], len(tokens) - 1, perf_counter() - started
        )

    def stream(
        self, text: str, parameters: Generation, cancelled: Callable[[], bool]
    ) -> Iterator[str]:
        """Yield the summary word by word; raises what `generate` raises."""
        refuse_beams(parameters)
        inputs = self._inputs(text)
        with self._turn(cancelled), explained(self.name):
            yield from trimmed(self._words(inputs, parameters, cancelled))

    def _inputs(self, text: str) -> Any:
        inputs = self._tokenizer(self._about.prefix + text, return_tensors="pt", verbose=False)
        refuse_long(inputs["input_ids"].shape[1], self._about.window)
        inputs.pop("token_type_ids", None)
        return inputs

    def _words(
        self, inputs: Any, parameters: Generation, cancelled: Callable[[], bool]
    ) -> Iterator[str]:
        """Yield words while a thread writes them; its error is raised here, and it ends with us."""
        from transformers import TextIteratorStreamer

        streamer = TextIteratorStreamer(
            self._tokenizer, skip_special_tokens=True, timeout=STREAM_TIMEOUT_S
        )
        left = Event()
        failures: list[BaseException] = []

        def write() -> None:
            try:
                self._write(inputs, parameters, lambda: left.is_set() or cancelled(), streamer)
            except BaseException as error:  # noqa: BLE001  # raised again in the reader's thread
                failures.append(error)
            finally:
                streamer.end()

        writer = Thread(target=write, name="abstractive-stream", daemon=True)
        writer.start()
        try:
            yield from streamer
        finally:
            left.set()
            writer.join()
        if failures:
            raise failures[0]

    def _write(
        self,
        inputs: Any,
        parameters: Generation,
        cancelled: Callable[[], bool],
        streamer: Any = None,
    ) -> list[int]:
        """Return the tokens the model writes, the start token first."""
        import torch

        most = min(parameters.max_new_tokens, self._about.longest - 1)
        beams = {"length_penalty": parameters.length_penalty} if parameters.num_beams > 1 else {}
        with torch.inference_mode():
            tokens = self._model.generate(
                **inputs,
                max_new_tokens=most,
                min_new_tokens=min(parameters.min_new_tokens, most),
                num_beams=parameters.num_beams,
                no_repeat_ngram_size=parameters.no_repeat_ngram_size,
                do_sample=False,
                logits_processor=[_Asking(cancelled)],
                streamer=streamer,
                **beams,
            )
        return [int(token) for token in tokens[0]]

    @contextmanager
    def _turn(self, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Wait until no other summary is written."""
        while not self._lock.acquire(timeout=TURN_CHECK_S):
            if cancelled():
                raise StoppedError(STOPPED)
        try:
            yield
        finally:
            self._lock.release()


class _Asking:
    """A step of `generate` that changes nothing and asks whether to go on."""

    def __init__(self, cancelled: Callable[[], bool]) -> None:
        self._cancelled = cancelled

    def __call__(self, _tokens: Any, scores: Any) -> Any:
        if self._cancelled():
            raise StoppedError(STOPPED)
        return scores


def processors() -> int:
    """Return the processors that this process may use."""
    return len(os.sched_getaffinity(0))


def refuse_beams(parameters: Generation) -> None:
    """Raise `CannotStreamError` for beam search."""
    if parameters.num_beams > 1:
        raise CannotStreamError(
            "Beam search knows its first word only when it ends: "
            "choose one beam to see the summary while it is written."
        )


def refuse_long(tokens: int, window: int) -> None:
    """Raise `TextError` for a text beyond the window."""
    if tokens > window:
        raise TextError(
            f"The text has {tokens:,} tokens and the model reads {window:,}: "
            "shorten it, or let its best sentences be chosen first."
        )


def written(summary: str, source_tokens: int, new_tokens: int, seconds: float) -> Draft:
    """Return the draft; raises `GenerationError` where the model wrote nothing."""
    if not summary.strip():
        raise GenerationError("The model wrote nothing: try other parameters or another text.")
    return Draft(summary.strip(), source_tokens, new_tokens, seconds)


def trimmed(pieces: Iterator[str]) -> Iterator[str]:
    """Yield the pieces of a text without white space at its start and end."""
    held = ""
    begun = False
    for piece in pieces:
        text = held + piece if begun else piece.lstrip()
        kept = text.rstrip()
        held = text[len(kept) :]
        if kept:
            begun = True
            yield kept


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Raise `GenerationError` where the memory of this machine, or the model's tokenizer, fails."""
    try:
        yield
    except MemoryError as error:
        raise _no_memory(name) from error
    except IndexError as error:  # torch's, of a token beyond the embeddings
        raise GenerationError(
            f"{name} met a token that its weights do not know: its tokenizer is that of another "
            "model. Save both together and import them again."
        ) from error
    except RuntimeError as error:
        if _is_out_of_memory(error):
            raise _no_memory(name) from error
        raise


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Tell it by its words: torch has no error of its own for the memory of the processor."""
    return any(said in str(error) for said in _OUT_OF_MEMORY)


def _no_memory(name: str) -> GenerationError:
    return GenerationError(
        f"The memory of this machine is not enough for {name}: close something, use fewer beams, "
        "a shorter text, the fast engine or a smaller model."
    )


def _load(about: ModelFolder, precision: Precision) -> tuple[Any, Any]:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForSeq2SeqLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.set_num_threads(processors())
    tokenizer = load_tokenizer(about)
    try:
        model, report = AutoModelForSeq2SeqLM.from_pretrained(
            about.path,
            local_files_only=True,
            use_safetensors=True,
            dtype=getattr(torch, precision),
            output_loading_info=True,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"The model {about.path.name} cannot be loaded: {error}") from error
    except (RuntimeError, ArithmeticError) as error:
        if isinstance(error, RuntimeError) and _is_out_of_memory(error):
            raise
        raise ModelError(
            f"The weights of {about.path.name} are not those that its config.json tells of: save "
            "or download the model again."
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:  # transformers would fill them with random numbers
        raise ModelError(
            f"The weights of {about.path.name} are not those of a {about.architecture}: "
            f"{len(missing)} are missing, such as {missing[0]}."
        )
    return tokenizer, model.eval()


def load_tokenizer(about: ModelFolder) -> Any:
    """Return the tokenizer of a model, as transformers loads it; raises `ModelError`."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(about.path, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise ModelError(f"The tokenizer of {about.path.name} cannot be loaded: {error}") from error
