"""Hugging Face style folders: config.json and one or more safetensors files."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx

from mica.errors import UserError
from mica.llm import config as model_config
from mica.llm.weights import Checkpoint, Weights

DEFAULT_GROUP_SIZE = 64


def read(folder: Path) -> tuple[Checkpoint, dict]:
    config = read_json(folder / "config.json")
    checked = model_config.from_hf(config)
    group_size = read_quantization(config)
    weights = {
        name: array
        for file in weight_files(folder)
        for name, array in load_safetensors(file).items()
        if not name.endswith("rotary_emb.inv_freq")  # old checkpoints carry the periods along
    }
    return Checkpoint(checked, weights, group_size), config


def read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a JSON object")
    return content


def weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        shards = read_json(index).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise UserError(f"{index}: no weight_map")
        names = sorted({str(name) for name in shards.values()})
        if any(Path(name).name != name for name in names):
            raise UserError(f"{index}: a shard lies outside the folder")
        return [folder / name for name in names]
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise UserError(f"{folder}: no model.safetensors")
    return files


def load_safetensors(file: Path) -> Weights:
    if not file.exists():
        raise UserError(f"{file}: no such file")
    try:
        return mx.load(str(file), format="safetensors")
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{file}: {error}") from None


def read_quantization(config: dict):
    """How many weights share a scale, by layer name; an mlx-style folder says so in its config."""
    settings = config.get("quantization")
    if settings is None:
        other = config.get("quantization_config")
        if other is not None:
            method = other.get("quant_method") if isinstance(other, dict) else other
            raise UserError(f"config.json: quantization method {method!r} is not supported")
        return lambda layer: DEFAULT_GROUP_SIZE
    if not isinstance(settings, dict) or settings.get("mode", "affine") != "affine":
        raise UserError("config.json: only affine quantization is supported")

    def group_size(layer: str) -> int:
        own = settings.get(layer)
        chosen = settings | own if isinstance(own, dict) else settings
        size = chosen.get("group_size", DEFAULT_GROUP_SIZE)
        if size not in (32, 64, 128):
            raise UserError(f"config.json: quantization group_size is {size!r}")
        return size

    return group_size
