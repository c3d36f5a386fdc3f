"""Adafactor: Adam with the mean squares of a matrix kept as one row and one column."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.optimizers.base import Optimizer


def _rms(x: Any) -> Any:
    return mx.sqrt(mx.mean(mx.square(x)))


class Adafactor(Optimizer):
    """Adafactor (https://arxiv.org/abs/1804.04235).

    Args:
        learning_rate: a number, or a function of the step; not needed with
            ``relative_step``.
        eps: what is added to squared gradients, and the least size of a parameter for
            ``scale_parameter``.
        clip_threshold: the largest root mean square of a step before it is scaled.
        decay_rate: the mean squares keep ``1 - step ** decay_rate``.
        beta_1: how much of a running mean of steps is kept; ``None`` for none.
        weight_decay: how much of ``lr * w`` is subtracted beside the step.
        scale_parameter: whether the step is scaled by the parameter's root mean square.
        relative_step: whether the learning rate is ``1 / sqrt(step)``, at most 0.01.
        warmup_init: whether that is at most ``step / 10 ** 6`` instead.

    Example:
        >>> optimizer = optim.Adafactor()
        >>> optimizer.init({"w": mx.zeros((3, 5))})
        >>> {name: value.shape for name, value in optimizer.state["w"].items()}
        {'exp_avg_sq_row': (3,), 'exp_avg_sq_col': (5,)}
    """

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array] | None = None,
        eps: tuple[float, float] = (1e-30, 1e-3),
        clip_threshold: float = 1.0,
        decay_rate: float = -0.8,
        beta_1: float | None = None,
        weight_decay: float = 0.0,
        scale_parameter: bool = True,
        relative_step: bool = True,
        warmup_init: bool = False,
    ) -> None:
        super().__init__()
        if learning_rate is not None:
            self._maybe_schedule("learning_rate", learning_rate)
        self.eps = eps
        self.clip_threshold = clip_threshold
        self.decay_rate = decay_rate
        self.beta_1 = beta_1
        self.weight_decay = weight_decay
        self.scale_parameter = scale_parameter
        self.relative_step = relative_step
        self.warmup_init = warmup_init

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Zeros for the mean squares, and for the mean of steps if there is one."""
        dtype = parameter.dtype
        if parameter.ndim >= 2:
            shape = parameter.shape
            state["exp_avg_sq_row"] = mx.zeros(shape[:-1], dtype=dtype)
            state["exp_avg_sq_col"] = mx.zeros(shape[:-2] + shape[-1:], dtype=dtype)
        else:
            state["exp_avg_sq"] = mx.zeros_like(parameter)
        if self.beta_1 is not None:
            state["exp_avg"] = mx.zeros_like(parameter)

    def _rate(self, size: Any) -> Any:
        """The learning rate for a parameter of root mean square ``size``."""
        if self.relative_step:
            if self.warmup_init:
                most = 1e-6 * self.step
            else:
                most = mx.array(1e-2)
            rate = mx.minimum(most, mx.rsqrt(self.step.astype(mx.float32)))
        else:
            rate = self.learning_rate
        rate = rate.astype(size.dtype)
        return mx.maximum(self.eps[1], size) * rate if self.scale_parameter else rate

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> Any:
        """One step of one parameter."""
        lr = self._rate(_rms(parameter))
        beta_2 = 1.0 - mx.power(self.step.astype(mx.float32), self.decay_rate)
        beta_2 = beta_2.astype(parameter.dtype)
        squares = mx.square(gradient) + self.eps[0]

        def moved(mean: Any, new: Any) -> Any:
            return beta_2 * mean + (1 - beta_2) * new

        if gradient.ndim >= 2:
            row = moved(state["exp_avg_sq_row"], mx.mean(squares, axis=-1))
            column = moved(state["exp_avg_sq_col"], mx.mean(squares, axis=-2))
            state["exp_avg_sq_row"], state["exp_avg_sq_col"] = row, column
            by_row = mx.rsqrt(row / mx.mean(row, axis=-1, keepdims=True))
            update = by_row[..., :, None] * mx.rsqrt(column)[..., None, :] * gradient
        else:
            state["exp_avg_sq"] = moved(state["exp_avg_sq"], squares)
            update = mx.rsqrt(state["exp_avg_sq"]) * gradient

        update = update / mx.maximum(1.0, _rms(update) / self.clip_threshold)
        update = lr * update
        if self.beta_1 is not None:
            update = self.beta_1 * state["exp_avg"] + (1 - self.beta_1) * update
            state["exp_avg"] = update
        if self.weight_decay != 0:
            parameter = parameter - (self.weight_decay * lr) * parameter
        return parameter - update
