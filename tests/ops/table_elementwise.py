"""Rows of operations on every element."""

import mlx.core as mx
import numpy as np
import scipy.special as sp
from row import (
    ALL,
    BOOL,
    FLOATS,
    INTEGERS,
    INTS,
    NUMBERS,
    REAL,
    Arg,
    Row,
    always,
    boolean,
    inexact,
    real_part,
)

ANY = Arg()
ONE = (((3, 4),), ((),), ((0, 3),), ((2, 1, 130),))
TWO = (((3, 4), (3, 4)), ((), ()), ((0, 3), (0, 3)), ((3, 1), (4,)), ((2, 3, 5), ()))
UNARY_BAD = (
    (lambda f: f("a"), (TypeError, ValueError), ""),
    (lambda f: f(), TypeError, ""),
    (lambda f: f(mx.zeros(2), stream=3), TypeError, ""),
)
BINARY_BAD = (
    (lambda f: f(mx.zeros((2, 3), mx.int32), mx.zeros((4,), mx.int32)), ValueError, "(2,3) (4)"),
    (lambda f: f(mx.zeros(2)), TypeError, ""),
    (lambda f: f(mx.zeros(2), "a"), (TypeError, ValueError), ""),
)


def unary(name, oracle, low=-2.0, high=2.0, **more):
    more.setdefault("edges", True)
    more.setdefault("args", (Arg(low, high),))
    return Row(name, oracle, shapes=ONE, bad=UNARY_BAD, **more)


def smooth(name, oracle, low=-2.0, high=2.0, ints=(-3, 4), **more):
    """Integers become float32; differentiable over the range."""
    more.setdefault("grad", True)
    args = (Arg(low, high, ints),)
    return unary(name, oracle, gives=inexact, args=args, **more)


def binary(name, oracle, first=ANY, second=ANY, **more):
    more.setdefault("edges", True)
    more.setdefault("shapes", TWO)
    return Row(name, oracle, args=(first, second), bad=BINARY_BAD, **more)


def comparison(name, oracle, **more):
    near = Arg(-2, 2, (0, 3))
    return binary(name, oracle, near, near, gives=boolean, **more)


def bits(name, oracle, second=ANY, dtypes=INTEGERS, **more):
    return binary(name, oracle, Arg(), second, dtypes=dtypes, edges=False, **more)


def sign(x):
    if x.dtype == bool:
        return x
    return np.where(np.isnan(x), 0, np.sign(x))  # the reference gives 0 for NaN


def divmod_(a, b):
    return [np.floor_divide(a, b), np.remainder(a, b)]


def divide(a, b):
    return np.divide(a, b, dtype=None)


def clip(x, **kw):
    return np.clip(x, kw.get("a_min"), kw.get("a_max"))


def logaddexp(a, b):
    if np.iscomplexobj(a):
        return np.log(np.exp(a) + np.exp(b))
    return np.logaddexp(a, b)


def nan_to_num(x, **kw):
    return np.where(np.isnan(x), kw.get("nan", 0), x)


def log2(x):
    return np.log(x) / np.log(2) if np.iscomplexobj(x) else np.log2(x)


def round_(x):
    return x if x.dtype.kind in "iu" else np.rint(x)


UNIT = {"low": -0.9, "high": 0.9, "ints": (0, 1)}
POSITIVE = {"low": 0.2, "high": 3.0, "ints": (1, 9)}
NO_COMPLEX = {"dtypes": REAL}

