"""A training step of each layer (loss, gradients of parameters and inputs), beside PyTorch's.

    python bench/layers.py --torch /path/to/a/python/with/torch

Each layer is timed in a process of its own, the two libraries in turn; the median of `--seconds` is
printed as a Markdown table in milliseconds. PyTorch gets channels first, its own order.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

# name: (class here, arguments, class there, arguments there, shape here, is an image or sequence)
DENSE, IMAGE = (256, 512), (16, 32, 32, 64)
SEQUENCE = (32, 64, 128)
LAYERS = {
    "Linear": ("Linear", (512, 512), "Linear", (512, 512), DENSE),
    "Bilinear": ("Bilinear", (32, 32, 64), "Bilinear", (32, 32, 64), (256, 32)),
    "Embedding": ("Embedding", (5000, 256), "Embedding", (5000, 256), (32, 64)),
    "Conv1d": ("Conv1d", (64, 64, 5), "Conv1d", (64, 64, 5), (16, 256, 64)),
    "Conv2d": ("Conv2d", (64, 64, 3), "Conv2d", (64, 64, 3), IMAGE),
    "Conv3d": ("Conv3d", (16, 16, 3), "Conv3d", (16, 16, 3), (4, 16, 16, 16, 16)),
    "ConvTranspose2d": (
        "ConvTranspose2d",
        (64, 32, 2, 2),
        "ConvTranspose2d",
        (64, 32, 2, 2),
        IMAGE,
    ),
    "MaxPool2d": ("MaxPool2d", (2,), "MaxPool2d", (2,), IMAGE),
    "AvgPool2d": ("AvgPool2d", (2,), "AvgPool2d", (2,), IMAGE),
    "BatchNorm": ("BatchNorm", (64,), "BatchNorm2d", (64,), IMAGE),
    "LayerNorm": ("LayerNorm", (512,), "LayerNorm", (512,), (2048, 512)),
    "RMSNorm": ("RMSNorm", (512,), "RMSNorm", (512,), (2048, 512)),
    "GroupNorm": ("GroupNorm", (8, 64), "GroupNorm", (8, 64), IMAGE),
    "InstanceNorm": ("InstanceNorm", (64,), "InstanceNorm2d", (64,), IMAGE),
    "Dropout": ("Dropout", (0.5,), "Dropout", (0.5,), (2048, 512)),
    "GELU": ("GELU", (), "GELU", (), (2048, 512)),
    "SiLU": ("SiLU", (), "SiLU", (), (2048, 512)),
    "PReLU": ("PReLU", (), "PReLU", (), (2048, 512)),
    "Softmax": ("Softmax", (), "Softmax", (-1,), (2048, 512)),
    "RNN": ("RNN", (128, 256), "RNN", (128, 256), SEQUENCE),
    "GRU": ("GRU", (128, 256), "GRU", (128, 256), SEQUENCE),
    "LSTM": ("LSTM", (128, 256), "LSTM", (128, 256), SEQUENCE),
    "LSTM, batch 1": ("LSTM", (128, 256), "LSTM", (128, 256), (1, 64, 128)),
    "MultiHeadAttention": (
        "MultiHeadAttention",
        (256, 8),
        "MultiheadAttention",
        (256, 8),
        (8, 128, 256),
    ),
    "TransformerEncoderLayer": (
        "TransformerEncoderLayer",
        (256, 8, 1024),
        "TransformerEncoderLayer",
        (256, 8, 1024, 0.0),
        (8, 128, 256),
    ),
    "Upsample, linear": ("Upsample", (2, "linear"), "Upsample", (None, 2, "bilinear"), IMAGE),
}
CHANNELS_LAST = ("Conv", "Pool", "BatchNorm", "GroupNorm", "InstanceNorm", "Upsample")


def median(step, seconds):
    for _ in range(3):
        step()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def mica(name, seconds):
    import mlx.core as mx
    from mlx import nn

    kind, args, _, _, shape = LAYERS[name]
    layer = getattr(nn, kind)(*args)
    integers = kind == "Embedding"
    x = mx.random.randint(0, args[0], shape) if integers else mx.random.normal(shape)
    inputs = {
        "Bilinear": [x, x],
        "MultiHeadAttention": [x] * 3,
        "TransformerEncoderLayer": [x, None],
    }

    def loss(parameters, x):
        if parameters:
            layer.update(parameters)
        given = [x if i is not None else None for i in inputs.get(kind, [x])]
        out = layer(*given)
        return (out[0] if isinstance(out, tuple) else out).sum()

    grad = mx.value_and_grad(loss, argnums=(0,) if integers else (0, 1))
    parameters = layer.trainable_parameters()
    mx.eval(parameters, x)
    return median(lambda: mx.eval(grad(parameters, x)), seconds)


def pytorch(name, seconds):
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    kind, _, there, args, shape = LAYERS[name]
    batch = (
        {"batch_first": True}
        if any(k in there for k in ("RNN", "GRU", "LSTM", "ead", "former"))
        else {}
    )
    layer = getattr(torch.nn, there)(*args, **batch)
    if any(k in kind for k in CHANNELS_LAST):
        shape = (shape[0], shape[-1], *shape[1:-1])
    integers = kind == "Embedding"
    x = torch.randint(args[0], shape) if integers else torch.randn(shape, requires_grad=True)

    def step():
        layer.zero_grad()
        x.grad = None
        count = {"Bilinear": 2, "MultiHeadAttention": 3}.get(kind, 1)
        out = layer(*[x] * count)
        (out[0] if isinstance(out, tuple) else out).sum().backward()

    return median(step, seconds)


def measure(python, library, name, seconds):
    command = [python, __file__, "--only", library, name, "--seconds", str(seconds)]
    # The C library keeps freed memory, as Mica does: fresh pages would be most of PyTorch's time.
    keep = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 34)}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **keep}
    )
    return json.loads(done.stdout) if done.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", default=sys.executable, help="a Python that has torch")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--layers", nargs="*", default=list(LAYERS))
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        library, name = options.only
        print({"mica": mica, "torch": pytorch}[library](name, options.seconds))
        return
    print("| layer | input | Mica | PyTorch | PyTorch / Mica |\n|---|---|---|---|---|")
    for name in options.layers:
        ours = measure(sys.executable, "mica", name, options.seconds)
        theirs = measure(options.torch, "torch", name, options.seconds)
        ratio = f"{theirs / ours:.2f}" if ours and theirs else "-"
        cells = [f"{t:.2f}" if t else "-" for t in (ours, theirs)]
        shape = " x ".join(map(str, LAYERS[name][4]))
        print(f"| {name} | {shape} | {cells[0]} | {cells[1]} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
