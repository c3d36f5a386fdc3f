"""Values of mx.linalg: against NumPy, by putting factors together again, and what it refuses."""

import doctest

import mlx.core as mx
import numpy as np
import pytest

L = mx.linalg
DTYPES = ["float32", "float64", "complex64"]
SIZES = [1, 2, 3, 5, 12, 13, 40]
TOL = {"float32": 2e-4, "float64": 1e-10, "complex64": 2e-4}


def random(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if dtype == "complex64":
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


def wide(x):
    return x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)


def positive(n, dtype, batch=(), seed=0):
    x = wide(random((*batch, n, n), dtype, seed))
    y = x @ np.swapaxes(x.conj(), -1, -2) + n * np.eye(n)
    return y.astype(dtype)


def adjoint(x):
    return np.swapaxes(x.conj(), -1, -2)


def arr(x):
    if x.dtype == np.float64:
        return mx.array(x, dtype=mx.float64)
    return mx.array(x)


def close(got, want, dtype="float32", scale=1.0):
    got, want = np.array(got), np.asarray(want)
    assert got.shape == want.shape
    size = max(1.0, float(np.abs(want).max())) if want.size else 1.0
    np.testing.assert_allclose(got, want, rtol=TOL[dtype], atol=TOL[dtype] * size * scale)


