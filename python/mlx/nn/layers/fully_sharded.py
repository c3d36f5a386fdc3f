"""Training with each parameter, its gradient and its optimizer state cut into parts,
one a process."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.utils import tree_flatten, tree_unflatten


def _gatherer(group: Any, compute_dtype: Any, dtypes: Any) -> Any:
    """Parts to whole arrays; on the way back, gradients of whole arrays to parts of
    their mean over the processes."""
    size = group.size()

    def gather(*parts: Any) -> Any:
        whole = [mx.distributed.all_gather(part, group=group) for part in parts]
        return [w.astype(compute_dtype) for w in whole] if compute_dtype else whole

    gather_function = mx.custom_function(gather)

    @gather_function.vjp
    def scatter(parts: Any, cotangents: Any, _: Any) -> Any:
        return [
            mx.distributed.sum_scatter(c.astype(dtype), group=group) / size
            for c, dtype in zip(cotangents, dtypes)
        ]

    # With one process there is nothing to exchange, only to cast, which has a gradient.
    if size == 1:
        return lambda *parts: [p.astype(compute_dtype) if compute_dtype else p for p in parts]
    return gather_function


class FullyShardedModule(Module):
    """A module of whose parameters each process keeps a part.

    They are put together for each call; their gradients are averaged over the processes
    and each process gets those of its part, so the optimizer's state is spread too.

    Args:
        module: the module; its parameters are cut along their first axis, in place, so
            the number of processes must divide its size.
        group: the processes; all when not given.
        compute_dtype: the type the parameters have in the call, if not their own.

    Example:
        >>> layer = nn.FullyShardedModule(nn.Linear(4, 8))    # a single process
        >>> layer(mx.ones((2, 4))).shape
        (2, 8)
    """

    def __init__(
        self,
        module: Module,
        group: mx.distributed.Group | None = None,
        compute_dtype: mx.Dtype | None = None,
    ) -> None:
        super().__init__()
        group = group or mx.distributed.init()
        size, rank = group.size(), group.rank()
        flat = tree_flatten(module.parameters())
        for name, value in flat:
            if value.ndim == 0 or value.shape[0] % size:
                raise ValueError(
                    f"[FullyShardedModule] {name} of shape {value.shape} can't be split over "
                    f"{size} processes along its first axis"
                )
        if size > 1:
            parts = [(name, mx.split(value, size, axis=0)[rank]) for name, value in flat]
            module.update(tree_unflatten(parts))
        self.module = module
        # A tuple would become an entry of the module; it is no parameter.
        object.__setattr__(self, "_paths", [name for name, _ in flat])
        self._gather_fn = _gatherer(group, compute_dtype, [value.dtype for _, value in flat])

    def _extra_repr(self) -> Any:
        return f"num_sharded_params={len(self._paths)}"

    def _with_whole(self, call: Any, args: Any, kwargs: Any) -> Any:
        parts = tree_flatten(self.module.parameters(), destination={})
        parts = {name: parts[name] for name in self._paths}
        whole = self._gather_fn(*parts.values())
        self.module.update(tree_unflatten(list(zip(parts, whole))))
        try:
            return call(*args, **kwargs)
        finally:
            self.module.update(tree_unflatten(list(parts.items())))

    def __call__(self, *args: Any, **kwargs: Any) -> mx.array:
        return self._with_whole(self.module, args, kwargs)

    def as_linear(self, *args: Any, **kwargs: Any) -> Any:
        """The wrapped module's ``as_linear`` (see :class:`Embedding`)."""
        return self._with_whole(self.module.as_linear, args, kwargs)


def fully_shard(
    module: Module,
    *,
    group: mx.distributed.Group | None = None,
    compute_dtype: mx.Dtype | None = None,
) -> Module:
    """Wrap a module in a :class:`FullyShardedModule`, or, if there is only one process,
    return it as it is. The arguments are that class's."""
    group = group or mx.distributed.init()
    if group.size() == 1:
        return module
    return FullyShardedModule(module, group=group, compute_dtype=compute_dtype)