ROWS = [
    unary("abs", np.abs, 0.2, 3, gives=real_part, grad=True, edges=True),
    smooth("arccos", np.arccos, **UNIT),
    smooth("arccosh", np.arccosh, 1.2, 4, (1, 9)),
    smooth("arcsin", np.arcsin, **UNIT),
    smooth("arcsinh", np.arcsinh),
    smooth("arctan", np.arctan),
    smooth("arctanh", np.arctanh, **UNIT),
    smooth("acos", np.arccos, **UNIT),
    smooth("acosh", np.arccosh, 1.2, 4, (1, 9)),
    smooth("asin", np.arcsin, **UNIT),
    smooth("asinh", np.arcsinh),
    smooth("atan", np.arctan),
    smooth("atanh", np.arctanh, **UNIT),
    unary("bitwise_invert", np.invert, dtypes=BOOL + INTEGERS, edges=False),
    unary("ceil", np.ceil, dtypes=REAL),
    unary("conj", np.conj, grad=True),
    unary("conjugate", np.conj, grad=True),
    smooth("cos", np.cos, edges=False),
    smooth("cosh", np.cosh),
    smooth("degrees", lambda x: x * (180 / np.pi), edges=False),
    smooth("erf", sp.erf, **NO_COMPLEX),
    smooth("erfinv", sp.erfinv, **UNIT, **NO_COMPLEX, tol=8),
    smooth("exp", np.exp),
    smooth("expm1", np.expm1, **NO_COMPLEX),
    unary("floor", np.floor, dtypes=REAL),
    unary(
        "imag",
        np.imag,
        gives=real_part,
        why={"derivatives": "not tested: of complex input only"},
    ),
    unary("isfinite", np.isfinite, gives=boolean),
    unary("isinf", np.isinf, gives=boolean),
    unary("isnan", np.isnan, gives=boolean),
    unary("isneginf", lambda x: x == -np.inf, gives=boolean),
    unary("isposinf", lambda x: x == np.inf, gives=boolean),
    smooth("log", np.log, **POSITIVE),
    smooth("log10", np.log10, **POSITIVE),
    smooth("log1p", np.log1p, -0.5, 3, (0, 9)),
    smooth("log2", log2, **POSITIVE),
    unary("logical_not", np.logical_not, gives=boolean),
    unary("negative", np.negative, dtypes=NUMBERS, grad=True),
    unary("positive", lambda x: x, grad=True),
    smooth("radians", lambda x: x * (np.pi / 180), edges=False),
    unary("real", np.real, gives=real_part, grad=True),
    smooth("reciprocal", lambda x: 1 / x, **POSITIVE),
    unary("round", round_, dtypes=ALL[1:], edges=False),
    unary(
        "round/decimals",
        np.round,
        kw=({"decimals": 2}, {"decimals": -1}),
        dtypes=("float32", "float64"),
        edges=False,
    ),
    smooth("rsqrt", lambda x: 1 / np.sqrt(x), **POSITIVE),
    smooth("sigmoid", sp.expit, **NO_COMPLEX),
    unary("sign", sign),
    smooth("sin", np.sin, edges=False),
    smooth("sinh", np.sinh),
    smooth("sqrt", np.sqrt, **POSITIVE),
    unary("square", np.square, grad=True),
    unary("stop_gradient", lambda x: x),
    smooth("tan", np.tan, -1, 1, edges=False),
    smooth("tanh", np.tanh),
    unary("trunc", np.trunc, dtypes=REAL),
    unary("nan_to_num", nan_to_num, kw=({}, {"nan": 3}), edges=False, grad=True),
    unary(
        "clip",
        clip,
        kw=({"a_min": -1, "a_max": 1}, {"a_min": 0, "a_max": None}),
        dtypes=INTS + FLOATS,
        grad=True,
    ),
    # two arguments
    binary("add", np.add, grad=True),
    binary("subtract", np.subtract, dtypes=NUMBERS, grad=True),
    binary("multiply", np.multiply, grad=True),
    binary("divide", divide, second=Arg(0.5, 2, (1, 9)), gives=inexact, grad=True, dtypes=NUMBERS),
    binary(
        "floor_divide",
        np.floor_divide,
        second=Arg(0.5, 2, (1, 9)),
        dtypes=INTEGERS + FLOATS,
        edges=False,
    ),
    binary(
        "remainder",
        np.remainder,
        second=Arg(0.5, 2, (1, 9)),
        dtypes=INTEGERS + FLOATS,
        edges=False,
        grad=True,
    ),
    binary(
        "divmod",
        divmod_,
        second=Arg(0.5, 2, (1, 9)),
        dtypes=INTEGERS + FLOATS,
        edges=False,
        grad=True,
    ),
    binary(
        "power",
        np.power,
        Arg(0.3, 2, (0, 4)),
        Arg(0.3, 2, (0, 4)),
        dtypes=NUMBERS,
        grad=True,
        edges=False,
        tol=8,
    ),
    binary(
        "pow",
        np.power,
        Arg(0.3, 2, (0, 4)),
        Arg(0.3, 2, (0, 4)),
        dtypes=NUMBERS,
        grad=True,
        edges=False,
        tol=8,
    ),
    binary("maximum", np.maximum, dtypes=REAL, grad=True),
    binary("minimum", np.minimum, dtypes=REAL, grad=True),
    binary("logaddexp", logaddexp, gives=inexact, grad=True, edges=False),
    binary("arctan2", np.arctan2, Arg(0.5, 2), Arg(0.5, 2), gives=inexact, dtypes=REAL, grad=True),
    binary("atan2", np.arctan2, Arg(0.5, 2), Arg(0.5, 2), gives=inexact, dtypes=REAL, grad=True),
    comparison("equal", np.equal),
    comparison("not_equal", np.not_equal),
    comparison("less", np.less, dtypes=REAL),
    comparison("less_equal", np.less_equal, dtypes=REAL),
    comparison("greater", np.greater, dtypes=REAL),
    comparison("greater_equal", np.greater_equal, dtypes=REAL),
    comparison("logical_and", np.logical_and),
    comparison("logical_or", np.logical_or),
    comparison("logical_xor", np.logical_xor),
    comparison("isclose", np.isclose, edges=False),
    bits("bitwise_and", np.bitwise_and, dtypes=BOOL + INTEGERS),
    bits("bitwise_or", np.bitwise_or, dtypes=BOOL + INTEGERS),
    bits("bitwise_xor", np.bitwise_xor, dtypes=BOOL + INTEGERS),
    bits("left_shift", np.left_shift, Arg(ints=(0, 4))),
    bits("right_shift", np.right_shift, Arg(ints=(0, 4))),
    bits("bitwise_left_shift", np.left_shift, Arg(ints=(0, 4))),
    bits("bitwise_right_shift", np.right_shift, Arg(ints=(0, 4))),
    Row(
        "where",
        np.where,
        args=(Arg(kind="bool_", diff=False), Arg(), Arg()),
        shapes=(((3, 4),) * 3, ((),) * 3, ((0, 3),) * 3, ((3, 1), (4,), ())),
        grad=True,
        bad=((lambda f: f(mx.array([True]), mx.zeros(2), mx.zeros(3)), ValueError, "(2)"),),
    ),
    Row(
        "astype",
        lambda x: x.astype(np.float64),
        call=lambda x: mx.astype(x, mx.float64),
        dtypes=REAL,
        gives=always("float64"),
        grad=True,
        bad=((lambda f: f(1, 2), TypeError, ""),),
    ),
]
