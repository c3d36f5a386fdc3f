"""Folders and GGUF files of tiny random models: names, types, shapes, and what may be wrong."""

import json

import mlx.core as mx
import numpy as np
import pytest
import tiny
from apps_support import read_npz
from mica import llm
from mica.errors import UserError
from mica.llm.config import from_hf
from mlx.utils import tree_flatten

LOGITS = read_npz("tiny_logits.npz")
IDS = [(7 * i * i + 3 * i) % tiny.CONFIG["vocab_size"] for i in range(96)]


def logits_of(path, **options) -> np.ndarray:
    model, _ = llm.load(path, **options)
    return np.array(model(mx.array([IDS]))[0])


@pytest.mark.parametrize("variant", tiny.VARIANTS)
def test_folder_equals_the_reference(variant, tmp_path):
    config = tiny.config(variant)
    folder = tiny.write_folder(tmp_path, config, tiny.weights(config))
    np.testing.assert_allclose(logits_of(folder)[:, ::8], LOGITS[variant], rtol=0, atol=1e-4)


@pytest.mark.parametrize("variant", ["llama", "llama_tied", "llama_biases", "qwen2", "qwen3"])
def test_gguf_equals_folder(variant, tmp_path):
    config = tiny.config(variant)
    arrays = tiny.weights(config)
    folder = tiny.write_folder(tmp_path / "folder", config, arrays)
    tiny.write_gguf(tmp_path / "model.gguf", config, arrays)
    np.testing.assert_allclose(
        logits_of(tmp_path / "model.gguf"), logits_of(folder), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("kind", ["F16", "Q4_0", "Q4_1", "Q8_0"])
@pytest.mark.parametrize("dequantize", [False, True])
def test_gguf_types_hold_their_values(kind, dequantize, tmp_path):
    config = tiny.config()
    held = tiny.write_gguf(tmp_path / "model.gguf", config, tiny.weights(config), kind=kind)
    folder = tiny.write_folder(tmp_path / "folder", config, held)
    found = logits_of(tmp_path / "model.gguf", dtype=mx.float32, dequantize=dequantize)
    # Packed embeddings come out rounded to their scales' float16, which so small a model amplifies.
    tolerance = 1e-4 if dequantize or kind == "F16" else 0.1
    np.testing.assert_allclose(found, logits_of(folder), rtol=0, atol=tolerance)


def test_packed_gguf_weights_stay_packed(tiny_gguf):
    model, _ = llm.load(tiny_gguf)
    found = dict(tree_flatten(model.parameters()))
    assert found["model.layers.1.self_attn.qkv_proj.weight"].dtype == mx.uint32
    assert found["model.layers.1.self_attn.qkv_proj.weight"].shape == (128, 16)
    assert found["model.layers.1.input_layernorm.weight"].dtype == mx.float32


def test_llama3_factors_in_a_gguf(tmp_path):
    """llama.cpp's converter writes the rule's outcome as a tensor, one factor a pair."""
    config = tiny.config("llama_llama3")
    scaling = config["rope_scaling"]
    period = config["rope_theta"] ** (np.arange(0, 16, 2) / 16)
    wavelength = 2 * np.pi * period
    smooth = (scaling["original_max_position_embeddings"] / wavelength - 1) / (4 - 1)
    factors = 1 / (np.clip(smooth, 0, 1) + (1 - np.clip(smooth, 0, 1)) / scaling["factor"])
    arrays = tiny.weights(config)
    tiny.write_gguf(
        tmp_path / "model.gguf",
        config,
        arrays,
        extra_tensors={"rope_freqs.weight": factors.astype(np.float32)},
    )
    folder = tiny.write_folder(tmp_path / "folder", config, arrays)
    np.testing.assert_allclose(
        logits_of(tmp_path / "model.gguf"), logits_of(folder), rtol=0, atol=1e-4
    )


def test_linear_scaling_in_a_gguf(tmp_path):
    config = tiny.config("llama_linear")
    arrays = tiny.weights(config)
    metadata = {
        "llama.rope.scaling.type": ("str", "linear"),
        "llama.rope.scaling.factor": ("f32", 4.0),
    }
    tiny.write_gguf(tmp_path / "model.gguf", config, arrays, metadata=metadata)
    folder = tiny.write_folder(tmp_path / "folder", config, arrays)
    np.testing.assert_allclose(
        logits_of(tmp_path / "model.gguf"), logits_of(folder), rtol=0, atol=1e-4
    )


def test_shards_equal_one_file(tmp_path, tiny_folder):
    config = tiny.config()
    shards = tiny.write_folder(tmp_path, config, tiny.weights(config), shards=3)
    np.testing.assert_array_equal(logits_of(shards), logits_of(tiny_folder))


def test_quantised_folder(tmp_path, tiny_folder):
    """The layout `mlx_lm.convert -q` writes: packed layers, and their group size in the config."""
    config = tiny.config()
    arrays = {}
    for name, array in tiny.weights(config).items():
        if array.ndim < 2:
            arrays[name] = array
            continue
        layer = name.removesuffix(".weight")
        parts = mx.quantize(mx.array(array), group_size=32, bits=8)
        for kind, part in zip(("weight", "scales", "biases"), parts, strict=True):
            arrays[f"{layer}.{kind}"] = np.array(part)
    config["quantization"] = {"group_size": 32, "bits": 8}
    folder = tiny.write_folder(tmp_path, config, arrays)
    assert np.abs(logits_of(folder) - logits_of(tiny_folder)).mean() < 0.05


def test_dtype_is_the_weights_own_unless_asked(tmp_path):
    config = tiny.config()
    halves = {name: array.astype(np.float16) for name, array in tiny.weights(config).items()}
    folder = tiny.write_folder(tmp_path, config, halves)
    for dtype, expected in ((None, mx.float16), (mx.float32, mx.float32)):
        model, _ = llm.load(folder, dtype=dtype)
        assert model(mx.array([IDS])).dtype == expected


def test_sliding_window_hides_old_tokens(tmp_path):
    config = tiny.config(model_type="mistral", sliding_window=8, num_hidden_layers=1)
    folder = tiny.write_folder(tmp_path, config, tiny.weights(config))
    model, _ = llm.load(folder)
    changed = [(token + 1) % 200 for token in IDS[:10]] + IDS[10:]
    a, b = (np.array(model(mx.array([ids]))[0]) for ids in (IDS, changed))
    # With one layer, position 17 sees positions 10 ... 17 and nothing earlier.
    assert np.abs(a[:17] - b[:17]).max(axis=1).min() > 1e-3
    np.testing.assert_allclose(a[17:], b[17:], rtol=0, atol=1e-5)


def test_progress_reaches_the_total(tiny_folder):
    heard = []
    llm.load(tiny_folder, progress=lambda done, total: heard.append((done, total)))
    assert heard[-1][0] == heard[-1][1] > 0
    assert heard == sorted(heard)


@pytest.mark.parametrize("fraction", [0.0, 1e-4, 0.3, 0.9, 0.999])
def test_truncated_gguf(fraction, tmp_path, tiny_gguf):
    whole = tiny_gguf.read_bytes()
    file = tmp_path / "short.gguf"
    file.write_bytes(whole[: int(len(whole) * fraction)])
    with pytest.raises(UserError, match=r"short\.gguf"):
        llm.load(file)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"general.architecture": ("str", "mamba")}, "unknown architecture 'mamba'"),
        ({"general.architecture": None}, "no general.architecture"),
        ({"llama.block_count": None}, "no llama.block_count"),
        ({"llama.block_count": ("str", "two")}, "gives llama.block_count as str"),
        ({"llama.block_count": ("u32", 3)}, "is missing"),
        ({"llama.block_count": ("u32", 1)}, "weights are unknown"),
        ({"llama.block_count": ("u32", 1 << 31)}, "must be positive"),
        ({"llama.block_count": ("u32", 1 << 29)}, "cannot fill"),
        ({"llama.embedding_length": ("u32", 128)}, "has shape"),
        ({"llama.attention.head_count": ("u32", 0)}, "must be positive"),
        ({"llama.attention.head_count_kv": ("u32", 3)}, "cannot share"),
        ({"llama.rope.dimension_count": ("u32", 7)}, "do not fit"),
        ({"llama.rope.scaling.type": ("str", "spiral")}, "unknown rope scaling 'spiral'"),
        ({"tokenizer.ggml.model": ("str", "bert")}, "unknown tokenizer model"),
    ],
)
def test_gguf_that_makes_no_sense(metadata, message, tmp_path):
    config = tiny.config()
    tiny.write_gguf(tmp_path / "model.gguf", config, tiny.weights(config), metadata=metadata)
    with pytest.raises(UserError, match=message) as error:
        llm.load(tmp_path / "model.gguf")
    assert "\n" not in str(error.value)


