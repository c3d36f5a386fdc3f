"""Rows of odd lengths: rows that all rows share, short reductions and scans, beside NumPy."""

import mlx.core as mx
import numpy as np
import pytest

# Around vector lengths, tiles of 512 and the longest row that is laid out as copies.
LENGTHS = [1, 2, 3, 7, 8, 15, 17, 33, 64, 100, 511, 512, 513, 1000, 2047, 2048, 2049]
DTYPES = [
    "bool_",
    "int8",
    "uint16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "complex64",
]


def values(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if dtype == "bool_":
        return mx.array(rng.integers(0, 2, shape).astype(bool))
    if "int" in dtype:
        return mx.array(rng.integers(1, 9, shape)).astype(getattr(mx, dtype))
    x = mx.array(rng.integers(-32, 32, shape) / 8.0)
    return x.astype(getattr(mx, dtype))


def plain(x):
    return np.array(x.astype(mx.float32) if x.dtype == mx.bfloat16 else x)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_shared_row(dtype, length):
    rows = max(2, 5000 // length)
    x, b, c = (values(s, dtype, k) for k, s in enumerate([(rows, length), (length,), (length,)]))
    got = mx.where(x == b, b, c)
    want = np.where(plain(x) == plain(b), plain(b), plain(c))
    np.testing.assert_array_equal(plain(got), want)
    if dtype in ("float32", "int32", "complex64"):
        np.testing.assert_array_equal(plain((x + b) * c), (plain(x) + plain(b)) * plain(c))


@pytest.mark.parametrize("length", LENGTHS)
def test_shared_row_within_a_reduction(length):
    rows = max(2, 5000 // length)
    x, b, c = (
        values((rows, length), "float32"),
        values((length,), "float32", 1),
        values((rows, 1), "float32", 2),
    )
    full = plain(x) * plain(b) + plain(c)
    y = x * b + c
    for axis in (0, 1, None):
        np.testing.assert_allclose(
            plain(mx.sum(x * b + c, axis=axis)), full.sum(axis), rtol=2e-6, atol=1e-4
        )
    np.testing.assert_array_equal(plain(mx.max(y, axis=1)), full.max(1))


@pytest.mark.parametrize("length", LENGTHS)
def test_shared_row_in_a_middle(length):
    x = values((3, length, 5), "float32")
    b = values((length, 5), "float32", 1)
    np.testing.assert_array_equal(plain(x - b), plain(x) - plain(b))
    t = values((4, 3, length), "float32")
    np.testing.assert_array_equal(
        plain(t.swapaxes(0, 1) - b[:, 0]), plain(t).swapaxes(0, 1) - plain(b)[:, 0]
    )


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "complex64"])
def test_short_reductions(dtype, length):
    rows = max(3, 3000 // length)
    x = values((rows, length), dtype)
    for axis in (0, 1):
        np.testing.assert_array_equal(plain(mx.max(x, axis=axis)), plain(x).max(axis))
        np.testing.assert_array_equal(plain(mx.min(x, axis=axis)), plain(x).min(axis))
        if dtype in ("float32", "int32", "int64"):
            np.testing.assert_array_equal(plain(mx.sum(x, axis=axis)), plain(x).sum(axis))


@pytest.mark.parametrize("length", [2, 8, 33, 513])
def test_nan_in_a_short_row(length):
    x = np.zeros((200, length), np.float32)
    x[7, length - 1] = x[100, 0] = np.nan
    for f in ("max", "min", "sum"):
        np.testing.assert_array_equal(
            np.array(getattr(mx, f)(mx.array(x), axis=1)), getattr(np, f)(x, axis=1)
        )


@pytest.mark.parametrize("length", [n for n in LENGTHS if n < 600])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("inclusive", [False, True])
def test_short_scans(length, reverse, inclusive):
    rows = max(3, 3000 // length)
    x = values((rows, length), "float32")
    turned = plain(x)[:, ::-1] if reverse else plain(x)
    want = np.cumsum(turned, 1)
    if not inclusive:
        want = want - turned
    want = want[:, ::-1] if reverse else want
    # Donated: the result may lie where the input lay.
    got = mx.cumsum(x + 0, axis=1, reverse=reverse, inclusive=inclusive)
    np.testing.assert_array_equal(plain(got), want)
    if inclusive:
        top = np.maximum.accumulate(turned, 1)
        got = mx.cummax(x, axis=1, reverse=reverse)
        np.testing.assert_array_equal(plain(got), top[:, ::-1] if reverse else top)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize(
    "shape", [(7, 1003), (3, 5, 40), (2, 3, 4, 17), (300, 16), (1, 100), (9, 1, 33), (2, 9000, 17)]
)
def test_softmax_along_each_axis(shape, dtype):
    rng = np.random.default_rng(0)
    x = mx.array(rng.standard_normal(shape, dtype=np.float32) * 3).astype(getattr(mx, dtype))
    wide = np.array(x.astype(mx.float32)).astype(np.float64)
    eps = {"float32": 3e-6, "float64": 3e-6, "float16": 2e-3, "bfloat16": 2e-2}[dtype]
    for axis in range(len(shape)):
        e = np.exp(wide - wide.max(axis, keepdims=True))
        total = e.sum(axis, keepdims=True)
        log = np.log(total) + wide.max(axis, keepdims=True)
        for f in (
            lambda v, a=axis: mx.softmax(v, a),
            lambda v, a=axis: mx.softmax(v * 1, a),  # donated
            mx.compile(lambda v, a=axis: mx.softmax(v * 1, a) + 0),
        ):
            got = np.array(f(x).astype(mx.float32))
            np.testing.assert_allclose(got, e / total, rtol=eps, atol=1e-7)
        got = np.array(mx.logsumexp(x, axis, keepdims=True).astype(mx.float32))
        np.testing.assert_allclose(got, log, rtol=eps, atol=eps)


def test_softmax_of_columns_with_infinities():
    x = np.random.default_rng(0).standard_normal((6, 40)).astype(np.float32)
    x[2, 3], x[1, 4], x[:, 5], x[3, 6] = np.nan, np.inf, -np.inf, -np.inf
    down, along = mx.array(x), mx.array(x.T.copy())
    for f in (mx.softmax, mx.logsumexp):
        a, b = np.array(f(down, axis=0)), np.array(f(along, axis=1)).T
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert np.array_equal(
        np.array(mx.logsumexp(down, axis=0)[3:6]), [np.nan, np.inf, -np.inf], equal_nan=True
    )
