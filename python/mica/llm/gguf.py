"""GGUF files: llama.cpp's container, holding metadata, vocabulary and weights in one file.

`mx.load` reads the container; here its metadata becomes a `ModelConfig` and its tensor names the
names of the checkpoints the file was made from.
"""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx

from mica.errors import UserError
from mica.llm.config import ModelConfig, RopeScaling, check_architecture
from mica.llm.weights import Checkpoint, Weights

# mx.load gives Q4_0, Q4_1 and Q8_0 blocks as packed weights with one scale and bias per 32.
GROUP_SIZE = 32

# GGUF name -> ours; layer names follow after "blk.<n>." and "model.layers.<n>.".
TOP_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
LAYER_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


class Metadata:
    """GGUF metadata as plain Python values of the asked type, with errors that name the key."""

    def __init__(self, entries: dict):
        self.entries = entries

    def get(self, key: str, kind: type, default=None, items: type | None = None):
        """The value of `key`, for a list with `items` of one type; `default` if it is missing."""
        value = self.entries.get(key)
        if isinstance(value, mx.array):
            value = value.item() if value.ndim == 0 else value.tolist()
        if value is None:
            return default
        if kind is float and isinstance(value, int):
            value = float(value)
        if not isinstance(value, kind):
            raise UserError(f"the GGUF metadata gives {key} as {type(value).__name__}")
        if items is not None and not all(isinstance(item, items) for item in value):
            raise UserError(f"the GGUF metadata gives {key} with items that are not {items}")
        return value

    def need(self, key: str, kind: type, items: type | None = None):
        value = self.get(key, kind, items=items)
        if value is None:
            raise UserError(f"the GGUF metadata has no {key}")
        return value

    def tokens(self) -> list[str]:
        return self.need("tokenizer.ggml.tokens", list, items=str)

    def token_id(self, name: str) -> int | None:
        """The id of a token with a role ("bos", "eos", ...), if there is one."""
        token_id = self.get(f"tokenizer.ggml.{name}_token_id", int)
        known = token_id is not None and 0 <= token_id < len(self.tokens())
        return token_id if known else None


def is_gguf(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"GGUF"


def read(path: Path) -> tuple[Checkpoint, Metadata]:
    try:
        tensors, entries = mx.load(str(path), format="gguf", return_metadata=True)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{path}: {error}") from None
    metadata = Metadata(entries)
    config = read_config(metadata, tensors)
    weights = rename(tensors)
    if config.architecture == "llama":
        restore_rotary_order(weights, config)
    return Checkpoint(config, weights, lambda layer: GROUP_SIZE), metadata


def read_config(metadata: Metadata, tensors: Weights) -> ModelConfig:
    architecture = metadata.need("general.architecture", str)
    check_architecture(architecture)

    def number(key: str, kind: type = int, default=None):
        if default is None:
            return metadata.need(f"{architecture}.{key}", kind)
        return metadata.get(f"{architecture}.{key}", kind, default)

    heads, hidden = number("attention.head_count"), number("embedding_length")
    head_dim = number("attention.key_length", default=hidden // max(heads, 1))
    if "token_embd.weight" not in tensors:
        raise UserError("the GGUF file has no tensor token_embd.weight")
    return ModelConfig(
        architecture=architecture,
        vocab_size=tensors["token_embd.weight"].shape[0],
        hidden_size=hidden,
        intermediate_size=number("feed_forward_length"),
        num_layers=number("block_count"),
        num_heads=heads,
        num_kv_heads=number("attention.head_count_kv", default=heads),
        head_dim=head_dim,
        norm_eps=number("attention.layer_norm_rms_epsilon", float),
        max_context=number("context_length"),
        rope_dims=number("rope.dimension_count", default=head_dim),
        rope_theta=number("rope.freq_base", float, default=10000.0),
        rope_scaling=read_rope_scaling(metadata, architecture, tensors),
        sliding_window=metadata.get(f"{architecture}.attention.sliding_window", int) or None,
        tie_embeddings="output.weight" not in tensors,
        qkv_bias="blk.0.attn_q.bias" in tensors,
        output_bias="blk.0.attn_output.bias" in tensors,
        mlp_bias="blk.0.ffn_gate.bias" in tensors,
        qk_norm="blk.0.attn_q_norm.weight" in tensors,
    )


def read_rope_scaling(metadata: Metadata, architecture: str, tensors: Weights):
    factors = tensors.get("rope_freqs.weight")
    if factors is not None:  # llama3's rule, worked out by whoever wrote the file
        return RopeScaling(kind="factors", factors=tuple(factors.tolist()))
    prefix = f"{architecture}.rope.scaling"
    kind = metadata.get(f"{prefix}.type", str, "none")
    if kind == "none":
        return None
    if kind not in ("linear", "yarn"):
        raise UserError(f"unknown rope scaling {kind!r}; known are linear, yarn")
    factor = metadata.need(f"{prefix}.factor", float)
    original = metadata.get(f"{prefix}.original_context_length", int)
    original = original or metadata.need(f"{architecture}.context_length", int)
    return RopeScaling(kind=kind, factor=factor, original_context=original)


def rename(tensors: Weights) -> Weights:
    """Checkpoint names for GGUF names; the last part (weight, scales, biases, bias) stays."""
    weights: Weights = {}
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        if stem == "rope_freqs":
            continue
        if stem.startswith("blk."):
            _, layer, stem = stem.split(".", 2)
            ours = LAYER_NAMES.get(stem)
            prefix = f"model.layers.{layer}."
        else:
            ours, prefix = TOP_NAMES.get(stem), ""
        if ours is None:
            raise UserError(f"the GGUF tensor {name} is unknown to this architecture")
        weights[f"{prefix}{ours}.{kind}"] = tensor
    return weights


def restore_rotary_order(weights: Weights, config: ModelConfig) -> None:
    """Undo the row order llama.cpp gives the query and key projections of Llama models.

    It rotates neighbouring rows of a head (0 with 1, 2 with 3, ...) and its converter interleaves
    the rows to suit; the checkpoints, and this package, rotate row i with row i + head_dim / 2.
    Rows are outputs, so packed rows, their scales and plain biases all move alike.
    """
    for name in list(weights):
        layer = name.rpartition(".")[0]
        if layer.endswith(("self_attn.q_proj", "self_attn.k_proj")):
            rows = weights[name]
            if rows.shape[0] % config.head_dim:
                raise UserError(f"{name} has {rows.shape[0]} rows for heads of {config.head_dim}")
            paired = rows.reshape(-1, config.head_dim // 2, 2, *rows.shape[1:])
            weights[name] = paired.swapaxes(1, 2).reshape(rows.shape)
