"""Gradients of modules: one process, or several that share the work."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.utils import tree_map, tree_reduce


def _restore(container: Any, replaced: Any) -> None:
    # A function of its own: a nested one that calls itself would keep the arrays alive until the
    # garbage collector runs, and a training step must leave nothing behind.
    items = container.items() if isinstance(container, dict) else enumerate(container)
    for key, value in list(items):
        if isinstance(value, (dict, list)):
            _restore(value, replaced)
        elif id(value) in replaced:
            container[key] = replaced[id(value)]


def _put_back(model: Any, tracers: Any, originals: Any) -> None:
    """Undo that ``tracers`` stand in ``model`` in place of ``originals``, where they do.

    What the function itself assigned meanwhile stays.
    """
    _restore(model, {id(tracer): array for tracer, array in zip(tracers, originals)})


def _collect(tree: Any, found: list) -> None:
    for value in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(value, (dict, list, tuple)):
            _collect(value, found)
        else:
            found.append(value)


def _arrays(tree: Any) -> list:
    found: list = []
    _collect(tree, found)
    return found


def value_and_grad(model: Module, fn: Callable) -> Any:
    """A function that gives ``fn``'s value and its gradients for a model's parameters.

    Args:
        model: the module whose trainable parameters count.
        fn: a function that calls ``model`` and returns a scalar, or a tuple or list
            whose first element is one.

    Returns:
        A function with ``fn``'s arguments that returns ``(value, gradients)``, the
        gradients nested as :meth:`Module.trainable_parameters`. The model's parameters
        are as they were when it returns, even if ``fn`` fails.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> def loss(x, y):
        ...     return nn.losses.mse_loss(model(x), y)
        >>> value, grads = nn.value_and_grad(model, loss)(mx.ones((4, 2)), mx.zeros((4, 1)))
        >>> grads["weight"].shape
        (1, 2)
    """

    @wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        parameters = model.trainable_parameters()
        # Taken now: tracing may put its own arrays into the tree that it is given.
        originals = _arrays(parameters)
        tracers = []

        def call(traced: Any, *inner_args: Any, **inner_kwargs: Any) -> Any:
            tracers.extend(_arrays(traced))
            model.update(traced)
            return fn(*inner_args, **inner_kwargs)

        if not originals:
            raise ValueError(f"[value_and_grad] {type(model).__name__} has no trainable parameters")
        try:
            return mx.value_and_grad(call)(parameters, *args, **kwargs)
        finally:
            _put_back(model, tracers, originals)

    return wrapped


def checkpoint(module: Module, fn: Callable | None = None) -> Any:
    """A version of a module that keeps only its inputs for the backward pass, which then
    computes what is inside again: less memory for more time.

    Args:
        module: the module whose trainable parameters get gradients.
        fn: the function to call; the module itself when not given.

    Returns:
        A function with the arguments and results of ``fn``.

    Example:
        >>> layer = nn.Linear(4, 4)
        >>> nn.utils.checkpoint(layer)(mx.ones((2, 4))).shape
        (2, 4)
    """
    if fn is None:
        fn = module

    def call(parameters: Any, *args: Any, **kwargs: Any) -> Any:
        originals = _arrays(module.trainable_parameters())
        module.update(parameters)
        try:
            return fn(*args, **kwargs)
        finally:
            _put_back(module, _arrays(parameters), originals)

    checkpointed = mx.checkpoint(call)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return checkpointed(module.trainable_parameters(), *args, **kwargs)

    # A module is callable without being a function: it has no __name__ to take over.
    return wraps(fn)(wrapped) if hasattr(fn, "__name__") else wrapped


def average_gradients(
    gradients: Any,
    group: mx.distributed.Group | None = None,
    all_reduce_size: int = 32 * 1024**2,
    communication_stream: mx.Stream | None = None,
) -> Any:
    """The mean of gradients over all processes.

    Args:
        gradients: a tree of arrays, of the same structure in every process.
        group: the processes; all when not given.
        all_reduce_size: small arrays are joined until they have that many bytes and
            sent at once; 0 or less sends each alone.
        communication_stream: the stream to communicate on.

    Example:
        >>> average_gradients({"w": mx.ones((2,))})     # a single process
        {'w': array([1, 1], dtype=float32)}
    """
    group = group or mx.distributed.init()
    processes = group.size()
    if processes == 1:
        return gradients

    def mean(x: Any) -> Any:
        return mx.distributed.all_sum(x, group=group, stream=communication_stream) / processes

    if all_reduce_size <= 0:
        return tree_map(mean, gradients)
    flat = _arrays(gradients)
    averaged = []
    start = 0
    while start < len(flat):
        # As many of one type as fit; one that is too large goes alone.
        end, size = start, 0
        while end < len(flat) and flat[end].dtype == flat[start].dtype:
            size += flat[end].nbytes
            end += 1
            if size >= all_reduce_size:
                break
        batch = flat[start:end]
        joined = mean(mx.concatenate([x.reshape(-1) for x in batch]))
        offset = 0
        for x in batch:
            averaged.append(joined[offset : offset + x.size].reshape(x.shape))
            offset += x.size
        start = end
    in_order = iter(averaged)
    return tree_map(lambda _: next(in_order), gradients)


def clip_grad_norm_sharded(
    gradients: Any, max_norm: float, group: mx.distributed.Group | None = None
) -> Any:
    """:func:`mlx.optimizers.clip_grad_norm` for gradients of which each process holds a
    part, as those of :func:`mlx.nn.fully_shard`.

    Args:
        gradients: this process's part, a tree of arrays.
        max_norm: the largest norm of all parts together that is left alone.
        group: the processes; all when not given.

    Returns:
        This process's part, scaled if need be, and the norm over all processes.
    """
    group = group or mx.distributed.init()

    def add(total: Any, g: Any) -> Any:
        return total + mx.square(g.astype(mx.float32)).sum()

    squares = tree_reduce(add, gradients, mx.array(0.0))
    norm = mx.sqrt(mx.distributed.all_sum(squares, group=group))
    scale = mx.minimum(max_norm / (norm + 1e-6), 1.0)
    return tree_map(lambda g: g * scale.astype(g.dtype), gradients), norm
