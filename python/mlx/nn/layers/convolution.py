"""Convolutions. Channels are the last axis, of inputs and of weights."""

import math
from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module


def spread(value: Any, n: Any, name: str, where: Any) -> Any:
    """``value`` as a tuple of ``n`` ints, one for each spatial axis."""
    if isinstance(value, int):
        return (value,) * n
    value = tuple(value)
    if len(value) != n:
        raise ValueError(f"[{where}] {name} must be an int or {n} ints, not {value}")
    return value


def init_weight(out_channels: Any, kernel_size: Any, in_channels: Any) -> Any:
    """Uniform between -k and k, ``k = (in_channels * kernel elements) ** -0.5``."""
    limit = math.sqrt(1 / (in_channels * math.prod(kernel_size)))
    return mx.random.uniform(-limit, limit, (out_channels, *kernel_size, in_channels))


def channels_per_group(in_channels: Any, out_channels: Any, groups: Any, where: Any) -> Any:
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise ValueError(
            f"[{where}] the input channels ({in_channels}) and the output channels "
            f"({out_channels}) must be divisible by the groups ({groups})"
        )
    return in_channels // groups


class Conv1d(Module):
    """Convolution along one axis.

    The weight starts uniform between ``-k`` and ``k`` with ``k`` the inverse root of
    the number of inputs of an output value, the bias zero.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        kernel_size: how many positions an output value sees.
        stride: distance of neighbouring windows.
        padding: zeros added at both ends.
        dilation: distance of neighbouring positions in a window.
        groups: number of blocks of channels that don't see each other.
        bias: whether to add a bias.

    Shape:
        ``(N, L, in_channels)`` to ``(N, L', out_channels)``; ``weight`` is
        ``(out_channels, kernel_size, in_channels / groups)``.

    Example:
        >>> nn.Conv1d(3, 8, kernel_size=5, padding=2)(mx.ones((2, 16, 3))).shape
        (2, 16, 8)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        inputs = channels_per_group(in_channels, out_channels, groups, "Conv1d")
        self.weight = init_weight(
            out_channels, spread(kernel_size, 1, "kernel_size", "Conv1d"), inputs
        )
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding = padding
        self.dilation = dilation
        self.stride = stride
        self.groups = groups

    def _extra_repr(self) -> Any:
        return (
            f"{self.weight.shape[-1] * self.groups}, {self.weight.shape[0]}, "
            f"kernel_size={self.weight.shape[1]}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, "
            f"groups={self.groups}, bias={'bias' in self}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        y = mx.conv1d(x, self["weight"], self.stride, self.padding, self.dilation, self.groups)
        return y + self["bias"] if "bias" in self else y


class Conv2d(Module):
    """Convolution along two axes. :class:`Conv1d` explains the arguments; each may be
    one int or one for each axis.

    Shape:
        ``(N, H, W, in_channels)`` to ``(N, H', W', out_channels)``; ``weight`` is
        ``(out_channels, *kernel_size, in_channels / groups)``.

    Example:
        >>> nn.Conv2d(3, 8, kernel_size=3, stride=2)(mx.ones((1, 9, 9, 3))).shape
        (1, 4, 4, 8)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple,
        stride: int | tuple = 1,
        padding: int | tuple = 0,
        dilation: int | tuple = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        inputs = channels_per_group(in_channels, out_channels, groups, "Conv2d")
        self.weight = init_weight(
            out_channels, spread(kernel_size, 2, "kernel_size", "Conv2d"), inputs
        )
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding = spread(padding, 2, "padding", "Conv2d")
        self.stride = spread(stride, 2, "stride", "Conv2d")
        self.dilation = dilation
        self.groups = groups

    def _extra_repr(self) -> Any:
        return (
            f"{self.weight.shape[-1] * self.groups}, {self.weight.shape[0]}, "
            f"kernel_size={self.weight.shape[1:-1]}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, "
            f"groups={self.groups}, bias={'bias' in self}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        y = mx.conv2d(x, self["weight"], self.stride, self.padding, self.dilation, self.groups)
        return y + self["bias"] if "bias" in self else y


class Conv3d(Module):
    """Convolution along three axes. :class:`Conv1d` explains the arguments; each may
    be one int or one for each axis.

    Shape:
        ``(N, D, H, W, in_channels)`` to ``(N, D', H', W', out_channels)``; ``weight``
        is ``(out_channels, *kernel_size, in_channels)``.

    Example:
        >>> nn.Conv3d(3, 8, kernel_size=3)(mx.ones((1, 5, 5, 5, 3))).shape
        (1, 3, 3, 3, 8)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple,
        stride: int | tuple = 1,
        padding: int | tuple = 0,
        dilation: int | tuple = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = init_weight(
            out_channels, spread(kernel_size, 3, "kernel_size", "Conv3d"), in_channels
        )
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding = spread(padding, 3, "padding", "Conv3d")
        self.stride = spread(stride, 3, "stride", "Conv3d")
        self.dilation = dilation

    def _extra_repr(self) -> Any:
        return (
            f"{self.weight.shape[-1]}, {self.weight.shape[0]}, "
            f"kernel_size={self.weight.shape[1:-1]}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, bias={'bias' in self}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        y = mx.conv3d(x, self["weight"], self.stride, self.padding, self.dilation)
        return y + self["bias"] if "bias" in self else y
