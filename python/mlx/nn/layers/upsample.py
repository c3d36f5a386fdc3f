"""Resizing the spatial axes, ``1 .. ndim - 2``.

Interpolation is separable: each axis in turn becomes a sum of a few taps, each a row
picked out of the axis times a weight.
"""

import math
from typing import Any, Literal

import mlx.core as mx
from mlx.nn.layers.base import Module


def _output_size(size: Any, scale: Any) -> Any:
    length = int(scale * size)
    if length < 1:
        raise ValueError(f"[Upsample] an axis of {size} scaled by {scale} is empty")
    return length


def _positions(size: Any, scale: Any, align_corners: Any) -> Any:
    """Where in an axis of ``size`` the output's positions lie, as floats."""
    length = _output_size(size, scale)
    steps = mx.arange(length, dtype=mx.float32)
    if align_corners:
        return steps * ((size - 1) / max(length - 1, 1))
    step = 1.0 / scale
    return steps * step - ((length - 1) * step - size + 1) / 2


def _nearest_rows(size: Any, scale: Any) -> Any:
    """For each output position the input position nearest to it, in exact integers."""
    length = _output_size(size, scale)
    i = mx.arange(length)
    if length <= size:
        return (i * size) // length
    # (i + 1/2) * size / length - 1/2, rounded half to even.
    over, twice = (2 * i + 1) * size - length, 2 * length
    low = over // twice
    rest = 2 * (over - low * twice)
    up = (rest > twice) | ((rest == twice) & (low % 2 == 1))
    return mx.clip(low + up.astype(mx.int32), 0, size - 1)


def _triangle(t: Any) -> Any:
    return mx.maximum(1 - mx.abs(t), 0)


def _cubic(a: Any) -> Any:
    """Keys' cubic convolution kernel."""

    def kernel(t: Any) -> Any:
        t = mx.abs(t)
        near = ((a + 2) * t - (a + 3)) * t * t + 1
        far = (((t - 5) * t + 8) * t - 4) * a
        return mx.where(t <= 1, near, mx.where(t < 2, far, 0))

    return kernel


def _taps(positions: Any, size: Any, kernel: Any, radius: Any) -> Any:
    """Rows and weights, a pair a tap; rows outside the axis count as its end."""
    first = mx.floor(positions)
    taps = []
    for offset in range(1 - radius, radius + 1):
        row = first + offset
        weight = kernel(positions - row)
        taps.append((mx.clip(row, 0, size - 1).astype(mx.int32), weight))
    return taps


def _antialiased_taps(positions: Any, size: Any, kernel: Any, radius: Any, scale: Any) -> Any:
    """:func:`_taps` of the kernel widened to the step of a smaller output. Rows outside
    the axis don't count; the weights of the others add up to 1."""
    widen = min(scale, 1.0)
    reach = math.ceil(radius / widen)
    first = mx.floor(positions)
    taps = []
    for offset in range(-reach, reach + 2):
        row = first + offset
        weight = kernel((positions - row) * widen)
        weight = mx.where((row >= 0) & (row <= size - 1), weight, 0)
        taps.append((mx.clip(row, 0, size - 1).astype(mx.int32), weight))
    total = sum(weight for _, weight in taps)
    return [(row, weight / total) for row, weight in taps]


def _check(x: Any, scale_factor: Any) -> Any:
    if isinstance(scale_factor, (int, float)):
        scale_factor = (scale_factor,) * (x.ndim - 2)
    if x.ndim < 3:
        raise ValueError(
            f"[Upsample] the input must be (N, ..., C) with a spatial axis, not of shape {x.shape}"
        )
    if len(scale_factor) != x.ndim - 2:
        raise ValueError(
            f"[Upsample] the input of shape {x.shape} has {x.ndim - 2} spatial axes, "
            f"but scale_factor is {scale_factor}"
        )
    return scale_factor


def _interpolate(
    x: Any, scale_factor: Any, align_corners: Any, antialias: Any, radius: Any, kernel: Any
) -> Any:
    if antialias and align_corners:
        raise ValueError("[Upsample] antialias and align_corners can't be combined")
    for axis, scale in enumerate(_check(x, scale_factor), start=1):
        size = x.shape[axis]
        positions = _positions(size, scale, align_corners)
        if antialias:
            taps = _antialiased_taps(positions, size, kernel, radius, scale)
        else:
            taps = _taps(positions, size, kernel, radius)
        shape = [1] * x.ndim
        shape[axis] = -1
        x = sum(mx.take(x, row, axis=axis) * weight.reshape(shape) for row, weight in taps)
    return x


