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
from functools import lru_cache

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.nn.layers.fully_sharded import FullyShardedModule, fully_shard  # noqa: F401
from mlx.nn.layers.linear import Linear
from mlx.nn.layers.quantized import QuantizedLinear, _Packed
from mlx.utils import tree_map_with_path

_KINDS = ("all-to-sharded", "sharded-to-all")


@lru_cache
def sum_gradients(group):
    """A function that does nothing on the way forward and sums the gradient over
    ``group`` on the way back."""
    if group.size() == 1:
        return lambda x: x

    @mx.custom_function
    def identity(x):
        return x

    @identity.vjp
    def summed(x, cotangent, _):
        return mx.distributed.all_sum(cotangent, group=group)

    return identity


def _cut(weight, segments, axis):
    """Split an axis into ``segments`` equal parts, or at the given places (ints) or
    fractions of its size (floats)."""
    if isinstance(segments, int):
        return mx.split(weight, segments, axis=axis)
    size = weight.shape[axis]
    places = [int(s * size) if isinstance(s, float) else s for s in segments]
    return mx.split(weight, places, axis=axis)


def _all_to_sharded(segments):
    def choose(path, weight):
        # ndim - 2: stacked experts have (experts, outputs, inputs).
        return max(weight.ndim - 2, 0), segments

    return choose


def _sharded_to_all(segments):
    def choose(path, weight):
        # Every process adds to the same sum: the bias is added once, after it.
        return None if path.split(".")[-1] == "bias" else (-1, segments)

    return choose


def _chooser(sharding, segments):
    if callable(sharding):
        return sharding
    if sharding not in _KINDS:
        raise ValueError(
            f"[shard] sharding must be {_KINDS[0]!r} or {_KINDS[1]!r}, not {sharding!r}"
        )
    return (_all_to_sharded if sharding == _KINDS[0] else _sharded_to_all)(segments)


def _shard(parameters, choose, group):
    """This process's part of each array that ``choose(path, array)`` gives an axis for."""
    size, rank = group.size(), group.rank()

    def part(path, weight):
        choice = choose(path, weight)
        if choice is None:
            return weight
        axis, segments = choice if isinstance(choice, tuple) else (choice, 1)
        parts = [_cut(piece, size, axis)[rank] for piece in _cut(weight, segments, axis)]
        return mx.contiguous(mx.concatenate(parts, axis=axis))

    return tree_map_with_path(part, parameters)


def shard_inplace(
    module: Module,
    sharding: str | Callable,
    *,
    segments: int | list = 1,
    group: mx.distributed.Group | None = None,
):
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
    module.update(_shard(module.parameters(), _chooser(sharding, segments), group))


def shard_linear(
    module: Module,
    sharding: str,
    *,
    segments: int | list = 1,
    group: mx.distributed.Group | None = None,
):
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
    _chooser(sharding, segments)
    to_all = sharding == _KINDS[1]
    if isinstance(module, QuantizedLinear):
        kind = QuantizedShardedToAllLinear if to_all else QuantizedAllToShardedLinear
        return kind.from_quantized_linear(module, segments=segments, group=group)
    if not isinstance(module, Linear):
        raise ValueError(f"[shard_linear] {type(module).__name__} is not a linear layer")  # noqa: TRY004
    kind = ShardedToAllLinear if to_all else AllToShardedLinear
    return kind.from_linear(module, segments=segments, group=group)


def _part_of(where, what, size, group):
    if size % group.size():
        raise ValueError(
            f"[{where}] {what} of size {size} can't be split over {group.size()} processes"
        )
    return size // group.size()


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
    ):
        super().__init__()
        self.group = group or mx.distributed.init()
        rows = _part_of("AllToShardedLinear", "an output", output_dims, self.group)
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
    ):
        """This process's part of a :class:`Linear`; see :func:`shard_linear`."""
        group = group or mx.distributed.init()
        output_dims, input_dims = linear_layer.weight.shape
        layer = cls(input_dims, output_dims, "bias" in linear_layer, group)
        return layer.update(_shard(linear_layer.parameters(), _all_to_sharded(segments), group))


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
    ):
        super().__init__()
        self.group = group or mx.distributed.init()
        columns = _part_of("ShardedToAllLinear", "an input", input_dims, self.group)
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
    ):
        """This process's part of a :class:`Linear`; see :func:`shard_linear`."""
        group = group or mx.distributed.init()
        output_dims, input_dims = linear_layer.weight.shape
        layer = cls(input_dims, output_dims, "bias" in linear_layer, group)
        return layer.update(_shard(linear_layer.parameters(), _sharded_to_all(segments), group))


