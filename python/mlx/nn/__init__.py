"""Layers, losses and what it takes to train them. :class:`Module` is where to start."""

# ruff: noqa: F401

from mlx.nn import init, losses
from mlx.nn.layers import *
from mlx.nn.utils import average_gradients, value_and_grad

__all__ = [name for name in globals() if not name.startswith("_")]
