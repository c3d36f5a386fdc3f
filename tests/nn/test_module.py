"""Module: attributes, trees, freezing, updating, files, copies."""

import copy
import pickle

import mlx.core as mx
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_flatten, tree_map


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2)
        self.b = nn.Linear(2, 2, bias=False)

    def _extra_repr(self):
        return "x=1"

    def __call__(self, x):
        return self.b(self.a(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.layers = [Block(), [nn.ReLU()], {"k": nn.Linear(2, 1, bias=False)}]
        self.w = mx.zeros((2,))
        self._hidden = mx.zeros((3,))
        self.config = {"name": "x", "scale": mx.ones((1,))}
        self.pair = (mx.zeros((1,)),)
        self.count = 5
        self.norm = nn.BatchNorm(2)

    def __call__(self, x):
        return self.layers[2]["k"](nn.relu(self.layers[0](self.norm(self.first(x)))))


def names(tree):
    return [name for name, _ in tree_flatten(tree)]


PARAMETERS = [
    "first.weight",
    "first.bias",
    "layers.0.a.weight",
    "layers.0.a.bias",
    "layers.0.b.weight",
    "layers.2.k.weight",
    "w",
    "config.scale",
    "norm.weight",
    "norm.bias",
    "norm.running_mean",
    "norm.running_var",
]


def test_attributes():
    net = Net()
    assert isinstance(net, dict) and net.state is net
    assert "w" in net and "count" not in net and net.count == 5
    net.w = 3
    assert "w" not in net and net.w == 3
    net.w = mx.ones((2,))
    assert "w" in net and "w" not in vars(net)
    del net.w, net.count
    for name in ("w", "count", "nothing"):
        with pytest.raises(AttributeError, match=f"'Net' object has no attribute '{name}'"):
            getattr(net, name)
        with pytest.raises(AttributeError):
            delattr(net, name)
    with pytest.raises(AttributeError):
        net.training = False


def test_forgotten_init_says_so():
    class Forgot(nn.Module):
        def __init__(self):
            self.x = mx.zeros((1,))

    with pytest.raises(AttributeError, match="super"):
        Forgot().trainable_parameters()


def test_parameters():
    net = Net()
    assert names(net.parameters()) == PARAMETERS
    assert names(net.trainable_parameters()) == PARAMETERS[:-2]
    assert net.parameters()["layers"][1] == [{}]
    assert net.parameters()["config"]["name"] == {}
    kept = net.filter_and_map(lambda m, k, v: k not in ("layers", "norm"), lambda v: 1)
    assert list(kept) == ["first", "w", "_hidden", "config", "pair"]
    assert kept["first"] == {"weight": 1, "bias": 1}
    with pytest.raises(RuntimeError, match="Linear.weight"):
        net.filter_and_map(lambda m, k, v: True, is_leaf_fn=lambda m, k, v: False)


def test_modules():
    net = Net()
    order = ["", "norm", "layers.2.k", "layers.1.0", "layers.0", "layers.0.b", "layers.0.a"]
    assert [name for name, _ in net.named_modules()] == [*order, "first"]
    assert len(net.modules()) == 8
    assert list(net.children()) == ["first", "layers", "config", "norm"]
    assert net.children()["layers"][1] == [net.layers[1][0]]
    assert net.leaf_modules()["layers"][0] == {"a": net.layers[0].a, "b": net.layers[0].b}
    seen = []
    assert net.apply_to_modules(lambda path, m: seen.append(path)) is net
    assert seen == [name for name, _ in net.named_modules()]


def test_repr():
    net = nn.Sequential(Block(), nn.ReLU())
    assert repr(net) == (
        "Sequential(\n"
        "  (layers.0): Block(x=1\n"
        "    (a): Linear(input_dims=2, output_dims=2, bias=True)\n"
        "    (b): Linear(input_dims=2, output_dims=2, bias=False)\n"
        "  )\n"
        "  (layers.1): ReLU()\n"
        ")"
    )
    assert repr(nn.Module()) == "Module()"


def test_train_and_eval():
    net = Net()
    assert net.training
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert net.train(True) is net and all(m.training for m in net.modules())


def test_freezing():
    net = Net()
    assert net.freeze() is net and names(net.trainable_parameters()) == []
    net.freeze()
    net.unfreeze(keys="bias")
    assert names(net.trainable_parameters()) == ["first.bias", "layers.0.a.bias", "norm.bias"]
    net.unfreeze()
    assert names(net.trainable_parameters()) == PARAMETERS[:-2]
    net.freeze(keys=["weight", "w"])
    assert "first.weight" not in names(net.trainable_parameters())
    net.unfreeze().freeze(recurse=False)
    assert names(net.trainable_parameters()) == [
        n for n in PARAMETERS[:-2] if n not in ("w", "config.scale")
    ]
    net.unfreeze().freeze(recurse=False, keys="layers")
    assert not any(n.startswith("layers") for n in names(net.trainable_parameters()))


def test_running_statistics_stay_frozen():
    net = nn.Sequential(nn.BatchNorm(2))
    for change in (
        lambda: net.unfreeze(),
        lambda: net.unfreeze(keys="running_mean"),
        lambda: net.layers[0].unfreeze(),
    ):
        change()
        assert names(net.trainable_parameters()) == ["layers.0.weight", "layers.0.bias"]


def test_freezing_unknown_names():
    net = Net()
    net.freeze(keys="nothing")
    net.unfreeze()
    with pytest.raises(KeyError, match='Net has no parameter named "nothing".*running_mean'):
        net.freeze(keys=["weight", "nothing"], strict=True)
    assert names(net.trainable_parameters()) == PARAMETERS[:-2]
    with pytest.raises(KeyError, match="weight"):
        net.freeze(recurse=False, keys="weight", strict=True)
    with pytest.raises(KeyError):
        net.unfreeze(keys="nothing", strict=True)


def test_update():
    net = Net()
    new = {"w": mx.ones((2,)), "layers": [{"a": {"bias": mx.ones((2,))}}]}
    assert net.update(new) is net
    assert net.w is new["w"] and net.layers[0].a.bias is new["layers"][0]["a"]["bias"]
    net.update({"first": {}, "w": {}})
    net.update({"w": mx.zeros((7,)), "unknown": mx.zeros((1,))}, strict=False)
    assert net.w.shape == (7,) and "unknown" not in net


@pytest.mark.parametrize(
    "bad, text",
    [
        ({"x": mx.zeros((1,))}, 'Net: no parameter named "x".*first'),
        ({"first": {"x": mx.zeros((1,))}}, "Net at 'first'.*weight, bias"),
        ({"first": mx.zeros((3,))}, r"expected Linear, got array of shape \(3,\)"),
        ({"w": 5}, r"at 'w': expected an array of shape \(2,\), got int"),
        ({"w": {"x": mx.zeros((1,))}}, "at 'w'.*dict"),
        ({"layers": [{}, {}, {}, {"x": mx.zeros((1,))}]}, "at 'layers': index 3.*3 entries"),
        ({"layers": {"0": {"a": {}}}}, "at 'layers': expected list, got dict"),
        ({"pair": (mx.zeros((1,)),)}, "tuple"),
        ([1], "expected a dict"),
        (mx.zeros((3,)), "expected a dict"),
    ],
)
def test_update_refuses_and_changes_nothing(bad, text):
    net = Net()
    before = tree_flatten(net.parameters())
    if isinstance(bad, dict):
        bad = {"norm": {"weight": mx.zeros((2,))}, **bad}
    with pytest.raises(ValueError, match=text):
        net.update(bad)
    assert all(a is b for (_, a), (_, b) in zip(before, tree_flatten(net.parameters())))


def test_update_modules():
    net = Net()
    new = nn.Linear(2, 9)
    net.update_modules({"first": new, "layers": [{"a": new}, [nn.Tanh()]]})
    assert net.first is new and net.layers[0].a is new
    assert isinstance(net.layers[1][0], nn.Tanh)
    net.update_modules({"unknown": new, "w": new, "first": 3}, strict=False)
    assert net.first is new and "unknown" not in net
    for bad, text in [
        ({"unknown": new}, 'no module named "unknown".*first, layers'),
        ({"w": new}, "at 'w': expected array.*Linear"),
        ({"first": 5}, "at 'first': expected Linear, got int"),
        ({"layers": [{}] * 3 + [new]}, "index 3"),
        ({"first": {"x": new}}, "at 'first': no module"),
    ]:
        with pytest.raises(ValueError, match=text):
            net.update_modules(bad)


def test_apply_and_set_dtype():
    net = Net()
    assert net.apply(lambda x: x + 1) is net
    assert net.w.tolist() == [1, 1] and net._hidden.tolist() == [0, 0, 0]
    net.freeze()
    net.unfreeze(keys="w", recurse=False)
    net.apply(lambda x: x + 1, nn.Module.trainable_parameter_filter)
    assert net.w.tolist() == [2, 2] and net.config["scale"].tolist() == [2]
    with pytest.raises(ValueError, match="expected an array"):
        net.apply(lambda x: 5)
    net.i = mx.array([1])
    net.set_dtype(mx.float16)
    assert net.w.dtype == mx.float16 and net.i.dtype == mx.int32
    net.set_dtype(mx.float32, None)
    assert net.i.dtype == mx.float32
    net.set_dtype(mx.bfloat16, lambda dtype: dtype == mx.int32)
    assert net.w.dtype == mx.float32


def test_load_weights():
    layer = nn.Linear(2, 3)
    weight, bias = ("weight", mx.zeros((3, 2))), ("bias", mx.ones((3,)))
    assert layer.load_weights([weight, bias]) is layer
    assert layer.bias is bias[1]
    layer.load_weights({"weight": weight[1], "bias": bias[1]})
    layer.load_weights([("bias", mx.zeros((3,))), ("x", mx.zeros((1,)))], strict=False)
    assert layer.bias.tolist() == [0, 0, 0] and layer.weight is weight[1]
    nn.Sequential(layer).load_weights([("layers.5.bias", mx.ones((3,)))], strict=False)
    for bad, text in [
        ([weight], "Linear:\n  1 missing: bias"),
        ([weight, bias, ("x", bias[1]), ("y", bias[1])], "2 not in the module: x, y"),
        ([weight, ("bias", mx.ones((4,)))], r"bias has shape \(4,\), the module expects \(3,\)"),
        ([weight, ("bias", 5)], "bias is not an array but int"),
        ([], "2 missing: weight, bias"),
    ]:
        with pytest.raises(ValueError, match=text):
            layer.load_weights(bad)
    with pytest.raises(ValueError, match="not an array but ndarray"):
        layer.load_weights([("bias", np.zeros(3))], strict=False)


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_files(tmp_path, ending):
    net, other = Net(), Net()
    for path in (str(tmp_path / f"w.{ending}"), tmp_path / f"p.{ending}"):
        net.save_weights(path)
        assert other.load_weights(path) is other
        for (name, a), (_, b) in zip(
            tree_flatten(net.parameters()), tree_flatten(other.parameters())
        ):
            assert mx.array_equal(a, b), name
    with pytest.raises(ValueError, match="must end in .npz or .safetensors"):
        net.save_weights(str(tmp_path / "w.txt"))


def test_copies():
    net = Net()
    net.freeze(keys="bias").eval()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert repr(twin) == repr(net)
        assert names(twin.trainable_parameters()) == names(net.trainable_parameters())
        assert not twin.norm.training and twin.count == 5
        assert twin.first.weight is not net.first.weight
        assert mx.array_equal(twin(mx.ones((1, 2))), net(mx.ones((1, 2))))
        twin.w = twin.w + 1
        assert net.w.tolist() == [0, 0]


def test_value_and_grad():
    layer = nn.Linear(2, 3)
    weight = layer.weight

    def loss(x, scale=1.0):
        return (layer(x) * scale).sum(), "extra"

    step = nn.value_and_grad(layer, loss)
    assert step.__name__ == "loss"
    (value, extra), grads = step(mx.ones((1, 2)), scale=2.0)
    assert extra == "extra" and grads["weight"].tolist() == [[2, 2]] * 3
    np.testing.assert_allclose(value.item(), loss(mx.ones((1, 2)), 2.0)[0].item(), rtol=1e-6)
    assert layer.weight is weight
    layer.freeze(keys="weight")
    assert list(step(mx.ones((1, 2)))[1]) == ["bias"]
    layer.freeze()
    with pytest.raises(ValueError, match="Linear has no trainable parameters"):
        step(mx.ones((1, 2)))


def test_value_and_grad_keeps_what_the_function_assigns():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm(2))
    nn.value_and_grad(net, lambda x: net(x).sum())(mx.array([[1.0, 2.0], [3.0, 5.0]]))
    assert not mx.array_equal(net.layers[1].running_mean, mx.zeros((2,)))


def test_failing_loss_leaves_the_model_as_it_was():
    layer = nn.Linear(2, 3)
    before = layer.parameters()

    def loss(x):
        layer(x)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        nn.value_and_grad(layer, loss)(mx.ones((1, 2)))
    assert layer.weight is before["weight"] and layer.bias is before["bias"]


def test_shared_module_gets_all_gradients():
    shared = nn.Linear(2, 2, bias=False)
    net = nn.Sequential(shared, shared)
    grads = nn.value_and_grad(net, lambda x: net(x).sum())(mx.ones((1, 2)))[1]
    total = tree_map(lambda g: g, grads["layers"][0]["weight"]) + grads["layers"][1]["weight"]
    w = shared.weight
    alone = mx.grad(lambda w: ((mx.ones((1, 2)) @ w.T) @ w.T).sum())(w)
    np.testing.assert_allclose(total, alone, rtol=1e-5)


def test_errors_name_the_place():
    net = Net()
    with pytest.raises(ValueError) as error:
        net(mx.ones((1, 5)))
    assert str(error.value).endswith("in Net.first")
    deep = nn.Sequential(nn.ReLU(), nn.Sequential(Block()))
    with pytest.raises(ValueError, match=r"(?s)5.*in Sequential.layers.1.layers.0.a$"):
        deep(mx.ones((1, 5)))


def test_subclass_call_is_wrapped_once_per_level():
    class Double(nn.Linear):
        def __call__(self, x):
            return super().__call__(x) * 2

    layer = Double(2, 2)
    assert layer(mx.ones((1, 2))).shape == (1, 2)
    with pytest.raises(ValueError) as error:
        nn.Sequential(layer)(mx.ones((1, 5)))
    assert str(error.value).count("in Sequential.layers.0") == 1
