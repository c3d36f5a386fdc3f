"""mx.fast.cross_entropy, gated_delta_update and kernels from source text."""

import mlx.core as mx
import numpy as np
import pytest
import threads
from scipy.special import log_softmax, softmax

RNG = np.random.default_rng(0)


def differences(f, arrays, i, step=1e-5):
    """The gradient of f with respect to arrays[i], in double."""
    g = np.zeros(arrays[i].shape)
    for at in np.ndindex(*arrays[i].shape):
        moved = [a.astype(float) for a in arrays]
        moved[i][at] += step
        up = f(*moved)
        moved[i][at] -= 2 * step
        g[at] = (up - f(*moved)) / (2 * step)
    return g


# ---- cross_entropy


def loss_of(logits, targets):
    return -np.take_along_axis(log_softmax(logits, -1), targets[..., None], -1)[..., 0]


@pytest.mark.parametrize("dtype, bound", [("float32", 2e-6), ("float64", 1e-13), ("float16", 2e-3)])
@pytest.mark.parametrize("n", [1, 2, 7, 16, 33, 1000])
def test_cross_entropy(n, dtype, bound):
    dtype = getattr(mx, dtype)
    x = RNG.standard_normal((3, 5, n)) * 3
    t = RNG.integers(0, n, (3, 5))
    a = mx.array(x, mx.float64).astype(dtype)
    exact = np.array(a.astype(mx.float64))
    loss = mx.fast.cross_entropy(a, mx.array(t))
    assert loss.dtype == (mx.float64 if dtype == mx.float64 else mx.float32)
    # Half precision logits are summed in float32: their loss is as exact as that of float32.
    np.testing.assert_allclose(np.array(loss), loss_of(exact, t), atol=min(bound, 5e-6), rtol=1e-6)
    w = RNG.standard_normal((3, 5))
    c = mx.array(w, mx.float64).astype(loss.dtype)
    g = mx.vjp(lambda v: mx.fast.cross_entropy(v, mx.array(t)), [a], [c])[1][0]
    want = w[..., None] * (softmax(exact, -1) - np.eye(n)[t])
    assert g.dtype == dtype
    np.testing.assert_allclose(np.array(g.astype(mx.float64)), want, atol=bound, rtol=bound)
    d = mx.jvp(lambda v: mx.fast.cross_entropy(v, mx.array(t)), [a], [mx.ones_like(a) * a])[1][0]
    want = ((softmax(exact, -1) - np.eye(n)[t]) * exact).sum(-1)
    np.testing.assert_allclose(np.array(d), want, atol=1e-5, rtol=1e-5)


def test_cross_entropy_second_derivative_and_bfloat16():
    x, t = RNG.standard_normal((4, 6)), RNG.integers(0, 6, 4)
    a = mx.array(x, mx.float64)

    def norm_of_gradient(v):
        return (mx.grad(lambda u: mx.fast.cross_entropy(u, mx.array(t)).sum())(v) ** 2).sum()

    def exact(v):
        return ((softmax(v, -1) - np.eye(6)[t]) ** 2).sum()

    got = np.array(mx.grad(norm_of_gradient)(a))
    np.testing.assert_allclose(got, differences(exact, [x], 0), atol=1e-8)
    half = a.astype(mx.bfloat16)
    want = loss_of(np.array(half.astype(mx.float64)), t)
    loss = mx.fast.cross_entropy(half, mx.array(t))
    np.testing.assert_allclose(np.array(loss), want, rtol=1e-5)


