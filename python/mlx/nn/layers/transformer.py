"""Attention and the transformer of https://arxiv.org/abs/1706.03762."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.nn.layers.activations import relu
from mlx.nn.layers.base import Module
from mlx.nn.layers.dropout import Dropout
from mlx.nn.layers.linear import Linear
from mlx.nn.layers.normalization import LayerNorm
from mlx.nn.utils import checkpoint as checkpointed


class MultiHeadAttention(Module):
    """Softmax attention with several heads between four linear maps.

    Args:
        dims: size of a token of the model; the default for all sizes below.
        num_heads: number of heads; divides ``dims`` and ``value_dims``.
        query_input_dims: size of the queries.
        key_input_dims: size of the keys.
        value_input_dims: size of the values; ``key_input_dims`` by default.
        value_dims: size of the values behind their linear map.
        value_output_dims: size of the output.
        bias: whether the linear maps add biases.

    Shape:
        queries ``(N, L, ...)``, keys and values ``(N, S, ...)`` to
        ``(N, L, value_output_dims)``. A ``mask`` that is added to the scores must
        broadcast to ``(N, num_heads, L, S)``.

    Example:
        >>> x = mx.random.normal((2, 5, 16))
        >>> nn.MultiHeadAttention(16, 4)(x, x, x).shape
        (2, 5, 16)
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        query_input_dims: int | None = None,
        key_input_dims: int | None = None,
        value_input_dims: int | None = None,
        value_dims: int | None = None,
        value_output_dims: int | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        if num_heads < 1 or dims % num_heads != 0:
            raise ValueError(
                f"[MultiHeadAttention] dims ({dims}) must be divisible by num_heads ({num_heads})"
            )
        query_input_dims = query_input_dims or dims
        key_input_dims = key_input_dims or dims
        value_input_dims = value_input_dims or key_input_dims
        value_dims = value_dims or dims
        value_output_dims = value_output_dims or dims
        self.num_heads = num_heads
        self.query_proj = Linear(query_input_dims, dims, bias=bias)
        self.key_proj = Linear(key_input_dims, dims, bias=bias)
        self.value_proj = Linear(value_input_dims, value_dims, bias=bias)
        self.out_proj = Linear(value_dims, value_output_dims, bias=bias)

    def _heads(self, x: Any) -> Any:
        """``(..., L, heads * d)`` to ``(..., heads, L, d)``."""
        return mx.unflatten(x, -1, (self.num_heads, -1)).swapaxes(-2, -3)

    def __call__(
        self, queries: mx.array, keys: mx.array, values: mx.array, mask: Any = None
    ) -> mx.array:
        queries = self._heads(self.query_proj(queries))
        keys = self._heads(self.key_proj(keys))
        values = self._heads(self.value_proj(values))
        scale = queries.shape[-1] ** -0.5
        y = mx.fast.scaled_dot_product_attention(queries, keys, values, scale=scale, mask=mask)
        return self.out_proj(y.swapaxes(-2, -3).flatten(-2, -1))

    @staticmethod
    def create_additive_causal_mask(N: int, dtype: mx.Dtype = mx.float32) -> Any:
        """The mask ``(N, N)`` that keeps a token from seeing later ones: 0 where the
        key isn't later than the query, else the type's lowest value."""
        positions = mx.arange(N)
        later = positions[:, None] < positions[None]
        return later.astype(dtype) * mx.finfo(dtype).min


