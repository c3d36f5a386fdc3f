"""Schedules: functions from the number of steps taken to a value, such as a learning
rate. Any function of an array will do as one; these are the usual ones."""

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx


def exponential_decay(init: float, decay_rate: float) -> Callable:
    """``init * decay_rate ** step``.

    Example:
        >>> optim.exponential_decay(0.1, 0.5)(mx.array(2))
        array(0.025, dtype=float32)
    """

    def schedule(step: Any) -> Any:
        return init * decay_rate**step

    return schedule


def step_decay(init: float, decay_rate: float, step_size: int) -> Callable:
    """``init``, multiplied by ``decay_rate`` every ``step_size`` steps.

    Example:
        >>> optim.step_decay(0.1, 0.5, 10)(mx.array(25))
        array(0.025, dtype=float32)
    """

    if step_size < 1:
        raise ValueError(f"[step_decay] step_size must be at least 1, not {step_size}")

    def schedule(step: Any) -> Any:
        return init * (decay_rate ** (step // step_size))

    return schedule


def cosine_decay(init: float, decay_steps: int, end: float = 0.0) -> Callable:
    """From ``init`` to ``end`` along half a cosine, in ``decay_steps`` steps; ``end``
    from then on.

    Example:
        >>> optim.cosine_decay(0.1, 10)(mx.array(5))
        array(0.05, dtype=float32)
    """

    if decay_steps < 1:
        raise ValueError(f"[cosine_decay] decay_steps must be at least 1, not {decay_steps}")

    def schedule(step: Any) -> Any:
        progress = mx.minimum(step, decay_steps) * (math.pi / decay_steps)
        return end + 0.5 * (1.0 + mx.cos(progress)) * (init - end)

    return schedule


def linear_schedule(init: float, end: float, steps: int) -> Callable:
    """From ``init`` to ``end`` along a line, in ``steps`` steps; ``end`` from then on.

    Example:
        >>> optim.linear_schedule(0.0, 0.1, 10)(mx.array(5))
        array(0.05, dtype=float32)
    """
    if steps < 1:
        raise ValueError(f"[linear_schedule] steps must be at least 1, not {steps}")

    def schedule(step: Any) -> Any:
        return mx.minimum(step, steps) * ((end - init) / steps) + init

    return schedule


def join_schedules(schedules: list[Callable], boundaries: list[int]) -> Callable:
    """One schedule after the other. Each counts steps from where it begins.

    Args:
        schedules: the schedules.
        boundaries: the step at which each but the first begins.

    Example:
        >>> warmup = optim.linear_schedule(0.0, 0.1, 10)
        >>> schedule = optim.join_schedules([warmup, optim.cosine_decay(0.1, 100)], [10])
        >>> schedule(mx.array(10))
        array(0.1, dtype=float32)
    """
    if len(schedules) == 0:
        raise ValueError("[join_schedules] at least one schedule is needed")
    if len(schedules) != len(boundaries) + 1:
        raise ValueError(
            f"[join_schedules] {len(schedules)} schedules have {len(schedules) - 1} boundaries, "
            f"not {len(boundaries)}"
        )

    def schedule(step: Any) -> Any:
        value = schedules[0](step)
        for boundary, later in zip(boundaries, schedules[1:]):
            # A step before the boundary isn't negative for the later schedule: steps are
            # unsigned, and what it gives there isn't used.
            since = mx.maximum(step, boundary) - boundary
            value = mx.where(step < boundary, value, later(since))
        return value

    return schedule
