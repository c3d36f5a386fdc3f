"""Tiny random models in every file format the application reads, written without the framework.

The writers are deliberately small and separate from any reader of ours: a test that loads what
they wrote checks the reader against the format, not against itself.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

CONFIG = {
    "model_type": "llama",
    "vocab_size": 272,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    "eos_token_id": 2,
}

# Variations of CONFIG, each a model family or a way to stretch the context.
VARIANTS = {
    "llama": {},
    "llama_tied": {"tie_word_embeddings": True},
    "llama_biases": {"attention_bias": True, "mlp_bias": True},
    "llama_head_dim": {"head_dim": 32},
    "llama_linear": {"rope_scaling": {"type": "linear", "factor": 4.0}},
    "llama_llama3": {
        "rope_theta": 500.0,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
    "llama_yarn": {
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
    "qwen2": {"model_type": "qwen2"},
    "qwen3": {"model_type": "qwen3", "head_dim": 32},
}

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "hello")]


def config(variant: str = "llama", **changes) -> dict:
    return CONFIG | VARIANTS[variant] | changes


def weights(config: dict, seed: int = 0) -> dict[str, np.ndarray]:
    """Random float32 weights under the names of published checkpoints."""
    # RandomState promises the same stream in every NumPy release, which Generator does not.
    random = np.random.RandomState(seed)
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim", hidden // heads)
    family = config["model_type"]
    made: dict[str, np.ndarray] = {}

    def matrix(name: str, rows: int, columns: int, bias: bool = False):
        made[f"{name}.weight"] = random.standard_normal((rows, columns)) * 1.5 / columns**0.5
        if bias:
            made[f"{name}.bias"] = random.standard_normal(rows) * 0.3

    def norm(name: str, size: int):
        made[f"{name}.weight"] = 1 + 0.2 * random.standard_normal(size)

    matrix("model.embed_tokens", config["vocab_size"], hidden)
    all_biases = config.get("attention_bias", False)
    qkv_bias = all_biases or family == "qwen2"
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        matrix(f"{layer}.self_attn.q_proj", heads * head_dim, hidden, qkv_bias)
        matrix(f"{layer}.self_attn.k_proj", kv_heads * head_dim, hidden, qkv_bias)
        matrix(f"{layer}.self_attn.v_proj", kv_heads * head_dim, hidden, qkv_bias)
        matrix(f"{layer}.self_attn.o_proj", hidden, heads * head_dim, all_biases)
        if family == "qwen3":
            norm(f"{layer}.self_attn.q_norm", head_dim)
            norm(f"{layer}.self_attn.k_norm", head_dim)
        for name, rows, columns in (
            ("gate_proj", inner, hidden),
            ("up_proj", inner, hidden),
            ("down_proj", hidden, inner),
        ):
            matrix(f"{layer}.mlp.{name}", rows, columns, config.get("mlp_bias", False))
        norm(f"{layer}.input_layernorm", hidden)
        norm(f"{layer}.post_attention_layernorm", hidden)
    norm("model.norm", hidden)
    if not config["tie_word_embeddings"]:
        matrix("lm_head", config["vocab_size"], hidden)
    return {name: array.astype(np.float32) for name, array in made.items()}


# --- vocabulary ---------------------------------------------------------------------------------


def byte_characters() -> list[str]:
    """The 256 printable characters byte-level vocabularies write bytes as, in byte order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in printable else chr(next(others)) for b in range(256)]


def vocabulary() -> list[str]:
    tokens = SPECIALS + byte_characters() + ["".join(merge) for merge in MERGES]
    return tokens + [f"<unused{i}>" for i in range(CONFIG["vocab_size"] - len(tokens))]


# --- a Hugging Face style folder ----------------------------------------------------------------


def write_folder(
    folder: Path, config: dict, arrays: dict[str, np.ndarray], shards: int = 1
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    write_tokenizer(folder)
    if shards == 1:
        write_safetensors(folder / "model.safetensors", arrays)
        return folder
    weight_map = {}
    for i in range(shards):
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        part = {name: arrays[name] for name in sorted(arrays)[i::shards]}
        write_safetensors(folder / file, part)
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def write_tokenizer(folder: Path) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    vocab = {token: i for i, token in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIALS])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"chat_template": CHAT_TEMPLATE, "eos_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


