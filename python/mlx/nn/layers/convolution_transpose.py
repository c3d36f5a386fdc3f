"""Transposed convolutions: the gradients of convolutions as layers, which upsample."""

from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.nn.layers.convolution import init_weight, spread


class _ConvTranspose(Module):
    """What the layers share: a subclass says how many axes it has and which operation it is."""

    _axes: int

    def _set_up(
        self,
        channels: Any,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        output_padding: Any,
        bias: Any,
    ) -> None:
        inputs, outputs = channels
        each = self._spread
        self.weight = init_weight(outputs, each("kernel_size", kernel_size, True), inputs)
        if bias:
            self.bias = mx.zeros((outputs,))
        self.padding = each("padding", padding)
        self.stride = each("stride", stride)
        self.output_padding = each("output_padding", output_padding)
        self.dilation = dilation

    def _spread(self, name: str, value: Any, always: Any = False) -> Any:
        """One value for each axis; the settings of a single axis stay plain numbers."""
        if self._axes == 1 and not always:
            return value
        return spread(value, self._axes, name, type(self).__name__)

    def _extra_repr(self) -> Any:
        kernel_size = self.weight.shape[1] if self._axes == 1 else self.weight.shape[1:-1]
        return (
            f"{self.weight.shape[-1]}, {self.weight.shape[0]}, kernel_size={kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"output_padding={self.output_padding}, bias={'bias' in self}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        operation = getattr(mx, f"conv_transpose{self._axes}d")
        y = operation(
            x, self["weight"], self.stride, self.padding, self.dilation, self.output_padding
        )
        return y + self["bias"] if "bias" in self else y


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution along one axis.

    Parameters start as those of :class:`Conv1d`.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        kernel_size: how many positions an input value reaches.
        stride: distance of what neighbouring input values reach.
        padding: positions cut off at both ends.
        dilation: distance of neighbouring positions that an input value reaches.
        output_padding: positions added at the end: with a stride, several input
            lengths of the convolution lead to one output length; this picks one.
        bias: whether to add a bias.

    Shape:
        ``(N, L, in_channels)`` to ``(N, L', out_channels)`` with ``L' = (L - 1) * stride
        - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1``; ``weight``
        is ``(out_channels, kernel_size, in_channels)``.

    Example:
        >>> nn.ConvTranspose1d(3, 8, kernel_size=4, stride=2, padding=1)(mx.ones((1, 5, 3))).shape
        (1, 10, 8)
    """

    _axes = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        output_padding: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        channels = (in_channels, out_channels)
        self._set_up(channels, kernel_size, stride, padding, dilation, output_padding, bias)


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution along two axes. :class:`ConvTranspose1d` explains the
    arguments; each may be one int or one for each axis.

    Shape:
        ``(N, H, W, in_channels)`` to ``(N, H', W', out_channels)``.

    Example:
        >>> nn.ConvTranspose2d(3, 8, kernel_size=2, stride=2)(mx.ones((1, 4, 4, 3))).shape
        (1, 8, 8, 8)
    """

    _axes = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple,
        stride: int | tuple = 1,
        padding: int | tuple = 0,
        dilation: int | tuple = 1,
        output_padding: int | tuple = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        channels = (in_channels, out_channels)
        self._set_up(channels, kernel_size, stride, padding, dilation, output_padding, bias)


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution along three axes. :class:`ConvTranspose1d` explains the
    arguments; each may be one int or one for each axis.

    Shape:
        ``(N, D, H, W, in_channels)`` to ``(N, D', H', W', out_channels)``.

    Example:
        >>> nn.ConvTranspose3d(3, 8, kernel_size=2, stride=2)(mx.ones((1, 2, 2, 2, 3))).shape
        (1, 4, 4, 4, 8)
    """

    _axes = 3

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple,
        stride: int | tuple = 1,
        padding: int | tuple = 0,
        dilation: int | tuple = 1,
        output_padding: int | tuple = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        channels = (in_channels, out_channels)
        self._set_up(channels, kernel_size, stride, padding, dilation, output_padding, bias)