def edit_config(folder, **changes):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "no such file"),
        (lambda f: (f / "config.json").write_text("{"), r"config\.json"),
        (lambda f: (f / "config.json").write_text("[]"), "not a JSON object"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), r"tokenizer\.json"),
        (lambda f: (f / "model.safetensors").unlink(), "no model.safetensors"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\xff" * 100), r"model\.safetensors"),
        (lambda f: edit_config(f, model_type="mamba"), "unknown architecture 'mamba'"),
        (lambda f: edit_config(f, model_type=None), "unknown architecture None"),
        (lambda f: edit_config(f, hidden_size=None), "no 'hidden_size'"),
        (lambda f: edit_config(f, hidden_size="wide"), "invalid literal"),
        (lambda f: edit_config(f, rope_scaling={"type": "spiral"}), "unknown rope scaling"),
        (lambda f: edit_config(f, rope_scaling={"type": "linear"}), "no 'factor'"),
        (lambda f: edit_config(f, rope_scaling={"type": "yarn", "factor": -1}), "impossible rope"),
        (lambda f: edit_config(f, rope_scaling="long"), "rope scaling is 'long'"),
        (lambda f: edit_config(f, hidden_size=float("inf")), "infinity"),
        (lambda f: edit_config(f, hidden_size=1 << 40), "must be positive"),
        (lambda f: edit_config(f, rms_norm_eps=0), "epsilon"),
        (lambda f: edit_config(f, sliding_window="x", model_type="mistral"), "sliding_window"),
        (lambda f: edit_config(f, quantization_config={"quant_method": "gptq"}), "'gptq'"),
        (lambda f: edit_config(f, intermediate_size=97), "has shape"),
    ],
)
def test_folder_that_makes_no_sense(change, message, tmp_path):
    config = tiny.config()
    folder = tiny.write_folder(tmp_path / "model", config, tiny.weights(config))
    change(folder)
    with pytest.raises(UserError, match=message) as error:
        llm.load(folder)
    assert "\n" not in str(error.value)