class TransformerEncoderLayer(Module):
    """Self-attention and a two-layer perceptron, each with normalisation and dropout
    around it and added to its input.

    Args:
        dims: size of a token.
        num_heads: number of attention heads.
        mlp_dims: size of the perceptron's hidden layer; ``4 * dims`` by default.
        dropout: probability of dropout.
        activation: the perceptron's.
        norm_first: whether to normalise before each part, else after adding it.

    Shape:
        ``x`` ``(N, L, dims)`` to the same; ``mask`` as in :class:`MultiHeadAttention`.

    Example:
        >>> nn.TransformerEncoderLayer(16, 4)(mx.ones((2, 5, 16)), None).shape
        (2, 5, 16)
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Callable[[Any], Any] = relu,
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        mlp_dims = mlp_dims or dims * 4
        self.attention = MultiHeadAttention(dims, num_heads)
        self.ln1 = LayerNorm(dims)
        self.ln2 = LayerNorm(dims)
        self.linear1 = Linear(dims, mlp_dims)
        self.linear2 = Linear(mlp_dims, dims)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = activation
        self.norm_first = norm_first

    def _mlp(self, x: Any) -> Any:
        return self.linear2(self.dropout2(self.activation(self.linear1(x))))

    def __call__(self, x: mx.array, mask: Any) -> mx.array:
        if self.norm_first:
            y = self.ln1(x)
            x = x + self.dropout1(self.attention(y, y, y, mask))
            return x + self._mlp(self.ln2(x))
        x = self.ln1(x + self.dropout1(self.attention(x, x, x, mask)))
        return self.ln2(x + self._mlp(x))


class TransformerEncoder(Module):
    """``num_layers`` of :class:`TransformerEncoderLayer` and a last normalisation.

    ``checkpoint`` says whether the backward pass computes each layer again instead of
    keeping what is inside it; the other arguments are the layer's.

    Example:
        >>> nn.TransformerEncoder(2, 16, 4)(mx.ones((2, 5, 16)), None).shape
        (2, 5, 16)
    """

    def __init__(
        self,
        num_layers: int,
        dims: int,
        num_heads: int,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Any = relu,
        norm_first: bool = True,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.layers = [
            TransformerEncoderLayer(dims, num_heads, mlp_dims, dropout, activation, norm_first)
            for _ in range(num_layers)
        ]
        self.ln = LayerNorm(dims)
        self.checkpoint = checkpoint

    def __call__(self, x: mx.array, mask: Any) -> mx.array:
        for layer in self.layers:
            x = (checkpointed(layer) if self.checkpoint else layer)(x, mask)
        return self.ln(x)


class TransformerDecoderLayer(Module):
    """Self-attention, attention to an encoder's output and a two-layer perceptron, each
    with normalisation and dropout around it and added to its input.

    The arguments are those of :class:`TransformerEncoderLayer`.

    Shape:
        ``x`` ``(N, L, dims)`` and ``memory`` ``(N, S, dims)`` to ``(N, L, dims)``;
        the masks as in :class:`MultiHeadAttention`.

    Example:
        >>> layer = nn.TransformerDecoderLayer(16, 4)
        >>> layer(mx.ones((2, 5, 16)), mx.ones((2, 3, 16)), None, None).shape
        (2, 5, 16)
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Callable[[Any], Any] = relu,
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        mlp_dims = mlp_dims or dims * 4
        self.self_attention = MultiHeadAttention(dims, num_heads)
        self.cross_attention = MultiHeadAttention(dims, num_heads)
        self.ln1 = LayerNorm(dims)
        self.ln2 = LayerNorm(dims)
        self.ln3 = LayerNorm(dims)
        self.linear1 = Linear(dims, mlp_dims)
        self.linear2 = Linear(mlp_dims, dims)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = activation
        self.norm_first = norm_first

    def _mlp(self, x: Any) -> Any:
        return self.linear2(self.dropout3(self.activation(self.linear1(x))))

    def __call__(self, x: mx.array, memory: mx.array, x_mask: Any, memory_mask: Any) -> mx.array:
        if self.norm_first:
            y = self.ln1(x)
            x = x + self.dropout1(self.self_attention(y, y, y, x_mask))
            y = self.cross_attention(self.ln2(x), memory, memory, memory_mask)
            x = x + self.dropout2(y)
            return x + self._mlp(self.ln3(x))
        x = self.ln1(x + self.dropout1(self.self_attention(x, x, x, x_mask)))
        y = self.cross_attention(x, memory, memory, memory_mask)
        x = self.ln2(x + self.dropout2(y))
        return self.ln3(x + self._mlp(x))


class TransformerDecoder(Module):
    """``num_layers`` of :class:`TransformerDecoderLayer` and a last normalisation.

    The arguments are those of :class:`TransformerEncoder`.

    Example:
        >>> decoder = nn.TransformerDecoder(2, 16, 4)
        >>> decoder(mx.ones((2, 5, 16)), mx.ones((2, 3, 16)), None, None).shape
        (2, 5, 16)
    """

    def __init__(
        self,
        num_layers: int,
        dims: int,
        num_heads: int,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Any = relu,
        norm_first: bool = True,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.layers = [
            TransformerDecoderLayer(dims, num_heads, mlp_dims, dropout, activation, norm_first)
            for _ in range(num_layers)
        ]
        self.ln = LayerNorm(dims)
        self.checkpoint = checkpoint

    def __call__(self, x: mx.array, memory: mx.array, x_mask: Any, memory_mask: Any) -> mx.array:
        for layer in self.layers:
            call = checkpointed(layer) if self.checkpoint else layer
            x = call(x, memory, x_mask, memory_mask)
        return self.ln(x)


class Transformer(Module):
    """An encoder for ``src`` and a decoder for ``tgt`` that attends to its output.

    Args:
        dims: size of a token.
        num_heads: number of attention heads.
        num_encoder_layers: layers of the encoder.
        num_decoder_layers: layers of the decoder.
        mlp_dims: size of the perceptrons' hidden layers; ``4 * dims`` by default.
        dropout: probability of dropout.
        activation: the perceptrons'.
        custom_encoder: a module ``(src, src_mask)`` to take as the encoder.
        custom_decoder: a module ``(tgt, memory, tgt_mask, memory_mask)`` to take as the
            decoder.
        norm_first: whether to normalise before each part of a layer, else after it.
        checkpoint: whether the backward pass computes each layer again instead of
            keeping what is inside it.

    Shape:
        ``src`` ``(N, S, dims)`` and ``tgt`` ``(N, L, dims)`` to ``(N, L, dims)``.

    Example:
        >>> model = nn.Transformer(16, 4, 1, 1)
        >>> model(mx.ones((2, 3, 16)), mx.ones((2, 5, 16)), None, None, None).shape
        (2, 5, 16)
    """

    def __init__(
        self,
        dims: int = 512,
        num_heads: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Callable[[Any], Any] = relu,
        custom_encoder: Any | None = None,
        custom_decoder: Any | None = None,
        norm_first: bool = True,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        common = (dims, num_heads, mlp_dims, dropout, activation, norm_first, checkpoint)
        # "is None": a module without parameters of its own is an empty, false dict.
        if custom_encoder is None:
            custom_encoder = TransformerEncoder(num_encoder_layers, *common)
        if custom_decoder is None:
            custom_decoder = TransformerDecoder(num_decoder_layers, *common)
        self.encoder = custom_encoder
        self.decoder = custom_decoder

    def __call__(
        self, src: mx.array, tgt: mx.array, src_mask: Any, tgt_mask: Any, memory_mask: Any
    ) -> mx.array:
        memory = self.encoder(src, src_mask)
        return self.decoder(tgt, memory, tgt_mask, memory_mask)
