"""From named arrays to a model that is ready to run; the same steps for every file format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_flatten

from mica.errors import UserError
from mica.llm.config import ModelConfig
from mica.llm.llama import LanguageModel
from mica.llm.packing import Layer, join

Weights = dict[str, mx.array]
# Called with (bytes ready, bytes in all) as the weights come in.
Progress = Callable[[int, int], None]

# Arrays evaluated together: small enough for a smooth bar, large enough to cost nothing.
LOAD_STEP_BYTES = 8 << 20

# Projections of the same input: files keep them apart, the model computes them as one.
JOINED = {
    "self_attn.qkv_proj": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "mlp.gate_up_proj": ("mlp.gate_proj", "mlp.up_proj"),
}


@dataclass
class Checkpoint:
    """A model as its file describes it, before a single weight has been read."""

    config: ModelConfig
    weights: Weights  # under the names of published checkpoints; lazy
    group_size: Callable[[str], int]  # of the quantised layer with that name


def build(
    checkpoint: Checkpoint, dtype: mx.Dtype | None, dequantize: bool, progress: Progress | None
) -> LanguageModel:
    """The model of a checkpoint, its weights in memory.

    `dtype` is the type of activations and of every weight that is not quantised; None takes the
    file's own for a dense model and float32 for a quantised one, whose scales say little about it.
    """
    config = checkpoint.config
    layers = by_layer(checkpoint)
    dtype = dtype or default_dtype(layers)
    if config.tie_embeddings:
        layers.pop("lm_head", None)
    if config.num_layers > len(layers):
        raise UserError(f"{len(layers)} weights cannot fill {config.num_layers} layers")
    for name, layer in layers.items():
        layers[name] = (layer.unpacked(dtype) if dequantize else layer).cast(dtype)
    join_projections(layers, config.num_layers, dtype)

    model = LanguageModel(config)
    quantize_layers(model, layers)
    weights = {
        f"{name}.{kind}": array
        for name, layer in layers.items()
        for kind, array in layer.arrays.items()
    }
    layers.clear()  # what is loaded must not be held twice, here or there
    check_names_and_shapes(model, weights)
    model.load_weights(list(weights.items()))
    model.eval()
    bring_in(list(weights.values()), progress)
    return model


def by_layer(checkpoint: Checkpoint) -> dict[str, Layer]:
    """The checkpoint's arrays grouped by layer, taken out of it."""
    layers: dict[str, Layer] = {}
    while checkpoint.weights:
        full_name, array = checkpoint.weights.popitem()
        name, _, kind = full_name.rpartition(".")
        layers.setdefault(name, Layer(name, {})).arrays[kind] = array
    for layer in layers.values():
        if layer.is_packed:
            layer.group_size = checkpoint.group_size(layer.name)
    return layers


def default_dtype(layers: dict[str, Layer]) -> mx.Dtype:
    # The embedding's, as norms are often kept wider than the rest.
    embedding = layers.get("model.embed_tokens")
    quantised = any(layer.is_packed for layer in layers.values())
    return mx.float32 if quantised or embedding is None else embedding.get("weight").dtype


def join_projections(layers: dict[str, Layer], count: int, dtype: mx.Dtype) -> None:
    for i in range(count):
        for whole, parts in JOINED.items():
            name = f"model.layers.{i}.{whole}"
            names = [f"model.layers.{i}.{part}" for part in parts]
            missing = next((part for part in names if part not in layers), None)
            if missing is not None:
                raise UserError(f"{missing}.weight is missing from the file")
            layers[name] = join(name, [layers.pop(part) for part in names], dtype)


def quantize_layers(model: LanguageModel, layers: dict[str, Layer]) -> None:
    """Turn the layers whose weights come packed into their quantised counterparts."""

    def packing(name: str, module: nn.Module):
        layer = layers.get(name)
        if layer is None or not layer.is_packed or not hasattr(module, "to_quantized"):
            return False
        return {"group_size": layer.group_size, "bits": layer.bits}

    if any(layer.is_packed for layer in layers.values()):
        try:
            nn.quantize(model, class_predicate=packing)
        except ValueError as error:  # a layer too narrow for its groups
            raise UserError(error) from None


def check_names_and_shapes(model: LanguageModel, weights: Weights) -> None:
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
