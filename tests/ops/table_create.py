"""Rows of what makes arrays from numbers, and of random numbers."""

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
from row import ALL, FLOATS, INEXACT, INTEGERS, Arg, Row, always

# Bits of Apple's build, made by make_random_bits.py.
STORED = Path(__file__).with_name("random_bits.json")
BITS = json.loads(STORED.read_text()) if STORED.exists() else {}


def make(name, oracle, kw, **more):
    more.setdefault("dtypes", ALL)
    more.setdefault("takes_dtype", True)
    return Row(name, oracle, (), ((),), kw, vmap=False, layouts=False, **more)


def window(name, oracle):
    return make(
        name,
        lambda M: oracle(M),
        ({"M": 8}, {"M": 1}, {"M": 0}, {"M": 7}),
        takes_dtype=False,
        dtypes=("float32",),
        bad=((lambda f: f("a"), TypeError, ""),),
    )


def like(name, oracle, **more):
    return Row(name, oracle, gives=lambda d: d, **{"grad": False, **more})


SHAPE_BAD = (
    (lambda f: f((2, -1)), ValueError, ""),
    (lambda f: f("a"), TypeError, ""),
)


def random(name, kw, dtypes=("float32",), tol=0, takes_dtype=True, call=None, bad=(), **more):
    """The same key gives the bits of Apple's build."""
    f = getattr(mx.random, name)
    return Row(
        f"random.{name}",
        lambda key, **given: stored(name, key, given),
        (Arg(kind="uint32", ints=(0, 2**32 - 1), diff=False),),
        (((2,),),),
        kw,
        call or (lambda key, **given: f(**given, key=key)),
        dtypes,
        tol=tol,
        takes_dtype=takes_dtype,
        layouts=False,
        bad=bad,
        **more,
    )


def case(name, key, kw):
    """What a stored value is found by; the key is different for every row and dtype."""
    return f"{name} {[int(k) for k in key]} {kw}"


def stored(name, key, kw):
    return np.asarray(BITS[case(name, key, kw)])


SHAPE = {"shape": (3, 5)}
ODD = {"shape": (7,)}

RANDOM = [
    random(
        "uniform",
        (SHAPE, ODD, {**SHAPE, "low": -2, "high": 3}),
        ("float32", "float16", "bfloat16"),
        bad=((lambda f: f(shape=(2,), dtype=mx.int32), ValueError, ""),),
    ),
    random("normal", (SHAPE, ODD, {**SHAPE, "loc": 1, "scale": 2}), ("float32", "float16"), tol=8),
    random("gumbel", (SHAPE, ODD), tol=16),
    random("laplace", (SHAPE, {**SHAPE, "loc": 1.0, "scale": 2.0}), tol=16),
    random("truncated_normal", ({**SHAPE, "lower": -1.0, "upper": 2.0},), tol=16),
    random(
        "randint",
        ({**SHAPE, "low": -5, "high": 100}, {**ODD, "low": 0, "high": 3}),
        ("int32", "uint32", "int64", "uint8"),
        bad=((lambda f: f(0, 2, (2,), mx.float32), ValueError, ""),),
    ),
    random("bernoulli", (SHAPE, {**SHAPE, "p": 0.2}), takes_dtype=False, gives=always("bool_")),
    random(
        "categorical",
        ({"num_samples": 4}, {"shape": (6, 2)}, {}),
        takes_dtype=False,
        gives=always("uint32"),
        call=lambda key, **kw: mx.random.categorical(
            mx.array([[0.1, 0.5, 2.0], [3.0, -1.0, 0.0]]), key=key, **kw
        ),
    ),
    random("permutation", ({"x": 10},), takes_dtype=False, gives=always("uint32")),
    random(
        "multivariate_normal",
        ({"shape": (3, 2)},),
        tol=2**8,
        call=lambda key, **kw: mx.random.multivariate_normal(
            mx.array([1.0, 2.0]), mx.array([[2.0, 0.3], [0.3, 0.5]]), key=key, **kw
        ),
    ),
    random(
        "split",
        ({}, {"num": 5}),
        takes_dtype=False,
        gives=always("uint32"),
        call=lambda key, **kw: mx.random.split(key, **kw),
    ),
]

ROWS = [
    make(
        "arange",
        lambda start, stop, step=1: np.arange(start, stop, step),
        (
            {"start": 0, "stop": 5},
            {"start": 1, "stop": 9, "step": 3},
            {"start": 4, "stop": 0, "step": -1},
        ),
        dtypes=INTEGERS[4:] + FLOATS,
        bad=(
            (lambda f: f(0, float("inf")), ValueError, ""),
            (lambda f: f("a"), TypeError, ""),
        ),
    ),
    make(
        "linspace",
        lambda start, stop, num=50, endpoint=True: np.linspace(start, stop, num, endpoint),
        (
            {"start": 0, "stop": 1},
            {"start": -1, "stop": 3, "num": 5},
            {"start": 0, "stop": 8, "num": 4, "endpoint": False},
            {"start": 0, "stop": 1, "num": 1},
        ),
        dtypes=FLOATS,
        bad=((lambda f: f(0, 1, -1), ValueError, ""),),
    ),
    make("zeros", np.zeros, ({"shape": (2, 3)}, {"shape": ()}, {"shape": (0, 2)}), bad=SHAPE_BAD),
    make("ones", np.ones, ({"shape": (2, 3)}, {"shape": 4}), bad=SHAPE_BAD),
    make(
        "full",
        lambda shape, vals: np.full(shape, vals),
        ({"shape": (2, 3), "vals": 1}, {"shape": (), "vals": 0}),
        bad=((lambda f: f((2,), mx.zeros(3)), ValueError, ""),),
    ),
    make(
        "empty",
        lambda shape: np.zeros(shape),
        ({"shape": (2, 3)}, {"shape": ()}, {"shape": (0, 2)}),
        call=lambda shape, dtype: mx.zeros_like(mx.empty(shape, dtype)),
        bad=SHAPE_BAD,
    ),
    make(
        "eye",
        lambda n, m=None, k=0: np.eye(n, m, k),
        ({"n": 3}, {"n": 2, "m": 4, "k": 1}, {"n": 4, "m": 3, "k": -2}, {"n": 0}),
        bad=((lambda f: f(-1), ValueError, ""),),
    ),
    make("identity", np.identity, ({"n": 3}, {"n": 0})),
    make(
        "tri",
        lambda n, m=None, k=0: np.tri(n, m, k),
        ({"n": 3}, {"n": 2, "m": 4, "k": 1}, {"n": 4, "m": 3, "k": -2}),
    ),
    window("bartlett", np.bartlett),
    window("blackman", np.blackman),
    window("hamming", np.hamming),
    window("hanning", np.hanning),
    like("zeros_like", np.zeros_like),
    like("ones_like", np.ones_like),
    like("empty_like", np.zeros_like, call=lambda x: mx.zeros_like(mx.empty_like(x))),
    like("full_like", lambda x, vals: np.full_like(x, vals), kw=({"vals": 1},)),
    like("asarray", lambda x: x, grad=True),
    like(
        "from_dlpack",
        lambda x: x,
        dtypes=("float32", "int32"),
        vmap=False,
        traceable=False,
        call=lambda x: mx.from_dlpack(np.from_dlpack(x).copy()) if x.shape != () else x,
    ),
    *RANDOM,
]
_ = INEXACT