def test_cross_entropy_vmap_layouts_and_edges():
    f = mx.fast.cross_entropy
    x, t = (
        mx.array(RNG.standard_normal((4, 5, 6)).astype(np.float32)),
        mx.array([[1, 5, 0, 2, 3]] * 4),
    )
    want = np.array(f(x, t))
    for axes, args in [
        ((0, 0), (x, t)),
        ((1, 0), (x.swapaxes(0, 1), t)),
        ((2, 1), (x.transpose(1, 2, 0), t.T)),
        ((0, None), (x, t[0])),
    ]:
        np.testing.assert_allclose(np.array(mx.vmap(f, in_axes=axes)(*args)), want, rtol=1e-6)
    got = mx.vmap(f, in_axes=(None, 0))(x[0], t)
    np.testing.assert_allclose(np.array(got), np.tile(want[:1], (4, 1)), rtol=1e-6)
    np.testing.assert_allclose(np.array(f(x[::-1, :, :], t)), want[::-1], rtol=1e-6)
    np.testing.assert_allclose(np.array(mx.compile(f)(x, t)), want, rtol=1e-6)
    assert f(mx.zeros((0, 5)), mx.zeros((0,), mx.int32)).shape == (0,)
    assert f(x[0, 0], mx.array(1)).shape == ()
    assert f(x[0, :1], mx.array([-1])).item() == f(x[0, :1], mx.array([5])).item()
    inf = float("inf")
    assert f(mx.array([-inf, 0.0]), mx.array(0)).item() == inf
    assert np.isnan(f(mx.array([mx.nan, 0.0]), mx.array(1)).item())


@pytest.mark.parametrize(
    "logits, targets, error, word",
    [
        (mx.array(1.0), mx.array(0), ValueError, "at least 1 dimension"),
        (mx.ones((2, 3), mx.int32), mx.array([0, 1]), ValueError, "int32"),
        (mx.ones((2, 3), mx.complex64), mx.array([0, 1]), ValueError, "complex64"),
        (mx.ones((2, 3)), mx.array([0.0, 1.0]), ValueError, "float32"),
        (mx.ones((2, 3)), mx.array([True, False]), ValueError, "bool"),
        (mx.ones((2, 3)), mx.array([0]), ValueError, "does not match"),
        (mx.ones((2, 0)), mx.array([0, 0]), ValueError, "no classes"),
        (mx.ones((2, 3)), mx.array([0, 3]), IndexError, "Index 3"),
        (mx.ones((2, 3)), mx.array([0, -4]), IndexError, "Index -4"),
        ([[1.0]], [0], TypeError, "incompatible"),
    ],
)
def test_cross_entropy_refuses(logits, targets, error, word):
    with pytest.raises(error, match=word):
        mx.eval(mx.fast.cross_entropy(logits, targets))


# ---- gated_delta_update


def draw(b=2, t=5, key_heads=2, heads=4, dk=8, dv=6, vector_gate=False):
    q, k = RNG.standard_normal((2, b, t, key_heads, dk)) * 0.5
    v = RNG.standard_normal((b, t, heads, dv))
    gate = RNG.uniform(0.5, 1, (b, t, heads, dk) if vector_gate else (b, t, heads))
    return [q, k, v, gate, RNG.uniform(0, 1, (b, t, heads))]


def delta_rule(q, k, v, gate, beta, state=None, mask=None):
    (b, t, heads, dv), dk = v.shape, k.shape[-1]
    ratio = heads // k.shape[2]
    q, k = np.repeat(q, ratio, 2), np.repeat(k, ratio, 2)
    gate = gate if gate.ndim == 4 else gate[..., None]
    s = np.zeros((b, heads, dv, dk)) if state is None else state
    out = np.zeros(v.shape)
    for i in range(t):
        new = s * gate[:, i, :, None, :]
        miss = v[:, i] - (new * k[:, i, :, None, :]).sum(-1)
        new = new + (miss * beta[:, i, :, None])[..., None] * k[:, i, :, None, :]
        on = np.ones((b, 1, 1), bool) if mask is None else mask[:, i, None, None]
        out[:, i] = np.where(on, (new * q[:, i, :, None, :]).sum(-1), 0)
        s = np.where(on[..., None], new, s)
    return out, s


