"""Every layer under vmap, compile and checkpoint, in half precision, and copied."""

import copy
import pickle

import cases
import mlx.core as mx
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_flatten

# One case of each layer.
ONE_OF_EACH = cases.one_of_each()
FLOAT = [case for case in ONE_OF_EACH if all(i is None or isinstance(i, tuple) for i in case[3])]
RANDOM = ("Dropout", "Dropout2d", "Dropout3d")


def build(case):
    name, args, kwargs, inputs = case
    mx.random.seed(1)
    return getattr(nn, name)(*args, **kwargs).eval(), cases.make_inputs(inputs)


def is_float(x):
    return x is not None and mx.issubdtype(x.dtype, mx.floating)


def as_list(out):
    return list(out) if isinstance(out, (tuple, list)) else [out]


def close(actual, expected, tolerance=1e-5):
    for a, b in zip(as_list(actual), as_list(expected), strict=True):
        assert a.shape == b.shape
        a, b = (np.array(x.astype(mx.float32)) for x in (a, b))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=cases.layer_id)
def test_compile(case):
    layer, inputs = build(case)
    compiled = mx.compile(lambda *xs: layer(*xs))
    for _ in range(2):
        close(compiled(*inputs), layer(*inputs))


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=cases.layer_id)
def test_vmap(case):
    layer, inputs = build(case)
    arrays = [x for x in inputs if x is not None]
    batch = [mx.stack([x, x * 0.5 + 0.1 if is_float(x) else x[::-1]]) for x in arrays]

    def call(*xs):
        xs = iter(xs)
        return layer(*(None if x is None else next(xs) for x in inputs))

    try:
        mapped = as_list(mx.vmap(call)(*batch))
    except (RuntimeError, ValueError) as error:
        # A gap of the core (as_strided, quantized_matmul), not of the layer.
        if any(text in str(error) for text in ("NYI", "ot implemented")):
            pytest.skip(str(error))
        raise
    for i in range(2):
        close([m[i] for m in mapped], call(*(b[i] for b in batch)))


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=cases.layer_id)
def test_checkpoint(case):
    layer, inputs = build(case)
    call = nn.utils.checkpoint(layer)
    close(call(*inputs), layer(*inputs))
    if not tree_flatten(layer.trainable_parameters()):
        return
    plain = nn.value_and_grad(layer, lambda *xs: cases.scalar(layer(*xs)))(*inputs)[1]
    saved = nn.value_and_grad(layer, lambda *xs: cases.scalar(call(*xs)))(*inputs)[1]
    close([g for _, g in tree_flatten(saved)], [g for _, g in tree_flatten(plain)])


# Layers whose result is float32 whatever the input, as in Apple's build.
FLOAT32 = ("Upsample",)


@pytest.mark.parametrize("dtype, tolerance", [(mx.float16, 1e-2), (mx.bfloat16, 8e-2)])
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=cases.layer_id)
def test_half_precision(case, dtype, tolerance):
    layer, inputs = build(case)
    expected = as_list(layer(*inputs))
    layer.set_dtype(dtype)
    low = [x.astype(dtype) if is_float(x) else x for x in inputs]
    actual = as_list(layer(*low))
    for a, e in zip(actual, expected, strict=True):
        if case[0] not in FLOAT32 and mx.issubdtype(e.dtype, mx.floating):
            assert a.dtype == dtype or case[0] == "SinusoidalPositionalEncoding"
    if case[0] != "Step":  # jumps where rounding crosses its threshold
        close(actual, expected, tolerance)


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=cases.layer_id)
def test_copies(case):
    layer, inputs = build(case)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        close(twin(*inputs), layer(*inputs), 0)


# Losses of arrays of floats: (name, arrays, keyword arguments).
LOSSES = cases.loss_cases()


def loss_function(case):
    name, _, kwargs = case
    # Weights of a loss belong to one example, so they stay out of what is batched.
    return lambda *xs: getattr(nn.losses, name)(*xs, **kwargs)


@pytest.mark.parametrize("case", LOSSES, ids=cases.loss_id)
def test_loss_transforms(case):
    """Values and gradients, plain, compiled, checkpointed and batched."""
    arrays = case[1]
    loss = loss_function(case)
    both = lambda *xs: (loss(*xs), mx.grad(lambda x, *r: loss(x, *r).sum())(*xs))
    expected = both(*arrays)
    compiled = mx.compile(both)
    for _ in range(2):
        close(compiled(*arrays), expected)
    saved = mx.checkpoint(loss)
    close([saved(*arrays)], expected[:1])
    close([mx.grad(lambda x, *r: saved(x, *r).sum())(*arrays)], expected[1:])
    batch = [mx.stack([x, x[::-1]]) for x in arrays]
    mapped = mx.vmap(both)(*batch)
    for i in range(2):
        close([m[i] for m in mapped], both(*(b[i] for b in batch)))


