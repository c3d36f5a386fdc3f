"""The array class: construction, conversion, operators, printing, protocols."""

import copy
import pickle

import mlx.core as mx
import numpy as np
import pytest

ALL = [
    mx.bool_, mx.uint8, mx.uint16, mx.uint32, mx.uint64, mx.int8, mx.int16, mx.int32, mx.int64,
    mx.float16, mx.bfloat16, mx.float32, mx.float64, mx.complex64,
]  # fmt: skip


def same(a, dtype, value):
    assert a.dtype == dtype
    assert a.tolist() == value


@pytest.mark.parametrize(
    "value, dtype, expected",
    [
        (1, mx.int32, 1),
        (2**31, mx.int64, 2**31),
        (-(2**31), mx.int32, -(2**31)),
        (2**63, mx.uint64, 2**63),
        (1.5, mx.float32, 1.5),
        (True, mx.bool_, True),
        (1j, mx.complex64, 1j),
        ([], mx.float32, []),
        ([[], []], mx.float32, [[], []]),
        ([1, 2.5], mx.float32, [1, 2.5]),
        ([True, 2], mx.int32, [1, 2]),
        ([1, 2**40], mx.int64, [1, 2**40]),
        ([1, 2j], mx.complex64, [1, 2j]),
        (((1, 2), (3, 4)), mx.int32, [[1, 2], [3, 4]]),
        (np.float64(1), mx.float32, 1),
        (np.int8(1), mx.int8, 1),
        (np.arange(3), mx.int64, [0, 1, 2]),
        (np.arange(3.0), mx.float32, [0, 1, 2]),
        (np.arange(3.0) + 1j, mx.complex64, [1j, 1 + 1j, 2 + 1j]),
        (np.arange(6).reshape(2, 3).T, mx.int64, [[0, 3], [1, 4], [2, 5]]),
        (np.arange(4, dtype=np.int32)[::-1], mx.int32, [3, 2, 1, 0]),
        (np.arange(3, dtype=">i4"), mx.int32, [0, 1, 2]),
        (np.arange(3, dtype=">f8"), mx.float32, [0, 1, 2]),
        (b"ab", mx.uint8, [97, 98]),
    ],
)
def test_default_dtypes(value, dtype, expected):
    same(mx.array(value), dtype, expected)


def test_given_dtype():
    same(mx.array(300, mx.uint8), mx.uint8, 44)
    same(mx.array([1.7], dtype=mx.int32), mx.int32, [1])
    same(mx.array(0.5, mx.bool_), mx.bool_, True)
    same(mx.array(1e300, mx.float64), mx.float64, 1e300)
    same(mx.array(np.array([1.1]), mx.float64), mx.float64, [1.1])
    for d in ALL:
        same(mx.array([0, 1], d), d, [0, 1])


def test_lists_with_arrays():
    same(mx.array([mx.array(1), 2]), mx.int32, [1, 2])
    same(mx.array([[1, 2], mx.array([3, 4])]), mx.int32, [[1, 2], [3, 4]])
    same(mx.array([np.arange(2), np.arange(2)]), mx.int64, [[0, 1], [0, 1]])
    assert mx.grad(lambda x: (mx.array([x, 2 * x]) ** 2).sum())(mx.array(1.0)).item() == 10


@pytest.mark.parametrize(
    "value, error",
    [
        (None, TypeError),
        ("a", ValueError),
        ([None], ValueError),
        (["a"], ValueError),
        ([[1], [2, 3]], ValueError),
        ([1, [2]], ValueError),
        ({1: 2}, ValueError),
        (2**64, OverflowError),
        (np.array(["a"]), ValueError),
    ],
)
def test_refused_values(value, error):
    with pytest.raises(error):
        mx.array(value)


def test_foreign_objects():
    class Provider:
        def __mlx_array__(self):
            return mx.array([1.0, 2.0])

    class NumpyLike:
        def __array__(self, dtype=None, copy=None):
            return np.array([1, 2], dtype=np.int16)

    same(mx.array(Provider()), mx.float32, [1, 2])
    same(mx.array([1, 1]) + Provider(), mx.float32, [2, 3])
    same(mx.array(NumpyLike()), mx.int16, [1, 2])


def test_weak_scalars():
    for d in ALL:
        x = mx.array([1, 0], d)
        inexact = mx.issubdtype(d, mx.inexact)
        integer = mx.issubdtype(d, mx.integer)
        assert (x + 2).dtype == (d if inexact or integer else mx.int32)
        assert (2.0 * x).dtype == (d if inexact else mx.float32)
        assert (x + True).dtype == d
        assert (x * 2j).dtype == mx.complex64
    with pytest.raises(ValueError):
        mx.array([1], mx.uint8) + 300
    same(mx.array([1], mx.float16) + np.float64(1), mx.float16, [2])
    same(mx.array([1], mx.int8) + np.arange(1), mx.int8, [1])


