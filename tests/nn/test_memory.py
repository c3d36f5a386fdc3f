"""A training step leaves nothing behind, whether or not the garbage collector runs."""

import gc

import mlx.core as mx
import mlx.optimizers as optim
from mlx import nn


def test_training_holds_memory_flat():
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 5))
    optimizer = optim.Adam(1e-3)
    x = mx.random.normal((32, 20))
    y = mx.random.randint(0, 5, (32,))

    def loss(model, x, y):
        return nn.losses.cross_entropy(model(x), y, reduction="mean")

    step = nn.value_and_grad(model, loss)
    active, peak = [], []
    gc.disable()
    try:
        for _ in range(200):
            mx.reset_peak_memory()
            value, grads = step(model, x, y)
            optimizer.update(model, grads)
            mx.eval(value, model.parameters(), optimizer.state)
            active.append(mx.get_active_memory())
            peak.append(mx.get_peak_memory())
    finally:
        gc.enable()
    assert len(set(active[10:])) == 1, sorted(set(active[10:]))
    assert len(set(peak[10:])) == 1, sorted(set(peak[10:]))
