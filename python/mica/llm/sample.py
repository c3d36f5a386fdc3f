"""Choosing the next token from logits. Everything stays lazy, so choosing never waits."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx

# (batch, vocab) logits -> (batch,) token ids
Sampler = Callable[[mx.array], mx.array]


def make_sampler(temperature: float = 0.0, top_p: float = 1.0, min_p: float = 0.0) -> Sampler:
    """Greedy at temperature 0; else a draw among the tokens that top-p and min-p leave."""
    if not temperature >= 0:
        raise ValueError(f"temperature must not be negative, got {temperature}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, got {top_p}")
    if not 0 <= min_p <= 1:
        raise ValueError(f"min_p must be between 0 and 1, got {min_p}")
    if temperature == 0:
        return greedy

    def sample(logits: mx.array) -> mx.array:
        logits = logits.astype(mx.float32) * (1 / temperature)
        if top_p < 1:
            logits = keep_top_p(logits, top_p)
        if min_p > 0:
            logits = keep_min_p(logits, min_p)
        return mx.random.categorical(logits)

    return sample


def greedy(logits: mx.array) -> mx.array:
    return mx.argmax(logits, axis=-1)


def keep_top_p(logits: mx.array, top_p: float) -> mx.array:
    """Drop all but the fewest tokens, likeliest first, whose probabilities reach `top_p`."""
    order = mx.argsort(-logits, axis=-1)
    probabilities = mx.softmax(mx.take_along_axis(logits, order, axis=-1), axis=-1)
    likelier = mx.cumsum(probabilities, axis=-1, inclusive=False)  # the mass before each token
    drop = mx.put_along_axis(mx.zeros(logits.shape, mx.bool_), order, likelier >= top_p, axis=-1)
    return mx.where(drop, -mx.inf, logits)


def keep_min_p(logits: mx.array, min_p: float) -> mx.array:
    """Drop the tokens less likely than `min_p` times the likeliest."""
    log_ratio = logits - mx.max(logits, axis=-1, keepdims=True)
    return mx.where(log_ratio < mx.log(mx.array(min_p)), -mx.inf, logits)
