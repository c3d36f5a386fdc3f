"""Optimizers and schedules for their learning rates.

Example:
    >>> optimizer = optim.AdamW(learning_rate=1e-3)
    >>> loss_and_grad = nn.value_and_grad(model, loss)
    >>> for x, y in batches:
    ...     value, grads = loss_and_grad(x, y)
    ...     optimizer.update(model, grads)
    ...     mx.eval(model.state, optimizer.state)
"""

from mlx.optimizers.optimizers import (
    SGD,
    AdaDelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    MultiOptimizer,
    Muon,
    Optimizer,
    RMSprop,
    clip_grad_norm,
)
from mlx.optimizers.schedulers import (
    cosine_decay,
    exponential_decay,
    join_schedules,
    linear_schedule,
    step_decay,
)

__all__ = [
    "SGD",
    "AdaDelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "MultiOptimizer",
    "Muon",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm",
    "cosine_decay",
    "exponential_decay",
    "join_schedules",
    "linear_schedule",
    "step_decay",
]
