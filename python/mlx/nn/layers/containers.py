"""Containers of modules."""

from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module


class Sequential(Module):
    """Calls modules (or plain functions) one after the other.

    Args:
        modules: what to call, in order; kept as ``layers``.

    Example:
        >>> mlp = nn.Sequential(nn.Linear(4, 8), nn.relu, nn.Linear(8, 2))
        >>> mlp(mx.zeros((3, 4))).shape
        (3, 2)
    """

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        self.layers = list(modules)

    def __call__(self, x: mx.array) -> mx.array:
        for layer in self.layers:
            x = layer(x)
        return x