@pytest.mark.parametrize("dtype, tolerance", [(mx.float16, 1e-2), (mx.bfloat16, 8e-2)])
@pytest.mark.parametrize("case", LOSSES, ids=cases.loss_id)
def test_loss_half_precision(case, dtype, tolerance):
    is_float = lambda x: mx.issubdtype(x.dtype, mx.floating)
    low = [x.astype(dtype) if is_float(x) else x for x in case[1]]
    rounded = [x.astype(mx.float32) if is_float(x) else x for x in low]
    loss = loss_function(case)
    out = loss(*low)
    assert "weights" in case[2] or out.dtype == dtype
    close([out], [loss(*rounded)], tolerance)
    gradient = mx.grad(lambda x: loss(x, *low[1:]).astype(mx.float32).sum())(low[0])
    assert gradient.dtype == dtype
    assert mx.isfinite(gradient).all()


@pytest.mark.parametrize("case", FLOAT, ids=cases.layer_id)
def test_compiled_gradients(case):
    layer, inputs = build(case)
    if not tree_flatten(layer.trainable_parameters()):
        return
    step = nn.value_and_grad(layer, lambda *xs: cases.scalar(layer(*xs)))
    compiled = mx.compile(lambda *xs: step(*xs))
    for _ in range(2):
        value, gradients = compiled(*inputs)
        expected, expected_gradients = step(*inputs)
        close([value], [expected], 1e-4)
        flat = [[g for _, g in tree_flatten(t)] for t in (gradients, expected_gradients)]
        close(*flat, 1e-4)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=cases.layer_id)
def test_half_precision_gradients(case, dtype):
    layer, inputs = build(case)
    layer.set_dtype(dtype)
    if not tree_flatten(layer.trainable_parameters()):
        return
    low = [x.astype(dtype) if is_float(x) else x for x in inputs]
    _, gradients = nn.value_and_grad(layer, lambda *xs: cases.scalar(layer(*xs)))(*low)
    parameters = dict(tree_flatten(layer.parameters()))
    for path, gradient in tree_flatten(gradients):
        assert gradient.dtype == parameters[path].dtype
        assert mx.isfinite(gradient).all()


@pytest.mark.parametrize(
    "loss", sorted(n for n, f in vars(nn.losses).items() if n.endswith("_loss") and callable(f))
)
def test_losses_can_be_pickled(loss):
    function = getattr(nn.losses, loss)
    assert pickle.loads(pickle.dumps(function)) is copy.deepcopy(function) is function


@pytest.mark.parametrize("name", RANDOM)
def test_dropout(name):
    layer = getattr(nn, name)(0.25)
    x = mx.ones((2, 4, 50, 6, 5)) if name == "Dropout3d" else mx.ones((2, 50, 6, 5))
    y = np.array(layer(x))
    assert set(np.unique(y)) <= {0.0, np.float32(1 / 0.75)}
    if name == "Dropout":
        assert 0.65 < (y > 0).mean() < 0.85
    else:
        flat = y.reshape(2, -1, 5)
        assert (flat == flat[:, :1]).all()
    assert layer.eval()(x) is x
    assert getattr(nn, name)(0.0)(x) is x


def test_compiled_training_step():
    import mlx.optimizers as optim

    def train(compiled):
        mx.random.seed(4)
        model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm(8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = optim.AdamW(learning_rate=optim.linear_schedule(0.01, 0.1, 5))
        x, y = cases.data(10, 3), cases.data(10, 1, seed=2)
        state = [model.state, optimizer.state]
        grad = nn.value_and_grad(model, lambda x, y: nn.losses.mse_loss(model(x), y))

        def step(x, y):
            loss, grads = grad(x, y)
            optimizer.update(model, grads)
            return loss

        if compiled:
            step = mx.compile(step, inputs=state, outputs=state)
        losses = []
        for _ in range(6):
            losses.append(step(x, y))
            mx.eval(losses[-1], state)
        return losses, [v for _, v in tree_flatten(model.parameters())]

    for a, b in zip(train(True), train(False), strict=True):
        close(a, b, 1e-4)
