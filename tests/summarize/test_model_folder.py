"""What a model folder is said to be, and what is refused before anything is loaded."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.summarize.model import Generation
from lib.summarize.model_folder import ModelError, is_kept, read_model_folder
from tests.summarize.tiny_models import KINDS, WINDOW

Tiny = Callable[[str], Path]


@pytest.fixture
def folder(tiny: Tiny, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny("bart"), tmp_path / "bart"))


def change(path: Path, **values: Any) -> None:
    stored = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(stored | values))


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_says_what_it_is(tiny: Tiny, kind: str) -> None:
    from transformers import AutoModelForSeq2SeqLM

    found = read_model_folder(tiny(kind))
    model = AutoModelForSeq2SeqLM.from_pretrained(tiny(kind), local_files_only=True)
    assert found.architecture == type(model).__name__
    assert found.model_type == kind
    assert found.window == WINDOW
    assert found.prefix == ("summarize: " if kind == "t5" else "")
    assert found.forced_first_token == (0 if kind == "bart" else None)
    assert found.parameters >= model.num_parameters()  # sinusoidal positions may be stored too
    assert found.parameters <= 1.1 * model.num_parameters()


def test_the_models_own_generation_is_read_from_all_its_places(folder: Path) -> None:
    change(folder / "config.json", num_beams=2, max_length=90, min_length=10)
    assert read_model_folder(folder).own == Generation(90, 10, 2)
    change(folder / "generation_config.json", num_beams=6, length_penalty=0.8)
    assert read_model_folder(folder).own == Generation(90, 10, 6, 0.8)
    task = {"prefix": "sum up: ", "max_length": 30, "no_repeat_ngram_size": 0}
    change(folder / "config.json", task_specific_params={"summarization": task})
    found = read_model_folder(folder)
    assert found.own == Generation(30, 10, 6, 0.8, 0)
    assert found.prefix == "sum up: "


def test_a_penalty_that_is_no_number_is_not_taken(folder: Path) -> None:
    change(folder / "generation_config.json", length_penalty=math.nan)
    assert read_model_folder(folder).own.length_penalty == Generation().length_penalty


def test_absurd_settings_are_brought_within_the_limits(folder: Path) -> None:
    change(folder / "generation_config.json", max_length=10**9, num_beams=99, min_length=-5)
    assert read_model_folder(folder).own == Generation(4096, 0, 16)


def test_the_window_is_what_tokenizer_and_model_both_take(folder: Path) -> None:
    change(folder / "tokenizer_config.json", model_max_length=32)
    assert read_model_folder(folder).window == 32
    change(folder / "tokenizer_config.json", model_max_length=1e30)
    assert read_model_folder(folder).window == WINDOW


@pytest.mark.parametrize(
    ("architecture", "model_type", "sentence"),
    [
        ("BertForMaskedLM", "bert", "BertForMaskedLM: it fills gaps in a text"),
        ("LlamaForCausalLM", "llama", "continues a text"),
        ("BartForSequenceClassification", "bart", "classifies texts"),
        ("MarianMTModel", "marian", "translates"),
        ("BertModel", "bert", "turns a text into vectors"),
        ("WhisperForConditionalGeneration", "whisper", "it is no such model"),
    ],
)
def test_another_kind_of_model_is_told_what_it_is(
    folder: Path, architecture: str, model_type: str, sentence: str
) -> None:
    change(folder / "config.json", architectures=[architecture], model_type=model_type)
    with pytest.raises(ModelError, match=sentence) as refused:
        read_model_folder(folder)
    assert "A summarization model is a BART" in str(refused.value)


def test_what_is_no_model_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no folder"):
        read_model_folder(tmp_path / "nothing")
    with pytest.raises(ModelError, match=r"no saved model: it has no config\.json"):
        read_model_folder(tmp_path)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="is not JSON"):
        read_model_folder(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(ModelError, match="no JSON object"):
        read_model_folder(folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="neither architectures nor model_type"):
        read_model_folder(folder)


def test_a_missing_tokenizer_is_told(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="lacks a tokenizer"):
        read_model_folder(folder)


def test_pickled_weights_are_refused_and_never_opened(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="can run code when it is loaded"):
        read_model_folder(folder)


def test_missing_weights_are_told(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"lacks its weights: model\.safetensors"):
        read_model_folder(folder)


@pytest.mark.parametrize("damage", ["half", "empty", "long header", "no header", "more"])
def test_broken_weights_are_told(folder: Path, damage: str) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(
        {
            "half": content[: len(content) // 2],
            "empty": b"",
            "long header": (1 << 60).to_bytes(8, "little") + content[8:],
            "no header": (2).to_bytes(8, "little") + b"[]" + content,
            "more": content + b"x",
        }[damage]
    )
    with pytest.raises(ModelError, match="is broken or incomplete"):
        read_model_folder(folder)


def test_weights_in_parts_are_counted_together(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    whole = read_model_folder(folder).parameters
    tensors = sorted(load_file(folder / "model.safetensors").items())
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    places: dict[str, str] = {}
    for name, part in zip(names, (tensors[::2], tensors[1::2]), strict=True):
        save_file(dict(part), folder / name, metadata={"format": "pt"})
        places |= {key: name for key, _ in part}
    (folder / "model.safetensors").unlink()
    change(folder / "model.safetensors.index.json", weight_map=places)
    assert read_model_folder(folder).parameters == whole
    (folder / names[0]).unlink()
    with pytest.raises(ModelError, match=f"lacks its weights: {names[0]}"):
        read_model_folder(folder)


def test_an_index_cannot_name_files_elsewhere(folder: Path) -> None:
    change(folder / "model.safetensors.index.json", weight_map={"a": "../../secret.safetensors"})
    with pytest.raises(ModelError, match="names no weights"):
        read_model_folder(folder)


def test_only_what_a_model_needs_is_kept() -> None:
    assert is_kept("model.safetensors")
    assert is_kept("model-00001-of-00002.safetensors")
    assert is_kept("spiece.model")
    for name in ("pytorch_model.bin", "modeling_own.py", "adapter_model.safetensors", "README.md"):
        assert not is_kept(name)
