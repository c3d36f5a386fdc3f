"""Optimizers with one running mean of the gradient: SGD with momentum, Lion."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.optimizers.base import Optimizer


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted::

        g = g + weight_decay * w
        v = momentum * v + (1 - dampening) * g
        w = w - lr * v                       # nesterov: lr * (g + momentum * v)

    Args:
        learning_rate: a number, or a function of the step.
        momentum: how much of ``v`` is kept; 0 for none.
        weight_decay: see above.
        dampening: see above.
        nesterov: see above; needs momentum and no dampening.

    Example:
        >>> optim.SGD(0.5).apply_gradients({"w": mx.array([1.0])}, {"w": mx.array([2.0])})
        {'w': array([1.5], dtype=float32)}
    """

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array],
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("[SGD] nesterov needs momentum, and dampening to be 0")
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.dampening = dampening
        self.nesterov = nesterov

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Zero for ``v``."""
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> Any:
        """One step of one parameter."""
        if self.weight_decay != 0:
            gradient = gradient + self.weight_decay * parameter
        lr = self.learning_rate.astype(gradient.dtype)
        if self.momentum <= 0:
            return parameter - lr * gradient
        fresh = gradient if self.dampening == 0 else (1 - self.dampening) * gradient
        v = state["v"] = self.momentum * state["v"] + fresh
        return parameter - lr * (gradient + self.momentum * v if self.nesterov else v)


class Lion(Optimizer):
    """Steps of one size, in the direction of a mean's sign
    (https://arxiv.org/abs/2302.06675)::

        c = beta1 * m + (1 - beta1) * g
        m = beta2 * m + (1 - beta2) * g
        w = w - lr * (sign(c) + weight_decay * w)

    Its steps are larger than Adam's: take a learning rate 3 to 10 times smaller and a
    weight decay that much larger.

    Args:
        learning_rate: a number, or a function of the step.
        betas: ``(beta1, beta2)``.
        weight_decay: see above.
    """

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array],
        betas: list[float] = [0.9, 0.99],  # noqa: B006
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.betas = betas
        self.weight_decay = weight_decay

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Zero for ``m``."""
        state["m"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> Any:
        """One step of one parameter."""
        lr = self.learning_rate.astype(gradient.dtype)
        beta1, beta2 = self.betas
        m = state["m"]
        direction = mx.sign(beta1 * m + (1 - beta1) * gradient)
        state["m"] = beta2 * m + (1 - beta2) * gradient
        if self.weight_decay > 0:
            parameter = (1 - lr * self.weight_decay) * parameter
        return parameter - lr * direction
