"""Rows of reductions, scans and sorting."""

import mlx.core as mx
import numpy as np
import scipy.special as sp
from row import (
    FLOATS,
    INEXACT,
    NUMBERS,
    REAL,
    Arg,
    Row,
    always,
    boolean,
    index,
    inexact,
    total,
)

AXES = ({}, {"axis": 0}, {"axis": (0, 1), "keepdims": True}, {"axis": -1, "keepdims": True})
AXIS = ({}, {"axis": 0}, {"axis": -1, "keepdims": True})
SCANS = (
    {},
    {"axis": 0},
    {"axis": -1, "reverse": True},
    {"axis": 1, "inclusive": False},
    {"axis": 0, "reverse": True, "inclusive": False},
)
BAD = (
    (lambda f: f(mx.zeros((2, 3)), 2), IndexError, "2"),
    (lambda f: f(mx.zeros((2, 3)), "a"), TypeError, ""),
    (lambda f: f(mx.zeros((2, 3)), (0, 0)), ValueError, ""),
)
ONE_BAD = ((lambda f: f(mx.zeros((2, 3)), 2), IndexError, "2"),)
EMPTY_BAD = (*BAD, (lambda f: f(mx.zeros((0, 3)), 0), ValueError, ""))
SHAPES = (((3, 4),), ((2, 3, 70),), ((129, 5),))


def reduction(name, oracle, arg=Arg, shapes=(*SHAPES, ((0, 3),)), **more):
    more.setdefault("kw", AXES)
    more.setdefault("bad", BAD)
    more.setdefault("tol", 16)
    args = (arg() if arg is Arg else arg,)
    return Row(name, oracle, args, shapes, **more)


def scan(name, op, start, **more):
    """op is a NumPy ufunc; start(dtype) is what an exclusive scan begins with."""

    def oracle(x, axis=None, reverse=False, inclusive=True):
        if axis is None:
            x, axis = x.reshape(-1), 0
        if reverse:
            x = np.flip(x, axis)
        x = x.astype(np.int32) if x.dtype == bool and name == "cumsum" else x
        y = op(x, axis)
        if not inclusive:
            first = np.full_like(np.take(y, [0], axis), start(y.dtype))
            y = np.concatenate([first, np.delete(y, -1, axis)], axis)
        return np.flip(y, axis) if reverse else y

    more.setdefault("grad", True)
    more.setdefault("tol", 16)
    return Row(name, oracle, shapes=SHAPES, kw=SCANS, bad=ONE_BAD, **more)


def lowest(d):
    return False if d == bool else np.iinfo(d).min if d.kind in "iu" else -np.inf


def highest(d):
    return True if d == bool else np.iinfo(d).max if d.kind in "iu" else np.inf


def accumulate(ufunc):
    return lambda x, axis: ufunc.accumulate(x, axis=axis, dtype=x.dtype)


def widened(f):
    """Sums of small integers are of 32 bits."""

    def oracle(x, **kw):
        if x.dtype == bool or (x.dtype.kind in "iu" and x.dtype.itemsize < 4):
            x = x.astype(np.uint32 if x.dtype.kind == "u" else np.int32)
        return f(x, dtype=x.dtype, **kw)

    return oracle


def logsumexp(x, axis=None, keepdims=False):
    return sp.logsumexp(x, axis=axis, keepdims=keepdims)


def softmax(x, axis=None, precise=False):
    return sp.softmax(x, axis=axis)


def minmax(x, **kw):
    return [np.min(x, **kw), np.max(x, **kw)]


def topk(x, k, axis=-1):
    return np.sort(x, axis)[(..., slice(-k, None))] if axis == -1 else np.sort(x, axis)[-k:]


def sorted_topk(x, **kw):
    return mx.sort(mx.topk(x, **kw), kw.get("axis", -1))


def partition_is_right(x, kth, axis=-1):
    """What partition promises, as a value that can be compared: the k-th, those below, those above."""
    y = np.sort(x, axis)
    return y


def sorted_parts(x, kth, axis=-1, by_index=False):
    y = (
        mx.take_along_axis(x, mx.argpartition(x, kth, axis), axis)
        if by_index
        else mx.partition(x, kth, axis)
    )
    low, mid, high = mx.split(y, [kth, kth + 1], axis)
    return mx.concatenate([mx.sort(low, axis), mid, mx.sort(high, axis)], axis)


def diff(x, n=1, axis=-1):
    for _ in range(n):
        ahead, behind = np.delete(x, 0, axis), np.delete(x, -1, axis)
        x = ahead ^ behind if x.dtype == bool else ahead - behind
    return x


def median(x, axis=None, keepdims=False):
    return np.median(x, axis, keepdims=keepdims)


APART = Arg(distinct=True)
POSITIVE = Arg(0.5, 1.5, (1, 3))

