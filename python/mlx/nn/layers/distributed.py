"""Layers whose parameters are spread over the processes of a group.

Two ways of cutting a linear layer's weight ``(output_dims, input_dims)``:

- all-to-sharded: by outputs. Every process has the whole input and computes its part
  of the output.
- sharded-to-all: by inputs. Every process has its part of the input; the partial
  results are summed, so that all have the whole output.

One after the other they make a two-layer block that communicates once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.nn.layers._shard import KINDS, chooser, part_of, shard, sum_gradients
from mlx.nn.layers.base import Module
from mlx.nn.layers.distributed_quantized import (
    QuantizedAllToShardedLinear,
    QuantizedShardedToAllLinear,
)
from mlx.nn.layers.fully_sharded import FullyShardedModule, fully_shard  # noqa: F401
from mlx.nn.layers.linear import Linear
from mlx.nn.layers.quantized import QuantizedLinear


def shard_inplace(
    module: Module,
    sharding: str | Callable,
    *,
    segments: int | list = 1,
    group: mx.distributed.Group | None = None,
) -> None:
    """Keep only this process's part of a module's parameters.

    The module stays what it is: it must itself know how to work with its parts.

    Args:
        module: the module to change.
        sharding: ``"all-to-sharded"``, ``"sharded-to-all"`` or a function
            ``(path, array)`` that returns the axis to cut, or ``(axis, segments)``, or
            ``None`` to leave the array whole.
        segments: for a weight that holds several one after the other (queries, keys and
            values, say): how many, or where they start; each is cut on its own.
        group: the processes; all when not given.
    """
    group = group or mx.distributed.init()
    module.update(shard(module.parameters(), chooser(sharding, segments), group))


def shard_linear(
    module: Module,
    sharding: str,
    *,
    segments: int | list = 1,
    group: mx.distributed.Group | None = None,
) -> Any:
    """A new layer with this process's part of a linear one, which communicates.

    Args:
        module: a :class:`Linear` or :class:`QuantizedLinear`; it stays as it is.
        sharding: ``"all-to-sharded"`` or ``"sharded-to-all"``.
        segments: see :func:`shard_inplace`.
        group: the processes; all when not given.

    Example:
        >>> shard_linear(nn.Linear(4, 8), "all-to-sharded")    # a single process
        AllToShardedLinear(input_dims=4, output_dims=8, bias=True)
    """
    chooser(sharding, segments)
    to_all = sharding == KINDS[1]
    if isinstance(module, QuantizedLinear):
        kind = QuantizedShardedToAllLinear if to_all else QuantizedAllToShardedLinear
        return kind.from_quantized_linear(module, segments=segments, group=group)
    if not isinstance(module, Linear):
        raise ValueError(f"[shard_linear] {type(module).__name__} is not a linear layer")  # noqa: TRY004
    kind = ShardedToAllLinear if to_all else AllToShardedLinear
    return kind.from_linear(module, segments=segments, group=group)


class AllToShardedLinear(Module):
    """A :class:`Linear` of which each process computes a part of the outputs.

    Args:
        input_dims: size of the input's last axis.
        output_dims: size of the output's last axis, of all processes together.
        bias: whether to add a bias.
        group: the processes; all when not given.

    Shape:
        ``(..., input_dims)`` to ``(..., output_dims / processes)``. The gradient of the
        input is summed over the processes.

    Example:
        >>> nn.AllToShardedLinear(4, 8)(mx.ones((2, 4))).shape    # a single process
        (2, 8)
    """

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group: mx.distributed.Group | None = None,
    ) -> None:
        super().__init__()
        self.group = group or mx.distributed.init()
        rows = part_of("AllToShardedLinear", "an output", output_dims, self.group)
        limit = math.sqrt(1.0 / input_dims)
        self.weight = mx.random.uniform(-limit, limit, (rows, input_dims))
        if bias:
            self.bias = mx.random.uniform(-limit, limit, (rows,))

    def _extra_repr(self) -> str:
        rows, input_dims = self.weight.shape
        return (
            f"input_dims={input_dims}, output_dims={rows * self.group.size()}, "
            f"bias={'bias' in self}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        x = sum_gradients(self.group)(x)
        if "bias" in self:
            return mx.addmm(self["bias"], x, self["weight"].T)
        return x @ self["weight"].T

    @classmethod
    def from_linear(
        cls,
        linear_layer: Module,
        *,
        segments: int | list = 1,
        group: mx.distributed.Group | None = None,
    ) -> Any:
        """This process's part of a :class:`Linear`; see :func:`shard_linear`."""
        group = group or mx.distributed.init()
        output_dims, input_dims = linear_layer.weight.shape
        layer = cls(input_dims, output_dims, "bias" in linear_layer, group)
        return layer.update(shard(linear_layer.parameters(), chooser(KINDS[0], segments), group))


class ShardedToAllLinear(Module):
    """A :class:`Linear` of which each process has a part of the inputs; the results are
    summed, so that all have the whole output.

    Args:
        input_dims: size of the input's last axis, of all processes together.
        output_dims: size of the output's last axis.
        bias: whether to add a bias.
        group: the processes; all when not given.

    Shape:
        ``(..., input_dims / processes)`` to ``(..., output_dims)``.

    Example:
        >>> nn.ShardedToAllLinear(4, 8)(mx.ones((2, 4))).shape    # a single process
        (2, 8)
    """

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group: mx.distributed.Group | None = None,
    ) -> None:
        super().__init__()
        self.group = group or mx.distributed.init()
        columns = part_of("ShardedToAllLinear", "an input", input_dims, self.group)
        limit = math.sqrt(1.0 / input_dims)
        self.weight = mx.random.uniform(-limit, limit, (output_dims, columns))
        if bias:
            self.bias = mx.random.uniform(-limit, limit, (output_dims,))

    def _extra_repr(self) -> str:
        output_dims, columns = self.weight.shape
        return (
            f"input_dims={columns * self.group.size()}, output_dims={output_dims}, "
            f"bias={'bias' in self}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        y = mx.distributed.all_sum(x @ self["weight"].T, group=self.group)
        return y + self["bias"] if "bias" in self else y

    @classmethod
    def from_linear(
        cls,
        linear_layer: Module,
        *,
        segments: int | list = 1,
        group: mx.distributed.Group | None = None,
    ) -> Any:
        """This process's part of a :class:`Linear`; see :func:`shard_linear`."""
        group = group or mx.distributed.init()
        output_dims, input_dims = linear_layer.weight.shape
        layer = cls(input_dims, output_dims, "bias" in linear_layer, group)
        return layer.update(shard(linear_layer.parameters(), chooser(KINDS[1], segments), group))
