"""Reading and writing with every kind of index, against NumPy."""

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

N = np.arange(24, dtype=np.int32).reshape(2, 3, 4)

# Each key as Python sees it; arrays stand as NumPy's and are converted for ours.
KEYS = [
    0, -1, (1, 2), (0, 0, 0), (), ..., None, slice(None), slice(None, None, -1), (1, ..., 2),
    (slice(None), slice(None, None, -2)), (slice(None), slice(5, None)), (0, slice(1, 3), None),
    (None, 0, None), (None, ..., None), slice(1, 0), (..., 0), (0, ...), (slice(None), None, 1),
    (slice(-1, None, -1), slice(None), slice(3, 0, -2)),
    np.array([0, 1, 0]), np.array([[0, 1], [1, 0]]), np.array(1), np.array([-1]),
    (np.array([0, 1]), np.array([1, 2])), (np.array([0, 1]), slice(None), np.array([1, 2])),
    (slice(None), np.array([0, 1]), np.array([1, 2])), (np.array([0, 1]), None, np.array([1, 2])),
    (0, np.array([1, 2])), (0, slice(None), np.array([1, 2])), (np.array([0, 1]), 0, np.array([1, 2])),
    (np.array([0, 1]), slice(None), 0), (..., np.array([0, 1])), (slice(1, None), np.array([0, 1])),
    (slice(None), None, np.array([0, 1])), (np.array([[0], [1]]), np.array([0, 1, 2])),
    (slice(None), slice(None, None, 2), np.array([[0, 1], [2, 3]])), np.zeros((0,), np.int32),
    (np.array([0, 1]), slice(None, None, 2)), (slice(0, 1), np.array([0, 2]), slice(1, 3)),
    (None, 0, 0, ..., np.array([0, 3])), (None, np.array([1, 0])), (slice(None), 1, np.array([3, 0])), (None, 0, None, np.array([2, 1]), None),
    N > 5, np.array([True, False]), (slice(None), np.array([True, False, True])),
    (np.array([True, True]), 0), N > 100, (N[:, :, 0] > 4), (..., np.array([True, False, False, True])),
    (np.array([True, False]), np.array([1])), True, False,
]  # fmt: skip


def ours(key):
    if isinstance(key, np.ndarray):
        return mx.array(key)
    if isinstance(key, tuple):
        return tuple(ours(k) for k in key)
    return key


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_read(key):
    got = mx.array(N)[ours(key)]
    want = N[key]
    assert got.shape == want.shape
    np.testing.assert_array_equal(np.array(got), want)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_write(key):
    want = N.copy()
    region = want[key]
    values = [100, -np.arange(region.size, dtype=np.int32).reshape(region.shape)]
    if region.ndim and region.shape[0] > 0:
        values.append(np.arange(region[0].size, dtype=np.int32).reshape(region[0].shape))
        values.append(values[-1][None])
    for value in values:
        want = N.copy()
        want[key] = value
        got = mx.array(N)
        got[ours(key)] = mx.array(value) if isinstance(value, np.ndarray) else value
        np.testing.assert_array_equal(np.array(got), want)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_gradient_of_read_and_write(key):
    n = N.astype(np.float32)
    x = mx.array(n)
    weights = np.arange(n[key].size, dtype=np.float32).reshape(n[key].shape) + 1
    g = mx.grad(lambda a: (a[ours(key)] * mx.array(weights)).sum())(x)
    want = np.zeros_like(n)
    np.add.at(want, key, weights)
    np.testing.assert_array_equal(np.array(g), want)

    def write(a, v):
        b = mx.array(a)
        b[ours(key)] = v
        return b.sum()

    if isinstance(key, (bool, np.ndarray)) and np.asarray(key).dtype == bool:
        return  # masked writes have tests of their own
    ga, gv = mx.grad(write, argnums=(0, 1))(x, mx.array(2.0))
    kept = np.ones_like(n)
    kept[key] = 0
    np.testing.assert_array_equal(np.array(ga), kept)
    counts = np.zeros_like(n)
    np.add.at(counts, key, 1)
    if counts.max() <= 1:  # which of several values for one element wins is not defined
        assert gv.item() == n.size - kept.sum()