def test_operators_match_numpy():
    n = np.array([[1.5, -2.0], [3.0, 4.0]], np.float32)
    m = np.array([2.0, 0.5], np.float32)
    a, b = mx.array(n), mx.array(m)
    for op in ["+", "-", "*", "/", "//", "%", "**", "<", "<=", "==", "!=", ">", ">="]:
        code = compile(f"x {op} y", "op", "eval")
        for x, y in [(n, m), (n, 2), (3, m)]:
            with np.errstate(invalid="ignore"):
                want = eval(code, {"x": x, "y": y})
            got = eval(code, {"x": a if x is n else x, "y": b if y is m else y})
            np.testing.assert_allclose(np.array(got), want, rtol=1e-5, equal_nan=True)
    i = mx.array([5, 6])
    assert (i & 3).tolist() == [1, 2] and (i | 1).tolist() == [5, 7] and (i ^ 1).tolist() == [4, 7]
    assert (
        (i << 1).tolist() == [10, 12]
        and (i >> 1).tolist() == [2, 3]
        and (1 << i).tolist() == [32, 64]
    )
    assert (~i).tolist() == [-6, -7] and (-i).tolist() == [-5, -6] and abs(-i).tolist() == [5, 6]
    q, r = divmod(i, 4)
    assert q.tolist() == [1, 1] and r.tolist() == [1, 2]


def test_in_place_operators_rebind_the_handle():
    a = mx.array([1, 2])
    b = a
    a += 1
    assert a is b and b.tolist() == [2, 3]
    a += 1.5
    same(a, mx.float32, [3.5, 4.5])
    with pytest.raises(ValueError):
        i = mx.array([1])
        i /= 2


def test_refused_operands():
    x = mx.array([1.0])
    for other in ([1], (1,), "a", {}):
        with pytest.raises(ValueError, match="Cannot perform addition"):
            x + other
        assert (x == other) is False and (x != other) is True
    with pytest.raises(TypeError):
        x + None
    with pytest.raises(TypeError):
        x @ 2

    class Other:
        def __radd__(self, other):
            return 5

    assert x + Other() == 5


def test_conversions_to_python():
    assert int(mx.array([3])) == 3 and float(mx.array(3)) == 3.0 and complex(mx.array(3)) == 3
    assert bool(mx.array([2])) and not mx.array(0)
    assert [1, 2, 3][mx.array(1)] == 2
    for bad in (mx.array([1, 2]), mx.array([])):
        with pytest.raises(ValueError):
            bad.item()
        with pytest.raises(ValueError):
            bool(bad)
    with pytest.raises(TypeError):
        range(mx.array(1.0))
    with pytest.raises(TypeError):
        len(mx.array(1))
    with pytest.raises(TypeError):
        iter(mx.array(1))
    assert [x.item() for x in mx.array([1, 2])] == [1, 2]
    assert 2 in mx.array([1, 2]) and 3 not in mx.array([1, 2])
    assert mx.zeros((2, 0)).tolist() == [[], []]
    assert bytes(mx.array([1, 2], mx.uint8)) == b"\x01\x02"
    assert f"{mx.array(1.234567):.2f}" == "1.23"
    with pytest.raises(TypeError):
        f"{mx.array([1.0]):.2f}"


def test_repr():
    assert repr(mx.array([[1, 2], [3, 4]])) == "array([[1, 2],\n       [3, 4]], dtype=int32)"
    assert str(mx.arange(10)) == "array([0, 1, 2, ..., 7, 8, 9], dtype=int32)"
    assert repr(mx.array([True, False])) == "array([True, False], dtype=bool)"
    assert repr(mx.array([1 / 3, 1e10])) == "array([0.333333, 1e+10], dtype=float32)"
    assert repr(mx.array(1 - 2j)) == "array(1-2j, dtype=complex64)"
    assert repr(mx.zeros((0, 3))) == "array([], dtype=float32)"
    assert repr(mx.zeros((2, 0))) == "array([[],\n       []], dtype=float32)"
    assert repr(mx.float32) == "mlx.core.float32"
    with mx.printoptions(precision=2):
        assert repr(mx.array(1 / 3)) == "array(0.33, dtype=float32)"
    assert repr(mx.array(1 / 3)) == "array(0.333333, dtype=float32)"


