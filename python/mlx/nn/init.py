"""Initialisers: each function here makes one that maps an array to a new one of the
same shape. The given array's values play no part.

Example:
    >>> layer = nn.Linear(4, 2)
    >>> layer.weight = nn.init.he_normal()(layer.weight)
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import mlx.core as mx


def constant(value: float, dtype: mx.Dtype = mx.float32) -> Callable[[mx.array], mx.array]:
    """All elements ``value``.

    Example:
        >>> nn.init.constant(0.5)(mx.zeros((2,)))
        array([0.5, 0.5], dtype=float32)
    """

    def initializer(a: mx.array) -> mx.array:
        return mx.full(a.shape, value, dtype=dtype)

    return initializer


def normal(
    mean: float = 0.0, std: float = 1.0, dtype: mx.Dtype = mx.float32
) -> Callable[[mx.array], mx.array]:
    """Normal with the given mean and standard deviation."""

    def initializer(a: mx.array) -> mx.array:
        return mx.random.normal(shape=a.shape, scale=std, loc=mean, dtype=dtype)

    return initializer


def uniform(
    low: float = 0.0, high: float = 1.0, dtype: mx.Dtype = mx.float32
) -> Callable[[mx.array], mx.array]:
    """Uniform in ``[low, high)``."""

    def initializer(a: mx.array) -> mx.array:
        return mx.random.uniform(low, high, a.shape, dtype=dtype)

    return initializer


def identity(dtype: mx.Dtype = mx.float32) -> Callable[[mx.array], mx.array]:
    """The identity, for square matrices."""

    def initializer(arr: mx.array) -> mx.array:
        if arr.ndim != 2 or arr.shape[0] != arr.shape[1]:
            raise ValueError(f"[init.identity] expected a square matrix, got shape {arr.shape}")
        return mx.eye(n=arr.shape[0], dtype=dtype)

    return initializer


def _fans(a: Any, where: Any) -> Any:
    """Inputs of an output value and outputs of an input value, for a weight
    ``(outputs, ..., inputs)``."""
    if a.ndim < 2:
        raise ValueError(f"[init.{where}] expected at least 2 axes, got shape {a.shape}")
    window = math.prod(a.shape[1:-1])
    return a.shape[-1] * window, a.shape[0] * window


def _fan(a: Any, mode: Any, where: Any) -> Any:
    fan_in, fan_out = _fans(a, where)
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"[init.{where}] mode must be fan_in or fan_out, not {mode!r}")
    return fan_in if mode == "fan_in" else fan_out


def glorot_normal(dtype: mx.Dtype = mx.float32) -> Callable[[mx.array, float], mx.array]:
    """Normal with standard deviation ``gain * sqrt(2 / (fan_in + fan_out))``
    (https://proceedings.mlr.press/v9/glorot10a.html).

    Example:
        >>> nn.init.glorot_normal()(mx.zeros((4, 4)), gain=2.0).shape
        (4, 4)
    """

    def initializer(a: mx.array, gain: float = 1.0) -> mx.array:
        fan_in, fan_out = _fans(a, "glorot_normal")
        std = gain * math.sqrt(2.0 / (fan_in + fan_out))
        return mx.random.normal(shape=a.shape, scale=std, dtype=dtype)

    return initializer


def glorot_uniform(dtype: mx.Dtype = mx.float32) -> Callable[[mx.array, float], mx.array]:
    """Uniform between ``-k`` and ``k``, ``k = gain * sqrt(6 / (fan_in + fan_out))``."""

    def initializer(a: mx.array, gain: float = 1.0) -> mx.array:
        fan_in, fan_out = _fans(a, "glorot_uniform")
        limit = gain * math.sqrt(6.0 / (fan_in + fan_out))
        return mx.random.uniform(-limit, limit, a.shape, dtype=dtype)

    return initializer


def he_normal(
    dtype: mx.Dtype = mx.float32,
) -> Callable[[mx.array, Literal["fan_in", "fan_out"], float], mx.array]:
    """Normal with standard deviation ``gain / sqrt(fan)`` (https://arxiv.org/abs/1502.01852).

    Example:
        >>> nn.init.he_normal()(mx.zeros((4, 4)), mode="fan_out", gain=2.0).shape
        (4, 4)
    """

    def initializer(
        a: mx.array, mode: Literal["fan_in", "fan_out"] = "fan_in", gain: float = 1.0
    ) -> mx.array:
        std = gain / math.sqrt(_fan(a, mode, "he_normal"))
        return mx.random.normal(shape=a.shape, scale=std, dtype=dtype)

    return initializer


def he_uniform(
    dtype: mx.Dtype = mx.float32,
) -> Callable[[mx.array, Literal["fan_in", "fan_out"], float], mx.array]:
    """Uniform between ``-k`` and ``k``, ``k = gain * sqrt(3 / fan)``."""

    def initializer(
        a: mx.array, mode: Literal["fan_in", "fan_out"] = "fan_in", gain: float = 1.0
    ) -> mx.array:
        limit = gain * math.sqrt(3.0 / _fan(a, mode, "he_uniform"))
        return mx.random.uniform(-limit, limit, a.shape, dtype=dtype)

    return initializer


def sparse(
    sparsity: float, mean: float = 0.0, std: float = 1.0, dtype: mx.Dtype = mx.float32
) -> Callable[[mx.array], mx.array]:
    """Normal, but in each row of a matrix a fraction ``sparsity`` of the elements
    (rounded up) is zero.

    Example:
        >>> (nn.init.sparse(0.5)(mx.zeros((3, 4))) == 0).sum(axis=1)
        array([2, 2, 2], dtype=int32)
    """

    def initializer(a: mx.array) -> mx.array:
        if a.ndim != 2:
            raise ValueError(f"[init.sparse] expected a matrix, got shape {a.shape}")
        rows, columns = a.shape
        zeros = min(math.ceil(sparsity * columns), columns)
        order = mx.argsort(mx.random.uniform(shape=a.shape), axis=1)
        values = mx.random.normal(shape=a.shape, scale=std, loc=mean, dtype=dtype)
        values[mx.arange(rows)[:, None], order[:, :zeros]] = 0
        return values

    return initializer


def orthogonal(gain: float = 1.0, dtype: mx.Dtype = mx.float32) -> Callable[[mx.array], mx.array]:
    """``gain`` times a matrix whose shorter side's vectors are orthonormal
    (https://arxiv.org/abs/1312.6120), uniformly distributed.

    Example:
        >>> q = nn.init.orthogonal()(mx.zeros((2, 5)))
        >>> mx.allclose(q @ q.T, mx.eye(2), atol=1e-5)
        array(True, dtype=bool)
    """

    def initializer(a: mx.array) -> mx.array:
        if a.ndim != 2:
            raise ValueError(f"[init.orthogonal] expected a matrix, got shape {a.shape}")
        rows, columns = a.shape
        n = max(rows, columns)
        q, r = mx.linalg.qr(mx.random.normal(shape=(n, n)), stream=mx.cpu)
        # With the diagonal of r positive, q is unique: uniform over all rotations.
        q = q * mx.sign(mx.diag(r))
        return (q[:rows, :columns] * gain).astype(dtype)

    return initializer
