"""Adam and its relatives: steps scaled by a running measure of the gradient's size."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.optimizers.base import Optimizer


class Adam(Optimizer):
    """Adam (https://arxiv.org/abs/1412.6980)::

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g ** 2
        w = w - lr * m / (sqrt(v) + eps)

    Args:
        learning_rate: a number, or a function of the step.
        betas: ``(beta1, beta2)``.
        eps: see above.
        bias_correction: whether to divide ``m`` by ``1 - beta1 ** step`` and ``v`` by
            ``1 - beta2 ** step``, as the paper does: they start at zero, so the first
            ones are too small.

    Example:
        >>> optimizer = optim.Adam(learning_rate=0.1, bias_correction=True)
        >>> updated = optimizer.apply_gradients({"w": mx.array(3.0)}, {"w": mx.array(1.0)})
        >>> round(updated["w"].item(), 3)    # the first step is as long as the rate
        0.9
    """

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array],
        betas: list[float] = [0.9, 0.999],  # noqa: B006
        eps: float = 1e-8,
        bias_correction: bool = False,
    ) -> None:
        if eps < 0:
            raise ValueError(f"[{type(self).__name__}] eps must not be negative, but is {eps}")
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.betas = betas
        self.eps = eps
        self.bias_correction = bias_correction

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Zeros for ``m`` and ``v``."""
        state["m"] = mx.zeros_like(parameter)
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> Any:
        """One step of one parameter."""
        lr = self.learning_rate.astype(gradient.dtype)
        beta1, beta2 = self.betas
        m = state["m"] = beta1 * state["m"] + (1 - beta1) * gradient
        v = state["v"] = beta2 * state["v"] + (1 - beta2) * mx.square(gradient)
        if not self.bias_correction:
            return parameter - lr * m / (mx.sqrt(v) + self.eps)
        # Both corrections are scalars: in float32 whatever the gradient's type.
        scale = (self.learning_rate / (1 - beta1**self.step)).astype(gradient.dtype)
        root = mx.rsqrt(1 - beta2**self.step).astype(gradient.dtype)
        return parameter - scale * m / (mx.sqrt(v) * root + self.eps)


class AdamW(Adam):
    """:class:`Adam` with weight decay beside it (https://arxiv.org/abs/1711.05101):
    ``w = (1 - lr * weight_decay) * w`` before each step.

    Args:
        learning_rate: a number, or a function of the step.
        betas: ``(beta1, beta2)``.
        eps: see :class:`Adam`.
        weight_decay: see above.
        bias_correction: see :class:`Adam`.
    """

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array],
        betas: list[float] = [0.9, 0.999],  # noqa: B006
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        bias_correction: bool = False,
    ) -> None:
        super().__init__(learning_rate, betas, eps, bias_correction)
        self.weight_decay = weight_decay

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> Any:
        """One step of one parameter."""
        lr = self.learning_rate.astype(gradient.dtype)
        parameter = (1 - lr * self.weight_decay) * parameter
        return super().apply_single(gradient, parameter, state)


class Adamax(Adam):
    """:class:`Adam` with a running maximum in place of the mean square, and no bias
    correction::

        m = beta1 * m + (1 - beta1) * g
        v = max(beta2 * v, |g|)
        w = w - lr * m / (v + eps)

    Args:
        learning_rate: a number, or a function of the step.
        betas: ``(beta1, beta2)``.
        eps: see above.
    """

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array],
        betas: list[float] = [0.9, 0.999],  # noqa: B006
        eps: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate, betas, eps)

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Zeros for ``m`` and ``v``."""
        super().init_single(parameter, state)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> Any:
        """One step of one parameter."""
        lr = self.learning_rate.astype(gradient.dtype)
        beta1, beta2 = self.betas
        m = state["m"] = beta1 * state["m"] + (1 - beta1) * gradient
        v = state["v"] = mx.maximum(beta2 * state["v"], mx.abs(gradient))
        return parameter - lr * m / (v + self.eps)
