"""vmap over every choice of batched arguments against a loop."""

import itertools

import mlx.core as mx
import numpy as np
import pytest
from row import Row, arrays, outputs, to_numpy
from table import ROWS, ids

BATCHED = [row for row in ROWS if row.vmap]
SIZE = 3


def choices(row: Row):
    n = len(row.args)
    for axes in itertools.product((0, None), repeat=n):
        if any(a is not None for a in axes):
            yield axes
    yield (-1,) * n
    if n > 1:
        yield (1,) + (0,) * (n - 1)


def check(row: Row, dtype: str, axes, kw: dict, out_axes=0) -> None:
    parts = [arrays(row, dtype, row.shapes[0], seed=str(i))[1] for i in range(SIZE)]
    args = []
    for i, axis in enumerate(axes):
        if axis is None:
            args.append(parts[0][i])
        else:
            axis = min(axis, parts[0][i].ndim)
            args.append(mx.stack([p[i] for p in parts], axis))
    axes = tuple(None if a is None else min(a, parts[0][i].ndim) for i, a in enumerate(axes))
    f, kw = row.f(), row.with_dtype(kw, dtype)
    got = outputs(mx.vmap(lambda *a: f(*a, **kw), axes, out_axes)(*args))
    loop = [
        outputs(f(*[p[i] if axes[i] is not None else parts[0][i] for i in range(len(axes))], **kw))
        for p in parts
    ]
    for k, g in enumerate(got):
        want = mx.stack([r[k] for r in loop], out_axes)
        assert g.shape == want.shape and g.dtype == want.dtype
        exact = not mx.issubdtype(g.dtype, mx.inexact)
        tol = 0 if exact else 1e-5
        np.testing.assert_allclose(to_numpy(g), to_numpy(want), tol, tol, err_msg=f"{axes} {kw}")


@pytest.mark.parametrize("row", BATCHED, ids=ids(BATCHED))
def test_against_a_loop(row):
    dtype = "float32" if "float32" in row.dtypes else row.dtypes[-1]
    for axes in choices(row):
        for kw in row.kw:
            check(row, dtype, axes, kw)
    check(row, dtype, (0,) * len(row.args), row.kw[0], out_axes=-1)
    if "int32" in row.dtypes and dtype != "int32":
        check(row, "int32", (0,) * len(row.args), row.kw[0])