SHAPES = [{}, {"t": 1}, {"t": 40, "dk": 16, "dv": 16}, {"dk": 19, "dv": 21}, {"key_heads": 4}]
SHAPES += [{"vector_gate": True}, {"vector_gate": True, "dk": 19}, {"dk": 1, "dv": 1}, {"b": 1}]


@pytest.mark.parametrize("kw", SHAPES)
@pytest.mark.parametrize("extra", [False, True])
def test_gated_delta_values_and_gradients(kw, extra):
    x = draw(**kw)
    b, t = x[0].shape[:2]
    mask = None
    if extra:
        x.append(RNG.standard_normal((b, x[2].shape[2], x[2].shape[3], x[1].shape[3])))
        mask = RNG.uniform(size=(b, t)) < 0.7
    want = delta_rule(*x, mask=mask)
    on = None if mask is None else mx.array(mask)

    def f(*a):
        return mx.fast.gated_delta_update(*a, mask=on)

    single = f(*[mx.array(a.astype(np.float32)) for a in x])
    arrays = [mx.array(a, mx.float64) for a in x]
    double = f(*arrays)
    for got, ref in zip(single, want, strict=True):
        assert got.dtype == mx.float32 and got.shape == ref.shape
        np.testing.assert_allclose(np.array(got), ref, atol=2e-4, rtol=1e-4)
    for got, ref in zip(double, want, strict=True):
        np.testing.assert_allclose(np.array(got), ref, atol=1e-12, rtol=1e-10)

    c = [RNG.standard_normal(w.shape) for w in want]
    cotangents = [mx.array(a, mx.float64) for a in c]
    grads = mx.vjp(f, arrays, cotangents)[1]
    # Along a random direction: finite differences, and the forward derivative.
    for i in range(len(x)):
        d = RNG.standard_normal(x[i].shape)

        def value(step, i=i, d=d):
            moved = [a + step * d if j == i else a for j, a in enumerate(x)]
            return sum((o * w).sum() for o, w in zip(delta_rule(*moved, mask=mask), c, strict=True))

        slope = (value(1e-5) - value(-1e-5)) / 2e-5
        got = (np.array(grads[i]) * d).sum()
        assert abs(got - slope) < 1e-6 * (1 + abs(slope)), i
        if t <= 5:
            zeros = [mx.zeros_like(a) for a in arrays]
            zeros[i] = mx.array(d, mx.float64)
            tangents = mx.jvp(f, arrays, zeros)[1]
            forward = sum((np.array(o) * w).sum() for o, w in zip(tangents, c, strict=True))
            assert abs(forward - slope) < 1e-6 * (1 + abs(slope)), i


def test_gated_delta_in_pieces_is_the_whole():
    x = [mx.array(a.astype(np.float32)) for a in draw(t=9)]
    out, state = mx.fast.gated_delta_update(*x)
    first, s = mx.fast.gated_delta_update(*[a[:, :4] for a in x])
    second, s = mx.fast.gated_delta_update(*[a[:, 4:] for a in x], initial_state=s)
    np.testing.assert_array_equal(np.array(mx.concatenate([first, second], 1)), np.array(out))
    np.testing.assert_array_equal(np.array(s), np.array(state))


def test_gated_delta_dtypes_and_empties():
    x = [mx.array(a.astype(np.float32)) for a in draw()]
    f = mx.fast.gated_delta_update
    for dtype in (mx.float16, mx.bfloat16):
        out, state = f(*[a.astype(dtype) for a in x])
        assert out.dtype == dtype and state.dtype == mx.float32
        out, state = f(*[a.astype(dtype) for a in x[:3]], *x[3:])
        assert out.dtype == dtype
    assert f(x[0].astype(mx.float16), *x[1:])[0].dtype == mx.float32
    assert f(*[a.astype(mx.int32) for a in x])[0].dtype == mx.float32
    out, state = f(*[a[:, :0] for a in x])
    assert out.shape == (2, 0, 4, 6) and not np.array(state).any()
    assert f(*[a[:0] for a in x])[1].shape == (0, 4, 6, 8)
    keep = mx.ones((2, 4, 6, 8))
    assert mx.array_equal(f(*[a[:, :0] for a in x], initial_state=keep)[1], keep)


