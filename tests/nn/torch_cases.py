"""What is compared with PyTorch: the same arrays go through a layer of each.

A case is two functions of a dict of NumPy arrays, one for each library, that give a dict
of results. `make_torch_expected.py` runs the first ones, test_torch.py the second.
"""

import numpy as np

STEPS = 10


def arrays(name, **shapes):
    random = np.random.RandomState(sum(map(ord, name)))
    return {k: random.randn(*shape).astype(np.float32) * 0.5 for k, shape in shapes.items()}


IMAGE = {"x": (2, 4, 5, 6)}
SHAPES = {
    "linear": {"x": (3, 4), "w": (5, 4), "b": (5,)},
    "rnn": {"x": (2, 5, 3), "wx": (4, 3), "wh": (4, 4), "b": (4,)},
    "lstm": {"x": (2, 5, 3), "wx": (16, 3), "wh": (16, 4), "b": (16,)},
    "gru": {"x": (2, 5, 3), "wx": (12, 3), "wh": (12, 4), "b": (12,), "bh": (4,)},
    "attention": {"x": (2, 3, 8), "in": (24, 8), "out": (8, 8)},
    "layer_norm": {"x": (3, 4), "w": (4,), "b": (4,)},
    "batch_norm": IMAGE,
    "group_norm": IMAGE,
    "instance_norm": IMAGE,
    "conv2d": {**IMAGE, "w": (6, 2, 3, 3), "b": (6,)},
    "conv_transpose2d": {**IMAGE, "w": (4, 6, 3, 3), "b": (6,)},
    "max_pool2d": IMAGE,
    "avg_pool2d": IMAGE,
    "nearest": IMAGE,
    "bilinear": IMAGE,
    "bicubic": IMAGE,
    "bilinear corners": IMAGE,
    "bicubic corners": IMAGE,
    "cross_entropy": {"x": (4, 7)},
    "gelu": {"x": (4, 7)},
    "gelu tanh": {"x": (4, 7)},
    "SGD": {"x": (3, 4)},
    "Adam": {"x": (3, 4)},
    "AdamW": {"x": (3, 4)},
    "Adagrad": {"x": (3, 4)},
    "RMSprop": {"x": (3, 4)},
    "Adadelta": {"x": (3, 4)},
}
CLASSES = [1, 2, 0, 6]


def digest(array):
    """Shape, sum, weighted sum and the first values: enough to tell arrays apart."""
    flat = np.array(array).astype(np.float64).reshape(-1)
    weights = np.cos(np.arange(flat.size) * 0.7 + 0.3)
    numbers = [flat.sum(), (flat * weights).sum(), *flat[:6]]
    return [list(np.shape(array)), [float(f"{n:.6g}") for n in numbers]]


def inputs(name):
    return arrays(name, **SHAPES[name])


