"""What is compared with Apple's build: tables of layers, losses, initialisers and
optimizers. `make_expected.py` runs them there, the tests run them here.
"""

import inspect

import mlx.core as mx
import mlx.nn.layers.distributed
import mlx.nn.layers.upsample
import mlx.nn.utils
import mlx.optimizers as optim
import mlx.utils
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten, tree_map


def data(*shape, seed=7):
    return mx.array(np.random.RandomState(seed).randn(*shape).astype(np.float32))


def ints(*values):
    return mx.array(list(values))


# (layer, arguments, keyword arguments, inputs: shapes of normal numbers, arrays or None)
LAYERS = [
    ("Linear", (4, 5), {}, [(3, 4)]),
    ("Linear", (4, 5, False), {}, [(2, 3, 4)]),
    ("Bilinear", (4, 5, 6), {}, [(3, 4), (3, 5)]),
    ("Bilinear", (4, 5, 6, False), {}, [(2, 3, 4), (2, 3, 5)]),
    ("Identity", (), {}, [(2,)]),
    ("Embedding", (7, 4), {}, [ints([1, 2], [6, 0])]),
    ("LayerNorm", (4,), {}, [(3, 4)]),
    ("LayerNorm", (4, 1e-3, False), {}, [(3, 4)]),
    ("LayerNorm", (4, 1e-3, True, False), {}, [(3, 4)]),
    ("RMSNorm", (4,), {}, [(3, 4)]),
    ("GroupNorm", (2, 6), {}, [(2, 5, 6)]),
    ("GroupNorm", (2, 6), {"pytorch_compatible": True}, [(2, 5, 3, 6)]),
    ("GroupNorm", (3, 6), {"affine": False}, [(2, 6)]),
    ("InstanceNorm", (6,), {}, [(2, 5, 6)]),
    ("InstanceNorm", (6,), {"affine": True}, [(2, 5, 4, 6)]),
    ("BatchNorm", (6,), {}, [(5, 6)]),
    ("BatchNorm", (6,), {"momentum": 0.3, "affine": False}, [(2, 5, 6)]),
    ("BatchNorm", (6,), {"track_running_stats": False}, [(2, 5, 4, 6)]),
    ("RoPE", (4,), {}, [(1, 2, 3, 8)]),
    ("RoPE", (8, True, 100.0, 0.5), {}, [(2, 3, 8)]),
    ("SinusoidalPositionalEncoding", (8,), {}, [(3,)]),
    (
        "SinusoidalPositionalEncoding",
        (8, 0.1, 3.0, 1.0),
        {"cos_first": True, "full_turns": True},
        [ints(0, 1, 2, 3)],
    ),
    ("ALiBi", (), {}, [(1, 3, 4, 4)]),
    ("ALiBi", (), {}, [(1, 4, 2, 5)]),
    ("RNN", (3, 4), {}, [(2, 5, 3)]),
    ("RNN", (3, 4, False), {}, [(5, 3)]),
    ("RNN", (3, 4), {}, [(2, 5, 3), (2, 4)]),
    ("GRU", (3, 4), {}, [(2, 5, 3)]),
    ("GRU", (3, 4, False), {}, [(5, 3)]),
    ("GRU", (3, 4), {}, [(2, 5, 3), (2, 4)]),
    ("LSTM", (3, 4), {}, [(2, 5, 3)]),
    ("LSTM", (3, 4, False), {}, [(5, 3)]),
    ("LSTM", (3, 4), {}, [(2, 5, 3), (2, 4), (2, 4)]),
    ("MultiHeadAttention", (8, 2), {}, [(2, 3, 8), (2, 4, 8), (2, 4, 8)]),
    ("MultiHeadAttention", (8, 2, 3, 4, 5, 6, 7, True), {}, [(2, 3, 3), (2, 4, 4), (2, 4, 5)]),
    ("TransformerEncoderLayer", (8, 2), {}, [(2, 3, 8), None]),
    ("TransformerEncoderLayer", (8, 2), {"norm_first": False}, [(2, 3, 8), (3, 3)]),
    ("TransformerDecoderLayer", (8, 2), {}, [(2, 3, 8), (2, 5, 8), None, None]),
    (
        "TransformerDecoderLayer",
        (8, 2),
        {"norm_first": False},
        [(2, 3, 8), (2, 5, 8), (3, 3), None],
    ),
    ("TransformerEncoder", (2, 8, 2), {"checkpoint": True}, [(2, 3, 8), None]),
    ("TransformerDecoder", (2, 8, 2), {}, [(2, 3, 8), (2, 4, 8), None, None]),
    ("Transformer", (8, 2, 1, 2), {}, [(2, 3, 8), (2, 4, 8), None, None, None]),
    ("Dropout", (0.3,), {}, [(4, 5)]),
    ("Dropout2d", (0.3,), {}, [(2, 4, 5, 6)]),
    ("Dropout2d", (0.3,), {}, [(4, 5, 6)]),
    ("Dropout3d", (0.3,), {}, [(2, 3, 4, 5, 6)]),
    ("MaxPool1d", (2,), {}, [(2, 7, 3)]),
    ("MaxPool1d", (3, 2, 1), {}, [(2, 7, 3)]),
    ("MaxPool2d", (2,), {}, [(2, 7, 6, 3)]),
    ("MaxPool2d", ((3, 2), (2, 1), (1, 0)), {}, [(2, 7, 6, 3)]),
    ("MaxPool3d", (3, 1, 1), {}, [(1, 4, 5, 6, 3)]),
    ("AvgPool1d", (2,), {}, [(2, 7, 3)]),
    ("AvgPool2d", (2, 1, 1), {}, [(2, 7, 6, 3)]),
    ("AvgPool3d", ((1, 2, 3),), {}, [(2, 4, 5, 6, 3)]),
    ("Conv1d", (4, 6, 3), {}, [(2, 7, 4)]),
    ("Conv1d", (4, 6, 3, 2, 1, 2, 2, False), {}, [(2, 9, 4)]),
    ("Conv2d", (4, 6, 3), {}, [(2, 7, 6, 4)]),
    ("Conv2d", (4, 6, (3, 2), (2, 1), (1, 0)), {"groups": 2}, [(2, 7, 6, 4)]),
    ("Conv3d", (4, 6, 2), {}, [(2, 4, 5, 6, 4)]),
    ("ConvTranspose1d", (4, 6, 3, 2, 1, 1, 1), {}, [(2, 7, 4)]),
    ("ConvTranspose2d", (4, 6, 3, 2, 1), {"output_padding": 1}, [(2, 4, 5, 4)]),
    ("ConvTranspose3d", (4, 6, 2), {}, [(1, 3, 4, 2, 4)]),
    ("QuantizedLinear", (64, 8), {}, [(2, 64)]),
    ("QuantizedLinear", (64, 8, False, 32, 8), {}, [(2, 64)]),
    ("QuantizedEmbedding", (9, 64), {}, [ints(1, 8)]),
    ("PReLU", (), {}, [(3, 4)]),
    ("PReLU", (4,), {}, [(3, 4)]),
    ("GELU", ("fast",), {}, [(3, 4)]),
    ("GELU", ("tanh",), {}, [(3, 4)]),
    ("CELU", (0.7,), {}, [(3, 4)]),
    ("ELU", (0.7,), {}, [(3, 4)]),
    ("HardShrink", (0.2,), {}, [(3, 4)]),
    ("Softshrink", (0.2,), {}, [(3, 4)]),
    ("LeakyReLU", (0.2,), {}, [(3, 4)]),
    ("Step", (0.2,), {}, [(3, 4)]),
    ("GLU", (0,), {}, [(4, 3)]),
]
ACTIVATIONS = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "HardShrink",
    "HardTanh",
    "Hardswish",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "ReLU",
    "ReLU2",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Step",
    "Tanh",
]
LAYERS += [(name, (), {}, [(3, 4)]) for name in ACTIVATIONS]
for scale in (2, 1.5, 0.5, 2.7, 0.4, (2, 0.7)):
    shape = (2, 7, 9, 3) if isinstance(scale, tuple) else (2, 7, 3)
    for mode in ("nearest", "linear", "cubic"):
        LAYERS.append(("Upsample", (scale, mode), {}, [shape]))
    for mode in ("linear", "cubic"):
        LAYERS.append(("Upsample", (scale, mode, True), {}, [shape]))
        LAYERS.append(("Upsample", (scale, mode, False, True), {}, [shape]))


