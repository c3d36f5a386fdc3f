"""Convolutions: values against sums written out, derivatives against differences, vmap against loops."""

import itertools

import mlx.core as mx
import numpy as np
import pytest
import threads

RNG = np.random.default_rng(0)


def spread(x, axes, dilation):
    """Zeros between the values of x along the spatial axes."""
    for axis, d in zip(axes, dilation):
        shape = list(x.shape)
        shape[axis] = 1 + (shape[axis] - 1) * d
        out = np.zeros(shape, x.dtype)
        index = [slice(None)] * x.ndim
        index[axis] = slice(None, None, d)
        out[tuple(index)] = x
        x = out
    return x


def reference(x, w, stride, lo, hi, kernel_dilation, input_dilation, groups, flip):
    """The definition, tap by tap, in float64 (complex128)."""
    n = x.ndim - 2
    wide = np.complex128 if np.iscomplexobj(x) else np.float64
    x = spread(x.astype(wide), range(1, n + 1), input_dilation)
    for d in range(n):
        before = [(0, 0)] * x.ndim
        before[d + 1] = (max(lo[d], 0), max(hi[d], 0))
        x = np.pad(x, before)
        x = np.take(x, range(max(-lo[d], 0), x.shape[d + 1] - max(-hi[d], 0)), axis=d + 1)
    w = w.astype(wide)
    if flip:
        w = np.flip(w, tuple(range(1, n + 1)))
    sizes = [
        (x.shape[d + 1] - (w.shape[d + 1] - 1) * kernel_dilation[d] - 1) // stride[d] + 1
        for d in range(n)
    ]
    out = np.zeros((x.shape[0], *sizes, w.shape[0]), wide)
    per_in, per_out = x.shape[-1] // groups, w.shape[0] // groups
    for tap in itertools.product(*(range(k) for k in w.shape[1:-1])):
        at = tuple(
            slice(t * k, t * k + (size - 1) * s + 1, s)
            for t, k, s, size in zip(tap, kernel_dilation, stride, sizes)
        )
        for g in range(groups):
            values = x[(slice(None), *at, slice(g * per_in, (g + 1) * per_in))]
            weights = w[(slice(g * per_out, (g + 1) * per_out), *tap)]
            out[..., g * per_out : (g + 1) * per_out] += values @ weights.T
    return out


def draw(*shape):
    return RNG.standard_normal(shape)


# input, kernel, (C_in, C_out), and what differs from the plain convolution
CASES = {
    "1d": ((9,), (3,), (4, 5), {}),
    "1d_one_tap": ((9,), (1,), (4, 5), {}),
    "1d_all": (
        (11,),
        (3,),
        (4, 6),
        {
            "stride": 2,
            "lo": (2,),
            "hi": (1,),
            "kernel_dilation": 2,
            "input_dilation": 3,
            "groups": 2,
            "flip": True,
        },
    ),
    "1d_negative_padding": ((9,), (3,), (2, 2), {"lo": (-1,), "hi": (-2,)}),
    "2d": ((7, 6), (3, 2), (3, 4), {"lo": (1, 0), "hi": (1, 1)}),
    "2d_strided": ((8, 9), (3, 3), (2, 4), {"stride": 2, "lo": (1, 1), "hi": (1, 1)}),
    "2d_rest": ((8, 8), (3, 3), (2, 4), {"stride": 3}),
    "2d_dilated": ((8, 9), (2, 3), (2, 3), {"kernel_dilation": 2, "lo": (2, 1), "hi": (0, 3)}),
    "2d_input_dilated": ((4, 3), (3, 3), (2, 3), {"input_dilation": 2, "lo": (2, 2), "hi": (2, 2)}),
    "2d_depthwise": ((7, 7), (3, 3), (6, 6), {"groups": 6, "lo": (1, 1), "hi": (1, 1)}),
    "2d_depthwise_strided": ((7, 7), (3, 3), (6, 6), {"groups": 6, "stride": 2, "flip": True}),
    "2d_groups": ((6, 6), (3, 3), (6, 9), {"groups": 3, "flip": True}),
    "2d_pointwise": ((6, 6), (1, 1), (8, 5), {}),
    "2d_pointwise_groups": ((6, 6), (1, 1), (8, 4), {"groups": 2}),
    "2d_far_padding": ((2, 2), (3, 3), (2, 2), {"lo": (5, 0), "hi": (0, 5)}),
    "3d": ((4, 5, 4), (2, 3, 2), (3, 2), {"stride": 2, "lo": (1, 1, 0), "hi": (0, 1, 1)}),
    "3d_groups": ((4, 4, 4), (2, 2, 2), (4, 4), {"groups": 2, "kernel_dilation": 2}),
}


