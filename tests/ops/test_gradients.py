"""vjp and jvp of every smooth row against finite differences in float64; then their own derivatives."""

import mlx.core as mx
import numpy as np
import pytest
from row import Row, arrays, outputs, rng_of
from table import ROWS, ids

SMOOTH = [row for row in ROWS if row.grad and "float64" in row.dtypes]
TWICE = [row for row in SMOOTH if row.second]
STEP = 1e-4


def one_output(row: Row, kw: dict, got: list):
    """The row as a function of its differentiable arguments, its outputs side by side."""
    which = [i for i, arg in enumerate(row.args) if arg.diff]

    def f(*xs):
        full = list(got)
        for i, x in zip(which, xs):
            full[i] = x
        return mx.concatenate([o.reshape(-1) for o in outputs(row.f()(*full, **kw))])

    return f, [got[i] for i in which]


def directions(xs, rng):
    return [mx.array(rng.uniform(-1, 1, x.shape), mx.float64) for x in xs]


def difference(f, xs, us):
    """(f(x + hu) - f(x - hu)) / 2h with the h^2 error taken out."""

    def central(h):
        ahead = f(*[x + h * u for x, u in zip(xs, us)])
        behind = f(*[x - h * u for x, u in zip(xs, us)])
        return np.array((ahead - behind) / (2 * h))

    return (4 * central(STEP / 2) - central(STEP)) / 3


def close(got, want, what):
    np.testing.assert_allclose(np.array(got), want, 1e-6, 1e-7, err_msg=what)


def check_first(row: Row, kw: dict) -> None:
    f, xs = one_output(row, kw, arrays(row, "float64", row.shapes[0])[1])
    rng = rng_of(row, "gradient")
    us = directions(xs, rng)
    (y,), (dy,) = mx.jvp(lambda *a: [f(*a)], xs, us)
    finite = np.isfinite(np.array(y))  # an exclusive scan begins with the identity, maybe infinite
    assert not np.array(dy)[~finite].any()
    close(np.array(dy)[finite], difference(f, xs, us)[finite], f"jvp of {row.name} {kw}")
    v = mx.array(rng.uniform(-1, 1, y.shape), mx.float64)
    _, gs = mx.vjp(lambda *a: [f(*a)], xs, [v])
    back = sum(float((g * u).sum()) for g, u in zip(gs, us))
    close(back, float((v * dy).sum()), f"vjp of {row.name} {kw}")
    for g, x in zip(gs, xs):
        assert g.shape == x.shape and g.dtype == x.dtype
    if len(xs) > 1:  # one argument at a time: nothing leaks from one into another
        for i in range(len(xs)):
            alone = mx.grad(lambda *a: (f(*a) * v).sum(), i)(*xs)
            close(alone, np.array(gs[i]), f"grad of argument {i} of {row.name}")


@pytest.mark.parametrize("row", SMOOTH, ids=ids(SMOOTH))
def test_first(row):
    for kw in row.kw:
        check_first(row, kw)


@pytest.mark.parametrize("row", TWICE, ids=ids(TWICE))
def test_second(row):
    kw = row.kw[0]
    f, xs = one_output(row, kw, arrays(row, "float64", row.shapes[0])[1])
    rng = rng_of(row, "second")
    us = directions(xs, rng)
    v = mx.array(rng.uniform(-1, 1, f(*xs).shape), mx.float64)

    def slope(*a):
        return mx.concatenate([g.reshape(-1) for g in mx.vjp(lambda *b: [f(*b)], list(a), [v])[1]])

    want = difference(slope, xs, us)
    (_,), (forward,) = mx.jvp(lambda *a: [slope(*a)], xs, us)
    close(forward, want, f"jvp of the vjp of {row.name}")
    flat = mx.concatenate([u.reshape(-1) for u in us])
    # The Hessian is symmetric: reverse over reverse gives the same.
    _, gs = mx.vjp(lambda *a: [slope(*a)], xs, [flat])
    close(mx.concatenate([g.reshape(-1) for g in gs]), want, f"vjp of the vjp of {row.name}")
