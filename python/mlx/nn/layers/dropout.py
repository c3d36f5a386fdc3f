"""Layers that set a random part of their input to zero while training."""

from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module


class _Dropout(Module):
    def __init__(self, p: Any) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(
                f"[{type(self).__name__}] the probability must be in [0, 1), but is {p}"
            )
        self._p_1 = 1 - p

    def _extra_repr(self) -> Any:
        return f"p={1 - self._p_1}"

    def _drop(self, x: Any, mask_shape: Any) -> Any:
        keep = self._p_1
        if keep == 1 or not self.training:
            return x
        mask = mx.random.bernoulli(p=keep, shape=mask_shape)
        return mx.where(mask, x * (1 / keep), 0)

    def _drop_channels(self, x: Any, ranks: Any) -> Any:
        """One decision for each sample and channel, whatever the position."""
        if x.ndim not in ranks:
            raise ValueError(
                f"[{type(self).__name__}] the input must have {ranks[0]} or {ranks[1]} axes, "
                f"not the shape {x.shape}"
            )
        shape = [1] * x.ndim
        shape[-1] = x.shape[-1]
        if x.ndim == ranks[1]:
            shape[0] = x.shape[0]
        return self._drop(x, shape)


class Dropout(_Dropout):
    """Sets each value to zero with probability ``p`` and divides the others by
    ``1 - p``, so that the expectation stays; does nothing in evaluation.

    Args:
        p: the probability, in ``[0, 1)``.

    Example:
        >>> nn.Dropout(0.5).eval()(mx.array([1.0, 2.0]))
        array([1, 2], dtype=float32)
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def __call__(self, x: mx.array) -> mx.array:
        return self._drop(x, x.shape)


class Dropout2d(_Dropout):
    """:class:`Dropout` of whole channels of ``(N, H, W, C)`` or ``(H, W, C)``.

    Neighbouring values of a feature map say much the same, so dropping single ones
    regularises little.

    Args:
        p: the probability that a channel is dropped, in ``[0, 1)``.

    Example:
        >>> nn.Dropout2d(0.1)(mx.ones((2, 8, 8, 3))).shape
        (2, 8, 8, 3)
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def __call__(self, x: mx.array) -> mx.array:
        return self._drop_channels(x, (3, 4))


class Dropout3d(_Dropout):
    """:class:`Dropout` of whole channels of ``(N, D, H, W, C)`` or ``(D, H, W, C)``.

    Args:
        p: the probability that a channel is dropped, in ``[0, 1)``.

    Example:
        >>> nn.Dropout3d(0.1)(mx.ones((2, 4, 8, 8, 3))).shape
        (2, 4, 8, 8, 3)
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def __call__(self, x: mx.array) -> mx.array:
        return self._drop_channels(x, (4, 5))
