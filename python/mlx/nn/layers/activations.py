"""Activation functions, and a module for each.

They are plain compositions: evaluation fuses each into one pass over the data.
"""

import math
from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module


def sigmoid(x: mx.array) -> mx.array:
    """``1 / (1 + exp(-x))``."""
    return mx.sigmoid(x)


def relu(x: mx.array) -> mx.array:
    """``max(x, 0)``."""
    return mx.maximum(x, 0)


def relu2(x: mx.array) -> mx.array:
    """``max(x, 0) ** 2``."""
    return mx.square(mx.maximum(x, 0))


def relu6(x: mx.array) -> mx.array:
    """``min(max(x, 0), 6)``."""
    return mx.minimum(mx.maximum(x, 0), 6.0)


def leaky_relu(x: mx.array, negative_slope: Any = 0.01) -> mx.array:
    """``x`` where positive, else ``negative_slope * x``."""
    return mx.maximum(negative_slope * x, x)


def prelu(x: mx.array, alpha: mx.array) -> mx.array:
    """``x`` where positive, else ``alpha * x``, with a learned ``alpha``."""
    return mx.maximum(0, x) + alpha * mx.minimum(0, x)


def elu(x: mx.array, alpha: Any = 1.0) -> mx.array:
    """``x`` where positive, else ``alpha * (exp(x) - 1)``."""
    # The inner choice keeps exp from overflowing where x is taken: its gradient, though
    # unused, would be inf * 0 there.
    return mx.where(x > 0, x, alpha * mx.expm1(mx.where(x > 0, 0, x)))


def celu(x: mx.array, alpha: Any = 1.0) -> mx.array:
    """``max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))``."""
    return mx.where(x > 0, x, alpha * mx.expm1(mx.where(x > 0, 0, x) / alpha))


def selu(x: mx.array) -> mx.array:
    """:func:`elu` with ``alpha = 1.67326``, times ``1.0507``: keeps mean 0 and variance 1
    (https://arxiv.org/abs/1706.02515)."""
    return elu(x, 1.67326) * 1.0507


def silu(x: mx.array) -> mx.array:
    """``x * sigmoid(x)``, also called swish."""
    return x * mx.sigmoid(x)


def gelu(x: mx.array) -> mx.array:
    """``x`` times the normal distribution's cumulative probability of ``x``."""
    return x * (1 + mx.erf(x / math.sqrt(2))) / 2


