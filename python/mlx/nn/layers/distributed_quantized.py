"""Sharded linear layers with quantised weights."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
from mlx.nn.layers._shard import KINDS, chooser, part_of, shard, sum_gradients
from mlx.nn.layers.base import Module
from mlx.nn.layers.quantized import _Packed


class _QuantizedSharded(_Packed):
    """What the two quantised sharded layers share. All their arrays stay frozen."""

    _kind = ""

    def __init__(
        self,
        input_dims: Any,
        output_dims: Any,
        bias: Any,
        group_size: Any,
        bits: Any,
        mode: Any,
        group: Any,
    ) -> None:
        super().__init__()
        self.group = group or mx.distributed.init()
        name = type(self).__name__
        limit = math.sqrt(1.0 / input_dims)
        if self._kind == KINDS[0]:
            output_dims = part_of(name, "an output", output_dims, self.group)
        else:
            input_dims = part_of(name, "an input", input_dims, self.group)
        weight = mx.random.uniform(-limit, limit, (output_dims, input_dims))
        self._pack(weight, group_size, bits, mode)
        if bias:
            self.bias = mx.zeros((output_dims,))
        self.freeze()

    def _never_trained(self) -> Any:
        return self._local_parameter_names()

    def unfreeze(self, *args: Any, **kwargs: Any) -> Any:
        """:meth:`Module.unfreeze`, but this layer's own arrays stay frozen."""
        return super().unfreeze(*args, **kwargs)

    def _extra_repr(self) -> str:
        inputs, outputs = self._packed_dims(), self.weight.shape[0]
        if self._kind == KINDS[0]:
            outputs *= self.group.size()
        else:
            inputs *= self.group.size()
        return (
            f"input_dims={inputs}, output_dims={outputs}, bias={'bias' in self}, {self._format()}"
        )

    @classmethod
    def _from_layer(cls, layer: Any, segments: Any, group: Any) -> Any:
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
        return made.update(shard(layer.parameters(), chooser(cls._kind, segments), group))


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

    _kind = KINDS[0]

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group_size: int = 64,
        bits: int = 4,
        mode: str = "affine",
        group: mx.distributed.Group | None = None,
    ) -> None:
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
    ) -> Any:
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

    _kind = KINDS[1]

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group_size: int = 64,
        bits: int = 4,
        mode: str = "affine",
        group: mx.distributed.Group | None = None,
    ) -> None:
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
    ) -> Any:
        """This process's part of a :class:`QuantizedLinear`; see :func:`shard_linear`."""
        return cls._from_layer(quantized_linear_layer, segments, group)
