"""The optimizers, one rule for one parameter each; :class:`Optimizer` walks the trees.

In the formulas ``w`` is the parameter, ``g`` its gradient, ``lr`` the learning rate.
"""

from mlx.optimizers.adafactor import Adafactor
from mlx.optimizers.adam import Adam, Adamax, AdamW
from mlx.optimizers.adaptive import AdaDelta, Adagrad, RMSprop
from mlx.optimizers.base import Optimizer, clip_grad_norm
from mlx.optimizers.descent import SGD, Lion
from mlx.optimizers.multi import MultiOptimizer
from mlx.optimizers.muon import Muon

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
]
