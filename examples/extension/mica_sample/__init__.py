"""a x + b y, in one pass, with its derivatives."""

import mlx.core as mx  # noqa: F401  its types come first

from ._ext import axpby

__all__ = ["axpby"]
