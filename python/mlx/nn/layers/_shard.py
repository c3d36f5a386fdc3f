"""Cutting arrays into parts, one a process; shared by the sharded layers."""

from functools import lru_cache
from typing import Any

import mlx.core as mx
from mlx.utils import tree_map_with_path

KINDS = ("all-to-sharded", "sharded-to-all")


@lru_cache
def sum_gradients(group: Any) -> Any:
    """A function that does nothing on the way forward and sums the gradient over
    ``group`` on the way back."""
    if group.size() == 1:
        return lambda x: x

    @mx.custom_function
    def identity(x: Any) -> Any:
        return x

    @identity.vjp
    def summed(x: Any, cotangent: Any, _: Any) -> Any:
        return mx.distributed.all_sum(cotangent, group=group)

    return identity


def _cut(weight: Any, segments: Any, axis: Any) -> Any:
    """Split an axis into ``segments`` equal parts, or at the given places (ints) or
    fractions of its size (floats)."""
    if isinstance(segments, int):
        return mx.split(weight, segments, axis=axis)
    size = weight.shape[axis]
    places = [int(s * size) if isinstance(s, float) else s for s in segments]
    return mx.split(weight, places, axis=axis)


def _all_to_sharded(segments: Any) -> Any:
    def choose(path: Any, weight: Any) -> Any:
        # ndim - 2: stacked experts have (experts, outputs, inputs).
        return max(weight.ndim - 2, 0), segments

    return choose


def _sharded_to_all(segments: Any) -> Any:
    def choose(path: Any, weight: Any) -> Any:
        # Every process adds to the same sum: the bias is added once, after it.
        return None if path.split(".")[-1] == "bias" else (-1, segments)

    return choose


def chooser(sharding: Any, segments: Any) -> Any:
    if callable(sharding):
        return sharding
    if sharding not in KINDS:
        raise ValueError(f"[shard] sharding must be {KINDS[0]!r} or {KINDS[1]!r}, not {sharding!r}")
    return (_all_to_sharded if sharding == KINDS[0] else _sharded_to_all)(segments)


def shard(parameters: Any, choose: Any, group: Any) -> Any:
    """This process's part of each array that ``choose(path, array)`` gives an axis for."""
    size, rank = group.size(), group.rank()

    def part(path: Any, weight: Any) -> Any:
        choice = choose(path, weight)
        if choice is None:
            return weight
        axis, segments = choice if isinstance(choice, tuple) else (choice, 1)
        parts = [_cut(piece, size, axis)[rank] for piece in _cut(weight, segments, axis)]
        return mx.contiguous(mx.concatenate(parts, axis=axis))

    return tree_map_with_path(part, parameters)


def part_of(where: Any, what: Any, size: Any, group: Any) -> Any:
    if size % group.size():
        raise ValueError(
            f"[{where}] {what} of size {size} can't be split over {group.size()} processes"
        )
    return size // group.size()