def gelu_approx(x: mx.array) -> mx.array:
    """:func:`gelu` with a hyperbolic tangent for the probability, off by less than
    0.0005: ``x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3)))``."""
    return 0.5 * x * (1 + mx.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_fast_approx(x: mx.array) -> mx.array:
    """:func:`gelu` with a sigmoid for the probability, off by less than 0.015:
    ``x * sigmoid(1.702 * x)``."""
    return x * mx.sigmoid(1.702 * x)


def glu(x: mx.array, axis: int = -1) -> mx.array:
    """Split ``axis`` into halves ``a`` and ``b``: ``a * sigmoid(b)``."""
    a, b = mx.split(x, 2, axis=axis)
    return a * mx.sigmoid(b)


def softmax(x: mx.array, axis: Any = -1) -> mx.array:
    """``exp(x) / sum(exp(x))`` along ``axis``."""
    return mx.softmax(x, axis=axis)


def softmin(x: mx.array, axis: Any = -1) -> mx.array:
    """:func:`softmax` of ``-x``."""
    return mx.softmax(-x, axis=axis)


def log_softmax(x: mx.array, axis: Any = -1) -> mx.array:
    """``x - log(sum(exp(x)))`` along ``axis``."""
    return x - mx.logsumexp(x, axis=axis, keepdims=True)


def softplus(x: mx.array) -> mx.array:
    """``log(1 + exp(x))``."""
    return mx.logaddexp(x, 0)


def log_sigmoid(x: mx.array) -> mx.array:
    """``log(sigmoid(x))``, without overflow."""
    return -softplus(-x)


def softsign(x: mx.array) -> mx.array:
    """``x / (1 + |x|)``."""
    return mx.divide(x, 1 + mx.abs(x))


def softshrink(x: mx.array, lambd: float = 0.5) -> mx.array:
    """``x`` moved towards 0 by ``lambd``, and 0 where it is within ``lambd`` of it."""
    return mx.where(mx.abs(x) > lambd, x - mx.sign(x) * lambd, 0)


def hard_shrink(x: mx.array, lambd: Any = 0.5) -> mx.array:
    """``x``, but 0 where it is within ``lambd`` of it."""
    return mx.where(mx.abs(x) > lambd, x, 0)


def hard_tanh(x: mx.array, min_val: Any = -1.0, max_val: Any = 1.0) -> mx.array:
    """``x`` clipped to ``[min_val, max_val]``."""
    return mx.minimum(mx.maximum(x, min_val), max_val)


def hardswish(x: mx.array) -> mx.array:
    """``x * min(max(x + 3, 0), 6) / 6``."""
    return x * mx.minimum(mx.maximum(x + 3, 0), 6) / 6


def mish(x: mx.array) -> mx.array:
    """``x * tanh(softplus(x))`` (https://arxiv.org/abs/1908.08681)."""
    return x * mx.tanh(softplus(x))


def step(x: mx.array, threshold: float = 0.0) -> mx.array:
    """1 where ``x >= threshold``, 0 elsewhere, as int32."""
    return mx.where(x >= threshold, 1, 0)


def tanh(x: mx.array) -> mx.array:
    """The hyperbolic tangent."""
    return mx.tanh(x)


def _without_arguments(name: str, function: Any) -> Any:
    """The module of an activation function that takes nothing but its input."""

    def call(_: Any, x: mx.array) -> mx.array:
        return function(x)

    call.__name__ = "__call__"
    call.__qualname__ = f"{name}.__call__"
    doc = f":func:`{function.__name__}` as a module.\n\n{function.__doc__}"
    return type(name, (Module,), {"__call__": call, "__doc__": doc, "__module__": __name__})


Mish = _without_arguments("Mish", mish)
HardTanh = _without_arguments("HardTanh", hard_tanh)
Hardswish = _without_arguments("Hardswish", hardswish)
LogSigmoid = _without_arguments("LogSigmoid", log_sigmoid)
LogSoftmax = _without_arguments("LogSoftmax", log_softmax)
ReLU = _without_arguments("ReLU", relu)
ReLU2 = _without_arguments("ReLU2", relu2)
ReLU6 = _without_arguments("ReLU6", relu6)
SELU = _without_arguments("SELU", selu)
SiLU = _without_arguments("SiLU", silu)
Sigmoid = _without_arguments("Sigmoid", sigmoid)
Softmax = _without_arguments("Softmax", softmax)
Softmin = _without_arguments("Softmin", softmin)
Softplus = _without_arguments("Softplus", softplus)
Softsign = _without_arguments("Softsign", softsign)
Tanh = _without_arguments("Tanh", tanh)


class GLU(Module):
    """:func:`glu` as a module: halves the size of ``axis``."""

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def __call__(self, x: mx.array) -> Any:
        return glu(x=x, axis=self.axis)


class LeakyReLU(Module):
    """:func:`leaky_relu` as a module."""

    def __init__(self, negative_slope: Any = 0.01) -> None:
        super().__init__()
        self._negative_slope = negative_slope

    def __call__(self, x: mx.array) -> mx.array:
        return leaky_relu(x, self._negative_slope)


class ELU(Module):
    """:func:`elu` as a module."""

    def __init__(self, alpha: Any = 1.0) -> None:
        super().__init__()
        self._alpha = alpha

    def __call__(self, x: mx.array) -> mx.array:
        return elu(x, self._alpha)


class CELU(Module):
    """:func:`celu` as a module."""

    def __init__(self, alpha: Any = 1.0) -> None:
        super().__init__()
        self._alpha = alpha

    def __call__(self, x: mx.array) -> mx.array:
        return celu(x, self._alpha)


class PReLU(Module):
    """:func:`prelu` as a module with the parameter ``weight``.

    Args:
        num_parameters: 1, or the size of the input's last axis.
        init: what the parameter starts with.
    """

    def __init__(self, num_parameters: Any = 1, init: Any = 0.25) -> None:
        super().__init__()
        self.weight = mx.full([num_parameters], init)

    def __call__(self, x: mx.array) -> mx.array:
        return prelu(x, self["weight"])


class Softshrink(Module):
    """:func:`softshrink` as a module."""

    def __init__(self, lambd: Any = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def __call__(self, x: mx.array) -> mx.array:
        return softshrink(x, self.lambd)


class HardShrink(Module):
    """:func:`hard_shrink` as a module."""

    def __init__(self, lambd: Any = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def __call__(self, x: mx.array) -> mx.array:
        return hard_shrink(x, self.lambd)


class Step(Module):
    """:func:`step` as a module."""

    def __init__(self, threshold: float = 0.0) -> None:
        super().__init__()
        self.threshold = threshold

    def __call__(self, x: mx.array) -> mx.array:
        return step(x, self.threshold)


class GELU(Module):
    """:func:`gelu`, or an approximation of it, as a module.

    Args:
        approx: ``"none"``, ``"precise"`` (or ``"tanh"``) for :func:`gelu_approx`, or
            ``"fast"`` for :func:`gelu_fast_approx`.
    """

    def __init__(self, approx: Any = "none") -> None:
        super().__init__()
        if approx not in ("none", "precise", "tanh", "fast"):
            raise ValueError(
                f"[GELU] approx must be 'none', 'precise', 'tanh' or 'fast', not {approx!r}"
            )
        self._approx = approx

    def __call__(self, x: mx.array) -> mx.array:
        # Looked up here, not kept as an attribute, so that the module can be pickled.
        if self._approx == "none":
            return gelu(x)
        return gelu_fast_approx(x) if self._approx == "fast" else gelu_approx(x)