def layer_id(case):
    name, args, kwargs, inputs = case
    words = [str(a) for a in args] + [f"{k}={v}" for k, v in kwargs.items()]
    shapes = [str(i) if isinstance(i, tuple) else str(getattr(i, "shape", i)) for i in inputs]
    return f"{name}({', '.join(words)}) of {' '.join(shapes)}"


def make_inputs(inputs, dtype=mx.float32):
    return [
        data(*x, seed=7 + i).astype(dtype) if isinstance(x, tuple) else x
        for i, x in enumerate(inputs)
    ]


# Layers that act differently in training and evaluation, and change in training.
MODAL = ("BatchNorm", "Dropout", "Dropout2d", "Dropout3d")


def modes(case):
    return (True, False) if case[0] in MODAL else (True,)


def layer_key(case, training):
    return layer_id(case) + ("" if training else ", evaluation")


def _is_float(x):
    return isinstance(x, mx.array) and mx.issubdtype(x.dtype, mx.floating)


def scalar(out):
    """A number that depends on every element of a layer's result."""
    out = out[0] * 2 + out[1] if isinstance(out, tuple) else out
    out = out.astype(mx.float32)
    return (out * mx.cos(mx.arange(out.size)).reshape(out.shape)).sum()


def run_layer(case, training=True):
    """Everything about a layer that must be the same, as a tree."""
    name, args, kwargs, inputs = case
    mx.random.seed(11)
    layer = getattr(nn, name)(*args, **kwargs).train(training)
    inputs = make_inputs(inputs)
    result = {"parameters": layer.parameters()}
    out = layer(*inputs)
    result["out"] = list(out) if isinstance(out, tuple) else out
    result["next_random"] = mx.random.uniform()
    if name in MODAL:
        result["after"] = layer.parameters()
    if tree_flatten(layer.trainable_parameters()):
        grads = nn.value_and_grad(layer, lambda *xs: scalar(layer(*xs)))(*inputs)[1]
        result["gradients"] = grads
    floats = [i for i, x in enumerate(inputs) if _is_float(x)]
    if floats:
        argnums = floats if len(floats) > 1 else floats[0]
        grad = mx.grad(lambda *xs: scalar(layer(*xs)), argnums=argnums)(*inputs)
        result["input_gradients"] = list(grad) if isinstance(grad, tuple) else [grad]
    return result


