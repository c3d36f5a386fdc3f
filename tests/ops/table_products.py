"""Rows of products of vectors, matrices and tensors."""

import mlx.core as mx
import numpy as np
from row import INEXACT, NUMBERS, Arg, Row, total

AB = (Arg(), Arg())


def product(name, oracle, shapes, **more):
    more.setdefault("dtypes", NUMBERS)
    more.setdefault("tol", 32)
    more.setdefault("grad", True)
    more.setdefault("bad", ((lambda f: f(mx.zeros((2, 3)), mx.zeros((4, 5))), ValueError, ""),))
    return Row(name, oracle, AB, shapes, **more)


def addmm(c, a, b, alpha=1.0, beta=1.0):
    return alpha * (a @ b) + beta * c


MATMUL = (
    ((3, 4), (4, 5)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((4,), (4,)),
    ((2, 3, 4), (4, 5)),
    ((2, 1, 3, 4), (5, 4, 3)),
    ((0, 4), (4, 5)),
    ((3, 0), (0, 5)),
    ((33, 65), (65, 17)),
)

ROWS = [
    product(
        "matmul",
        np.matmul,
        MATMUL,
        bad=(
            (lambda f: f(mx.zeros((2, 3)), mx.zeros((4, 5))), ValueError, "(2,3) (4,5)"),
            (lambda f: f(mx.zeros(()), mx.zeros(2)), ValueError, ""),
        ),
    ),
    Row(
        "addmm",
        addmm,
        (Arg(), Arg(), Arg()),
        (((3, 5), (3, 4), (4, 5)), ((5,), (3, 4), (4, 5)), ((), (2, 3, 4), (4, 5))),
        kw=({}, {"alpha": 0.5, "beta": 2.0}),
        dtypes=INEXACT,
        tol=32,
        grad=True,
        bad=((lambda f: f(mx.zeros(2), mx.zeros((2, 3)), mx.zeros((4, 5))), ValueError, "(2,3)"),),
    ),
    product("inner", np.inner, (((3, 4), (5, 4)), ((4,), (4,)), ((), (3,)), ((2, 3, 4), (4,)))),
    product("outer", np.outer, (((3,), (4,)), ((2, 3), (4,)), ((), (3,))), bad=()),
    product("kron", np.kron, (((2, 3), (3, 2)), ((4,), (2,)), ((), (3,))), bad=()),
    product(
        "tensordot",
        lambda a, b, axes=2: np.tensordot(a, b, axes),
        (((2, 3, 4), (3, 4, 2)),),
        kw=({}, {"axes": [[1], [0]]}),
    ),
    product(
        "vecdot",
        np.vecdot if hasattr(np, "vecdot") else lambda a, b: (a.conj() * b).sum(-1),
        (((3, 4), (3, 4)), ((4,), (3, 4))),
        gives=total,
    ),
    product(
        "einsum",
        lambda a, b: np.einsum("ij,jk->ki", a, b),
        (((3, 4), (4, 5)), ((1, 4), (4, 5))),
        call=lambda a, b: mx.einsum("ij,jk->ki", a, b),
        bad=(
            (lambda f: f("ij,jk", mx.zeros((2, 3)), mx.zeros((4, 5))), ValueError, ""),
            (lambda f: f("ij", mx.zeros((2, 3)), mx.zeros((4, 5))), ValueError, ""),
            (lambda f: f("i$", mx.zeros((2, 3))), ValueError, ""),
        ),
    ),
    product(
        "einsum/trace",
        lambda a, b: np.einsum("...ii,i->...", a, b),
        (((2, 3, 3), (3,)),),
        call=lambda a, b: mx.einsum("...ii,i->...", a, b),
        bad=(),
    ),
]