def test_gated_delta_vmap():
    x = [mx.stack([mx.array(a.astype(np.float32))] * 3) * mx.array([1.0, 0.5, 0.2]).reshape(
        3, *[1] * a.ndim
    ) for a in draw()]  # fmt: skip
    f = mx.fast.gated_delta_update
    got = mx.vmap(f)(*x)
    want = [f(*[a[i] for a in x]) for i in range(3)]
    for k in range(2):
        ref = np.stack([np.array(w[k]) for w in want])
        np.testing.assert_allclose(np.array(got[k]), ref, atol=1e-6)
    got = mx.vmap(lambda q, v: f(q, x[1][0], v, x[3][0], x[4][0])[0], in_axes=(1, None))(
        x[0].swapaxes(0, 1), x[2][0]
    )
    ref = [f(x[0][i], *[a[0] for a in x[1:]])[0] for i in range(3)]
    np.testing.assert_allclose(np.array(got), np.stack([np.array(r) for r in ref]), atol=1e-6)


def test_gated_delta_refuses():
    q, k, v, g, b = [mx.array(a.astype(np.float32)) for a in draw()]
    f = mx.fast.gated_delta_update
    for args, kw, word in [
        ((q[0], k, v, g, b), {}, "queries"),
        ((q, k[:, :3], v, g, b), {}, "queries"),
        ((q[:, :, :1].reshape(2, 5, 8), k[0], v, g, b), {}, "keys"),
        ((mx.ones((2, 5, 3, 8)), mx.ones((2, 5, 3, 8)), v, g, b), {}, "cannot share"),
        ((q, k, v, g[:, :, :2], b), {}, "gates"),
        ((q, k, v, mx.ones((2, 5, 4, 3)), b), {}, "gates"),
        ((q, k, v, g, b[..., None]), {}, "beta"),
        ((q, k, v, g, b), {"initial_state": mx.zeros((2, 4, 8, 6))}, "initial_state"),
        ((q, k, v, g, b), {"mask": mx.ones((2, 4))}, "mask"),
        ((q.astype(mx.complex64), k, v, g, b), {}, "[Cc]omplex"),
    ]:
        with pytest.raises(ValueError, match=word):
            f(*args, **kw)


# ---- kernels from source text


def call(kernel, **kw):
    args = {
        "inputs": [mx.ones(4)],
        "output_shapes": [(4,)],
        "output_dtypes": [mx.float32],
        "grid": (4, 1, 1),
        "threadgroup": (1, 1, 1),
    }
    return kernel(**{**args, **kw})


def test_metal_kernel_says_what_it_needs():
    kernel = mx.fast.metal_kernel("twice", ["x"], ["y"], "y[0] = 2 * x[0];")
    with pytest.raises(RuntimeError, match="'twice' needs an Apple GPU"):
        call(kernel, template=[("T", mx.float32), ("N", 3), ("B", True)], verbose=True)
    for kw, word in [
        ({"inputs": []}, "1 inputs"),
        ({"output_shapes": []}, "1 output shapes"),
        ({"output_dtypes": []}, "1 output dtypes"),
        ({"grid": (0, 1, 1)}, "grid"),
        ({"template": [("T", "x")]}, "template argument 'T'"),
    ]:
        with pytest.raises(ValueError, match=word):
            call(kernel, **kw)
    with pytest.raises(TypeError):
        kernel()
    with pytest.raises(TypeError):
        mx.fast.metal_kernel("k", "x", ["y"], "")
    for names, options, word in [
        ([], None, "at least one output"),
        (["y"], {"math_mode": "x"}, "math_mode"),
        (["y"], {"foo": 1}, "`foo`"),
        (["y"], 3, "dict"),
    ]:
        with pytest.raises(ValueError, match=word):
            mx.fast.metal_kernel("k", ["x"], names, "", compile_options=options)
    assert mx.fast.metal_kernel("k", ["x"], ["y"], "", compile_options={"math_mode": "fast"})


