"""A second device with memory of its own, emulated: what Python programs see of it. The whole table of
cases and the C++ tests run on it, too (tools/test)."""

import os
import subprocess
import sys

PROGRAM = r"""
import threading
import numpy as np
import mlx.core as mx, mlx.nn as nn, mlx.optimizers as optim
from mlx.utils import tree_flatten

assert mx.default_device() == mx.gpu and mx.is_available(mx.gpu)
assert mx.device_count(mx.gpu) == 2 and mx.device_info(mx.gpu)["architecture"] == "emulated"
assert not mx.cuda.is_available() and not mx.metal.is_available()

# NumPy, DLPack, item, buffers and printing read what lies on the device
x = mx.arange(6, dtype=mx.float32).reshape(2, 3) * 2
assert (np.array(x) == np.arange(6).reshape(2, 3) * 2).all()
y = x + 1
assert (np.from_dlpack(y) == np.array(x) + 1).all() and memoryview(x + 0)[1, 2] == 10
assert (x[1, 2]).item() == 10 and (x * 3).tolist()[1] == [18, 24, 30]
assert repr(x + 0) == "array([[0, 2, 4],\n       [6, 8, 10]], dtype=float32)"
x[0, 1] = 7
assert (x * 1).tolist()[0] == [0, 7, 4]

# a training step is the same on both devices and on their mixture
def train(device, mixed=False):
    with mx.stream(device):
        mx.random.seed(3)
        model = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 1))
        mx.eval(model.parameters())
        opt = optim.AdamW(1e-2)
        data = mx.random.normal((32, 8))
        def loss_fn(model, x):
            h = model(x)
            if mixed:
                h = mx.sort(h, axis=0, stream=mx.cpu)
            return (h * h).mean()
        step = nn.value_and_grad(model, loss_fn)
        def update(x):
            loss, grads = step(model, x)
            opt.update(model, grads)
            return loss
        if not mixed:
            update = mx.compile(update, inputs=[model.state, opt.state],
                                outputs=[model.state, opt.state])
        losses = []
        for _ in range(5):
            loss = update(data)
            mx.eval(loss, model.parameters(), opt.state)
            losses.append(loss.item())
    return losses
on_cpu, on_gpu, both = train(mx.cpu), train(mx.gpu), train(mx.gpu, True)
np.testing.assert_allclose(on_cpu, on_gpu, 1e-5)
np.testing.assert_allclose(on_cpu, both, 1e-5)
assert on_cpu[-1] < on_cpu[0]

# the second device, its streams, threads
second = mx.Device(mx.gpu, 1)
s = mx.new_stream(second)
a = mx.exp(mx.ones((3,)), stream=s)
b = mx.add(a, mx.sort(a, stream=mx.cpu), stream=mx.Device(mx.gpu, 0))
mx.async_eval(b)
np.testing.assert_allclose(np.array(b), 2 * np.exp(np.ones(3)), 1e-6)
found = []
def work(k):
    v = mx.sum(mx.exp(mx.full((100,), float(k))), stream=s)
    found.append((k, v.item()))
threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
[t.start() for t in threads]; [t.join() for t in threads]
for k, v in found:
    np.testing.assert_allclose(v, 100 * np.exp(k), 1e-5)
mx.synchronize(s)

# an error on the queue comes to who evaluates, with the line
try:
    mx.eval(mx.take(mx.ones((3,)) * 2, mx.array([5])))
    raise SystemExit("no error")
except IndexError as error:
    assert "made at <string>" in str(error), error
print("fine")
"""


def test_programs_run_on_a_second_device():
    env = {**os.environ, "MLX_EMULATE_GPU": "2"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        check=False,
        capture_output=True,
        text=True,
        env=env,
        timeout=120,
    )
    assert done.returncode == 0 and done.stdout == "fine\n", done.stderr[-3000:]
