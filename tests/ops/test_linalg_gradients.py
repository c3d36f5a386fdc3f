"""Derivatives of mx.linalg against finite differences in float64, and vmap against a loop."""

import mlx.core as mx
import numpy as np
import pytest

L = mx.linalg
EPS = 1e-6


def base(shape, seed=0, kind="float64"):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if kind == "complex64":
        x = x + 1j * rng.standard_normal(shape)
    if shape[-1] == shape[-2]:  # far from singular
        x = x + 2 * np.eye(shape[-1])
    return x


def as_mx(x):
    if np.iscomplexobj(x):
        return mx.array(x.astype(np.complex64))
    return mx.array(x, dtype=mx.float64)


def t(x):
    return x.swapaxes(-1, -2)


def ct(x):
    return mx.conjugate(t(x)) if x.dtype == mx.complex64 else t(x)


def herm(x):
    return x @ ct(x) + 3 * mx.eye(x.shape[-1], dtype=x.dtype)


def thin(a):
    k = min(a.shape[-2:])
    u, s, vt = L.svd(a)
    return u[..., :k], s, vt[..., :k, :]


def through_eigh(a):
    w, v = L.eigh(herm(a))
    return (v * mx.sin(w)[..., None, :]) @ ct(v)


def through_svd(a):
    u, s, vt = thin(a)
    return (u * mx.sin(s)[..., None, :]) @ vt


def rhs(a, m=3):
    n = a.shape[-1]
    return (mx.arange(n * m).reshape(n, m) / 7).astype(a.dtype) @ mx.ones((m, m), dtype=a.dtype) + 1


# Functions of a matrix whose results don't depend on the choice of signs and phases of vectors.
SMOOTH = {
    "inv": L.inv,
    "tri_inv": L.tri_inv,
    "tri_inv upper": lambda a: L.tri_inv(a, True),
    "det": L.det,
    "slogdet": lambda a: L.slogdet(a)[1],
    "cholesky": lambda a: L.cholesky(herm(a)),
    "cholesky upper": lambda a: L.cholesky(herm(a), True),
    "cholesky_inv": lambda a: L.cholesky_inv(L.cholesky(herm(a))),
    "solve": lambda a: L.solve(a, rhs(a)),
    "solve vector": lambda a: L.solve(a, rhs(a)[:, 0] + a[0]),
    "solve right": lambda a: L.solve(herm(a), a),
    "solve columns": lambda a: L.solve(a, mx.stack([rhs(a), 2 * a[:, :3]])),
    "solve_triangular": lambda a: L.solve_triangular(a, rhs(a) * a[:, :1]),
    "solve_triangular upper": lambda a: L.solve_triangular(a, rhs(a), upper=True),
    "eigvalsh": lambda a: L.eigvalsh(herm(a)),
    "eigvalsh U": lambda a: L.eigvalsh(herm(a), "U"),
    "eigh": through_eigh,
    "lu": lambda a: mx.concatenate(L.lu(a)[1:], -1),
    "lu_factor": lambda a: L.lu_factor(a)[0],
}
RECTANGULAR = {
    "qr Q": lambda a: L.qr(a)[0],
    "qr R": lambda a: L.qr(a)[1],
    "svd values": lambda a: L.svd(a, compute_uv=False),
    "svd": through_svd,
    "pinv": L.pinv,
    "lu_factor": lambda a: L.lu_factor(a)[0],
    "norm nuc": lambda a: L.norm(a, "nuc"),
    "norm 2": lambda a: L.norm(a, 2),
    "norm fro": lambda a: L.norm(a, "fro"),
    "norm 3": lambda a: L.norm(a, 3, axis=-1),
    "norm 1": lambda a: L.norm(a, 1),
    "norm -inf": lambda a: L.norm(a, -np.inf, axis=-1),
    "cross": lambda a: L.cross(a[..., :3], a[..., 1:3]),
}