def upsample_nearest(x: mx.array, scale_factor: tuple) -> Any:
    """Repeat the nearest value.

    Args:
        x: ``(N, ..., C)``.
        scale_factor: the factor of each spatial axis.

    Example:
        >>> upsample_nearest(mx.array([[[1], [2]]]), (2,)).flatten()
        array([1, 1, 2, 2], dtype=int32)
    """
    for axis, scale in enumerate(_check(x, scale_factor), start=1):
        if scale == int(scale) and scale >= 1:
            x = mx.repeat(x, int(scale), axis=axis) if scale > 1 else x
        else:
            x = mx.take(x, _nearest_rows(x.shape[axis], scale), axis=axis)
    return x


def upsample_linear(
    x: mx.array, scale_factor: tuple, align_corners: bool = False, antialias: bool = False
) -> Any:
    """Interpolate linearly between the two nearest values of each axis.

    Args:
        x: ``(N, ..., C)``.
        scale_factor: the factor of each spatial axis.
        align_corners: whether the first and last values of input and output lie on each
            other, else the edges of their cells do.
        antialias: whether shrinking averages over all values that a step passes.
    """
    return _interpolate(x, scale_factor, align_corners, antialias, 1, _triangle)


def upsample_cubic(
    x: mx.array, scale_factor: tuple, align_corners: bool = False, antialias: bool = False
) -> Any:
    """Interpolate with Keys' cubic through the four nearest values of each axis.

    The kernel's parameter is -0.75, or -0.5 with ``antialias``, as in PyTorch. The
    arguments are those of :func:`upsample_linear`.
    """
    kernel = _cubic(-0.5 if antialias else -0.75)
    return _interpolate(x, scale_factor, align_corners, antialias, 2, kernel)


class Upsample(Module):
    """Resizes the spatial axes by a factor, which may be below 1.

    Args:
        scale_factor: the factor of all spatial axes, or one for each. A length ``L``
            becomes ``int(factor * L)``.
        mode: ``"nearest"``, ``"linear"`` (bilinear for two axes, ...) or ``"cubic"``.
        align_corners: for linear and cubic: whether the first and last values of input
            and output lie on each other, else the edges of their cells do.
        antialias: for linear and cubic: whether shrinking averages over all values that
            a step passes.

    Shape:
        ``(N, ..., C)`` with at least one spatial axis to the same number of axes.

    Example:
        >>> x = mx.arange(4).reshape(1, 2, 2, 1)
        >>> nn.Upsample(2)(x)[0, :, :, 0].tolist()
        [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    """

    def __init__(
        self,
        scale_factor: float | tuple,
        mode: Literal["nearest", "linear", "cubic"] = "nearest",
        align_corners: bool = False,
        antialias: bool = False,
    ) -> None:
        super().__init__()
        if mode not in ("nearest", "linear", "cubic"):
            raise ValueError(f"[Upsample] mode must be nearest, linear or cubic, not {mode!r}")
        if antialias and mode == "nearest":
            raise ValueError("[Upsample] antialias needs the mode linear or cubic")
        if antialias and align_corners:
            raise ValueError("[Upsample] antialias and align_corners can't be combined")
        if isinstance(scale_factor, (list, tuple)):
            self.scale_factor = tuple(map(float, scale_factor))
        else:
            self.scale_factor = float(scale_factor)
        self.mode = mode
        self.align_corners = align_corners
        self.antialias = antialias

    def _extra_repr(self) -> Any:
        return (
            f"scale_factor={self.scale_factor}, mode={self.mode!r}, "
            f"align_corners={self.align_corners}" + (", antialias=True" if self.antialias else "")
        )

    def __call__(self, x: mx.array) -> mx.array:
        if self.mode == "nearest":
            return upsample_nearest(x, self.scale_factor)
        resize = upsample_linear if self.mode == "linear" else upsample_cubic
        return resize(x, self.scale_factor, self.align_corners, self.antialias)