def test_numpy_shares_memory():
    a = mx.array([1, 2])
    n = np.array(a, copy=False)
    n[0] = 7
    assert a.tolist() == [7, 2]
    assert memoryview(mx.array([1.0], mx.float16)).format == "e"
    assert memoryview(mx.array([1.0], mx.bfloat16)).itemsize == 2
    np.testing.assert_array_equal(
        np.array(mx.arange(6).reshape(2, 3).T), np.arange(6).reshape(2, 3).T
    )
    assert np.array(a, dtype=np.float64).dtype == np.float64
    with pytest.raises((TypeError, ValueError)):
        np.array(mx.array([1.0], mx.bfloat16))


def test_dlpack():
    a = mx.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(np.from_dlpack(a.T), np.arange(6).reshape(2, 3).T)
    assert a.__dlpack_device__() == (1, 0)
    same(mx.from_dlpack(np.arange(3)), mx.int64, [0, 1, 2])
    with pytest.raises(TypeError):
        mx.from_dlpack(3)
    with pytest.raises(ValueError):
        mx.asarray(np.arange(3), copy=False)
    del a  # a capsule that nobody consumes frees itself
    mx.array([1.0]).__dlpack__()
    mx.array([1.0]).__dlpack__(max_version=(1, 0))


@pytest.mark.parametrize("dtype", ALL)
def test_pickle_and_copy(dtype):
    a = mx.array([0, 1, 1], dtype)
    for b in (pickle.loads(pickle.dumps(a)), copy.copy(a), copy.deepcopy(a)):
        assert b is not a and b.dtype == dtype and b.tolist() == a.tolist()
    assert pickle.loads(pickle.dumps(dtype)) == dtype
    b = copy.copy(a)
    b[0] = 1
    assert a.tolist() == [0, 1, 1]


def test_hash_and_identity():
    a, b = mx.array(1), mx.array(1)
    assert hash(a) == hash(a) and len({a, b}) == 2


def test_dtypes_and_info():
    assert mx.float32 == mx.float32 and mx.float32 != mx.float16 and mx.float32 != "float32"
    assert mx.float32.size == 4 and len(set(ALL)) == 14
    assert mx.issubdtype(mx.float16, mx.floating) and not mx.issubdtype(mx.int8, mx.inexact)
    assert mx.isdtype(mx.int8, ("bool", "integral"))
    with pytest.raises(ValueError):
        mx.isdtype(mx.int8, "x")
    assert mx.result_type(mx.float16, mx.array(1)) == mx.float16
    assert mx.can_cast(mx.int8, mx.float32) and not mx.can_cast(mx.float32, mx.int8)
    assert mx.finfo(mx.float16).max == 65504 and mx.iinfo(mx.uint64).max == 2**64 - 1
    assert repr(mx.finfo(mx.complex64)) == "finfo(min=-3.40282e+38, max=3.40282e+38, dtype=float32)"
    with pytest.raises(ValueError):
        mx.finfo(mx.int32)


def test_methods_mirror_functions():
    a = mx.array([[4.0, 1.0], [9.0, 16.0]])
    for name in ["sum", "prod", "max", "min", "mean", "var", "std", "all", "any", "logsumexp",
                 "argmax", "argmin", "cumsum", "cumprod", "cummax", "cummin", "sqrt", "rsqrt",
                 "square", "exp", "log", "log2", "log10", "log1p", "sin", "cos", "abs",
                 "reciprocal", "round", "flatten", "diag", "diagonal", "squeeze"]:  # fmt: skip
        assert mx.array_equal(getattr(a, name)(), getattr(mx, name)(a)), name
    assert a.sum(0).shape == (2,) and a.sum(axis=(0, 1), keepdims=True).shape == (1, 1)
    assert a.reshape(4).shape == a.reshape((4,)).shape == a.reshape(-1).shape == (4,)
    assert (
        a.transpose(1, 0).tolist() == a.transpose([1, 0]).tolist() == a.T.tolist() == a.mT.tolist()
    )
    assert a.std(correction=1).item() == a.std(ddof=1).item()
    assert a.astype(mx.int32).dtype == mx.int32 and a.view(mx.int32).shape == (2, 2)
    assert [x.shape for x in a.split(2)] == [(1, 2), (1, 2)]
    with pytest.raises(TypeError):
        a.astype("float32")


def test_array_namespace():
    assert mx.array(1).__array_namespace__() is mx
    info = mx.__array_namespace_info__()
    assert info.default_device() == mx.default_device()
    assert info.dtypes(kind="bool") == {"bool": mx.bool_}
