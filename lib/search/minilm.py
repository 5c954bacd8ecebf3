"""all-MiniLM-L6-v2 as an ONNX graph: from a text's tokens to its embedding.

BERT (Devlin et al. 2019) with six layers, the mean over the last layer's tokens, and length one.
One text at a time, so there is no padding and no mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

LAYERS = 6
HEADS = 12
DIMENSIONS = 384
TOKENS = "tokens"
EMBEDDING = "embedding"

_EPSILON = 1e-12  # of layer normalisation, from the model's config.json
# 7 bits: processors without VNNI add two products of 8 bits into 16, where 8-bit weights overflow.
_LARGEST_WEIGHT = 63
_OPSET, _IR_VERSION = 23, 11
_CONTRIBUTED = "com.microsoft"  # operators of ONNX Runtime beyond the standard

Weights = Mapping[str, npt.NDArray[np.float32]]


def minilm(weights: Weights, *, exact: bool = False) -> ModelProto:
    """Return the graph of `weights`, named as in the model's safetensors file.

    In: `tokens`, whole numbers of 1 x up to 512. Out: `embedding`, 1 x 384 of length one.
    Matrices are multiplied in 8-bit whole numbers, with weights rounded to 7 bits by columns and
    activations to 8 bits as they come; if `exact`, in 32-bit floating point.
    """
    from onnx import TensorProto, helper

    graph = _Graph(weights, exact=exact)
    graph.embed()
    graph.normalise("embeddings.LayerNorm")
    for layer in range(LAYERS):
        graph.attend(f"encoder.layer.{layer}.")
        graph.transform(f"encoder.layer.{layer}.")
    graph.pool()
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info(TOKENS, TensorProto.INT64, [1, "length"])],
            [helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, [1, DIMENSIONS])],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIBUTED, 1)],
        ir_version=_IR_VERSION,
    )


class _Graph:
    """Nodes and constants of a graph as they are added; `_state` names the last layer's output."""

    def __init__(self, weights: Weights, *, exact: bool) -> None:
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self._weights = weights
        self._exact = exact
        self._state = TOKENS

    def embed(self) -> None:
        """From token numbers to the sum of word, position and sentence embeddings."""
        words = self._weights["embeddings.word_embeddings.weight"]
        # Every token is of the first sentence.
        places = (
            self._weights["embeddings.position_embeddings.weight"]
            + self._weights["embeddings.token_type_embeddings.weight"][0]
        )
        length = self._add("Shape", [TOKENS], start=1)
        zero = self._constant("zero", np.zeros(1, np.int64))
        first = self._add("Slice", [self._constant("places", places), zero, length])
        word = self._add("Gather", [self._constant("words", words), TOKENS])
        self._state = self._add("Add", [word, first])

    def attend(self, layer: str) -> None:
        """One layer's self-attention, added to what goes in."""
        names = [f"{layer}attention.self.{name}" for name in ("query", "key", "value")]
        weight = np.concatenate([self._weights[f"{name}.weight"] for name in names])
        bias = np.concatenate([self._weights[f"{name}.bias"] for name in names])
        together = self._linear(f"{layer}attention.self", self._state, weight, bias)
        parts = self._add_all("Split", [together], names, axis=-1, num_outputs=3)
        heads = self._add("Attention", parts, q_num_heads=HEADS, kv_num_heads=HEADS)
        mixed = self._dense(f"{layer}attention.output.dense", heads)
        self._state = self._add("Add", [self._state, mixed])
        self.normalise(f"{layer}attention.output.LayerNorm")

    def transform(self, layer: str) -> None:
        """One layer's two dense layers, added to what goes in."""
        wide = self._add("Gelu", [self._dense(f"{layer}intermediate.dense", self._state)])
        narrow = self._dense(f"{layer}output.dense", wide)
        self._state = self._add("Add", [self._state, narrow])
        self.normalise(f"{layer}output.LayerNorm")

    def normalise(self, name: str) -> None:
        """Layer normalisation of each token."""
        parameters = [
            self._constant(f"{name}.{part}", self._weights[f"{name}.{part}"])
            for part in ("weight", "bias")
        ]
        self._state = self._add(
            "LayerNormalization", [self._state, *parameters], axis=-1, epsilon=_EPSILON
        )

    def pool(self) -> None:
        """From the tokens to their mean, of length one."""
        over_tokens = self._constant("over_tokens", np.ones(1, np.int64))
        mean = self._add("ReduceMean", [self._state, over_tokens], keepdims=0)
        self._add_all("LpNormalization", [mean], [EMBEDDING], axis=-1, p=2)

    def _dense(self, name: str, state: str) -> str:
        return self._linear(
            name, state, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        )

    def _linear(
        self,
        name: str,
        state: str,
        weight: npt.NDArray[np.float32],
        bias: npt.NDArray[np.float32],
    ) -> str:
        added = self._constant(f"{name}.bias", bias)
        if self._exact:
            product = self._add("MatMul", [state, self._constant(f"{name}.weight", weight.T)])
            return self._add("Add", [product, added])
        scale = np.abs(weight).max(axis=1) / _LARGEST_WEIGHT
        rounded = np.rint(weight / scale[:, None]).astype(np.int8)
        matrix = self._constant(f"{name}.weight", rounded.T)
        scales = self._constant(f"{name}.scale", scale)
        inputs = [state, matrix, scales, "", added]
        return self._add("DynamicQuantizeMatMul", inputs, domain=_CONTRIBUTED)

    def _constant(self, name: str, values: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _add(self, operator: str, inputs: list[str], domain: str = "", **attributes: Any) -> str:
        output = f"{operator}_{len(self.nodes)}"
        self._add_all(operator, inputs, [output], domain, **attributes)
        return output

    def _add_all(
        self,
        operator: str,
        inputs: list[str],
        outputs: list[str],
        domain: str = "",
        **attributes: Any,
    ) -> list[str]:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, outputs, domain=domain, **attributes))
        return outputs