class _QuantizedSharded(_Packed):
    """What the two quantised sharded layers share. All their arrays stay frozen."""

    _kind = ""

    def __init__(self, input_dims, output_dims, bias, group_size, bits, mode, group):
        super().__init__()
        self.group = group or mx.distributed.init()
        name = type(self).__name__
        limit = math.sqrt(1.0 / input_dims)
        if self._kind == _KINDS[0]:
            output_dims = _part_of(name, "an output", output_dims, self.group)
        else:
            input_dims = _part_of(name, "an input", input_dims, self.group)
        weight = mx.random.uniform(-limit, limit, (output_dims, input_dims))
        self._pack(weight, group_size, bits, mode)
        if bias:
            self.bias = mx.zeros((output_dims,))
        self.freeze()

    def _never_trained(self):
        return self._local_parameter_names()

    def unfreeze(self, *args, **kwargs):
        """:meth:`Module.unfreeze`, but this layer's own arrays stay frozen."""
        return super().unfreeze(*args, **kwargs)

    def _extra_repr(self) -> str:
        inputs, outputs = self._packed_dims(), self.weight.shape[0]
        if self._kind == _KINDS[0]:
            outputs *= self.group.size()
        else:
            inputs *= self.group.size()
        return (
            f"input_dims={inputs}, output_dims={outputs}, bias={'bias' in self}, {self._format()}"
        )

    @classmethod
    def _from_layer(cls, layer, segments, group):
        group = group or mx.distributed.init()
        output_dims, inputs = layer.weight.shape
        made = cls(
            inputs * 32 // layer.bits,
            output_dims,
            "bias" in layer,
            group_size=layer.group_size,
            bits=layer.bits,
            mode=getattr(layer, "mode", "affine"),
            group=group,
        )
        return made.update(_shard(layer.parameters(), _chooser(cls._kind, segments), group))


class QuantizedAllToShardedLinear(_QuantizedSharded):
    """:class:`AllToShardedLinear` with a quantised weight; see :class:`QuantizedLinear`.

    Args:
        input_dims: size of the input's last axis.
        output_dims: size of the output's last axis, of all processes together.
        bias: whether to add a bias.
        group_size: how many weights share a scale.
        bits: bits a weight.
        mode: see :func:`mlx.core.quantize`.
        group: the processes; all when not given.
    """

    _kind = _KINDS[0]

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group_size: int = 64,
        bits: int = 4,
        mode: str = "affine",
        group: mx.distributed.Group | None = None,
    ):
        super().__init__(input_dims, output_dims, bias, group_size, bits, mode, group)

    def __call__(self, x: mx.array) -> mx.array:
        y = self._times_transposed(sum_gradients(self.group)(x))
        return y + self["bias"] if "bias" in self else y

    @classmethod
    def from_quantized_linear(
        cls,
        quantized_linear_layer: Module,
        *,
        segments: int | list = 1,
        group: mx.distributed.Group | None = None,
    ):
        """This process's part of a :class:`QuantizedLinear`; see :func:`shard_linear`."""
        return cls._from_layer(quantized_linear_layer, segments, group)


class QuantizedShardedToAllLinear(_QuantizedSharded):
    """:class:`ShardedToAllLinear` with a quantised weight; see :class:`QuantizedLinear`.

    Args:
        input_dims: size of the input's last axis, of all processes together.
        output_dims: size of the output's last axis.
        bias: whether to add a bias.
        group_size: how many weights share a scale.
        bits: bits a weight.
        mode: see :func:`mlx.core.quantize`.
        group: the processes; all when not given.
    """

    _kind = _KINDS[1]

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group_size: int = 64,
        bits: int = 4,
        mode: str = "affine",
        group: mx.distributed.Group | None = None,
    ):
        super().__init__(input_dims, output_dims, bias, group_size, bits, mode, group)

    def __call__(self, x: mx.array) -> mx.array:
        y = mx.distributed.all_sum(self._times_transposed(x), group=self.group)
        return y + self["bias"] if "bias" in self else y

    @classmethod
    def from_quantized_linear(
        cls,
        quantized_linear_layer: Module,
        *,
        segments: int | list = 1,
        group: mx.distributed.Group | None = None,
    ):
        """This process's part of a :class:`QuantizedLinear`; see :func:`shard_linear`."""
        return cls._from_layer(quantized_linear_layer, segments, group)
