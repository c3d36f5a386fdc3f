"""Layers that normalise their input: ``(x - mean) / sqrt(var + eps) * weight + bias``.

They differ in the axes that the mean and the variance are taken over.
"""

from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module


class InstanceNorm(Module):
    """Normalises over the positions of each sample and channel.

    Args:
        dims: number of channels (last axis).
        eps: added to the variance.
        affine: whether to scale and shift each channel by learned ``weight``, ``bias``.

    Shape:
        ``(N, ..., dims)``, with at least three axes, to the same.

    Example:
        >>> nn.InstanceNorm(3)(mx.random.normal((2, 8, 8, 3))).shape
        (2, 8, 8, 3)
    """

    def __init__(self, dims: int, eps: float = 1e-5, affine: bool = False) -> None:
        super().__init__()
        if affine:
            self.weight = mx.ones((dims,))
            self.bias = mx.zeros((dims,))
        self.dims = dims
        self.eps = eps

    def _extra_repr(self) -> Any:
        return f"{self.dims}, eps={self.eps}, affine={'weight' in self}"

    def __call__(self, x: mx.array) -> mx.array:
        if x.ndim < 3:
            raise ValueError(
                f"[InstanceNorm] the input must be (N, ..., {self.dims}) with at least "
                f"3 axes, not of shape {x.shape}"
            )
        axes = tuple(range(1, x.ndim - 1))
        mean = mx.mean(x, axis=axes, keepdims=True)
        var = mx.var(x, axis=axes, keepdims=True)
        y = (x - mean) * mx.rsqrt(var + self.eps)
        return self["weight"] * y + self["bias"] if "weight" in self else y


