"""Every function of the table through a file: the same bits, and with shapeless at other sizes."""

import mlx.core as mx
import numpy as np
import pytest
from row import Row, arrays, outputs, to_numpy
from table import ROWS, ids

TRACEABLE = [row for row in ROWS if row.traceable]

# What cannot follow: the number of results or of dimensions, or a choice, depends on sizes.
STAYS_FIXED = {
    "unstack",
    "reshape",
    "array.setitem/slice",
    "diag",
    "diagonal",
    "flip",
    "median",
    "trace",
    "array.getitem/mixed",
    "array_equal",
    "einsum/trace",
    "split",
    "fft.irfft",  # cut or extended to a given size
    "fft.fftshift",  # by half a length, rounded down
    "fft.ifftshift",
    "conv2d",  # the size of the kernel: a larger one does not fit the image
    "conv3d",
    "conv_general",
    "convolve",  # mode "same" cuts off half a length
    "unflatten",  # into parts of a fixed size: not every length has them
    "roll",  # by more than a length
}


def assert_same(got, want, text) -> None:
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        assert g.dtype == w.dtype
        np.testing.assert_array_equal(to_numpy(g), to_numpy(w), text)


def as_tuple(result):
    return result if isinstance(result, mx.array) else tuple(result)


def check(row: Row, dtype: str, shapes, kw, shapeless: bool, path: str) -> None:
    f = row.f()
    args = arrays(row, dtype, shapes)[1]
    mx.export_function(path, lambda *a: as_tuple(f(*a, **kw)), *args, shapeless=shapeless)
    call = mx.import_function(path)
    assert_same(call(*args), outputs(f(*args, **kw)), f"{row.name} {kw} {shapes}")
    if not shapeless:
        return
    for more in (1, 2, 5):
        other = [tuple(d + more * (d > 1) for d in s) for s in shapes]
        try:
            args = arrays(row, dtype, other)[1]
            want = outputs(f(*args, **kw))
            mx.eval(want)
        except (ValueError, IndexError, ZeroDivisionError):
            continue
        try:
            got = call(*args)
        except ValueError:
            assert row.name in STAYS_FIXED
            continue
        assert_same(got, want, f"{row.name} {kw} {shapes} at {other}")


@pytest.mark.parametrize("shapeless", [False, True])
@pytest.mark.parametrize("row", TRACEABLE, ids=ids(TRACEABLE))
def test_export(row, shapeless, tmp_path):
    dtype = "float32" if "float32" in row.dtypes else row.dtypes[-1]
    for shapes in row.shapes[:3]:
        for plain in row.kw[:2]:
            kw = row.with_dtype(plain, dtype)
            check(row, dtype, shapes, kw, shapeless, str(tmp_path / "f.mlxfn"))
