"""8-bit floats, the modes mxfp4, mxfp8 and nvfp4, and products whose factors are both quantised.

quant_modes.json holds what Apple's build gives for the same inputs: scales, and hashes of the rest.
"""

import hashlib
import json
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

EXPECTED = json.loads((Path(__file__).parent / "quant_modes.json").read_text())
MODES = {"mxfp4": (32, 4), "mxfp8": (32, 8), "nvfp4": (16, 4)}
FLOATS = {"float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}


def digest(a):
    return hashlib.sha256(np.array(a).tobytes()).hexdigest()[:16]


def sample(dtype):
    i = np.arange(4 * 64, dtype=np.int64)
    v = ((i * 7919) % 1009 - 504).astype(np.float32) / np.float32(64)
    v = v.reshape(4, 64) * np.array([1, 100, 0.01, 1], np.float32)[:, None]
    v[3] = 0
    v[3, 5], v[3, 40] = 6, -0.3
    return mx.array(v).astype(getattr(mx, dtype))


def random(shape, seed=0):
    return mx.array(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def close(a, b, tol=1e-5):
    a, b = (np.array(v.astype(mx.float32)) for v in (a, b))
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol * max(1.0, np.abs(b).max(initial=0)))


# ---- 8-bit floats


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_16_bit_float_to_fp8(dtype):
    x = mx.array(np.arange(65536).astype(np.uint16)).view(getattr(mx, dtype))
    known = ~np.isnan(np.array(x.astype(mx.float32)))
    assert digest(np.array(mx.to_fp8(x))[known]) == EXPECTED["to_fp8." + dtype]


def test_every_fp8_to_float():
    codes = mx.arange(256).astype(mx.uint8)
    values = np.array(mx.from_fp8(codes, dtype=mx.float32))
    assert digest(values[:127]) == EXPECTED["from_fp8"]
    assert np.isnan(values[[127, 255]]).all()
    np.testing.assert_array_equal(values[128:255], -values[:127])
    finite = np.delete(np.arange(256), [127, 255])
    np.testing.assert_array_equal(np.array(mx.to_fp8(mx.array(values)))[finite], finite)
    assert mx.from_fp8(codes).dtype == mx.bfloat16
    for dtype in (mx.float16, mx.bfloat16, mx.float64):
        got = mx.from_fp8(codes, dtype)
        assert got.dtype == dtype
        with mx.stream(mx.cpu):
            np.testing.assert_array_equal(np.array(got.astype(mx.float32)), values)


def test_fp8_shapes_transforms_and_errors():
    x = random((3, 4, 5))
    np.testing.assert_array_equal(
        np.array(mx.to_fp8(x.transpose(2, 0, 1))), np.array(mx.to_fp8(x)).transpose(2, 0, 1)
    )
    assert mx.to_fp8(mx.array(2.0)).shape == () and mx.to_fp8(mx.zeros((0, 3))).shape == (0, 3)
    np.testing.assert_array_equal(
        np.array(mx.vmap(mx.to_fp8, in_axes=1, out_axes=1)(x)), np.array(mx.to_fp8(x))
    )
    there_and_back = mx.grad(lambda y: mx.from_fp8(mx.to_fp8(y), mx.float32).sum())
    assert there_and_back(x).tolist() == mx.zeros_like(x).tolist()
    with pytest.raises(ValueError, match=r"to_fp8.*floating.*int32"):
        mx.to_fp8(mx.array([1]))
    with pytest.raises(ValueError, match=r"from_fp8.*uint8.*int32"):
        mx.from_fp8(mx.array([1]))
    with pytest.raises(ValueError, match=r"from_fp8.*int32"):
        mx.from_fp8(mx.array([1], mx.uint8), mx.int32)


# ---- quantize, dequantize, quantized_matmul


@pytest.mark.parametrize("key", [k for k in EXPECTED if "fp8." not in k and k != "from_fp8"])
def test_bits_of_quantize_and_dequantize(key):
    mode, dtype, scale = key.split(".", 2)
    scale = None if scale == "None" else mx.array(float(scale))
    q, s = mx.quantize(sample(dtype), mode=mode, global_scale=scale)
    want = EXPECTED[key]
    assert s.tolist() == want["scales"] and digest(q) == want["packed"]
    d = mx.dequantize(q, s, mode=mode, global_scale=scale, dtype=mx.float32)
    assert digest(d) == want["values"]
    for t in (mx.float16, mx.bfloat16):
        got = mx.dequantize(q, s, mode=mode, global_scale=scale, dtype=t)
        assert got.dtype == t and mx.array_equal(got, d.astype(t))


@pytest.mark.parametrize("mode", MODES)
def test_arguments(mode):
    group, bits = MODES[mode]
    w = random((4, 128))
    q = mx.quantize(w, group_size=group, bits=bits, mode=mode)
    assert [a.shape for a in q] == [(4, 4 * bits), (4, 128 // group)]
    assert [a.dtype for a in q] == [mx.uint32, mx.uint8]
    assert mx.dequantize(*q, mode=mode).dtype == mx.bfloat16
    strided = mx.quantize(w.T.reshape(128, 4).T, mode=mode)
    assert all(mx.array_equal(a, b) for a, b in zip(strided, q, strict=True))
    empty = mx.quantize(w[:0], mode=mode)
    assert empty[0].shape == (0, 4 * bits) and mx.dequantize(*empty, mode=mode).shape == (0, 128)
    bad = [
        (lambda: mx.quantize(w, group_size=64, mode=mode), "requires group size"),
        (lambda: mx.quantize(w, bits=3, mode=mode), "requires bits"),
        (lambda: mx.quantize(w[:, :100], mode=mode), "divisible"),
        (lambda: mx.quantize(w[0], mode=mode), "at least 2"),
        (lambda: mx.quantize(w.astype(mx.int32), mode=mode), "floating.*int32"),
        (lambda: mx.dequantize(*q, q[1], mode=mode), "Biases must be null"),
        (lambda: mx.dequantize(q[0], q[1].astype(mx.float32), mode=mode), "uint8.*float32"),
        (lambda: mx.dequantize(q[0], q[1][:, :1], mode=mode), "Shape of scales"),
        (lambda: mx.dequantize(*q, mode=mode, dtype=mx.int32), "int32"),
        (lambda: mx.quantized_matmul(w[:, :64], *q, mode=mode), "does not match"),
        (lambda: mx.quantized_matmul(w.astype(mx.int32), *q, mode=mode), "int32"),
        (lambda: mx.quantize(w, mode="what"), "what"),
    ]
    one = mx.array(1.0)
    if mode != "nvfp4":
        bad += [(lambda: mx.quantize(w, mode=mode, global_scale=one), "only supported for 'nvfp4'")]
    else:
        two = mx.array([1.0, 2.0])
        bad += [
            (lambda: mx.quantize(w, mode=mode, global_scale=two), "scalar"),
            (lambda: mx.quantize(w, mode=mode, global_scale=mx.array(1)), "float32.*int32"),
        ]
        g = mx.quantize(w, mode=mode, global_scale=mx.abs(w).max())
        back = mx.dequantize(*g, mode=mode, global_scale=mx.abs(w).max())
        assert back.dtype == mx.float32 and mx.abs(back - w).max() < 0.5
    for call, words in bad:
        with pytest.raises(ValueError, match=words):
            call()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("m", [1, 2, 3, 4, 7, 9, 65])
def test_quantized_matmul(mode, dtype, m):
    t, tol = getattr(mx, dtype), FLOATS[dtype]
    for n, k in ((5, 32), (37, 96), (70, 1056), (33, 48), (3, 16)):
        if k % MODES[mode][0]:
            continue
        q = mx.quantize(random((n, k), 1), mode=mode)
        w = mx.dequantize(*q, mode=mode, dtype=mx.float32)
        x = random((m, k), 2).astype(t)
        got = mx.quantized_matmul(x, *q, mode=mode)
        assert got.dtype == t
        close(got, x.astype(mx.float32) @ w.T, tol)
        y = random((n, m), 3).astype(t).T
        close(mx.quantized_matmul(y, *q, mode=mode, transpose=False), y.astype(mx.float32) @ w, tol)


@pytest.mark.parametrize("mode", MODES)
def test_quantized_matmul_batches_and_transforms(mode):
    w = random((2, 8, 64), 1)
    q = mx.quantize(w, mode=mode)
    d = mx.dequantize(*q, mode=mode, dtype=mx.float32)
    x = random((3, 2, 5, 64), 2)
    close(mx.quantized_matmul(x, *q, mode=mode), x @ d.swapaxes(-1, -2))
    f = lambda x, q, s: mx.quantized_matmul(x, q, s, mode=mode)
    close(mx.vmap(f)(x[0], *q), f(x[0], *q))
    close(mx.vmap(f, in_axes=(0, None, None))(x, *q), f(x, *q))
    close(mx.vmap(f, in_axes=(None, 0, 0))(x[0, 0], *q), f(x[0, 0], *q))
    g = random((3, 2, 5, 8), 3)
    _, (dx,) = mx.vjp(lambda x: f(x, *q), [x], [g])
    close(dx, g @ d)
    _, (t,) = mx.jvp(lambda x: f(x, *q), [x], [x])
    close(t, f(x, *q))
    with pytest.raises(ValueError, match=mode):
        mx.grad(lambda s: f(x, q[0], s).sum())(q[1])
    for many in (mx.vmap(lambda v: mx.quantize(v, mode=mode)), lambda v: mx.quantize(v, mode=mode)):
        assert mx.array_equal(many(w)[0], q[0])
    back = mx.vmap(lambda a, b: mx.dequantize(a, b, mode=mode, dtype=mx.float32))(*q)
    assert mx.array_equal(back, d)


def test_global_scales_under_vmap():
    w, g = random((3, 4, 32)), mx.array([1.0, 5.0, 20.0])
    f = lambda w, g: mx.quantize(w, mode="nvfp4", global_scale=g)
    for axes in ((0, 0), (None, 0), (0, None)):
        v, s = (a if x == 0 else a[0] for a, x in zip((w, g), axes, strict=True))
        q = mx.vmap(f, in_axes=axes)(v, s)
        back = mx.vmap(
            lambda a, b, s: mx.dequantize(a, b, mode="nvfp4", global_scale=s),
            in_axes=(0, 0, axes[1]),
        )(*q, s)
        for i in range(3):
            one = f(*(a[i] if x == 0 else a[0] for a, x in zip((w, g), axes, strict=True)))
            assert mx.array_equal(q[0][i], one[0]) and mx.array_equal(q[1][i], one[1])
            gi = g[i] if axes[1] == 0 else g[0]
            assert mx.array_equal(back[i], mx.dequantize(*one, mode="nvfp4", global_scale=gi))


# ---- qqmm


def rounded(x, mode, **scale):
    return mx.dequantize(*mx.quantize(x, mode=mode, **scale), mode=mode, dtype=mx.float32, **scale)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("mode", MODES)
def test_qqmm(mode, dtype):
    t, tol = getattr(mx, dtype), FLOATS[dtype]
    w = random((24, 64), 1).astype(t)
    q = mx.quantize(w, mode=mode)
    for shape in ((64,), (1, 64), (7, 64), (2, 3, 64), (0, 64)):
        x = random(shape, 2).astype(t)
        rows = x.reshape(-1, 64)
        want = (rounded(rows, mode) @ rounded(w, mode).T).reshape(*shape[:-1], 24)
        for got in (mx.qqmm(x, w, mode=mode), mx.qqmm(x, *q, mode=mode)):
            assert got.dtype == t and got.shape == want.shape
            close(got, want, tol)
    if mode == "nvfp4":
        gx, gw = mx.array(4.0), mx.array(5.0)
        x = random((3, 64), 2).astype(t)
        want = rounded(x, mode, global_scale=gx) @ rounded(w, mode, global_scale=gw).T
        packed = mx.quantize(w, mode=mode, global_scale=gw)
        for wq in ((w,), packed):
            close(mx.qqmm(x, *wq, mode=mode, global_scale_x=gx, global_scale_w=gw), want, tol)


@pytest.mark.parametrize("mode", MODES)
def test_qqmm_transforms(mode):
    x, w, g = random((5, 64), 1), random((8, 64), 2), random((5, 8), 3)
    _, (dx, dw) = mx.vjp(lambda x, w: mx.qqmm(x, w, mode=mode), [x, w], [g])
    close(dx, g @ rounded(w, mode))
    close(dw, g.T @ rounded(x, mode))
    q = mx.quantize(w, mode=mode)
    close(mx.vjp(lambda x: mx.qqmm(x, *q, mode=mode), [x], [g])[1][0], g @ rounded(w, mode))
    _, (t,) = mx.jvp(lambda x: mx.qqmm(x, w, mode=mode), [x], [w[:5]])
    close(t, w[:5] @ rounded(w, mode).T)
    xs = random((3, 5, 64), 4)
    close(mx.vmap(lambda x: mx.qqmm(x, *q, mode=mode))(xs), mx.qqmm(xs, *q, mode=mode))


def test_qqmm_errors():
    x, w = random((3, 64)), random((8, 64))
    q = mx.quantize(w, mode="nvfp4")
    one = mx.array(1.0)
    for call, words in (
        (lambda: mx.qqmm(x, q[0]), "Scales must be provided"),
        (lambda: mx.qqmm(x[:, :32], *q), "does not match"),
        (lambda: mx.qqmm(x[:, :32], w), "must match"),
        (lambda: mx.qqmm(x.astype(mx.int32), w), "int32"),
        (lambda: mx.qqmm(x, w, global_scale_x=one), "both"),
        (lambda: mx.qqmm(x, w, mode="mxfp4", global_scale_x=one), "only supported for 'nvfp4'"),
        (lambda: mx.qqmm(x, w[None]), "2 dimensions"),
        (lambda: mx.qqmm(x, w, bits=3), "requires bits"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