SAFETENSORS_TYPES = {"float32": "F32", "float16": "F16", "uint32": "U32"}


def write_safetensors(file: Path, arrays: dict[str, np.ndarray]) -> None:
    header, offset = {}, 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": SAFETENSORS_TYPES[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    file.write_bytes(struct.pack("<Q", len(text)) + text + body)


# --- GGUF ---------------------------------------------------------------------------------------

GGUF_ALIGNMENT = 32
GGUF_VALUE_TYPES = {"u32": 4, "i32": 5, "f32": 6, "bool": 7, "str": 8, "array": 9}
GGUF_TENSOR_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 8}

GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    if stem.startswith("model.layers."):
        _, _, layer, stem = stem.split(".", 3)
        return f"blk.{layer}.{GGUF_NAMES[stem]}.{kind}"
    return f"{GGUF_NAMES[stem]}.{kind}"


def interleaved(rows: np.ndarray, heads: int) -> np.ndarray:
    """The order llama.cpp's converter gives query and key rows of Llama models."""
    halves = rows.reshape(heads, 2, -1, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def quantise(array: np.ndarray, kind: str) -> tuple[bytes, np.ndarray]:
    """The blocks of a GGUF tensor type, and the float32 values those blocks stand for."""
    if kind == "F32":
        return array.tobytes(), array
    if kind == "F16":
        return array.astype("<f2").tobytes(), array.astype(np.float16).astype(np.float32)
    blocks = array.reshape(-1, 32)
    low, high = blocks.min(1, keepdims=True), blocks.max(1, keepdims=True)
    if kind == "Q8_0":
        scale = (np.abs(blocks).max(1, keepdims=True) / 127).astype(np.float16)
        codes = np.rint(blocks / scale.astype(np.float32)).clip(-127, 127).astype(np.int8)
        values = codes * scale.astype(np.float32)
        parts = [scale.view(np.uint8), codes.view(np.uint8)]
    else:
        if kind == "Q4_1":
            scale, shift = ((high - low) / 15).astype(np.float16), low.astype(np.float16)
            start = shift.astype(np.float32)
        else:  # Q4_0: the codes stand for -8 ... 7 times the scale
            scale = (np.abs(blocks).max(1, keepdims=True) / 8).astype(np.float16)
            shift, start = None, -8 * scale.astype(np.float32)
        codes = np.rint((blocks - start) / scale.astype(np.float32)).clip(0, 15).astype(np.uint8)
        values = codes * scale.astype(np.float32) + start
        packed = codes[:, :16] | codes[:, 16:] << 4
        shifts = [] if shift is None else [shift.view(np.uint8)]
        parts = [scale.view(np.uint8), *shifts, packed]
    return np.concatenate(parts, axis=1).tobytes(), values.astype(np.float32).reshape(array.shape)


def write_gguf(
    file: Path,
    config: dict,
    arrays: dict[str, np.ndarray],
    kind: str = "F32",
    metadata: dict | None = None,
    extra_tensors: dict[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Write the model and return the weights its tensors really hold after quantisation."""
    heads = {
        "q_proj": config["num_attention_heads"],
        "k_proj": config["num_key_value_heads"],
    }
    held, tensors = {}, []
    for name, array in arrays.items():
        its_kind = kind if array.ndim == 2 else "F32"
        data, held[name] = quantise(array, its_kind)
        count = heads.get(name.split(".")[-2])
        if count and config["model_type"] == "llama":
            data, _ = quantise(interleaved(array, count), its_kind)
        tensors.append((gguf_name(name), array.shape, its_kind, data))
    for name, array in (extra_tensors or {}).items():
        tensors.append((name, array.shape, "F32", array.tobytes()))
    entries = gguf_metadata(config) | gguf_vocabulary() | (metadata or {})
    write_gguf_file(file, {k: v for k, v in entries.items() if v is not None}, tensors)
    return held


def gguf_metadata(config: dict) -> dict:
    family = config["model_type"]
    head_dim = config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])
    return {
        "general.architecture": ("str", family),
        f"{family}.block_count": ("u32", config["num_hidden_layers"]),
        f"{family}.context_length": ("u32", config["max_position_embeddings"]),
        f"{family}.embedding_length": ("u32", config["hidden_size"]),
        f"{family}.feed_forward_length": ("u32", config["intermediate_size"]),
        f"{family}.attention.head_count": ("u32", config["num_attention_heads"]),
        f"{family}.attention.head_count_kv": ("u32", config["num_key_value_heads"]),
        f"{family}.attention.key_length": ("u32", head_dim),
        f"{family}.attention.layer_norm_rms_epsilon": ("f32", config["rms_norm_eps"]),
        f"{family}.rope.freq_base": ("f32", config["rope_theta"]),
        f"{family}.rope.dimension_count": ("u32", head_dim),
    }


def gguf_vocabulary() -> dict:
    tokens = vocabulary()
    types = [3] * len(SPECIALS) + [1] * (len(tokens) - len(SPECIALS))
    return {
        "tokenizer.ggml.model": ("str", "gpt2"),
        "tokenizer.ggml.pre": ("str", "gpt-2"),
        "tokenizer.ggml.tokens": ("array", "str", tokens),
        "tokenizer.ggml.token_type": ("array", "i32", types),
        "tokenizer.ggml.merges": ("array", "str", [" ".join(merge) for merge in MERGES]),
        "tokenizer.ggml.eos_token_id": ("u32", 2),
        "tokenizer.chat_template": ("str", CHAT_TEMPLATE),
    }


def sentence_piece_vocabulary(pieces: list[str], add_space_prefix: bool = True) -> dict:
    """Scored pieces, best first, after the tokens such vocabularies begin with."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    scores = [0.0] * 259 + [-float(i) for i in range(len(pieces))]
    return {
        "tokenizer.ggml.model": ("str", "llama"),
        "tokenizer.ggml.tokens": ("array", "str", tokens),
        "tokenizer.ggml.scores": ("array", "f32", scores),
        "tokenizer.ggml.token_type": ("array", "i32", [2, 3, 3] + [6] * 256 + [1] * len(pieces)),
        "tokenizer.ggml.bos_token_id": ("u32", 1),
        "tokenizer.ggml.eos_token_id": ("u32", 2),
        "tokenizer.ggml.unknown_token_id": ("u32", 0),
        "tokenizer.ggml.add_space_prefix": ("bool", add_space_prefix),
    }


def write_gguf_file(file: Path, metadata: dict, tensors: list) -> None:
    def string(text: str) -> bytes:
        data = text.encode()
        return struct.pack("<Q", len(data)) + data

    def scalar(kind: str, value) -> bytes:
        if kind == "str":
            return string(value)
        return struct.pack({"u32": "<I", "i32": "<i", "f32": "<f", "bool": "<?"}[kind], value)

    out = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
    for key, (kind, *value) in metadata.items():
        out += string(key) + struct.pack("<I", GGUF_VALUE_TYPES[kind])
        if kind == "array":
            element, values = value
            out += struct.pack("<IQ", GGUF_VALUE_TYPES[element], len(values))
            out += b"".join(scalar(element, item) for item in values)
        else:
            out += scalar(kind, value[0])
    offset = 0
    for name, shape, kind, data in tensors:
        out += string(name) + struct.pack("<I", len(shape))
        out += struct.pack(f"<{len(shape)}Q", *reversed(shape))
        out += struct.pack("<IQ", GGUF_TENSOR_TYPES[kind], offset)
        offset += len(data) + -len(data) % GGUF_ALIGNMENT
    out += b"\0" * (-len(out) % GGUF_ALIGNMENT)
    for _, _, _, data in tensors:
        out += data + b"\0" * (-len(data) % GGUF_ALIGNMENT)
    file.write_bytes(out)