def test_cuda_kernels_say_what_they_need():
    with pytest.raises(RuntimeError, match="'twice' needs an NVIDIA GPU"):
        mx.fast.cuda_kernel("twice", ["x"], ["y"], "y[0] = 2 * x[0];")
    with pytest.raises(ValueError, match="at least one output"):
        mx.fast.cuda_kernel("twice", ["x"], [], "")
    args = {
        "name": "k",
        "compiled_source": b"x",
        "inputs": [mx.ones(1)],
        "output_shapes": [(1,)],
        "output_dtypes": [mx.float32],
        "scalars": [1, 2.0, True],
        "grid": (1, 1, 1),
        "threadgroup": (1, 1, 1),
    }
    with pytest.raises(RuntimeError, match="NVIDIA GPU"):
        mx.fast.precompiled_cuda_kernel(**args)
    with pytest.raises(ValueError, match="output dtypes"):
        mx.fast.precompiled_cuda_kernel(**{**args, "output_dtypes": []})


ATTENTION_BITS = """
import hashlib
import mlx.core as mx
digest = hashlib.sha256()
for heads, kv, queries, keys, mask in ((4, 4, 100, 100, "causal"), (6, 3, 70, 300, "causal"), (5, 5, 90, 130, None)):
    q, k, v = (mx.random.normal((1, h, n, 40), key=mx.random.key(i))
               for i, (h, n) in enumerate(((heads, queries), (kv, keys), (kv, keys))))
    f = lambda q, k, v: [mx.fast.scaled_dot_product_attention(q, k, v, scale=0.2, mask=mask)]
    out, grads = mx.vjp(f, [q, k, v], [mx.random.normal(q.shape, key=mx.random.key(9))])
    for a in [*out, *grads]:
        digest.update(bytes(memoryview(a.view(mx.uint8))))
print(digest.hexdigest())
"""


def test_attention_has_the_same_bits_on_any_number_of_threads():
    """Few threads take heads whole, many take them in parts."""
    assert len(threads.outputs(ATTENTION_BITS, (1, 2, 3))) == 1


@pytest.mark.parametrize("queries, keys", [(50, 50), (30, 300), (300, 40)])
def test_causal_attention_ignores_what_it_hides(queries, keys):
    """Values that no query sees may be anything; a query that sees none looks at all alike."""
    q, k, v = (
        np.random.default_rng(i).standard_normal((1, 2, n, 24)).astype(np.float32)
        for i, n in enumerate((queries, keys, keys))
    )
    seen = np.tril(np.ones((queries, keys), bool), keys - queries)
    scores = np.where(seen, q @ k.swapaxes(-1, -2) * 0.3, np.finfo(np.float32).min)
    p = np.exp(scores - scores.max(-1, keepdims=True), dtype=np.float64)
    p /= p.sum(-1, keepdims=True)
    f = lambda q, k, v: mx.fast.scaled_dot_product_attention(q, k, v, scale=0.3, mask="causal")
    a = [mx.array(x) for x in (q, k, v)]
    np.testing.assert_allclose(np.array(f(*a)), p @ v, rtol=2e-5, atol=2e-5)
    g = np.random.default_rng(7).standard_normal(q.shape).astype(np.float32)
    _, (dq, dk, dv) = mx.vjp(lambda *a: [f(*a)], a, [mx.array(g)])
    dp = g @ v.swapaxes(-1, -2).astype(np.float64)
    ds = p * (dp - (dp * p).sum(-1, keepdims=True)) * 0.3 * seen
    np.testing.assert_allclose(np.array(dv), p.swapaxes(-1, -2) @ g, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.array(dq), ds @ k, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.array(dk), ds.swapaxes(-1, -2) @ q, rtol=1e-4, atol=1e-4)
