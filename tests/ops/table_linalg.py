"""Rows of linear algebra whose results are unique; factors are checked by their products in test_linalg.py."""

import mlx.core as mx
import numpy as np
from row import Arg, Row

REAL = ("float32", "float64")
NOT_SQUARE = ((lambda f: f(mx.zeros((2, 3))), ValueError, ""),)
NO_PAIR = ((lambda f: f(mx.zeros((2, 3)), mx.zeros(2)), ValueError, ""),)


def well_conditioned(rng, shape):
    """Far from singular, so that float32 results can be compared."""
    x = rng.uniform(-1, 1, shape)
    n = min(shape[-2:])
    return x + 2 * n**0.5 * np.eye(shape[-2], shape[-1])


def positive(rng, shape):
    x = rng.uniform(-1, 1, shape)
    return x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])


def symmetric(rng, shape):
    x = rng.uniform(-1, 1, shape)
    return x + np.swapaxes(x, -1, -2) + 4 * np.diag(np.arange(shape[-1]))


MATRIX, POSITIVE = Arg(make=well_conditioned), Arg(make=positive)
SQUARE = (((4, 4),), ((2, 3, 3),), ((1, 1),), ((15, 15),))


def matrix(name, oracle, args=(MATRIX,), shapes=SQUARE, kw=({},), **more):
    more.setdefault("dtypes", REAL)
    more.setdefault("tol", 256)
    more.setdefault("bad", NOT_SQUARE)
    more.setdefault("grad", True)
    return Row(f"linalg.{name}", oracle, args, shapes, kw, layouts=False, **more)


def triangular(a, b, upper=False):
    return np.linalg.solve(np.triu(a) if upper else np.tril(a), b)


SOLVE = (((4, 4), (4,)), ((4, 4), (4, 3)), ((2, 3, 3), (2, 3, 2)))

ROWS = [
    matrix("inv", np.linalg.inv),
    matrix("pinv", np.linalg.pinv, shapes=(((4, 4),), ((5, 3),), ((2, 3, 4),)), bad=()),
    matrix("det", np.linalg.det),
    matrix(
        "slogdet",
        lambda a: tuple(np.linalg.slogdet(a)),
        grad=False,
        why={"derivatives": "test_linalg_gradients.py: of one of two results"},
    ),
    matrix(
        "cholesky",
        lambda a, upper=False: (
            np.swapaxes(np.linalg.cholesky(a), -1, -2) if upper else np.linalg.cholesky(a)
        ),
        (POSITIVE,),
        kw=({}, {"upper": True}),
        grad=False,
        why={"derivatives": "test_linalg_gradients.py: over symmetric matrices"},
    ),
    matrix(
        "cholesky_inv",
        lambda a, upper=False: np.linalg.inv(
            np.triu(a).swapaxes(-1, -2) @ np.triu(a)
            if upper
            else np.tril(a) @ np.tril(a).swapaxes(-1, -2)
        ),
        kw=({}, {"upper": True}),
    ),
    matrix(
        "tri_inv",
        lambda a, upper=False: np.linalg.inv(np.triu(a) if upper else np.tril(a)),
        kw=({}, {"upper": True}),
    ),
    matrix(
        "solve",
        lambda a, b: (
            np.linalg.solve(a, b[..., None])[..., 0] if b.ndim == 1 else np.linalg.solve(a, b)
        ),
        (MATRIX, Arg()),
        SOLVE,
        bad=NO_PAIR,
    ),
    matrix(
        "solve_triangular",
        lambda a, b, upper=False: (
            triangular(a, b[..., None], upper)[..., 0] if b.ndim == 1 else triangular(a, b, upper)
        ),
        (MATRIX, Arg()),
        SOLVE,
        ({}, {"upper": True}),
        bad=NO_PAIR,
    ),
    matrix(
        "eigvalsh",
        np.linalg.eigvalsh,
        (Arg(make=symmetric),),
        grad=False,
        why={"derivatives": "test_linalg_gradients.py: over symmetric matrices"},
    ),
    matrix(
        "norm",
        lambda a, ord=None, axis=None, keepdims=False: np.linalg.norm(a, ord, axis, keepdims),
        (Arg(0.5, 2.0),),
        (((3, 4),), ((5, 6),)),
        (
            {},
            {"axis": 1},
            {"ord": 1, "axis": 0},
            {"ord": "fro", "keepdims": True},
            {"ord": np.inf, "axis": -1},
        ),
        bad=((lambda f: f(mx.zeros((2, 3)), ord="wrong"), ValueError, ""),),
    ),
    matrix(
        "cross",
        np.cross,
        (Arg(), Arg()),
        (((4, 3), (4, 3)), ((3,), (2, 3))),
        bad=((lambda f: f(mx.zeros(4), mx.zeros(4)), ValueError, ""),),
    ),
    matrix(
        "qr",
        lambda a: tuple(np.linalg.qr(a)),
        grad=False,
        why={"derivatives": "test_linalg_gradients.py"},
        bad=(),
    ),
    Row(
        "hadamard_transform",
        lambda x: x @ hadamard(x.shape[-1]) / np.sqrt(x.shape[-1]),
        (Arg(),),
        (((3, 8),), ((16,),), ((2, 1),)),
        dtypes=("float16", "bfloat16", "float32"),
        tol=16,
        why={"derivatives": "test_hadamard.py: float32"},
        bad=((lambda f: f(mx.zeros((2, 11 * 7))), ValueError, ""),),
    ),
]


def hadamard(n):
    h = np.ones((1, 1))
    while len(h) < n:
        h = np.block([[h, h], [h, -h]])
    return h