def arguments(name, batch=2):
    size, kernel, (c, o), options = CASES[name]
    n = len(size)
    spatial = {
        key: (options.get(key, 1),) * n for key in ("stride", "kernel_dilation", "input_dilation")
    }
    lo, hi = options.get("lo", (0,) * n), options.get("hi", (0,) * n)
    groups, flip = options.get("groups", 1), options.get("flip", False)
    x, w = draw(batch, *size, c), draw(o, *kernel, c // groups)

    def ours(x, w):
        return mx.conv_general(
            x,
            w,
            stride=list(spatial["stride"]),
            padding=(list(lo), list(hi)),
            kernel_dilation=list(spatial["kernel_dilation"]),
            input_dilation=list(spatial["input_dilation"]),
            groups=groups,
            flip=flip,
        )

    def theirs(x, w):
        return reference(
            x,
            w,
            spatial["stride"],
            lo,
            hi,
            spatial["kernel_dilation"],
            spatial["input_dilation"],
            groups,
            flip,
        )

    return ours, theirs, x, w


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "dtype, tolerance",
    [
        (mx.float32, 1e-5),
        (mx.float64, 1e-12),
        (mx.float16, 4e-3),
        (mx.bfloat16, 3e-2),
        (mx.complex64, 1e-5),
    ],
    ids=str,
)
def test_values(name, dtype, tolerance):
    ours, theirs, x, w = arguments(name)
    if dtype == mx.complex64:
        x, w = x + 1j * draw(*x.shape), w + 1j * draw(*w.shape)
    x, w = mx.array(x, dtype=dtype), mx.array(w, dtype=dtype)
    y = ours(x, w)
    wide = mx.complex64 if dtype == mx.complex64 else mx.float64
    expected = theirs(np.array(x.astype(wide)), np.array(w.astype(wide)))
    assert y.dtype == dtype and y.shape == expected.shape
    error = np.abs(np.array(y.astype(wide)) - expected).max()
    assert error <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    ours, _, x, w = arguments(name, batch=1)
    x, w = mx.array(x, dtype=mx.float64), mx.array(w, dtype=mx.float64)
    shape = ours(x, w).shape
    v = mx.array(draw(*shape), dtype=mx.float64)

    def loss(x, w):
        return (v * ours(x, w) ** 2).sum()

    dx, dw = mx.array(draw(*x.shape), dtype=mx.float64), mx.array(draw(*w.shape), mx.float64)
    gx, gw = mx.grad(loss, argnums=(0, 1))(x, w)
    along = ((gx * dx).sum() + (gw * dw).sum()).item()
    _, (forward,) = mx.jvp(loss, [x, w], [dx, dw])
    assert forward.item() == pytest.approx(along, rel=1e-10)

    def moved(h):
        return loss(x + h * dx, w + h * dw).item()

    h = 1e-4
    difference = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h)
    assert difference == pytest.approx(along, rel=1e-7)

    # The derivative of that, once more.
    def slope(x, w):
        gx, gw = mx.grad(loss, argnums=(0, 1))(x, w)
        return (gx * dx).sum() + (gw * dw).sum()

    hx, hw = mx.grad(slope, argnums=(0, 1))(x, w)
    second = ((hx * dx).sum() + (hw * dw).sum()).item()
    difference = (slope(x + h * dx, w + h * dw) - slope(x - h * dx, w - h * dw)).item() / (2 * h)
    assert difference == pytest.approx(second, rel=1e-5)


