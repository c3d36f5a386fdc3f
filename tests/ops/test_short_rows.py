"""Rows of every short length: their kernels differ by it, and must not read or write beyond them."""

import mlx.core as mx
import numpy as np
import pytest

DTYPES = [np.int8, np.uint16, np.int32, np.float32, np.int64, np.float64]


def draw(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.floating):
        x = rng.standard_normal(shape)
        x.flat[rng.integers(0, x.size, x.size // 5)] = 0.0
        x.flat[rng.integers(0, x.size, x.size // 9)] = -0.0
        return x.astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype)


def array(x):
    return mx.array(x, dtype=mx.float64) if x.dtype == np.float64 else mx.array(x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("step", [-3, -2, -1, 2, 3, 5])
def test_strided_rows(dtype, step):
    for width in range(1, 20):
        for rows in (1, 2, 3, 9, 40):
            x = draw((rows, width), dtype)
            with mx.stream(mx.cpu):
                a = array(x)
                turned = a[::-1, ::step]
                got = [mx.contiguous(a[:, ::step]), mx.contiguous(turned), a[:, ::step] + turned]
            want = [x[:, ::step], x[::-1, ::step], x[:, ::step] + x[::-1, ::step]]
            for g, w in zip(got, want, strict=True):
                np.testing.assert_array_equal(np.array(g), w, err_msg=f"{rows} x {width}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_joined_and_turned_rows(dtype):
    for width in range(1, 40):
        x, y = draw((11, width), dtype), draw((11, 3), dtype, 1)
        with mx.stream(mx.cpu):
            a, b = array(x), array(y)
            joined = mx.concatenate([a, b, a], axis=1)
            turned = mx.contiguous(a[::-1])
        np.testing.assert_array_equal(np.array(joined), np.concatenate([x, y, x], axis=1))
        np.testing.assert_array_equal(np.array(turned), x[::-1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_order_of_short_rows(dtype):
    for width in [*range(1, 34), 95, 96, 97, 255, 256, 257, 1000, 4095, 4097]:
        x = draw((5, width), dtype, width)
        if np.issubdtype(dtype, np.floating) and width > 4:
            x[1, 3] = x[2, 1] = np.nan
            x[3, 2], x[3, 0] = np.inf, -np.inf
        with mx.stream(mx.cpu):
            a = array(x)
            values, positions = mx.sort(a, axis=1), mx.argsort(a, axis=1)
            turned = mx.sort(a.T, axis=0)
            best, least = mx.argmax(a, axis=1), mx.argmin(a, axis=1)
        np.testing.assert_array_equal(np.array(values), np.sort(x, axis=1))
        np.testing.assert_array_equal(np.array(turned), np.sort(x.T, axis=0))
        np.testing.assert_array_equal(np.array(positions), np.argsort(x, axis=1, kind="stable"))
        np.testing.assert_array_equal(np.array(best), np.argmax(x, axis=1))
        np.testing.assert_array_equal(np.array(least), np.argmin(x, axis=1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_of_a_few_rows(dtype):
    for rows in range(1, 20):
        x = draw((rows, 37), dtype, rows)
        with mx.stream(mx.cpu):
            a = array(x)
            got = mx.max(a, axis=0), mx.min(a, axis=0), mx.sum(a, axis=0)
        np.testing.assert_array_equal(np.array(got[0]), x.max(axis=0))
        np.testing.assert_array_equal(np.array(got[1]), x.min(axis=0))
        if np.issubdtype(dtype, np.floating):
            np.testing.assert_allclose(np.array(got[2]), x.sum(axis=0), rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(np.array(got[2]).astype(np.int64), sums(x))


def sums(x):
    """Sums as Mica types them: of int32 for small integers, wrapping."""
    kept = np.int64 if x.dtype == np.int64 else np.uint32 if x.dtype == np.uint16 else np.int32
    with np.errstate(over="ignore"):
        return x.astype(kept).sum(axis=0, dtype=kept).astype(np.int64)


@pytest.mark.parametrize("index", [np.int8, np.uint32, np.int64])
def test_take_along_short_rows(index):
    rng = np.random.default_rng(3)
    for width in range(1, 12):
        for along in (1, 2, 7, 300):
            x = draw((23, width), np.float32)
            low = -width if np.issubdtype(index, np.signedinteger) else 0
            j = rng.integers(low, width, (23, along)).astype(index)
            got = mx.take_along_axis(mx.array(x), mx.array(j), axis=1)
            np.testing.assert_array_equal(
                np.array(got), np.take_along_axis(x, j.astype(np.int64), axis=1)
            )
            turned = mx.take_along_axis(mx.array(x).T, mx.array(j).T, axis=0)
            np.testing.assert_array_equal(np.array(turned), np.array(got).T)


def test_take_along_refuses_what_is_outside():
    x = mx.zeros((5, 4))
    for bad in (4, -5):
        with pytest.raises(IndexError, match="out of range"):
            mx.eval(mx.take_along_axis(x, mx.array([[0], [1], [bad], [2], [0]]), axis=1))
