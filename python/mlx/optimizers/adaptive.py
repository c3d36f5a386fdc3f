"""Optimizers that divide by the root of a sum or mean of squared gradients."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.optimizers.base import Optimizer


def _require(where: Any, **least: Any) -> None:
    """Each ``name=(value, least, may be equal)``."""
    for name, (value, bound, equal) in least.items():
        if value < bound or (value == bound and not equal):
            relation = "at least" if equal else "above"
            raise ValueError(f"[{where}] {name} must be {relation} {bound}, but is {value}")


class RMSprop(Optimizer):
    """Steps divided by the root of a running mean of squares::

        v = alpha * v + (1 - alpha) * g ** 2
        w = w - lr * g / (sqrt(v) + eps)

    Args:
        learning_rate: a number, or a function of the step.
        alpha: see above.
        eps: see above.
    """

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array],
        alpha: float = 0.99,
        eps: float = 1e-8,
    ) -> None:
        _require("RMSprop", alpha=(alpha, 0, True), eps=(eps, 0, True))
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.alpha = alpha
        self.eps = eps

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Zero for ``v``."""
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> Any:
        """One step of one parameter."""
        lr = self.learning_rate.astype(gradient.dtype)
        v = self.alpha * state["v"] + (1 - self.alpha) * mx.square(gradient)
        state["v"] = v
        return parameter - lr * gradient / (mx.sqrt(v) + self.eps)


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squares so far
    (https://jmlr.org/papers/v12/duchi11a.html)::

        v = v + g ** 2
        w = w - lr * g / (sqrt(v) + eps)

    Args:
        learning_rate: a number, or a function of the step.
        eps: see above.
    """

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array],
        eps: float = 1e-8,
    ) -> None:
        _require("Adagrad", eps=(eps, 0, True))
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.eps = eps

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Zero for ``v``."""
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> Any:
        """One step of one parameter."""
        lr = self.learning_rate.astype(gradient.dtype)
        v = state["v"] = state["v"] + mx.square(gradient)
        return parameter - lr * gradient / (mx.sqrt(v) + self.eps)


class AdaDelta(Optimizer):
    """Steps in proportion to a running mean of earlier steps
    (https://arxiv.org/abs/1212.5701)::

        v = rho * v + (1 - rho) * g ** 2
        d = sqrt(u + eps) / sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d ** 2
        w = w - lr * d

    Args:
        learning_rate: a number, or a function of the step.
        rho: see above.
        eps: see above.
    """

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array],
        rho: float = 0.9,
        eps: float = 1e-6,
    ) -> None:
        _require("AdaDelta", rho=(rho, 0, True), eps=(eps, 0, True))
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.rho = rho
        self.eps = eps

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Zeros for ``v`` and ``u``."""
        state["v"] = mx.zeros_like(parameter)
        state["u"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> Any:
        """One step of one parameter."""
        lr = self.learning_rate.astype(gradient.dtype)
        rho, u = self.rho, state["u"]
        v = state["v"] = rho * state["v"] + (1 - rho) * mx.square(gradient)
        delta = mx.sqrt(u + self.eps) / mx.sqrt(v + self.eps) * gradient
        state["u"] = rho * u + (1 - rho) * mx.square(delta)
        return parameter - lr * delta