@pytest.mark.parametrize("name", ["1d_all", "2d", "2d_depthwise", "2d_groups", "3d"])
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (1, 2), (-1, -1), (None, 1)])
def test_vmap(name, axes):
    ours, _, x, w = arguments(name)

    def many(a, axis):
        items = [mx.array(a + i) for i in range(3)]
        return mx.array(a) if axis is None else mx.stack(items, axis=axis)

    def item(a, axis, i):
        return a if axis is None else mx.take(a, i, axis=axis)

    xs, ws = many(x, axes[0]), many(w, axes[1])
    for f in (ours, mx.grad(lambda x, w: (ours(x, w) ** 2).sum(), argnums=(0, 1))):
        together = mx.vmap(f, in_axes=axes)(xs, ws)
        loop = [f(item(xs, axes[0], i), item(ws, axes[1], i)) for i in range(3)]
        if not isinstance(together, tuple):
            together, loop = (together,), [(y,) for y in loop]
        for k, y in enumerate(together):
            expected = np.stack([np.array(one[k]) for one in loop])
            np.testing.assert_allclose(np.array(y), expected, rtol=2e-4, atol=1e-3)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transposed_is_the_gradient(dims, groups):
    forward = (mx.conv1d, mx.conv2d, mx.conv3d)[dims - 1]
    back = (mx.conv_transpose1d, mx.conv_transpose2d, mx.conv_transpose3d)[dims - 1]
    options = {"stride": 2, "padding": 1, "dilation": 2, "groups": groups}
    x = mx.array(draw(2, *(8,) * dims, 4), dtype=mx.float64)
    w = mx.array(draw(6, *(3,) * dims, 4 // groups), dtype=mx.float64)
    y = forward(x, w, **options)
    g = mx.array(draw(*y.shape), dtype=mx.float64)
    _, (expected,) = mx.vjp(lambda x: forward(x, w, **options), [x], [g])
    # [g, O/g, k, C/g] -> [C, k, O/g]
    turned = w.reshape(groups, 6 // groups, *(3,) * dims, 4 // groups).swapaxes(1, -1)
    turned = turned.reshape(4, *(3,) * dims, 6 // groups)
    got = back(g, turned, output_padding=1, **options)
    np.testing.assert_allclose(np.array(got), np.array(expected), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("sizes", [(5, 3), (3, 6), (4, 4), (7, 1), (8, 2)])
def test_convolve(mode, sizes):
    a, v = draw(sizes[0]), draw(sizes[1])
    got = mx.convolve(mx.array(a, mx.float64), mx.array(v, mx.float64), mode=mode)
    np.testing.assert_allclose(np.array(got), np.convolve(a, v, mode), rtol=1e-12)


def test_layouts_and_promotion():
    x, w = draw(2, 6, 7, 3), draw(4, 3, 3, 3)
    plain = np.array(mx.conv2d(mx.array(x), mx.array(w)))
    turned = mx.array(x.transpose(0, 3, 1, 2).copy()).transpose(0, 2, 3, 1)
    backwards = mx.array(w[::-1].copy())[::-1]
    np.testing.assert_array_equal(np.array(mx.conv2d(turned, backwards)), plain)
    half = mx.conv2d(mx.array(x).astype(mx.float16), mx.array(w))
    assert half.dtype == mx.float32


def test_many_positions_and_channels():
    """More than one block of positions, and rows that don't fill the last."""
    x, w = draw(3, 37, 41, 17), draw(33, 3, 3, 17)
    y = mx.conv2d(mx.array(x), mx.array(w), padding=1)
    expected = reference(x, w, (1, 1), (1, 1), (1, 1), (1, 1), (1, 1), 1, False)
    np.testing.assert_allclose(np.array(y), expected, rtol=1e-4, atol=1e-4)
    g = mx.array(draw(*y.shape), dtype=mx.float64)
    x, w = mx.array(x, mx.float64), mx.array(w, mx.float64)
    _, (gw,) = mx.vjp(lambda w: mx.conv2d(x, w, padding=1), [w], [g])
    padded = np.pad(np.array(x), ((0, 0), (1, 1), (1, 1), (0, 0)))
    for i, j in ((0, 0), (1, 2), (2, 1)):
        tap = np.einsum("nhwo,nhwc->oc", np.array(g), padded[:, i : i + 37, j : j + 41])
        np.testing.assert_allclose(np.array(gw)[:, i, j], tap, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize(
    "shape, outputs, kernel, stride, pad",
    [
        ((2, 9, 11, 16), 20, (3, 3), (1, 1), (1, 1)),
        ((1, 8, 8, 17), 5, (3, 3), (2, 2), (1, 1)),
        ((3, 7, 30, 16), 33, (1, 1), (1, 1), (0, 0)),
        ((1, 12, 13, 32), 8, (5, 4), (3, 2), (2, 1)),
        ((2, 6, 6, 16), 16, (3, 3), (1, 1), (3, 3)),
        ((1, 40, 60, 18), 14, (3, 3), (1, 1), (0, 0)),
        ((1, 5, 70, 16), 30, (2, 1), (2, 3), (0, 2)),
        ((9, 1300, 16), 12, (7,), (2,), (3,)),
        ((1, 4, 5, 6, 16), 9, (2, 3, 3), (1, 1, 2), (1, 0, 1)),
    ],
)
def test_weights_gradient_over_lines(shape, outputs, kernel, stride, pad):
    x, w = draw(*shape), draw(outputs, *kernel, shape[-1])
    f = lambda w: mx.conv_general(mx.array(x), w, stride=stride, padding=pad)
    g = draw(*f(mx.array(w)).shape)
    _, (got,) = mx.vjp(f, [mx.array(w)], [mx.array(g)])
    padded = np.pad(x, ((0, 0), *((p, p) for p in pad), (0, 0))).astype(np.float64)
    expected = np.zeros(w.shape)
    sizes = g.shape[1:-1]
    for tap in np.ndindex(*kernel):
        met = [slice(t, t + (n - 1) * s + 1, s) for t, n, s in zip(tap, sizes, stride)]
        values = padded[(slice(None), *met)].reshape(-1, shape[-1])
        expected[(slice(None), *tap)] = g.reshape(-1, outputs).T @ values
    np.testing.assert_allclose(
        np.array(got), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
    )


def test_infinity_meets_only_its_own_slopes():
    """An infinity at the end of a line counts where a tap meets it, and is no NaN elsewhere."""
    x = draw(1, 6, 6, 16)
    x[0, 2, 5, 3] = np.inf
    w = mx.zeros((4, 1, 3, 16))
    g = np.ones((1, 6, 4, 4), np.float32)
    _, (got,) = mx.vjp(lambda w: mx.conv2d(mx.array(x), w), [w], [mx.array(g)])
    expected = np.zeros((4, 1, 3, 16), bool)
    expected[:, 0, 2, 3] = True
    np.testing.assert_array_equal(np.isposinf(np.array(got)), expected)
    assert not np.isnan(np.array(got)).any()


def test_empty():
    w = mx.ones((3, 3, 3, 2))
    assert mx.conv2d(mx.zeros((0, 5, 5, 2)), w).shape == (0, 3, 3, 3)
    assert mx.conv2d(mx.zeros((1, 5, 5, 2)), mx.zeros((0, 3, 3, 2))).shape == (1, 3, 3, 0)
    nothing = mx.conv2d(mx.zeros((1, 5, 5, 0)), mx.zeros((3, 3, 3, 0)))
    assert nothing.shape == (1, 3, 3, 3) and not mx.any(nothing).item()
    grad = mx.grad(lambda w: mx.conv2d(mx.zeros((0, 5, 5, 2)), w).sum())(w)
    assert grad.shape == w.shape and not mx.any(grad).item()


X, W = (1, 5, 5, 2), (3, 3, 3, 2)
HUGE = 2**31 - 1


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: mx.conv2d(mx.ones(X)[0], mx.ones(W)), "2D"),
        (lambda: mx.conv2d(mx.ones(X), mx.ones((3, 3, 3, 4))), "channels"),
        (lambda: mx.conv2d(mx.ones(X), mx.ones(W), groups=2), "groups"),
        (lambda: mx.conv2d(mx.ones(X), mx.ones(W), groups=0), "groups"),
        (lambda: mx.conv2d(mx.ones(X, mx.int32), mx.ones(W, mx.int32)), "floating"),
        (lambda: mx.conv2d(mx.ones(X), mx.ones((3, 7, 7, 2))), "smaller"),
        (lambda: mx.conv2d(mx.ones(X), mx.ones((3, 0, 3, 2))), "taps"),
        (lambda: mx.conv2d(mx.ones(X), mx.ones(W), stride=0), "positive"),
        (lambda: mx.conv2d(mx.ones(X), mx.ones(W), dilation=0), "positive"),
        (lambda: mx.conv_general(mx.ones(X), mx.ones(W), stride=[1, 1, 1]), "stride"),
        (lambda: mx.conv_general(mx.ones((1, 2)), mx.ones((3, 2))), "spatial"),
        (lambda: mx.conv_general(mx.ones((1, 2, 2, 2, 2, 2)), mx.ones((1,) * 6)), "spatial"),
        (lambda: mx.conv_transpose2d(mx.ones((1, 5, 2)), mx.ones((3, 3, 2))), "2D"),
        (lambda: mx.conv2d(mx.ones(X), mx.ones(W), padding=HUGE), "too large"),
        (lambda: mx.conv2d(mx.ones(X), mx.ones(W), dilation=HUGE, padding=HUGE), "too large"),
        (lambda: mx.conv_general(mx.ones(X), mx.ones(W), input_dilation=HUGE), "too large"),
        (lambda: mx.conv_transpose2d(mx.ones(X), mx.ones(W), stride=HUGE), "too large"),
        (lambda: mx.conv_transpose2d(mx.ones(X), mx.ones(W), dilation=HUGE), "32 bits"),
        (lambda: mx.conv_transpose2d(mx.ones(X), mx.ones(W), padding=-HUGE), "32 bits"),
        (lambda: mx.convolve(mx.ones((2, 2)), mx.ones(3)), "1D"),
        (lambda: mx.convolve(mx.ones(0), mx.ones(3)), "empty"),
        (lambda: mx.convolve(mx.ones(3), mx.ones(3), mode="x"), "mode"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()


THREADS = """
import hashlib, itertools, mlx.core as mx
mx.random.seed(0)
digest = hashlib.sha256()
for dtype, (size, c, o, k, stride, groups) in itertools.product(
    [mx.float32, mx.float16, mx.bfloat16],
    [(20, 16, 24, 3, 1, 1), (21, 3, 8, 7, 2, 1), (18, 12, 12, 3, 1, 12), (15, 8, 16, 5, 3, 4), (14, 32, 8, 3, 2, 1)],
):
    x = mx.random.normal((3, size, size, c)).astype(dtype)
    w = mx.random.normal((o, k, k, c // groups)).astype(dtype)
    f = lambda x, w: mx.conv2d(x, w, stride, k // 2, 1, groups)
    shape = f(x, w).shape
    cotangent = mx.sin(mx.arange(f(x, w).size)).reshape(shape).astype(dtype)
    y, grads = mx.vjp(lambda *a: [f(*a)], [x, w], [cotangent])
    for a in [*y, *grads]:
        digest.update(bytes(memoryview(a.view(mx.uint8))))
print(digest.hexdigest())
"""


def test_same_bits_on_any_number_of_threads():
    assert len(threads.outputs(THREADS, (1, 2, 5))) == 1
