"""Rows of reading and writing at indices, and of searching."""

import mlx.core as mx
import numpy as np
from row import INEXACT, REAL, Arg, Row, always, boolean


def indices(below, kind="int32"):
    return Arg(kind=kind, ints=(0, below), diff=False)


def put_along_axis(x, where, values, axis):
    out = x.copy()
    np.put_along_axis(out, where, values, axis)
    return out


def at(op):
    """x.at[i].op(v) along the first axis; repeated indices count each."""

    def oracle(x, where, v):
        out = x.copy()
        op.at(out, where, v)
        return out

    return oracle


def permuted(rng, shape):
    return rng.permutation(int(np.prod(shape))).reshape(shape)


def search(sorted_sequence, values, side="left"):
    return np.searchsorted(np.sort(sorted_sequence), values, side)


def unique(x, size):
    return np.unique(x)[:size]


def masked(x, mask):
    return np.where(mask, 7, x).astype(x.dtype)


def set_masked(x, mask):
    y = x + mx.zeros_like(x)
    y[mask] = 7
    return y


def set_slice(x, v):
    y = x + mx.zeros_like(x)
    y[1:, ::2] = v
    return y


def slice_was_set(x, v):
    y = x.copy()
    y[1:, ::2] = v
    return y


def at_row(name, op, call):
    return Row(
        f"array.at/{name}",
        at(op),
        (Arg(), indices(3), Arg()),
        (((3, 4), (5,), (5, 4)),),
        call=call,
        dtypes=("int32", *INEXACT),
        grad=True,
        tol=16,
    )


NEAR = Arg(-0.0, 3.0, (0, 3))

ROWS = [
    Row(
        "take",
        lambda x, i, axis=None: np.take(x, i, axis),
        (Arg(), indices(3)),
        (((3, 4), (5,)), ((3, 4), ()), ((4, 3), (2, 2)), ((3, 4), (0,))),
        kw=({}, {"axis": 0}, {"axis": -1}),
        grad=True,
        bad=(
            (lambda f: f(mx.zeros(3), mx.array([3]), 0), IndexError, "3"),
            (lambda f: f(mx.zeros(3), mx.array([-4]), 0), IndexError, "-4"),
            (lambda f: f(mx.zeros(3), mx.array([0.5])), ValueError, ""),
            (lambda f: f(mx.zeros(3), mx.array([0]), 1), IndexError, "1"),
        ),
    ),
    Row(
        "take_along_axis",
        lambda x, i, axis=-1: np.take_along_axis(x, i, axis),
        (Arg(), indices(3)),
        (((3, 4), (3, 2)), ((2, 3), (2, 5))),
        kw=({}, {"axis": 1}),
        grad=True,
        bad=(
            (lambda f: f(mx.zeros(3), mx.array([3]), 0), IndexError, "3"),
            (lambda f: f(mx.zeros((2, 3)), mx.array([0]), 0), ValueError, ""),
        ),
    ),
    Row(
        "put_along_axis",
        put_along_axis,
        (Arg(), Arg(kind="int32", diff=False, ints=(2, 3)), Arg()),
        (((3, 4), (3, 1), (3, 1)), ((3, 4), (3, 1), (1, 1))),
        kw=({"axis": 1},),
        grad=True,
        bad=((lambda f: f(mx.zeros(3), mx.array([3]), mx.ones(1), 0), IndexError, "3"),),
    ),
    Row(
        "array.getitem/rows",
        lambda x, i: x[i],
        (Arg(), indices(3)),
        (((3, 4), (5,)), ((4, 2), (2, 3))),
        call=lambda x, i: x[i],
        grad=True,
    ),
    Row(
        "array.getitem/mixed",
        lambda x, i: x[i, None, ..., ::-2],
        (Arg(), indices(3)),
        (((3, 2, 5), (4,)),),
        call=lambda x, i: x[i, None, ..., ::-2],
        grad=True,
    ),
    Row(
        "array.setitem/mask",
        masked,
        (Arg(), Arg(kind="bool_", diff=False)),
        (((3, 4), (3, 4)),),
        call=set_masked,
        grad=True,
    ),
    Row(
        "array.setitem/slice",
        slice_was_set,
        (Arg(), Arg()),
        (((3, 4), (2, 2)), ((3, 4), ())),
        call=set_slice,
        grad=True,
    ),
    at_row("add", np.add, lambda x, i, v: x.at[i].add(v)),
    at_row("subtract", np.subtract, lambda x, i, v: x.at[i].subtract(v)),
    at_row("multiply", np.multiply, lambda x, i, v: x.at[i].multiply(v)),
    Row(
        "searchsorted",
        search,
        (Arg(), NEAR),
        (((6,), (4,)), ((6,), (2, 2)), ((6,), ()), ((0,), (2,))),
        kw=({}, {"side": "right"}),
        call=lambda a, b, **kw: mx.searchsorted(mx.sort(a), b, **kw),
        dtypes=REAL[1:],
        gives=always("uint32"),
        bad=((lambda f: f(mx.zeros(3), mx.zeros(2), side="up"), ValueError, "up"),),
    ),
    Row(
        "unique",
        unique,
        (NEAR,),
        (((12,),), ((3, 4),)),
        kw=({"size": 1},),
        dtypes=REAL,
    ),
    Row(
        "array_equal",
        np.array_equal,
        (NEAR, NEAR),
        (((3,), (3,)), ((2,), (3,)), ((0,), (0,)), ((), ())),
        call=mx.array_equal,
        gives=boolean,
    ),
    Row(
        "allclose",
        np.allclose,
        (NEAR, NEAR),
        (((3,), (3,)), ((), ())),
        gives=boolean,
    ),
]
