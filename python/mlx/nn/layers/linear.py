"""Affine maps."""

import math
from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.nn.layers.quantized import QQLinear, QuantizedLinear


class Identity(Module):
    """Hands its input on. It takes any arguments and ignores them, so that it can
    stand where another layer is built.

    Example:
        >>> nn.Identity("anything", size=3)(mx.array([1, 2]))
        array([1, 2], dtype=int32)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def __call__(self, x: mx.array) -> mx.array:
        return x


class Linear(Module):
    """``x @ weight.T + bias``.

    Parameters start uniform between ``-k`` and ``k`` with ``k = input_dims ** -0.5``.

    Args:
        input_dims: size of the input's last axis.
        output_dims: size of the output's last axis.
        bias: whether to add a bias.

    Shape:
        ``(..., input_dims)`` to ``(..., output_dims)``; ``weight`` is
        ``(output_dims, input_dims)``, ``bias`` ``(output_dims,)``.

    Example:
        >>> nn.Linear(4, 2)(mx.ones((3, 4))).shape
        (3, 2)
    """

    def __init__(self, input_dims: int, output_dims: int, bias: bool = True) -> None:
        super().__init__()
        limit = math.sqrt(1.0 / input_dims)
        self.weight = mx.random.uniform(-limit, limit, (output_dims, input_dims))
        if bias:
            self.bias = mx.random.uniform(-limit, limit, (output_dims,))

    def _extra_repr(self) -> str:
        output_dims, input_dims = self.weight.shape
        return f"input_dims={input_dims}, output_dims={output_dims}, bias={'bias' in self}"

    def __call__(self, x: mx.array) -> mx.array:
        if "bias" in self:
            return mx.addmm(self["bias"], x, self["weight"].T)
        return x @ self["weight"].T

    def to_quantized(
        self,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
        quantize_input: bool = False,
    ) -> Any:
        """A layer with the same weights, quantised.

        Args:
            group_size: how many weights share a scale; ``None`` for the mode's own.
            bits: bits a weight; ``None`` for the mode's own.
            mode: see :func:`mlx.core.quantize`.
            quantize_input: whether the inputs are quantised too (modes ``"nvfp4"``
                and ``"mxfp8"``, no bias): gives a :class:`QQLinear`.
        """
        if not quantize_input:
            return QuantizedLinear.from_linear(self, group_size, bits, mode=mode)
        if mode not in ("nvfp4", "mxfp8"):
            raise ValueError(
                f"[Linear.to_quantized] inputs can be quantized in the modes nvfp4 and mxfp8, "
                f"not in {mode!r}"
            )
        return QQLinear.from_linear(self, group_size, bits, mode=mode)


class Bilinear(Module):
    """``y[k] = x1 @ weight[k] @ x2 + bias[k]``.

    Parameters start uniform between ``-k`` and ``k`` with ``k = input1_dims ** -0.5``.

    Args:
        input1_dims: size of the first input's last axis.
        input2_dims: size of the second input's last axis.
        output_dims: size of the output's last axis.
        bias: whether to add a bias.

    Shape:
        ``(..., input1_dims)`` and ``(..., input2_dims)`` to ``(..., output_dims)``.

    Example:
        >>> nn.Bilinear(4, 5, 2)(mx.ones((3, 4)), mx.ones((3, 5))).shape
        (3, 2)
    """

    def __init__(
        self, input1_dims: int, input2_dims: int, output_dims: int, bias: bool = True
    ) -> None:
        super().__init__()
        limit = math.sqrt(1.0 / input1_dims)
        self.weight = mx.random.uniform(-limit, limit, (output_dims, input2_dims, input1_dims))
        if bias:
            self.bias = mx.random.uniform(-limit, limit, (output_dims,))

    def _extra_repr(self) -> str:
        output_dims, input2_dims, input1_dims = self.weight.shape
        return (
            f"input1_dims={input1_dims}, input2_dims={input2_dims}, "
            f"output_dims={output_dims}, bias={'bias' in self}"
        )

    def __call__(self, x1: mx.array, x2: mx.array) -> mx.array:
        output_dims, input2_dims, input1_dims = self.weight.shape
        batch = x1.shape[:-1]
        rows = x1.reshape(-1, input1_dims)
        # (N, in1) x (in1, out * in2), then a small product a row with x2.
        flat = rows @ self.weight.reshape(output_dims * input2_dims, input1_dims).T
        flat = flat.reshape(-1, output_dims, input2_dims) @ x2.reshape(-1, input2_dims, 1)
        y = flat.squeeze(-1)
        if "bias" in self:
            y = y + self.bias
        return y.reshape(*batch, output_dims)
