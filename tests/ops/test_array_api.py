"""What a program may ask about this library, and the modules of devices that are not there."""

import mlx.core as mx
import numpy as np
import pytest


def test_namespace():
    a = mx.ones(1)
    assert a.__array_namespace__() is mx
    assert a.__array_namespace__(api_version="2024.12") is mx
    for version in ("2030.12", "x", ""):
        with pytest.raises(ValueError, match=r"2024\.12"):
            a.__array_namespace__(api_version=version)


def test_info():
    info = mx.__array_namespace_info__()
    # True, and so they are: a[mask] and nonzero have shapes that depend on data.
    assert info.capabilities() == {
        "boolean indexing": True,
        "data-dependent shapes": True,
        "max dimensions": None,
    }
    assert info.default_device() == mx.default_device()
    assert mx.Device(mx.cpu, 0) in info.devices() and isinstance(info.devices(), list)
    assert info.default_dtypes() == {
        "real floating": mx.float32,
        "complex floating": mx.complex64,
        "integral": mx.int32,
        "indexing": mx.int32,
    }
    assert mx.arange(3).dtype == info.default_dtypes()["integral"]
    assert mx.argmax(mx.ones(3)).dtype in (mx.uint32, mx.int32)
    assert info.dtypes()["float64"] == mx.float64 and len(info.dtypes()) == 12
    assert set(info.dtypes(kind="integral")) == {
        f"{u}int{b}" for u in ("", "u") for b in (8, 16, 32, 64)
    }
    assert set(info.dtypes(kind=("bool", "real floating"))) == {"bool", "float32", "float64"}
    with pytest.raises(ValueError, match="foo"):
        info.dtypes(kind="foo")
    with pytest.raises(TypeError):
        info.default_dtypes(device="x")
    with pytest.raises(TypeError):
        info.dtypes(device=3)


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_finfo(name):
    ours, theirs = mx.finfo(getattr(mx, name)), np.finfo(name)
    for what in ("bits", "eps", "max", "min", "smallest_normal"):
        assert getattr(ours, what) == float(getattr(theirs, what))
    assert ours.dtype == getattr(mx, name)


def test_finfo_of_others():
    b = mx.finfo(mx.bfloat16)
    assert (b.bits, b.eps, b.smallest_normal) == (16, 2.0**-7, 2.0**-126)
    assert mx.finfo(mx.complex64).dtype == mx.float32
    assert mx.finfo(mx.ones(1)).dtype == mx.float32
    assert repr(mx.finfo(mx.float16)) == "finfo(min=-65504, max=65504, dtype=float16)"
    with pytest.raises(ValueError, match="int32"):
        mx.finfo(mx.int32)
    with pytest.raises(TypeError):
        mx.finfo("float32")


@pytest.mark.parametrize("name", [f"{u}int{b}" for u in ("", "u") for b in (8, 16, 32, 64)])
def test_iinfo(name):
    ours, theirs = mx.iinfo(getattr(mx, name)), np.iinfo(name)
    assert (ours.min, ours.max, ours.bits) == (theirs.min, theirs.max, theirs.bits)
    assert ours.dtype == getattr(mx, name)
    assert mx.iinfo(mx.zeros(1, getattr(mx, name))).max == theirs.max


def test_iinfo_refuses():
    for dtype in (mx.float32, mx.bool_, mx.complex64):
        with pytest.raises(ValueError, match="iinfo"):
            mx.iinfo(dtype)


@pytest.mark.skipif(mx.is_available(mx.gpu), reason="there is one")
def test_devices_that_are_not_there():
    assert not mx.metal.is_available()
    assert mx.metal.device_info() == {}
    assert mx.metal.get_active_memory() == mx.get_active_memory()
    limit = mx.metal.set_cache_limit(1 << 20)
    assert mx.metal.set_cache_limit(limit) == 1 << 20
    mx.metal.clear_cache()
    mx.metal.reset_peak_memory()
    with pytest.raises(RuntimeError, match="Metal"):
        mx.metal.start_capture("/nowhere.gputrace")
    with pytest.raises(RuntimeError, match="Metal"):
        mx.metal.stop_capture()
    assert isinstance(mx.cuda.is_available(), bool)
    assert mx.cuda.is_available() == mx.is_available(mx.gpu)
