"""Seconds and peak memory of a summary by DistilBART-CNN-12-6's architecture, against transformers.

Weights are random, since speed and memory do not depend on them: 512 tokens in, 60 new tokens
forced, the same parameters for all. Each engine has a process of its own; its memory is the peak
of its resident set (VmHWM), libraries included. Run as a program it is one of these processes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.result import Row
from lib.settings import ROOT
from lib.summarize.ctranslate2_model import CTranslate2Model, convert
from lib.summarize.model import Generation

SOURCE_TOKENS, NEW_TOKENS = 512, 60
BEAMS = {"greedy": 1, "beam 4": 4}
QUICK_BEAMS = {"beam 4": 4}
TIMES_FASTER, MEMORY_SHARE = 3.0, 0.5
# Threads that wait do not spin: on a busy machine that would cost torch ten times its time.
CHILD_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
OURS, PEER, HALF = "CTranslate2 int8", "transformers fp32", "torch bf16"


@dataclass(frozen=True)
class Shape:
    """A BART of this size, and how often a summary is timed."""

    name: str
    d_model: int
    encoder_layers: int
    decoder_layers: int
    vocabulary: int
    repeats: int
    turns: int
    has_goals: bool


DISTILBART = Shape("DistilBART-CNN-12-6", 1024, 12, 6, 50_264, 3, 2, has_goals=True)
SMALL = Shape("a BART of a twelfth of DistilBART's size", 384, 6, 3, 20_000, 1, 1, has_goals=False)


@dataclass(frozen=True)
class Cost:
    """What one summary takes."""

    seconds: float
    peak_mb: float


def run(quick: bool) -> list[Row]:  # noqa: FBT001  # the interface of every benchmark
    """Return time and memory of greedy search and of four beams, and their ratios.

    A quick run has four beams alone, on a smaller model that is held to no goal.
    """
    shape = SMALL if quick else DISTILBART
    with tempfile.TemporaryDirectory(prefix="sightline-bench-") as folder:
        model, converted = Path(folder, "model"), Path(folder, "int8")
        _child("save", str(model), json.dumps(vars(shape)))
        convert(model, converted, lambda _: None)
        return [
            row
            for search, beams in (QUICK_BEAMS if quick else BEAMS).items()
            for row in _rows(shape, search, _costs(shape, model, converted, beams))
        ]


def _costs(shape: Shape, model: Path, converted: Path, beams: int) -> dict[str, Cost]:
    """Return the cost in each engine: they take turns, and the least time of all turns counts."""
    engines = [OURS, PEER, *([HALF] if has_bfloat16() and shape.has_goals else [])]
    where = (str(model), str(converted), str(beams), str(shape.repeats))
    costs: dict[str, list[Cost]] = {engine: [] for engine in engines}
    for _ in range(shape.turns):
        for engine in engines:
            costs[engine].append(Cost(**_child("time", engine, *where)))
    return {
        engine: Cost(min(each.seconds for each in found), max(each.peak_mb for each in found))
        for engine, found in costs.items()
    }


def _rows(shape: Shape, search: str, costs: dict[str, Cost]) -> list[Row]:
    ours, peer = costs[OURS], costs[PEER]
    others = {name: cost for name, cost in costs.items() if name != OURS}
    case = f"{shape.name}, {SOURCE_TOKENS} tokens in, {NEW_TOKENS} out, {search}"
    faster, share = peer.seconds / ours.seconds, ours.peak_mb / peer.peak_mb
    return [
        Row(
            case,
            "summary",
            "s",
            "lower",
            round(ours.seconds, 2),
            {name: round(cost.seconds, 2) for name, cost in others.items()},
        ),
        Row(
            case,
            "times faster than transformers",
            "ratio",
            "higher",
            round(faster, 2),
            goal=f"at least {TIMES_FASTER:.0f}" if shape.has_goals else "",
            met=faster >= TIMES_FASTER if shape.has_goals else None,
        ),
        Row(
            case,
            "peak memory",
            "MB",
            "lower",
            round(ours.peak_mb),
            {name: round(cost.peak_mb) for name, cost in others.items()},
            f"under {MEMORY_SHARE:.0%} of transformers" if shape.has_goals else "",
            share < MEMORY_SHARE if shape.has_goals else None,
        ),
    ]


def has_bfloat16() -> bool:
    """Tell whether the processor computes with bfloat16 itself."""
    flags = Path("/proc/cpuinfo")
    return flags.exists() and any(
        flag in flags.read_text() for flag in ("avx512_bf16", "amx_bf16", " bf16")
    )


def _child(*arguments: str) -> dict[str, Any]:
    """Return what a process of its own prints."""
    run = subprocess.run(
        [sys.executable, "-m", "bench.abstractive_speed", *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | CHILD_ENVIRONMENT,
    )
    if run.returncode:
        raise RuntimeError(run.stderr)
    found: dict[str, Any] = json.loads(run.stdout)
    return found


# --------------------------------------------------------------------------- in the processes


def save(folder: Path, shape: Shape) -> None:
    """Write a random model of a shape, and a tokenizer whose tokens are words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

    torch.manual_seed(7)
    config = BartConfig(
        vocab_size=shape.vocabulary,
        d_model=shape.d_model,
        encoder_layers=shape.encoder_layers,
        decoder_layers=shape.decoder_layers,
        encoder_ffn_dim=4 * shape.d_model,
        decoder_ffn_dim=4 * shape.d_model,
        encoder_attention_heads=shape.d_model // 64,
        decoder_attention_heads=shape.d_model // 64,
    )
    model = BartForConditionalGeneration(config)
    model.generation_config.forced_bos_token_id = 0
    model.save_pretrained(folder)
    special = ("<s>", "<pad>", "</s>", "<unk>")
    words = (*special, *(f"w{number}" for number in range(shape.vocabulary - len(special))))
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",  # noqa: S106
        pad_token="<pad>",  # noqa: S106
        eos_token="</s>",  # noqa: S106
        unk_token="<unk>",  # noqa: S106
    ).save_pretrained(folder)


