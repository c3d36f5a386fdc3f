"""A module's parameters from and to files."""

import os
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten


def _read(file_or_weights: Any) -> Any:
    """What messages call it, and ``{path: array}``."""
    if not isinstance(file_or_weights, (str, os.PathLike)):
        return "weights", dict(file_or_weights)
    source = os.fspath(file_or_weights)
    weights = mx.load(source)
    if not isinstance(weights, dict):
        raise ValueError(  # noqa: TRY004
            f"[Module.load_weights] {source} holds one array, without a name"
        )
    return source, weights


def fitting_weights(module: Any, file_or_weights: Any, strict: Any) -> Any:
    """The ``(path, array)`` pairs that ``module`` has a place for.

    A ``ValueError`` lists all that is wrong at once; ``strict`` as in
    ``Module.load_weights``.
    """
    source, weights = _read(file_or_weights)
    have = tree_flatten(module.parameters(), destination={})
    problems = []
    if strict:
        extra = [name for name in weights if name not in have]
        missing = [name for name in have if name not in weights]
        if extra:
            problems.append(f"{len(extra)} not in the module: {', '.join(extra)}")
        if missing:
            problems.append(f"{len(missing)} missing: {', '.join(missing)}")
    for name, value in weights.items():
        if name not in have:
            continue
        if not isinstance(value, mx.array):
            problems.append(f"{name} is not an array but {type(value).__name__}")
        elif strict and value.shape != have[name].shape:
            problems.append(
                f"{name} has shape {value.shape}, the module expects {have[name].shape}"
            )
    if problems:
        listed = "\n  ".join(problems)
        raise ValueError(
            f"[Module.load_weights] {source}: no fit for {type(module).__name__}:\n  {listed}"
        )
    return [(name, value) for name, value in weights.items() if name in have]


def write_weights(module: Any, file: Any) -> None:
    """Write all parameters; the file's ending says how."""
    file = os.fspath(file)
    weights = tree_flatten(module.parameters(), destination={})
    if file.endswith(".npz"):
        mx.savez(file, **weights)
    elif file.endswith(".safetensors"):
        mx.save_safetensors(file, weights)
    else:
        raise ValueError(
            f"[Module.save_weights] {file} must end in .npz or .safetensors to say its format"
        )