def check(f, x, tol):
    """vjp and jvp of f at x against differences along one direction."""
    a = as_mx(x)
    rng = np.random.default_rng(7)
    d = rng.standard_normal(x.shape)
    if np.iscomplexobj(x):
        d = d + 1j * rng.standard_normal(x.shape)
    eps = 3e-3 if np.iscomplexobj(x) else EPS
    y = f(a)
    want = (np.array(f(as_mx(x + eps * d))) - np.array(f(as_mx(x - eps * d)))) / (2 * eps)
    (_,), (got,) = mx.jvp(f, [a], [as_mx(d)])
    got = np.array(got)
    size = max(1.0, np.abs(want).max())
    np.testing.assert_allclose(got, want, rtol=tol, atol=tol * size)
    g = rng.standard_normal(y.shape)
    if y.dtype == mx.complex64:
        g = g + 1j * rng.standard_normal(y.shape)
    _, (back,) = mx.vjp(f, [a], [as_mx(g) if y.dtype != mx.float32 else mx.array(g, mx.float32)])
    assert back.dtype == a.dtype and back.shape == a.shape
    left = np.sum(np.real(np.conj(np.array(back)) * d))
    right = np.sum(np.real(np.conj(g) * want))
    assert abs(left - right) <= tol * max(1.0, abs(right), np.abs(np.conj(g) * want).sum())


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("kind", ["float64", "complex64"])
@pytest.mark.parametrize("shape", [(4, 4), (14, 14), (2, 3, 3)])
def test_square(name, kind, shape):
    if len(shape) == 3 and name.startswith("solve"):
        pytest.skip("its right sides are made for one matrix")
    check(SMOOTH[name], base(shape, kind=kind), 2e-2 if kind == "complex64" else 1e-5)