def test_shards_outside_the_folder_are_refused(tmp_path):
    config = tiny.config()
    folder = tiny.write_folder(tmp_path / "model", config, tiny.weights(config), shards=2)
    index = {"weight_map": {"lm_head.weight": "../other.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="outside the folder"):
        llm.load(folder)


def test_missing_shard(tmp_path):
    config = tiny.config()
    folder = tiny.write_folder(tmp_path / "model", config, tiny.weights(config), shards=2)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match="00002.*no such file"):
        llm.load(folder)


def test_newer_config_spelling():
    """Files written since transformers 5 keep theta and scaling in one table."""
    old = tiny.config("llama_llama3")
    new = dict(old)
    rope = new.pop("rope_scaling") | {"rope_theta": new.pop("rope_theta")}
    assert from_hf(new | {"rope_parameters": rope}) == from_hf(old)


def test_projections_packed_in_different_ways(tmp_path, tiny_folder):
    """Joined projections need one layout: here the values come packed, queries and keys do not."""
    config = tiny.config()
    arrays = tiny.weights(config)
    for name in [name for name in arrays if name.endswith("v_proj.weight")]:
        parts = mx.quantize(mx.array(arrays.pop(name)), group_size=64, bits=8)
        for kind, part in zip(("weight", "scales", "biases"), parts, strict=True):
            arrays[f"{name.removesuffix('.weight')}.{kind}"] = np.array(part)
    config["quantization"] = {"group_size": 64, "bits": 8}
    folder = tiny.write_folder(tmp_path, config, arrays)
    assert np.abs(logits_of(folder) - logits_of(tiny_folder)).mean() < 0.02
