"""From named arrays to a model that is ready to run; the same steps for every file format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx
from mlx import nn

from mica.errors import UserError
from mica.llm.config import ModelConfig
from mica.llm.llama import LanguageModel

Weights = dict[str, mx.array]
# Called with (bytes ready, bytes in all) as the weights come in.
Progress = Callable[[int, int], None]

# Arrays evaluated together: small enough for a smooth bar, large enough to cost nothing.
LOAD_STEP_BYTES = 8 << 20


@dataclass
class Checkpoint:
    """A model as its file describes it, before a single weight has been read."""

    config: ModelConfig
    weights: Weights  # named as `LanguageModel` names them; lazy
    group_size: Callable[[str], int]  # of the quantised layer with that name


def build(
    checkpoint: Checkpoint, dtype: mx.Dtype | None, dequantize: bool, progress: Progress | None
) -> LanguageModel:
    """The model of a checkpoint, its weights in memory.

    `dtype` is the type of activations and of every weight that is not quantised; None takes the
    file's own for a dense model and float32 for a quantised one, whose scales say little about it.
    """
    # Taken out of the checkpoint: whoever kept the arrays as they came would hold a second copy.
    config, weights, checkpoint.weights = checkpoint.config, checkpoint.weights, {}
    if config.tie_embeddings:
        weights.pop("lm_head.weight", None)
    if config.num_layers > len(weights):
        raise UserError(f"{len(weights)} weights cannot fill {config.num_layers} layers")
    dtype = dtype or default_dtype(weights)
    if dequantize:
        weights = dequantized(weights, checkpoint.group_size, dtype)

    model = LanguageModel(config)
    quantize_layers(model, weights, checkpoint.group_size)
    weights = {name: _cast(name, array, dtype, weights) for name, array in weights.items()}
    check_names_and_shapes(model, weights)
    model.load_weights(list(weights.items()))
    model.eval()
    bring_in(list(weights.values()), progress)
    return model


def default_dtype(weights: Weights) -> mx.Dtype:
    if any(name.endswith(".scales") for name in weights):
        return mx.float32
    # The embedding, as norms are often kept wider than the rest.
    return weights.get("model.embed_tokens.weight", mx.zeros(0)).dtype


def dequantized(weights: Weights, group_size: Callable[[str], int], dtype: mx.Dtype) -> Weights:
    """The same weights with every quantised layer spelt out."""
    dense: Weights = {}
    for name, array in weights.items():
        layer, _, kind = name.rpartition(".")
        if f"{layer}.scales" not in weights or kind == "bias":
            dense[name] = array
        elif kind == "weight":
            scales, biases = weights[f"{layer}.scales"], weights[f"{layer}.biases"]
            size = group_size(layer)
            dense[name] = mx.dequantize(
                array,
                scales.astype(mx.float32),  # a narrow scale would round every product
                biases.astype(mx.float32),
                group_size=size,
                bits=packed_bits(layer, array, scales, size),
            ).astype(dtype)
    return dense


def quantize_layers(
    model: LanguageModel, weights: Weights, group_size: Callable[[str], int]
) -> None:
    """Turn the layers whose weights come packed into their quantised counterparts."""

    def packing(path: str, layer: nn.Module):
        scales = weights.get(f"{path}.scales")
        if scales is None or not hasattr(layer, "to_quantized"):
            return False
        packed, size = weights.get(f"{path}.weight"), group_size(path)
        if packed is None:
            raise UserError(f"{path} has scales but no weight")
        return {"group_size": size, "bits": packed_bits(path, packed, scales, size)}

    if any(name.endswith(".scales") for name in weights):
        try:
            nn.quantize(model, class_predicate=packing)
        except ValueError as error:  # a layer too narrow for its groups
            raise UserError(error) from None


def packed_bits(layer: str, packed: mx.array, scales: mx.array, group_size: int) -> int:
    """Bits per weight of a packed layer; the file formats leave it to the shapes."""
    bits, rest = divmod(packed.shape[-1] * 32, max(scales.shape[-1] * group_size, 1))
    if rest or packed.dtype != mx.uint32 or bits not in (2, 3, 4, 5, 6, 8):
        raise UserError(
            f"{layer}: packed weight {packed.shape} does not match scales {scales.shape} "
            f"with groups of {group_size}"
        )
    return bits


def _cast(name: str, array: mx.array, dtype: mx.Dtype, weights: Weights) -> mx.array:
    if array.dtype == mx.uint32 or not mx.issubdtype(array.dtype, mx.floating):
        return array
    kind = name.rpartition(".")[2]
    if kind in ("scales", "biases") and dtype == mx.float32:
        return array  # widening them would only cost memory
    return array.astype(dtype)


def check_names_and_shapes(model: LanguageModel, weights: Weights) -> None:
    from mlx.utils import tree_flatten

    expected = {name: array.shape for name, array in tree_flatten(model.parameters())}
    for what, names in (
        ("missing from the file", expected.keys() - weights.keys()),
        ("unknown to this architecture", weights.keys() - expected.keys()),
    ):
        if names:
            raise UserError(f"{len(names)} weights are {what}, one of them {min(names)}")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise UserError(f"{name} has shape {weights[name].shape}, the model needs {shape}")


def bring_in(arrays: list[mx.array], progress: Progress | None) -> None:
    """Evaluate the lazy arrays a few at a time, telling how far it got."""
    total, done, batch, batch_bytes = sum(a.nbytes for a in arrays), 0, [], 0
    for i, array in enumerate(arrays):
        batch.append(array)
        batch_bytes += array.nbytes
        if batch_bytes >= LOAD_STEP_BYTES or i == len(arrays) - 1:
            mx.eval(batch)
            done += batch_bytes
            if progress is not None:
                progress(done, total)
            batch, batch_bytes = [], 0
