"""Looking up vectors."""

import math
from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.nn.layers.quantized import QuantizedEmbedding


class Embedding(Module):
    """A table of vectors, one for each index.

    The table starts normal with standard deviation ``dims ** -0.5``.

    Args:
        num_embeddings: number of vectors.
        dims: size of a vector.

    Shape:
        indices ``(...)`` to ``(..., dims)``; ``weight`` is ``(num_embeddings, dims)``.

    Example:
        >>> nn.Embedding(100, 8)(mx.array([[1, 5]])).shape
        (1, 2, 8)
    """

    def __init__(self, num_embeddings: int, dims: int) -> None:
        super().__init__()
        self.weight = mx.random.normal((num_embeddings, dims), scale=math.sqrt(1.0 / dims))

    def _extra_repr(self) -> Any:
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"

    def __call__(self, x: mx.array) -> mx.array:
        return self["weight"][x]

    def as_linear(self, x: Any) -> Any:
        """Use the table as the weight of a linear layer without bias: how a language
        model with tied embeddings turns hidden states into logits.

        ``(..., dims)`` to ``(..., num_embeddings)``.
        """
        return x @ self["weight"].T

    def to_quantized(
        self,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
        quantize_input: bool = False,
    ) -> Any:
        """A :class:`QuantizedEmbedding` of the same vectors; the arguments are those of
        :meth:`Linear.to_quantized`, but an index can't be quantised."""
        if quantize_input:
            raise ValueError(
                "[Embedding.to_quantized] the inputs are indices: quantize_input must be False"
            )
        return QuantizedEmbedding.from_embedding(self, group_size, bits, mode=mode)