def one_of_each():
    """One case of each layer."""
    return list({case[0]: case for case in reversed(LAYERS)}.values())


def can_be_trained(case):
    name, args, kwargs, _ = case
    return bool(tree_flatten(getattr(nn, name)(*args, **kwargs).trainable_parameters()))


TRAINING_STEPS = 10


def run_training(case):
    """A layer's parameters after ten steps of Adam that make its result follow a target."""
    name, args, kwargs, inputs = case
    mx.random.seed(11)
    layer = getattr(nn, name)(*args, **kwargs)
    inputs = make_inputs(inputs)
    optimizer = optim.Adam(0.01)

    def loss(*xs):
        out = layer(*xs)
        out = out[0] * 2 + out[1] if isinstance(out, tuple) else out
        target = mx.cos(mx.arange(out.size)).reshape(out.shape)
        return ((out - target) ** 2).mean()

    step = nn.value_and_grad(layer, loss)
    losses = []
    for _ in range(TRAINING_STEPS):
        value, grads = step(*inputs)
        optimizer.update(layer, grads)
        mx.eval(layer.state, optimizer.state)
        losses.append(value)
    return {"losses": mx.stack(losses), "parameters": layer.parameters()}


def _probabilities(*shape):
    return mx.softmax(data(*shape, seed=3), axis=-1)


