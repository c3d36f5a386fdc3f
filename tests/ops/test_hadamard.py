"""mx.hadamard_transform."""

import mlx.core as mx
import numpy as np
import pytest
from scipy.linalg import hadamard

SIZES = [1, 2, 4, 8, 16, 32, 64, 512, 4096, 12, 24, 48, 20, 40, 320, 28, 56, 896]


def matrix(n):
    return np.array(mx.hadamard_transform(mx.eye(n), scale=1.0)).T


@pytest.mark.parametrize("n", SIZES)
def test_is_a_hadamard_matrix(n):
    h = matrix(n)
    assert set(np.unique(h)) <= {-1.0, 1.0}
    np.testing.assert_array_equal(h @ h.T, n * np.eye(n))
    if n & (n - 1) == 0:
        np.testing.assert_array_equal(h, hadamard(n))


def test_known_rows():
    # As Apple's build has them.
    def row(n, i):
        return "".join("+" if v > 0 else "-" for v in matrix(n)[i])

    assert row(12, 2) == "+++-++----++"
    assert row(20, 15) == "-+--+--++-+----+----"
    assert row(28, 7) == "--++++-+-------++--+++-+--+-"
    np.testing.assert_array_equal(matrix(24), np.kron(matrix(12), hadamard(2)))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_values_and_layouts(dtype):
    dtype = getattr(mx, dtype)
    bound = {mx.float64: 1e-12, mx.float32: 1e-5, mx.float16: 4e-3, mx.bfloat16: 3e-2}[dtype]
    for n in (8, 12, 160):
        x = mx.random.normal((3, 4, n)).astype(dtype)
        exact = np.array(x.astype(mx.float64))
        y = mx.hadamard_transform(x)
        assert y.dtype == dtype
        scale = float(np.float32(1 / np.sqrt(n)))
        want = exact @ matrix(n).T * scale
        np.testing.assert_allclose(np.array(y.astype(mx.float64)), want, atol=bound, rtol=bound)
        y = mx.hadamard_transform(x.swapaxes(0, 1)[:, ::-1], scale=2.0)
        want = exact.swapaxes(0, 1)[:, ::-1] @ matrix(n).T * 2
        np.testing.assert_allclose(np.array(y.astype(mx.float64)), want, atol=bound * n, rtol=bound)


def test_other_dtypes_and_edges():
    assert mx.hadamard_transform(mx.array([1, 2], mx.int32), scale=1).tolist() == [3.0, -1.0]
    assert mx.hadamard_transform(mx.array([True, True])).dtype == mx.float32
    z = mx.hadamard_transform(mx.array([1 + 2j, 3 - 1j]), scale=1)
    assert z.tolist() == [4 + 1j, -2 + 3j]
    assert mx.hadamard_transform(mx.array(3.0)).item() == 3.0
    assert mx.hadamard_transform(mx.zeros((0, 4))).shape == (0, 4)


def test_derivatives_and_vmap():
    x, c = mx.random.normal((2, 24)), mx.random.normal((2, 24))
    y, d = mx.jvp(mx.hadamard_transform, [x], [c])
    np.testing.assert_allclose(np.array(d[0]), np.array(mx.hadamard_transform(c)), atol=1e-6)
    g = mx.vjp(mx.hadamard_transform, [x], [c])[1][0]
    want = np.array(c) @ matrix(24) / np.sqrt(24)
    np.testing.assert_allclose(np.array(g), want, atol=1e-5)
    got = mx.vmap(mx.hadamard_transform, in_axes=1)(x.T)
    np.testing.assert_allclose(np.array(got), np.array(y[0]), atol=1e-6)


@pytest.mark.parametrize("n", [0, 3, 6, 10, 14, 36, 40 * 3])
def test_refused(n):
    with pytest.raises(ValueError, match="hadamard_transform"):
        mx.hadamard_transform(mx.ones((2, n)))
