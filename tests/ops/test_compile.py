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


@pytest.mark.parametrize("row", ROWS, ids=ids(ROWS))
def test_compiled(row):
    for dtype in [d for d in ("float32", "bfloat16", "int32", "complex64") if d in row.dtypes][:2]:
        check(row, dtype, False, row.shapes)


SHAPELESS = [row for row in ROWS if row.shapeless]


@pytest.mark.parametrize("row", SHAPELESS, ids=ids(SHAPELESS))
def test_shapeless(row):
    ranks = [tuple(map(len, shapes)) for shapes in row.shapes]
    sizes = [s for s, r in zip(row.shapes, ranks) if r == ranks[0]]
    check(row, "float32" if "float32" in row.dtypes else row.dtypes[-1], True, sizes)
