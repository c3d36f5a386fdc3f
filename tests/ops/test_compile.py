"""Compiled functions give the bits of eager ones; with shapeless, at other sizes too."""

import mlx.core as mx
import numpy as np
import pytest
from row import Row, arrays, outputs, to_numpy
from table import ROWS, ids


def check(row: Row, dtype: str, shapeless: bool, sizes) -> None:
    for plain in row.kw:
        f, kw = row.f(), row.with_dtype(plain, dtype)
        whole = mx.compile(lambda *a, f=f, kw=kw: f(*a, **kw), shapeless=shapeless)
        for shapes in sizes:
            args = arrays(row, dtype, shapes)[1]
            got, want = outputs(whole(*args)), outputs(f(*args, **kw))
            assert len(got) == len(want)
            for g, w in zip(got, want):
                assert g.dtype == w.dtype
                np.testing.assert_array_equal(to_numpy(g), to_numpy(w), f"{row.name} {kw}")


TRACEABLE = [row for row in ROWS if row.traceable]


@pytest.mark.parametrize("row", TRACEABLE, ids=ids(TRACEABLE))
def test_compiled(row):
    for dtype in [d for d in ("float32", "bfloat16", "int32", "complex64") if d in row.dtypes][:2]:
        check(row, dtype, False, row.shapes)


def grown(shapes):
    """The same shapes with one more along every axis but those of size 1, and with ones for them."""
    return [tuple(d + (d > 1) for d in s) for s in shapes], [tuple(1 for d in s) for s in shapes]


@pytest.mark.parametrize("row", TRACEABLE, ids=ids(TRACEABLE))
def test_shapeless(row):
    dtype = "float32" if "float32" in row.dtypes else row.dtypes[-1]
    sizes = list(row.shapes)
    for shapes in row.shapes:
        for other in grown(shapes):
            try:  # not every function takes every shape
                args = arrays(row, dtype, other)[1]
                mx.eval(outputs(row.f()(*args, **row.with_dtype(row.kw[0], dtype))))
            except (ValueError, IndexError, ZeroDivisionError):
                continue
            if len(row.kw) == 1:
                sizes.append(other)
    check(row, dtype, True, sizes)
