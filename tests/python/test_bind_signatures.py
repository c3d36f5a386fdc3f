"""What every function of the module promises to a reader: a doc, a signature, keyword names."""

import mlx.core as mx
import numpy as np
import pytest

MODULES = [m for m in (mx, getattr(mx, "random", None), getattr(mx, "fast", None)) if m]
FUNCTIONS = [
    (f"{m.__name__}.{name}", getattr(m, name))
    for m in MODULES
    for name in dir(m)
    if not name.startswith("_") and type(getattr(m, name)).__name__ == "nb_func"
]


@pytest.mark.parametrize("name, function", FUNCTIONS, ids=[n for n, _ in FUNCTIONS])
def test_documented(name, function):
    signature, doc, *_ = function.__nb_signature__[0]
    assert doc and doc.strip(), name
    assert signature.startswith("def ")
    assert "nanobind" not in signature and "StreamOrDevice" not in signature.split("(")[0]


def test_axis_arguments():
    a = mx.array(np.arange(6.0, dtype=np.float32).reshape(2, 3))
    for axis in (None, 0, -1, (0, 1), [0], ()):
        want = np.sum(np.array(a), axis=tuple(axis) if isinstance(axis, list) else axis)
        np.testing.assert_allclose(np.array(mx.sum(a, axis)), want)
        np.testing.assert_allclose(np.array(a.sum(axis=axis)), want)
    for bad in ("a", 1.0):
        with pytest.raises(TypeError):
            mx.sum(a, bad)
    with pytest.raises((ValueError, IndexError)):
        mx.sum(a, 2)


def test_shape_arguments():
    assert mx.zeros(3).shape == mx.zeros((3,)).shape == mx.zeros([3]).shape == (3,)
    assert mx.zeros(()).shape == () and mx.zeros(mx.array([1, 2])).shape == (1, 2)
    assert mx.zeros((2,), None).dtype == mx.float32
    for bad in (2.0, "a", None):
        with pytest.raises(TypeError):
            mx.zeros(bad)
    with pytest.raises(ValueError):
        mx.zeros((2, -1))
    with pytest.raises(OverflowError):
        mx.zeros((2**40,))


def test_arange_forms():
    assert mx.arange(3).tolist() == [0, 1, 2] and mx.arange(3).dtype == mx.int32
    assert mx.arange(3.0).dtype == mx.float32 and mx.arange(2**40, 2**40 + 1).dtype == mx.int64
    assert mx.arange(1, 4, 2).tolist() == [1, 3] and mx.arange(start=1, stop=3).tolist() == [1, 2]
    assert mx.arange(stop=3).tolist() == mx.arange(3, step=1).tolist() == [0, 1, 2]
    assert mx.arange(1, 2, 0.5).tolist() == [1, 1.5]
    assert mx.arange(0, 2, dtype=mx.float16).dtype == mx.float16
    with pytest.raises(ValueError):
        mx.arange(True)
    with pytest.raises(TypeError):
        mx.arange("a")


def test_streams_and_devices():
    s = mx.new_stream(mx.cpu)
    x = mx.array([1.0])
    for stream in (None, mx.cpu, mx.Device(mx.cpu), s, mx.new_thread_local_stream(mx.cpu)):
        assert mx.exp(x, stream=stream).shape == (1,)
    with pytest.raises(TypeError):
        mx.exp(x, stream=3)
    with pytest.raises(TypeError):
        mx.exp(x, mx.cpu)
    with mx.stream(s):
        assert mx.default_stream(mx.cpu) == s
    assert mx.default_stream(mx.cpu) != s
    assert mx.Device(mx.cpu) == mx.cpu and mx.cpu == mx.Device(mx.cpu)
    assert repr(mx.Device(mx.cpu)) == "Device(cpu, 0)" and repr(mx.cpu) == "DeviceType.cpu"
    mx.synchronize()
    if not mx.is_available(mx.gpu):
        with pytest.raises(ValueError):
            mx.set_default_device(mx.gpu)


def test_random_arguments():
    k = mx.random.key(1)
    assert (
        mx.random.uniform(shape=[2], key=k).tolist()
        == mx.random.uniform(shape=(2,), key=k).tolist()
    )
    mx.random.seed(0)
    first = mx.random.uniform(shape=(3,)).tolist()
    mx.random.seed(0)
    assert mx.random.uniform(shape=(3,)).tolist() == first
    assert len(mx.random.state) == 1 and mx.random.state[0].shape == (2,)
    with pytest.raises(TypeError):
        mx.random.seed(-1)
    with pytest.raises(TypeError):
        mx.random.uniform(shape=2)
    with pytest.raises(ValueError):
        mx.random.categorical(mx.zeros((2, 3)), shape=[4, 2], num_samples=2)


def test_where_and_clip_follow_the_arrays():
    c = mx.array([True, False])
    assert mx.where(c, 1, mx.array(2, mx.float16)).dtype == mx.float16
    assert mx.where(c, 1.0, mx.array(2, mx.int8)).dtype == mx.float32
    assert mx.clip(mx.array([1.0, 5.0], mx.float16), 2, 3).dtype == mx.float16
    with pytest.raises(ValueError):
        mx.clip(mx.array([1]), None, None)
