"""A saved sequence-to-sequence model, read without loading it: what it is and how it writes.

The files are those that `save_pretrained` of Hugging Face's transformers writes. Weights are read
from safetensors alone: a pickle (`.bin`) can run code when it is loaded.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.summarize.model import MOST_BEAMS, MOST_NEW_TOKENS, Generation

CONFIG = "config.json"
TOKENIZERS = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)
KEPT = (
    CONFIG,
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "model.safetensors.index.json",
    *TOKENIZERS,
)
USUAL_WINDOW = 512  # tokens, of T5, for a model that does not say its own
LARGEST_JSON = 50 << 20  # bytes; tokenizers of large vocabularies have 20 MB
MOST_HEADER_BYTES = 100 << 20  # of a safetensors file, as its own reader limits it

SEQ2SEQ = frozenset(
    {
        "bart",
        "bigbird_pegasus",
        "led",
        "longt5",
        "mbart",
        "mt5",
        "pegasus",
        "pegasus_x",
        "prophetnet",
        "t5",
        "umt5",
    }
)
OTHER_KINDS = {
    "ForCausalLM": "continues a text (a language model)",
    "LMHeadModel": "continues a text (a language model)",
    "ForMaskedLM": "fills gaps in a text",
    "ForSequenceClassification": "classifies texts",
    "ForTokenClassification": "labels words",
    "ForQuestionAnswering": "finds answers in a text",
    "ForImageClassification": "classifies pictures",
    "MTModel": "translates",
    "Model": "turns a text into vectors",
}
WANTED = "A summarization model is a BART, DistilBART, PEGASUS or T5."

_WEIGHTS = re.compile(r"model(?:-\d{5}-of-\d{5})?\.safetensors")
_PICKLED = re.compile(r"(?:pytorch_model.*|model.*)\.(?:bin|pt|pth|ckpt)")


class ModelError(ValueError):
    """What is no summarization model, or one that cannot be used; the message says why."""


@dataclass(frozen=True)
class ModelFolder:
    """A saved model: its class, its size, what it reads, and how it writes when nobody asks."""

    path: Path
    architecture: str  # such as BartForConditionalGeneration
    model_type: str  # such as bart
    parameters: int
    window: int  # tokens of source
    longest: int  # new tokens at most
    prefix: str  # what the model wants in front of every text
    forced_first_token: int | None
    own: Generation


def is_kept(name: str) -> bool:
    """Tell whether a file of this name, at the root of a model folder, is needed to use it."""
    return name in KEPT or _WEIGHTS.fullmatch(name) is not None


def read_model_folder(path: Path) -> ModelFolder:
    """Return what a folder holds; raises `ModelError` where it is no model that summarizes."""
    if not path.is_dir():
        raise ModelError(f"There is no folder {path} on this machine.")
    if not (path / CONFIG).is_file():
        raise ModelError(
            f"The folder {path.name} is no saved model: it has no {CONFIG}. Save model and "
            "tokenizer into one folder with their save_pretrained()."
        )
    config = read_json(path / CONFIG)
    architecture = architecture_of(config)
    parameters = sum(_parameters(file) for file in _weights(path))
    if not any((path / name).is_file() for name in TOKENIZERS):
        raise ModelError(
            f"The folder {path.name} lacks a tokenizer. Save it there with its save_pretrained()."
        )
    generation = _generation(path, config)
    forced = generation.get("forced_bos_token_id")
    return ModelFolder(
        path=path,
        architecture=architecture,
        model_type=config["model_type"],
        parameters=parameters,
        window=_window(path, config),
        longest=_positions(config, "max_decoder_position_embeddings", "max_position_embeddings"),
        prefix=_prefix(config),
        forced_first_token=forced if isinstance(forced, int) else None,
        own=_own(generation),
    )


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; raises `ModelError` where there is none."""
    if path.stat().st_size > LARGEST_JSON:
        raise ModelError(f"{path.name} has more than {LARGEST_JSON >> 20} MB: that is no settings.")
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ModelError(f"{path.name} is broken: it is not JSON. Save the model again.") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path.name} is broken: it is no JSON object. Save the model again.")
    return found


def architecture_of(config: Mapping[str, Any]) -> str:
    """Return the class that the model was saved as; raises `ModelError` for other kinds."""
    named = config.get("architectures")
    architecture = str(named[0]) if isinstance(named, list) and named else ""
    model_type = str(config.get("model_type", ""))
    writes = not architecture or architecture.endswith("ForConditionalGeneration")
    if writes and model_type in SEQ2SEQ:
        return architecture or f"{model_type} (class not stated)"
    what = architecture or model_type
    if not what:
        raise ModelError(f"{CONFIG} says neither architectures nor model_type. {WANTED}")
    does = next((said for end, said in OTHER_KINDS.items() if what.endswith(end)), "")
    says = f"it {does} and does not summarize" if does else "it is no such model"
    raise ModelError(f"This is a {what}: {says}. {WANTED}")