class LayerNorm(Module):
    """Normalises over the last axis (https://arxiv.org/abs/1607.06450).

    Args:
        dims: size of the last axis.
        eps: added to the variance.
        affine: whether to have a learned ``weight``.
        bias: whether, if ``affine``, to have a learned ``bias``.

    Shape:
        ``(..., dims)`` to the same.

    Example:
        >>> nn.LayerNorm(2)(mx.array([[1.0, 3.0]]))
        array([[-0.999995, 0.999995]], dtype=float32)
    """

    def __init__(
        self, dims: int, eps: float = 1e-5, affine: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        if affine:
            self.weight = mx.ones((dims,))
            if bias:
                self.bias = mx.zeros((dims,))
        self.eps = eps
        self.dims = dims

    def _extra_repr(self) -> Any:
        return f"{self.dims}, eps={self.eps}, affine={'weight' in self}"

    def __call__(self, x: mx.array) -> mx.array:
        return mx.fast.layer_norm(x, self.get("weight"), self.get("bias"), self.eps)


class RMSNorm(Module):
    """Divides by the root mean square of the last axis (https://arxiv.org/abs/1910.07467).

    There is no mean and no bias; ``weight`` scales the result.

    Args:
        dims: size of the last axis.
        eps: added to the mean square.

    Shape:
        ``(..., dims)`` to the same.

    Example:
        >>> nn.RMSNorm(2)(mx.array([[3.0, 4.0]]))
        array([[0.848528, 1.13137]], dtype=float32)
    """

    def __init__(self, dims: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = mx.ones((dims,))
        self.eps = eps

    def _extra_repr(self) -> Any:
        return f"{self.weight.shape[0]}, eps={self.eps}"

    def __call__(self, x: mx.array) -> mx.array:
        return mx.fast.rms_norm(x, self["weight"], self.eps)


class GroupNorm(Module):
    """Normalises over groups of channels and all positions of a sample
    (https://arxiv.org/abs/1803.08494).

    Args:
        num_groups: number of groups; divides ``dims``.
        dims: number of channels (last axis).
        eps: added to the variance.
        affine: whether to scale and shift each channel by learned ``weight``, ``bias``.
        pytorch_compatible: which channels make a group: neighbours, as in PyTorch, or
            else every ``num_groups``-th.

    Shape:
        ``(N, ..., dims)`` to the same.

    Example:
        >>> nn.GroupNorm(2, 6, pytorch_compatible=True)(mx.ones((1, 4, 4, 6))).shape
        (1, 4, 4, 6)
    """

    def __init__(
        self,
        num_groups: int,
        dims: int,
        eps: float = 1e-5,
        affine: bool = True,
        pytorch_compatible: bool = False,
    ) -> None:
        super().__init__()
        if dims % num_groups != 0:
            raise ValueError(
                f"[GroupNorm] {dims} channels can't be split evenly into {num_groups} groups"
            )
        if affine:
            self.bias = mx.zeros((dims,))
            self.weight = mx.ones((dims,))
        self.num_groups = num_groups
        self.dims = dims
        self.eps = eps
        self.pytorch_compatible = pytorch_compatible

    def _extra_repr(self) -> Any:
        return (
            f"{self.num_groups}, {self.dims}, eps={self.eps}, affine={'weight' in self}, "
            f"pytorch_compatible={self.pytorch_compatible}"
        )

    def _over_groups(self, values: Any) -> Any:
        """The mean over its group for each channel of ``(N, dims)``, as ``(N, 1, dims)``."""
        count, size = len(values), self.dims // self.num_groups
        axis = 2 if self.pytorch_compatible else 1
        shape = [count, size, self.num_groups] if axis == 1 else [count, self.num_groups, size]
        mean = values.reshape(shape).mean(axis=axis, keepdims=True)
        return mx.broadcast_to(mean, shape).reshape(count, 1, self.dims)

    def _normalise(self, x: Any) -> Any:
        # Channel by channel first, and then over the channels of a group: the passes over x go
        # through memory in its own order, whichever channels make a group.
        wide = x.reshape(x.shape[0], -1, self.dims)
        if x.dtype in (mx.float16, mx.bfloat16):
            wide = wide.astype(mx.float32)
        centred = wide - self._over_groups(wide.mean(axis=1))
        var = self._over_groups(centred.square().mean(axis=1))
        return (centred * mx.rsqrt(var + self.eps)).astype(x.dtype).reshape(x.shape)

    def __call__(self, x: mx.array) -> mx.array:
        if x.ndim < 2 or x.shape[-1] != self.dims:
            raise ValueError(
                f"[GroupNorm] the input must be (N, ..., {self.dims}), not of shape {x.shape}"
            )
        y = self._normalise(x)
        return self["weight"] * y + self["bias"] if "weight" in self else y


class BatchNorm(Module):
    """Normalises each channel over the batch and all positions
    (https://arxiv.org/abs/1502.03167).

    In training the batch's own mean and variance are used and moved into the running
    ones; in evaluation the running ones are used. They are never trained.

    Args:
        num_features: number of channels (last axis).
        eps: added to the variance.
        momentum: how far the running statistics move to each batch's.
        affine: whether to scale and shift each channel by learned ``weight``, ``bias``.
        track_running_stats: whether to keep running statistics; if not, the batch's
            are used in evaluation too.

    Shape:
        ``(N, C)``, ``(N, L, C)`` or ``(N, H, W, C)`` to the same.

    Example:
        >>> norm = nn.BatchNorm(4)
        >>> norm(mx.random.normal((5, 4))).shape
        (5, 4)
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.track_running_stats = track_running_stats
        if affine:
            self.weight = mx.ones((num_features,))
            self.bias = mx.zeros((num_features,))
        if track_running_stats:
            self.running_mean = mx.zeros((num_features,))
            self.running_var = mx.ones((num_features,))
            self.freeze(keys=["running_mean", "running_var"], recurse=False)

    def _never_trained(self) -> Any:
        return [name for name in ("running_mean", "running_var") if name in self]

    def unfreeze(self, *args: Any, **kwargs: Any) -> Any:
        """:meth:`Module.unfreeze`, but the running statistics stay frozen."""
        return super().unfreeze(*args, **kwargs)

    def _extra_repr(self) -> Any:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={'weight' in self}, track_running_stats={self.track_running_stats}"
        )

    def _batch_stats(self, x: mx.array) -> tuple[mx.array, mx.array]:
        axes = tuple(range(x.ndim - 1))
        return mx.mean(x, axis=axes), mx.var(x, axis=axes)

    def __call__(self, x: mx.array) -> mx.array:
        """``x`` normalised; in training the running statistics move."""
        if x.ndim < 2 or x.ndim > 4:
            raise ValueError(
                f"[BatchNorm] the input must be (N, C), (N, L, C) or (N, H, W, C), "
                f"not of shape {x.shape}"
            )
        if x.shape[-1] != self.num_features:
            raise ValueError(
                f"[BatchNorm] the input must have {self.num_features} channels in its last "
                f"axis, not the shape {x.shape}"
            )
        count = x.size // self.num_features
        if self.training and count == 1:
            raise ValueError(
                "[BatchNorm] training needs more than one value for each channel, the input "
                f"has the shape {x.shape}"
            )
        if self.training or not self.track_running_stats:
            mean, var = self._batch_stats(x)
        else:
            mean, var = self["running_mean"], self["running_var"]
        if self.training and self.track_running_stats:
            keep = 1 - self.momentum
            # Normalising takes the variance of the sample, the running one estimates that
            # of the population.
            unbiased = var * (count / (count - 1))
            self.running_mean = keep * self["running_mean"] + self.momentum * mean
            self.running_var = keep * self["running_var"] + self.momentum * unbiased
        y = (x - mean) * mx.rsqrt(var + self.eps)
        return self["weight"] * y + self["bias"] if "weight" in self else y
