"""Transposed convolutions: the gradients of convolutions as layers, which upsample."""

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.nn.layers.convolution import init_weight, spread


def _describe(layer, kernel_size):
    return (
        f"{layer.weight.shape[-1]}, {layer.weight.shape[0]}, kernel_size={kernel_size}, "
        f"stride={layer.stride}, padding={layer.padding}, dilation={layer.dilation}, "
        f"output_padding={layer.output_padding}, bias={'bias' in layer}"
    )


class ConvTranspose1d(Module):
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
    ):
        super().__init__()
        kernel = spread(kernel_size, 1, "kernel_size", "ConvTranspose1d")
        self.weight = init_weight(out_channels, kernel, in_channels)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding = padding
        self.dilation = dilation
        self.stride = stride
        self.output_padding = output_padding

    def _extra_repr(self):
        return _describe(self, self.weight.shape[1])

    def __call__(self, x):
        y = mx.conv_transpose1d(
            x, self["weight"], self.stride, self.padding, self.dilation, self.output_padding
        )
        return y + self["bias"] if "bias" in self else y


class ConvTranspose2d(Module):
    """Transposed convolution along two axes. :class:`ConvTranspose1d` explains the
    arguments; each may be one int or one for each axis.

    Shape:
        ``(N, H, W, in_channels)`` to ``(N, H', W', out_channels)``.

    Example:
        >>> nn.ConvTranspose2d(3, 8, kernel_size=2, stride=2)(mx.ones((1, 4, 4, 3))).shape
        (1, 8, 8, 8)
    """

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
    ):
        super().__init__()
        kernel = spread(kernel_size, 2, "kernel_size", "ConvTranspose2d")
        self.weight = init_weight(out_channels, kernel, in_channels)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding = spread(padding, 2, "padding", "ConvTranspose2d")
        self.stride = spread(stride, 2, "stride", "ConvTranspose2d")
        self.output_padding = spread(output_padding, 2, "output_padding", "ConvTranspose2d")
        self.dilation = dilation

    def _extra_repr(self):
        return _describe(self, self.weight.shape[1:-1])

    def __call__(self, x):
        y = mx.conv_transpose2d(
            x, self["weight"], self.stride, self.padding, self.dilation, self.output_padding
        )
        return y + self["bias"] if "bias" in self else y


class ConvTranspose3d(Module):
    """Transposed convolution along three axes. :class:`ConvTranspose1d` explains the
    arguments; each may be one int or one for each axis.

    Shape:
        ``(N, D, H, W, in_channels)`` to ``(N, D', H', W', out_channels)``.

    Example:
        >>> nn.ConvTranspose3d(3, 8, kernel_size=2, stride=2)(mx.ones((1, 2, 2, 2, 3))).shape
        (1, 4, 4, 4, 8)
    """

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
    ):
        super().__init__()
        kernel = spread(kernel_size, 3, "kernel_size", "ConvTranspose3d")
        self.weight = init_weight(out_channels, kernel, in_channels)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding = spread(padding, 3, "padding", "ConvTranspose3d")
        self.stride = spread(stride, 3, "stride", "ConvTranspose3d")
        self.output_padding = spread(output_padding, 3, "output_padding", "ConvTranspose3d")
        self.dilation = dilation

    def _extra_repr(self):
        return _describe(self, self.weight.shape[1:-1])

    def __call__(self, x):
        y = mx.conv_transpose3d(
            x, self["weight"], self.stride, self.padding, self.dilation, self.output_padding
        )
        return y + self["bias"] if "bias" in self else y
