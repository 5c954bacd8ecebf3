"""Random BART, T5 and PEGASUS models of a third of a megabyte, with tokenizers trained here."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    PegasusConfig,
    PegasusForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

KINDS = ("bart", "t5", "pegasus")
WINDOW = 64
VOCABULARY = 150
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
CORPUS = [
    "Revenue rose by 8 percent in the third quarter, said the company.",
    "Demand in Europe made up for weaker sales in Asia and costs fell.",
    "The board confirmed its forecast and will pay a dividend in December.",
]
TEXT = "Revenue rose by 8 percent in the third quarter. Costs fell in Asia, said the board."


def save_model(folder: Path, kind: str = "bart", **changes: Any) -> Path:
    """Return the folder with a random model of this kind and its tokenizer."""
    torch.manual_seed(7)
    model = _model(kind, changes)
    model.generation_config.forced_eos_token_id = None
    model.generation_config.forced_bos_token_id = 0 if kind == "bart" else None
    model.save_pretrained(folder)
    _tokenizer(kind).save_pretrained(folder)
    return folder


def save_sentencepiece_model(folder: Path, kind: str, tokenizer: str) -> Path:
    """Return a model whose tokenizer is a spiece.model, as older ones of the hub have it."""
    pieces = 58
    offset = 103 if kind == "pegasus" else 0  # PEGASUS has so many tokens before the pieces
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=trained,
        vocab_size=pieces,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    tokens = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    save_model(folder, kind, vocab_size=pieces + offset, **tokens)
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(trained.getvalue())
    settings = {"tokenizer_class": tokenizer, "model_max_length": WINDOW, "extra_ids": 0}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def _model(kind: str, changes: dict[str, Any]) -> Any:
    shared = {"vocab_size": VOCABULARY, "d_model": 16, "pad_token_id": 1, "eos_token_id": 2}
    layers = {
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
        "max_position_embeddings": WINDOW,
        "init_std": 0.5,
    }
    match kind:
        case "bart":
            settings = shared | layers | {"bos_token_id": 0, "decoder_start_token_id": 2}
            return BartForConditionalGeneration(BartConfig(**settings | changes))
        case "pegasus":
            settings = shared | layers | {"decoder_start_token_id": 1, "scale_embedding": True}
            return PegasusForConditionalGeneration(PegasusConfig(**settings | changes))
        case _:
            settings = shared | {
                "d_kv": 8,
                "d_ff": 32,
                "num_layers": 2,
                "num_heads": 2,
                "decoder_start_token_id": 1,
                "n_positions": WINDOW,
                "initializer_factor": 4.0,
            }
            return T5ForConditionalGeneration(T5Config(**settings | changes))


@cache
def _tokenizer(kind: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    start = "<s> " if kind == "bart" else ""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start}$A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=WINDOW,
    )