@pytest.mark.parametrize("name", RECTANGULAR)
@pytest.mark.parametrize("kind", ["float64", "complex64"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
def test_rectangular(name, kind, shape):
    if name == "svd" and shape[0] != shape[1] and kind == "complex64":
        tol = 3e-2
    else:
        tol = 2e-2 if kind == "complex64" else 1e-5
    check(RECTANGULAR[name], base(shape, 3, kind), tol)


def test_vectors_themselves():
    """In real arithmetic the signs stay, so the vectors have differences too."""
    check(lambda a: thin(a)[0], base((5, 3)), 1e-5)
    check(lambda a: thin(a)[2], base((3, 5)), 1e-5)
    check(lambda a: L.svd(a)[0], base((4, 4)), 1e-5)
    check(lambda a: L.eigh(a + t(a))[1], base((4, 4)), 1e-5)
    # The vectors beyond the k-th: only the space they span is determined.
    check(lambda a: L.svd(a)[0][:, 3:] @ t(L.svd(a)[0][:, 3:]), base((5, 3)), 1e-5)


@pytest.mark.parametrize("kind", ["float32", "complex64"])
def test_eig(kind):
    """eig computes in float32 at its surface: large steps, wide bounds."""
    rng = np.random.default_rng(1)
    x = np.diag([1.0, 3.0, 6.0, 10.0]) + 0.5 * rng.standard_normal((4, 4))
    if kind == "complex64":
        x = x + 0.5j * rng.standard_normal((4, 4))
    a, d = mx.array(x.astype(kind)), mx.array(rng.standard_normal((4, 4)).astype(kind))

    def ordered(f):
        def g(a):
            w, v = L.eig(a)
            return f(w, v)

        return g

    functions = [
        lambda a: mx.real(mx.sum(mx.sin(L.eigvals(a)))),
        ordered(lambda w, v: mx.sum(mx.abs(v) ** 4)),
        ordered(lambda w, v: mx.real(mx.sum(w * w * mx.sum(mx.abs(v) ** 4, 0)))),
    ]
    for f in functions:
        eps = 1e-2
        want = (f(a + eps * d) - f(a - eps * d)).item() / (2 * eps)
        _, (got,) = mx.jvp(f, [a], [d])
        assert abs(got.item() - want) < 2e-2 * max(1, abs(want))
        g = mx.grad(f)(a)
        assert g.dtype == a.dtype
        back = np.sum(np.real(np.conj(np.array(g)) * np.array(d)))
        assert abs(back - want) < 2e-2 * max(1, abs(want))


def test_det_of_singular_matrices():
    for n in (1, 2, 3, 4, 14):
        x = base((n, n))
        x[-1] = x[0] if n > 1 else 0
        check(L.det, x, 1e-4)
    zero = mx.zeros((3, 3), dtype=mx.float64)
    assert mx.grad(lambda a: L.det(a))(zero).tolist() == np.zeros((3, 3)).tolist()


SECOND = [
    "inv",
    "det",
    "slogdet",
    "cholesky",
    "solve",
    "solve_triangular",
    "eigvalsh",
    "eigh",
    "lu_factor",
]


@pytest.mark.parametrize("name", [*SECOND, "svd values", "qr R", "pinv", "norm fro"])
def test_second_order(name):
    f = {**RECTANGULAR, **SMOOTH}[name]
    x = base((4, 4), 5)
    weights = mx.array(np.random.default_rng(2).standard_normal(f(as_mx(x)).shape), mx.float64)
    check(mx.grad(lambda a: mx.sum(weights * f(a))), x, 1e-4)


def test_two_arguments():
    a, b = as_mx(base((3, 3))), as_mx(base((3, 2)))
    for f in (L.solve, L.solve_triangular):
        check(lambda x, f=f: f(x, b), np.array(a), 1e-5)
        check(lambda y, f=f: f(a, y), np.array(b), 1e-5)


VMAPPED = {**SMOOTH, **RECTANGULAR}


@pytest.mark.parametrize("name", VMAPPED)
def test_vmap(name):
    f = VMAPPED[name]
    x = as_mx(np.stack([base((4, 4), s) for s in range(3)]))
    want = mx.stack([f(x[i]) for i in range(3)])
    np.testing.assert_allclose(np.array(mx.vmap(f)(x)), np.array(want), rtol=1e-9, atol=1e-9)
    moved = mx.vmap(f, in_axes=1)(mx.moveaxis(x, 0, 1))
    np.testing.assert_allclose(np.array(moved), np.array(want), rtol=1e-9, atol=1e-9)
    g = mx.vmap(mx.grad(lambda a: mx.sum(f(a))))(x)
    want = mx.stack([mx.grad(lambda a: mx.sum(f(a)))(x[i]) for i in range(3)])
    np.testing.assert_allclose(np.array(g), np.array(want), rtol=1e-6, atol=1e-6)


def test_vmap_of_solve():
    a = as_mx(np.stack([base((3, 3), s) for s in range(4)]))
    b = as_mx(base((3, 2)))
    want = mx.stack([L.solve(a[i], b) for i in range(4)])
    np.testing.assert_allclose(np.array(mx.vmap(L.solve, in_axes=(0, None))(a, b)), np.array(want))
    c = mx.stack([b * i for i in range(4)])
    want = mx.stack([L.solve(a[0], c[i]) for i in range(4)])
    np.testing.assert_allclose(
        np.array(mx.vmap(L.solve, in_axes=(None, 0))(a[0], c)), np.array(want), atol=1e-12
    )


def test_empty():
    for shape in ((0, 0), (0, 2, 2), (0, 3), (3, 0)):
        a = mx.zeros(shape, dtype=mx.float64)
        for f in (lambda x: L.svd(x)[0], lambda x: L.qr(x)[1], lambda x: L.lu_factor(x)[0]):
            assert mx.grad(lambda x, f=f: mx.sum(f(x)))(a).shape == shape
    a = mx.zeros((0, 2, 2), dtype=mx.float64)
    for f in (L.inv, L.det, L.cholesky, L.eigvalsh, L.pinv):
        assert mx.grad(lambda x, f=f: mx.sum(f(x)))(a).shape == a.shape
