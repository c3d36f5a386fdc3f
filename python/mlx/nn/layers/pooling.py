"""Pooling: the mean or the maximum of windows. Channels are the last axis."""

from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module


def _spread(value: Any, n: Any, name: str, where: Any) -> Any:
    if isinstance(value, int):
        return (value,) * n
    if (
        not isinstance(value, (tuple, list))
        or len(value) != n
        or not all(isinstance(v, int) for v in value)
    ):
        ints = "1 int" if n == 1 else f"{n} ints"
        raise ValueError(f"[{where}] '{name}' must be an int or a tuple of {ints}, not {value!r}")
    return tuple(value)


class _Pool(Module):
    """Pools the ``_rank`` axes before the last."""

    _rank = 0

    def __init__(self, kernel_size: Any, stride: Any, padding: Any) -> None:
        super().__init__()
        where = type(self).__name__
        self._kernel_size = _spread(kernel_size, self._rank, "kernel_size", where)
        if stride is None:
            stride = self._kernel_size
        self._stride = _spread(stride, self._rank, "stride", where)
        self._padding = _spread(0 if padding is None else padding, self._rank, "padding", where)
        for name, values, least in (
            ("kernel_size", self._kernel_size, 1),
            ("stride", self._stride, 1),
            ("padding", self._padding, 0),
        ):
            if min(values) < least:
                raise ValueError(f"[{where}] '{name}' must be at least {least}, not {values}")

    def _extra_repr(self) -> Any:
        return f"kernel_size={self._kernel_size}, stride={self._stride}, padding={self._padding}"

    def _windows(self, x: Any, padding_value: Any) -> Any:
        """``x`` as a view ``(N, *output, *kernel, C)``, and the kernel's axes in it.

        Windows that don't overlap are a reshape, others a strided view: nothing is
        copied but what the padding needs.
        """
        n = self._rank
        if x.ndim != n + 2:
            raise ValueError(
                f"[{type(self).__name__}] the input must have {n + 2} axes, (N, "
                f"{'spatial, ' * n}C), not the shape {x.shape}"
            )
        if any(self._padding):
            pads = [(0, 0)] + [(p, p) for p in self._padding] + [(0, 0)]
            x = mx.pad(x, pads, constant_values=padding_value)
        spatial = x.shape[1:-1]
        if any(size < kernel for size, kernel in zip(spatial, self._kernel_size)):
            raise ValueError(
                f"[{type(self).__name__}] the window {self._kernel_size} is larger than the "
                f"padded input, {spatial}"
            )
        counts = [
            (size - kernel) // stride + 1
            for size, kernel, stride in zip(spatial, self._kernel_size, self._stride)
        ]
        if self._stride == self._kernel_size:
            ends = [c * k for c, k in zip(counts, self._kernel_size)]
            if list(spatial) != ends:
                x = x[(slice(None), *(slice(0, end) for end in ends))]
            pairs = [size for pair in zip(counts, self._kernel_size) for size in pair]
            return x.reshape(x.shape[0], *pairs, x.shape[-1]), tuple(range(2, 2 * n + 1, 2))
        x = mx.contiguous(x)
        steps = [x.shape[-1]]  # element strides of a contiguous array, last axis first
        for size in reversed(spatial):
            steps.append(steps[-1] * size)
        batch_step, *axis_steps = reversed(steps)
        view = mx.as_strided(
            x,
            (x.shape[0], *counts, *self._kernel_size, x.shape[-1]),
            (batch_step, *(a * s for a, s in zip(axis_steps, self._stride)), *axis_steps, 1),
        )
        return view, tuple(range(n + 1, 2 * n + 1))


class _MaxPool(_Pool):
    def __call__(self, x: mx.array) -> mx.array:
        least = -float("inf") if mx.issubdtype(x.dtype, mx.floating) else mx.iinfo(x.dtype).min
        windows, axes = self._windows(x, least)
        return mx.max(windows, axis=axes)


class _AvgPool(_Pool):
    def __call__(self, x: mx.array) -> mx.array:
        windows, axes = self._windows(x, 0)
        return mx.mean(windows, axis=axes)


class MaxPool1d(_MaxPool):
    """The maximum of windows of ``(N, L, C)``.

    Args:
        kernel_size: size of the window.
        stride: distance of neighbouring windows; ``kernel_size`` when not given.
        padding: ``-inf`` added at both ends.

    Example:
        >>> nn.MaxPool1d(2)(mx.arange(4).reshape(1, 4, 1)).tolist()
        [[[1], [3]]]
    """

    _rank = 1

    def __init__(
        self,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] | None = None,
        padding: int | tuple[int] = 0,
    ) -> None:
        super().__init__(kernel_size, stride, padding)


class MaxPool2d(_MaxPool):
    """:class:`MaxPool1d` for ``(N, H, W, C)``; each argument is one int or two.

    Example:
        >>> nn.MaxPool2d(3, stride=2, padding=1)(mx.ones((1, 8, 8, 4))).shape
        (1, 4, 4, 4)
    """

    _rank = 2

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] | None = 0,
    ) -> None:
        super().__init__(kernel_size, stride, padding)


class MaxPool3d(_MaxPool):
    """:class:`MaxPool1d` for ``(N, D, H, W, C)``; each argument is one int or three.

    Example:
        >>> nn.MaxPool3d(2)(mx.ones((1, 4, 8, 8, 3))).shape
        (1, 2, 4, 4, 3)
    """

    _rank = 3

    def __init__(
        self,
        kernel_size: int | tuple[int, int, int],
        stride: int | tuple[int, int, int] | None = None,
        padding: int | tuple[int, int, int] | None = 0,
    ) -> None:
        super().__init__(kernel_size, stride, padding)


class AvgPool1d(_AvgPool):
    """The mean of windows of ``(N, L, C)``.

    Args:
        kernel_size: size of the window.
        stride: distance of neighbouring windows; ``kernel_size`` when not given.
        padding: zeros added at both ends; they count in the mean.

    Example:
        >>> nn.AvgPool1d(2)(mx.arange(4).reshape(1, 4, 1)).tolist()
        [[[0.5], [2.5]]]
    """

    _rank = 1

    def __init__(
        self,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] | None = None,
        padding: int | tuple[int] = 0,
    ) -> None:
        super().__init__(kernel_size, stride, padding)


class AvgPool2d(_AvgPool):
    """:class:`AvgPool1d` for ``(N, H, W, C)``; each argument is one int or two.

    Example:
        >>> nn.AvgPool2d((2, 4))(mx.ones((1, 8, 8, 3))).shape
        (1, 4, 2, 3)
    """

    _rank = 2

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] | None = 0,
    ) -> None:
        super().__init__(kernel_size, stride, padding)


class AvgPool3d(_AvgPool):
    """:class:`AvgPool1d` for ``(N, D, H, W, C)``; each argument is one int or three.

    Example:
        >>> nn.AvgPool3d(2)(mx.ones((1, 4, 8, 8, 3))).shape
        (1, 2, 4, 4, 3)
    """

    _rank = 3

    def __init__(
        self,
        kernel_size: int | tuple[int, int, int],
        stride: int | tuple[int, int, int] | None = None,
        padding: int | tuple[int, int, int] | None = 0,
    ) -> None:
        super().__init__(kernel_size, stride, padding)
