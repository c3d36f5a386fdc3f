"""Quantised layers: near the layers they come from, and what training does with them."""

import cases
import mlx.core as mx
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_flatten


def dequantized(layer):
    return mx.dequantize(
        layer.weight, layer.scales, layer.biases, layer.group_size, layer.bits, mode=layer.mode
    )


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("group_size", [32, 64])
def test_linear(bits, group_size):
    linear, x = nn.Linear(128, 16), cases.data(3, 128)
    packed = linear.to_quantized(group_size, bits)
    weight = np.array(dequantized(packed))
    assert np.abs(weight - np.array(linear.weight)).max() <= 0.2 / (2**bits - 1)
    expected = np.array(x) @ weight.T + np.array(linear.bias)
    np.testing.assert_allclose(packed(x), expected, rtol=1e-4, atol=1e-4)
    assert packed.bias is linear.bias


def test_embedding():
    embedding = nn.Embedding(10, 64)
    packed = embedding.to_quantized()
    table = np.array(dequantized(packed))
    np.testing.assert_allclose(packed(mx.array([[3, 1]])), table[[[3, 1]]], rtol=1e-6)
    x = cases.data(2, 64)
    np.testing.assert_allclose(packed.as_linear(x), np.array(x) @ table.T, rtol=1e-4, atol=1e-4)
    expected = np.array(x) @ np.array(embedding.weight).T
    np.testing.assert_allclose(embedding.as_linear(x), expected, rtol=1e-4, atol=1e-4)
    assert repr(packed) == "QuantizedEmbedding(10, 64, group_size=64, bits=4, mode=affine)"


def test_quantize_model():
    model = nn.Sequential(nn.Embedding(8, 64), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
    x = mx.array([1, 5])
    before = np.array(model(x))
    assert nn.quantize(model, bits=8) is None
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["QuantizedEmbedding", "QuantizedLinear", "ReLU", "QuantizedLinear"]
    np.testing.assert_allclose(model(x), before, atol=0.05)
    # A module is not replaced itself, only what is in it.
    alone = nn.Linear(64, 64)
    nn.quantize(alone)
    assert type(alone) is nn.Linear


def test_training():
    layer = nn.QuantizedLinear(64, 8)
    assert tree_flatten(layer.trainable_parameters()) == []
    # The packed weight has no gradient; scales, biases and the bias have one.
    layer.unfreeze()
    grads = nn.value_and_grad(layer, lambda x: layer(x).sum())(cases.data(3, 64))[1]
    assert sorted(grads) == ["bias", "biases", "scales"]
    # A bias that comes from a linear layer is trained on.
    packed = nn.Linear(64, 8).to_quantized()
    assert list(packed.trainable_parameters()) == ["bias"]


def test_gradient_of_the_input():
    layer, x = nn.QuantizedLinear(64, 8), cases.data(3, 64)
    grad = mx.grad(lambda x: layer(x).sum())(x)
    expected = np.broadcast_to(np.array(dequantized(layer)).sum(0), (3, 64))
    np.testing.assert_allclose(grad, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "mode, group_size, bits", [("nvfp4", 16, 4), ("mxfp8", 32, 8), ("mxfp4", 32, 4)]
)
def test_qq_linear(mode, group_size, bits):
    layer = nn.QQLinear(64, 8, mode=mode)
    assert (layer.group_size, layer.bits) == (group_size, bits)
    text = (
        f"QQLinear(input_dims=64, output_dims=8, group_size={group_size}, bits={bits}, mode={mode})"
    )
    assert repr(layer) == text
    weight = np.array(layer.weight)
    layer.eval()
    assert layer.weight.dtype == mx.uint32 and layer.scales.dtype == mx.uint8
    assert repr(layer) == text
    layer.train()
    assert layer.weight.dtype == mx.float32 and "scales" not in layer
    np.testing.assert_allclose(layer.weight, weight, atol=0.03)
    with pytest.raises(NotImplementedError):
        nn.QQLinear.from_linear(nn.Linear(64, 8))
