"""Telling a transformer where its tokens are."""

import math
from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module


class RoPE(Module):
    """Rotates pairs of features by an angle proportional to the position
    (https://arxiv.org/abs/2104.09864).

    Args:
        dims: how many features, from the first on, are rotated; the rest stays.
        traditional: whether a pair is two neighbours, else the features ``i`` and
            ``i + dims / 2``.
        base: sets the slowest angle, ``base ** (-1)`` a position.
        scale: multiplies the positions.

    Shape:
        ``(..., L, D)`` with ``D >= dims`` to the same. Calling it with ``offset`` says
        the position of the first of the ``L`` tokens.

    Example:
        >>> nn.RoPE(8)(mx.ones((1, 2, 5, 8)), offset=3).shape
        (1, 2, 5, 8)
    """

    def __init__(
        self, dims: int, traditional: bool = False, base: float = 10000, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.dims = dims
        self.traditional = traditional
        self.base = base
        self.scale = scale

    def _extra_repr(self) -> Any:
        return f"{self.dims}, traditional={self.traditional}"

    def __call__(self, x: mx.array, offset: int = 0) -> mx.array:
        return mx.fast.rope(
            x,
            self.dims,
            traditional=self.traditional,
            base=self.base,
            scale=self.scale,
            offset=offset,
        )


class SinusoidalPositionalEncoding(Module):
    """Sines and cosines of a position, at ``dims / 2`` frequencies
    (https://arxiv.org/abs/1706.03762).

    Args:
        dims: size of the encoding.
        min_freq: the lowest frequency.
        max_freq: the highest frequency.
        scale: multiplies the result; ``sqrt(2 / dims)`` when not given.
        cos_first: whether the cosines come before the sines.
        full_turns: whether a frequency counts turns (``2 * pi``) a position.

    Shape:
        positions ``(...)`` to ``(..., dims)``.

    Example:
        >>> nn.SinusoidalPositionalEncoding(16)(mx.arange(10)).shape
        (10, 16)
    """

    def __init__(
        self,
        dims: int,
        min_freq: float = 0.0001,
        max_freq: float = 1,
        scale: float | None = None,
        cos_first: bool = False,
        full_turns: bool = False,
    ) -> None:
        super().__init__()
        if dims < 2 or dims % 2:
            raise ValueError(
                f"[SinusoidalPositionalEncoding] dims must be even and positive, but is {dims}"
            )
        # Geometric from max_freq down to min_freq; max(..., 1) is for a single frequency.
        falling = 1 - mx.arange(0, dims // 2) / max(dims // 2 - 1, 1)
        span = math.log(max_freq) - math.log(min_freq)
        self._sigmas = mx.exp(falling * span + math.log(min_freq))
        if full_turns:
            self._sigmas = self._sigmas * (2 * math.pi)
        self.scale = scale or math.sqrt(2 / dims)
        self.cos_first = cos_first

    def __call__(self, x: mx.array) -> mx.array:
        angle = x[..., None] * self._sigmas
        parts = [mx.sin(angle), mx.cos(angle)]
        if self.cos_first:
            parts.reverse()
        y = mx.concatenate(parts, axis=-1)
        return y if self.scale == 1 else y * self.scale


class ALiBi(Module):
    """Lowers attention scores in proportion to the distance of key and query, with a
    slope for each head (https://arxiv.org/abs/2108.12409).

    Shape:
        scores ``(B, heads, L, S)`` to the same; ``offset`` is the position of the
        first query, ``mask`` is added to the bias.

    Example:
        >>> nn.ALiBi()(mx.zeros((1, 2, 3, 3)))[0, 1, 2]
        array([-0.0078125, -0.00390625, 0], dtype=float32)
    """

    @staticmethod
    def create_alibi_matrix(
        q_sequence_length: int,
        k_sequence_length: int,
        num_heads: int,
        offset: int = 0,
        dtype: mx.Dtype = mx.float32,
    ) -> Any:
        """The bias ``(1, num_heads, q_sequence_length - offset, k_sequence_length)`` of
        the queries from position ``offset`` on."""
        queries = mx.arange(offset, q_sequence_length)
        keys = mx.arange(k_sequence_length)
        distance = mx.abs(queries[:, None] - keys[None])
        return (-distance * ALiBi.create_alibi_slope(num_heads)).astype(dtype)[None]

    @staticmethod
    def create_alibi_slope(num_heads: int, dtype: mx.Dtype = mx.float32) -> Any:
        """The slopes ``(num_heads, 1, 1)``.

        For a power of two, head ``k`` (from 1) has ``2 ** (-8 k / num_heads)``. Other
        numbers of heads take those of the power below and fill up with every second
        slope of the power above, as the paper's authors do.
        """

        def slopes(heads: Any) -> Any:
            return [2.0 ** (-8.0 * k / heads) for k in range(1, heads + 1)]

        below = 1 << (num_heads.bit_length() - 1)
        values = slopes(below) + slopes(2 * below)[::2][: num_heads - below]
        return mx.array(values, dtype=dtype)[:, None, None]

    def __call__(self, attention_scores: Any, offset: Any = 0, mask: Any = None) -> mx.array:
        bias = self.create_alibi_matrix(
            q_sequence_length=attention_scores.shape[-2] + offset,
            k_sequence_length=attention_scores.shape[-1],
            num_heads=attention_scores.shape[1],
            offset=offset,
            dtype=attention_scores.dtype,
        )
        if mask is not None:
            bias = bias + mask
        return attention_scores + bias
