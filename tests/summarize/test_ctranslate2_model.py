"""The fast engine against the reference: the same words where the weights are the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from lib.settings import ROOT
from lib.summarize import ctranslate2_model
from lib.summarize.abstractive import TorchModel
from lib.summarize.ctranslate2_model import CTranslate2Model, convert, convert_here
from lib.summarize.model import CannotStreamError, Generation, StoppedError, TextError
from lib.summarize.model_folder import ModelError
from tests.summarize.tiny_models import KINDS, TEXT, WINDOW, save_sentencepiece_model

pytestmark = pytest.mark.usefixtures("one_thread")

Tiny = Callable[[str], Path]
GREEDY = Generation(max_new_tokens=20, min_new_tokens=5, num_beams=1)
BEAMS = Generation(max_new_tokens=20, min_new_tokens=5, num_beams=4)


def never() -> bool:
    return False


def quiet(_: float) -> None:
    pass


@pytest.fixture(scope="module")
def exact(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a kind's model, converted with weights as they are."""
    root = tmp_path_factory.mktemp("exact")
    for kind in KINDS:
        convert_here(tiny(kind), root / kind, "float32")
    return root.joinpath


@pytest.fixture(scope="module")
def bart(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> CTranslate2Model:
    target = tmp_path_factory.mktemp("fast") / "int8"
    convert(tiny("bart"), target, quiet)
    return CTranslate2Model(tiny("bart"), target, "Tiny BART")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "parameters",
    [
        GREEDY,
        Generation(30, 0, 1, no_repeat_ngram_size=2),
        Generation(30, 30, 1, no_repeat_ngram_size=0),
        Generation(20, 5, 4, 0.5, no_repeat_ngram_size=0),
        Generation(20, 5, 4, 2.0, no_repeat_ngram_size=0),
    ],
)
def test_with_the_same_weights_it_writes_what_torch_writes(
    tiny: Tiny, exact: Callable[[str], Path], kind: str, parameters: Generation
) -> None:
    reference = TorchModel(tiny(kind), "Tiny").generate(TEXT, parameters, never)
    fast = CTranslate2Model(tiny(kind), exact(kind), "Tiny").generate(TEXT, parameters, never)
    assert fast.text == reference.text
    assert fast.source_tokens == reference.source_tokens
    assert abs(fast.new_tokens - reference.new_tokens) <= 1  # the end token may be counted


@pytest.mark.parametrize("kind", KINDS)
def test_what_streams_is_what_is_written_at_once(
    tiny: Tiny, exact: Callable[[str], Path], kind: str
) -> None:
    model = CTranslate2Model(tiny(kind), exact(kind), "Tiny")
    pieces = list(model.stream(TEXT, GREEDY, never))
    assert len(pieces) > 1
    assert "".join(pieces) == model.generate(TEXT, GREEDY, never).text


def test_both_engines_count_alike(tiny: Tiny, exact: Callable[[str], Path]) -> None:
    for kind in KINDS:
        reference = TorchModel(tiny(kind), "Tiny")
        fast = CTranslate2Model(tiny(kind), exact(kind), "Tiny")
        for text in ("", "Revenue", TEXT, "ünïcödé 🎉"):
            assert fast.count(text) == reference.count(text)
        assert fast.window() == reference.window() == WINDOW


def test_a_conversion_is_small_and_writes_of_all_beams(bart: CTranslate2Model) -> None:
    assert bart.name == "Tiny BART (CTranslate2 int8)"
    assert bart.generate(TEXT, GREEDY, never).text
    assert 5 <= bart.generate(TEXT, BEAMS, never).new_tokens <= 20


def test_a_text_beyond_the_window_is_refused_not_cut(bart: CTranslate2Model) -> None:
    with pytest.raises(TextError, match=f"the model reads {WINDOW}"):
        bart.generate(TEXT * 5, GREEDY, never)
    with pytest.raises(TextError, match=f"the model reads {WINDOW}"):
        list(bart.stream(TEXT * 5, GREEDY, never))


