"""Optimizers: states, schedules, several at once. Values are in test_expected.py."""

import cases
import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_flatten, tree_map, tree_unflatten


def same(a, b):
    a, b = dict(tree_flatten(a)), dict(tree_flatten(b))
    assert a.keys() == b.keys()
    return all(mx.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("name, args", cases.OPTIMIZERS)
def test_resumed_training_is_the_same(tmp_path, name, args):
    whole = cases.run_optimizer(name, args, steps=6)
    optimizer = cases.make_optimizer(name, args)
    parameters = cases.start()
    for step in range(6):
        if step == 3:
            file = str(tmp_path / "state.safetensors")
            mx.save_safetensors(file, tree_flatten(optimizer.state, destination={}))
            optimizer = cases.make_optimizer(name, args)
            optimizer.state = tree_unflatten(list(mx.load(file).items()))
        gradients = cases.gradients_at(parameters, step)
        parameters = optimizer.apply_gradients(gradients, parameters)
    assert same(parameters, whole["parameters"])
    assert same(optimizer.state, whole["state"])


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
@pytest.mark.parametrize("name, args", cases.OPTIMIZERS)
def test_types_are_kept(name, args, dtype):
    optimizer = cases.make_optimizer(name, args)
    parameters = {"w": mx.ones((3, 2), dtype), "b": mx.ones((2,), dtype)}
    gradients = {"w": mx.full((3, 2), 0.1, dtype), "b": mx.full((2,), 0.1, dtype)}
    for _ in range(2):
        parameters = optimizer.apply_gradients(gradients, parameters)
    for _, value in tree_flatten(parameters):
        assert value.dtype == dtype and mx.all(mx.isfinite(value)).item()
    for path, value in tree_flatten({k: optimizer.state[k] for k in ("w", "b")}):
        assert value.dtype == dtype, path


def test_state():
    optimizer = optim.SGD(0.1, momentum=0.9)
    assert list(optimizer.state) == ["step", "learning_rate"]
    optimizer.init({"w": mx.ones((2,)), "l": [{"b": mx.ones((1,))}]})
    assert [path for path, _ in tree_flatten(optimizer.state)] == [
        "step",
        "learning_rate",
        "w.v",
        "l.0.b.v",
    ]
    assert optimizer.step.dtype == mx.uint64 and optimizer.step.item() == 0
    held = optimizer.state
    optimizer.apply_gradients({"w": mx.ones((2,))}, {"w": mx.ones((2,))})
    assert optimizer.state is held and optimizer.step.item() == 1


def test_update_changes_the_model():
    model = nn.Linear(2, 1)
    weight = np.array(model.weight)
    optimizer = optim.SGD(0.5)
    assert optimizer.update(model, {"weight": mx.ones((1, 2))}) is None
    np.testing.assert_allclose(model.weight, weight - 0.5)


def test_parameters_met_later():
    optimizer = optim.Adam(0.1)
    parameters = cases.start()
    optimizer.apply_gradients({"w": mx.ones((5, 3))}, parameters)
    updated = optimizer.apply_gradients(cases.gradients_at(parameters, 0), parameters)
    assert [p for p, _ in tree_flatten(updated)] == ["w", "b.0", "b.1.c"]
    assert optimizer.state["b"][0]["m"].shape == (3,)


def test_bad_gradients_change_nothing():
    optimizer = optim.Adam(0.1)
    with pytest.raises(KeyError, match="Adam.*no parameter at 'b.x'"):
        optimizer.apply_gradients({"b": {"x": mx.ones((1,))}}, {"b": {}})
    with pytest.raises(ValueError, match=r"'w' has shape \(3,\), the parameter \(5, 3\)"):
        optimizer.apply_gradients({"w": mx.ones((3,))}, cases.start())
    assert list(optimizer.state) == ["step", "learning_rate"] and optimizer.step.item() == 0


def test_learning_rate():
    optimizer = optim.SGD(0.1)
    optimizer.learning_rate = 0.25
    assert optimizer.learning_rate.item() == 0.25
    optimizer.learning_rate = mx.array(0.5)
    assert optimizer.learning_rate.item() == 0.5
    halves = optim.SGD(lambda step: 2.0 ** -step.astype(mx.float32))
    rates = []
    for _ in range(3):
        halves.apply_gradients({}, {})
        rates.append(halves.learning_rate.item())
    assert rates == [1.0, 0.5, 0.25]


def test_schedules():
    at = lambda schedule: [round(float(schedule(mx.array(i))), 6) for i in range(7)]
    steps = np.arange(7)
    cosine = 0.02 + 0.04 * (1 + np.cos(np.pi * np.minimum(steps, 5) / 5))
    np.testing.assert_allclose(at(optim.cosine_decay(0.1, 5, 0.02)), cosine, atol=1e-6)
    np.testing.assert_allclose(at(optim.exponential_decay(0.1, 0.5)), 0.1 * 0.5**steps, atol=1e-6)
    np.testing.assert_allclose(
        at(optim.linear_schedule(0.1, 0.2, 4)), 0.1 + 0.025 * np.minimum(steps, 4), atol=1e-6
    )
    np.testing.assert_allclose(
        at(optim.step_decay(0.1, 0.5, 2)), 0.1 * 0.5 ** (steps // 2), atol=1e-6
    )
    joined = optim.join_schedules(
        [optim.linear_schedule(0, 0.2, 2), optim.exponential_decay(0.2, 0.5)], [2]
    )
    expected = [0, 0.1, *(0.2 * 0.5 ** np.arange(5))]
    np.testing.assert_allclose(at(joined), expected, atol=1e-6)
    assert joined(mx.array(0, mx.uint64)).item() == 0  # no wrap below the boundary


def test_clip_grad_norm():
    grads = {"a": mx.array([3.0]), "b": [mx.array([4.0])]}
    clipped, norm = optim.clip_grad_norm(grads, 1.0)
    assert norm.item() == 5
    np.testing.assert_allclose([clipped["a"][0], clipped["b"][0][0]], [0.6, 0.8], rtol=1e-5)
    same_grads, _ = optim.clip_grad_norm(grads, 10.0)
    assert same(same_grads, grads)
    large = {"a": mx.full((4,), 1000.0, mx.float16)}
    clipped, norm = optim.clip_grad_norm(large, 1.0)
    assert norm.item() == 2000 and clipped["a"].dtype == mx.float16
    assert optim.clip_grad_norm({}, 1.0)[1].item() == 0


def test_multi_optimizer():
    def make():
        return optim.MultiOptimizer(
            [optim.SGD(0.1, 0.9), optim.Adam(0.2)], [lambda path, g: g.ndim == 2]
        )

    optimizer, sgd, adam = make(), optim.SGD(0.1, 0.9), optim.Adam(0.2)
    parameters = cases.start()
    gradients = cases.gradients_at(parameters, 0)
    updated = optimizer.apply_gradients(gradients, parameters)
    assert same(
        {"w": updated["w"]}, sgd.apply_gradients({"w": gradients["w"]}, {"w": parameters["w"]})
    )
    rest = {"b": gradients["b"]}
    assert same({"b": updated["b"]}, adam.apply_gradients(rest, parameters))
    assert optimizer.learning_rate.item() == sgd.learning_rate.item()
    again = make()
    again.state = tree_map(lambda x: x, optimizer.state)  # not shared, steps change it
    assert same(
        again.apply_gradients(gradients, updated), optimizer.apply_gradients(gradients, updated)
    )
    optimizer.learning_rate = 0.7
    assert [o.learning_rate.item() for o in optimizer.optimizers] == [mx.array(0.7).item()] * 2
    with pytest.raises(ValueError, match="2 states"):
        optimizer.state = {"states": [{}]}


@pytest.mark.parametrize(
    "make",
    [
        lambda: optim.SGD(0.1, nesterov=True),
        lambda: optim.SGD(0.1, 0.9, dampening=0.1, nesterov=True),
        lambda: optim.Adam(0.1, eps=-1),
        lambda: optim.Adagrad(0.1, eps=-1),
        lambda: optim.RMSprop(0.1, alpha=-1),
        lambda: optim.AdaDelta(0.1, rho=-1),
        lambda: optim.MultiOptimizer([optim.SGD(0.1)], [lambda path, g: True]),
        lambda: optim.MultiOptimizer([]),
        lambda: optim.join_schedules([], []),
        lambda: optim.join_schedules([optim.exponential_decay(1.0, 0.1)], [1]),
        lambda: optim.linear_schedule(0, 1, 0),
        lambda: optim.cosine_decay(1.0, 0),
        lambda: optim.step_decay(1.0, 0.5, 0),
    ],
)
def test_bad_settings(make):
    with pytest.raises(ValueError):
        make()


def test_own_optimizer():
    class Sign(optim.Optimizer):
        def __init__(self, rate):
            super().__init__()
            self._maybe_schedule("learning_rate", rate)

        def init_single(self, parameter, state):
            pass

        def apply_single(self, gradient, parameter, state):
            return parameter - self.learning_rate * mx.sign(gradient)

    updated = Sign(0.5).apply_gradients({"w": mx.array([3.0, -2.0])}, {"w": mx.array([1.0, 1.0])})
    assert updated["w"].tolist() == [0.5, 1.5]
    with pytest.raises(NotImplementedError):
        optim.Optimizer().apply_gradients({"w": mx.ones((1,))}, {"w": mx.ones((1,))})


def test_training_learns():
    mx.random.seed(0)
    x, true = mx.random.normal((100, 4)), mx.array([[1.0, -2.0, 3.0, 0.5]])
    y = x @ true.T
    for make in (
        lambda: optim.SGD(0.1, 0.9),
        lambda: optim.Adam(0.1),
        lambda: optim.RMSprop(0.02),
        lambda: optim.Adafactor(0.1, relative_step=False, scale_parameter=False),
    ):
        model, optimizer = nn.Linear(4, 1, bias=False), make()
        step = nn.value_and_grad(model, lambda m=model: nn.losses.mse_loss(m(x), y))
        for _ in range(200):
            _, grads = step()
            optimizer.update(model, grads)
            mx.eval(model.state, optimizer.state)
        np.testing.assert_allclose(model.weight, true, atol=0.1)
