"""Summaries written by random models: what is asked for is kept, whatever the words."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import GeneratorType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.settings import ROOT
from lib.summarize import abstractive
from lib.summarize.abstractive import TorchModel, trimmed
from lib.summarize.model import (
    CannotStreamError,
    Generation,
    GenerationError,
    StoppedError,
    TextError,
)
from lib.summarize.model_folder import ModelError
from tests.summarize.tiny_models import KINDS, TEXT, WINDOW

pytestmark = pytest.mark.usefixtures("one_thread")

Tiny = Callable[[str], Path]
GREEDY = Generation(max_new_tokens=20, min_new_tokens=5, num_beams=1)
BEAMS = Generation(max_new_tokens=20, min_new_tokens=5, num_beams=4)


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def bart(tiny: Tiny) -> TorchModel:
    return TorchModel(tiny("bart"), "Tiny BART")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_writes_as_transformers_does(tiny: Tiny, kind: str) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    model = TorchModel(tiny(kind), "Tiny")
    tokenizer = AutoTokenizer.from_pretrained(tiny(kind), local_files_only=True)
    theirs = AutoModelForSeq2SeqLM.from_pretrained(tiny(kind), local_files_only=True).eval()
    prefix = "summarize: " if kind == "t5" else ""
    inputs = tokenizer(prefix + TEXT, return_tensors="pt", return_token_type_ids=False)
    tokens = theirs.generate(
        **inputs, num_beams=4, max_new_tokens=20, min_new_tokens=5, length_penalty=2.0,
        no_repeat_ngram_size=3,
    )  # fmt: skip
    draft = model.generate(TEXT, BEAMS, never)
    assert draft.text == tokenizer.decode(tokens[0], skip_special_tokens=True).strip()
    assert draft.source_tokens == model.count(TEXT) == inputs["input_ids"].shape[1]
    assert 5 <= draft.new_tokens <= 20


@pytest.mark.parametrize("kind", KINDS)
def test_what_streams_is_what_is_written_at_once(tiny: Tiny, kind: str) -> None:
    model = TorchModel(tiny(kind), "Tiny")
    pieces = list(model.stream(TEXT, GREEDY, never))
    assert len(pieces) > 1
    assert "".join(pieces) == model.generate(TEXT, GREEDY, never).text


@given(st.lists(st.text(alphabet="ab \n", max_size=4)))
def test_trimming_pieces_is_trimming_the_text(pieces: list[str]) -> None:
    assert "".join(trimmed(iter(pieces))) == "".join(pieces).strip()


def test_lengths_are_kept_and_never_beyond_the_positions(bart: TorchModel) -> None:
    for most in (4, 8, 30):
        wanted = Generation(most, min(most, 8), 1, no_repeat_ngram_size=0)
        assert min(most, 8) <= bart.generate(TEXT, wanted, never).new_tokens <= most
    beyond = Generation(1000, 900, 1, no_repeat_ngram_size=0)
    assert bart.generate(TEXT, beyond, never).new_tokens == WINDOW - 1


def test_beam_search_does_not_stream(bart: TorchModel) -> None:
    with pytest.raises(CannotStreamError, match="choose one beam"):
        next(bart.stream(TEXT, BEAMS, never))


def test_a_text_beyond_the_window_is_refused_not_cut(bart: TorchModel) -> None:
    for write in (bart.generate, lambda *asked: list(bart.stream(*asked))):
        with pytest.raises(TextError, match=f"the model reads {WINDOW}"):
            write(TEXT * 5, GREEDY, never)


@pytest.mark.parametrize("parameters", [GREEDY, BEAMS])
def test_a_summary_is_stopped_in_the_middle(bart: TorchModel, parameters: Generation) -> None:
    asked = count()
    with pytest.raises(StoppedError):
        bart.generate(TEXT, parameters, lambda: next(asked) == 3)
    assert next(asked) == 4  # it did not go on


def test_a_stream_is_stopped_in_the_middle(bart: TorchModel) -> None:
    asked = count()
    with pytest.raises(StoppedError):
        list(bart.stream(TEXT, GREEDY, lambda: next(asked) == 3))
    assert next(asked) == 4


def test_a_stream_nobody_reads_on_ends_and_leaves_the_model_free(bart: TorchModel) -> None:
    stream = bart.stream(TEXT, GREEDY, never)
    assert isinstance(stream, GeneratorType)
    next(stream)
    stream.close()
    assert "abstractive-stream" not in {thread.name for thread in threading.enumerate()}
    assert bart.generate(TEXT, GREEDY, never).text


def test_who_waits_for_the_model_can_stop_waiting(bart: TorchModel) -> None:
    stream = bart.stream(TEXT, GREEDY, never)
    assert isinstance(stream, GeneratorType)
    next(stream)
    with pytest.raises(StoppedError):
        bart.generate(TEXT, GREEDY, lambda: True)
    stream.close()


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory: 9 bytes")])
@pytest.mark.parametrize("way", ["generate", "stream"])
def test_too_little_memory_is_a_sentence(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, error: Exception, way: str
) -> None:
    model = TorchModel(tiny("bart"), "Tiny")

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(model._model, "generate", fail)
    with pytest.raises(GenerationError, match="memory of this machine is not enough"):
        list(getattr(model, way)(TEXT, GREEDY, never))


def test_an_error_in_the_streams_thread_reaches_the_reader(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TorchModel(tiny("bart"), "Tiny")

    def fail(*_: Any, **__: Any) -> None:
        raise IndexError("index out of range in self")

    monkeypatch.setattr(model._model, "generate", fail)
    with pytest.raises(GenerationError, match="tokenizer is that of another model"):
        list(model.stream(TEXT, GREEDY, never))


def test_a_model_that_writes_nothing_is_told() -> None:
    with pytest.raises(GenerationError, match="wrote nothing"):
        abstractive.written(" ", 1, 1, 0.0)


def test_weights_of_another_model_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny("bart"), tmp_path / "bart"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"decoder_layers": 3}))
    with pytest.raises(
        ModelError, match=r"not those of a BartForConditionalGeneration: .* missing"
    ):
        TorchModel(folder, "Tiny")


@pytest.mark.parametrize("told", [{"d_model": 32}, {"d_model": 0}])
def test_a_config_that_does_not_fit_its_weights_is_told(
    tiny: Tiny, tmp_path: Path, told: dict[str, int]
) -> None:
    folder = Path(shutil.copytree(tiny("bart"), tmp_path / "bart"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | told))
    with pytest.raises(ModelError, match=r"not those that its config\.json tells of"):
        TorchModel(folder, "Tiny")


def test_a_tokenizer_that_is_none_is_told(tiny: Tiny, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny("bart"), tmp_path / "bart"))
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(json.dumps(json.loads(config) | {"encoder_layers": "many"}))
    with pytest.raises(ModelError, match=r"tokenizer of bart cannot be loaded: .*encoder_layers"):
        TorchModel(folder, "Tiny")
    (folder / "config.json").write_text(config)
    (folder / "tokenizer.json").write_text('{"a": 1}')
    with pytest.raises(ModelError, match="tokenizer of bart cannot be loaded"):
        TorchModel(folder, "Tiny")


def test_code_in_a_model_folder_is_never_run(tiny: Tiny, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny("bart"), tmp_path / "bart"))
    ran = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Own: pass\n")
    config = json.loads((folder / "config.json").read_text())
    auto = {"AutoConfig": "own.Own", "AutoModelForSeq2SeqLM": "own.Own"}
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": auto}))
    assert TorchModel(folder, "Tiny").generate(TEXT, GREEDY, never).text
    assert not ran.exists()


def test_half_precision_writes_as_well(tiny: Tiny) -> None:
    model = TorchModel(tiny("t5"), "Tiny", precision="bfloat16")
    assert model.name == "Tiny (torch bfloat16)"
    assert model.generate(TEXT, GREEDY, never).text


@pytest.mark.parametrize("heavy", ["torch", "transformers", "tokenizers", "ctranslate2"])
def test_pages_and_domain_import_none_of_the_heavy_libraries(heavy: str) -> None:
    modules = sorted(path.stem for path in (ROOT / "lib" / "summarize").glob("[!_]*.py"))
    imports = ", ".join(["lib.ui", "lib.ui.resources", *(f"lib.summarize.{m}" for m in modules)])
    check = f"import sys, {imports}; sys.exit({heavy!r} in sys.modules)"
    run = subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False)
    assert run.returncode == 0, f"{heavy} is imported before anybody needs it"
