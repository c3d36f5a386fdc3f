"""The core's recurrences: values and derivatives against the loop that they replace."""

import os
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest
from mlx import nn

KINDS = ["tanh", "relu", "gru", "lstm"]
GATES = {"tanh": 1, "relu": 1, "gru": 3, "lstm": 4}


def loop(kind, x, w, hidden, extra):
    """The recurrence, step by step, by other operations."""
    size = w.shape[1]
    states, cells, h = [], [], hidden
    cell = extra
    for t in range(x.shape[-2]):
        total, q = x[..., t, :], h @ w.T
        if kind == "gru":
            r, z = mx.split(mx.sigmoid((total + q)[..., : 2 * size]), 2, -1)
            n = mx.tanh(total[..., 2 * size :] + r * (q[..., 2 * size :] + extra))
            h = (1 - z) * n + z * h
        elif kind == "lstm":
            i, f, g, o = mx.split(total + q, 4, -1)
            cell = mx.sigmoid(f) * cell + mx.sigmoid(i) * mx.tanh(g)
            h = mx.sigmoid(o) * mx.tanh(cell)
            cells.append(cell)
        else:
            h = (mx.tanh if kind == "tanh" else nn.relu)(total + q)
        states.append(h)
    out = [mx.stack(states, -2)]
    return [*out, mx.stack(cells, -2)] if cells else out


def core(kind, x, w, hidden, extra):
    name = {"lstm": "cell", "gru": "bias"}.get(kind)
    return mx._recurrent(kind, x, w, hidden, **({name: extra} if name else {}))


def arrays(kind, batch, length, size, dtype=mx.float32):
    mx.random.seed(batch * 100 + length * 10 + size)
    gates = GATES[kind]
    lead = () if batch is None else (batch,)
    extra = (size,) if kind == "gru" else (*lead, size)
    shapes = [(*lead, length, gates * size), (gates * size, size), (*lead, size), extra]
    return [(mx.random.normal(s) * size**-0.5).astype(dtype) for s in shapes]


def scalar(outputs):
    return sum((o * mx.sin(mx.arange(o.size)).reshape(o.shape)).sum() for o in outputs)