ROWS = [
    reduction("sum", widened(np.sum), grad=True, gives=total),
    reduction("prod", widened(np.prod), POSITIVE, (*SHAPES[:1], ((0, 3),)), grad=True, gives=total),
    reduction("mean", np.mean, shapes=SHAPES, grad=True, gives=inexact),
    reduction(
        "var", np.var, shapes=SHAPES, grad=True, gives=inexact, kw=(*AXES, {"ddof": 1}), dtypes=REAL
    ),
    reduction(
        "std", np.std, shapes=SHAPES, grad=True, gives=inexact, kw=(*AXES, {"ddof": 1}), dtypes=REAL
    ),
    reduction("max", np.max, APART, SHAPES, grad=True, dtypes=REAL, bad=EMPTY_BAD),
    reduction("min", np.min, APART, SHAPES, grad=True, dtypes=REAL, bad=EMPTY_BAD),
    reduction("minmax", minmax, APART, SHAPES, grad=True, dtypes=REAL),
    reduction("median", median, APART, SHAPES[:1], grad=True, gives=inexact, dtypes=REAL),
    reduction("all", np.all, gives=boolean),
    reduction("any", np.any, gives=boolean),
    reduction(
        "count_nonzero", np.count_nonzero, Arg(ints=(0, 3)), SHAPES, gives=always("int32"), bad=()
    ),
    reduction("logsumexp", logsumexp, shapes=SHAPES, grad=True, gives=inexact),
    reduction(
        "argmax", np.argmax, APART, SHAPES, kw=AXIS, dtypes=REAL[1:], gives=index, bad=ONE_BAD
    ),
    reduction(
        "argmin", np.argmin, APART, SHAPES, kw=AXIS, dtypes=REAL[1:], gives=index, bad=ONE_BAD
    ),
    Row(
        "softmax",
        softmax,
        shapes=SHAPES,
        kw=({"axis": -1}, {"axis": 0}, {}, {"axis": (0, 1)}, {"axis": -1, "precise": True}),
        dtypes=FLOATS,
        grad=True,
        tol=16,
        bad=BAD[:1],
    ),
    # running results
    scan("cumsum", accumulate(np.add), lambda d: 0, gives=lambda d: "int32" if d == "bool_" else d),
    scan("cumprod", accumulate(np.multiply), lambda d: 1, dtypes=NUMBERS, args=(POSITIVE,)),
    scan("cumulative_sum", accumulate(np.add), lambda d: 0, dtypes=NUMBERS),
    scan("cumulative_prod", accumulate(np.multiply), lambda d: 1, dtypes=NUMBERS, args=(POSITIVE,)),
    scan("cummax", accumulate(np.maximum), lowest, dtypes=REAL, args=(APART,)),
    scan("cummin", accumulate(np.minimum), highest, dtypes=REAL, args=(APART,)),
    scan("logcumsumexp", accumulate(np.logaddexp), lowest, dtypes=FLOATS),
    # order
    Row(
        "sort",
        lambda x, axis=-1: np.sort(x, axis),
        (APART,),
        SHAPES,
        kw=({}, {"axis": 0}, {"axis": None}),
        dtypes=REAL,
        grad=True,
        bad=ONE_BAD,
    ),
    Row(
        "argsort",
        lambda x, axis=-1: np.argsort(x, axis, kind="stable"),
        (APART,),
        SHAPES,
        kw=({}, {"axis": 0}, {"axis": None}),
        dtypes=REAL,
        gives=index,
        bad=ONE_BAD,
    ),
    Row(
        "partition",
        partition_is_right,
        (APART,),
        SHAPES,
        kw=({"kth": 2}, {"kth": 1, "axis": 0}),
        call=sorted_parts,
        dtypes=REAL,
        grad=True,
        bad=((lambda f: f(mx.zeros(3), 3), ValueError, "3"),),
    ),
    Row(
        "argpartition",
        partition_is_right,
        (APART,),
        SHAPES,
        kw=({"kth": 2}, {"kth": 1, "axis": 0}),
        call=lambda *a, **kw: sorted_parts(*a, **kw, by_index=True),
        dtypes=REAL,
        bad=((lambda f: f(mx.zeros(3), 3), ValueError, "3"),),
    ),
    Row(
        "topk",
        topk,
        (APART,),
        SHAPES,
        kw=({"k": 2}, {"k": 1, "axis": 0}),
        call=sorted_topk,
        dtypes=REAL,
        grad=True,
        bad=((lambda f: f(mx.zeros(3), 4), ValueError, "4"),),
    ),
    Row(
        "diff",
        diff,
        shapes=(((3, 4),), ((5, 2),)),
        kw=({}, {"n": 1, "axis": 0}),
        grad=True,
        bad=((lambda f: f(mx.zeros(())), IndexError, ""),),
    ),
    Row(
        "trace",
        lambda x, **kw: np.trace(x, dtype=x.dtype if x.dtype.itemsize > 2 else np.int32, **kw),
        shapes=(((3, 4),), ((4, 3),)),
        kw=({}, {"offset": 1}),
        dtypes=("int8", "int32", "int64", "uint32", *INEXACT),
        gives=total,
        grad=True,
        bad=((lambda f: f(mx.zeros(3)), ValueError, ""),),
    ),
]
