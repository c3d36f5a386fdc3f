"""Uses of the public API that must pass `mypy --strict`; also run, so that they are true."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import mlx.optimizers as optim
from mlx import nn
from mlx.utils import tree_flatten, tree_map, tree_unflatten


def arrays() -> mx.array:
    x: mx.array = mx.array([[1.0, 2.0], [3.0, 4.0]], dtype=mx.float32)
    y = mx.zeros((2, 2)) + mx.ones_like(x) * 2 - x / 3
    z = -y @ x.T
    z += 1
    mask: mx.array = (x > 1) & ~(y == 2)
    picked = mx.where(mask, x, 0)
    shape: tuple[int, ...] = picked.shape
    total: mx.array = picked.sum(axis=0, keepdims=True).reshape(-1)
    assert shape == (2, 2) and total.ndim == 1 and isinstance(total.dtype, mx.Dtype)
    return z.astype(mx.float16).squeeze()


def indexing(x: mx.array) -> mx.array:
    first = x[0]
    part = x[:, ::2][..., None]
    taken = x[mx.array([0, 1])]
    x[0] = 1.0
    x[:, 1] = mx.array([5.0, 6.0])
    updated = x.at[0].add(1.0)
    return first.sum() + part.sum() + taken.sum() + updated.sum()


def transformations() -> float:
    def loss(w: mx.array, x: mx.array) -> mx.array:
        return ((w * x) ** 2).sum()

    w, x = mx.array([1.0, 2.0]), mx.array([3.0, 4.0])
    gradient: mx.array = mx.grad(loss)(w, x)
    value, both = mx.value_and_grad(loss, argnums=(0, 1))(w, x)
    mapped = mx.vmap(loss, in_axes=(0, None))(mx.stack([w, w]), x)
    compiled: Callable[[mx.array, mx.array], mx.array] = mx.compile(loss)
    outs, tangents = mx.jvp(loss, [w, x], [w, x])
    again = mx.checkpoint(loss)(w, x)
    mx.eval(gradient, both, mapped, outs, tangents, again)
    results = [compiled(w, x).item(), value.item()]
    return sum(r for r in results if isinstance(r, float))


def families() -> None:
    key = mx.random.key(3)
    sample = mx.random.normal((4, 4), key=key)
    noise = mx.random.uniform(low=0, high=1, shape=(2,), dtype=mx.float32)
    spectrum = mx.fft.rfft(sample, axis=-1)
    q, r = mx.linalg.qr(sample)
    norm = mx.linalg.norm(sample, axis=1)
    rows = mx.fast.rms_norm(sample, mx.ones(4), 1e-5)
    attended = mx.fast.scaled_dot_product_attention(
        mx.ones((1, 2, 3, 4)), mx.ones((1, 2, 3, 4)), mx.ones((1, 2, 3, 4)), scale=0.5
    )
    mx.eval(noise, spectrum, q, r, norm, rows, attended)
    with mx.stream(mx.cpu):
        a, b = mx.split(sample, 2)
        c = mx.concatenate([a, b], axis=0)
    assert mx.array_equal(c, sample).item()


def files() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "a.safetensors")
        mx.save_safetensors(path, {"x": mx.array([1, 2])})
        loaded = mx.load(path)
        assert isinstance(loaded, dict)
        function = str(Path(folder) / "f.mlxfn")
        mx.export_function(function, lambda x: x + 1, mx.array(1), shapeless=True)


class Net(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(4, width)
        self.second = nn.Linear(width, 2, bias=False)
        self.drop = nn.Dropout(0.1)

    def __call__(self, x: mx.array) -> mx.array:
        return self.second(self.drop(nn.relu(self.first(x))))


def training() -> float:
    model = Net(8)
    optimizer = optim.AdamW(learning_rate=1e-2, weight_decay=0.01)
    x, y = mx.random.normal((16, 4)), mx.zeros((16,), mx.int32)

    def loss_fn(model: Net, x: mx.array, y: mx.array) -> mx.array:
        return nn.losses.cross_entropy(model(x), y, reduction="mean")

    step = nn.value_and_grad(model, loss_fn)
    last = 0.0
    for _ in range(3):
        loss, grads = step(model, x, y)
        optimizer.update(model, grads)
        mx.eval(model.parameters(), optimizer.state)
        last = loss.tolist()
    halves = tree_map(lambda p: p.astype(mx.float16), model.parameters())
    names = [name for name, _ in tree_flatten(halves)]
    model.update(tree_unflatten([(n, p) for n, p in tree_flatten(model.parameters())]))
    assert "first.weight" in names
    model.train()
    model.eval()
    return last


def state() -> int:
    mx.random.seed(0)
    mx.set_default_device(mx.cpu)
    before = mx.get_active_memory()
    mx.clear_cache()
    return before


if __name__ == "__main__":
    arrays()
    indexing(mx.ones((2, 2)))
    transformations()
    families()
    files()
    training()
    state()
