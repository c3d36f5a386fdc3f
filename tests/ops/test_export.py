"""Every function of the table through a file: the same bits, and with shapeless at other sizes."""

import mlx.core as mx
import numpy as np
import pytest
from row import Row, arrays, outputs, to_numpy
from table import ROWS, ids

TRACEABLE = [row for row in ROWS if row.traceable]

# What cannot follow every size, and why.
STAYS_FIXED = {
    "array.getitem/mixed": "steps of a slice: lengths of the same remainder",
    "array.setitem/slice": "steps of a slice: lengths of the same remainder",
    "array_equal": "different shapes are never equal: shapes fixed",
    "conv2d": "the kernel stays inside the image",
    "conv3d": "the kernel stays inside the image",
    "conv_general": "the kernel stays inside the image",
    "convolve": "the kernel stays the shorter; mode same: lengths of the same parity",
    "diag": "the shorter side stays the shorter",
    "diagonal": "the shorter side stays the shorter",
    "fft.fftshift": "by half the length: lengths of the same parity",
    "fft.ifftshift": "by half the length: lengths of the same parity",
    "fft.irfft": "cut or extended to a given length: on the same side of it",
    "median": "the middle one or two: lengths of the same parity",
    "reshape": "lengths that fill the given ones",
    "roll": "the shift stays shorter than the length",
    "split": "lengths that have the parts",
    "trace": "the shorter side stays the shorter",
    "unstack": "as many results as the axis is long: fixed",
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


def shapeless(f, *args, path):
    mx.export_function(path, f, *args, shapeless=True)
    return mx.import_function(path)


def test_lengths_in_steps(tmp_path):
    """What only takes even lengths, say, follows even lengths."""
    path = str(tmp_path / "f.mlxfn")
    halves = shapeless(lambda x: tuple(mx.split(x, 2, axis=1)), mx.ones((2, 6)), path=path)
    for n in (2, 4, 8, 100):
        x = mx.random.normal((3, n))
        assert_same(halves(x), mx.split(x, 2, axis=1), n)
    with pytest.raises(ValueError, match=r"No imported function[^$]*\(n0,2n1\) float32"):
        halves(mx.ones((2, 7)))
    heads = shapeless(
        lambda x: (mx.unflatten(x, -1, (3, -1)).swapaxes(1, 2),), mx.ones((2, 5, 12)), path=path
    )
    for length, features in ((1, 3), (9, 12), (4, 30)):
        x = mx.random.normal((2, length, features))
        assert_same(heads(x), [mx.unflatten(x, -1, (3, -1)).swapaxes(1, 2)], features)
    for f in (mx.fft.fftshift, mx.median):
        call = shapeless(lambda x, f=f: (f(x),), mx.ones((8,)), path=path)
        for n in (2, 6, 8, 64):
            x = mx.random.normal((n,))
            assert_same(call(x), [f(x)], n)


def test_sizes_may_be_squared(tmp_path):
    path = str(tmp_path / "f.mlxfn")
    for f in (mx.diag, lambda x: x * mx.array(x.size**2), lambda x: mx.diag(mx.diag(x, 2), -1)):
        call = shapeless(lambda x, f=f: (f(x),), mx.ones((4,)), path=path)
        for n in (1, 2, 4, 17):
            x = mx.random.normal((n,))
            assert_same(call(x), [f(x)], n)


def test_the_library_says_where_each_reason_holds():
    rows = {row.name for row in TRACEABLE} | {row.function for row in TRACEABLE}
    assert set(STAYS_FIXED) <= rows
