"""Muon: momentum made orthogonal."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.optimizers.base import Optimizer


class Muon(Optimizer):
    """Replaces the momentum of a matrix by the nearest orthogonal matrix, about
    (https://kellerjordan.github.io/posts/muon/)::

        g = g + weight_decay * w
        v = momentum * v + (1 - momentum) * g
        u = (1 - momentum) * g + momentum * v if nesterov else v
        w = w - lr * sqrt(max(1, rows / columns)) * orthogonal(u)

    It is made for the matrices inside a model. Give embeddings and the last layer to
    another optimizer, say AdamW, with :class:`MultiOptimizer`. Vectors take ``u`` as it
    is; of arrays with more axes, those behind the first are joined.

    Args:
        learning_rate: a number, or a function of the step.
        momentum: see above.
        weight_decay: see above.
        nesterov: see above.
        ns_steps: steps of the Newton-Schulz iteration that makes it orthogonal.

    Example:
        >>> optimizer = optim.Muon(0.1, weight_decay=0)
        >>> w = mx.zeros((3, 5))
        >>> optimizer.apply_gradients({"w": mx.ones((3, 5))}, {"w": w})["w"].shape
        (3, 5)
    """

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array],
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        nesterov: bool = True,
        ns_steps: int = 5,
    ) -> None:
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = nesterov
        self.ns_steps = ns_steps

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Zero for ``v``."""
        state["v"] = mx.zeros_like(parameter)

    def _orthogonal(self, x: Any) -> Any:
        """Move all singular values of a matrix towards 1.

        Each step applies an odd polynomial to them. Its coefficients are those of the
        method's authors: they let small values grow fast and leave all near 1.
        """
        a, b, c = 3.4445, -4.7750, 2.0315
        tall = x.shape[0] > x.shape[1]
        x = x.T if tall else x
        x = x / (mx.sqrt(mx.sum(x * x)) + 1e-7)
        for _ in range(self.ns_steps):
            square = x @ x.T
            square = mx.addmm(b * square, square, square, beta=1.0, alpha=c)
            x = mx.addmm(a * x, square, x, beta=1.0, alpha=1.0)
        return x.T if tall else x

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> Any:
        """One step of one parameter."""
        if self.weight_decay != 0:
            gradient = gradient + self.weight_decay * parameter
        v = self.momentum * state["v"] + (1 - self.momentum) * gradient
        state["v"] = v
        update = (1 - self.momentum) * gradient + self.momentum * v if self.nesterov else v
        lr = self.learning_rate.astype(gradient.dtype)
        if update.ndim >= 2:
            matrix = update.reshape(update.shape[0], -1) if update.ndim > 2 else update
            matrix = self._orthogonal(matrix)
            lr = lr * max(1, matrix.shape[0] / matrix.shape[1]) ** 0.5
            update = matrix.reshape(update.shape)
        return parameter - lr * update