def layouts(x):
    """The same values row by row, column by column, and with gaps."""
    a = arr(x)
    gaps = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    gaps[..., ::2] = x
    yield a
    yield arr(np.swapaxes(x, -1, -2).copy()).swapaxes(-1, -2)
    yield arr(gaps)[..., ::2]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_square(n, dtype):
    x = random((3, n, n), dtype) / np.float32(n) + np.eye(n, dtype=dtype)
    for a in layouts(x):
        assert a.dtype == getattr(mx, dtype)
        close(L.inv(a), np.linalg.inv(wide(x)), dtype)
        for tri, upper in ((np.tril, False), (np.triu, True)):
            close(L.tri_inv(a, upper), np.linalg.inv(wide(tri(x))), dtype)
        det = np.linalg.det(wide(x))
        close(L.det(a) / arr(det.astype(dtype)), np.ones(3), dtype)
        sign, log = L.slogdet(a)
        want = np.linalg.slogdet(wide(x))
        close(sign, want[0], dtype)
        close(log, want[1], dtype)
        real = mx.float64 if dtype == "float64" else mx.float32
        assert sign.dtype == a.dtype and log.dtype == real


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_solve(n, dtype):
    x = random((2, n, n), dtype) + (n * np.eye(n)).astype(dtype)
    for shape in ((n,), (n, 1), (n, 3), (2, n, 4), (5, 2, n, 2)):
        b = random(shape, dtype, 1)
        want = wide(b)[:, None] if b.ndim == 1 else wide(b)
        for upper, part in ((None, x), (False, np.tril(x)), (True, np.triu(x))):
            for a, p in ((arr(x), part), (arr(x[0]), part[0])):
                exact = np.linalg.solve(wide(p), want)
                got = (
                    L.solve(a, arr(b))
                    if upper is None
                    else L.solve_triangular(a, arr(b), upper=upper)
                )
                close(got, exact[..., 0] if b.ndim == 1 else exact, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_cholesky(n, dtype):
    x = positive(n, dtype, (2,))
    want = np.linalg.cholesky(wide(x))
    for a in layouts(x):
        close(L.cholesky(a), want, dtype)
        close(L.cholesky(a, upper=True), adjoint(want), dtype)
        close(L.cholesky_inv(L.cholesky(a)), np.linalg.inv(wide(x)), dtype)
        close(L.cholesky_inv(L.cholesky(a, True), True), np.linalg.inv(wide(x)), dtype)
    # Only one triangle is read.
    close(L.cholesky(arr(np.tril(x))), want, dtype)
    close(L.cholesky(arr(np.triu(x)), True), adjoint(want), dtype)


SHAPES = [(1, 1), (4, 4), (3, 5), (5, 3), (1, 6), (6, 1), (20, 14), (14, 20), (30, 30)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_factors(shape, dtype):
    m, n = shape
    k = min(m, n)
    x = random((2, m, n), dtype)
    for a in layouts(x):
        q, r = map(np.array, L.qr(a))
        assert q.shape == (2, m, k) and r.shape == (2, k, n)
        close(q @ r, x, dtype)
        close(adjoint(q) @ q, np.broadcast_to(np.eye(k), (2, k, k)), dtype)
        assert (np.tril(r, -1) == 0).all()
        p, low, u = map(np.array, L.lu(a))
        assert p.dtype == np.uint32 and low.shape == (2, m, k) and u.shape == (2, k, n)
        close(np.take_along_axis(low @ u, p[..., None].astype(int), -2), x, dtype)
        assert (np.abs(low) <= 1.5).all()
        lu, pivots = map(np.array, L.lu_factor(a))
        close(np.tril(lu, -1)[..., :k] + np.eye(m, k), low, dtype)
        assert pivots.shape == (2, k) and pivots.dtype == np.uint32
        u, s, vt = map(np.array, L.svd(a))
        assert u.shape == (2, m, m) and s.shape == (2, k) and vt.shape == (2, n, n)
        close((u[..., :k] * s[:, None]) @ vt[:, :k], x, dtype)
        close(adjoint(u) @ u, np.broadcast_to(np.eye(m), (2, m, m)), dtype)
        close(vt @ adjoint(vt), np.broadcast_to(np.eye(n), (2, n, n)), dtype)
        close(s, np.linalg.svd(wide(x), compute_uv=False), dtype)
        close(L.svd(a, compute_uv=False), s, dtype)
        close(L.pinv(a), np.linalg.pinv(wide(x)), dtype, 10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 7, 33])
def test_eigen(n, dtype):
    x = positive(n, dtype, (2,))
    for uplo, part in (("L", np.tril(x)), ("U", np.triu(x)), ("l", np.tril(x))):
        w, v = map(np.array, L.eigh(arr(part), uplo))
        close(w, np.linalg.eigvalsh(wide(x)), dtype)
        close((v * w[:, None]) @ adjoint(v), x, dtype)
        close(L.eigvalsh(arr(part), uplo), w, dtype)
    x = random((2, n, n), dtype)
    for a in layouts(x):
        w, v = map(np.array, L.eig(a))
        assert w.dtype == v.dtype == np.complex64
        close(x @ v, v * w[:, None], "complex64")
        close(np.linalg.norm(v, axis=-2), np.ones((2, n)), "float32")
        want = np.sort_complex(np.round(np.linalg.eigvals(wide(x)), 3))
        got = np.sort_complex(np.round(np.array(L.eigvals(a)), 3))
        np.testing.assert_allclose(np.sort(np.abs(got)), np.sort(np.abs(want)), atol=5e-3)


def test_singular_pinv():
    x = np.outer(np.arange(1, 5), np.arange(1, 4)).astype(np.float32)
    close(L.pinv(mx.array(x)), np.linalg.pinv(x, rcond=1e-5))
    assert np.array(L.pinv(mx.zeros((2, 3)))).tolist() == [[0, 0], [0, 0], [0, 0]]


def test_other_dtypes_of_det():
    for dtype in (mx.int32, mx.bool_, mx.uint8):
        assert L.det(mx.eye(3).astype(dtype)).dtype == mx.float32
    a = mx.array([[1.0, 2], [3, 4]])
    for dtype in (mx.float16, mx.bfloat16):
        d = L.det(a.astype(dtype))
        assert d.dtype == dtype and d.item() == -2
        assert [x.dtype for x in L.slogdet(a.astype(dtype))] == [dtype, dtype]


ORDERS = [None, 0, 1, -1, 2, 3, 0.5, -2, np.inf, -np.inf, "fro", "nuc"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_norm(order, dtype):
    x = random((3, 4, 5), dtype)
    real = "float64" if dtype == "float64" else "float32"
    for axis in (None, 0, -1, [1, 2], (2, 0), [-1, 1]):
        for keepdims in (False, True):
            try:
                with np.errstate(all="ignore"):
                    given = tuple(axis) if isinstance(axis, list) else axis
                    want = np.linalg.norm(wide(x), order, given, keepdims)
            except ValueError:
                with pytest.raises(ValueError, match="linalg::norm"):
                    L.norm(arr(x), order, axis, keepdims)
                continue
            got = L.norm(arr(x), order, axis, keepdims)
            assert got.dtype == getattr(mx, real)
            close(got, want, dtype)
    assert mx.matrix_norm is L.norm


def test_norm_edges():
    assert L.norm(mx.array([3, 4])).item() == 5
    assert L.norm(mx.array(-3.0)).item() == 3
    assert L.norm(mx.array([])).item() == 0
    half = L.norm(mx.full((4,), 300, dtype=mx.float16))
    assert half.dtype == mx.float16 and half.item() == 600
    with pytest.raises(ValueError):
        L.norm(mx.array([]), float("inf"))
    for bad in ([0, 1, 2], [0, 0]):
        with pytest.raises(ValueError, match="norm"):
            L.norm(mx.zeros((2, 2, 2)), axis=bad)
    with pytest.raises(IndexError):
        L.norm(mx.zeros((2, 2)), axis=5)
    for words in ("foo", "inf", "2"):
        with pytest.raises(ValueError, match=words):
            L.norm(mx.zeros((2, 2)), words)


def test_cross():
    rng = np.random.default_rng(0)
    for na, nb in ((3, 3), (2, 3), (3, 2), (2, 2)):
        for dtype in (np.float32, np.int32, np.complex64):
            a, b = (10 * rng.standard_normal((4, na))).astype(dtype), np.arange(nb).astype(dtype)
            full = [
                np.concatenate([x, np.zeros((*x.shape[:-1], 3 - x.shape[-1]), dtype)], -1)
                for x in (a, b)
            ]
            close(L.cross(mx.array(a), mx.array(b)), np.cross(*full))
            close(L.cross(mx.array(a.T), mx.array(a.T), axis=0), np.zeros((3, 4)))
    with pytest.raises(ValueError, match="size 2 or 3"):
        L.cross(mx.ones(4), mx.ones(4))
    with pytest.raises(IndexError):
        L.cross(mx.ones((3, 2)), mx.ones((3, 2)), axis=5)
    with pytest.raises(ValueError):
        L.cross(mx.ones((4, 3)), mx.ones((5, 3)))


ONE = [
    "inv",
    "tri_inv",
    "cholesky",
    "cholesky_inv",
    "qr",
    "svd",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "pinv",
    "lu",
    "lu_factor",
]
SQUARE = {
    "inv",
    "tri_inv",
    "cholesky",
    "cholesky_inv",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "det",
    "slogdet",
}


@pytest.mark.parametrize("name", [*ONE, "det", "slogdet"])
def test_empty_and_refused(name):
    f = getattr(L, name)

    def results(a):
        out = f(a)
        out = out if isinstance(out, tuple) else (out,)
        mx.eval(*out)
        return out

    for out in results(mx.zeros((0, 3, 3))):
        assert out.shape[0] == 0
    for out in results(mx.zeros((0, 0))):
        assert out.size == (1 if name in ("det", "slogdet") else 0)
    for shape in ((), (3,)):
        with pytest.raises(ValueError, match=f"linalg::{name}.*>= 2 dimensions"):
            f(mx.zeros(shape))
    if name in SQUARE:
        with pytest.raises(ValueError, match=rf"linalg::{name}.*square.*\(2,3\)"):
            f(mx.zeros((2, 3)))
    else:
        for shape in ((0, 3), (3, 0), (2, 0, 4)):
            results(mx.zeros(shape))
    if name in ONE:
        for dtype in (mx.int32, mx.float16, mx.bool_):
            with pytest.raises(ValueError, match=f"linalg::{name}.*type"):
                f(mx.zeros((2, 2), dtype=dtype))


def test_empty_values():
    assert L.det(mx.zeros((0, 0))).item() == 1
    assert [x.item() for x in L.slogdet(mx.zeros((0, 0)))] == [1, 0]
    u, s, vt = L.svd(mx.zeros((0, 3)))
    assert u.shape == (0, 0) and s.shape == (0,) and vt.tolist() == np.eye(3).tolist()
    assert L.solve(mx.zeros((0, 0)), mx.zeros((0, 2))).shape == (0, 2)
    assert L.solve(mx.eye(2), mx.zeros((2, 0))).shape == (2, 0)


@pytest.mark.parametrize("n", [2, 20])
def test_singular(n):
    zero, nan = mx.zeros((n, n)), mx.full((n, n), float("nan"))
    batch = mx.stack([mx.eye(n), zero])
    for f in (
        L.inv,
        L.tri_inv,
        lambda a: L.solve(a, mx.ones(n)),
        L.cholesky,
        lambda a: L.solve_triangular(a, mx.ones((n, 2))),
    ):
        with pytest.raises(RuntimeError, match="linalg"):
            mx.eval(f(zero))
        with pytest.raises(RuntimeError, match="matrix 1 of the batch"):
            mx.eval(f(batch))
    with pytest.raises(RuntimeError, match="positive definite"):
        mx.eval(L.cholesky(-mx.eye(n)))
    assert L.det(zero).item() == 0
    assert [x.item() for x in L.slogdet(zero)] == [0, -np.inf]
    for f in (L.svd, L.eig, L.eigvals, L.pinv):
        with pytest.raises(RuntimeError, match="converge"):
            mx.eval(f(nan))
    assert np.isnan(np.array(L.eigvalsh(nan))).all()
    assert np.isnan(np.array(L.inv(nan))).any()
    mx.eval(L.lu(zero), L.qr(zero), L.svd(zero), L.eig(zero), L.eigh(zero))


def test_solve_refuses():
    a = mx.eye(2)
    for f in (L.solve, L.solve_triangular):
        for bad, words in (
            ((mx.ones(2), mx.ones(2)), "First input must have >= 2"),
            ((a, mx.array(1.0)), "Second input must have >= 1"),
            ((mx.ones((2, 3)), mx.ones(2)), "square"),
            ((a, mx.ones(3)), "must match"),
            ((a.astype(mx.int32), mx.ones(2, dtype=mx.int32)), "must promote"),
        ):
            with pytest.raises(ValueError, match=words):
                f(*bad)
    with pytest.raises(ValueError, match="cannot be broadcast"):
        L.solve(mx.ones((2, 2, 2)), mx.ones((3, 2, 2)))
    for f in (L.eigh, L.eigvalsh):
        with pytest.raises(ValueError, match="UPLO"):
            f(a, "X")
    assert L.solve(a, mx.ones(2, dtype=mx.float64)).dtype == mx.float64


NAMES = [name for name in dir(L) if not name.startswith("_")]


@pytest.mark.parametrize("name", NAMES)
def test_example(name):
    doc = getattr(L, name).__doc__
    assert ">>>" in doc
    test = doctest.DocTestParser().get_doctest(doc, {"mx": mx}, name, None, 0)
    out = []
    doctest.DocTestRunner(verbose=False).run(test, out=out.append)
    assert not out, "".join(out)
