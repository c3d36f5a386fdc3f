"""Rotary position embedding, with the ways models stretch it to longer contexts.

A pair of dimensions i turns once every 2*pi*period[i] positions, period[i] = theta^(2i/dims).
Every scaling is a rule that lengthens some of the periods, so a model holds one vector of periods
and the kernel never hears of the rules.
"""

from __future__ import annotations

import math

import mlx.core as mx
from mlx import nn

from mica.errors import UserError
from mica.llm.config import ModelConfig, RopeScaling


def periods(config: ModelConfig) -> list[float]:
    """The period of each pair of dimensions, in positions per radian."""
    dims, scaling = config.rope_dims, config.rope_scaling
    plain = [config.rope_theta ** (2 * i / dims) for i in range(dims // 2)]
    if scaling is None:
        return plain
    if scaling.kind == "linear":
        return [scaling.factor * period for period in plain]
    if scaling.kind == "llama3":
        return [_llama3(period, scaling) for period in plain]
    if scaling.kind == "yarn":
        return _yarn(plain, config.rope_theta, scaling)
    if len(scaling.factors) != len(plain):
        raise UserError(f"{len(scaling.factors)} rope factors for {len(plain)} rotary pairs")
    return [factor * period for factor, period in zip(scaling.factors, plain, strict=True)]


def _llama3(period: float, scaling: RopeScaling) -> float:
    """Short waves stay, long waves stretch by the factor, those between blend smoothly."""
    turns = scaling.original_context / (2 * math.pi * period)
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    keep = min(max((turns - low) / (high - low), 0.0), 1.0)
    return period / (keep + (1 - keep) / scaling.factor)


def _yarn(plain: list[float], theta: float, scaling: RopeScaling) -> list[float]:
    """Like llama3, but the blend is linear in the pair's index between two given turn counts."""

    def index_of(turns: float) -> float:
        position = math.log(scaling.original_context / (turns * 2 * math.pi))
        return len(plain) * position / math.log(theta)

    first = max(math.floor(index_of(scaling.beta_fast)), 0)
    last = min(math.ceil(index_of(scaling.beta_slow)), 2 * len(plain) - 1)
    width = max(last - first, 0.001)
    stretched = []
    for i, period in enumerate(plain):
        keep = 1 - min(max((i - first) / width, 0.0), 1.0)
        stretched.append(period / (keep + (1 - keep) / scaling.factor))
    return stretched


class RotaryEmbedding(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.dims = config.rope_dims
        self.theta = config.rope_theta
        # An underscore keeps the vector out of the module's parameters: it is not a weight.
        self._periods = None if config.rope_scaling is None else mx.array(periods(config))
        self.gain = 1.0
        if config.rope_scaling is not None and config.rope_scaling.kind == "yarn":
            # YaRN sharpens attention as the context grows.
            default = 0.1 * math.log(max(config.rope_scaling.factor, 1.0)) + 1.0
            self.gain = config.rope_scaling.attention_factor or default

    def __call__(self, x: mx.array, offset: int = 0) -> mx.array:
        if self.gain != 1.0:
            # Only the turned dimensions, as the gain stands for a factor on cosine and sine.
            x = mx.concatenate([x[..., : self.dims] * self.gain, x[..., self.dims :]], axis=-1)
        return mx.fast.rope(
            x,
            self.dims,
            traditional=False,
            base=self.theta if self._periods is None else None,
            scale=1.0,
            offset=offset,
            freqs=self._periods,
        )
