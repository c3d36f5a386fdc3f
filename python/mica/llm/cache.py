"""The keys and values of the tokens seen so far, one cache per layer."""

from __future__ import annotations

import mlx.core as mx

# Positions added when a cache is full. A growth copies the cache, so a step is a trade between
# copies (one every STEP tokens) and memory held for tokens that may never come.
STEP = 256


def visible(keys: mx.array, values: mx.array, length: int, window: int | None):
    """The keys and values the last `length` positions may look at, and the mask among them."""
    if window is not None:
        # The oldest query still reaches back over window - 1 earlier positions.
        start = max(keys.shape[2] - (length + window - 1), 0)
        keys, values = keys[:, :, start:], values[:, :, start:]
        if length > 1 and keys.shape[2] > window:
            total = keys.shape[2]
            query = mx.arange(total - length, total)[:, None]
            key = mx.arange(total)[None]
            return keys, values, (key <= query) & (key > query - window)
    return keys, values, "causal" if length > 1 else None


class KVCache:
    """Buffers of shape (batch, kv_heads, capacity, head_dim), filled up to `offset`.

    New entries are written by slice assignment: the old array dies with the assignment, so the
    framework reuses its buffer and only the new positions are touched.
    """

    def __init__(self):
        self.keys: mx.array | None = None
        self.values: mx.array | None = None
        self.offset = 0

    def update(self, keys: mx.array, values: mx.array, window: int | None = None):
        """Append the new positions; what they may look at, as `visible` gives it."""
        start, end = self.offset, self.offset + keys.shape[2]
        if self.keys is None or end > self.keys.shape[2]:
            self.keys = self._grown(self.keys, keys, end)
            self.values = self._grown(self.values, values, end)
        self.keys[:, :, start:end] = keys
        self.values[:, :, start:end] = values
        self.offset = end
        return visible(self.keys[:, :, :end], self.values[:, :, :end], keys.shape[2], window)

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


class TokenCache:
    """The same for one more token, all in arrays: the whole buffers go in and out of a compiled
    function, and a mask hides what lies behind `offset`, an int32 array of shape (1,)."""

    def __init__(self, keys: mx.array, values: mx.array, offset: mx.array):
        self.keys = keys
        self.values = values
        self.offset = offset

    def update(self, keys: mx.array, values: mx.array, window: int | None = None):
        self.keys = mx.slice_update(self.keys, keys, self.offset, axes=(2,))
        self.values = mx.slice_update(self.values, values, self.offset, axes=(2,))
        position = mx.arange(self.keys.shape[2])
        mask = position <= self.offset
        if window is not None:
            mask = mask & (position > self.offset - window)
        return self.keys, self.values, mask[None, None, None]