def close(actual, expected, tolerance=2e-5):
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# Rows that fill vectors and that don't; batches of one group and of several.
SHAPES = [(1, 1, 1), (2, 3, 4), (3, 5, 17), (9, 4, 32), (40, 3, 19), (33, 2, 16)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients(kind, shape):
    inputs = arrays(kind, *shape)
    close(core(kind, *inputs), loop(kind, *inputs))
    argnums = (0, 1, 2) if kind in ("tanh", "relu") else (0, 1, 2, 3)
    gradients = [
        mx.grad(lambda *xs, f=f: scalar(f(kind, *xs)), argnums=argnums)(*inputs)
        for f in (core, loop)
    ]
    close(*gradients, 1e-4)
    one = mx.grad(lambda w: scalar(core(kind, inputs[0], w, *inputs[2:])))(inputs[1])
    close([one], [gradients[1][1]], 1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_tangents(kind):
    inputs = arrays(kind, 2, 4, 5)
    tangents = [mx.cos(x * 3) for x in inputs]
    results = [mx.jvp(lambda *xs, f=f: f(kind, *xs), inputs, tangents)[1] for f in (core, loop)]
    close(*results, 1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives(kind):
    inputs = arrays(kind, 2, 3, 4)

    def curvature(f):
        first = mx.grad(lambda *xs: scalar(f(kind, *xs)), argnums=(0, 1, 2))
        return mx.grad(lambda *xs: scalar(first(*xs)), argnums=(0, 1, 2))(*inputs)

    close(curvature(core), curvature(loop), 1e-3)


@pytest.mark.parametrize("axes", [(0, None, 0, 0), (1, None, None, None), (0, 0, 0, 0)])
@pytest.mark.parametrize("kind", KINDS)
def test_vmap(kind, axes):
    inputs = arrays(kind, 3, 4, 5)
    if kind == "gru" and axes[1] is None:
        axes = (*axes[:3], None)
    batched = [
        x if a is None else mx.stack([x, x * 0.5, x + 0.1], a)
        for x, a in zip(inputs, axes, strict=True)
    ]
    argnums = (0, 1, 2)

    def both(f):
        gradient = mx.grad(lambda *xs: scalar(f(kind, *xs)), argnums=argnums)
        call = lambda *xs: (*f(kind, *xs), *gradient(*xs))
        return mx.vmap(call, in_axes=axes)(*batched)

    close(both(core), both(loop), 1e-4)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_rounded_once(kind, dtype):
    inputs = arrays(kind, 3, 20, 8, dtype)
    actual = core(kind, *inputs)
    expected = core(kind, *(x.astype(mx.float32) for x in inputs))
    for a, b in zip(actual, expected, strict=True):
        assert a.dtype == dtype and mx.array_equal(a, b.astype(dtype))


@pytest.mark.parametrize("kind", KINDS)
def test_other_dtypes(kind):
    inputs = arrays(kind, 2, 3, 4)
    with mx.stream(mx.cpu):
        doubles = [x.astype(mx.float64) for x in inputs]
        out = core(kind, *doubles)
        assert out[0].dtype == mx.float64
        close([o.astype(mx.float32) for o in out], core(kind, *inputs))


@pytest.mark.parametrize("kind", KINDS)
def test_shapes(kind):
    x, w, hidden, extra = arrays(kind, 6, 3, 4)
    flat = core(kind, x, w, hidden, extra)
    split = core(
        kind,
        x.reshape(2, 3, 3, -1),
        w,
        hidden.reshape(2, 3, 4),
        extra if kind == "gru" else extra.reshape(2, 3, 4),
    )
    close([s.reshape(6, 3, 4) for s in split], flat, 0)
    # No batch axis; one state for a whole batch; strided operands.
    one = core(kind, x[0], w, hidden[0], extra if kind == "gru" else extra[0])
    close([o[None] for o in one], [f[:1] for f in flat], 1e-6)
    shared = core(kind, x, w, hidden[0], extra)
    close(shared, core(kind, x, w, mx.broadcast_to(hidden[0], (6, 4)), extra), 0)
    strided = mx.repeat(x, 2, axis=-1)[..., ::2]
    close(core(kind, strided, mx.array(np.array(w.T)).T, hidden, extra), flat, 1e-6)
    assert core(kind, x[:0], w, None, extra[:0] if kind != "gru" else extra)[0].shape == (0, 3, 4)
    none = (x[:0], w, hidden[:0], extra if kind == "gru" else extra[:0])
    assert not mx.grad(lambda *xs: scalar(core(kind, *xs)), argnums=1)(*none).any()
    with pytest.raises(ValueError, match=r"shape \(7,4\) does not fit sequences of shape \(6,3,"):
        core(kind, x, w, mx.ones((7, 4)), extra)
    with pytest.raises(ValueError, match="sequence is empty"):
        core(kind, x[:, :0], w, hidden, extra)
    with pytest.raises(ValueError, match=r"\(6,3,"):
        core(kind, x[..., 1:], w, hidden, extra)
    with pytest.raises(ValueError, match=r"4 features, not the shape \(6,3\)"):
        core(kind, x, w, hidden[:, 1:], extra)


@pytest.mark.parametrize("kind", ["tanh", "lstm"])
def test_bits_do_not_depend_on_neighbours_in_the_batch(kind):
    """A batch cut into groups of the same size gives each sequence the same bits."""
    inputs = arrays(kind, 32, 5, 24)
    whole = core(kind, *inputs)
    half = core(kind, *(x[:16] if i != 1 else x for i, x in enumerate(inputs)))
    for a, b in zip(whole, half, strict=True):
        assert mx.array_equal(a[:16], b)


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_layer_is_one_operation_however_long(layer, monkeypatch):
    calls, inner = [], mx._recurrent
    monkeypatch.setattr(mx, "_recurrent", lambda *a, **k: calls.append(a[0]) or inner(*a, **k))
    monkeypatch.delattr(mx, "split")
    mx.eval(layer(3, 4)(mx.ones((2, 100, 3))))
    assert len(calls) == 1


def test_relu_layer():
    mx.random.seed(0)
    by_core, by_loop = nn.RNN(3, 8, nonlinearity=nn.relu), None
    by_loop = nn.RNN(3, 8, nonlinearity=lambda x: mx.maximum(x, 0))
    by_loop.update(by_core.parameters())
    x = mx.random.normal((4, 6, 3))
    close([by_core(x)], [by_loop(x)], 1e-6)


PROGRAM = """
import hashlib
import mlx.core as mx
import numpy as np
digest = hashlib.sha256()
for kind, gates in (("tanh", 1), ("lstm", 4)):
    for batch in (1, 16, 40):
        mx.random.seed(batch)
        x, w = mx.random.normal((batch, 5, gates * 70)), mx.random.normal((gates * 70, 70)) * 0.1
        f = lambda x, w: mx._recurrent(kind, x, w, None)[0].square().sum()
        for value in (f(x, w), *mx.grad(f, argnums=(0, 1))(x, w)):
            digest.update(np.array(value).tobytes())
print(digest.hexdigest())
"""


def test_bits_do_not_depend_on_the_number_of_threads():
    def run(threads):
        environment = {**os.environ, "MLX_NUM_THREADS": str(threads)}
        command = [sys.executable, "-c", PROGRAM]
        return subprocess.run(command, env=environment, capture_output=True, check=True).stdout

    assert run(1) == run(2) == run(3)