def loss_cases():
    """(name, arrays, keyword arguments)"""
    x, y, z = data(3, 4), data(3, 4, seed=8), data(3, 4, seed=9)
    classes = ints(0, 3, 1)
    bits = ints([0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1])
    return [
        ("cross_entropy", [x, classes], {}),
        ("cross_entropy", [x, classes], {"label_smoothing": 0.2, "weights": mx.abs(data(3))}),
        ("cross_entropy", [x, _probabilities(3, 4)], {"label_smoothing": 0.2}),
        ("cross_entropy", [data(2, 3, 4), ints([0, 2, 1, 0], [1, 1, 2, 0])], {"axis": 1}),
        ("cross_entropy", [data(2, 3, 4), _probabilities(2, 3, 4)], {"axis": 1}),
        ("binary_cross_entropy", [x, bits], {}),
        ("binary_cross_entropy", [x, bits], {"weights": mx.abs(y)}),
        ("binary_cross_entropy", [mx.sigmoid(x), bits], {"with_logits": False}),
        ("l1_loss", [x, y], {}),
        ("mse_loss", [x, y], {}),
        ("nll_loss", [x, classes], {}),
        ("gaussian_nll_loss", [x, y, mx.abs(z)], {}),
        ("gaussian_nll_loss", [x, y, mx.abs(z)], {"full": True, "eps": 0.3}),
        ("kl_div_loss", [x, y], {}),
        ("kl_div_loss", [x, y], {"axis": 0}),
        ("smooth_l1_loss", [x, y], {}),
        ("smooth_l1_loss", [x, y], {"beta": 0.3}),
        ("huber_loss", [x, y], {}),
        ("huber_loss", [x, y], {"delta": 0.4}),
        ("log_cosh_loss", [x, y], {}),
        ("hinge_loss", [x, mx.sign(y)], {}),
        ("triplet_loss", [x, y, z], {}),
        ("triplet_loss", [x, y, z], {"p": 3, "axis": 0, "margin": 0.3}),
        ("triplet_loss", [x, y, z], {"p": 1}),
        ("cosine_similarity_loss", [x, y], {}),
        ("cosine_similarity_loss", [x, y], {"axis": 0}),
        ("margin_ranking_loss", [x, y, mx.sign(z)], {"margin": 0.2}),
    ]


def loss_id(case):
    name, arrays, kwargs = case
    words = [str(x.shape) for x in arrays]
    words += [f"{k}={'...' if isinstance(v, mx.array) else v}" for k, v in kwargs.items()]
    return f"{name}({', '.join(words)})"


def run_loss(name, arrays, kwargs):
    loss = getattr(nn.losses, name)
    return {
        "none": loss(*arrays, **kwargs, reduction="none"),
        "mean": loss(*arrays, **kwargs, reduction="mean"),
        "sum": loss(*arrays, **kwargs, reduction="sum"),
        "default": loss(*arrays, **kwargs),
        "gradient": mx.grad(lambda x: loss(x, *arrays[1:], **kwargs, reduction="sum"))(arrays[0]),
    }


INITIALISERS = [
    ("constant", (0.4,)),
    ("normal", (0.5, 2.0)),
    ("uniform", (-1.0, 3.0)),
    ("glorot_normal", ()),
    ("glorot_uniform", ()),
    ("he_normal", ()),
    ("he_uniform", ()),
    ("sparse", (0.4,)),
    ("identity", ()),
    ("orthogonal", (2.0,)),
]


def run_initialiser(name, args):
    result = {}
    shapes = [(4, 4)] if name == "identity" else [(3, 5), (5, 3)]
    for shape in shapes:
        mx.random.seed(5)
        result[f"{shape}"] = getattr(nn.init, name)(*args)(mx.zeros(shape))
        result[f"{shape} next"] = mx.random.uniform()
    return result


# (name, arguments); a string stands for the schedule of that name
OPTIMIZERS = [
    ("SGD", (0.1,)),
    ("SGD", (0.1, 0.9)),
    ("SGD", (0.1, 0.9, 0.01, 0.1)),
    ("SGD", (0.1, 0.9, 0.01, 0.0, True)),
    ("Adam", (0.1,)),
    ("Adam", (0.1, [0.9, 0.99], 1e-8, True)),
    ("AdamW", (0.1,)),
    ("AdamW", (0.1, [0.9, 0.99], 1e-6, 0.1, True)),
    ("Adamax", (0.1,)),
    ("Adagrad", (0.1,)),
    ("AdaDelta", (0.1,)),
    ("RMSprop", (0.1,)),
    ("Lion", (0.1,)),
    ("Lion", (0.1, [0.9, 0.99], 0.1)),
    ("Muon", (0.1,)),
    ("Muon", (0.1, 0.9, 0.0, False, 3)),
    ("Adafactor", ()),
    ("Adafactor", (0.1, (1e-30, 1e-3), 1.0, -0.8, 0.9, 0.1, False, False)),
    ("Adafactor", (None, (1e-30, 1e-3), 1.0, -0.8, None, 0.0, True, True, True)),
    ("SGD", ("cosine_decay",)),
    ("Adam", ("linear_schedule",)),
    ("Adam", ("join_schedules",)),
    ("SGD", ("step_decay",)),
    ("SGD", ("exponential_decay",)),
]