def time(engine: str, model: Path, converted: Path, beams: int, repeats: int) -> Cost:
    """Return the least seconds of a summary after one to warm up, and the peak of the memory."""
    summarize = ENGINES[engine](model, converted, beams)
    text = " ".join(f"w{7 * number}" for number in range(SOURCE_TOKENS - 2))
    summarize(text)
    seconds = []
    for _ in range(repeats):
        started = perf_counter()
        summarize(text)
        seconds.append(perf_counter() - started)
    return Cost(min(seconds), _peak_mb())


def _ours(model: Path, converted: Path, beams: int) -> Callable[[str], object]:
    generator = CTranslate2Model(model, converted, "bench")
    return lambda text: generator.generate(text, _parameters(beams), lambda: False)


def _torch_bf16(model: Path, _converted: Path, beams: int) -> Callable[[str], object]:
    from lib.summarize.abstractive import TorchModel

    generator = TorchModel(model, "bench", precision="bfloat16")
    return lambda text: generator.generate(text, _parameters(beams), lambda: False)


def _transformers(model: Path, _converted: Path, beams: int) -> Callable[[str], object]:
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(model, local_files_only=True).eval()

    def summarize(text: str) -> object:
        inputs = tokenizer([text], return_tensors="pt", return_token_type_ids=False)
        with torch.inference_mode():
            tokens = loaded.generate(
                **inputs,
                num_beams=beams,
                max_new_tokens=NEW_TOKENS,
                min_new_tokens=NEW_TOKENS,
                length_penalty=2.0,
                no_repeat_ngram_size=3,
                early_stopping=beams > 1,
            )
        return tokenizer.batch_decode(tokens, skip_special_tokens=True)

    return summarize


ENGINES = {OURS: _ours, PEER: _transformers, HALF: _torch_bf16}


def _parameters(beams: int) -> Generation:
    return Generation(NEW_TOKENS, NEW_TOKENS, beams)


def _peak_mb() -> float:
    """Return the peak of this process; `ru_maxrss` would include that of its parent."""
    (line,) = (
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1024


def main(task: str, *arguments: str) -> dict[str, Any]:
    """Do a task of the benchmark and return its result."""
    if task == "save":
        folder, shape = arguments
        save(Path(folder), Shape(**json.loads(shape)))
        return {}
    engine, model, converted, beams, repeats = arguments
    return vars(time(engine, Path(model), Path(converted), int(beams), int(repeats)))


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
