"""Recurrent layers.

What depends on the input alone is one matrix product over the whole sequence; the steps
are one operation of the core, forwards and backwards (``core/prim/recurrent.h``).
"""

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.nn.layers.activations import ReLU, Tanh, relu, tanh
from mlx.nn.layers.base import Module


def _check(layer: Any, x: Any, input_size: Any, **states: Any) -> None:
    if x.ndim < 2 or x.shape[-1] != input_size:
        raise ValueError(
            f"[{type(layer).__name__}] the input must be (L, {input_size}) or "
            f"(N, L, {input_size}), not of shape {x.shape}"
        )
    for name, state in states.items():
        if state is not None and state.shape[-1] != layer.hidden_size:
            raise ValueError(
                f"[{type(layer).__name__}] {name} must have {layer.hidden_size} features, "
                f"not the shape {state.shape}"
            )


def _project(x: Any, weight: Any, bias: Any) -> Any:
    """``x @ weight.T + bias`` for all steps at once."""
    return x @ weight.T if bias is None else mx.addmm(bias, x, weight.T)


def _known(function: Any) -> Any:
    """The core's name of a nonlinearity that it has steps for, or None."""
    if function in (tanh, mx.tanh) or type(function) is Tanh:
        return "tanh"
    return "relu" if function is relu or type(function) is ReLU else None


def _steps(inputs: Any) -> Any:
    """The single steps of ``(..., L, H)``. A split, not slices: its gradient joins those of
    the steps once, where each slice's would be as large as the whole."""
    if inputs.shape[-2] == 0:
        raise ValueError(
            f"[recurrent] the sequence is empty: the projected shape is {inputs.shape}"
        )
    return [step.squeeze(-2) for step in mx.split(inputs, inputs.shape[-2], axis=-2)]


