"""A Llama-like decoder: Llama, Mistral, Qwen2 and Qwen3 are the same walk through these classes.

Attribute names are those of the published checkpoints (`model.layers.0.self_attn.o_proj.weight`),
except that projections of the same input are one matrix here (`qkv_proj`, `gate_up_proj`): fewer
and larger products, which is what counts when a single token goes through. `weights.py` joins
them. Shapes in comments: B batch, L new tokens, D hidden size.
"""

from __future__ import annotations

import mlx.core as mx
from mlx import nn

from mica.llm.cache import KVCache, TokenCache, visible
from mica.llm.config import ModelConfig
from mica.llm.rope import RotaryEmbedding

Cache = KVCache | TokenCache


class Attention(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.num_heads = config.num_heads
        self.num_kv_heads = config.num_kv_heads
        self.head_dim = config.head_dim
        self.scale = config.head_dim**-0.5
        self.window = config.sliding_window

        query_size = config.num_heads * config.head_dim
        all_heads = config.num_heads + 2 * config.num_kv_heads
        self.qkv_proj = nn.Linear(
            config.hidden_size, all_heads * config.head_dim, bias=config.qkv_bias
        )
        self.o_proj = nn.Linear(query_size, config.hidden_size, bias=config.output_bias)
        self.rope = RotaryEmbedding(config)
        self.qk_norm = config.qk_norm
        if config.qk_norm:
            self.q_norm = nn.RMSNorm(config.head_dim, eps=config.norm_eps)
            self.k_norm = nn.RMSNorm(config.head_dim, eps=config.norm_eps)

    def __call__(self, x: mx.array, cache: Cache | None) -> mx.array:
        batch, length, _ = x.shape
        # (B, L, all heads * head_dim) -> (B, all heads, L, head_dim): queries, keys, values
        heads = self.qkv_proj(x).reshape(batch, length, -1, self.head_dim).transpose(0, 2, 1, 3)
        first_key, first_value = self.num_heads, self.num_heads + self.num_kv_heads
        turning, values = heads[:, :first_value], heads[:, first_value:]
        if self.qk_norm:
            queries, keys = turning[:, :first_key], turning[:, first_key:]
            turning = mx.concatenate([self.q_norm(queries), self.k_norm(keys)], axis=1)
        turned = self.rope(turning, 0 if cache is None else cache.offset)
        queries, keys = turned[:, :first_key], turned[:, first_key:]

        if cache is None:
            keys, values, mask = visible(keys, values, length, self.window)
        else:
            keys, values, mask = cache.update(keys, values, self.window)
        out = mx.fast.scaled_dot_product_attention(
            queries, keys, values, scale=self.scale, mask=mask
        )
        return self.o_proj(out.transpose(0, 2, 1, 3).reshape(batch, length, -1))


class FeedForward(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        hidden, inner, bias = config.hidden_size, config.intermediate_size, config.mlp_bias
        self.inner = inner
        self.gate_up_proj = nn.Linear(hidden, 2 * inner, bias=bias)
        self.down_proj = nn.Linear(inner, hidden, bias=bias)

    def __call__(self, x: mx.array) -> mx.array:
        both = self.gate_up_proj(x)
        gate, up = both[..., : self.inner], both[..., self.inner :]
        return self.down_proj(nn.silu(gate) * up)


class Block(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = FeedForward(config)
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.norm_eps)

    def __call__(self, x: mx.array, cache: Cache | None) -> mx.array:
        x = x + self.self_attn(self.input_layernorm(x), cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Tokens to hidden states."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = [Block(config) for _ in range(config.num_layers)]
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.norm_eps)

    def __call__(self, tokens: mx.array, caches: list[Cache | None]) -> mx.array:
        x = self.embed_tokens(tokens)
        # A quantised embedding comes out in its scales' type; the norms know the model's.
        x = x.astype(self.norm.weight.dtype)
        for layer, cache in zip(self.layers, caches, strict=True):
            x = layer(x, cache)
        return self.norm(x)


class LanguageModel(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        if not config.tie_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def __call__(self, tokens: mx.array, caches: list[Cache] | None = None) -> mx.array:
        """Logits of every position: (B, L) -> (B, L, vocab)."""
        return self.logits(self.hidden(tokens, caches))

    def hidden(self, tokens: mx.array, caches: list[Cache] | None = None) -> mx.array:
        """The final hidden states: (B, L) -> (B, L, D)."""
        return self.model(tokens, caches or [None] * len(self.model.layers))

    def logits(self, hidden: mx.array) -> mx.array:
        """(B, L, D) -> (B, L, vocab). Costs as much as many layers: pass only what you need."""
        if self.config.tie_embeddings:
            return self.model.embed_tokens.as_linear(hidden)
        return self.lm_head(hidden)

    def new_caches(self) -> list[KVCache]:
        return [KVCache() for _ in self.model.layers]