def test_beam_search_does_not_stream(bart: CTranslate2Model) -> None:
    with pytest.raises(CannotStreamError, match="choose one beam"):
        next(bart.stream(TEXT, BEAMS, never))


def test_a_summary_is_stopped_in_the_middle(bart: CTranslate2Model) -> None:
    asked = count()
    with pytest.raises(StoppedError):
        bart.generate(TEXT, GREEDY, lambda: next(asked) == 3)
    assert next(asked) == 4
    with pytest.raises(StoppedError):
        list(bart.stream(TEXT, GREEDY, lambda: True))


def test_beam_search_that_is_stopped_is_dropped(bart: CTranslate2Model) -> None:
    checks = iter([False, False, True])
    with pytest.raises(StoppedError):
        ctranslate2_model.wait(lambda: False, lambda: next(checks))
    assert bart.generate(TEXT, BEAMS, never).text


def test_a_conversion_is_there_whole_or_not_at_all(tiny: Tiny, tmp_path: Path) -> None:
    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(tiny("bart"), tmp_path / "int8", stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stated", [{}, {"normalize_before": True}])
def test_the_config_may_lack_or_misstate_where_the_norms_are(
    tiny: Tiny, tmp_path: Path, stated: dict[str, bool]
) -> None:
    folder = Path(shutil.copytree(tiny("bart"), tmp_path / "bart"))
    config = json.loads((folder / "config.json").read_text())
    config.pop("normalize_before", None)
    (folder / "config.json").write_text(json.dumps(config | stated))
    convert_here(folder, tmp_path / "exact", "float32")
    fast = CTranslate2Model(folder, tmp_path / "exact", "Tiny").generate(TEXT, GREEDY, never)
    assert fast.text == TorchModel(tiny("bart"), "Tiny").generate(TEXT, GREEDY, never).text


def test_what_the_converter_cannot_do_is_a_sentence(tiny: Tiny, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny("bart"), tmp_path / "bart"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "led"}))
    with pytest.raises(ModelError, match="does not know"):
        convert(folder, tmp_path / "int8", quiet)
    (folder / "config.json").write_text(json.dumps(config | {"activation_function": "tanh"}))
    with pytest.raises(ModelError, match="cannot be converted for the fast engine"):
        convert(folder, tmp_path / "int8", quiet)
    assert not (tmp_path / "int8").exists()


def test_a_model_that_was_not_converted_is_told(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has not been converted"):
        CTranslate2Model(tiny("bart"), tmp_path, "Tiny")


def test_a_broken_conversion_is_told(
    tiny: Tiny, exact: Callable[[str], Path], tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(exact("bart"), tmp_path / "broken"))
    content = (broken / "model.bin").read_bytes()
    (broken / "model.bin").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="is broken"):
        CTranslate2Model(tiny("bart"), broken, "Tiny")


def test_it_runs_without_torch_and_transformers(tiny: Tiny, exact: Callable[[str], Path]) -> None:
    program = f"""
import sys
from pathlib import Path
from lib.summarize.ctranslate2_model import CTranslate2Model
from lib.summarize.model import Generation
model = CTranslate2Model(Path({str(tiny("bart"))!r}), Path({str(exact("bart"))!r}), "Tiny")
model.generate({TEXT!r}, Generation(5, 0, 2), lambda: False)
sys.exit(bool({{"torch", "transformers"}} & set(sys.modules)))
"""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, env=environment)
    assert run.returncode == 0


@pytest.mark.parametrize(
    ("kind", "tokenizer"), [("t5", "T5Tokenizer"), ("pegasus", "PegasusTokenizer")]
)
def test_a_tokenizer_may_come_as_sentencepiece(tmp_path: Path, kind: str, tokenizer: str) -> None:
    folder = save_sentencepiece_model(tmp_path / kind, kind, tokenizer)
    text = "Revenue rose by 8 percent."
    reference = TorchModel(folder, "Tiny")
    convert_here(folder, tmp_path / "exact", "float32")
    fast = CTranslate2Model(folder, tmp_path / "exact", "Tiny")
    assert fast.count(text) == reference.count(text)
    assert fast.generate(text, GREEDY, never).text == reference.generate(text, GREEDY, never).text