class RNN(Module):
    """Elman's recurrence: ``h[t+1] = tanh(Wxh @ x[t] + Whh @ h[t] + bias)``.

    Parameters start uniform between ``-k`` and ``k`` with ``k = hidden_size ** -0.5``.

    Args:
        input_size: features of the input, ``D``.
        hidden_size: features of the state, ``H``.
        bias: whether to add a bias.
        nonlinearity: what to use in place of the hyperbolic tangent.

    Shape:
        ``(N, L, D)`` or ``(L, D)`` to the states of all steps, ``(N, L, H)`` or
        ``(L, H)``. The initial state ``hidden``, ``(N, H)`` or ``(H,)``, is zero when
        not given.

    Example:
        >>> nn.RNN(3, 8)(mx.ones((2, 5, 3))).shape
        (2, 5, 8)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Callable | None = None,
    ) -> None:
        super().__init__()
        self.nonlinearity = nonlinearity or tanh
        if not callable(self.nonlinearity):
            raise ValueError(f"[RNN] nonlinearity must be callable, not {nonlinearity!r}")  # noqa: TRY004
        limit = 1.0 / math.sqrt(hidden_size)
        self.hidden_size = hidden_size
        self.Wxh = mx.random.uniform(-limit, limit, (hidden_size, input_size))
        self.Whh = mx.random.uniform(-limit, limit, (hidden_size, hidden_size))
        self.bias = mx.random.uniform(-limit, limit, (hidden_size,)) if bias else None

    def _extra_repr(self) -> Any:
        return (
            f"input_dims={self.Wxh.shape[1]}, hidden_size={self.hidden_size}, "
            f"nonlinearity={self.nonlinearity}, bias={self.bias is not None}"
        )

    def __call__(self, x: mx.array, hidden: Any = None) -> Any:
        _check(self, x, self.Wxh.shape[1], hidden=hidden)
        inputs = _project(x, self.Wxh, self.bias)
        known = _known(self.nonlinearity)
        if known is not None:
            return mx._recurrent(known, inputs, self.Whh, hidden)[0]
        recurrent = self.Whh.T
        states = []
        for total in _steps(inputs):
            if hidden is not None:
                total = mx.addmm(total, hidden, recurrent)
            hidden = self.nonlinearity(total)
            states.append(hidden)
        return mx.stack(states, axis=-2)


class GRU(Module):
    """Gated recurrence with a reset gate ``r`` and an update gate ``z``
    (https://arxiv.org/abs/1406.1078)::

        r = sigmoid(Wxr @ x + Whr @ h + br)
        z = sigmoid(Wxz @ x + Whz @ h + bz)
        n = tanh(Wxn @ x + bn + r * (Whn @ h + bhn))
        h = (1 - z) * n + z * h

    ``Wx``, ``Wh`` and ``b`` hold the parts of r, z and n one below the other.
    Parameters start uniform between ``-k`` and ``k`` with ``k = hidden_size ** -0.5``.

    Args:
        input_size: features of the input, ``D``.
        hidden_size: features of the state, ``H``.
        bias: whether to add biases.

    Shape:
        ``(N, L, D)`` or ``(L, D)`` to the states of all steps, ``(N, L, H)`` or
        ``(L, H)``. The initial state ``hidden``, ``(N, H)`` or ``(H,)``, is zero when
        not given.

    Example:
        >>> nn.GRU(3, 8)(mx.ones((2, 5, 3))).shape
        (2, 5, 8)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        limit = 1.0 / math.sqrt(hidden_size)
        self.Wx = mx.random.uniform(-limit, limit, (3 * hidden_size, input_size))
        self.Wh = mx.random.uniform(-limit, limit, (3 * hidden_size, hidden_size))
        self.b = mx.random.uniform(-limit, limit, (3 * hidden_size,)) if bias else None
        self.bhn = mx.random.uniform(-limit, limit, (hidden_size,)) if bias else None

    def _extra_repr(self) -> Any:
        return (
            f"input_dims={self.Wx.shape[1]}, hidden_size={self.hidden_size}, "
            f"bias={self.b is not None}"
        )

    def __call__(self, x: mx.array, hidden: Any = None) -> Any:
        _check(self, x, self.Wx.shape[1], hidden=hidden)
        inputs = _project(x, self.Wx, self.b)
        return mx._recurrent("gru", inputs, self.Wh, hidden, bias=self.bhn)[0]


class LSTM(Module):
    """Long short-term memory: gates ``i``, ``f``, ``o`` around a cell ``c``::

        i, f, o = sigmoid(Wx @ x + Wh @ h + bias)       each with its own part
        g = tanh(Wx @ x + Wh @ h + bias)
        c = f * c + i * g
        h = o * tanh(c)

    ``Wx``, ``Wh`` and ``bias`` hold the parts of i, f, g and o one below the other.
    Parameters start uniform between ``-k`` and ``k`` with ``k = hidden_size ** -0.5``.

    Args:
        input_size: features of the input, ``D``.
        hidden_size: features of the state, ``H``.
        bias: whether to add a bias.

    Shape:
        ``(N, L, D)`` or ``(L, D)`` to the hidden states and the cells of all steps, each
        ``(N, L, H)`` or ``(L, H)``. The initial ``hidden`` and ``cell``, ``(N, H)`` or
        ``(H,)``, are zero when not given.

    Example:
        >>> hidden, cell = nn.LSTM(3, 8)(mx.ones((2, 5, 3)))
        >>> hidden.shape, cell.shape
        ((2, 5, 8), (2, 5, 8))
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        limit = 1.0 / math.sqrt(hidden_size)
        self.Wx = mx.random.uniform(-limit, limit, (4 * hidden_size, input_size))
        self.Wh = mx.random.uniform(-limit, limit, (4 * hidden_size, hidden_size))
        self.bias = mx.random.uniform(-limit, limit, (4 * hidden_size,)) if bias else None

    def _extra_repr(self) -> Any:
        return (
            f"input_dims={self.Wx.shape[1]}, hidden_size={self.hidden_size}, "
            f"bias={self.bias is not None}"
        )

    def __call__(self, x: mx.array, hidden: Any = None, cell: Any = None) -> Any:
        _check(self, x, self.Wx.shape[1], hidden=hidden, cell=cell)
        inputs = _project(x, self.Wx, self.bias)
        return tuple(mx._recurrent("lstm", inputs, self.Wh, hidden, cell))
