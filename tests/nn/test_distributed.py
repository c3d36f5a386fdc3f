"""Sharded layers in a single process, where every part is the whole."""

import cases
import mlx.core as mx
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_flatten

if not hasattr(mx, "distributed"):
    pytest.skip("mlx.core has no distributed yet", allow_module_level=True)

from mlx.nn.layers.distributed import shard_inplace, shard_linear, sum_gradients


@pytest.mark.parametrize("sharding", ["all-to-sharded", "sharded-to-all"])
@pytest.mark.parametrize("bias", [True, False])
def test_shard_linear(sharding, bias):
    linear, x = nn.Linear(64, 32, bias=bias), cases.data(3, 64)
    sharded = shard_linear(linear, sharding)
    assert type(sharded).__name__.endswith(
        "ToShardedLinear" if sharding[0] == "a" else "ToAllLinear"
    )
    np.testing.assert_allclose(sharded(x), linear(x), rtol=1e-5, atol=1e-5)
    assert repr(sharded).endswith(f"(input_dims=64, output_dims=32, bias={bias})")
    quantized = linear.to_quantized()
    sharded = shard_linear(quantized, sharding)
    np.testing.assert_allclose(sharded(x), quantized(x), rtol=1e-5, atol=1e-5)
    nn.Sequential(sharded).unfreeze()
    assert tree_flatten(sharded.trainable_parameters()) == []


def test_shard_linear_refuses():
    with pytest.raises(ValueError, match="'nothing'"):
        shard_linear(nn.Linear(2, 2), "nothing")
    with pytest.raises(ValueError, match="Conv1d"):
        shard_linear(nn.Conv1d(2, 2, 2), "all-to-sharded")
    with pytest.raises(ValueError, match="'nothing'"):
        shard_inplace(nn.Linear(2, 2), "nothing")


def test_shard_inplace_asks_for_each_array():
    model, asked = nn.Sequential(nn.Linear(4, 6)), []
    before = model.layers[0].weight
    shard_inplace(model, lambda path, w: asked.append((path, w.shape)) or (0, 2))
    assert asked == [("layers.0.weight", (6, 4)), ("layers.0.bias", (6,))]
    assert mx.array_equal(model.layers[0].weight, before)


def test_sum_gradients_and_averages():
    x = mx.ones((2,))
    assert sum_gradients(mx.distributed.init())(x) is x
    grads = {"a": mx.ones((2,)), "b": [mx.ones((1,))]}
    assert nn.average_gradients(grads) is grads
    clipped, norm = nn.utils.clip_grad_norm_sharded({"a": mx.array([3.0, 4.0])}, 1.0)
    assert norm.item() == 5
    np.testing.assert_allclose(clipped["a"], [0.6, 0.8], rtol=1e-5)


def test_fully_sharded():
    linear, x = nn.Linear(4, 8), cases.data(3, 4)
    assert nn.fully_shard(linear) is linear
    wrapped = nn.FullyShardedModule(linear)
    assert [name for name, _ in tree_flatten(wrapped.parameters())] == [
        "module.weight",
        "module.bias",
    ]
    assert repr(wrapped).startswith("FullyShardedModule(num_sharded_params=2\n  (module): Linear(")
    assert mx.array_equal(wrapped(x), linear(x))
    grads = nn.value_and_grad(wrapped, lambda: wrapped(x).sum())()[1]["module"]
    plain = nn.value_and_grad(linear, lambda: linear(x).sum())()[1]
    assert mx.allclose(grads["weight"], plain["weight"])
    assert mx.allclose(grads["bias"], plain["bias"])
    half = nn.FullyShardedModule(linear, compute_dtype=mx.float16)
    assert half(x.astype(mx.float16)).dtype == mx.float16 and linear.weight.dtype == mx.float32
    embedding = nn.FullyShardedModule(nn.Embedding(6, 4))
    assert embedding.as_linear(mx.ones((1, 4))).shape == (1, 6)