def test_lists_and_other_index_types():
    a = mx.array(N)
    np.testing.assert_array_equal(np.array(a[[0, 1]]), N[[0, 1]])
    np.testing.assert_array_equal(np.array(a[[0, 1], [1, 2]]), N[[0, 1], [1, 2]])
    np.testing.assert_array_equal(np.array(a[np.array([1, 0])]), N[[1, 0]])
    np.testing.assert_array_equal(np.array(a[[True, False]]), N[[True, False]])
    np.testing.assert_array_equal(np.array(a[np.int64(1)]), N[1])
    np.testing.assert_array_equal(np.array(a[mx.array(0) : mx.array(1)]), N[0:1])
    assert a[[]].shape == (0, 3, 4)
    assert a[mx.array([0], mx.uint8)].shape == (1, 3, 4)


@pytest.mark.parametrize(
    "key, error",
    [
        (2, IndexError), (-3, IndexError), ((0, 5), IndexError), ((0, 0, -5), IndexError),
        ((0, 0, 0, 0), ValueError), ((..., ...), ValueError), (1.0, ValueError), ("a", ValueError),
        (slice(0, 1.5), ValueError), (slice(None, None, 0), ValueError),
        (np.array([True]), IndexError), (np.array([1.0]), ValueError),
        ((np.array([0, 1]), np.array([0, 1, 2])), ValueError),
    ],
)  # fmt: skip
def test_bad_keys(key, error):
    a = mx.array(N)
    with pytest.raises(error):
        a[ours(key)]
    with pytest.raises(error):
        a[ours(key)] = 1
    np.testing.assert_array_equal(np.array(a), N)


def test_assigned_values():
    a = mx.array(N)
    a[0, 0] = [1, 2, 3, 4]
    a[0, 1] = 3.7
    a[1] = np.ones((3, 4))
    assert a.dtype == mx.int32 and a[0, 1, 0].item() == 3 and a[1].sum().item() == 12
    for bad in ("a", None, mx.ones((5,))):
        with pytest.raises((ValueError, TypeError)):
            a[0] = bad
    with pytest.raises(ValueError):
        a[0] = mx.ones((4, 3))
    a[0] = mx.ones((1, 1, 3, 4))
    with pytest.raises(TypeError):
        del a[0]
    b = a
    a[0] += 5
    assert b is a and b[0, 0, 0].item() == 6


def test_masked_writes():
    a = mx.array(N)
    a[a > 20] = mx.array([1, 2, 3])
    want = N.copy()
    want[N > 20] = [1, 2, 3]
    np.testing.assert_array_equal(np.array(a), want)
    g = mx.grad(lambda x, m: _masked(x, m).sum())(mx.ones(4), mx.array([True, False, True, False]))
    assert g.tolist() == [0, 1, 0, 1]
    with pytest.raises((ValueError, RuntimeError)):
        a[mx.array(N) > 20] = mx.array([1, 2])
        mx.eval(a)


def _masked(x, m):
    y = mx.array(x)
    y[m] = 0
    return y


def test_at():
    a = mx.array(N)
    i = np.array([0, 0])
    for name, ufunc in [("add", np.add), ("subtract", np.subtract), ("multiply", np.multiply),
                        ("maximum", np.maximum), ("minimum", np.minimum)]:  # fmt: skip
        for key in (
            0,
            (0, 1),
            slice(None, None, -1),
            i,
            (i, 0),
            (i, slice(1, None), i),
            ...,
            N > 3,
        ):
            want = N.copy()
            ufunc.at(want, key, 3)
            got = getattr(a.at[ours(key)], name)(3)
            np.testing.assert_array_equal(np.array(got), want)
    np.testing.assert_array_equal(np.array(a), N)
    assert mx.array([8.0, 2.0]).at[0].divide(4).tolist() == [2, 2]
    assert mx.array([9, 2]).at[0].divide(2).tolist() == [4, 2]
    with pytest.raises(ValueError):
        a.at.add(1)


axis = st.one_of(
    st.integers(-3, 2),
    st.slices(3),
    st.just(None),
    st.just(...),
    st.lists(st.integers(-3, 2), min_size=2, max_size=2).map(np.array),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(axis, max_size=5).map(tuple))
def test_random_keys(key):
    n = np.arange(27, dtype=np.int32).reshape(3, 3, 3)
    try:
        want = n[key]
    except IndexError:
        with pytest.raises((IndexError, ValueError)):
            mx.array(n)[ours(key)]
        return
    got = mx.array(n)[ours(key)]
    assert got.shape == want.shape
    np.testing.assert_array_equal(np.array(got), want)
    value = np.arange(100, 100 + want.size, dtype=np.int32).reshape(want.shape)
    a = mx.array(n)
    a[ours(key)] = mx.array(value)
    n[key] = value
    if all(len(set(k % 3)) == 2 for k in key if isinstance(k, np.ndarray)):
        np.testing.assert_array_equal(np.array(a), n)
