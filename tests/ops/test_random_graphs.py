"""Random graphs of operations: NumPy in float64, eager, compiled, and one or more threads agree."""

import os
import sys

import mlx.core as mx
import numpy as np
import threads
from hypothesis import given, settings
from hypothesis import strategies as st

UNARY = {
    "abs": np.abs,
    "negative": np.negative,
    "square": np.square,
    "tanh": np.tanh,
    "sin": np.sin,
    "exp_of_tanh": lambda x: np.exp(np.tanh(x)),
    "sqrt_of_abs": lambda x: np.sqrt(np.abs(x) + 1),
}
BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


def unary(name, x):
    if name == "exp_of_tanh":
        return mx.exp(mx.tanh(x))
    if name == "sqrt_of_abs":
        return mx.sqrt(mx.abs(x) + 1)
    return getattr(mx, name)(x)


# A program is a list of steps; each makes a value from earlier ones, picked by numbers that are taken
# modulo what there is. Values stay matrices, and small: tanh where they might grow.
STEP = st.one_of(
    st.tuples(st.just("unary"), st.sampled_from(sorted(UNARY)), st.integers(0, 99)),
    st.tuples(
        st.just("binary"), st.sampled_from(sorted(BINARY)), st.integers(0, 99), st.integers(0, 99)
    ),
    st.tuples(st.just("turn"), st.integers(0, 99)),
    st.tuples(st.just("sum"), st.integers(0, 99), st.integers(0, 1)),
    st.tuples(st.just("max"), st.integers(0, 99), st.integers(0, 1)),
    st.tuples(st.just("slice"), st.integers(0, 99), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("where"), st.integers(0, 99), st.integers(0, 99)),
    st.tuples(st.just("product"), st.integers(0, 99)),
    st.tuples(st.just("cast"), st.integers(0, 99)),
    st.tuples(st.just("join"), st.integers(0, 99), st.integers(0, 1)),
)


def fits(a, b):
    return all(m == n or 1 in (m, n) for m, n in zip(a.shape, b.shape))


def run(program, inputs, theirs):
    """Every value of the program, by NumPy (theirs) or by us."""
    values = list(inputs)
    xp = np if theirs else mx
    for kind, *rest in program:
        pick = [values[i % len(values)] for i in rest if not isinstance(i, (str, bool))]
        x = pick[0]
        if kind == "unary":
            y = UNARY[rest[0]](x) if theirs else unary(rest[0], x)
        elif kind == "binary":
            other = pick[1] if fits(x, pick[1]) else x
            y = BINARY[rest[0]](x, other) if theirs else getattr(mx, rest[0])(x, other)
        elif kind == "turn":
            y = x.T
        elif kind in ("sum", "max"):
            y = getattr(xp, kind)(x, axis=rest[1], keepdims=True)
        elif kind == "slice":
            y = x[:: rest[1], ::-1] if rest[2] else x[:, :: rest[1]]
        elif kind == "where":
            other = pick[1] if fits(x, pick[1]) else x
            y = xp.where(x > 0.1, x, other)
        elif kind == "product":
            y = x @ x.T
        elif kind == "cast":
            # Values like n + 0.5 + noise don't lie near a whole number by chance: small exact ones.
            y = (x > 0).astype(np.int32 if theirs else mx.int32) * x
        else:
            y = xp.concatenate([x, x], axis=rest[1])
        if y.size > 4096:
            y = y[:3, :3]
        values.append(xp.tanh(y) if kind in ("product", "sum") or rest[0] == "square" else y)
    return values[len(inputs) :]


def inputs_of(seed):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in ((5, 7), (5, 1), (1, 7), (7, 5))]


# MICA_GRAPHS=10000 for a long run
@settings(max_examples=int(os.environ.get("MICA_GRAPHS", "150")), deadline=None)
@given(st.lists(STEP, min_size=1, max_size=14), st.integers(0, 1000))
def test_agrees_with_numpy_and_compiled(program, seed):
    given_values = inputs_of(seed)
    wanted = run(program, given_values, True)
    exact = [mx.array(v, mx.float64) for v in given_values]
    got = run(program, exact, False)
    mx.eval(got)
    for g, w in zip(got, wanted, strict=True):
        assert g.shape == w.shape
        np.testing.assert_allclose(np.array(g), w, 1e-9, 1e-9)
    compiled = mx.compile(lambda *xs: run(program, xs, False))(*exact)
    for g, c in zip(got, compiled, strict=True):
        np.testing.assert_array_equal(np.array(g), np.array(c))
    # Only the last value is asked for: what lies between may be fused away.
    last = run(program, exact, False)[-1]
    np.testing.assert_array_equal(np.array(last), np.array(got[-1]))


BITS = """
import hashlib, sys
sys.path[:0] = {path!r}
import mlx.core as mx, numpy as np
from test_random_graphs import run
rng = np.random.default_rng(1)
program = [
    ("binary", "multiply", 0, 1), ("unary", "tanh", 4), ("sum", 5, 0), ("binary", "add", 4, 6),
    ("product", 7), ("sum", 8, 1), ("max", 7, 1), ("where", 7, 10), ("sum", 11, 1),
]
big = [mx.array(rng.standard_normal(s), mx.float32) for s in ((700, 900), (700, 1), (1, 900))]
digest = hashlib.sha256()
for value in run(program, big, False):
    digest.update(np.array(value).tobytes())
print(digest.hexdigest())
"""


def test_threads_give_the_same_bits():
    code = BITS.format(path=[p for p in sys.path if p])
    assert len(threads.outputs(code, (1, 2, 3))) == 1