def run_torch(name):
    """{"out": ..., "gradient": of x} by PyTorch, in channels-last order."""
    import torch
    from torch import nn
    from torch.nn import functional as f

    a = {k: torch.tensor(v) for k, v in inputs(name).items()}
    x = a["x"].requires_grad_()

    def recurrent(kind, gates):
        layer = getattr(nn, kind)(3, 4, batch_first=True)
        hidden_bias = torch.zeros(4 * gates)
        if "bh" in a:
            hidden_bias[8:] = a["bh"]
        state = {
            "weight_ih_l0": a["wx"],
            "weight_hh_l0": a["wh"],
            "bias_ih_l0": a["b"],
            "bias_hh_l0": hidden_bias,
        }
        layer.load_state_dict(state)
        return layer(x)[0]

    def attention():
        layer = nn.MultiheadAttention(8, 2, bias=False, batch_first=True)
        layer.load_state_dict({"in_proj_weight": a["in"], "out_proj.weight": a["out"]})
        return layer(x, x, x)[0]

    def resize(mode, corners=None):
        return f.interpolate(x, scale_factor=2, mode=mode, align_corners=corners)

    def train(kind, **settings):
        optimizer = getattr(torch.optim, kind)([x], **settings)
        for step in range(STEPS):
            optimizer.zero_grad()
            torch.sin(x * 2 + step).sum().backward()
            optimizer.step()
        return x

    out = {
        "linear": lambda: f.linear(x, a["w"], a["b"]),
        "rnn": lambda: recurrent("RNN", 1),
        "lstm": lambda: recurrent("LSTM", 4),
        "gru": lambda: recurrent("GRU", 3),
        "attention": attention,
        "layer_norm": lambda: f.layer_norm(x, (4,), a["w"], a["b"]),
        "batch_norm": lambda: nn.BatchNorm2d(4)(x),
        "group_norm": lambda: nn.GroupNorm(2, 4)(x),
        "instance_norm": lambda: nn.InstanceNorm2d(4)(x),
        "conv2d": lambda: f.conv2d(x, a["w"], a["b"], 2, 1, groups=2),
        "conv_transpose2d": lambda: f.conv_transpose2d(x, a["w"], a["b"], 2, 1, 1),
        "max_pool2d": lambda: f.max_pool2d(x, 3, 2, 1),
        "avg_pool2d": lambda: f.avg_pool2d(x, 2, 1, 1),
        "nearest": lambda: resize("nearest"),
        "bilinear": lambda: resize("bilinear", False),
        "bicubic": lambda: resize("bicubic", False),
        "bilinear corners": lambda: resize("bilinear", True),
        "bicubic corners": lambda: resize("bicubic", True),
        "cross_entropy": lambda: f.cross_entropy(
            x, torch.tensor(CLASSES), label_smoothing=0.1, reduction="none"
        ),
        "gelu": lambda: f.gelu(x),
        "gelu tanh": lambda: f.gelu(x, approximate="tanh"),
        "SGD": lambda: train("SGD", lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
        "Adam": lambda: train("Adam", lr=0.1),
        "AdamW": lambda: train("AdamW", lr=0.1, weight_decay=0.1),
        "Adagrad": lambda: train("Adagrad", lr=0.1),
        "RMSprop": lambda: train("RMSprop", lr=0.1),
        "Adadelta": lambda: train("Adadelta", lr=0.1),
    }[name]()
    if name[0].isupper():
        return {"out": out.detach().numpy()}
    if out.ndim == 4:
        out = out.permute(0, 2, 3, 1)
    weights = torch.cos(torch.arange(out.numel()).float()).reshape(out.shape)
    (out * weights).sum().backward()
    grad = x.grad.permute(0, 2, 3, 1) if x.ndim == 4 else x.grad
    return {"out": out.detach().numpy(), "gradient": grad.numpy()}


def run_ours(name):
    """The same by this package."""
    import mlx.core as mx
    import mlx.optimizers as optim
    from mlx import nn

    a = {k: mx.array(v) for k, v in inputs(name).items()}
    x = a.pop("x")
    if x.ndim == 4:
        x = x.transpose(0, 2, 3, 1)

    def filled(layer, **parameters):
        return layer.update(parameters)

    def rnn():
        return filled(nn.RNN(3, 4), Wxh=a["wx"], Whh=a["wh"], bias=a["b"])

    def attention():
        q, k, v = mx.split(a["in"], 3)
        weights = {"query_proj": q, "key_proj": k, "value_proj": v, "out_proj": a["out"]}
        layer = nn.MultiHeadAttention(8, 2)
        layer.update({key: {"weight": w} for key, w in weights.items()})
        return lambda x: layer(x, x, x)

    def train(optimizer):
        p = {"x": x}
        for step in range(STEPS):
            grads = mx.grad(lambda p, step=step: mx.sin(p["x"] * 2 + step).sum())(p)
            p = optimizer.apply_gradients(grads, p)
        return p["x"]

    optimizers = {
        "SGD": lambda: optim.SGD(0.1, 0.9, 0.01, 0, True),
        "Adam": lambda: optim.Adam(0.1, bias_correction=True),
        "AdamW": lambda: optim.AdamW(0.1, weight_decay=0.1, bias_correction=True),
        "Adagrad": lambda: optim.Adagrad(0.1),
        "RMSprop": lambda: optim.RMSprop(0.1),
        "Adadelta": lambda: optim.AdaDelta(0.1),
    }
    if name in optimizers:
        return {"out": train(optimizers[name]())}

    layer = {
        "linear": lambda: filled(nn.Linear(4, 5), weight=a["w"], bias=a["b"]),
        "rnn": rnn,
        "lstm": lambda: filled(nn.LSTM(3, 4), Wx=a["wx"], Wh=a["wh"], bias=a["b"]),
        "gru": lambda: filled(nn.GRU(3, 4), Wx=a["wx"], Wh=a["wh"], b=a["b"], bhn=a["bh"]),
        "attention": attention,
        "layer_norm": lambda: filled(nn.LayerNorm(4), weight=a["w"], bias=a["b"]),
        "batch_norm": lambda: nn.BatchNorm(4),
        "group_norm": lambda: nn.GroupNorm(2, 4, pytorch_compatible=True),
        "instance_norm": lambda: nn.InstanceNorm(4),
        "conv2d": lambda: filled(
            nn.Conv2d(4, 6, 3, 2, 1, groups=2), weight=a["w"].transpose(0, 2, 3, 1), bias=a["b"]
        ),
        "conv_transpose2d": lambda: filled(
            nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1),
            weight=a["w"].transpose(1, 2, 3, 0),
            bias=a["b"],
        ),
        "max_pool2d": lambda: nn.MaxPool2d(3, 2, 1),
        "avg_pool2d": lambda: nn.AvgPool2d(2, 1, 1),
        "nearest": lambda: nn.Upsample(2),
        "bilinear": lambda: nn.Upsample(2, "linear"),
        "bicubic": lambda: nn.Upsample(2, "cubic"),
        "bilinear corners": lambda: nn.Upsample(2, "linear", True),
        "bicubic corners": lambda: nn.Upsample(2, "cubic", True),
        "cross_entropy": lambda: (
            lambda x: nn.losses.cross_entropy(x, mx.array(CLASSES), label_smoothing=0.1)
        ),
        "gelu": nn.GELU,
        "gelu tanh": lambda: nn.GELU("tanh"),
    }[name]()

    def call(x):
        out = layer(x)
        return out[0] if isinstance(out, tuple) else out

    out = call(x)
    weights = mx.cos(mx.arange(out.size)).reshape(out.shape)
    return {"out": out, "gradient": mx.grad(lambda x: (call(x) * weights).sum())(x)}
