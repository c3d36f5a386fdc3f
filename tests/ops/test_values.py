"""Every row of the table against its oracle: each dtype, layout, empty and zero-dimensional arrays."""

import mlx.core as mx
import numpy as np
import pytest
from row import (
    FLOATS,
    LAYOUTS,
    Row,
    arrays,
    compare,
    expected,
    name_of,
    outputs,
)
from table import ROWS, ids


def check(row: Row, dtype: str, shapes, layout: str = "", kws=None) -> None:
    for kw in row.kw if kws is None else kws:
        want, got = arrays(row, dtype, shapes, layout)
        results = outputs(row.f()(*got, **row.with_dtype(kw, dtype)))
        wanted = expected(row, want, kw)
        assert len(results) == len(wanted)
        for r, w in zip(results, wanted):
            compare(r, w, row, dtype)
        assert name_of(results[0].dtype) == row.gives(dtype)


@pytest.mark.parametrize("row", ROWS, ids=ids(ROWS))
def test_dtypes(row):
    for dtype in row.dtypes:
        check(row, dtype, row.shapes[0])


@pytest.mark.parametrize("row", ROWS, ids=ids(ROWS))
def test_shapes(row):
    for dtype in [d for d in ("float32", "int32", "float16") if d in row.dtypes]:
        for shapes in row.shapes[1:]:
            check(row, dtype, shapes)


LAID_OUT = [row for row in ROWS if row.layouts]


@pytest.mark.parametrize("row", LAID_OUT, ids=ids(LAID_OUT))
def test_layouts(row):
    for dtype in row.dtypes:
        for layout in LAYOUTS:
            check(row, dtype, row.shapes[0], layout, row.kw[:1])


EDGES = [row for row in ROWS if row.edges]


@pytest.mark.parametrize("row", EDGES, ids=ids(EDGES))
def test_edges(row):
    """Infinities, NaN, zeros of both signs and the ends of the range."""
    for dtype in [d for d in FLOATS if d in row.dtypes]:
        info = mx.finfo(getattr(mx, dtype))
        few = [0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan, info.max, info.min, 88.5]
        x = np.array(few)
        given = [x] if len(row.args) == 1 else [v.ravel() for v in np.meshgrid(x, x)]
        got = [mx.array(v, getattr(mx, dtype)) for v in given]
        exact = [np.array(a.astype(mx.float64)) for a in got]
        for kw in row.kw:
            result = row.f()(*got, **kw)
            compare(result, expected(row, exact, kw)[0], row, dtype)
