"""The keys and values of the tokens seen so far, one `KVCache` per layer."""

from __future__ import annotations

import mlx.core as mx

# Positions added when a cache is full. A growth copies the cache, so a step is a trade between
# copies (one every STEP tokens) and memory held for tokens that may never come.
STEP = 256


class KVCache:
    """Buffers of shape (batch, kv_heads, capacity, head_dim), filled up to `offset`.

    New entries are written by slice assignment: the old array dies with the assignment, so the
    framework reuses its buffer and only the new positions are touched.
    """

    def __init__(self):
        self.keys: mx.array | None = None
        self.values: mx.array | None = None
        self.offset = 0

    def update(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """Append the new positions and return everything up to and including them."""
        start, end = self.offset, self.offset + keys.shape[2]
        if self.keys is None or end > self.keys.shape[2]:
            self.keys = self._grown(self.keys, keys, end)
            self.values = self._grown(self.values, values, end)
        self.keys[:, :, start:end] = keys
        self.values[:, :, start:end] = values
        self.offset = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def _grown(self, old: mx.array | None, new: mx.array, needed: int) -> mx.array:
        batch, heads, _, dims = new.shape
        capacity = -(-needed // STEP) * STEP
        if old is None:
            return mx.zeros((batch, heads, capacity, dims), dtype=new.dtype)
        room = mx.zeros((batch, heads, capacity - self.offset, dims), dtype=old.dtype)
        return mx.concatenate([old[:, :, : self.offset], room], axis=2)

    @property
    def state(self) -> list[mx.array]:
        """The arrays to evaluate when only the cache matters, not the logits."""
        return [] if self.keys is None else [self.keys, self.values]
