"""Several optimizers for the parameters of one model."""

from typing import Any

import mlx.core as mx
from mlx.optimizers.base import Optimizer
from mlx.utils import tree_flatten, tree_merge, tree_unflatten


class MultiOptimizer(Optimizer):
    """Gives each parameter to the first optimizer whose filter wants it.

    Args:
        optimizers: the optimizers.
        filters: for each optimizer but the last a function ``(path, gradient)`` that
            says whether it takes that parameter; the last takes the rest.

    Example:
        >>> optimizer = optim.MultiOptimizer(
        ...     [optim.Muon(0.02), optim.AdamW(1e-3)],
        ...     [lambda path, g: g.ndim == 2 and "embedding" not in path],
        ... )
    """

    def __init__(self, optimizers: Any, filters: list = []) -> None:  # noqa: B006
        super().__init__()
        if len(optimizers) == 0:
            raise ValueError("[MultiOptimizer] at least one optimizer is needed")
        if len(filters) != len(optimizers) - 1:
            raise ValueError(
                f"[MultiOptimizer] {len(optimizers)} optimizers need "
                f"{len(optimizers) - 1} filters, not {len(filters)}"
            )
        self._state = {}
        self.optimizers = list(optimizers)
        self.filters = [*filters, lambda path, value: True]

    def _split(self, tree: Any) -> Any:
        """A tree for each optimizer, ``{}`` for one that gets nothing."""
        parts = [[] for _ in self.optimizers]
        for path, value in tree_flatten(tree):
            takes = next(i for i, wants in enumerate(self.filters) if wants(path, value))
            parts[takes].append((path, value))
        return [tree_unflatten(part) if part else {} for part in parts]

    def init(self, parameters: dict) -> None:
        """Make the state of all optimizers."""
        for optimizer, part in zip(self.optimizers, self._split(parameters)):
            optimizer.init(part)
        self._initialized = True

    def apply_gradients(self, gradients: dict, parameters: dict) -> Any:
        """Take a step with each optimizer; see :meth:`Optimizer.apply_gradients`."""
        self._check(gradients, parameters, "")
        updated = {}
        for optimizer, part in zip(self.optimizers, self._split(gradients)):
            updated = tree_merge(updated, optimizer.apply_gradients(part, parameters))
        return updated

    @property
    def state(self) -> Any:
        """``{"states": [...]}``, the states of the optimizers."""
        return {"states": [optimizer.state for optimizer in self.optimizers]}

    @state.setter
    def state(self, state: Any) -> None:
        states = state.get("states") if isinstance(state, dict) else None
        if not isinstance(states, (list, tuple)) or len(states) != len(self.optimizers):
            raise ValueError(
                f"[MultiOptimizer] the state must be {{'states': [...]}} with "
                f"{len(self.optimizers)} states"
            )
        for optimizer, single in zip(self.optimizers, states):
            optimizer.state = single

    @property
    def step(self) -> Any:
        """How many steps were taken, as an array."""
        return self.optimizers[0].step

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the first optimizer; setting it sets that of all."""
        return self.optimizers[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float | mx.array) -> None:
        for optimizer in self.optimizers:
            optimizer.learning_rate = learning_rate