def _weights(path: Path) -> list[Path]:
    index = path / "model.safetensors.index.json"
    if index.is_file():
        named = read_json(index).get("weight_map")
        names = sorted(set(map(str, named.values()))) if isinstance(named, dict) else []
        if not names or not all(map(_WEIGHTS.fullmatch, names)):
            raise ModelError(f"{index.name} is broken: it names no weights. Save the model again.")
    else:
        names = ["model.safetensors"]
    missing = [name for name in names if not (path / name).is_file()]
    if not missing:
        return [path / name for name in names]
    if any(is_pickled(each.name) for each in path.iterdir()):
        raise ModelError(pickled(path.name))
    raise ModelError(f"The model {path.name} lacks its weights: {', '.join(missing)}.")


def is_pickled(name: str) -> bool:
    """Tell whether a file of this name holds weights as a pickle."""
    return _PICKLED.fullmatch(name) is not None


def pickled(name: str) -> str:
    """Return the sentence for a model whose weights are a pickle."""
    return (
        f"The weights of {name} are a pickle (.bin), which can run code when it is loaded, so it "
        "is not. Where you trust it, load it once with transformers and save it again with "
        "save_pretrained(): that writes model.safetensors."
    )


def _parameters(weights: Path) -> int:
    """Return the parameters in a safetensors file; raises `ModelError` for a broken one.

    Eight bytes of length, a JSON header with the place of each tensor, then the tensors
    (huggingface.co/docs/safetensors).
    """
    broken = ModelError(f"{weights.name} is broken or incomplete: copy or save the model again.")
    size = weights.stat().st_size
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, MOST_HEADER_BYTES):  # noqa: PLR2004  # "{}"
            raise broken
        try:
            header = json.loads(file.read(length))
            tensors = [entry for name, entry in header.items() if name != "__metadata__"]
            ends = [int(entry["data_offsets"][1]) for entry in tensors]
            count = sum(math.prod(map(int, entry["shape"])) for entry in tensors)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            raise broken from None
    if max(ends, default=0) != size - 8 - length:
        raise broken
    return count


def _generation(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model's own settings of `generate`, the most special last to win."""
    file = path / "generation_config.json"
    stored = read_json(file) if file.is_file() else {}
    return {**config, **stored, **_task(config)}


def _task(config: Mapping[str, Any]) -> Mapping[str, Any]:
    tasks = config.get("task_specific_params")
    task = tasks.get("summarization") if isinstance(tasks, dict) else None
    return task if isinstance(task, dict) else {}


def _prefix(config: Mapping[str, Any]) -> str:
    stated = _task(config).get("prefix")
    if isinstance(stated, str):
        return stated
    return "summarize: " if config["model_type"] == "t5" else ""


def _own(stated: Mapping[str, Any]) -> Generation:
    usual = Generation()

    def within(low: int, high: int, usually: int, *names: str) -> int:
        values = [stated[name] for name in names if isinstance(stated.get(name), int)]
        return min(max(values[0], low), high) if values else min(usually, high)

    most = within(1, MOST_NEW_TOKENS, usual.max_new_tokens, "max_new_tokens", "max_length")
    penalty = stated.get("length_penalty")
    return Generation(
        max_new_tokens=most,
        min_new_tokens=within(0, most, usual.min_new_tokens, "min_new_tokens", "min_length"),
        num_beams=within(1, MOST_BEAMS, usual.num_beams, "num_beams"),
        length_penalty=(
            min(max(float(penalty), -10.0), 10.0)
            if isinstance(penalty, int | float) and math.isfinite(penalty)
            else usual.length_penalty
        ),
        no_repeat_ngram_size=within(0, 20, usual.no_repeat_ngram_size, "no_repeat_ngram_size"),
    )


def _window(path: Path, config: Mapping[str, Any]) -> int:
    """Return the tokens of source the model reads: its positions, or its tokenizer's limit."""
    settings = path / "tokenizer_config.json"
    limit = read_json(settings).get("model_max_length") if settings.is_file() else None
    positions = _positions(
        config, "max_encoder_position_embeddings", "max_position_embeddings", "n_positions"
    )
    stated = int(limit) if isinstance(limit, int | float) and 0 < limit < MOST_POSITIONS else 0
    if stated:
        return min(stated, positions)
    return positions if positions < MOST_POSITIONS else USUAL_WINDOW


MOST_POSITIONS = 1_000_000  # tokenizers without a limit say 1e30


def _positions(config: Mapping[str, Any], *names: str) -> int:
    stated = [config[name] for name in names if isinstance(config.get(name), int)]
    return stated[0] if stated and stated[0] > 0 else MOST_POSITIONS