def make_schedule(name):
    return {
        "cosine_decay": lambda: optim.cosine_decay(0.1, 7, 0.02),
        "linear_schedule": lambda: optim.linear_schedule(0, 0.1, 5),
        "join_schedules": lambda: optim.join_schedules(
            [optim.linear_schedule(0, 0.1, 3), optim.cosine_decay(0.1, 5)], [3]
        ),
        "step_decay": lambda: optim.step_decay(0.1, 0.5, 3),
        "exponential_decay": lambda: optim.exponential_decay(0.1, 0.9),
    }[name]()


def make_optimizer(name, args):
    args = [make_schedule(a) if isinstance(a, str) else a for a in args]
    return getattr(optim, name)(*args)


def start():
    return {"w": data(5, 3), "b": [data(3, seed=1), {"c": data(2, 3, 2, 2, seed=2)}]}


def gradients_at(parameters, step):
    return tree_map(lambda x: mx.cos(x * 3 + step), parameters)


def run_optimizer(name, args, steps=10):
    optimizer = make_optimizer(name, args)
    parameters = start()
    for step in range(steps):
        parameters = optimizer.apply_gradients(gradients_at(parameters, step), parameters)
    return {"parameters": parameters, "state": optimizer.state}


def _argument(parameter):
    stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
    only = "(keyword) " if parameter.kind.name == "KEYWORD_ONLY" else ""
    value = parameter.default
    if value is inspect.Parameter.empty:
        return f"{only}{stars}{parameter.name}"
    plain = isinstance(value, (bool, int, float, str, list, tuple, type(None)))
    return f"{only}{parameter.name}={value!r}" if plain else f"{only}{parameter.name}=..."


def signature(path):
    """The arguments, without types, of what stands at a path such as "mlx.nn.relu"."""
    thing = mlx
    for name in path.split(".")[1:]:
        thing = getattr(thing, name)
    if isinstance(thing, property):
        return "property"
    return ", ".join(map(_argument, inspect.signature(thing).parameters.values()))


def public_paths():
    """Of every class, method and function that the package defines."""
    packages = [mlx.nn, optim]
    modules = [mlx.utils, nn.init, nn.losses, nn.utils]
    modules += [nn.layers.distributed, nn.layers.upsample]
    found = []

    for module in packages + modules:
        package = module in packages
        for name, thing in vars(module).items():
            home = getattr(thing, "__module__", None) or ""
            here = home.startswith(module.__name__) if package else home == module.__name__
            if name.startswith("_") or not callable(thing) or not here:
                continue
            path = f"{module.__name__}.{name}"
            if not isinstance(thing, type):
                found.append(path)
            elif package:
                for member, value in vars(thing).items():
                    if member.startswith("_") and member not in ("__init__", "__call__"):
                        continue
                    if isinstance(value, property) or callable(getattr(thing, member)):
                        found.append(f"{path}.{member}")
    return found


def digest(tree):
    """A tree of arrays as {path: [type, shape, sum, weighted sum, first value]}."""
    result = {}
    for path, value in sorted(tree_flatten(tree), key=lambda item: item[0]):
        dtype = str(value.dtype).split(".")[-1]
        flat = np.array(value.astype(mx.float32) if dtype == "bfloat16" else value)
        flat = flat.astype(np.float64).reshape(-1)
        weights = np.cos(np.arange(flat.size) * 0.7 + 0.3)
        numbers = [flat.sum(), (flat * weights).sum(), *flat[:1]]
        rounded = [float(f"{n:.6g}") for n in numbers]
        result[path] = [dtype, list(value.shape), rounded]
    return result


def check(actual_tree, expected, tolerance):
    """Assert that a tree's digest is the expected one."""
    actual = digest(actual_tree)
    assert list(actual) == list(expected)
    for path, (dtype, shape, numbers) in expected.items():
        got_dtype, got_shape, got = actual[path]
        assert (got_dtype, got_shape) == (dtype, shape), path
        size = max(1.0, float(np.prod(shape)) ** 0.5)
        np.testing.assert_allclose(
            got, numbers, rtol=tolerance, atol=tolerance * size, err_msg=path
        )
