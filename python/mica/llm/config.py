"""What a model file says about the shape of a Llama-like decoder.

One dataclass for every source: `from_hf` reads a `config.json`; GGUF metadata is read in `gguf.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mica.errors import UserError

# Families that differ only in what `ModelConfig` can say.
ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True)
class RopeScaling:
    """How rotary positions are stretched past the context the model was first trained on."""

    kind: str  # "linear", "llama3", "yarn" or "factors"
    factor: float = 1.0
    original_context: int = 8192
    low_freq_factor: float = 1.0  # llama3
    high_freq_factor: float = 4.0  # llama3
    beta_fast: float = 32.0  # yarn
    beta_slow: float = 1.0  # yarn
    attention_factor: float | None = None  # yarn
    factors: tuple[float, ...] = ()  # "factors": each wavelength's own multiplier

    def __post_init__(self):
        positive = (self.factor, self.original_context, self.beta_fast, self.beta_slow)
        if not all(0 < value < math.inf for value in (*positive, *self.factors)):
            raise UserError(f"model configuration: impossible rope scaling {self}")
        if not self.low_freq_factor < self.high_freq_factor:
            raise UserError("model configuration: rope scaling's frequency factors are reversed")


@dataclass(frozen=True)
class ModelConfig:
    architecture: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    norm_eps: float
    max_context: int
    rope_dims: int
    rope_theta: float = 10000.0
    rope_scaling: RopeScaling | None = None
    sliding_window: int | None = None
    tie_embeddings: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False

    def __post_init__(self):
        check_architecture(self.architecture)
        for name in (
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_layers",
            "num_heads",
            "num_kv_heads",
            "head_dim",
            "rope_dims",
            "max_context",
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or not 0 < value < 2**30:
                raise UserError(f"model configuration: {name} must be positive, not {value!r}")
        if self.num_heads * self.head_dim >= 2**29:
            raise UserError(f"model configuration: {self.num_heads} heads of {self.head_dim}")
        if self.num_heads % self.num_kv_heads:
            raise UserError(
                f"model configuration: {self.num_heads} attention heads cannot share "
                f"{self.num_kv_heads} key/value heads"
            )
        if self.rope_dims % 2 or self.rope_dims > self.head_dim:
            raise UserError(
                f"model configuration: {self.rope_dims} rotary dimensions do not fit "
                f"a head of {self.head_dim}"
            )
        if not 1 < self.rope_theta < math.inf:
            raise UserError(f"model configuration: rope_theta is {self.rope_theta}")
        if not 0 < self.norm_eps < 1:
            raise UserError(f"model configuration: the norms' epsilon is {self.norm_eps}")
        window = self.sliding_window
        if window is not None and not (isinstance(window, int) and window > 0):
            raise UserError(f"model configuration: sliding_window is {window!r}")


def check_architecture(name: object) -> None:
    if name not in ARCHITECTURES:
        raise UserError(f"unknown architecture {name!r}; known are {', '.join(ARCHITECTURES)}")


def from_hf(config: dict) -> ModelConfig:
    """The configuration in a Hugging Face `config.json`."""
    architecture = config.get("model_type")
    check_architecture(architecture)
    try:
        return _from_hf(architecture, config)
    except KeyError as error:
        raise UserError(f"config.json has no {error}") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"config.json: {error}") from None


def _from_hf(architecture: str, config: dict) -> ModelConfig:
    def optional(name: str, default):
        # config.json often spells "not set" as null.
        value = config.get(name)
        return default if value is None else value

    heads = int(config["num_attention_heads"])
    hidden = int(config["hidden_size"])
    head_dim = int(optional("head_dim", hidden // max(heads, 1)))
    # Newer files keep theta and scaling together under rope_parameters.
    rope = optional("rope_parameters", None) or optional("rope_scaling", {})
    if not isinstance(rope, dict):
        raise TypeError(f"rope scaling is {rope!r}")
    max_context = int(optional("max_position_embeddings", 4096))
    attention_bias = bool(optional("attention_bias", False))
    windowed = architecture == "mistral" or bool(config.get("use_sliding_window"))
    return ModelConfig(
        architecture=architecture,
        vocab_size=int(config["vocab_size"]),
        hidden_size=hidden,
        intermediate_size=int(config["intermediate_size"]),
        num_layers=int(config["num_hidden_layers"]),
        num_heads=heads,
        num_kv_heads=int(optional("num_key_value_heads", heads)),
        head_dim=head_dim,
        norm_eps=float(optional("rms_norm_eps", 1e-6)),
        max_context=max_context,
        rope_dims=int(head_dim * optional("partial_rotary_factor", 1.0)),
        rope_theta=float(rope.get("rope_theta") or optional("rope_theta", 10000.0)),
        rope_scaling=_rope_scaling(rope, max_context),
        sliding_window=config.get("sliding_window") if windowed else None,
        # What a missing field means differs by family.
        tie_embeddings=bool(optional("tie_word_embeddings", False)),
        qkv_bias=attention_bias or architecture == "qwen2",
        output_bias=attention_bias,
        mlp_bias=bool(optional("mlp_bias", False)),
        qk_norm=architecture == "qwen3",
    )


def _rope_scaling(rope: dict, max_context: int) -> RopeScaling | None:
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind in ("default", "none"):
        return None
    if kind not in ("linear", "llama3", "yarn"):
        raise UserError(f"unknown rope scaling {kind!r}; known are linear, llama3, yarn")
    factor = float(rope["factor"])
    known = {
        "low_freq_factor": float,
        "high_freq_factor": float,
        "beta_fast": float,
        "beta_slow": float,
        "attention_factor": float,
    }
    extra = {name: read(rope[name]) for name, read in known.items() if rope.get(name) is not None}
    original = int(rope.get("original_max_position_embeddings") or max_context)
    return RopeScaling(kind=kind, factor=factor, original_context=original, **extra)
